//! What calls took by the provider's own count, told or not, and what that is charged.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_simulator::{At, Behaviour, Fault, Options, Refusal, Script, Simulator};

const INPUT: u64 = 100;
const WORDS: u64 = 4;
const REASONING: u64 = 3;

/// Output that a call took; none when not even its input was.
type Took = Option<u64>;

async fn simulator() -> Simulator {
    let behaviour = Behaviour {
        chunks: WORDS as u32,
        input_tokens: Some(INPUT),
        reasoning_tokens: REASONING,
        ..Behaviour::default()
    };
    let tariff: tollgate_simulator::Tariff =
        Arc::new(|_, usage| i128::from(usage.input_tokens) + 1_000 * i128::from(usage.output_tokens));
    let options = Options { behaviour, tariff: Some(tariff), ..Options::default() };
    Simulator::start(options).await.expect("a free port")
}

fn body(stream: bool) -> Value {
    json!({ "model": "m", "max_tokens": 64, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// Makes one call and reads until the simulator closes, or leaves at once.
async fn call(address: SocketAddr, path: &str, stream: bool, leaves: bool) {
    let body = body(stream).to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(address).await.expect("a listener");
    socket.write_all(format!("{head}{body}").as_bytes()).await.expect("the request is taken");
    if !leaves {
        // However it ends.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn a_call_takes_what_had_been_done_when_it_ended() {
    let (chat, messages) = ("/v1/chat/completions", "/v1/messages");
    let whole = Some(WORDS + REASONING);
    let fault = |fault| Script::usual().then(fault);
    let cases: Vec<(&str, Script, &str, bool, Took)> = vec![
        ("a plain answer", Script::usual(), chat, false, whole),
        ("a stream that does not tell", Script::usual(), chat, true, whole),
        ("a stream that tells", Script::usual(), messages, true, whole),
        ("a refusal", Script::refusal(Refusal::ServerError), chat, false, None),
        ("an error before content", fault(Fault::ErrorEvent(0)), messages, true, None),
        ("an error after words", fault(Fault::ErrorEvent(2)), chat, true, Some(2 + REASONING)),
        ("an early end", fault(Fault::EndEarly(2)), messages, true, Some(2 + REASONING)),
        ("an end before content", fault(Fault::EndEarly(0)), chat, true, Some(0)),
        ("one that had stated its start", fault(Fault::EndEarly(0)), messages, true, Some(1)),
        ("a close after words", fault(Fault::Close(At::Chunk(3))), chat, true, Some(3 + REASONING)),
        ("a reset before the head", fault(Fault::Reset(At::Byte(0))), chat, false, Some(0)),
        ("a reset in the head", fault(Fault::Reset(At::Byte(12))), chat, false, Some(0)),
        ("a plain answer cut short", fault(Fault::ShortBody), chat, false, whole),
    ];
    for (name, script, path, stream, took) in cases {
        let simulator = simulator().await;
        simulator.script(script);
        call(simulator.addr(), path, stream, false).await;
        simulator.book().wait_for_ended(1).await;
        let totals = simulator.book().totals();
        let consumed = simulator.book().calls()[0].consumed;
        assert_eq!(totals.consumed, consumed, "{name}");
        let input = took.map_or(0, |_| INPUT);
        assert_eq!((consumed.input_tokens, consumed.output_tokens), (input, took.unwrap_or(0)), "{name}");
        assert_eq!(totals.charged, i128::from(input + 1_000 * took.unwrap_or(0)), "{name}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_has_taken_its_input() {
    let simulator = simulator().await;
    simulator.script(Script::usual().then(Fault::Stall(At::Byte(0))));
    call(simulator.addr(), "/v1/chat/completions", true, true).await;
    simulator.book().wait_for_ended(1).await;
    let consumed = simulator.book().totals().consumed;
    assert_eq!((consumed.input_tokens, consumed.output_tokens), (INPUT, 0));
}
