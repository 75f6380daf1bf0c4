//! Open loop: requests start on a schedule, whatever has become of the earlier ones.
//!
//! Latency counts from the scheduled start. A request that finds every lane busy waits for one, and
//! that wait is part of its latency: a server that stalls cannot make the load wait for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use crate::check::Expected;
use crate::connection::{Answer, Ask, Lane, connect_http2};
use crate::process::{Pid, Watch};
use crate::report::{Output, Summary};
use crate::tally::Tally;
use crate::template::{RequestOptions, Template};

/// The most requests of one run.
const MAX_REQUESTS: u64 = 20_000_000;

/// Options of `steady`.
#[derive(clap::Args, Debug)]
pub(crate) struct Steady {
    #[command(flatten)]
    request: RequestOptions,
    /// Requests a second.
    #[arg(long)]
    rate: u64,
    /// How long to start requests.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Of a thousand requests, how many ask for a stream; they are spread evenly.
    #[arg(long, default_value_t = 0)]
    stream_permille: u64,
    /// Requests in flight at most; more wait, and their wait counts.
    #[arg(long, default_value_t = 4096)]
    max_in_flight: usize,
    /// Send over so many HTTP/2 connections, shared by all requests in flight.
    #[arg(long, value_name = "CONNECTIONS")]
    http2: Option<usize>,
    /// Words that each answer of a simulator must hold.
    #[arg(long)]
    expect_words: Option<u32>,
    /// A request without a whole answer after so many seconds has failed.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Process whose CPU, with its children, is divided by the requests.
    #[arg(long)]
    pid: Option<u32>,
    #[command(flatten)]
    output: Output,
}

impl Steady {
    pub(crate) fn run(self) -> Result<()> {
        let total = self.rate.saturating_mul(self.seconds);
        ensure!((1..=MAX_REQUESTS).contains(&total), "--rate times --seconds: 1 to {MAX_REQUESTS}");
        ensure!(self.stream_permille <= 1000, "--stream-permille: 0 to 1000");
        ensure!((1..=20_000).contains(&self.max_in_flight), "--max-in-flight: 1 to 20000");
        let schedule = Schedule {
            templates: vec![self.request.template()?],
            rate: self.rate,
            total,
            stream_permille: self.stream_permille,
            max_in_flight: self.max_in_flight,
            http2: self.http2.unwrap_or(0),
            words: self.expect_words,
            timeout: Duration::from_secs(self.timeout),
        };
        let watch = self.pid.map(|pid| Watch::start(Pid(pid))).transpose()?;
        let started = Instant::now();
        let tally = schedule.tally()?;
        let cost = watch.map(Watch::stop).transpose()?;
        let elapsed = started.elapsed();
        self.output.tell(&Summary { name: "steady", intended: Some(total), elapsed, tally, cost })
    }
}

/// An open loop.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// What is sent, one after the other; all to the address of the first.
    pub(crate) templates: Vec<Template>,
    pub(crate) rate: u64,
    pub(crate) total: u64,
    pub(crate) stream_permille: u64,
    pub(crate) max_in_flight: usize,
    pub(crate) http2: usize,
    pub(crate) words: Option<u32>,
    pub(crate) timeout: Duration,
}

impl Schedule {
    /// Sends all and adds up the answers.
    pub(crate) fn tally(self) -> Result<Tally> {
        let tally = Rc::new(RefCell::new(Tally::default()));
        let all = tally.clone();
        self.run(move |_, answer| all.borrow_mut().take(&answer), std::future::pending())?;
        Ok(tally.take())
    }

