//! Every way a request can end: one row that tells it truly, and nothing left reserved.

use std::time::Duration;

use tollgate_accounting::ledger::{End, Flags, Kind};
use tollgate_domain::{Money, Usage, UsageSource};
use tollgate_proxy::{Durability, Timeouts};
use tollgate_simulator::{At, Fault, Outcome, Refusal, Script};

use crate::harness::{
    Ask, ByHand, Gateway, Raw, Setup, ledger::outcomes, provider, scripted, setup::cost, soon, until,
};

/// An answer of a provider that a test speaks for.
const PLAIN: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"So be it."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

fn usage(input: u64, output: u64) -> Usage {
    Usage { input_uncached: input, output_text: output, ..Usage::default() }
}

#[tokio::test]
async fn a_plain_call_is_billed_by_the_providers_figures() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = provider.book().totals().told;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(row.usage, usage(told.input_tokens, told.output_tokens));
    assert_eq!(row.usage_source, UsageSource::Reported);
    assert_eq!(row.cost, Some(cost(told.input_tokens, 0, told.output_tokens)));
    assert_eq!(answer.header("x-tollgate-cost"), row.cost.expect("priced").to_string());
    assert_eq!((row.status, outcomes(row)), (200, vec!["ok"]));
    assert!(row.reserved_cost > row.cost.expect("priced"), "the worst case is dearer than the truth");
}

#[tokio::test]
async fn a_stream_is_billed_by_the_providers_figures() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&Ask::stream()).await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let told = provider.book().totals().told;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(row.usage, usage(told.input_tokens, told.output_tokens));
    assert_eq!(row.usage_source, UsageSource::Reported);
    assert_eq!(row.cost, Some(cost(told.input_tokens, 0, told.output_tokens)));
    assert!(row.stream && row.ttft_ms.is_some());
}

#[tokio::test]
async fn where_records_must_survive_a_loss_of_power_answers_wait_for_them_and_come_whole() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup { durability: Durability::Power, ..Setup::new([&provider]) });
    let plain = gateway.send(&Ask::chat()).await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    let stream = gateway.send(&Ask::stream()).await;
    assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    let ledger = gateway.stop().await;
    assert!(ledger.rows.len() == 2 && ledger.rows.iter().all(|row| row.end == Some(End::Completed)));
}

#[tokio::test]
async fn a_plain_call_whose_client_left_is_finished_so_that_its_bill_is_exact() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let mut client = Raw::connect(gateway.address()).await;
    client.ask(&Ask::chat()).await;
    let mut call = upstream.accept().await;
    client.hang_up().await;
    gateway.drain();
    call.send_plain(PLAIN).await;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::ClientAbort);
    assert_eq!(row.status, 499, "no client got the answer");
    assert_eq!(row.usage, usage(7, 3));
    assert_eq!(row.usage_source, UsageSource::Reported);
    assert_eq!(row.cost, Some(cost(7, 0, 3)));
}

#[tokio::test]
async fn a_stream_whose_client_left_before_its_first_content_is_cancelled_upstream() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let client = gateway.begin(&Ask::stream()).await;
    let mut call = upstream.accept().await;
    drop(client);
    call.wait_for_close().await;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::ClientAbort);
    assert_eq!((row.usage_source, row.usage.output_tokens()), (UsageSource::Estimated, 0));
    assert!(row.usage.input_tokens() > 0, "the provider has read the prompt");
    assert_eq!(row.cost, Some(cost(row.usage.input_tokens(), 0, 0)), "at the price of where it was sent");
}

#[tokio::test]
async fn a_stream_whose_client_left_in_the_middle_is_counted_and_cancelled_upstream() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let (mut call, open) = gateway.stream_that_says("one two three four", &upstream).await;
    open.leave();
    call.wait_for_close().await;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::ClientAbort);
    assert_eq!((row.usage_source, row.usage.output_tokens()), (UsageSource::Counted, 4));
    assert_eq!(row.cost, Some(cost(row.usage.input_tokens(), 0, 4)));
    assert_eq!(row.status, 200);
}

