//! What callers of Gemini's paths get.

use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Options, Outcome, Protocol, Refusal, Script, Simulator, text_of};

use crate::client::{Client, event_data};

const STREAM: &str = "/v1beta/models/g:streamGenerateContent";

fn body(more: Value) -> Value {
    let mut body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "12345678" }] }] });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

async fn simulator(behaviour: Behaviour) -> Simulator {
    Simulator::start(Options { behaviour, ..Options::default() }).await.expect("a free port")
}

/// The chunks of a stream in either frame.
fn chunks(events: bool, body: &[u8]) -> Vec<Value> {
    if !events {
        return serde_json::from_slice(body).expect("one array");
    }
    event_data(body).iter().map(|data| serde_json::from_str(data).expect("a chunk")).collect()
}

#[tokio::test]
async fn content_is_generated_in_one_piece_and_as_a_stream_in_either_frame() {
    let simulator =
        simulator(Behaviour { chunks: 3, cached_tokens: 1, reasoning_tokens: 7, ..Behaviour::default() })
            .await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let plain = client.post("/v1beta/models/g:generateContent", &body(json!({}))).await.json();
    assert_eq!(plain["candidates"][0]["content"]["parts"][0]["text"], text_of(3));
    let usage = json!({ "promptTokenCount": 2, "cachedContentTokenCount": 1, "candidatesTokenCount": 3,
        "thoughtsTokenCount": 7, "totalTokenCount": 12 });
    assert_eq!((&plain["usageMetadata"], &plain["modelVersion"]), (&usage, &json!("g")));
    for (path, events) in [(format!("{STREAM}?alt=sse"), true), (STREAM.to_owned(), false)] {
        let answer = client.post(&path, &body(json!({}))).await;
        let content_type = answer.header("content-type").expect("a type");
        assert_eq!(content_type.starts_with("text/event-stream"), events);
        let chunks = chunks(events, &answer.body);
        let said: String = chunks
            .iter()
            .filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str())
            .collect();
        assert_eq!(said, text_of(3));
        let last = chunks.last().expect("chunks");
        assert_eq!(
            (&last["candidates"][0]["finishReason"], &last["usageMetadata"]),
            (&json!("STOP"), &usage)
        );
        assert_eq!(chunks[0]["usageMetadata"]["candidatesTokenCount"], 1, "totals so far");
    }
    simulator.book().wait_for_ended(3).await;
    for call in simulator.book().calls() {
        assert_eq!((call.outcome, call.usage_told, call.usage.output_tokens), (Outcome::Whole, true, 10));
        assert_eq!(call.model.as_deref(), Some("g"));
    }
}

#[tokio::test]
async fn tools_caps_and_candidates_are_heeded() {
    let simulator = simulator(Behaviour { chunks: 9, ..Behaviour::default() }).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let capped = json!({ "generationConfig": { "maxOutputTokens": 4, "candidateCount": 2 } });
    let answer = client.post("/v1beta/models/g:generateContent", &body(capped)).await.json();
    assert_eq!(answer["candidates"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["candidates"][1]["finishReason"], "MAX_TOKENS");
    assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 8);
    let tool = json!({ "tools": [{ "functionDeclarations": [{ "name": "f", "parameters": {
            "type": "OBJECT", "properties": { "place": { "type": "STRING" } } } }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY" } } });
    let answer = client.post(&format!("{STREAM}?alt=sse"), &body(tool)).await;
    let first = &chunks(true, &answer.body)[0];
    assert_eq!(
        first["candidates"][0]["content"]["parts"][0]["functionCall"],
        json!({ "name": "f", "args": { "place": "Paris" } })
    );
}

#[tokio::test]
async fn contents_are_embedded_and_counted() {
    let simulator = simulator(Behaviour::default()).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let counted = client.post("/v1beta/models/g:countTokens", &body(json!({}))).await.json();
    assert_eq!(counted, json!({ "totalTokens": 2 }));
    let content = json!({ "content": { "parts": [{ "text": "12345678" }] }, "outputDimensionality": 3 });
    let one = client.post("/v1beta/models/e:embedContent", &content).await.json();
    assert_eq!(one["embedding"]["values"].as_array().map(Vec::len), Some(3));
    assert_eq!(one["usageMetadata"]["promptTokenCount"], 2);
    let batch = json!({ "requests": [content, content] });
    let several = client.post("/v1beta/models/e:batchEmbedContents", &batch).await.json();
    assert_eq!(several["embeddings"].as_array().map(Vec::len), Some(2));
    assert_eq!(several["usageMetadata"]["promptTokenCount"], 4);
}

#[tokio::test]
async fn refusals_and_errors_in_streams_have_googles_words() {
    let simulator = simulator(Behaviour::default()).await;
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    simulator.script(Script::rate_limited(std::time::Duration::from_millis(1_500)));
    let refused = client.post(STREAM, &body(json!({}))).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(error["details"][0]["retryDelay"], "1.500s");
    simulator.script(Script::refusal(Refusal::ModelNotFound));
    let refused = client.post(STREAM, &body(json!({}))).await;
    assert_eq!((refused.status, &refused.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    for (path, events) in [(format!("{STREAM}?alt=sse"), true), (STREAM.to_owned(), false)] {
        for said in [0, 2] {
            simulator.script(Script::usual().then(Fault::ErrorEvent(said)));
            let answer = client.post(&path, &body(json!({}))).await;
            let chunks = chunks(events, &answer.body);
            assert_eq!(chunks.len(), said as usize + 1, "{path}");
            assert_eq!(chunks[said as usize]["error"]["status"], "UNAVAILABLE");
        }
    }
}
