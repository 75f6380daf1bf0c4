//! What of a request is carried to generated content, and what is refused.

use serde_json::{Value, json};
use tollgate_dialect::HubAsk;

use super::with;
use crate::{
    CHAT, GENERATE, MESSAGES, STREAM, carried,
    requests::{
        Fate::{Carried, Gone, Refused},
        INVALID, UNSUPPORTED, check, user,
    },
    way,
};

#[test]
fn chat_to_generated_content() {
    let base = json!({"model": "ours", "messages": user(json!("Hi."))});
    let part = |part: Value| json!({"messages": user(json!([part]))});
    let image = |url: &str| part(json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}}));
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let result = |id: &str, content: &str| json!({"role": "tool", "tool_call_id": id, "content": content});
    let called = |calls: Value, results: Vec<Value>| {
        let mut messages = vec![
            json!({"role": "user", "content": "Hi."}),
            json!({"role": "assistant", "content": null, "tool_calls": calls}),
        ];
        messages.extend(results);
        json!({"messages": messages})
    };
    let both = called(
        json!([call("a", "{\"b\":1.5,\"a\":2}"), call("b", "")]),
        vec![result("b", "42"), result("a", "{\"z\":1}")],
    );
    let tool = json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d",
        "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}}]});
    let strict = json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true}}]});
    let mode = |mode: &str| json!({"functionCallingConfig": {"mode": mode}});
    check(
        CHAT,
        GENERATE,
        &base,
        vec![
            ("the model stands in the path", json!({}), Gone("/model")),
            ("words", json!({}), Carried("/contents", json!([{"role": "user", "parts": [{"text": "Hi."}]}]))),
            ("no cap", json!({}), Gone("/generationConfig")),
            (
                "cap",
                json!({"max_completion_tokens": 9}),
                Carried("/generationConfig/maxOutputTokens", json!(9)),
            ),
            (
                "system",
                json!({"messages": [{"role": "system", "content": "S"}, {"role": "developer", "content": "D"}, {"role": "user", "content": "Hi."}]}),
                Carried("/systemInstruction", json!({"parts": [{"text": "S"}, {"text": "D"}]})),
            ),
            (
                "system later on",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "system", "content": "S"}]}),
                Refused(UNSUPPORTED, "messages[1]"),
            ),
            (
                "turns of one role",
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}),
                Carried("/contents/0/parts", json!([{"text": "a"}, {"text": "b"}])),
            ),
            (
                "image by data",
                image("data:image/jpg;base64,QUJD"),
                Carried(
                    "/contents/0/parts/0",
                    json!({"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}}),
                ),
            ),
            ("image by URL", image("https://x.test/a.png"), Refused(UNSUPPORTED, "messages[0].content[0]")),
            (
                "image in Google's storage",
                image("gs://b/a.png"),
                Carried(
                    "/contents/0/parts/0",
                    json!({"fileData": {"fileUri": "gs://b/a.png", "mimeType": "image/png"}}),
                ),
            ),
            (
                "document",
                part(
                    json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}}),
                ),
                Carried(
                    "/contents/0/parts/0/inlineData",
                    json!({"mimeType": "application/pdf", "data": "QUJD"}),
                ),
            ),
            (
                "file by id",
                part(json!({"type": "file", "file": {"file_id": "file-1"}})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "sound",
                part(json!({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}})),
                Carried("/contents/0/parts/0/inlineData", json!({"mimeType": "audio/wav", "data": "QUJD"})),
            ),
            (
                "unknown part",
                part(json!({"type": "hologram"})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "tool",
                tool.clone(),
                Carried(
                    "/tools",
                    json!([{"functionDeclarations": [{"name": "f", "description": "d",
                        "parametersJsonSchema": {"type": "object", "properties": {"b": {}, "a": {}}}}]}]),
                ),
            ),
            (
                "a name that begins with a digit",
                json!({"tools": [{"type": "function", "function": {"name": "1f"}}]}),
                Carried("/tools", json!([{"functionDeclarations": [{"name": "_1f_fe2e42e4"}]}])),
            ),
            (
                "tool that is no function",
                json!({"tools": [{"type": "custom", "custom": {}}]}),
                Refused(UNSUPPORTED, "tools[0]"),
            ),
            (
                "a tool that must keep to its schema",
                strict.clone(),
                Carried("/toolConfig", mode("VALIDATED")),
            ),
            ("choice: none given", tool.clone(), Gone("/toolConfig")),
            (
                "choice: auto",
                with(&tool, json!({"tool_choice": "auto"})),
                Carried("/toolConfig", mode("AUTO")),
            ),
            (
                "choice: none",
                with(&strict, json!({"tool_choice": "none"})),
                Carried("/toolConfig", mode("NONE")),
            ),
            (
                "choice: required",
                with(&tool, json!({"tool_choice": "required"})),
                Carried("/toolConfig", mode("ANY")),
            ),
            (
                "choice: named",
                with(&tool, json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
                Carried(
                    "/toolConfig/functionCallingConfig",
                    json!({"mode": "ANY", "allowedFunctionNames": ["f"]}),
                ),
            ),
            (
                "one call at a time",
                with(&tool, json!({"parallel_tool_calls": false})),
                Refused(UNSUPPORTED, "parallel_tool_calls"),
            ),
            (
                "several calls at a time",
                with(&tool, json!({"parallel_tool_calls": true})),
                Gone("/toolConfig"),
            ),
            (
                "calls",
                both.clone(),
                Carried(
                    "/contents/1",
                    json!({"role": "model", "parts": [
                        {"functionCall": {"id": "a", "name": "f", "args": {"b": 1.5, "a": 2}}, "thoughtSignature": "skip_thought_signature_validator"},
                        {"functionCall": {"id": "b", "name": "f", "args": {}}}]}),
                ),
            ),
            (
                "results in the order of their calls",
                both,
                Carried(
                    "/contents/2",
                    json!({"role": "user", "parts": [
                        {"functionResponse": {"id": "a", "name": "f", "response": {"z": 1}}},
                        {"functionResponse": {"id": "b", "name": "f", "response": {"result": "42"}}}]}),
                ),
            ),
            (
                "a result of no call",
                called(json!([call("a", "")]), vec![result("x", "42")]),
                Refused(INVALID, "messages[2]"),
            ),
            (
                "arguments that are no object",
                called(json!([call("a", "[1]")]), vec![result("a", "")]),
                Refused(INVALID, "messages[1]"),
            ),
            (
                "words put into the mouth",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "{"}]}),
                Refused(UNSUPPORTED, "messages[1]"),
            ),
            (
                "stop texts",
                json!({"stop": ["1", "2", "3", "4", "5"]}),
                Carried("/generationConfig/stopSequences/4", json!("5")),
            ),
            (
                "too many stop texts",
                json!({"stop": ["1", "2", "3", "4", "5", "6"]}),
                Refused(UNSUPPORTED, "stop"),
            ),
            (
                "temperature",
                json!({"temperature": 1.5}),
                Carried("/generationConfig/temperature", json!(1.5)),
            ),
            ("top_p", json!({"top_p": 0.5}), Carried("/generationConfig/topP", json!(0.5))),
            ("seed", json!({"seed": 1}), Carried("/generationConfig/seed", json!(1))),
            (
                "penalties",
                json!({"presence_penalty": 0.5, "frequency_penalty": 0.25}),
                Carried("/generationConfig", json!({"presencePenalty": 0.5, "frequencyPenalty": 0.25})),
            ),
            ("several answers", json!({"n": 2}), Refused(UNSUPPORTED, "n")),
            ("log probabilities", json!({"logprobs": true}), Refused(UNSUPPORTED, "logprobs")),
            ("biases", json!({"logit_bias": {"1": 2}}), Refused(UNSUPPORTED, "logit_bias")),
            (
                "schema",
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {"type": "object"}}}}),
                Carried(
                    "/generationConfig",
                    json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}),
                ),
            ),
            (
                "any JSON",
                json!({"response_format": {"type": "json_object"}}),
                Carried("/generationConfig", json!({"responseMimeType": "application/json"})),
            ),
            (
                "effort",
                json!({"reasoning_effort": "high"}),
                Carried(
                    "/generationConfig/thinkingConfig",
                    json!({"thinkingLevel": "HIGH", "includeThoughts": true}),
                ),
            ),
            ("user", json!({"user": "u"}), Gone("/user")),
            ("stream", json!({"stream": true, "stream_options": {"include_usage": true}}), Gone("/stream")),
            ("unknown member", json!({"frobnicate": 1}), Refused(UNSUPPORTED, "frobnicate")),
        ],
    );
}