#[tokio::test]
async fn a_call_that_no_target_could_answer_costs_nothing() {
    for ask in [Ask::chat(), Ask::stream()] {
        let providers = [
            scripted(Script::refusal(Refusal::ServerError)).await,
            scripted(Script::refusal(Refusal::ServerError)).await,
        ];
        let gateway = Gateway::start(Setup::new(&providers));
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (502, "upstream_error"));
        assert_eq!(answer.header("x-tollgate-attempts"), "2");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::UpstreamFailed);
        assert_eq!((row.usage, row.cost), (Usage::default(), Some(Money::ZERO)));
        assert_eq!((row.status, row.error_code.as_deref()), (502, Some("upstream_error")));
        assert_eq!(outcomes(row), ["server_error", "server_error"]);
    }
}

/// Streams that break after their first content, by how they break.
#[tokio::test]
async fn a_stream_that_breaks_after_its_first_content_says_so_and_is_counted() {
    let cases = [
        ("error event", Fault::ErrorEvent(3), End::UpstreamFailed, "upstream_error"),
        ("reset", Fault::Reset(At::Chunk(3)), End::Truncated, "upstream_truncated"),
        ("close in the framing", Fault::Close(At::Chunk(3)), End::Truncated, "upstream_truncated"),
        ("no end mark", Fault::EndEarly(3), End::Truncated, "upstream_truncated"),
        ("stall", Fault::Stall(At::Chunk(3)), End::Stalled, "upstream_stalled"),
    ];
    for (name, fault, end, code) in cases {
        let providers = [scripted(Script::usual().then(fault)).await, provider().await];
        let mut setup = Setup::new(&providers);
        if end == End::Stalled {
            setup = setup
                .with_timeouts(Timeouts { byte_idle: Duration::from_millis(500), ..Timeouts::default() });
        }
        let gateway = Gateway::start(setup);
        let answer = gateway.send(&Ask::stream()).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let text = answer.text();
        assert!(!text.contains("[DONE]") && text.contains("\"error\""), "{name} looks complete: {text}");
        assert_eq!(providers[1].book().totals().calls, 0, "{name}: a committed stream is never sent again");
        let ledger = gateway.stop().await;
        let row = ledger.only(end);
        assert_eq!(row.error_code.as_deref(), Some(code), "{name}");
        assert_eq!(row.usage_source, UsageSource::Counted, "{name}");
        assert!(row.usage.output_tokens() > 0 && row.usage.output_tokens() <= 6, "{name}: {:?}", row.usage);
        let (input, output) = (row.usage.input_tokens(), row.usage.output_tokens());
        assert_eq!(row.cost, Some(cost(input, 0, output)), "{name}");
        assert!(row.flags.contains(Flags::REASONING_UNKNOWN), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_request_itself_passes_byte_for_byte_and_costs_nothing() {
    let body =
        r#"{"error":{"message":"no such thing","type":"invalid_request_error","param":"x","code":null}}"#;
    let provider = scripted(Script::json(400, body)).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.text()), (400, body));
    assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    let ledger = gateway.stop().await;
    let row = ledger.only(End::RefusedUpstream);
    assert_eq!((row.status, row.usage, row.cost), (400, Usage::default(), Some(Money::ZERO)));
}

#[tokio::test]
async fn a_stream_that_outlives_the_shutdowns_patience_ends_with_an_error_event() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let (mut call, mut open) = gateway.stream_that_says("one", &upstream).await;
    gateway.drain();
    call.send_content("two").await;
    open.read_until("two").await;
    gateway.cut();
    let rest = open.finish().await;
    assert!(rest.text().contains("shutting down") && !rest.text().contains("[DONE]"), "{}", rest.text());
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Internal);
    assert_eq!((row.usage_source, row.usage.output_tokens()), (UsageSource::Counted, 2));
}

#[tokio::test]
async fn a_stream_in_flight_finishes_while_the_gateway_drains() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let client = gateway.begin(&Ask::stream()).await;
    let mut call = upstream.accept().await;
    call.send_stream_head().await;
    call.send_content("one").await;
    let open = client.head().await;
    gateway.drain();
    call.send_stream_end().await;
    assert!(open.finish().await.text().ends_with("data: [DONE]\n\n"));
    let ledger = gateway.stop().await;
    assert_eq!(ledger.only(End::Completed).usage, usage(7, 3));
}

#[tokio::test]
async fn a_panic_before_anything_was_sent_costs_nothing() {
    let provider = provider().await;
    let trap = |point: &str| assert_ne!(point, "admitted", "the panic of a test");
    for ask in [Ask::chat(), Ask::stream()] {
        let gateway = Gateway::start(Setup { trap: Some(trap), ..Setup::new([&provider]) });
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (500, "internal"));
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Internal);
        assert_eq!((row.status, row.usage, row.cost), (500, Usage::default(), Some(Money::ZERO)));
    }
    assert_eq!(provider.book().totals().calls, 0);
}

