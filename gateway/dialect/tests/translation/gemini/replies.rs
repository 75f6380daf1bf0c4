//! Whole answers of generated content into other dialects, and back.

use serde_json::{Value, json};
use tollgate_dialect::Translation;
use tollgate_domain::Usage;

use crate::{CHAT, GENERATE, MESSAGES, told, way};

fn usage() -> Usage {
    Usage { input_uncached: 10, cache_read: 5, output_text: 3, output_reasoning: 2, ..Usage::default() }
}

fn read(way: Translation, body: &Value) -> Value {
    let usage = usage();
    let reply = way.reply(body.to_string().as_bytes(), &told(Some(&usage))).expect("an answer");
    serde_json::from_slice(&reply).expect("JSON")
}

fn generated() -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [
            {"text": "hm", "thought": true}, {"text": "So"}, {"text": " be it."},
            {"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "own", "name": "g"}}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 15}, "modelVersion": "models/gemini-x", "responseId": "r-7_x"})
}

#[test]
fn generated_content_reads_as_a_chat_completion() {
    let reply = read(way(CHAT, GENERATE), &generated());
    let message = &reply["choices"][0]["message"];
    assert_eq!((&reply["model"], &message["content"]), (&json!("gemini-x"), &json!("So be it.")));
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(
        message["tool_calls"],
        json!([
            {"id": "call_r7x_0", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1,\"a\":2}"},
             "extra_content": {"google": {"thought_signature": "c2ln"}}},
            {"id": "own", "type": "function", "function": {"name": "g", "arguments": "{}"}}])
    );
    assert_eq!(message.get("thinking_blocks"), None);
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls", "calls are the only sign");
    assert_eq!(
        (&reply["usage"]["prompt_tokens"], &reply["usage"]["completion_tokens"]),
        (&json!(15), &json!(5))
    );
}

#[test]
fn generated_content_reads_as_an_answer_of_messages() {
    let reply = read(way(MESSAGES, GENERATE), &generated());
    assert_eq!(
        reply["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "So be it."},
               {"type": "thinking", "thinking": "", "signature": "gemini:c2ln"},
               {"type": "tool_use", "id": "call_r7x_0", "name": "f", "input": {"b": 1, "a": 2}},
               {"type": "tool_use", "id": "own", "name": "g", "input": {}}])
    );
    assert_eq!(reply["stop_reason"], "tool_use");
}

#[test]
fn answers_of_others_read_as_generated_content() {
    let chat = json!({"model": "gpt-x", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "So be it.", "reasoning_content": "hm", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.5}"}},
            {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{broken"}}]}}]});
    let reply = read(way(GENERATE, CHAT), &chat);
    assert_eq!(
        reply,
        json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}, {"text": "So be it."},
                {"functionCall": {"id": "call_1", "name": "f", "args": {"b": 1.5}}},
                {"functionCall": {"id": "call_2", "name": "g", "args": {"_raw": "{broken"}}}], "role": "model"},
                "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 15, "candidatesTokenCount": 3, "totalTokenCount": 20,
                "cachedContentTokenCount": 5, "thoughtsTokenCount": 2},
            "modelVersion": "gpt-x", "responseId": "7"})
    );
    let messages = json!({"model": "claude-x", "stop_reason": "max_tokens", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "Eq+/"}, {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "So"}]});
    let reply = read(way(GENERATE, MESSAGES), &messages);
    assert_eq!(
        reply["candidates"][0]["content"]["parts"],
        json!([{"text": "hm", "thought": true, "thoughtSignature": "dG9sbGdhdGUuMS5hbnRocm9waWMuZXlKd2NtOXZaaUk2SWtWeEt5OGlmUT09"},
               {"text": "", "thought": true, "thoughtSignature": "cmVkYWN0ZWQ6dG9sbGdhdGUuMS5hbnRocm9waWMuZXlKd2NtOXZaaUk2SW5naWZRPT0="}, {"text": "So"}])
    );
    assert_eq!(reply["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[test]
fn reasons_to_end_keep_their_meaning() {
    let generated = |reason: &str| json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": reason}]});
    let cases = [
        ("STOP", "stop", "end_turn"),
        ("MAX_TOKENS", "length", "max_tokens"),
        ("SAFETY", "content_filter", "refusal"),
        ("RECITATION", "content_filter", "refusal"),
        ("MODEL_ARMOR", "content_filter", "refusal"),
        ("OTHER", "stop", "end_turn"),
    ];
    for (reason, chat, messages) in cases {
        assert_eq!(
            read(way(CHAT, GENERATE), &generated(reason))["choices"][0]["finish_reason"],
            chat,
            "{reason}"
        );
        assert_eq!(read(way(MESSAGES, GENERATE), &generated(reason))["stop_reason"], messages, "{reason}");
    }
    for (theirs, ours) in
        [("stop", "STOP"), ("length", "MAX_TOKENS"), ("tool_calls", "STOP"), ("content_filter", "SAFETY")]
    {
        let chat = json!({"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": theirs}]});
        assert_eq!(read(way(GENERATE, CHAT), &chat)["candidates"][0]["finishReason"], ours, "{theirs}");
    }
}

#[test]
fn a_refused_prompt_is_an_answer_and_a_broken_one_is_none() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}, "modelVersion": "g"});
    let reply = read(way(CHAT, GENERATE), &blocked);
    assert_eq!(reply["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(reply["choices"][0]["message"]["content"], "");
    let none = [
        "{}",
        "null",
        "[]",
        r#"{"candidates":[]}"#,
        r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#,
        r#"{"error":{"code":503}}"#,
    ];
    for body in none {
        assert!(way(CHAT, GENERATE).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
        assert!(way(MESSAGES, GENERATE).reply(body.as_bytes(), &told(None)).is_none(), "{body}");
    }
}

#[test]
fn what_gemini_proved_goes_back_to_gemini_in_its_place() {
    let chat = read(way(CHAT, GENERATE), &generated());
    let history = |first: Value, rest: Vec<Value>| {
        let mut messages = vec![json!({"role": "user", "content": "Hi."}), first];
        messages.extend(rest);
        json!({"max_tokens": 9, "messages": messages}).to_string()
    };
    let want = json!({"role": "model", "parts": [{"text": "So be it."},
        {"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "own", "name": "g", "args": {}}}]});
    let body = history(
        chat["choices"][0]["message"].clone(),
        vec![json!({"role": "tool", "tool_call_id": "own", "content": ""})],
    );
    let there: Value =
        serde_json::from_str(&crate::carried(CHAT, GENERATE, &body).expect("it can be said")).expect("JSON");
    assert_eq!(there["contents"][1], want);

    let messages = read(way(MESSAGES, GENERATE), &generated());
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "own", "content": ""}]});
    let body = history(json!({"role": "assistant", "content": messages["content"]}), vec![result]);
    let there: Value =
        serde_json::from_str(&crate::carried(MESSAGES, GENERATE, &body).expect("it can be said"))
            .expect("JSON");
    assert_eq!(there["contents"][1], want);
}
