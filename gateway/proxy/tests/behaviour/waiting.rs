//! Waiting for a slot of an upstream that has as many requests in flight as it may.

use std::time::Duration;

use tollgate_accounting::ledger::{End, Kind};
use tollgate_proxy::{Crowd, OperatorState, Priority, Timeouts};

use crate::harness::{
    Ask, ByHand, Gateway, Setup, TargetSetup, client::Connection, gateway::word, ledger::outcomes, nobody,
    until, upstream::Call,
};

const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

/// Longer than any test takes: nobody waits in vain by accident.
const FOR_GOOD: Duration = Duration::from_secs(3_600);

fn bounded(upstream: &ByHand, slots: u32) -> TargetSetup {
    TargetSetup { max_concurrency: Some(slots), ..TargetSetup::at(upstream.address()) }
}

fn setup(targets: Vec<TargetSetup>) -> Setup {
    let mut setup = Setup::new(targets);
    setup.edge.longest_wait = FOR_GOOD;
    setup
}

/// Waits until so many wait at the upstream.
async fn waiting(gateway: &Gateway, upstream: &ByHand, many: u32) {
    let name = format!("up-{}", upstream.address().port());
    let live = gateway.live.fleet.upstream(&name.as_str().into());
    until("the line", || live.waiting() == many).await;
}

/// A call that tells who makes it.
fn by(who: &str) -> Ask {
    let body = format!(r#"{{"model":"chat","user":"{who}","messages":[{{"role":"user","content":"Hi."}}]}}"#);
    Ask::chat().body(body)
}

/// Who makes a call that has come to its provider.
fn who(call: &Call) -> String {
    let body: serde_json::Value = serde_json::from_slice(call.request().2).expect("JSON");
    body["user"].as_str().expect("a name").to_owned()
}

async fn finish(call: Call, client: Connection) {
    call.send_last_plain(PLAIN).await;
    assert_eq!(client.head().await.finish().await.status, 200);
}

#[tokio::test]
async fn who_finds_all_slots_taken_gets_the_next_one() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(vec![bounded(&upstream, 1)]));
    let (first, client) = gateway.held_up(&by("first"), &upstream).await;
    let second = gateway.begin(&by("second")).await;
    waiting(&gateway, &upstream, 1).await;
    finish(first, client).await;
    let call = upstream.accept().await;
    assert_eq!(who(&call), "second");
    waiting(&gateway, &upstream, 0).await;
    finish(call, second).await;
    let ledger = gateway.stop().await;
    assert!(ledger.rows.iter().all(|row| outcomes(row).last() == Some(&"ok")));
}

#[tokio::test]
async fn who_waited_while_an_operator_drained_the_upstream_is_not_sent_there() {
    let upstream = ByHand::listen().await;
    let target = bounded(&upstream, 1);
    let name = target.name.clone();
    let gateway = Gateway::start(setup(vec![target]));
    let (first, client) = gateway.held_up(&by("first"), &upstream).await;
    let second = gateway.begin(&by("second")).await;
    waiting(&gateway, &upstream, 1).await;
    gateway.live.fleet.upstream(&name.as_str().into()).operator.set(Some(word(OperatorState::Draining)));
    finish(first, client).await;
    assert_eq!(second.head().await.finish().await.status, 503);
    let ledger = gateway.stop().await;
    let second = ledger.rows.iter().find(|row| row.end_user.as_deref() == Some("second")).expect("a row");
    assert_eq!((second.end, second.attempts.len()), (Some(End::UpstreamFailed), 0));
}

#[tokio::test]
async fn a_client_that_leaves_the_line_leaves_nothing_behind() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(vec![bounded(&upstream, 1)]));
    let (first, client) = gateway.held_up(&by("first"), &upstream).await;
    let gone = gateway.begin(&by("gone")).await;
    waiting(&gateway, &upstream, 1).await;
    drop(gone);
    waiting(&gateway, &upstream, 0).await;
    until("its settlement", || gateway.live.quotas.open_reservations() == 1).await;
    let patient = gateway.begin(&by("patient")).await;
    waiting(&gateway, &upstream, 1).await;
    finish(first, client).await;
    let call = upstream.accept().await;
    assert_eq!(who(&call), "patient");
    finish(call, patient).await;
    let ledger = gateway.stop().await;
    let gone = ledger.rows.iter().find(|row| row.end_user.as_deref() == Some("gone")).expect("a row");
    assert_eq!((gone.end, gone.attempts.len()), (Some(End::ClientAbort), 0));
    assert_eq!(gone.cost.map(|cost| cost.pico()), Some(0), "nothing was asked of the provider");
}

