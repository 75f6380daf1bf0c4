//! What of a request of Converse is carried to others, and what is refused.

use serde_json::{Value, json};

use super::with;
use crate::{
    CHAT, CONVERSE, CONVERSE_STREAM, GENERATE, MESSAGES, RESPONSES,
    requests::{
        Fate::{Carried, Gone, Refused},
        INVALID, UNSUPPORTED, check, user,
    },
};

type Row = (&'static str, Value, crate::requests::Fate);

fn content(content: Value) -> Value {
    json!({"messages": user(content)})
}

fn base() -> Value {
    content(json!([{"text": "Hi."}]))
}

fn extra(fields: Value) -> Value {
    json!({"additionalModelRequestFields": fields})
}

fn tools() -> Value {
    json!({"toolConfig": {"tools": [{"toolSpec": {"name": "f", "description": "d",
        "inputSchema": {"json": {"type": "object", "properties": {"b": {}, "a": {}}}}}}, {"cachePoint": {"type": "default"}}]}})
}

fn choice(choice: Value) -> Value {
    let mut members = tools();
    members["toolConfig"]["toolChoice"] = choice;
    members
}

fn history() -> Value {
    with(
        &tools(),
        json!({"messages": [
            {"role": "user", "content": [{"text": "Hi."}]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eq+/"}}},
                {"reasoningContent": {"redactedContent": "EqoB"}},
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"b": 1.5, "a": 2}}},
                {"toolUse": {"toolUseId": "t2", "name": "f", "input": {}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"json": {"z": 1}}], "status": "success"}},
                {"toolResult": {"toolUseId": "t2", "content": [{"text": "no"}], "status": "error"}},
                {"text": "And?"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]}]}),
    )
}

/// What no other dialect can say, whichever it is.
fn refused_everywhere() -> Vec<Row> {
    let with_source = |source: Value| content(json!([{"image": {"format": "png", "source": source}}]));
    vec![
        (
            "a guardrail",
            json!({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}),
            Refused(UNSUPPORTED, "guardrailConfig"),
        ),
        (
            "variables",
            json!({"promptVariables": {"a": {"text": "b"}}}),
            Refused(UNSUPPORTED, "promptVariables"),
        ),
        (
            "a member that is not known",
            extra(json!({"anthropic_beta": ["x"]})),
            Refused(UNSUPPORTED, "additionalModelRequestFields.anthropic_beta"),
        ),
        (
            "members to be told",
            json!({"additionalModelResponseFieldPaths": ["/stop_sequence"]}),
            Refused(UNSUPPORTED, "additionalModelResponseFieldPaths"),
        ),
        (
            "a faster place",
            json!({"performanceConfig": {"latency": "optimized"}}),
            Refused(UNSUPPORTED, "performanceConfig.latency"),
        ),
        ("another tier", json!({"serviceTier": {"type": "flex"}}), Refused(UNSUPPORTED, "serviceTier.type")),
        (
            "a tool of the provider's",
            json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}),
            Refused(UNSUPPORTED, "toolConfig.tools[0].systemTool"),
        ),
        (
            "a picture in storage",
            with_source(json!({"s3Location": {"uri": "s3://b/a.png"}})),
            Refused(UNSUPPORTED, "messages[0].content[0].image.source.s3Location"),
        ),
        (
            "bytes that are no base64",
            with_source(json!({"bytes": "%%%"})),
            Refused(INVALID, "messages[0].content[0].image.source.bytes"),
        ),
        (
            "a format that is none",
            content(json!([{"image": {"format": "bmp", "source": {"bytes": "QUJD"}}}])),
            Refused(INVALID, "messages[0].content[0].image.format"),
        ),
        (
            "a film",
            content(json!([{"video": {"format": "mp4", "source": {"bytes": "QUJD"}}}])),
            Refused(UNSUPPORTED, "messages[0].content[0]"),
        ),
        (
            "guarded content",
            content(json!([{"guardContent": {"text": {"text": "x"}}}])),
            Refused(UNSUPPORTED, "messages[0].content[0]"),
        ),
        (
            "a document to be cited",
            content(
                json!([{"document": {"format": "pdf", "name": "n", "source": {"bytes": "QUJD"}, "citations": {"enabled": true}}}]),
            ),
            Refused(UNSUPPORTED, "messages[0].content[0].document"),
        ),
        (
            "a role that is none",
            json!({"messages": [{"role": "boss", "content": []}]}),
            Refused(INVALID, "messages[0].role"),
        ),
        (
            "a choice that is none",
            choice(json!({"maybe": {}})),
            Refused(UNSUPPORTED, "toolConfig.toolChoice.maybe"),
        ),
        (
            "a status that is none",
            content(json!([{"toolResult": {"toolUseId": "t", "content": [], "status": "maybe"}}])),
            Refused(INVALID, "messages[0].content[0].toolResult.status"),
        ),
        (
            "a schema that is none",
            json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}}),
            Refused(INVALID, "outputConfig.textFormat.structure.jsonSchema.schema"),
        ),
    ]
}

