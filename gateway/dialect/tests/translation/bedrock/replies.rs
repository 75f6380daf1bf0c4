//! Whole answers of Converse into other dialects, and back.

use serde_json::{Value, json};
use tollgate_dialect::Translation;
use tollgate_domain::Usage;

use crate::{CHAT, CONVERSE, GENERATE, MESSAGES, told, way};

fn read(way: Translation, body: &Value) -> Value {
    let usage = Usage {
        input_uncached: 10,
        cache_read: 5,
        cache_write_5m: 2,
        cache_write_1h: 1,
        output_text: 3,
        ..Usage::default()
    };
    let reply = way.reply(body.to_string().as_bytes(), &told(Some(&usage))).expect("an answer");
    serde_json::from_slice(&reply).expect("JSON")
}

fn converse() -> Value {
    json!({"output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eq+/"}}},
            {"reasoningContent": {"redactedContent": "EqoB"}},
            {"text": "So"}, {"text": " be it."},
            {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {"b": 1, "a": 2}}},
            {"toolUse": {"toolUseId": "tooluse_2", "name": "g"}}]}},
        "stopReason": "tool_use", "usage": {"inputTokens": 10, "outputTokens": 3, "totalTokens": 21},
        "metrics": {"latencyMs": 7}})
}

#[test]
fn an_answer_of_converse_reads_as_a_chat_completion() {
    let reply = read(way(CHAT, CONVERSE), &converse());
    let message = &reply["choices"][0]["message"];
    assert_eq!((&reply["model"], &message["content"]), (&json!("theirs"), &json!("So be it.")));
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(
        message["thinking_blocks"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "Eq+/"},
               {"type": "redacted_thinking", "data": "EqoB"}])
    );
    assert_eq!(
        message["tool_calls"],
        json!([{"id": "tooluse_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1,\"a\":2}"}},
               {"id": "tooluse_2", "type": "function", "function": {"name": "g", "arguments": "{}"}}])
    );
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(reply["usage"]["prompt_tokens"], 18);
    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
}

#[test]
fn an_answer_of_converse_reads_as_one_of_messages() {
    let reply = read(way(MESSAGES, CONVERSE), &converse());
    assert_eq!(
        reply["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "Eq+/"},
               {"type": "redacted_thinking", "data": "EqoB"},
               {"type": "text", "text": "So"}, {"type": "text", "text": " be it."},
               {"type": "tool_use", "id": "tooluse_1", "name": "f", "input": {"b": 1, "a": 2}},
               {"type": "tool_use", "id": "tooluse_2", "name": "g", "input": {}}])
    );
    assert_eq!((&reply["model"], &reply["stop_reason"]), (&json!("theirs"), &json!("tool_use")));
    assert_eq!(reply["usage"]["input_tokens"], 10);
    assert_eq!(reply["usage"]["cache_creation_input_tokens"], 3);
}

#[test]
fn answers_of_others_read_as_converse() {
    let chat = json!({"model": "gpt-x", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "So be it.", "reasoning_content": "hm", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.5}"}},
            {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{broken"}}]}}]});
    assert_eq!(
        read(way(CONVERSE, CHAT), &chat),
        json!({"output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "So be it."},
                {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"b": 1.5}}},
                {"toolUse": {"toolUseId": "call_2", "name": "g", "input": {"_raw": "{broken"}}}]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 10, "outputTokens": 3, "totalTokens": 21, "cacheReadInputTokens": 5,
                "cacheWriteInputTokens": 3, "cacheDetails": [{"ttl": "1h", "inputTokens": 1}, {"ttl": "5m", "inputTokens": 2}]},
            "metrics": {"latencyMs": 0}})
    );
    let messages = json!({"model": "claude-x", "stop_reason": "end_turn", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "Eq+/"}, {"type": "redacted_thinking", "data": "EqoB"},
        {"type": "text", "text": "So"}]});
    assert_eq!(
        read(way(CONVERSE, MESSAGES), &messages)["output"]["message"]["content"],
        json!([{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eq+/"}}},
               {"reasoningContent": {"redactedContent": "EqoB"}}, {"text": "So"}])
    );
    let generated = json!({"modelVersion": "g", "candidates": [{"finishReason": "SAFETY", "content": {"parts": [
        {"text": "hm", "thought": true, "thoughtSignature": "c2ln"}]}}]});
    let reply = read(way(CONVERSE, GENERATE), &generated);
    assert_eq!(
        reply["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"],
        json!({"text": "hm", "signature": "gemini:c2ln"})
    );
    assert_eq!(reply["stopReason"], "content_filtered");
}

#[test]
fn each_reason_to_end_has_its_counterpart() {
    let reasons = [
        ("end_turn", "stop", "end_turn"),
        ("max_tokens", "length", "max_tokens"),
        ("model_context_window_exceeded", "length", "model_context_window_exceeded"),
        ("stop_sequence", "stop", "stop_sequence"),
        ("tool_use", "tool_calls", "tool_use"),
        ("content_filtered", "content_filter", "refusal"),
        ("guardrail_intervened", "content_filter", "refusal"),
        ("malformed_tool_use", "stop", "end_turn"),
    ];
    for (reason, chat, messages) in reasons {
        let mut body = converse();
        body["stopReason"] = json!(reason);
        assert_eq!(read(way(CHAT, CONVERSE), &body)["choices"][0]["finish_reason"], chat);
        assert_eq!(read(way(MESSAGES, CONVERSE), &body)["stop_reason"], messages);
    }
}

#[test]
fn what_is_no_answer_is_told_apart() {
    let broken = json!({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "malformed_model_output"});
    for body in ["", "{}", "[]", r#"{"message":"no"}"#, &broken.to_string()] {
        assert_eq!(way(CHAT, CONVERSE).reply(body.as_bytes(), &told(None)), None, "{body}");
    }
}
