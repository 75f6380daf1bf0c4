//! A failure before the first content is not the client's problem while a permitted target is left;
//! a request that is itself at fault is never sent again.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tollgate_accounting::ledger::End;
use tollgate_proxy::Timeouts;
use tollgate_simulator::{At, Fault, Refusal, Script, Simulator};

use crate::harness::{
    Answer, Ask, ByHand, Gateway, Setup, TargetSetup, ledger::outcomes, nobody, provider, scripted,
};

/// What is wrong with the preferred target.
enum Trouble {
    /// Nobody listens.
    Dead,
    Script(Script),
    /// It answers this, and closes.
    Says(&'static str),
}

use Trouble::{Dead, Says};

fn fault(fault: Fault) -> Trouble {
    Trouble::Script(Script::usual().then(fault))
}

fn refusal(refusal: Refusal) -> Trouble {
    Trouble::Script(Script::refusal(refusal))
}

/// Troubles of plain calls and streams alike, with the name that the row gives them.
fn troubles() -> Vec<(&'static str, Trouble, &'static str)> {
    vec![
        ("connection refused", Dead, "connect"),
        ("reset before the head", fault(Fault::Reset(At::Byte(0))), "reset"),
        ("closed before the head", fault(Fault::Close(At::Byte(0))), "reset"),
        ("no head in time", fault(Fault::Stall(At::Byte(0))), "timeout"),
        ("429 with a hint", Trouble::Script(Script::rate_limited(Duration::from_secs(7))), "throttled"),
        ("429 without a hint", refusal(Refusal::RateLimited { retry_after_ms: None }), "throttled"),
        ("an exhausted account", refusal(Refusal::InsufficientQuota), "account_exhausted"),
        ("500", refusal(Refusal::ServerError), "server_error"),
        ("502", refusal(Refusal::Status(502)), "server_error"),
        ("503", refusal(Refusal::Unavailable { retry_after: None }), "server_error"),
        ("503 that says when", Trouble::Script(Script::unavailable(3)), "overloaded"),
        ("504", refusal(Refusal::Status(504)), "server_error"),
        ("529", Trouble::Script(Script::json(529, "{}")), "overloaded"),
        ("a refused credential", refusal(Refusal::Unauthorized), "credential"),
        ("a missing model", refusal(Refusal::ModelNotFound), "model_missing"),
        ("a head that is none", Says("HTTP/1.1 abc\r\n\r\n"), "protocol"),
    ]
}

/// Troubles of streams alone.
fn stream_troubles() -> Vec<(&'static str, Trouble, &'static str)> {
    vec![
        ("a page instead of events", fault(Fault::WrongContentType), "protocol"),
        ("an error event before content", fault(Fault::ErrorEvent(0)), "server_error"),
        ("no content in time", fault(Fault::Stall(At::Chunk(0))), "ttft"),
        ("an end before content", fault(Fault::EndEarly(0)), "truncated"),
    ]
}

/// Troubles of plain answers alone.
fn plain_troubles() -> Vec<(&'static str, Trouble, &'static str)> {
    let torn =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"i";
    vec![
        ("a body cut short", fault(Fault::ShortBody), "truncated"),
        ("torn chunked framing", Says(torn), "truncated"),
    ]
}

/// The bound on the step in which a target says nothing; all others stay patient, so that a busy machine
/// does not look like a silent upstream.
const SHORT: Duration = Duration::from_millis(50);

/// The bounds for a trouble that only a bound ends; the usual ones for any other.
fn bounds(outcome: &str) -> Timeouts {
    match outcome {
        "timeout" => Timeouts { head: SHORT, stream_head: SHORT, ..Timeouts::default() },
        "ttft" => Timeouts { ttft: SHORT, ..Timeouts::default() },
        _ => Timeouts::default(),
    }
}

#[tokio::test]
async fn a_plain_call_moves_on_unseen_from_every_trouble() {
    for (name, trouble, outcome) in troubles().into_iter().chain(plain_troubles()) {
        moves_on(name, trouble, outcome, Ask::chat()).await;
    }
}

#[tokio::test]
async fn a_stream_moves_on_unseen_from_every_trouble_before_its_first_content() {
    for (name, trouble, outcome) in troubles().into_iter().chain(stream_troubles()) {
        moves_on(name, trouble, outcome, Ask::stream()).await;
    }
}

async fn moves_on(name: &str, trouble: Trouble, outcome: &str, ask: Ask) {
    let healthy = provider().await;
    let (dead, _kept) = nobody();
    let mut troubled = None;
    let first = match trouble {
        Dead => dead,
        Trouble::Script(script) => troubled.insert(scripted(script).await).addr(),
        Says(words) => says(words).await,
    };
    let mut setup = Setup::new([first, healthy.addr()]);
    setup.targets[0].timeouts = bounds(outcome);
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&ask).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    assert!(!answer.text().contains("error"), "{name}: {}", answer.text());
    assert_eq!(answer.header("x-tollgate-attempts"), "2", "{name}");
    assert_eq!(healthy.book().totals().calls, 1, "{name}");
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(outcomes(row), [outcome, "ok"], "{name}");
    let told = healthy.book().totals().told;
    assert_eq!(
        (row.usage.input_tokens(), row.usage.output_tokens()),
        (told.input_tokens, told.output_tokens),
        "{name}: only the answer that was given is billed"
    );
}