#[test]
fn converse_to_chat() {
    let image = json!({"image": {"format": "jpeg", "source": {"bytes": "QUJD"}}});
    let document =
        |format: &str| json!([{"document": {"format": format, "name": "n", "source": {"bytes": "QUJD"}}}]);
    let inference = |config: Value| json!({"inferenceConfig": config});
    let form = json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema":
        {"schema": "{\"type\":\"object\",\"b\":1.50}", "name": "n", "description": "d"}}}}});
    let mut rows = vec![
        ("model", json!({}), Carried("/model", json!("theirs"))),
        ("words", json!({}), Carried("/messages", user(json!("Hi.")))),
        (
            "system",
            json!({"system": [{"text": "S"}, {"cachePoint": {"type": "default"}}]}),
            Carried("/messages/0", json!({"role": "system", "content": "S"})),
        ),
        ("cap", inference(json!({"maxTokens": 9})), Carried("/max_completion_tokens", json!(9))),
        ("temperature", inference(json!({"temperature": 0.5})), Carried("/temperature", json!(0.5))),
        ("top_p", inference(json!({"topP": 0.5})), Carried("/top_p", json!(0.5))),
        ("stop texts", inference(json!({"stopSequences": ["x"]})), Carried("/stop", json!(["x"]))),
        ("top_k", extra(json!({"top_k": 5})), Refused(UNSUPPORTED, "additionalModelRequestFields.top_k")),
        (
            "top_k of Nova",
            extra(json!({"inferenceConfig": {"topK": 5}})),
            Refused(UNSUPPORTED, "additionalModelRequestFields.inferenceConfig.topK"),
        ),
        ("the end user", json!({"requestMetadata": {"user_id": "u-1"}}), Carried("/user", json!("u-1"))),
        ("metadata is for logs", json!({"requestMetadata": {"team": "a"}}), Gone("/metadata")),
        (
            "the usual place",
            json!({"performanceConfig": {"latency": "standard"}, "serviceTier": {"type": "default"}}),
            Gone("/service_tier"),
        ),
        (
            "image",
            content(json!([image])),
            Carried("/messages/0/content/0/image_url/url", json!("data:image/jpeg;base64,QUJD")),
        ),
        (
            "document",
            content(document("pdf")),
            Carried(
                "/messages/0/content/0/file",
                json!({"filename": "n", "file_data": "data:application/pdf;base64,QUJD"}),
            ),
        ),
        ("a document that is text", content(document("txt")), Carried("/messages/0/content", json!("ABC"))),
        (
            "tool",
            tools(),
            Carried(
                "/tools/0/function",
                json!({"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}),
            ),
        ),
        ("auto", choice(json!({"auto": {}})), Carried("/tool_choice", json!("auto"))),
        ("any", choice(json!({"any": {}})), Carried("/tool_choice", json!("required"))),
        (
            "one",
            choice(json!({"tool": {"name": "f"}})),
            Carried("/tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        ),
        (
            "calls",
            history(),
            Carried(
                "/messages/1",
                json!({"role": "assistant", "content": "Let me see.", "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.5,\"a\":2}"}},
                    {"id": "t2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            ),
        ),
        (
            "a result of JSON",
            history(),
            Carried("/messages/2", json!({"role": "tool", "content": "{\"z\":1}", "tool_call_id": "t1"})),
        ),
        ("words after results", history(), Carried("/messages/4/content", json!("And?"))),
        (
            "schema",
            form,
            Carried(
                "/response_format/json_schema",
                json!({"name": "n", "description": "d", "schema": {"type": "object", "b": 1.5}, "strict": true}),
            ),
        ),
        ("effort", json!({"outputConfig": {"effort": "high"}}), Carried("/reasoning_effort", json!("high"))),
        (
            "a budget",
            extra(json!({"thinking": {"type": "enabled", "budget_tokens": 2_048}})),
            Carried("/reasoning_effort", json!("medium")),
        ),
        ("in one piece", json!({}), Gone("/stream")),
    ];
    rows.extend(refused_everywhere());
    check(CONVERSE, CHAT, &base(), rows);
    check(CONVERSE_STREAM, CHAT, &base(), vec![("as a stream", json!({}), Carried("/stream", json!(true)))]);
}

#[test]
fn converse_to_messages() {
    let inference = |config: Value| json!({"inferenceConfig": config});
    let mut rows = vec![
        ("a cap that is demanded", json!({}), Carried("/max_tokens", json!(500))),
        ("cap", inference(json!({"maxTokens": 9})), Carried("/max_tokens", json!(9))),
        ("top_k", extra(json!({"top_k": 5})), Carried("/top_k", json!(5))),
        (
            "system and what may be cached",
            json!({"system": [{"text": "S"}, {"cachePoint": {"type": "default"}}]}),
            Carried(
                "/system",
                json!([{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}]),
            ),
        ),
        (
            "tools that may be cached",
            tools(),
            Carried("/tools/0/cache_control", json!({"type": "ephemeral"})),
        ),
        (
            "proven reasoning and calls",
            history(),
            Carried(
                "/messages/1/content",
                json!([{"type": "thinking", "thinking": "hm", "signature": "Eq+/"},
                       {"type": "redacted_thinking", "data": "EqoB"}, {"type": "text", "text": "Let me see."},
                       {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1.5, "a": 2}},
                       {"type": "tool_use", "id": "t2", "name": "f", "input": {}}]),
            ),
        ),
        (
            "results",
            history(),
            Carried(
                "/messages/2/content",
                json!([{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "{\"z\":1}"}]},
                       {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "no"}], "is_error": true},
                       {"type": "text", "text": "And?", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
            ),
        ),
        (
            "a document that is text",
            content(json!([{"document": {"format": "csv", "name": "n", "source": {"bytes": "QSxC"}}}])),
            Carried(
                "/messages/0/content/0",
                json!({"type": "document", "title": "n", "source": {"type": "text", "media_type": "text/plain", "data": "A,B"}}),
            ),
        ),
        (
            "adaptive thinking with an effort",
            extra(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}})),
            Carried("/output_config", json!({"effort": "low"})),
        ),
    ];
    rows.extend(refused_everywhere());
    check(CONVERSE, MESSAGES, &base(), rows);
}

