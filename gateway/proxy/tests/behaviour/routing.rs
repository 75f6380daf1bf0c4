//! Which target gets a request: by what is known of their health, by the balance of the route, and by what
//! their providers say is left.

use std::time::{Duration, Instant};

use tollgate_accounting::ledger::End;
use tollgate_proxy::{Balance, BreakerState, Defect, Failback, OperatorState};
use tollgate_simulator::{Refusal, Script, Simulator};

use crate::harness::{Ask, ByHand, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};

fn calls<const N: usize>(providers: &[Simulator; N]) -> [u64; N] {
    providers.each_ref().map(|provider| provider.book().totals().calls)
}

async fn providers<const N: usize>() -> [Simulator; N] {
    let mut all = Vec::with_capacity(N);
    for _ in 0..N {
        all.push(provider().await);
    }
    all.try_into().unwrap_or_else(|_| unreachable!("as many as there are"))
}

/// Targets of one level, chosen so.
fn level(providers: &[Simulator], balance: Balance) -> Setup {
    Setup { one_level: true, balance, ..Setup::new(providers) }
}

#[tokio::test]
async fn weights_are_turns() {
    let providers = providers::<2>().await;
    let mut setup = level(&providers, Balance::Weighted);
    setup.targets[0].weight = 3;
    let gateway = Gateway::start(setup);
    for _ in 0..8 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    assert_eq!(calls(&providers), [6, 2]);
    gateway.stop().await;
}