#[test]
fn messages_to_generated_content() {
    let base = json!({"model": "ours", "max_tokens": 9, "messages": user(json!("Hi."))});
    let block = |block: Value| json!({"messages": user(json!([block]))});
    let tool = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]});
    let called = |signature: &str, result: Value| {
        json!({"messages": [{"role": "user", "content": "Hi."},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": signature},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1.5, "a": 2}}]},
            {"role": "user", "content": [{"type": "text", "text": "And?"}, result]}]})
    };
    let result = |more: Value| with(&json!({"type": "tool_result", "tool_use_id": "toolu_1"}), more);
    let png =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}});
    check(
        MESSAGES,
        GENERATE,
        &base,
        vec![
            ("cap", json!({}), Carried("/generationConfig/maxOutputTokens", json!(9))),
            (
                "system",
                json!({"system": "S"}),
                Carried("/systemInstruction", json!({"parts": [{"text": "S"}]})),
            ),
            (
                "image by data",
                block(png.clone()),
                Carried("/contents/0/parts/0/inlineData", json!({"mimeType": "image/png", "data": "QUJD"})),
            ),
            (
                "image by URL",
                block(json!({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "document of text",
                block(
                    json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "T"}}),
                ),
                Carried("/contents/0/parts/0", json!({"text": "T"})),
            ),
            (
                "unknown block",
                block(json!({"type": "search_result"})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "tool",
                tool.clone(),
                Carried(
                    "/tools/0/functionDeclarations/0",
                    json!({"name": "f", "parametersJsonSchema": {"type": "object"}}),
                ),
            ),
            (
                "tool of the provider",
                json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
                Refused(UNSUPPORTED, "tools[0]"),
            ),
            (
                "choice: any",
                with(&tool, json!({"tool_choice": {"type": "any"}})),
                Carried("/toolConfig/functionCallingConfig/mode", json!("ANY")),
            ),
            (
                "one call at a time",
                with(&tool, json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})),
                Refused(UNSUPPORTED, "tool_choice.disable_parallel_tool_use"),
            ),
            (
                "a call that its own vendor proved",
                called("gemini:c2ln", result(json!({"content": "42"}))),
                Carried(
                    "/contents/1/parts",
                    json!([{"functionCall": {"name": "f", "args": {"b": 1.5, "a": 2}}, "thoughtSignature": "c2ln"}]),
                ),
            ),
            (
                "a call that another vendor proved",
                called("sealed", result(json!({"content": "42"}))),
                Carried("/contents/1/parts/0/thoughtSignature", json!("skip_thought_signature_validator")),
            ),
            (
                "result before what is said",
                called("", result(json!({"content": "42"}))),
                Carried(
                    "/contents/2/parts",
                    json!([{"functionResponse": {"name": "f", "response": {"result": "42"}}}, {"text": "And?"}]),
                ),
            ),
            (
                "a tool that failed",
                called("", result(json!({"content": "{\"a\":1}", "is_error": true}))),
                Carried("/contents/2/parts/0/functionResponse/response", json!({"error": "{\"a\":1}"})),
            ),
            (
                "a result with a picture",
                called("", result(json!({"content": [{"type": "text", "text": "see"}, png]}))),
                Carried(
                    "/contents/2/parts/0/functionResponse",
                    json!({"name": "f", "response": {"result": "see"}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]}),
                ),
            ),
            ("top_k", json!({"top_k": 5}), Carried("/generationConfig/topK", json!(5))),
            (
                "stop texts",
                json!({"stop_sequences": ["x"]}),
                Carried("/generationConfig/stopSequences", json!(["x"])),
            ),
            (
                "budget of thinking",
                json!({"thinking": {"type": "enabled", "budget_tokens": 5000}}),
                Carried(
                    "/generationConfig/thinkingConfig",
                    json!({"thinkingLevel": "MEDIUM", "includeThoughts": true}),
                ),
            ),
            (
                "no thinking",
                json!({"thinking": {"type": "disabled"}}),
                Carried("/generationConfig/thinkingConfig", json!({"thinkingLevel": "MINIMAL"})),
            ),
            (
                "schema",
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
                Carried("/generationConfig/responseJsonSchema", json!({"type": "object"})),
            ),
            ("user", json!({"metadata": {"user_id": "u"}}), Gone("/metadata")),
            ("container", json!({"container": "c"}), Refused(UNSUPPORTED, "container")),
            ("a cache hint", json!({"cache_control": {"type": "ephemeral"}}), Gone("/cachedContent")),
        ],
    );
}

