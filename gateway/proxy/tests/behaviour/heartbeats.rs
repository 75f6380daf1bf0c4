//! What a client hears while its stream has nothing to say: a heartbeat where its parser survives one, and
//! never before the first content, since until then another target may take over.

use std::time::Duration;

use tollgate_accounting::ledger::End;
use tollgate_dialect::Dialect;
use tollgate_proxy::Timeouts;

use crate::harness::{Ask, ByHand, Gateway, Setup, TargetSetup, setup::KEY};

const COMMENT: &str = ": keep-alive\n\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
/// So often that a test waits for the event and not for the time.
const OFTEN: Duration = Duration::from_millis(5);

fn beating(setup: Setup, heartbeat: Duration) -> Setup {
    setup.with_timeouts(Timeouts { heartbeat, ..Timeouts::default() })
}

fn messages() -> Ask {
    Ask::messages().body(
        r#"{"model":"claude","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi."}]}"#,
    )
}

fn gemini() -> Ask {
    Ask::post(
        "/v1beta/models/gemini:streamGenerateContent?alt=sse",
        r#"{"contents":[{"parts":[{"text":"Hi."}]}]}"#,
    )
    .without("authorization")
    .with("x-goog-api-key", KEY)
}

#[tokio::test]
async fn a_silent_upstream_s_client_hears_its_dialect_s_heartbeat() {
    let cases = [(Ask::stream(), COMMENT), (messages(), PING)];
    for (ask, heartbeat) in cases {
        // Both speak to an upstream of OpenAI's dialect: the client's dialect decides.
        let upstream = ByHand::listen().await;
        let setup = Setup { mixed: true, ..Setup::new([upstream.address()]) };
        let gateway = Gateway::start(beating(setup, OFTEN));
        let client = gateway.begin(&ask).await;
        let mut call = upstream.accept().await;
        call.send_stream_head().await;
        call.send_content("one").await;
        let mut open = client.head().await;
        let began = open.read_until("one").await;
        let silent = open.read_until(&heartbeat.repeat(2)).await;
        assert!(
            began.contains("one") && silent.replace(heartbeat, "").trim().is_empty(),
            "{began:?} {silent:?}"
        );
        call.send_content("two").await;
        call.send_stream_end().await;
        let rest = open.finish().await;
        let said = rest.text().replace(heartbeat, "");
        assert!(said.contains("two"), "{said}");
        let ledger = gateway.stop().await;
        assert_eq!(ledger.only(End::Completed).usage.output_tokens(), 3, "a heartbeat is counted by nobody");
    }
}

#[tokio::test]
async fn the_upstream_s_bytes_are_the_same_around_a_heartbeat() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(beating(Setup::new([upstream.address()]), OFTEN));
    let (mut call, mut open) = gateway.stream_that_says("one", &upstream).await;
    // Half an event, and a heartbeat before the other half comes.
    call.send("e\r\ndata: {\"choice\r\n").await;
    open.read_until(COMMENT).await;
    call.send("1a\r\ns\":[],\"note\":\"not torn\"}\n\n\r\n").await;
    call.send_stream_end().await;
    let rest = open.finish().await;
    let said = rest.text().replace(COMMENT, "");
    assert!(said.starts_with("data: {\"choices\":[],\"note\":\"not torn\"}\n\n"), "{said}");
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn a_client_whose_parser_would_break_hears_nothing() {
    let upstream = ByHand::listen().await;
    let target = TargetSetup { dialect: Dialect::Gemini, ..upstream.address().into() };
    let gateway = Gateway::start(beating(Setup::new([target]), Duration::from_millis(1)));
    let client = gateway.begin(&gemini()).await;
    let mut call = upstream.accept().await;
    call.send_stream_head().await;
    let first = r#"{"candidates":[{"content":{"parts":[{"text":"one"}]},"index":0}]}"#;
    let last = r#"{"candidates":[{"content":{"parts":[{"text":"two"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":2,"totalTokenCount":4}}"#;
    call.send_event(first).await;
    let mut open = client.head().await;
    let began = open.read_until("one").await;
    // Time for many heartbeats, if there were any.
    tokio::time::sleep(Duration::from_millis(50)).await;
    call.send_event(last).await;
    call.send("0\r\n\r\n").await;
    let rest = open.finish().await;
    assert_eq!(format!("{began}{}", rest.text()), format!("data: {first}\n\ndata: {last}\n\n"));
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn no_heartbeat_comes_before_the_first_content_and_none_keeps_another_target_from_taking_over() {
    let (first, second) = (ByHand::listen().await, ByHand::listen().await);
    let gateway = Gateway::start(beating(Setup::new([first.address(), second.address()]), OFTEN));
    let client = gateway.begin(&Ask::stream()).await;
    let mut call = first.accept().await;
    call.send_stream_head().await;
    call.send_event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#).await;
    // Time for some heartbeats, if they came so early.
    tokio::time::sleep(4 * OFTEN).await;
    drop(call);
    let mut call = second.accept().await;
    call.send_stream_head().await;
    call.send_content("one").await;
    call.send_stream_end().await;
    let answer = client.head().await.finish().await;
    assert_eq!(answer.header("x-tollgate-attempts"), "2");
    assert!(answer.text().starts_with("data: ") && answer.text().contains("one"), "{}", answer.text());
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn whoever_wants_none_gets_none() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(beating(Setup::new([upstream.address()]), Duration::ZERO));
    let (mut call, open) = gateway.stream_that_says("one", &upstream).await;
    tokio::time::sleep(4 * OFTEN).await;
    call.send_stream_end().await;
    let rest = open.finish().await;
    assert!(!rest.text().contains(COMMENT), "{}", rest.text());
    gateway.stop().await.only(End::Completed);
}