/// An upstream that takes one call, says something, and closes.
async fn says(words: &'static str) -> SocketAddr {
    let upstream = ByHand::listen().await;
    let address = upstream.address();
    tokio::spawn(async move { upstream.accept().await.send(words).await });
    address
}

#[tokio::test]
async fn a_request_that_is_at_fault_is_not_sent_again() {
    let cases = [
        ("400", Refusal::Status(400), 400),
        ("422", Refusal::Status(422), 422),
        ("context length", Refusal::ContextLength, 400),
        ("content filter", Refusal::ContentFilter, 400),
    ];
    for (name, refusal, status) in cases {
        for ask in [Ask::chat(), Ask::stream()] {
            let providers = [scripted(Script::refusal(refusal)).await, provider().await];
            let gateway = Gateway::start(Setup::new(&providers));
            let answer = gateway.send(&ask).await;
            assert_eq!(answer.status, status, "{name}");
            assert_eq!(answer.header("x-should-retry"), "false", "{name}");
            assert_eq!(answer.header("x-tollgate-error-source"), "upstream", "{name}");
            assert_eq!(providers[1].book().totals().calls, 0, "{name}");
            gateway.stop().await.only(End::RefusedUpstream);
        }
    }
}

#[tokio::test]
async fn a_timeout_or_a_lock_is_tried_once_more_at_the_same_target() {
    for (status, outcome) in [(408, "request_timeout"), (409, "conflict")] {
        let provider = scripted(Script::refusal(Refusal::Status(status))).await;
        let gateway = Gateway::start(Setup::new([&provider]));
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200, "{status}");
        let ledger = gateway.stop().await;
        assert_eq!(outcomes(ledger.only(End::Completed)), [outcome, "ok"]);

        let provider = failing(Refusal::Status(status)).await;
        let gateway = Gateway::start(Setup::new([&provider]));
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!(answer.status, status, "the second time it is passed on");
        assert_eq!(provider.book().totals().calls, 2);
        let ledger = gateway.stop().await;
        assert_eq!(outcomes(ledger.only(End::RefusedUpstream)), [outcome, outcome]);
    }
}

/// A provider that refuses every call.
async fn failing(refusal: Refusal) -> Simulator {
    let provider = provider().await;
    for _ in 0..20 {
        provider.script(Script::refusal(refusal));
    }
    provider
}

#[tokio::test]
async fn at_most_three_attempts_may_have_cost_something() {
    let mut providers = Vec::new();
    for _ in 0..5 {
        providers.push(failing(Refusal::ServerError).await);
    }
    let gateway = Gateway::start(Setup::new(&providers));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (502, "3"));
    assert_eq!(answer.header("x-should-retry"), "false");
    let calls: u64 = providers.iter().map(|provider| provider.book().totals().calls).sum();
    assert_eq!(calls, 3);
    gateway.stop().await.only(End::UpstreamFailed);
}

