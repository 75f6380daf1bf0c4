//! What of a request for a response is carried to others: one row for each feature and target.

use serde_json::{Value, json};

use crate::{
    CHAT, MESSAGES, RESPONSES,
    requests::{
        Fate::{Carried, Gone, Refused},
        INVALID, UNSUPPORTED, check,
    },
};

fn base() -> Value {
    json!({"model": "ours", "input": "Hi."})
}

fn user(parts: Value) -> Value {
    json!({"input": [{"role": "user", "content": parts}]})
}

/// A call with its result, as responses tell it.
fn called(arguments: &str) -> Value {
    json!({"input": [
        {"role": "user", "content": "Hi."},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "phase": "commentary",
         "content": [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": arguments},
        {"type": "function_call", "call_id": "call_2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "43"}]},
        {"role": "user", "content": "And?"}]})
}

fn with_tool(more: Value) -> Value {
    let mut members = json!({"tools": [{"type": "function", "name": "f", "description": "d", "strict": true,
        "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}]});
    members.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    members
}

/// Rows whose fate is the same whatever the target speaks.
fn refused_everywhere() -> Vec<(&'static str, Value, crate::requests::Fate)> {
    let item = |item: Value| json!({"input": [{"role": "user", "content": "Hi."}, item]});
    vec![
        ("state", json!({"previous_response_id": "r"}), Refused(UNSUPPORTED, "previous_response_id")),
        ("conversation", json!({"conversation": "c"}), Refused(UNSUPPORTED, "conversation")),
        ("stored prompt", json!({"prompt": {"id": "p"}}), Refused(UNSUPPORTED, "prompt")),
        ("background", json!({"background": true}), Refused(UNSUPPORTED, "background")),
        ("cutting the beginning", json!({"truncation": "auto"}), Refused(UNSUPPORTED, "truncation")),
        ("not cutting it", json!({"truncation": "disabled"}), Gone("/truncation")),
        ("hosted tool", json!({"tools": [{"type": "web_search"}]}), Refused(UNSUPPORTED, "tools[0]")),
        (
            "tool without a schema",
            json!({"tools": [{"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}}]}),
            Refused(UNSUPPORTED, "tools[0]"),
        ),
        ("local shell", json!({"tools": [{"type": "local_shell"}]}), Refused(UNSUPPORTED, "tools[0]")),
        (
            "a tool whose loading is put off",
            json!({"tools": [{"type": "function", "name": "f", "defer_loading": true}]}),
            Refused(UNSUPPORTED, "tools[0].defer_loading"),
        ),
        (
            "choice of a hosted tool",
            with_tool(json!({"tool_choice": {"type": "web_search"}})),
            Refused(UNSUPPORTED, "tool_choice"),
        ),
        ("reference", item(json!({"type": "item_reference", "id": "x"})), Refused(UNSUPPORTED, "input[1]")),
        (
            "compacted history",
            item(json!({"type": "compaction", "encrypted_content": "x"})),
            Refused(UNSUPPORTED, "input[1]"),
        ),
        (
            "call of a hosted tool",
            item(json!({"type": "web_search_call", "id": "ws_1"})),
            Refused(UNSUPPORTED, "input[1]"),
        ),
        (
            "stored file",
            user(json!([{"type": "input_file", "file_id": "f"}])),
            Refused(UNSUPPORTED, "input[0].content[0]"),
        ),
        (
            "stored picture",
            user(json!([{"type": "input_image", "file_id": "f"}])),
            Refused(UNSUPPORTED, "input[0].content[0]"),
        ),
        (
            "unknown part",
            user(json!([{"type": "input_hologram"}])),
            Refused(UNSUPPORTED, "input[0].content[0]"),
        ),
        (
            "logprobs",
            json!({"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}),
            Refused(UNSUPPORTED, "include[1]"),
        ),
        (
            "all earlier reasoning",
            json!({"reasoning": {"context": "all_turns"}}),
            Refused(UNSUPPORTED, "reasoning.context"),
        ),
        (
            "management of the context",
            json!({"context_management": [{"type": "compaction"}]}),
            Refused(UNSUPPORTED, "context_management"),
        ),
        (
            "unknown member of a part",
            user(json!([{"type": "input_text", "text": "x", "hologram": 1}])),
            Refused(UNSUPPORTED, "input[0].content[0].hologram"),
        ),
        ("unknown member", json!({"holograms": 1}), Refused(UNSUPPORTED, "holograms")),
        ("no input", json!({"input": null}), Refused(INVALID, "input")),
        ("input of the wrong shape", json!({"input": 7}), Refused(INVALID, "input")),
        (
            "a role that is none",
            json!({"input": [{"role": "pope", "content": "x"}]}),
            Refused(INVALID, "input[0].role"),
        ),
        (
            "an effort that is none",
            json!({"reasoning": {"effort": "heroic"}}),
            Refused(INVALID, "reasoning.effort"),
        ),
        (
            "a schema that is none",
            json!({"tools": [{"type": "function", "name": "f", "parameters": 7}]}),
            Refused(INVALID, "tools[0].parameters"),
        ),
        (
            "base64 that is none",
            user(json!([{"type": "input_image", "image_url": "data:image/png;base64,%%"}])),
            Refused(INVALID, "input[0].content[0].image_url"),
        ),
        ("storage, which the answer denies", json!({"store": true}), Gone("/store")),
        ("how a stream is veiled", json!({"stream_options": {"include_obfuscation": false}}), Gone("/x")),
    ]
}

#[test]
fn responses_to_messages() {
    check(RESPONSES, MESSAGES, &base(), refused_everywhere());
    let reasoning = |sealed: &str| {
        json!({"input": [{"role": "user", "content": "Hi."},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
             "encrypted_content": sealed},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "42"}],
            "reasoning": {"effort": "high"}})
    };
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    check(
        RESPONSES,
        MESSAGES,
        &base(),
        vec![
            ("model", json!({}), Carried("/model", json!("theirs"))),
            ("a cap that is demanded", json!({}), Carried("/max_tokens", json!(500))),
            ("cap", json!({"max_output_tokens": 9}), Carried("/max_tokens", json!(9))),
            (
                "input of one text",
                json!({}),
                Carried("/messages", json!([{"role": "user", "content": text("Hi.")}])),
            ),
            ("instructions", json!({"instructions": "S"}), Carried("/system", text("S"))),
            (
                "instructions in the input",
                json!({"instructions": "S", "input": [{"role": "developer", "content": "D"},
                    {"role": "user", "content": "Hi."}]}),
                Carried("/system", json!([{"type": "text", "text": "S"}, {"type": "text", "text": "D"}])),
            ),
            (
                "instructions later on",
                json!({"input": [{"role": "user", "content": "Hi."}, {"role": "system", "content": "S"}]}),
                Refused(UNSUPPORTED, "input[1]"),
            ),
            (
                "image by data",
                user(
                    json!([{"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,QUJD"}]),
                ),
                Carried(
                    "/messages/0/content/0/source",
                    json!({"type": "base64", "media_type": "image/png", "data": "QUJD"}),
                ),
            ),
            (
                "image by URL",
                user(json!([{"type": "input_image", "image_url": "https://x.test/a.png"}])),
                Carried(
                    "/messages/0/content/0/source",
                    json!({"type": "url", "url": "https://x.test/a.png"}),
                ),
            ),
            (
                "document",
                user(json!([{"type": "input_file", "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,QUJD"}])),
                Carried(
                    "/messages/0/content/0",
                    json!({"type": "document", "title": "a.pdf", "source": {"type": "base64",
                        "media_type": "application/pdf", "data": "QUJD"}}),
                ),
            ),
            (
                "document by URL",
                user(json!([{"type": "input_file", "file_url": "https://x.test/a.pdf"}])),
                Carried(
                    "/messages/0/content/0/source",
                    json!({"type": "url", "url": "https://x.test/a.pdf"}),
                ),
            ),
            (
                "sound",
                user(json!([{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}])),
                Refused(UNSUPPORTED, "input[0].content[0]"),
            ),
            (
                "a mark for the cache",
                user(
                    json!([{"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}]),
                ),
                Carried("/messages/0/content/0/cache_control", json!({"type": "ephemeral"})),
            ),
            (
                "tool",
                with_tool(json!({})),
                Carried(
                    "/tools/0",
                    json!({"name": "f", "description": "d", "strict": true,
                        "input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}}),
                ),
            ),
            (
                "choice: required",
                with_tool(json!({"tool_choice": "required"})),
                Carried("/tool_choice", json!({"type": "any"})),
            ),
            (
                "choice: none",
                with_tool(json!({"tool_choice": "none"})),
                Carried("/tool_choice", json!({"type": "none"})),
            ),
            (
                "choice: named",
                with_tool(json!({"tool_choice": {"type": "function", "name": "f"}})),
                Carried("/tool_choice", json!({"type": "tool", "name": "f"})),
            ),
            (
                "choice among some",
                with_tool(json!({"tool_choice": {"type": "allowed_tools", "mode": "required",
                    "tools": [{"type": "function", "name": "g"}]}})),
                Gone("/tools"),
            ),
            (
                "one call at a time",
                with_tool(json!({"parallel_tool_calls": false})),
                Carried("/tool_choice/disable_parallel_tool_use", json!(true)),
            ),
            (
                "calls",
                called("{\"b\":1.50,\"a\":[]}"),
                Carried(
                    "/messages/1/content",
                    json!([{"type": "text", "text": "Let me see."},
                        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"b": 1.5, "a": []}},
                        {"type": "tool_use", "id": "call_2", "name": "f", "input": {}}]),
                ),
            ),
            (
                "results, and what is said beside them",
                called("{}"),
                Carried(
                    "/messages/2/content",
                    json!([{"type": "tool_result", "tool_use_id": "call_1", "content": text("42")},
                        {"type": "tool_result", "tool_use_id": "call_2", "content": text("43")},
                        {"type": "text", "text": "And?"}]),
                ),
            ),
            (
                "a result with a picture",
                json!({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
                    {"type": "function_call_output", "call_id": "c", "output": [
                        {"type": "input_image", "image_url": "https://x.test"}]}]}),
                Carried(
                    "/messages/1/content/0/content/0",
                    json!({"type": "image", "source": {"type": "url", "url": "https://x.test"}}),
                ),
            ),
            ("arguments that are no JSON", called("{broken"), Refused(INVALID, "input[1]")),
            (
                "another vendor's reasoning",
                reasoning("gAAAA"),
                Carried(
                    "/messages/1/content",
                    json!([{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]),
                ),
            ),
            ("thinking after its proof is lost", reasoning("gAAAA"), Gone("/thinking")),
            ("temperature", json!({"temperature": 0.5}), Carried("/temperature", json!(0.5))),
            ("too hot", json!({"temperature": 1.5}), Refused(UNSUPPORTED, "temperature")),
            ("top_p", json!({"top_p": 0.5}), Carried("/top_p", json!(0.5))),
            (
                "effort",
                json!({"reasoning": {"effort": "high", "summary": "auto"}}),
                Carried("/output_config/effort", json!("high")),
            ),
            (
                "no effort",
                json!({"reasoning": {"effort": "none"}}),
                Carried("/thinking/type", json!("disabled")),
            ),
            (
                "any JSON",
                json!({"text": {"format": {"type": "json_object"}}}),
                Refused(UNSUPPORTED, "text.format"),
            ),
            (
                "schema",
                json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}}}}),
                Carried(
                    "/output_config/format",
                    json!({"type": "json_schema", "schema": {"type": "object"}}),
                ),
            ),
            (
                "plain text",
                json!({"text": {"format": {"type": "text"}, "verbosity": "medium"}}),
                Gone("/output_config"),
            ),
            ("few words", json!({"text": {"verbosity": "low"}}), Refused(UNSUPPORTED, "text.verbosity")),
            ("tier", json!({"service_tier": "flex"}), Refused(UNSUPPORTED, "service_tier")),
            ("user", json!({"user": "u"}), Carried("/metadata/user_id", json!("u"))),
            (
                "better user",
                json!({"user": "u", "safety_identifier": "s"}),
                Carried("/metadata/user_id", json!("s")),
            ),
            ("hints", json!({"metadata": {"a": "b"}, "prompt_cache_key": "k"}), Gone("/metadata")),
            ("stream", json!({"stream": true}), Carried("/stream", json!(true))),
        ],
    );
}

#[test]
fn responses_to_chat() {
    check(RESPONSES, CHAT, &base(), refused_everywhere());
    check(
        RESPONSES,
        CHAT,
        &base(),
        vec![
            ("model", json!({}), Carried("/model", json!("theirs"))),
            ("cap", json!({"max_output_tokens": 9}), Carried("/max_completion_tokens", json!(9))),
            (
                "input of one text",
                json!({}),
                Carried("/messages", json!([{"role": "user", "content": "Hi."}])),
            ),
            (
                "instructions",
                json!({"instructions": "S"}),
                Carried("/messages/0", json!({"role": "system", "content": "S"})),
            ),
            (
                "instructions later on",
                json!({"input": [{"role": "user", "content": "Hi."}, {"role": "system", "content": "S"},
                    {"role": "user", "content": "Ho."}]}),
                Carried("/messages/1", json!({"role": "system", "content": "S"})),
            ),
            (
                "image",
                user(json!([{"type": "input_image", "image_url": "https://x.test/a.png"}])),
                Carried(
                    "/messages/0/content/0",
                    json!({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}),
                ),
            ),
            (
                "document",
                user(
                    json!([{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}]),
                ),
                Carried(
                    "/messages/0/content/0/file",
                    json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}),
                ),
            ),
            (
                "document by URL",
                user(json!([{"type": "input_file", "file_url": "https://x.test/a.pdf"}])),
                Refused(UNSUPPORTED, "input[0].content[0]"),
            ),
            (
                "sound",
                user(json!([{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}])),
                Carried("/messages/0/content/0/input_audio", json!({"data": "QUJD", "format": "wav"})),
            ),
            (
                "tool",
                with_tool(json!({})),
                Carried(
                    "/tools/0",
                    json!({"type": "function", "function": {"name": "f", "description": "d", "strict": true,
                        "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}}),
                ),
            ),
            (
                "a tool whose schema can be kept to",
                json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object",
                    "additionalProperties": false, "required": ["a"], "properties": {"a": {"type": "array",
                    "items": {"type": "object", "properties": {}, "additionalProperties": false}}}}}]}),
                Carried("/tools/0/function/strict", json!(true)),
            ),
            (
                "a tool whose schema cannot",
                json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object",
                    "additionalProperties": false, "required": ["a"], "properties": {"a": {"type": "array",
                    "items": {"type": "object", "properties": {"b": {}}, "additionalProperties": false}}}}}]}),
                Gone("/tools/0/function/strict"),
            ),
            (
                "choice: named",
                with_tool(json!({"tool_choice": {"type": "function", "name": "f"}})),
                Carried("/tool_choice", json!({"type": "function", "function": {"name": "f"}})),
            ),
            (
                "one call at a time",
                with_tool(json!({"parallel_tool_calls": false})),
                Carried("/parallel_tool_calls", json!(false)),
            ),
            (
                "calls",
                called("{\"b\":1.50}"),
                Carried(
                    "/messages/1",
                    json!({"role": "assistant", "content": "Let me see.", "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.50}"}},
                        {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
                ),
            ),
            (
                "result",
                called("{}"),
                Carried("/messages/3", json!({"role": "tool", "tool_call_id": "call_2", "content": "43"})),
            ),
            (
                "what is said beside",
                called("{}"),
                Carried("/messages/4", json!({"role": "user", "content": "And?"})),
            ),
            (
                "words put into the mouth",
                json!({"input": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "{"}]}),
                Refused(UNSUPPORTED, "input[1]"),
            ),
            (
                "effort",
                json!({"reasoning": {"effort": "high", "summary": "auto"}}),
                Carried("/reasoning_effort", json!("high")),
            ),
            (
                "any JSON",
                json!({"text": {"format": {"type": "json_object"}}}),
                Carried("/response_format", json!({"type": "json_object"})),
            ),
            (
                "schema",
                json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}}),
                Carried(
                    "/response_format/json_schema",
                    json!({"name": "n", "schema": {"type": "object"}, "strict": false}),
                ),
            ),
            ("few words", json!({"text": {"verbosity": "low"}}), Carried("/verbosity", json!("low"))),
            ("tier", json!({"service_tier": "flex"}), Carried("/service_tier", json!("flex"))),
            ("metadata", json!({"metadata": {"a": "b"}}), Carried("/metadata", json!({"a": "b"}))),
            ("key of the cache", json!({"prompt_cache_key": "k"}), Carried("/prompt_cache_key", json!("k"))),
            ("user", json!({"user": "u"}), Carried("/user", json!("u"))),
            ("stream", json!({"stream": true}), Carried("/stream_options", json!({"include_usage": true}))),
        ],
    );
}
