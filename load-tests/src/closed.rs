//! Closed loop: N lanes, each sends its next request when the last one is answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::{JoinSet, LocalSet};

use crate::check::Expected;
use crate::connection::{Ask, Lane, connect_http2};
use crate::process::{Pid, Watch};
use crate::report::{Output, Summary};
use crate::tally::Tally;
use crate::template::{RequestOptions, Template};

/// The most lanes and seconds of one run.
pub(crate) const MAX_LANES: usize = 20_000;
pub(crate) const MAX_SECONDS: u64 = 3600;

/// Options of `closed`.
#[derive(clap::Args, Debug)]
pub(crate) struct Closed {
    #[command(flatten)]
    request: RequestOptions,
    /// Requests in flight; each has a connection of its own unless `--http2`.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Send over so many HTTP/2 connections, shared by all requests in flight.
    #[arg(long, value_name = "CONNECTIONS")]
    http2: Option<usize>,
    /// How long to send.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Ask for streams.
    #[arg(long)]
    stream: bool,
    /// Words that each answer of a simulator must hold.
    #[arg(long)]
    expect_words: Option<u32>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A request without a whole answer after so many seconds has failed.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Process whose CPU, with its children, is divided by the requests.
    #[arg(long)]
    pid: Option<u32>,
    #[command(flatten)]
    output: Output,
}

impl Closed {
    pub(crate) fn run(self) -> Result<()> {
        ensure!((1..=MAX_LANES).contains(&self.connections), "--connections: 1 to {MAX_LANES}");
        ensure!((1..=MAX_SECONDS).contains(&self.seconds), "--seconds: 1 to {MAX_SECONDS}");
        ensure!((1..=64).contains(&self.threads), "--threads: 1 to 64");
        let load = Load {
            template: self.request.template()?,
            lanes: self.connections,
            http2: self.http2,
            duration: Duration::from_secs(self.seconds),
            expected: Expected { stream: self.stream, words: self.expect_words },
            timeout: Duration::from_secs(self.timeout),
            threads: self.threads,
        };
        let watch = self.pid.map(|pid| Watch::start(Pid(pid))).transpose()?;
        let started = Instant::now();
        let tally = load.run()?;
        let cost = watch.map(Watch::stop).transpose()?;
        self.output.tell(&Summary { name: "closed", intended: None, elapsed: started.elapsed(), tally, cost })
    }
}

/// A closed loop.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) template: Template,
    /// Requests in flight.
    pub(crate) lanes: usize,
    pub(crate) http2: Option<usize>,
    pub(crate) duration: Duration,
    pub(crate) expected: Expected,
    pub(crate) timeout: Duration,
    pub(crate) threads: usize,
}

impl Load {
    /// Sends until the duration is over, and then waits for the answers that are under way.
    pub(crate) fn run(&self) -> Result<Tally> {
        let deadline = Instant::now() + self.duration;
        let threads: Vec<_> = (0..self.threads)
            .map(|thread| {
                let load = Arc::new(self.clone());
                std::thread::spawn(move || load.run_thread(thread, deadline))
            })
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            let tally = thread.join().map_err(|_| anyhow::anyhow!("a generator thread panicked"))??;
            all.merge(&tally);
        }
        Ok(all)
    }

    fn run_thread(self: Arc<Self>, thread: usize, deadline: Instant) -> Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let mut shared = Vec::new();
            for _ in 0..self.http2.unwrap_or(0) {
                shared.push(connect_http2(self.template.addr).await?);
            }
            let tally = Rc::new(RefCell::new(Tally::default()));
            let mut lanes = JoinSet::new();
            for lane in (thread..self.lanes).step_by(self.threads) {
                let connection = match shared.len() {
                    0 => Lane::Http1(None),
                    count => Lane::Http2(shared[lane % count].clone()),
                };
                lanes.spawn_local(run_lane(self.clone(), connection, lane as u64, deadline, tally.clone()));
            }
            while let Some(lane) = lanes.join_next().await {
                lane?;
            }
            Ok(tally.take())
        })
    }
}

async fn run_lane(load: Arc<Load>, mut lane: Lane, index: u64, deadline: Instant, all: Rc<RefCell<Tally>>) {
    let mut tally = Tally::default();
    let mut number = index;
    while Instant::now() < deadline {
        let failed = tally.failed();
        let ask = Ask { number, intended: Instant::now(), expected: load.expected, timeout: load.timeout };
        tally.take(&lane.ask(&load.template, ask).await);
        number += load.lanes as u64;
        if tally.failed() > failed {
            // A server that is down refuses in microseconds; do not turn that into a storm.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    all.borrow_mut().merge(&tally);
}
