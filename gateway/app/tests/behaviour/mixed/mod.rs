//! A mixed load of every kind of call and every way a call can end, over two simulated regions that
//! keep books with their own price lists.

pub(crate) mod scenario;
mod tariff;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::{sync::oneshot, task::JoinSet};
use tollgate_simulator::{Keep, Options, Simulator};
use tollgate_test_support::{Caller, ConfigText, Gateway, Streaming};

use self::scenario::{Api, Fate, Scenario};
use crate::stage::{PATIENCE, TOLLGATE, text};

/// Keys of four projects in two teams; a call's number says whose it is.
pub(crate) const KEYS: [&str; 4] =
    [ConfigText::KEY, "key-of-retail-assistant", "key-of-support-desk-a", "key-of-support-desk-b"];

/// Far more than any load here spends: only counted, so that what was spent can be read.
const BUDGET: &str = "{ amount: \"1000000000\", period: total, mode: observe }";

/// A provider that is silent this long has failed. Long for a test: a busy machine is no fault.
const SILENCE: &str = "{ ttft: 4s, byte_idle: 4s }";

/// A gateway between two regions that follow the scenarios.
pub(crate) struct Mixed {
    pub(crate) gateway: Gateway,
    pub(crate) regions: [Simulator; 2],
    arrivals: Arc<Arrivals>,
}

/// How a call ended, as its client saw it.
pub(crate) struct Ended {
    pub(crate) number: u64,
    /// The client has every byte of a good answer.
    pub(crate) whole: bool,
    /// The gateway's id, where a head came.
    pub(crate) id: String,
    /// The cost that the answer's head told.
    pub(crate) cost: Option<String>,
    /// No head came, and the client had not left.
    pub(crate) unreachable: bool,
}

/// Who waits for a call to arrive at a provider.
#[derive(Default)]
struct Arrivals(Mutex<HashMap<u64, oneshot::Sender<()>>>);

impl Arrivals {
    fn expect(&self, number: u64) -> oneshot::Receiver<()> {
        let (arrived, arrival) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, arrived);
        arrival
    }

    fn tell(&self, number: u64) {
        if let Some(waiting) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
            // Nobody may wait any more: an answer can be faster.
            let _ = waiting.send(());
        }
    }
}

impl Mixed {
    /// Starts all three; books keep what `keep` says of each call.
    pub(crate) fn start(keep: Keep) -> Result<Self> {
        let arrivals = Arc::new(Arrivals::default());
        let regions = [region("east", keep, &arrivals)?, region("west", keep, &arrivals)?];
        let config = config(&regions);
        let gateway = Gateway::launch(config.launch(TOLLGATE))?;
        Ok(Self { gateway, regions, arrivals })
    }

