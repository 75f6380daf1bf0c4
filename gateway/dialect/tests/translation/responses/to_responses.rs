//! What of a request is carried to a target with responses: one row for each feature.

use serde_json::{Value, json};

use crate::{
    CHAT, MESSAGES, RESPONSES,
    requests::{
        Fate::{Carried, Gone, Refused},
        UNSUPPORTED, check,
    },
};

#[test]
fn chat_to_responses() {
    let base = json!({"model": "ours", "messages": [{"role": "user", "content": "Hi."}]});
    let content = |parts: Value| json!({"messages": [{"role": "user", "content": parts}]});
    let called = json!({"messages": [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.50}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"}]});
    let tool = |more: Value| {
        let mut members = json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d",
            "parameters": {"type": "object"}}}]});
        members.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        members
    };
    check(
        CHAT,
        RESPONSES,
        &base,
        vec![
            ("model", json!({}), Carried("/model", json!("theirs"))),
            ("nothing is kept", json!({}), Carried("/store", json!(false))),
            ("text", json!({}), Carried("/input", json!([{"role": "user", "content": "Hi."}]))),
            ("cap", json!({"max_tokens": 9}), Carried("/max_output_tokens", json!(9))),
            (
                "system",
                json!({"messages": [{"role": "system", "content": "S"}, {"role": "developer", "content": "D"},
                    {"role": "user", "content": "Hi."}]}),
                Carried("/instructions", json!("S")),
            ),
            (
                "more of it",
                json!({"messages": [{"role": "system", "content": "S"}, {"role": "developer", "content": "D"},
                    {"role": "user", "content": "Hi."}]}),
                Carried("/input/0", json!({"role": "developer", "content": "D"})),
            ),
            (
                "system later on",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "system", "content": "S"}]}),
                Carried("/input/1", json!({"role": "developer", "content": "S"})),
            ),
            (
                "image",
                content(json!([{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}])),
                Carried(
                    "/input/0/content/0",
                    json!({"type": "input_image", "image_url": "https://x.test/a.png"}),
                ),
            ),
            (
                "document",
                content(
                    json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}}]),
                ),
                Carried(
                    "/input/0/content/0",
                    json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}),
                ),
            ),
            (
                "stored file",
                content(json!([{"type": "file", "file": {"file_id": "f"}}])),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "said before",
                called.clone(),
                Carried("/input/1", json!({"role": "assistant", "content": "Let me see."})),
            ),
            (
                "call",
                called.clone(),
                Carried(
                    "/input/2",
                    json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"b\":1.50}"}),
                ),
            ),
            (
                "result",
                called,
                Carried(
                    "/input/3",
                    json!({"type": "function_call_output", "call_id": "call_1", "output": "42"}),
                ),
            ),
            (
                "tool",
                tool(json!({})),
                Carried(
                    "/tools/0",
                    json!({"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": false}),
                ),
            ),
            (
                "choice: required",
                tool(json!({"tool_choice": "required"})),
                Carried("/tool_choice", json!("required")),
            ),
            (
                "choice: named",
                tool(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
                Carried("/tool_choice", json!({"type": "function", "name": "f"})),
            ),
            (
                "one call at a time",
                tool(json!({"parallel_tool_calls": false})),
                Carried("/parallel_tool_calls", json!(false)),
            ),
            (
                "custom tool",
                json!({"tools": [{"type": "custom", "custom": {"name": "x"}}]}),
                Refused(UNSUPPORTED, "tools[0]"),
            ),
            ("effort", json!({"reasoning_effort": "low"}), Carried("/reasoning", json!({"effort": "low"}))),
            (
                "the proof of what it reasons",
                json!({"reasoning_effort": "low"}),
                Carried("/include", json!(["reasoning.encrypted_content"])),
            ),
            (
                "any JSON",
                json!({"response_format": {"type": "json_object"}}),
                Carried("/text/format", json!({"type": "json_object"})),
            ),
            (
                "schema",
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}}),
                Carried(
                    "/text/format",
                    json!({"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": false}),
                ),
            ),
            ("few words", json!({"verbosity": "low"}), Carried("/text/verbosity", json!("low"))),
            ("tier", json!({"service_tier": "flex"}), Carried("/service_tier", json!("flex"))),
            ("metadata", json!({"metadata": {"a": "b"}}), Carried("/metadata", json!({"a": "b"}))),
            ("temperature", json!({"temperature": 1.5}), Carried("/temperature", json!(1.5))),
            ("stop texts", json!({"stop": ["x"]}), Refused(UNSUPPORTED, "stop")),
            ("seed", json!({"seed": 7}), Refused(UNSUPPORTED, "seed")),
            ("penalty", json!({"presence_penalty": 1}), Refused(UNSUPPORTED, "presence_penalty")),
            ("several answers", json!({"n": 2}), Refused(UNSUPPORTED, "n")),
            ("logit_bias", json!({"logit_bias": {"1": 2}}), Refused(UNSUPPORTED, "logit_bias")),
            ("logprobs", json!({"logprobs": true}), Refused(UNSUPPORTED, "logprobs")),
            ("sound", json!({"modalities": ["text", "audio"]}), Refused(UNSUPPORTED, "modalities")),
            (
                "stream",
                json!({"stream": true, "stream_options": {"include_usage": true}}),
                Carried("/stream", json!(true)),
            ),
            ("usage, which comes unasked", json!({"stream": true}), Gone("/stream_options")),
        ],
    );
}

