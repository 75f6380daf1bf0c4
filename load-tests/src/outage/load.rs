//! An open loop that runs beside the scenario, and remembers each call.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::calls::{Call, Calls, End};
use super::interrupt;
use super::stage::{MODEL, WORDS, bearer};
use crate::connection::Answer;
use crate::gateway::CLIENT_KEY;
use crate::open::{Schedule, Start};
use crate::tally::Failure;
use crate::template::{Template, chat_body};

/// A call without a whole answer after this has failed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How soon a load notices that it is to stop.
const STEP: Duration = Duration::from_millis(50);

/// What is sent.
#[derive(Debug)]
pub(super) struct Plan {
    /// One after the other.
    pub(super) templates: Vec<Template>,
    /// Calls a second.
    pub(super) rate: u64,
    /// Calls in all.
    pub(super) total: u64,
    /// Of a thousand calls, how many are streams.
    pub(super) stream_permille: u64,
}

impl Plan {
    /// Chat requests of the one project, every other one a stream, for so many seconds.
    pub(super) fn usual(gateway: SocketAddr, rate: u64, seconds: u64) -> Result<Self> {
        let templates = vec![template(gateway, MODEL, CLIENT_KEY, &[])?];
        Ok(Self { templates, rate, total: rate * seconds, stream_permille: 500 })
    }
}

/// A chat request with this key.
pub(super) fn template(
    gateway: SocketAddr,
    model: &str,
    key: &str,
    headers: &[(&str, &str)],
) -> Result<Template> {
    let mut all = vec![("authorization".to_owned(), bearer(key))];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Template::new(&format!("http://{gateway}/v1/chat/completions"), all, chat_body(model, 200))
}

/// A load that is running. Dropping it stops it where it is.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Vec<Call>>>>,
    /// When its first call was due, to the time that a thread takes to start.
    pub(super) began: Instant,
}

impl Load {
    pub(super) fn start(plan: Plan) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let began = Instant::now();
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || run(plan, &told))?;
        Ok(Self { stop, thread: Some(thread), began })
    }

    /// Sends no more, and forgets what is under way.
    pub(super) fn stop(self) -> Result<Calls> {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits for the last answer.
    pub(super) fn finish(mut self) -> Result<Calls> {
        let Some(thread) = self.thread.take() else { bail!("a load ends once") };
        let calls = thread.join().map_err(|_| anyhow!("the load's thread panicked"))??;
        if interrupt::is_asked() {
            bail!("interrupted");
        }
        Ok(Calls::new(calls))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(plan: Plan, stop: &AtomicBool) -> Result<Vec<Call>> {
    let Plan { templates, rate, total, stream_permille } = plan;
    let schedule = Schedule {
        templates,
        rate,
        total,
        stream_permille,
        max_in_flight: 8192,
        http2: 0,
        words: Some(WORDS),
        timeout: TIMEOUT,
    };
    let calls = Rc::new(RefCell::new(Vec::new()));
    let all = calls.clone();
    let stopped = async {
        while !stop.load(Ordering::Relaxed) && !interrupt::is_asked() {
            tokio::time::sleep(STEP).await;
        }
    };
    schedule.run(move |start, answer| all.borrow_mut().push(call(start, answer)), stopped)?;
    Ok(calls.take())
}

fn call(start: Start, answer: Answer) -> Call {
    let end = match answer.done {
        Ok(_) => End::Good,
        // The body of a refusal is no content.
        Err(failure @ Failure::Status(_)) => End::Before(failure),
        Err(failure) if answer.had_content => End::After(failure),
        Err(failure) => End::Before(failure),
    };
    Call {
        number: start.number,
        due: start.at,
        first: answer.times.first,
        end,
        status: answer.way.status,
        upstream: answer.way.upstream,
        attempts: answer.way.attempts,
    }
}