#[tokio::test]
async fn dead_targets_do_not_hide_a_live_one_up_to_eight_tries() {
    let dead: Vec<_> = (0..8).map(|_| nobody()).collect();
    let addresses: Vec<SocketAddr> = dead.iter().map(|(address, _)| *address).collect();
    for (dead, status, attempts) in [(2, 200, "3"), (7, 200, "8"), (8, 502, "8")] {
        let live = provider().await;
        let targets = addresses[..dead].iter().copied().chain([live.addr()]);
        let gateway = Gateway::start(Setup::new(targets));
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (status, attempts), "{dead} dead");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn without_a_retry_left_in_the_budget_a_failure_is_final() {
    let providers = [failing(Refusal::ServerError).await, provider().await];
    let gateway = Gateway::start(Setup::new(&providers));
    let group = gateway.live.fleet.group(&"chat".into());
    // A time far ahead, so that none trickle in meanwhile.
    let later = Instant::now() + Duration::from_secs(3_600);
    while group.retries.take(later) {}
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (502, "1"));
    assert_eq!(providers[1].book().totals().calls, 0);
    gateway.stop().await.only(End::UpstreamFailed);
}

#[tokio::test]
async fn a_kept_connection_that_has_died_costs_nothing_but_another_try() {
    for ask in [Ask::chat(), Ask::stream()] {
        let provider = provider().await;
        let gateway = Gateway::start(Setup::new([&provider]));
        let group = gateway.live.fleet.group(&"chat".into());
        while group.retries.take(Instant::now() + Duration::from_secs(3_600)) {}
        assert_eq!(gateway.send(&ask).await.status, 200);
        provider.script(Script::refuse());
        let answer = gateway.send(&ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ledger = gateway.stop().await;
        let second = &ledger.rows[1];
        assert_eq!((second.end, outcomes(second)), (Some(End::Completed), vec!["unprocessed", "ok"]));
    }
}

#[tokio::test]
async fn a_target_at_its_configured_concurrency_is_passed_by() {
    let busy = ByHand::listen().await;
    let other = provider().await;
    let limited = TargetSetup { max_concurrency: Some(1), ..TargetSetup::at(busy.address()) };
    let gateway = Gateway::start(Setup::new([limited, TargetSetup::from(&other)]));
    let first = gateway.begin(&Ask::stream()).await;
    let mut call = busy.accept().await;
    let second: Answer = gateway.send(&Ask::chat()).await;
    assert_eq!(second.status, 200);
    assert_eq!(other.book().totals().calls, 1);
    call.send_stream_head().await;
    call.send_content("one").await;
    call.send_stream_end().await;
    assert_eq!(first.head().await.finish().await.status, 200);
    gateway.stop().await;
}

/// The most telling failure is the one that the client hears of.
#[tokio::test]
async fn the_last_word_is_the_most_telling_failure() {
    let cases = [
        (Refusal::ServerError, 502, "upstream_error", ""),
        (Refusal::Status(504), 504, "upstream_timeout", ""),
        (Refusal::Unauthorized, 502, "upstream_auth", "false"),
        (Refusal::ModelNotFound, 502, "upstream_misconfigured", "false"),
        (Refusal::InsufficientQuota, 503, "upstream_account_exhausted", "false"),
    ];
    for (refusal, status, code, retry) in cases {
        let provider = scripted(Script::refusal(refusal)).await;
        let (dead, _kept) = nobody();
        let gateway = Gateway::start(Setup::new([provider.addr(), dead]));
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (status, code), "{refusal:?}");
        if !retry.is_empty() {
            assert_eq!(answer.header("x-should-retry"), retry, "{refusal:?}");
        }
        assert!(
            !answer.text().contains(&dead.port().to_string()),
            "it names the upstream: {}",
            answer.text()
        );
        gateway.stop().await.only(End::UpstreamFailed);
    }
}
