//! What callers of Bedrock's InvokeModel and of Cohere's own API get.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tollgate_simulator::{
    Behaviour, Fault, Operation, Options, Outcome, Protocol, Refusal, Script, Simulator, text_of,
};

use crate::client::Client;

const INVOKE: &str = "/model/anthropic.claude-sonnet-4-5%3A0/invoke";
const STREAM: &str = "/model/anthropic.claude-sonnet-4-5%3A0/invoke-with-response-stream";

fn body() -> Value {
    json!({ "anthropic_version": "bedrock-2023-05-31", "max_tokens": 50,
        "messages": [{ "role": "user", "content": "12345678" }] })
}

async fn simulator(behaviour: Behaviour) -> Simulator {
    Simulator::start(Options { behaviour, ..Options::default() }).await.expect("a free port")
}

/// The events within the chunks of a stream.
fn events(mut bytes: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let number =
            |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        let (total, headers) = (number(0), number(4));
        let payload: Value = serde_json::from_slice(&bytes[12 + headers..total - 4]).expect("JSON");
        let inner = payload["bytes"].as_str().map(|text| BASE64_STANDARD.decode(text).expect("base64"));
        found.push(inner.map_or(payload, |inner| serde_json::from_slice(&inner).expect("an event")));
        bytes = &bytes[total..];
    }
    found
}

#[tokio::test]
async fn anthropics_models_answer_in_their_own_words_with_awss_counts_beside() {
    let simulator = simulator(Behaviour { chunks: 3, cached_tokens: 1, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let plain = client.post(INVOKE, &body()).await;
    assert_eq!((plain.status, plain.json()["content"][0]["text"].as_str()), (200, Some(&*text_of(3))));
    let count = |name: &str| plain.header(&format!("x-amzn-bedrock-{name}-token-count"));
    assert_eq!((count("input"), count("output")), (Some("1"), Some("3")));
    assert_eq!(count("cache-read-input"), Some("1"));

    let stream = client.post(STREAM, &body()).await;
    assert_eq!(stream.header("content-type"), Some("application/vnd.amazon.eventstream"));
    let events = events(&stream.body);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let said: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(said, text_of(3));
    let metrics = &events[7]["amazon-bedrock-invocationMetrics"];
    assert_eq!((&metrics["inputTokenCount"], &metrics["outputTokenCount"]), (&json!(1), &json!(3)));

    simulator.book().wait_for_ended(2).await;
    let calls = simulator.book().calls();
    let operations: Vec<Operation> = calls.iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Invoke, Operation::InvokeStream]);
    for call in calls {
        assert_eq!((call.outcome, call.usage_told, call.usage.output_tokens), (Outcome::Whole, true, 3));
        assert_eq!(call.model.as_deref(), Some("anthropic.claude-sonnet-4-5:0"));
    }
}

#[tokio::test]
async fn a_fault_counts_the_words_and_not_the_frames() {
    let simulator = simulator(Behaviour { chunks: 3, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    simulator.script(Script::usual().then(Fault::ErrorEvent(2)));
    let events = events(&client.post(STREAM, &body()).await.body);
    let said = events.iter().filter(|event| event["delta"]["text"].is_string()).count();
    assert_eq!((said, &events.last().expect("an exception")["message"]), (2, &json!("Overloaded")));
    simulator.book().wait_for_ended(1).await;
    let call = simulator.book().calls().remove(0);
    assert_eq!((call.usage_told, call.consumed.output_tokens), (false, 2));
}

#[tokio::test]
async fn texts_are_embedded_as_each_vendor_words_it() {
    let simulator = simulator(Behaviour::default()).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let titan = json!({ "inputText": "12345678", "dimensions": 3 });
    let one = client.post("/model/amazon.titan-embed-text-v2%3A0/invoke", &titan).await;
    assert_eq!(one.json()["embedding"].as_array().map(Vec::len), Some(3));
    assert_eq!(one.json()["inputTextTokenCount"], 2);
    let texts = json!({ "texts": ["1234", "5678"], "input_type": "search_query", "output_dimension": 3 });
    let several = client.post("/model/cohere.embed-v4%3A0/invoke", &texts).await;
    assert_eq!(several.json()["embeddings"].as_array().map(Vec::len), Some(2));
    assert_eq!(several.header("x-amzn-bedrock-input-token-count"), Some("2"));
    let mut texts = texts;
    texts["model"] = json!("embed-v4.0");
    let own = client.post("/v2/embed", &texts).await.json();
    assert_eq!(own["embeddings"]["float"][1].as_array().map(Vec::len), Some(3));
    assert_eq!(own["meta"]["billed_units"]["input_tokens"], 2);
    let refused = client.post("/model/cohere.embed-v4%3A0/invoke-with-response-stream", &texts).await;
    assert_eq!(refused.status, 400);
    simulator.book().wait_for_ended(4).await;
    assert_eq!(simulator.book().totals().told.input_tokens, 6);
}

#[tokio::test]
async fn coheres_refusals_have_its_words() {
    let simulator = simulator(Behaviour::default()).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    simulator.script(Script::refusal(Refusal::ModelNotFound));
    let refused = client.post("/v2/embed", &json!({ "model": "m", "texts": ["a"] })).await;
    assert_eq!(refused.status, 404);
    assert_eq!(refused.json()["message"], "model 'm' not found, make sure the correct model ID was used.");
}