    /// Sends all, and gives each answer to `sink` as it ends. When `stopped` is done, what is under way
    /// is dropped, and nothing more is sent.
    pub(crate) fn run(
        self,
        sink: impl Fn(Start, Answer) + 'static,
        stopped: impl Future<Output = ()>,
    ) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let mut shared = Vec::new();
            for _ in 0..self.http2 {
                shared.push(connect_http2(self.templates[0].addr).await?);
            }
            let idle = (0..self.max_in_flight)
                .map(|lane| match shared.len() {
                    0 => Lane::Http1(None),
                    count => Lane::Http2(shared[lane % count].clone()),
                })
                .collect();
            let (rate, total) = (self.rate, self.total);
            let mut due = pace(rate, total)?;
            let state = Rc::new(State {
                schedule: self,
                lanes: RefCell::new(Lanes { idle, waiting: VecDeque::new() }),
            });
            let sink = Rc::new(sink);
            let all = async {
                let mut running = JoinSet::new();
                while let Some(start) = due.recv().await {
                    if let Some(lane) = state.lane_for(start) {
                        running.spawn_local(run_lane(state.clone(), lane, start, sink.clone()));
                    }
                    while running.try_join_next().transpose()?.is_some() {}
                }
                while let Some(lane) = running.join_next().await {
                    lane?;
                }
                Ok(())
            };
            tokio::select! {
                done = all => done,
                () = stopped => Ok(()),
            }
        })
    }
}

/// The scheduled start of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

/// Tells each start when it is due, from a thread of its own: tokio's timer has steps of a
/// millisecond, a sleeping thread wakes within some tens of microseconds. The queue holds at most
/// all requests of the run.
fn pace(rate: u64, total: u64) -> Result<mpsc::UnboundedReceiver<Start>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("pace".to_owned()).spawn(move || {
        let began = Instant::now();
        for number in 0..total {
            let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate);
            let at = began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send(Start { number, at }).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    lanes: RefCell<Lanes>,
}

#[derive(Debug)]
struct Lanes {
    /// Used last, taken first: a low rate keeps to few connections.
    idle: Vec<Lane>,
    waiting: VecDeque<Start>,
}

impl State {
    /// An idle lane for a request that is due; without one the request waits.
    fn lane_for(&self, start: Start) -> Option<Lane> {
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.idle.pop();
        if lane.is_none() {
            lanes.waiting.push_back(start);
        }
        lane
    }

    /// The next waiting request for a lane that is free; without one the lane rests.
    fn next_for(&self, lane: Lane) -> Option<(Lane, Start)> {
        let mut lanes = self.lanes.borrow_mut();
        match lanes.waiting.pop_front() {
            Some(start) => Some((lane, start)),
            None => {
                lanes.idle.push(lane);
                None
            }
        }
    }

    fn ask(&self, start: Start) -> Ask {
        let share = self.schedule.stream_permille;
        let stream = (start.number + 1) * share / 1000 != start.number * share / 1000;
        Ask {
            number: start.number,
            intended: start.at,
            expected: Expected { stream, words: self.schedule.words },
            timeout: self.schedule.timeout,
        }
    }
}

async fn run_lane(state: Rc<State>, mut lane: Lane, mut start: Start, sink: Rc<impl Fn(Start, Answer)>) {
    let templates = &state.schedule.templates;
    loop {
        let template = &templates[(start.number % templates.len() as u64) as usize];
        sink(start, lane.ask(template, state.ask(start)).await);
        match state.next_for(lane) {
            Some(next) => (lane, start) = next,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_simulator::{Options, Script, Simulator};

    use super::*;
    use crate::template::chat_body;

    #[test]
    fn a_stall_is_charged_to_every_request_that_it_kept_waiting() {
        let simulator = Simulator::spawn_thread(Options::default()).expect("a free port");
        simulator.script(Script::usual().after(Duration::from_millis(300)));
        let url = format!("{}/v1/chat/completions", simulator.base_url());
        let schedule = Schedule {
            templates: vec![Template::new(&url, Vec::new(), chat_body("m", 100)).expect("a template")],
            rate: 100,
            total: 20,
            stream_permille: 500,
            max_in_flight: 1,
            http2: 0,
            words: Some(20),
            timeout: Duration::from_secs(60),
        };
        let tally = schedule.tally().expect("a run");
        assert_eq!((tally.good, tally.failed()), (20, 0));
        // The last one is due 190 ms after the first, which is answered after 300 ms at the earliest.
        assert!(tally.quantile(1) >= 110_000, "the fastest took {} us", tally.quantile(1));
        // The client may see the last byte of an answer before the provider has booked it.
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(simulator.book().wait_for_ended(20));
        assert_eq!(simulator.book().totals().whole, 20);
    }
}
