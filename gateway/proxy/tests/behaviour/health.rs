//! What an upstream's answers do to the requests after them: holds, breakers, operators.

use std::time::Duration;

use tollgate_accounting::ledger::End;
use tollgate_proxy::{BreakerState, OperatorState};
use tollgate_simulator::{Refusal, Script};

use crate::harness::{
    Ask, ByHand, Gateway, Setup, TargetSetup, gateway::word, ledger::outcomes, provider, scripted, until,
};

const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

#[tokio::test]
async fn what_refuses_one_request_is_passed_by_by_the_next() {
    let cases = [
        Script::rate_limited(Duration::from_secs(60)),
        Script::refusal(Refusal::InsufficientQuota),
        Script::refusal(Refusal::Unauthorized),
        Script::refusal(Refusal::ModelNotFound),
        Script::unavailable(60),
    ];
    for script in cases {
        let told = format!("{:?}", script.reply);
        let providers = [scripted(script).await, provider().await];
        let gateway = Gateway::start(Setup::new(&providers));
        assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-attempts"), "2", "{told}");
        let second = gateway.send(&Ask::chat()).await;
        assert_eq!((second.status, second.header("x-tollgate-attempts")), (200, "1"), "{told}");
        assert_eq!(providers[0].book().totals().calls, 1, "{told}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn when_every_target_is_throttled_the_client_hears_when_to_come_back() {
    let provider = scripted(Script::rate_limited(Duration::from_secs(7))).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    for attempts in ["1", "0"] {
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (429, "upstream_rate_limited"));
        assert_eq!(answer.header("x-tollgate-attempts"), attempts);
        assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
        let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
        assert!((1..=8).contains(&wait), "{wait}");
        assert_eq!(answer.header("x-should-retry"), "", "waiting helps");
    }
    assert_eq!(provider.book().totals().calls, 1);
    let ledger = gateway.stop().await;
    assert!(ledger.rows.iter().all(|row| row.end == Some(End::UpstreamFailed)));
}

#[tokio::test]
async fn targets_that_fail_together_are_passed_by_together() {
    let providers = [scripted(Script::json(529, "{}")).await, provider().await, provider().await];
    let mut setup = Setup::new(&providers);
    setup.targets[1].fate = setup.targets[0].fate.clone();
    let gateway = Gateway::start(setup);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let calls = providers.each_ref().map(|provider| provider.book().totals().calls);
    assert_eq!(calls, [1, 0, 1]);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::Completed)), ["overloaded", "ok"]);
}

#[tokio::test]
async fn five_faults_open_a_breaker_and_one_request_at_a_time_may_close_it() {
    let upstream = ByHand::listen().await;
    let setup = Setup::new([upstream.address()]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    for _ in 0..5 {
        let client = gateway.begin(&Ask::chat()).await;
        upstream.accept().await.send(ERROR).await;
        assert_eq!(client.head().await.status, 502);
    }
    assert_eq!(gateway.view(&name).breaker, BreakerState::Open);
    let refused = gateway.send(&Ask::chat()).await;
    assert_eq!((refused.status, refused.header("x-tollgate-error")), (503, "no_healthy_upstream"));
    assert_ne!(refused.header("retry-after"), "");

    until("the breaker half open", || gateway.view(&name).breaker == BreakerState::HalfOpen).await;
    let trial = gateway.begin(&Ask::chat()).await;
    let mut call = upstream.accept().await;
    assert_eq!(gateway.send(&Ask::chat()).await.status, 503, "another request beside the trial");
    call.send_plain(PLAIN).await;
    assert_eq!(trial.head().await.status, 200);
    drop(call);

    let second = gateway.begin(&Ask::chat()).await;
    upstream.accept().await.send_plain(PLAIN).await;
    assert_eq!(second.head().await.status, 200);
    assert_eq!(gateway.view(&name).breaker, BreakerState::Closed);
    gateway.stop().await;
}

#[tokio::test]
async fn an_operators_word_keeps_new_requests_out() {
    for state in [OperatorState::Draining, OperatorState::Disabled] {
        let providers = [provider().await, provider().await];
        let mut setup = Setup::new(&providers);
        setup.targets[0].region = "north";
        let first = setup.targets[0].name.clone();
        let gateway = Gateway::start(setup);
        let fleet = &gateway.live.fleet;
        let upstream = fleet.upstream(&first.as_str().into());
        let region = fleet.region(&"north".into());
        let target = fleet.target(&first.as_str().into(), &"gpt-5-mini".into());
        for cell in [&upstream.operator, &region.operator, &target.operator] {
            cell.set(Some(word(state)));
            assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
            assert_eq!(providers[0].book().totals().calls, 0, "{state:?}");
            cell.set(None);
        }
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
        assert_eq!(providers[0].book().totals().calls, 1, "without a word it is preferred again");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn with_every_target_out_by_an_operators_word_nothing_is_healthy() {
    let provider = provider().await;
    let setup = Setup::new([&provider]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    gateway.operate(&name, OperatorState::Disabled);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "no_healthy_upstream"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_in_flight_finishes_at_a_drained_upstream() {
    let upstream = ByHand::listen().await;
    let setup = Setup::new([upstream.address()]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    let client = gateway.begin(&Ask::stream()).await;
    let mut call = upstream.accept().await;
    call.send_stream_head().await;
    call.send_content("one").await;
    let open = client.head().await;
    gateway.operate(&name, OperatorState::Draining);
    call.send_stream_end().await;
    assert!(open.finish().await.text().ends_with("data: [DONE]\n\n"));
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn a_forced_upstream_takes_requests_whatever_its_holds_say() {
    let provider = scripted(Script::rate_limited(Duration::from_secs(60))).await;
    let gateway = Gateway::start(Setup::new([TargetSetup { name: "up".into(), ..(&provider).into() }]));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 429);
    gateway.operate("up", OperatorState::Forced);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway.stop().await;
}

/// The first request after a hold goes alone; when it fails in another way, the next one is let in.
#[tokio::test]
async fn a_hold_that_has_ended_keeps_nobody_out_when_its_trial_fails() {
    let provider = scripted(Script::rate_limited(Duration::from_millis(50))).await;
    provider.script(Script::refusal(Refusal::ServerError));
    let setup = Setup::new([&provider]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 429);
    until("the end of the hold", || gateway.view(&name).hold.is_none()).await;
    assert_eq!(gateway.send(&Ask::chat()).await.status, 502);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    gateway.stop().await;
}