#[tokio::test]
async fn the_requests_of_a_session_go_to_one_target() {
    let providers = providers::<3>().await;
    let gateway = Gateway::start(level(&providers, Balance::Affinity));
    let mut homes = [0; 3];
    for session in 0..12 {
        let before = calls(&providers);
        for _ in 0..4 {
            let ask = Ask::chat().with("x-tollgate-session", format!("session-{session}"));
            assert_eq!(gateway.send(&ask).await.status, 200);
        }
        let after = calls(&providers);
        let home = (0..3).position(|at| after[at] == before[at] + 4);
        homes[home.expect("all four at one of them")] += 1;
    }
    assert!(homes.iter().filter(|count| **count > 0).count() >= 2, "sessions are spread: {homes:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_conversation_that_grows_stays_where_it_began() {
    let providers = providers::<4>().await;
    let gateway = Gateway::start(level(&providers, Balance::Affinity));
    let mut said =
        String::from(r#"{"role":"system","content":"Be kind."},{"role":"user","content":"Hello."}"#);
    for _ in 0..6 {
        let ask = Ask::chat().body(format!(r#"{{"model":"chat","messages":[{said}]}}"#));
        assert_eq!(gateway.send(&ask).await.status, 200);
        said.push_str(r#",{"role":"assistant","content":"Yes?"},{"role":"user","content":"Go on."}"#);
    }
    let mut calls = calls(&providers);
    calls.sort_unstable();
    assert_eq!(calls, [0, 0, 0, 6]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_target_that_breaks_every_stream_is_left_alone() {
    let upstream = ByHand::listen().await;
    let setup = Setup::new([upstream.address()]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    for _ in 0..5 {
        assert_eq!(gateway.view(&name).breaker, BreakerState::Closed);
        let (call, open) = gateway.stream_that_says("one", &upstream).await;
        drop(call);
        assert!(open.finish().await.text().contains("upstream_truncated"));
    }
    assert_eq!(gateway.view(&name).breaker, BreakerState::Open);
    gateway.stop().await;
}

#[tokio::test]
async fn what_overflows_paid_capacity_goes_on_without_a_retry() {
    let [full, other] = [scripted(Script::rate_limited(Duration::from_secs(60))).await, provider().await];
    let mut setup = Setup::new([&full, &other]);
    setup.targets[0].is_provisioned = true;
    let gateway = Gateway::start(setup);
    let group = gateway.live.fleet.group(&"chat".into());
    while group.retries.take(Instant::now() + Duration::from_secs(3_600)) {}
    for attempts in ["2", "1"] {
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (200, attempts));
    }
    assert_eq!(calls(&[full, other]), [1, 2]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_target_that_says_that_nothing_is_left_is_not_asked_until_it_is_whole_again() {
    let (upstream, other) = (ByHand::listen().await, provider().await);
    let gateway = Gateway::start(Setup::new([upstream.address(), other.addr()]));
    let first = gateway.begin(&Ask::chat()).await;
    let body = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[]}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 2m0s\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    upstream.accept().await.send(&head).await;
    assert_eq!(first.head().await.finish().await.status, 200);
    for _ in 0..3 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    assert_eq!(other.book().totals().calls, 3);
    gateway.stop().await;
}

#[tokio::test]
async fn with_manual_failback_a_target_returns_by_an_operators_word() {
    let providers = providers::<2>().await;
    for _ in 0..5 {
        providers[0].script(Script::refusal(Refusal::ServerError));
    }
    let mut setup = Setup::new(&providers);
    setup.targets[0].failback = Failback::Manual;
    let [name, second] = [0, 1].map(|at| setup.targets[at].name.clone());
    let gateway = Gateway::start(setup);
    for _ in 0..5 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    assert_eq!(calls(&providers), [5, 5]);
    let target = gateway.live.fleet.target(&name.as_str().into(), &"gpt-5-mini".into());
    target.breaker(|breaker| breaker.reset());
    assert!(gateway.view(&name).is_away);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert_eq!(calls(&providers), [5, 6], "it is healthy, and waits");
    gateway.operate(&second, OperatorState::Draining);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200, "what nobody else can is served");
    gateway.live.fleet.upstream(&second.as_str().into()).operator.set(None);
    gateway.live.fleet.take_back(|upstream, _, _| upstream.as_str() == name);
    assert!(!gateway.view(&name).is_away);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert_eq!(calls(&providers), [7, 6]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_lock_is_asked_again_first_and_then_another_target() {
    let [locked, other] = providers::<2>().await;
    for _ in 0..2 {
        locked.script(Script::refusal(Refusal::Status(409)));
    }
    let gateway = Gateway::start(Setup::new([&locked, &other]));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::Completed)), ["conflict", "conflict", "ok"]);
    assert_eq!(calls(&[locked, other]), [2, 1]);
}

#[tokio::test]
async fn a_dead_connection_moves_no_request_elsewhere() {
    let providers = providers::<2>().await;
    let gateway = Gateway::start(Setup::new(&providers));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    providers[0].script(Script::refuse());
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert_eq!(providers[1].book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(&ledger.rows[1]), ["unprocessed", "ok"]);
}

#[tokio::test]
async fn targets_that_show_the_same_credential_are_refused_together() {
    let [shared, other] = [scripted(Script::refusal(Refusal::Unauthorized)).await, provider().await];
    let first = TargetSetup { name: "shared".into(), ..TargetSetup::from(&shared) };
    let second =
        TargetSetup { name: "shared".into(), other_model: Some("gpt-5"), ..TargetSetup::from(&shared) };
    let gateway = Gateway::start(Setup::new([first, second, TargetSetup::from(&other)]));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert_eq!(calls(&[shared, other]), [1, 1]);
    gateway.stop().await;
}

#[tokio::test]
async fn in_an_outage_one_request_a_second_is_sent_and_the_others_hear_when_to_come_back() {
    let providers = providers::<1>().await;
    let setup = Setup::new(&providers);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    let target = gateway.live.fleet.target(&name.as_str().into(), &"gpt-5-mini".into());
    target.hold.defective(Defect::Credential, Duration::from_secs(300), Instant::now());
    // The trial succeeds, and with it the hold for a defect that is none any more ends.
    for _ in 0..2 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    assert_eq!(calls(&providers), [2]);
    providers[0].script(Script::refusal(Refusal::Unauthorized));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 502);
    let refused = gateway.send(&Ask::chat()).await;
    assert_eq!((refused.status, refused.header("x-tollgate-error")), (503, "no_healthy_upstream"));
    assert_eq!((refused.header("retry-after").is_empty(), calls(&providers)), (false, [3]));
    gateway.stop().await;
}

#[tokio::test]
async fn all_that_were_with_a_target_when_it_died_are_answered_by_another() {
    let (dying, healthy) = (ByHand::listen().await, provider().await);
    let gateway = Gateway::start(Setup::new(vec![TargetSetup::at(dying.address()), (&healthy).into()]));
    // More than the retry budget of an alias would pay for.
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(gateway.held_up(&Ask::chat(), &dying).await);
    }
    drop(dying);
    let (calls, clients): (Vec<_>, Vec<_>) = held.into_iter().unzip();
    drop(calls);
    for client in clients {
        assert_eq!(client.head().await.finish().await.status, 200);
    }
    assert_eq!(healthy.book().totals().calls, 120);
    gateway.stop().await;
}
