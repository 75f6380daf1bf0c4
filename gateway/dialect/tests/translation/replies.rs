//! Whole answers from a target's dialect into a client's.

use serde_json::{Value, json};
use tollgate_domain::Usage;

use crate::{CHAT, MESSAGES, told, way};

fn usage() -> Usage {
    Usage { input_uncached: 10, cache_read: 5, output_text: 3, output_reasoning: 2, ..Usage::default() }
}

#[test]
fn an_answer_of_messages_reads_as_a_chat_completion() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sealed"}, {"type": "text", "text": "So"},
            {"type": "text", "text": " be it."}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5}});
    let usage = usage();
    let reply =
        way(CHAT, MESSAGES).reply(body.to_string().as_bytes(), &told(Some(&usage))).expect("an answer");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    let message = &reply["choices"][0]["message"];
    assert_eq!(reply["id"], "chatcmpl-7");
    assert_eq!((&reply["object"], &reply["model"]), (&json!("chat.completion"), &json!("claude-x")));
    assert_eq!(message["content"], "So be it.");
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(
        message["thinking_blocks"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "sealed"}])
    );
    assert_eq!(message["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"b\":1,\"a\":2}"}));
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        (&reply["usage"]["prompt_tokens"], &reply["usage"]["completion_tokens"]),
        (&json!(15), &json!(5))
    );
    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
    assert_eq!(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], 2);
}

#[test]
fn a_chat_completion_reads_as_an_answer_of_messages() {
    let body = json!({"id": "c", "object": "chat.completion", "model": "gpt-x", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "So be it.", "reasoning_content": "hm", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.50}"}},
            {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{broken"}}]},
        "finish_reason": "tool_calls"}]});
    let usage = usage();
    let reply =
        way(MESSAGES, CHAT).reply(body.to_string().as_bytes(), &told(Some(&usage))).expect("an answer");
    let text = String::from_utf8(reply.clone()).expect("text");
    assert!(text.contains("{\"b\":1.50}"), "arguments keep their bytes: {text}");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!((&reply["id"], &reply["type"]), (&json!("msg_7"), &json!("message")));
    let kinds: Vec<_> =
        reply["content"].as_array().expect("blocks").iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    assert_eq!(reply["content"][3]["input"], json!({"_raw": "{broken"}), "an answer is not thrown away");
    assert_eq!(reply["stop_reason"], "tool_use");
    assert_eq!(reply["usage"]["input_tokens"], 10, "cached tokens stand beside");
    assert_eq!(reply["usage"]["cache_read_input_tokens"], 5);
    assert_eq!(reply["usage"]["output_tokens"], 5);
}

#[test]
fn an_answer_that_is_json_itself_is_not_lost() {
    let body = json!({"model": "m", "choices": [{"message": {"content": {"b": 1, "a": [2]}}, "finish_reason": "stop"}]});
    let reply = way(MESSAGES, CHAT).reply(body.to_string().as_bytes(), &told(None)).expect("an answer");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(reply["content"], json!([{"type": "text", "text": "{\"b\":1,\"a\":[2]}"}]));
}

#[test]
fn reasons_to_end_keep_their_meaning() {
    let chat = |reason: &str| {
        json!({"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": reason}]}).to_string()
    };
    let messages = |reason: &str| {
        json!({"model": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": reason}).to_string()
    };
    let from_chat = [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("model_length", "max_tokens"),
    ];
    for (reason, want) in from_chat {
        let reply = way(MESSAGES, CHAT).reply(chat(reason).as_bytes(), &told(None)).expect("an answer");
        assert_eq!(serde_json::from_slice::<Value>(&reply).expect("JSON")["stop_reason"], want);
    }
    let from_messages = [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "stop"),
    ];
    for (reason, want) in from_messages {
        let reply = way(CHAT, MESSAGES).reply(messages(reason).as_bytes(), &told(None)).expect("an answer");
        assert_eq!(
            serde_json::from_slice::<Value>(&reply).expect("JSON")["choices"][0]["finish_reason"],
            want
        );
    }
}

#[test]
fn a_call_without_an_id_gets_one_that_its_client_can_answer() {
    let said = json!({"model": "m", "content": [{"type": "text", "text": "x"},
        {"type": "tool_use", "name": "f", "input": {}}], "stop_reason": "tool_use"});
    let reply = way(CHAT, MESSAGES).reply(said.to_string().as_bytes(), &told(None)).expect("an answer");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(reply["choices"][0]["message"]["tool_calls"][0]["id"], "call_1");
    let said = json!({"model": "m", "choices": [{"message": {"content": "x", "tool_calls": [
        {"type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}]});
    let reply = way(MESSAGES, CHAT).reply(said.to_string().as_bytes(), &told(None)).expect("an answer");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(reply["content"][1]["id"], "call_0");
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for body in ["", "null", "[]", "{}", "{\"choices\":[]}", "{\"content\":7}", "<html>"] {
        assert!(way(MESSAGES, CHAT).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
        assert!(way(CHAT, MESSAGES).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
    }
}
