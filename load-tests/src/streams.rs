//! Many slow streams at a time, each checked chunk by chunk.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::check::Expected;
use crate::closed::{Load, MAX_LANES, MAX_SECONDS};
use crate::process::{Pid, Watch};
use crate::report::{Output, Summary};
use crate::template::RequestOptions;

/// Options of `streams`.
#[derive(clap::Args, Debug)]
pub(crate) struct Streams {
    #[command(flatten)]
    request: RequestOptions,
    /// Streams open at a time, each on a connection of its own.
    #[arg(long, default_value_t = 1000)]
    streams: usize,
    /// Content chunks that each stream must hold: the simulator's `--chunks`.
    #[arg(long)]
    chunks: u32,
    /// How long to open streams; those that are open then are read to their end.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A stream that is not over after so many seconds has failed.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Process whose CPU, with its children, is divided by the streams and their events.
    #[arg(long)]
    pid: Option<u32>,
    #[command(flatten)]
    output: Output,
}

impl Streams {
    pub(crate) fn run(self) -> Result<()> {
        ensure!((1..=MAX_LANES).contains(&self.streams), "--streams: 1 to {MAX_LANES}");
        ensure!((1..=MAX_SECONDS).contains(&self.seconds), "--seconds: 1 to {MAX_SECONDS}");
        ensure!((1..=64).contains(&self.threads), "--threads: 1 to 64");
        let load = Load {
            template: self.request.template()?,
            lanes: self.streams,
            http2: None,
            duration: Duration::from_secs(self.seconds),
            expected: Expected { stream: true, words: Some(self.chunks) },
            timeout: Duration::from_secs(self.timeout),
            threads: self.threads,
        };
        let watch = self.pid.map(|pid| Watch::start(Pid(pid))).transpose()?;
        let started = Instant::now();
        let tally = load.run()?;
        let cost = watch.map(Watch::stop).transpose()?;
        let elapsed = started.elapsed();
        self.output.tell(&Summary { name: "streams", intended: None, elapsed, tally, cost })
    }
}