#[tokio::test]
async fn who_waits_in_vain_is_told_when_to_come_back() {
    let upstream = ByHand::listen().await;
    let mut setup = setup(vec![bounded(&upstream, 1)]);
    setup.edge.longest_wait = Duration::from_millis(1);
    let gateway = Gateway::start(setup);
    let (first, client) = gateway.held_up(&by("first"), &upstream).await;
    let answer = gateway.send(&by("second")).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "upstream_saturated"));
    let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..=5).contains(&wait), "{wait}");
    finish(first, client).await;
    let ledger = gateway.stop().await;
    let refused = ledger.rows.iter().find(|row| row.status == 503).expect("a row");
    assert_eq!((refused.kind, refused.end), (Kind::Usage, Some(End::UpstreamFailed)));
    assert_eq!(refused.cost.map(|cost| cost.pico()), Some(0));
}

#[tokio::test]
async fn the_line_is_bounded() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(setup(vec![bounded(&upstream, 1)]));
    let (first, client) = gateway.held_up(&by("first"), &upstream).await;
    let mut line = Vec::new();
    for place in ["second", "third"] {
        line.push(gateway.begin(&by(place)).await);
        waiting(&gateway, &upstream, line.len() as u32).await;
    }
    let answer = gateway.send(&by("fourth")).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "upstream_saturated"));
    waiting(&gateway, &upstream, 2).await;
    finish(first, client).await;
    // More than half of the line is taken, and so the last who came is the first.
    for place in ["third", "second"] {
        let call = upstream.accept().await;
        assert_eq!(who(&call), place);
        finish(call, line.pop().expect("somebody in the line")).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn who_has_no_time_to_use_a_slot_does_not_wait_for_it() {
    let upstream = ByHand::listen().await;
    let short = Timeouts { total: Duration::from_secs(1), ..Timeouts::default() };
    let gateway = Gateway::start(setup(vec![bounded(&upstream, 1)]).with_timeouts(short));
    let (call, open) = gateway.stream_that_says("one", &upstream).await;
    let answer = gateway.send(&by("late")).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "upstream_saturated"));
    drop(call);
    open.finish().await;
    gateway.stop().await;
}

#[tokio::test]
async fn after_a_target_has_died_the_other_gets_all_and_never_more_than_its_limit() {
    const SLOTS: usize = 4;
    let (dead, _kept) = nobody();
    let other = ByHand::listen().await;
    let gateway = Gateway::start(setup(vec![TargetSetup::at(dead), bounded(&other, SLOTS as u32)]));
    let live = gateway.live.fleet.upstream(&format!("up-{}", other.address().port()).as_str().into());
    let mut clients = Vec::new();
    for number in 0..3 * SLOTS {
        clients.push((number.to_string(), gateway.begin(&by(&number.to_string())).await));
    }
    let mut calls = Vec::new();
    for _ in 0..SLOTS {
        calls.push(other.accept().await);
    }
    waiting(&gateway, &other, 2 * SLOTS as u32).await;
    for left in (0..3 * SLOTS).rev() {
        let in_flight = live.in_flight.load(std::sync::atomic::Ordering::Relaxed) as usize;
        assert!(in_flight <= SLOTS, "{in_flight}");
        let call = calls.remove(0);
        let caller = who(&call);
        let at = clients.iter().position(|(name, _)| *name == caller).expect("its client");
        finish(call, clients.remove(at).1).await;
        if left >= SLOTS {
            calls.push(other.accept().await);
        }
    }
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.len(), 3 * SLOTS);
    assert!(ledger.rows.iter().all(|row| row.end == Some(End::Completed)));
}

#[tokio::test]
async fn at_a_full_target_a_quiet_project_goes_before_more_of_a_noisy_one() {
    let upstream = ByHand::listen().await;
    let key = |project: &str| (format!("key-of-{project}"), project.to_owned(), Priority::Standard);
    let gateway = Gateway::start(Setup {
        keys: ["noisy", "quiet"].map(key).into(),
        crowd: Crowd { interactive: false, several: true },
        ..setup(vec![bounded(&upstream, 10)])
    });
    let ask = |project: &str| by(project).with("authorization", format!("Bearer key-of-{project}"));
    let mut noisy = Vec::new();
    for _ in 0..9 {
        noisy.push(gateway.held_up(&ask("noisy"), &upstream).await);
    }
    // The tenth slot is spare.
    let patient = gateway.begin(&ask("noisy")).await;
    waiting(&gateway, &upstream, 1).await;
    let quiet = gateway.held_up(&ask("quiet"), &upstream).await;
    let second = gateway.begin(&ask("quiet")).await;
    waiting(&gateway, &upstream, 2).await;
    let (call, client) = noisy.pop().expect("one of nine");
    finish(call, client).await;
    let call = upstream.accept().await;
    assert_eq!(who(&call), "quiet", "it came last and has least");
    finish(call, second).await;
    finish(quiet.0, quiet.1).await;
    let call = upstream.accept().await;
    assert_eq!(who(&call), "noisy");
    finish(call, patient).await;
    for (call, client) in noisy {
        finish(call, client).await;
    }
    gateway.stop().await;
}