#[tokio::test]
async fn a_panic_with_an_answer_in_hand_is_billed_at_what_is_known() {
    let provider = provider().await;
    let trap = |point: &str| assert_ne!(point, "answered", "the panic of a test");
    for ask in [Ask::chat(), Ask::stream()] {
        let gateway = Gateway::start(Setup { trap: Some(trap), ..Setup::new([&provider]) });
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (500, "internal"));
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Internal);
        assert_eq!((row.status, row.error_code.as_deref()), (500, Some("internal")));
        assert_eq!(row.usage_source, UsageSource::Estimated);
        assert_eq!(row.cost, Some(cost(row.usage.input_tokens(), 0, 0)));
    }
}

#[tokio::test]
async fn a_panic_in_the_middle_of_a_stream_ends_it_with_an_error_event_and_a_row() {
    let upstream = ByHand::listen().await;
    let trap = |point: &str| assert_ne!(point, "relayed", "the panic of a test");
    let gateway = Gateway::start(Setup { trap: Some(trap), ..Setup::new([upstream.address()]) });
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;
    call.send_content("two").await;
    let answer = open.finish().await;
    let text = answer.text();
    assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Internal);
    assert_eq!((row.error_code.as_deref(), row.usage_source), (Some("internal"), UsageSource::Counted));
    assert!(row.usage.output_tokens() > 0 && row.cost > Some(Money::ZERO), "{row:?}");
}

#[tokio::test]
async fn a_panic_ends_one_request_and_no_other() {
    let provider = provider().await;
    let trap = |point: &str| {
        static FIRST: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
        let strikes = point == "admitted" && FIRST.swap(false, std::sync::atomic::Ordering::Relaxed);
        assert!(!strikes, "the panic of a test");
    };
    let gateway = Gateway::start(Setup { trap: Some(trap), ..Setup::new([&provider]) });
    assert_eq!(gateway.send(&Ask::chat()).await.status, 500);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let ends: Vec<_> = gateway.stop().await.rows.iter().map(|row| row.end).collect();
    assert_eq!(ends, [Some(End::Internal), Some(End::Completed)]);
}

/// The journal's folder is gone, so the log cannot grow: what cannot be counted is not delivered.
#[tokio::test]
async fn what_cannot_be_counted_is_not_delivered_and_not_begun() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;

    // The journal may just be making its next file there.
    until("the folder is gone", || std::fs::remove_dir_all(gateway.journal_folder()).is_ok()).await;
    let mut refused = 0;
    while gateway.journal.healthy() || refused == 0 {
        let answer = gateway.send(&Ask::chat().body(r#"{"model":"unknown","messages":[]}"#)).await;
        assert_eq!(answer.status, 404);
        if !gateway.journal.healthy() {
            let answer = gateway.send(&Ask::chat()).await;
            assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "meter_backpressure"));
            refused += 1;
        }
    }
    call.send_stream_end().await;
    let rest = open.finish().await;
    assert!(!rest.text().contains("[DONE]"), "an uncounted answer looks complete: {}", rest.text());
    assert!(rest.text().contains("could not be metered"), "{}", rest.text());
    until("the end of the reservation", || gateway.live.quotas.open_reservations() == 0).await;
}

#[tokio::test]
async fn a_refusal_of_the_gateway_is_a_row_of_its_own_kind() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&Ask::chat().body(r#"{"model":"unknown","messages":[]}"#)).await;
    assert_eq!(answer.status, 404);
    let ledger = gateway.stop().await;
    let row = ledger.refusal();
    assert_eq!((row.kind, row.status, row.cost), (Kind::Refusal, 404, Some(Money::ZERO)));
    assert_eq!(row.error_code.as_deref(), Some("model_not_found"));
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_stream_at_the_provider() {
    let script = Script::words(10_000).then(Fault::Stall(At::Chunk(5)));
    let provider = scripted(script).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let mut open = gateway.open(&Ask::stream()).await;
    open.read_until("content").await;
    open.leave();
    soon("the provider seeing it", provider.book().wait_for_ended(1)).await;
    assert_eq!(provider.book().calls()[0].outcome, Outcome::CallerGone);
    gateway.stop().await.only(End::ClientAbort);
}