#[test]
fn converse_to_generated_content_and_responses() {
    let mut rows = vec![
        ("words", json!({}), Carried("/contents", json!([{"role": "user", "parts": [{"text": "Hi."}]}]))),
        ("calls", history(), Carried("/contents/1/parts/1/functionCall/args", json!({"b": 1.5, "a": 2}))),
        ("top_k", extra(json!({"top_k": 5})), Carried("/generationConfig/topK", json!(5))),
    ];
    rows.extend(refused_everywhere());
    check(CONVERSE, GENERATE, &base(), rows);
    let mut rows = vec![
        ("a call", history(), Carried("/input/2/call_id", json!("t1"))),
        ("system", json!({"system": [{"text": "S"}]}), Carried("/instructions", json!("S"))),
    ];
    rows.extend(refused_everywhere());
    check(CONVERSE, RESPONSES, &base(), rows);
}

#[test]
fn arguments_keep_their_spelling() {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"Hi."}]},{"role":"assistant","content":[
        {"toolUse":{"toolUseId":"t1","name":"f","input":{"b":1.50,"a":12345678901234567890123}}}]}]}"#;
    let there = crate::carried(CONVERSE, CHAT, body).expect("carried");
    assert!(there.contains(r#"{\"b\":1.50,\"a\":12345678901234567890123}"#), "{there}");
}
