//! Faults: what stands on the wire, to the byte, and how the connection ends.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_simulator::{
    At, Behaviour, Exact, Fault, Framing, Options, Outcome, Piece, Protocol, Refusal, Script, Simulator, Stop,
};

use crate::client::{Client, event_data};

/// How a connection ended for its caller.
#[derive(Debug, Eq, PartialEq)]
enum Ended {
    Closed,
    Reset,
}

async fn simulator() -> Simulator {
    let behaviour = Behaviour { chunks: 4, ..Behaviour::default() };
    Simulator::start(Options { behaviour, ..Options::default() }).await.expect("a free port")
}

fn stream_body() -> String {
    json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "hi" }] }).to_string()
}

async fn ask(addr: SocketAddr, path: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.expect("a listener");
    let head = format!("POST {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.expect("the head is taken");
    socket.write_all(body.as_bytes()).await.expect("the body is taken");
    socket
}

async fn read_to_end(mut socket: TcpStream) -> (Vec<u8>, Ended) {
    let mut read = Vec::new();
    match socket.read_to_end(&mut read).await {
        Ok(_) => (read, Ended::Closed),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (read, Ended::Reset),
        Err(error) => panic!("neither closed nor reset: {error}"),
    }
}

/// The whole wire form of an answer that is always the same.
fn exact() -> Script {
    Script::exact(Exact {
        status: 200,
        headers: vec![("x-a".into(), "1".into())],
        pieces: vec![Piece::new("0123456789"), Piece::after(Duration::from_millis(1), "abcdef")],
        framing: Framing::Chunked,
    })
}

/// An answer's bytes without its date, the only part that changes.
fn without_date(wire: &[u8]) -> String {
    let text = String::from_utf8(wire.to_vec()).expect("text");
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test]
async fn exact_answers_are_exact_on_the_wire() {
    let simulator = simulator().await;
    simulator.script(exact().then(Fault::Close(At::Chunk(2))));
    let (wire, ended) = read_to_end(ask(simulator.addr(), "/v1/chat/completions", "{}").await).await;
    assert_eq!(ended, Ended::Closed);
    assert_eq!(
        without_date(&wire),
        "HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n6\r\nabcdef\r\n"
    );
}

#[tokio::test]
async fn an_answer_breaks_at_any_byte_that_is_asked() {
    let simulator = simulator().await;
    for (at, fault, want) in [
        (0, Fault::Reset(At::Byte(0)), Ended::Reset),
        (1, Fault::Reset(At::Byte(1)), Ended::Reset),
        (9, Fault::Close(At::Byte(9)), Ended::Closed),
        (100, Fault::Reset(At::Byte(100)), Ended::Reset),
        (122, Fault::Close(At::Byte(122)), Ended::Closed),
    ] {
        simulator.script(exact().then(fault));
        let (wire, ended) = read_to_end(ask(simulator.addr(), "/v1/chat/completions", "{}").await).await;
        assert_eq!((wire.len(), ended), (at, want), "byte {at}");
    }
    simulator.book().wait_for_ended(5).await;
    assert_eq!(simulator.book().totals().faulted, 5);
}

#[tokio::test]
async fn a_stream_breaks_after_the_chunks_that_are_asked() {
    let simulator = simulator().await;
    for (chunks, fault, want) in [
        (0, Fault::Reset(At::Chunk(0)), Ended::Reset),
        (3, Fault::Reset(At::Chunk(3)), Ended::Reset),
        (2, Fault::Close(At::Chunk(2)), Ended::Closed),
    ] {
        simulator.script(Script::usual().then(fault));
        let (wire, ended) =
            read_to_end(ask(simulator.addr(), "/v1/chat/completions", &stream_body()).await).await;
        let text = String::from_utf8(wire).expect("text");
        assert_eq!(text.matches("\"delta\":{\"content\":").count(), chunks, "{fault:?}");
        assert!(!text.contains("[DONE]") && !text.ends_with("0\r\n\r\n"), "{fault:?}");
        assert_eq!(ended, want, "{fault:?}");
    }
}

#[tokio::test]
async fn a_plain_answer_breaks_off_in_its_middle_under_its_full_length() {
    let simulator = simulator().await;
    simulator.script(Script::json(200, "0123456789").then(Fault::Close(At::Byte(1_000_000))));
    simulator.script(Script::usual().then(Fault::Close(At::Chunk(1))));
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let body = json!({ "model": "m", "messages": [] });
    let whole = client.try_post("/v1/chat/completions", &body).await.expect("the break lies beyond the end");
    assert_eq!(&whole.body[..], b"0123456789");
    let broken = client.try_post("/v1/chat/completions", &body).await;
    assert!(broken.is_err(), "half a body under the length of the whole: {broken:?}");
}

#[tokio::test]
async fn endings_that_http_takes_for_proper_lack_the_end_mark() {
    let simulator = simulator().await;
    let cases = [
        ("/v1/chat/completions", Fault::EndEarly(2), "\"content\""),
        ("/v1/chat/completions", Fault::ErrorEvent(2), "\"error\""),
        ("/v1/messages", Fault::ErrorEvent(2), "overloaded_error"),
        ("/v1/responses", Fault::ErrorEvent(2), "\"type\":\"error\""),
    ];
    for (path, fault, last_says) in cases {
        simulator.script(Script::usual().then(fault));
        let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
        let body = json!({ "model": "m", "stream": true, "max_tokens": 9, "input": "hi", "messages": [] });
        let answer = client.post(path, &body).await;
        let events = event_data(&answer.body);
        assert!(events.last().expect("events").contains(last_says), "{path} {fault:?}: {events:?}");
    }
    simulator.book().wait_for_ended(4).await;
    assert!(simulator.book().calls().iter().all(|call| call.outcome == Outcome::Whole && !call.usage_told));
}

#[tokio::test]
async fn bodies_that_lie_are_sent_with_status_200() {
    let simulator = simulator().await;
    simulator.script(Script::usual().then(Fault::MalformedBody));
    simulator.script(Script::usual().then(Fault::WrongContentType));
    simulator.script(Script::usual().then(Fault::Trickle(0)));
    simulator.script(Script::usual().then(Fault::ShortBody));
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let body = json!({ "model": "m", "messages": [] });
    let malformed = client.post("/v1/chat/completions", &body).await;
    assert!(malformed.status == 200 && serde_json::from_slice::<Value>(&malformed.body).is_err());
    let page = client.post("/v1/chat/completions", &body).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let slow = client.post("/v1/chat/completions", &body).await;
    assert_eq!(slow.json()["usage"]["completion_tokens"], 4);
    assert!(client.try_post("/v1/chat/completions", &body).await.is_err());
}

#[tokio::test]
async fn a_refused_connection_is_reset_unread_and_the_next_is_served() {
    let simulator = simulator().await;
    simulator.script(Script::refuse());
    let mut socket = TcpStream::connect(simulator.addr()).await.expect("a listener");
    let ended = socket.read(&mut [0]).await;
    assert_eq!(ended.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    simulator.script(Script::refuse());
    let body = json!({ "model": "m", "messages": [] });
    assert!(
        client.try_post("/v1/chat/completions", &body).await.is_err(),
        "kept connections are refused too"
    );
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200);
    let totals = simulator.book().totals();
    assert_eq!((totals.refused_connections, totals.calls), (2, 1));
}

#[tokio::test]
async fn a_stalled_answer_waits_for_the_caller_to_leave() {
    let simulator = simulator().await;
    simulator.script(Script::usual().then(Fault::Stall(At::Chunk(1))));
    let mut socket = ask(simulator.addr(), "/v1/chat/completions", &stream_body()).await;
    let mut text = String::new();
    while !text.contains("\"content\":\"The\"") {
        let mut part = [0; 4096];
        let length = socket.read(&mut part).await.expect("an open connection");
        assert!(length > 0, "the connection stays open");
        text.push_str(std::str::from_utf8(&part[..length]).expect("text"));
    }
    assert_eq!(simulator.book().calls()[0].outcome, Outcome::Open);
    drop(socket);
    simulator.book().wait_for_ended(1).await;
    assert_eq!(simulator.book().calls()[0].outcome, Outcome::CallerGone);
}

#[tokio::test]
async fn a_caller_that_leaves_during_a_pause_is_noticed() {
    let simulator = simulator().await;
    let hour = Duration::from_secs(3600);
    simulator.script(Script::behaving(Behaviour { chunk_pause: hour, ..Behaviour::default() }));
    simulator.script(Script::usual().after(hour));
    for calls in 1..=2 {
        let socket = ask(simulator.addr(), "/v1/chat/completions", &stream_body()).await;
        simulator.book().wait_for(calls).await;
        drop(socket);
        simulator.book().wait_for_ended(calls).await;
    }
    assert_eq!(simulator.book().totals().caller_gone, 2);
}

#[tokio::test]
async fn http2_streams_are_reset_alone_and_lost_with_their_connection() {
    let simulator = simulator().await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http2).await;
    let body: Value = serde_json::from_str(&stream_body()).expect("JSON");
    for fault in [Fault::Reset(At::Byte(0)), Fault::Reset(At::Chunk(2)), Fault::Reset(At::Byte(7))] {
        simulator.script(Script::usual().then(fault));
        assert!(client.try_post("/v1/chat/completions", &body).await.is_err(), "{fault:?}");
    }
    assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200, "the connection lives on");
    simulator.script(Script::usual().then(Fault::Close(At::Chunk(2))));
    assert!(client.try_post("/v1/chat/completions", &body).await.is_err());
    assert!(client.try_post("/v1/chat/completions", &body).await.is_err(), "the connection is gone");
    simulator.book().wait_for_ended(5).await;
    let totals = simulator.book().totals();
    assert_eq!((totals.faulted, totals.whole), (4, 1));
}

