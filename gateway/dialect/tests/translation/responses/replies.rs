//! Whole answers into responses, and responses into the others' answers.

use serde_json::{Value, json, value::RawValue};
use tollgate_dialect::{Given, HubRequest, HubTold};
use tollgate_domain::Usage;

use crate::{CHAT, MESSAGES, RESPONSES, told, way};

fn usage() -> Usage {
    Usage { input_uncached: 10, cache_read: 5, output_text: 3, output_reasoning: 2, ..Usage::default() }
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn an_answer_of_messages_reads_as_a_response() {
    let body = json!({"model": "claude-x", "stop_reason": "tool_use", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "EqoB"}, {"type": "text", "text": "So"},
        {"type": "text", "text": " be it."}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1}}]});
    let usage = usage();
    let reply = way(RESPONSES, MESSAGES).reply(body.to_string().as_bytes(), &told(Some(&usage)));
    let reply = read(&reply.expect("an answer"));
    assert_eq!(
        (&reply["id"], &reply["object"], &reply["status"]),
        (&json!("resp_7"), &json!("response"), &json!("completed"))
    );
    assert_eq!((&reply["model"], &reply["created_at"]), (&json!("claude-x"), &json!(1_700_000_000)));
    let kinds: Vec<_> = reply["output"].as_array().expect("items").iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(reply["output"][0]["summary"], json!([{"type": "summary_text", "text": "hm"}]));
    let texts: Vec<_> =
        reply["output"][1]["content"].as_array().expect("parts").iter().map(|part| &part["text"]).collect();
    assert_eq!(texts, ["So", " be it."]);
    let call = &reply["output"][2];
    assert_eq!(
        (&call["call_id"], &call["name"], &call["arguments"]),
        (&json!("toolu_1"), &json!("f"), &json!("{\"b\":1}"))
    );
    assert_eq!(
        reply["usage"],
        json!({"input_tokens": 15, "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 20})
    );
    assert_eq!((&reply["store"], &reply["error"]), (&json!(false), &Value::Null), "nothing is kept here");
    assert_eq!(
        (&reply["tools"], &reply["tool_choice"], &reply["parallel_tool_calls"]),
        (&json!([]), &json!("auto"), &json!(true))
    );
}

#[test]
fn an_answer_repeats_what_was_asked_but_not_a_long_prompt() {
    let given = |name: &str, json: String| Given {
        at: name.into(),
        value: RawValue::from_string(json).expect("JSON"),
    };
    let long = format!("\"{}\"", "x".repeat(70_000));
    let echo = vec![
        given("instructions", long),
        given("metadata", r#"{"b":1.50,"a":"é"}"#.into()),
        given("temperature", "0.20".into()),
    ];
    let asked = HubRequest { echo, ..HubRequest::default() };
    let told = HubTold { asked: Some(&asked), ..told(None) };
    let body = r#"{"model":"m","content":[],"stop_reason":"end_turn"}"#;
    let reply = way(RESPONSES, MESSAGES).reply(body.as_bytes(), &told).expect("an answer");
    let text = String::from_utf8(reply.clone()).expect("text");
    assert!(
        text.contains(r#""metadata":{"b":1.50,"a":"é"}"#) && text.contains(r#""temperature":0.20"#),
        "{text}"
    );
    let reply = read(&reply);
    assert_eq!((&reply["instructions"], &reply["usage"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_response_reads_as_a_chat_completion_and_as_an_answer_of_messages() {
    let body = json!({"id": "resp_x", "object": "response", "model": "gpt-x", "status": "completed", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}, {"type": "summary_text", "text": "so"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [
            {"type": "output_text", "text": "So be it.", "annotations": []}, {"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"b\":1.50}"}]});
    let body = body.to_string();
    let chat = read(&way(CHAT, RESPONSES).reply(body.as_bytes(), &told(None)).expect("an answer"));
    let message = &chat["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["refusal"], &message["reasoning_content"]),
        (&json!("So be it."), &json!("No."), &json!("hm\n\nso"))
    );
    assert_eq!(message["tool_calls"][0]["id"], "call_1", "that is what a result names");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"b\":1.50}");
    assert_eq!(chat["choices"][0]["finish_reason"], "tool_calls");
    let reply = way(MESSAGES, RESPONSES).reply(body.as_bytes(), &told(None)).expect("an answer");
    assert!(
        String::from_utf8(reply.clone()).expect("text").contains("{\"b\":1.50}"),
        "arguments keep their bytes"
    );
    let kinds: Vec<_> = read(&reply)["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| block["type"].clone())
        .collect();
    assert_eq!(kinds, ["thinking", "text", "text", "tool_use"]);
}

#[test]
fn reasons_to_end_keep_their_meaning() {
    let messages = |reason: &str| {
        json!({"model": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": reason}).to_string()
    };
    let from_messages = [
        ("end_turn", "completed", Value::Null),
        ("stop_sequence", "completed", Value::Null),
        ("tool_use", "completed", Value::Null),
        ("max_tokens", "incomplete", json!("max_output_tokens")),
        ("model_context_window_exceeded", "incomplete", json!("max_output_tokens")),
        ("refusal", "incomplete", json!("content_filter")),
    ];
    for (reason, status, detail) in from_messages {
        let reply = read(
            &way(RESPONSES, MESSAGES).reply(messages(reason).as_bytes(), &told(None)).expect("an answer"),
        );
        assert_eq!(
            (&reply["status"], &reply["output"][0]["status"]),
            (&json!(status), &json!(status)),
            "{reason}"
        );
        let told = reply.pointer("/incomplete_details/reason").cloned().unwrap_or_default();
        assert_eq!(told, detail, "{reason}");
    }
    let responses = |status: &str, reason: Value| {
        json!({"model": "m", "status": status, "incomplete_details": {"reason": reason}, "output": [
            {"type": "message", "content": [{"type": "output_text", "text": "x"}]}]})
        .to_string()
    };
    let from_responses = [
        ("completed", Value::Null, "stop", "end_turn"),
        ("incomplete", json!("max_output_tokens"), "length", "max_tokens"),
        ("incomplete", json!("content_filter"), "content_filter", "refusal"),
    ];
    for (status, reason, chat, messages) in from_responses {
        let body = responses(status, reason);
        let reply = read(&way(CHAT, RESPONSES).reply(body.as_bytes(), &told(None)).expect("an answer"));
        assert_eq!(reply["choices"][0]["finish_reason"], chat);
        let reply = read(&way(MESSAGES, RESPONSES).reply(body.as_bytes(), &told(None)).expect("an answer"));
        assert_eq!(reply["stop_reason"], messages);
    }
}

#[test]
fn what_is_no_response_is_told_apart() {
    for body in ["", "null", "[]", "{}", "{\"output\":7}", "{\"choices\":[]}", "<html>"] {
        assert!(way(CHAT, RESPONSES).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
        assert!(way(RESPONSES, CHAT).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
        assert!(way(RESPONSES, MESSAGES).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
    }
}
