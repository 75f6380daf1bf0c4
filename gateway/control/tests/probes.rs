//! Upstreams that tell nothing by themselves are looked at, and what passes lets a request try.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tollgate_accounting::{
    ledger::{Entry, Kind, UsageGroup},
    quota::{Calendar, Quotas},
};
use tollgate_control::{
    config::{self, Document, Sources},
    probes::{Prober, watch},
};
use tollgate_domain::{Money, UnixMillis};
use tollgate_proxy::{BreakerState, Defect, Entered, Live, Sample, Snapshot, Target, Way};
use tollgate_simulator::{Options, Refusal, Script, Simulator};

const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);

const PRICES: &str = "\
prices:
  - { model: simulated-model, from: 2025-01-01, currency: USD, input: \"2\", output: \"10\" }
";

/// A configuration with one upstream there, and its snapshot.
fn snapshot(base_url: &str, probes: &str) -> Arc<Snapshot> {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("prices.yaml"), PRICES).expect("a file");
    let text = format!(
        "\
prices: [prices.yaml]
regions:
  - {{ name: here, zone: eu }}
upstreams:
  - {{ name: up, dialect: openai, region: here, allow_private: true, credential: \"${{env:KEY}}\", base_url: \"{base_url}\", probes: {probes} }}
models:
  - name: m
    targets:
      - {{ upstream: up, model: simulated-model }}
"
    );
    std::fs::write(folder.path().join("main.yaml"), text).expect("a file");
    let key = ("KEY".to_owned(), "sk-upstream-secret-0123456789".to_owned());
    let sources = Sources::fixed(folder.path(), vec![key]);
    let document = Document::load("main.yaml".as_ref(), &sources).expect("a good configuration");
    let live = Live::new(Quotas::new(Calendar::utc(), "USD".into()));
    config::compile(&document, 1, [0; 32], &[], &live).expect("a good configuration").snapshot
}

fn target(snapshot: &Snapshot) -> Arc<Target> {
    Arc::clone(snapshot.targets().next().expect("one target"))
}

/// Opens its breaker for a minute and longer, so that time alone changes nothing here.
fn open(target: &Target) {
    target.live.breaker(|breaker| {
        let mut now = Instant::now();
        for _ in 0..5 {
            breaker.sample(Sample::Fault, Entered::Freely, 0, now);
        }
        for seconds in [1, 2, 4, 8, 16, 32] {
            now += Duration::from_secs(seconds);
            breaker.enter(Way::Usual, now);
            breaker.sample(Sample::Fault, Entered::OnTrial, 0, now);
        }
    });
}

/// Looks until it is so, and gives the rows of the looks.
async fn looks_until(snapshot: &Arc<Snapshot>, is_so: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
    let rows: Rc<RefCell<Vec<Entry>>> = Rc::default();
    let prober = Prober {
        snapshot: || Arc::clone(snapshot),
        record: |row| rows.borrow_mut().push(row),
        organization: "acme".into(),
        instance: "test".into(),
        clock: || NOW,
        seed: 7,
    };
    let looking = watch(prober, || !is_so(&rows.borrow()));
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it becomes so");
    rows.take()
}

#[tokio::test]
async fn two_looks_that_pass_end_a_hold_for_a_credential_and_cost_nothing() {
    let provider = Simulator::start(Options::default()).await.expect("a free port");
    let snapshot = snapshot(&format!("http://{}/v1", provider.addr()), "{ enabled: true, open: 100ms }");
    let target = target(&snapshot);
    target.live.hold.defective(Defect::Credential, Duration::from_secs(300), Instant::now());
    let rows = looks_until(&snapshot, |_| !target.live.hold.is_defect()).await;
    assert_eq!(rows.len(), 2);
    let mut usage = UsageGroup::empty(Vec::new(), "USD".into());
    for row in &rows {
        assert_eq!((row.kind, row.status, row.cost), (Kind::Probe, 200, Some(Money::ZERO)));
        assert_eq!(
            (&*row.operation, row.place.as_ref().map(|place| place.upstream.as_str())),
            ("list_models", Some("up"))
        );
        usage.count(row);
    }
    assert_eq!(usage.requests, 0, "what the gateway asks by itself is nobody's request");
    assert_eq!(provider.book().totals().calls, 0, "no completion is paid for");
}

#[tokio::test]
async fn a_look_that_asks_a_model_is_charged_at_its_price_and_is_no_request() {
    let provider = Simulator::start(Options::default()).await.expect("a free port");
    let probes = "{ enabled: true, open: 100ms, timeout: 10s, generate: simulated-model }";
    let snapshot = snapshot(&format!("http://{}/v1", provider.addr()), probes);
    let target = target(&snapshot);
    open(&target);
    target.live.hold.defective(Defect::Credential, Duration::from_secs(300), Instant::now());
    let rows = looks_until(&snapshot, |_| !target.live.hold.is_defect()).await;
    assert_eq!(target.live.breaker(|breaker| breaker.state(Instant::now())), BreakerState::HalfOpen);
    let totals = provider.book().totals();
    assert_eq!((rows.len() as u64, totals.calls), (2, 2));
    let mut usage = UsageGroup::empty(Vec::new(), "USD".into());
    for row in &rows {
        assert_eq!((row.kind, row.status, &*row.operation), (Kind::Probe, 200, "chat_completions"));
        assert!((1..=16).contains(&row.usage.output_tokens()), "{:?}", row.usage);
        let millionths = row.usage.input_tokens() * 2 + row.usage.output_tokens() * 10;
        assert_eq!(row.cost, Some(Money::from_pico(i128::from(millionths) * 1_000_000)));
        assert_eq!(row.meters.iter().map(|meter| meter.cost).sum::<Money>(), row.cost.unwrap_or_default());
        usage.count(row);
    }
    assert_eq!((usage.requests, usage.output_tokens), (0, totals.told.output_tokens));
}

#[tokio::test]
async fn a_model_that_does_not_answer_keeps_its_upstream_left_alone_though_it_can_be_reached() {
    let provider = Simulator::start(Options::default()).await.expect("a free port");
    provider.always(Some(Script::refusal(Refusal::ServerError)));
    let probes = "{ enabled: true, open: 100ms, timeout: 10s, generate: simulated-model }";
    let snapshot = snapshot(&format!("http://{}/v1", provider.addr()), probes);
    let target = target(&snapshot);
    open(&target);
    let rows = looks_until(&snapshot, |rows| rows.len() >= 3).await;
    assert_eq!(target.live.breaker(|breaker| breaker.state(Instant::now())), BreakerState::Open);
    for row in &rows {
        assert_eq!(
            (row.status, row.error_code.as_deref(), row.cost),
            (500, Some("error"), Some(Money::ZERO))
        );
    }
}

#[tokio::test]
async fn looks_let_a_request_try_and_never_close_a_breaker() {
    let provider = Simulator::start(Options::default()).await.expect("a free port");
    let snapshot = snapshot(&format!("http://{}/v1", provider.addr()), "{ enabled: true, open: 100ms }");
    let target = target(&snapshot);
    open(&target);
    let state = || target.live.breaker(|breaker| breaker.state(Instant::now()));
    assert_eq!(state(), BreakerState::Open);
    looks_until(&snapshot, |_| state() == BreakerState::HalfOpen).await;
    let begin = Instant::now();
    looks_until(&snapshot, |_| begin.elapsed() > Duration::from_millis(1_000)).await;
    assert_eq!(state(), BreakerState::HalfOpen, "only requests close it");
}

#[tokio::test]
async fn a_dead_upstream_is_found_dead_and_stays_left_alone() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gone.local_addr().expect("a bound socket");
    drop(gone);
    let snapshot = snapshot(&format!("http://{address}/v1"), "{ enabled: true, open: 100ms }");
    let target = target(&snapshot);
    target.live.hold.defective(Defect::Credential, Duration::from_secs(300), Instant::now());
    let rows = looks_until(&snapshot, |rows| rows.len() >= 3).await;
    assert!(rows.iter().all(|row| row.error_code.as_deref() == Some("connect")), "{rows:?}");
    assert!(target.live.hold.is_defect());
}

#[tokio::test]
async fn an_idle_upstream_is_looked_at_and_one_in_use_or_switched_off_is_not() {
    let provider = Simulator::start(Options::default()).await.expect("a free port");
    let address = format!("http://{}/v1", provider.addr());
    let idle = snapshot(&address, "{ enabled: true, idle: 100ms }");
    assert_eq!(looks_until(&idle, |rows| rows.len() >= 2).await.len(), 2);

    let begin = Instant::now();
    let passed = || begin.elapsed() > Duration::from_millis(1_000);
    let in_use = snapshot(&address, "{ enabled: true, idle: 60s, open: 100ms }");
    assert!(looks_until(&in_use, |_| passed()).await.is_empty());
    let off = snapshot(&address, "{ idle: 100ms, open: 100ms }");
    let begin = Instant::now();
    assert!(looks_until(&off, |_| begin.elapsed() > Duration::from_millis(1_000)).await.is_empty());
}