#[tokio::test]
async fn an_abrupt_stop_resets_and_a_graceful_one_lets_calls_finish() {
    // An address of its own, so that no other test's simulator can take the port that is given up.
    let listen = SocketAddr::from(([127, 0, 0, 77], 0));
    for (how, want) in [(Stop::Abrupt, Outcome::Stopped), (Stop::Graceful, Outcome::Whole)] {
        let simulator =
            Simulator::start(Options { listen, ..Options::default() }).await.expect("a free port");
        let book = simulator.book().clone();
        let pause = if how == Stop::Graceful { Duration::from_millis(5) } else { Duration::from_secs(3600) };
        simulator.script(Script::behaving(Behaviour {
            chunks: 3,
            chunk_pause: pause,
            ..Behaviour::default()
        }));
        let addr = simulator.addr();
        let socket = ask(addr, "/v1/chat/completions", &stream_body()).await;
        book.wait_for(1).await;
        simulator.stop(how).await;
        let (wire, ended) = read_to_end(socket).await;
        assert_eq!(book.calls()[0].outcome, want, "{how:?}");
        assert_eq!(ended == Ended::Reset, how == Stop::Abrupt, "{how:?}");
        assert_eq!(wire.ends_with(b"0\r\n\r\n"), how == Stop::Graceful, "{how:?}");
        assert!(TcpStream::connect(addr).await.is_err(), "nobody listens after the stop");
        let again = Simulator::start(Options { listen: addr, ..Options::default() }).await;
        assert_eq!(again.expect("the address is free").addr(), addr);
    }
}