#[test]
fn models_without_proofs_get_calls_by_name_and_pictures_beside_results() {
    let body = json!({"max_tokens": 9, "messages": [{"role": "user", "content": "Hi."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_t", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}]}]}]});
    let way = way(MESSAGES, GENERATE);
    let hub = way.read(body.to_string().as_bytes()).expect("good");
    let ask = HubAsk {
        model: "gemini-2.5-flash",
        output_cap: 500,
        insert_cap: false,
        ask_usage: true,
        may_drop: &[],
    };
    let written = way.request(&hub, &ask).expect("it can be said");
    let written: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert_eq!(written["contents"][1]["parts"], json!([{"functionCall": {"name": "f", "args": {}}}]));
    assert_eq!(
        written["contents"][2]["parts"],
        json!([{"functionResponse": {"name": "f", "response": {"result": ""}}},
               {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}])
    );
}

#[test]
fn a_stream_is_asked_for_by_its_own_operation_and_as_events() {
    let way = way(CHAT, GENERATE);
    assert_eq!((way.upstream_operation(true), way.needed_query(true)), (STREAM.1, Some("alt=sse")));
    assert_eq!((way.upstream_operation(false), way.needed_query(false)), (GENERATE.1, None));
}

#[test]
fn numbers_and_names_in_arguments_keep_their_spelling() {
    let arguments = r#"{"big":12345678901234567890123,"exact":1.50,"e":2e5,"snake_case":"\u00e9"}"#;
    let quoted = Value::from(arguments).to_string();
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"Hi."}},{{"role":"assistant","tool_calls":[{{"id":"a","type":"function","function":{{"name":"f","arguments":{quoted}}}}}]}},{{"role":"tool","tool_call_id":"a","content":"1"}}]}}"#
    );
    let there = carried(CHAT, GENERATE, &body).expect("it can be said");
    assert!(there.contains(arguments), "{there}");
    let back = carried(GENERATE, CHAT, &there).expect("it can be said");
    assert!(back.contains(&quoted), "{back}");
}