    /// Makes the calls of these numbers with so many clients at a time.
    pub(crate) async fn run(&self, numbers: std::ops::Range<u64>, clients: usize) -> Vec<Ended> {
        let next = Arc::new(AtomicU64::new(numbers.start));
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (next, end) = (Arc::clone(&next), numbers.end);
            let (caller, arrivals) = (self.caller(), Arc::clone(&self.arrivals));
            running.spawn(async move {
                let mut ended = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return ended;
                    }
                    ended.push(make(&caller, &arrivals, number).await);
                }
            });
        }
        running.join_all().await.into_iter().flatten().collect()
    }

    /// Makes the calls of these numbers at a rate, whether answers come or not.
    pub(crate) fn run_open(&self, numbers: std::ops::Range<u64>, per_second: u32) -> OpenLoad {
        let mut running = JoinSet::new();
        let (caller, arrivals) = (self.caller(), Arc::clone(&self.arrivals));
        let started = Instant::now();
        for (place, number) in numbers.enumerate() {
            let due =
                started + Duration::from_secs(1) * u32::try_from(place).unwrap_or(u32::MAX) / per_second;
            let (caller, arrivals) = (caller.clone(), Arc::clone(&arrivals));
            running.spawn(async move {
                tokio::time::sleep_until(due.into()).await;
                make(&caller, &arrivals, number).await
            });
        }
        OpenLoad(running)
    }

    /// Waits until every call has ended at its provider and the ledger has all rows of `requests`.
    pub(crate) async fn settle(&self, requests: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE + Duration::from_millis(requests / 10);
        loop {
            let at_rest = self.regions.iter().all(|region| {
                let totals = region.book().totals();
                totals.calls == totals.ended
            });
            let total = &self.gateway.admin().usage("").await?["total"];
            let rows = total["requests"].as_u64().unwrap_or(0) + total["refusals"].as_u64().unwrap_or(0);
            if at_rest && rows >= requests {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{rows} of {requests} rows; providers at rest: {at_rest}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the gateway in order and audits what it left.
    pub(crate) async fn close(&mut self) -> Result<()> {
        self.gateway.terminate()?;
        let status = self.gateway.ended(PATIENCE * 4).await?;
        ensure!(status.success(), "the gateway ended with {status}; its log:\n{}", self.gateway.log());
        self.verify()
    }

    /// `tollgate verify`, which must find no difference.
    pub(crate) fn verify(&self) -> Result<()> {
        let output = self.gateway.command(&["verify", "--dir", "data"])?;
        ensure!(output.status.success(), "verify: {}{}", text(&output.stdout), text(&output.stderr));
        Ok(())
    }

    fn caller(&self) -> Caller {
        self.gateway.caller(KEYS[0])
    }
}

/// Calls that are being made at a rate.
pub(crate) struct OpenLoad(JoinSet<Ended>);

impl OpenLoad {
    /// Waits for all calls that have begun and makes no more.
    pub(crate) async fn all(self) -> Vec<Ended> {
        self.0.join_all().await
    }
}

async fn make(caller: &Caller, arrivals: &Arrivals, number: u64) -> Ended {
    let scenario = Scenario::of(number);
    let caller = caller.with_key(KEYS[(number % 4) as usize]);
    let session = number.to_string();
    let tags = format!("feature=f{}", number % 3);
    let mut headers = vec![("x-tollgate-session", &*session), ("x-tollgate-tags", &tags)];
    if scenario.api == Api::Messages {
        headers.push(("anthropic-version", "2023-06-01"));
    }
    let mut ended = Ended { number, whole: false, id: String::new(), cost: None, unreachable: false };
    let call = caller.stream(scenario.path(), &headers, scenario.body());
    let opened = if matches!(scenario.fate, Fate::LeavesEarly) {
        let arrival = arrivals.expect(number);
        tokio::select! {
            opened = call => opened,
            // Dropping the call is the client's leaving.
            Ok(()) = arrival => return ended,
        }
    } else {
        call.await
    };
    let Ok(mut opened) = opened else { return Ended { unreachable: true, ..ended } };
    let header = |name| opened.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    ended.id = header("x-request-id").unwrap_or_default();
    ended.cost = header("x-tollgate-cost");
    if let Fate::Leaves(words) = scenario.fate
        && opened.status.is_success()
    {
        // However it goes, the client is gone now.
        let _ = read_words(&mut opened, words as usize).await;
        return ended;
    }
    if let Ok(reply) = opened.rest().await {
        let complete = !scenario.stream || reply.is_complete_stream();
        ended.whole = reply.status.is_success() && reply.broken.is_none() && complete;
    }
    ended
}

/// Reads a stream until so many words have come.
async fn read_words(stream: &mut Streaming, words: usize) -> Result<()> {
    const WORD: [&[u8]; 3] =
        [b"\"delta\":{\"content\":", b"\"type\":\"text_delta\"", b"\"type\":\"response.output_text.delta\""];
    let mut came = Vec::new();
    while WORD.iter().map(|mark| memchr::memmem::find_iter(&came, mark).count()).sum::<usize>() < words {
        let Some(chunk) = stream.chunk().await? else { break };
        came.extend_from_slice(&chunk);
    }
    Ok(())
}

fn region(name: &'static str, keep: Keep, arrivals: &Arc<Arrivals>) -> Result<Simulator> {
    let arrivals = Arc::clone(arrivals);
    let preferred = name == "east";
    let options = Options {
        name: name.to_owned(),
        keep,
        credential: Some(ConfigText::UPSTREAM_KEY.to_owned()),
        tariff: Some(tariff::of_region(name)),
        decide: Some(Arc::new(move |incoming| {
            let scenario = Scenario::received(&incoming.body)?;
            if matches!(scenario.fate, Fate::LeavesEarly) {
                arrivals.tell(scenario.number);
            }
            Some(scenario.script(preferred))
        })),
        ..Options::default()
    };
    Ok(Simulator::spawn_thread(options)?)
}

fn config(regions: &[Simulator; 2]) -> ConfigText {
    let mut config = ConfigText::two_regions(regions[0].addr(), regions[1].addr());
    config.head.push_str("\nshutdown: { delay: 100ms }");
    config.upstreams = config.upstreams.replace("credential:", &format!("timeouts: {SILENCE}, credential:"));
    config.models.push_str(
        "  - { name: house-model, targets: [{ upstream: openai-east, model: house-model, priority: 1 }, \
         { upstream: openai-west, model: house-model, priority: 2 }] }\n",
    );
    let project = |name: &str, keys: &[&str]| {
        let keys: Vec<String> =
            keys.iter().enumerate().map(|(n, key)| format!("{{ name: k{n}, secret: {key} }}")).collect();
        format!(
            "      - {{ name: {name}, models: [gpt-5-mini, azure-gpt-5-mini, text-embedding-3-small, \
             claude-sonnet-4-6, house-model], request_tags: [feature], budget: {BUDGET}, keys: [{}] }}\n",
            keys.join(", ")
        )
    };
    config.teams = format!(
        "teams:\n  - name: retail\n    budget: {BUDGET}\n    projects:\n{}{}  - name: support\n    \
         budget: {BUDGET}\n    projects:\n{}",
        project("search", &KEYS[..1]),
        project("assistant", &KEYS[1..2]),
        project("desk", &KEYS[2..]),
    );
    config.prices = tariff::PRICES.to_owned();
    config
}