#[tokio::test]
async fn refusals_speak_the_dialect_of_the_path() {
    let simulator = simulator().await;
    let (chat, azure, messages) =
        ("/v1/chat/completions", "/openai/deployments/d/chat/completions?api-version=1", "/v1/messages");
    let cases = [
        (chat, Refusal::InsufficientQuota, 429, "/error/code", "insufficient_quota"),
        (chat, Refusal::RateLimited { retry_after_ms: None }, 429, "/error/code", "rate_limit_exceeded"),
        (chat, Refusal::ContextLength, 400, "/error/code", "context_length_exceeded"),
        (chat, Refusal::Overloaded, 503, "/error/type", "service_unavailable_error"),
        (azure, Refusal::ModelNotFound, 404, "/error/code", "DeploymentNotFound"),
        (azure, Refusal::ContentFilter, 400, "/error/innererror/code", "ResponsibleAIPolicyViolation"),
        (messages, Refusal::Overloaded, 529, "/error/type", "overloaded_error"),
        (messages, Refusal::Unauthorized, 401, "/error/type", "authentication_error"),
        (messages, Refusal::ModelNotFound, 404, "/error/type", "not_found_error"),
        (messages, Refusal::ServerError, 500, "/error/type", "api_error"),
    ];
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    for (path, refusal, status, place, want) in cases {
        simulator.script(Script::refusal(refusal));
        let answer = client.post(path, &json!({ "model": "m", "messages": [], "max_tokens": 1 })).await;
        assert_eq!(answer.status, status, "{path} {refusal:?}");
        assert_eq!(answer.json().pointer(place), Some(&json!(want)), "{path} {refusal:?}");
    }
}