#[test]
fn messages_to_responses() {
    let base = json!({"model": "ours", "max_tokens": 99, "messages": [{"role": "user", "content": "Hi."}]});
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    check(
        MESSAGES,
        RESPONSES,
        &base,
        vec![
            ("cap", json!({}), Carried("/max_output_tokens", json!(99))),
            ("system", json!({"system": "S"}), Carried("/instructions", json!("S"))),
            (
                "image",
                block(
                    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}),
                ),
                Carried("/input/0/content/0/image_url", json!("data:image/png;base64,QUJD")),
            ),
            (
                "document by URL",
                block(json!({"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}})),
                Carried(
                    "/input/0/content/0",
                    json!({"type": "input_file", "file_url": "https://x.test/a.pdf"}),
                ),
            ),
            (
                "a result with a picture",
                block(json!({"type": "tool_result", "tool_use_id": "t", "content": [
                    {"type": "image", "source": {"type": "url", "url": "https://x.test"}}]})),
                Carried("/input/0/output/0", json!({"type": "input_image", "image_url": "https://x.test"})),
            ),
            (
                "call with its reasoning",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "EqoB"},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1.5}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}]}]}),
                Carried(
                    "/input/1",
                    json!({"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": "{\"b\":1.5}"}),
                ),
            ),
            (
                "budget of thinking",
                json!({"thinking": {"type": "enabled", "budget_tokens": 5000}}),
                Carried("/reasoning/effort", json!("medium")),
            ),
            (
                "schema",
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
                Carried(
                    "/text/format",
                    json!({"type": "json_schema", "name": "response", "schema": {"type": "object"}, "strict": true}),
                ),
            ),
            ("stop texts", json!({"stop_sequences": ["x"]}), Refused(UNSUPPORTED, "stop_sequences")),
            ("top_k", json!({"top_k": 5}), Refused(UNSUPPORTED, "top_k")),
            (
                "tool of the provider",
                json!({"tools": [{"type": "web_search_20250305", "name": "w"}]}),
                Refused(UNSUPPORTED, "tools[0]"),
            ),
            (
                "a tier that only its own vendor has",
                json!({"service_tier": "batch"}),
                Refused(UNSUPPORTED, "service_tier"),
            ),
            ("user", json!({"metadata": {"user_id": "u"}}), Carried("/user", json!("u"))),
            (
                "words put into the mouth",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "{"}]}),
                Refused(UNSUPPORTED, "messages[1]"),
            ),
        ],
    );
}
