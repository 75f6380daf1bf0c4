//! What of a request is carried to Converse, and what is refused.

use serde_json::{Value, json};
use tollgate_dialect::HubAsk;

use super::{BY_BUDGET, BY_EFFORT, NOVA, with};
use crate::{
    CHAT, CONVERSE, GENERATE, MESSAGES, RESPONSES,
    requests::{
        Fate::{Carried, Gone, Refused},
        INVALID, UNSUPPORTED, check, check_for, user,
    },
    way,
};

fn tool() -> Value {
    json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": true,
        "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}}]})
}

fn called(calls: Value, results: Vec<Value>) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": "Hi."}),
        json!({"role": "assistant", "content": null, "tool_calls": calls}),
    ];
    messages.extend(results);
    json!({"messages": messages})
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
}

fn result(id: &str, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": content})
}

#[test]
fn words_and_content_of_a_chat_to_converse() {
    let base = json!({"model": "ours", "messages": user(json!("Hi."))});
    let part = |part: Value| json!({"messages": user(json!([part]))});
    let image = |url: &str| part(json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}}));
    let file = |name: &str| json!({"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,QUJD"}});
    let rows = vec![
        ("the model stands in the path", json!({}), Gone("/model")),
        ("a stream has a path of its own", json!({"stream": true}), Gone("/stream")),
        ("words", json!({}), Carried("/messages", json!([{"role": "user", "content": [{"text": "Hi."}]}]))),
        (
            "system",
            json!({"messages": [{"role": "system", "content": "S"}, {"role": "developer", "content": "D"}, {"role": "user", "content": "Hi."}]}),
            Carried("/system", json!([{"text": "S"}, {"text": "D"}])),
        ),
        (
            "system later on",
            json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "system", "content": "S"}]}),
            Refused(UNSUPPORTED, "messages[1]"),
        ),
        (
            "turns of one role",
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}),
            Carried("/messages", json!([{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}])),
        ),
        (
            "a turn that says nothing",
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "b"}]}),
            Carried("/messages", json!([{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}])),
        ),
        (
            "the model begins",
            json!({"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}),
            Refused(UNSUPPORTED, "messages[0]"),
        ),
        (
            "image by data",
            image("data:image/jpg;base64,_-8"),
            Carried(
                "/messages/0/content/0",
                json!({"image": {"format": "jpeg", "source": {"bytes": "/+8="}}}),
            ),
        ),
        (
            "image of a type that it does not take",
            image("data:image/tiff;base64,QUJD"),
            Refused(UNSUPPORTED, "messages[0].content[0]"),
        ),
        ("image by URL", image("https://x.test/a.png"), Refused(UNSUPPORTED, "messages[0].content[0]")),
        (
            "documents, each by a name that it takes",
            json!({"messages": user(json!([file("my  report_1.pdf"), file("my report_1.pdf")]))}),
            Carried(
                "/messages/0/content",
                json!([{"document": {"format": "pdf", "name": "my report-1-pdf", "source": {"bytes": "QUJD"}}},
                       {"document": {"format": "pdf", "name": "document-2", "source": {"bytes": "QUJD"}}}]),
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
            Carried(
                "/messages/0/content/0",
                json!({"audio": {"format": "wav", "source": {"bytes": "QUJD"}}}),
            ),
        ),
    ];
    check(CHAT, CONVERSE, &base, rows);
}

#[test]
fn settings_of_a_chat_to_converse() {
    let base = json!({"model": "ours", "messages": user(json!("Hi."))});
    let schema = |form: Value| json!({"response_format": {"type": "json_schema", "json_schema": form}});
    let rows = vec![
        ("no cap", json!({}), Gone("/inferenceConfig")),
        ("cap", json!({"max_completion_tokens": 9}), Carried("/inferenceConfig/maxTokens", json!(9))),
        ("temperature", json!({"temperature": 0.5}), Carried("/inferenceConfig/temperature", json!(0.5))),
        ("too hot", json!({"temperature": 1.5}), Refused(UNSUPPORTED, "temperature")),
        ("top_p", json!({"top_p": 0.5}), Carried("/inferenceConfig/topP", json!(0.5))),
        ("stop", json!({"stop": "x"}), Carried("/inferenceConfig/stopSequences", json!(["x"]))),
        ("seed", json!({"seed": 7}), Refused(UNSUPPORTED, "seed")),
        ("penalty", json!({"presence_penalty": 0.5}), Refused(UNSUPPORTED, "presence_penalty")),
        ("several answers", json!({"n": 2}), Refused(UNSUPPORTED, "n")),
        ("logprobs", json!({"logprobs": true}), Refused(UNSUPPORTED, "logprobs")),
        (
            "schema",
            schema(json!({"name": "n", "description": "d", "schema": {"type": "object", "b": 1, "a": 1}})),
            Carried(
                "/outputConfig/textFormat",
                json!({"type": "json_schema", "structure": {"jsonSchema":
                    {"schema": "{\"type\":\"object\",\"b\":1,\"a\":1}", "name": "n", "description": "d"}}}),
            ),
        ),
        (
            "any JSON",
            json!({"response_format": {"type": "json_object"}}),
            Refused(UNSUPPORTED, "response_format"),
        ),
        ("end user", json!({"safety_identifier": "u-1"}), Carried("/requestMetadata/user_id", json!("u-1"))),
        ("an end user in other letters", json!({"safety_identifier": "ü"}), Gone("/requestMetadata")),
        ("thinking", json!({"reasoning_effort": "low"}), Refused(UNSUPPORTED, "reasoning_effort")),
        ("no thinking", json!({"reasoning_effort": "none"}), Gone("/additionalModelRequestFields")),
    ];
    check(CHAT, CONVERSE, &base, rows);
}

#[test]
fn tools_of_a_chat_to_converse() {
    let base = json!({"model": "ours", "messages": user(json!("Hi."))});
    let choice = |choice: Value| with(&tool(), json!({"tool_choice": choice}));
    let named = |name: &str| json!({"tools": [{"type": "function", "function": {"name": name}}]});
    let both = called(
        json!([call("a|1", "{\"b\":1.5,\"a\":2}"), call("b", "")]),
        vec![result("b", "42"), result("a|1", "{\"z\":1}"), json!({"role": "user", "content": "And?"})],
    );
    let id = "call_";
    let rows = vec![
        (
            "tool",
            tool(),
            Carried(
                "/toolConfig",
                json!({"tools": [{"toolSpec": {"name": "f", "description": "d", "strict": true, "inputSchema":
                    {"json": {"type": "object", "properties": {"b": {}, "a": {}}}}}}]}),
            ),
        ),
        (
            "a tool of no arguments",
            named("f"),
            Carried(
                "/toolConfig/tools/0/toolSpec",
                json!({"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}),
            ),
        ),
        (
            "a name too long",
            named(&"f".repeat(65)),
            Carried("/toolConfig/tools/0/toolSpec/name", json!(format!("{}_ea5b7aef", "f".repeat(55)))),
        ),
        ("no name", named(""), Refused(INVALID, "tools[0]")),
        ("auto", choice(json!("auto")), Carried("/toolConfig/toolChoice", json!({"auto": {}}))),
        ("required", choice(json!("required")), Carried("/toolConfig/toolChoice", json!({"any": {}}))),
        (
            "named",
            choice(json!({"type": "function", "function": {"name": "f"}})),
            Carried("/toolConfig/toolChoice", json!({"tool": {"name": "f"}})),
        ),
        ("none, and none was called", choice(json!("none")), Gone("/toolConfig")),
        (
            "none after a call",
            with(&with(&both, tool()), json!({"tool_choice": "none"})),
            Refused(UNSUPPORTED, "tool_choice"),
        ),
        (
            "one at a time",
            with(&tool(), json!({"parallel_tool_calls": false})),
            Refused(UNSUPPORTED, "parallel_tool_calls"),
        ),
        (
            "several at once",
            with(&tool(), json!({"parallel_tool_calls": true})),
            Gone("/parallel_tool_calls"),
        ),
        ("calls without their tools", both.clone(), Refused(UNSUPPORTED, "messages[1]")),
        (
            "a call",
            with(&both, tool()),
            Carried(
                "/messages/1/content/1",
                json!({"toolUse": {"toolUseId": "b", "name": "f", "input": {}}}),
            ),
        ),
        (
            "its arguments",
            with(&both, tool()),
            Carried("/messages/1/content/0/toolUse/input", json!({"b": 1.5, "a": 2})),
        ),
        (
            "its result",
            with(&both, tool()),
            Carried(
                "/messages/2/content/0",
                json!({"toolResult": {"toolUseId": "b", "content": [{"text": "42"}]}}),
            ),
        ),
        (
            "words after results",
            with(&both, tool()),
            Carried("/messages/2/content/2", json!({"text": "And?"})),
        ),
        (
            "arguments that are none",
            with(&called(json!([call("a", "{broken")]), vec![result("a", "x")]), tool()),
            Refused(INVALID, "messages[1]"),
        ),
    ];
    check(CHAT, CONVERSE, &base, rows);
    let body =
        crate::carried(CHAT, CONVERSE, &with(&with(&base, both), tool()).to_string()).expect("carried");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let made = &body["messages"][1]["content"][0]["toolUse"]["toolUseId"];
    assert!(made.as_str().expect("an id").starts_with(id), "{made}");
    assert_eq!(&body["messages"][2]["content"][1]["toolResult"]["toolUseId"], made);
}

#[test]
fn how_much_to_think_is_told_to_claude_in_its_own_words() {
    let base = json!({"model": "ours", "messages": user(json!("Hi.")), "max_completion_tokens": 20_000});
    let effort = |effort: &str| json!({"reasoning_effort": effort});
    let thinking = "/additionalModelRequestFields";
    let by_budget = vec![
        (
            "an effort",
            effort("medium"),
            Carried(thinking, json!({"thinking": {"type": "enabled", "budget_tokens": 8_192}})),
        ),
        ("none", effort("none"), Gone(thinking)),
        (
            "no room",
            json!({"reasoning_effort": "low", "max_completion_tokens": 1_500}),
            Refused(UNSUPPORTED, "reasoning_effort"),
        ),
    ];
    check_for(BY_BUDGET, CHAT, CONVERSE, &base, by_budget);
    let by_effort = vec![(
        "an effort",
        effort("high"),
        Carried(thinking, json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}})),
    )];
    check_for(BY_EFFORT, CHAT, CONVERSE, &base, by_effort);
    check_for(
        NOVA,
        CHAT,
        CONVERSE,
        &base,
        vec![("Nova", effort("high"), Refused(UNSUPPORTED, "reasoning_effort"))],
    );
}

#[test]
fn a_budget_has_a_cap_above_it_where_the_client_gave_none() {
    let way = way(CHAT, CONVERSE);
    let body = json!({"messages": user(json!("Hi.")), "reasoning_effort": "low"}).to_string();
    let request = way.read(body.as_bytes()).expect("a request");
    let ask =
        HubAsk { model: BY_BUDGET, output_cap: 4_096, insert_cap: false, ask_usage: true, may_drop: &[] };
    let body: Value =
        serde_json::from_slice(&way.request(&request, &ask).expect("carried").body).expect("JSON");
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 4_096}));
    assert_eq!(body["additionalModelRequestFields"]["thinking"]["budget_tokens"], 1_024);
}

#[test]
fn messages_to_converse() {
    let base = json!({"model": "ours", "max_tokens": 9, "messages": user(json!("Hi."))});
    let block = |block: Value| json!({"messages": user(json!([block]))});
    let tools = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]});
    let history = with(
        &tools,
        json!({"messages": [
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "Eq+/"},
                {"type": "redacted_thinking", "data": "EqoB"},
                {"type": "thinking", "thinking": "foreign", "signature": "gemini:c2ln"},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "And?"},
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
                    {"type": "text", "text": "no"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}],
                 "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]}),
    );
    let rows = vec![
        ("top_k", json!({"top_k": 5}), Carried("/additionalModelRequestFields", json!({"top_k": 5}))),
        (
            "a document of text",
            block(
                json!({"type": "document", "title": "notes", "source": {"type": "text", "media_type": "text/plain", "data": "ABC"}}),
            ),
            Carried(
                "/messages/0/content/0",
                json!({"document": {"format": "txt", "name": "notes", "source": {"bytes": "QUJD"}}}),
            ),
        ),
        (
            "a block of its own",
            block(json!({"type": "search_result", "content": []})),
            Refused(UNSUPPORTED, "messages[0].content[0]"),
        ),
        (
            "a budget",
            json!({"thinking": {"type": "enabled", "budget_tokens": 2_048}, "max_tokens": 9_000}),
            Carried(
                "/additionalModelRequestFields/thinking",
                json!({"type": "enabled", "budget_tokens": 2_048}),
            ),
        ),
        (
            "proven reasoning",
            history.clone(),
            Carried(
                "/messages/1/content",
                json!([{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eq+/"}}},
                       {"reasoningContent": {"redactedContent": "EqoB"}},
                       {"toolUse": {"toolUseId": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}}}]),
            ),
        ),
        (
            "a failed tool with a picture, and what may be cached",
            history.clone(),
            Carried(
                "/messages/2/content",
                json!([{"toolResult": {"toolUseId": "toolu_1", "status": "error", "content": [
                            {"text": "no"}, {"image": {"format": "png", "source": {"bytes": "QUJD"}}}]}},
                       {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "And?"}]),
            ),
        ),
        (
            "tools that may be cached",
            tools.clone(),
            Carried("/toolConfig/tools/1", json!({"cachePoint": {"type": "default"}})),
        ),
        (
            "words put into the mouth",
            json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "{ "}]}),
            Carried("/messages/1/content/0/text", json!("{")),
        ),
    ];
    check_for(BY_BUDGET, MESSAGES, CONVERSE, &base, rows);
    let rows = vec![
        (
            "top_k of Nova",
            json!({"top_k": 5}),
            Carried("/additionalModelRequestFields", json!({"inferenceConfig": {"topK": 5}})),
        ),
        ("proofs are for Claude alone", history.clone(), Gone("/messages/1/content/1")),
        ("Nova caches no tools", tools.clone(), Gone("/toolConfig/tools/1")),
    ];
    check_for(NOVA, MESSAGES, CONVERSE, &base, rows);
    let rows = vec![
        ("top_k of a model that has none", json!({"top_k": 5}), Refused(UNSUPPORTED, "top_k")),
        ("a model without a cache", history, Gone("/messages/2/content/2")),
    ];
    check(MESSAGES, CONVERSE, &base, rows);
}

#[test]
fn generated_content_and_responses_to_converse() {
    let base = json!({"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]});
    let rows = vec![
        ("words", json!({}), Carried("/messages", json!([{"role": "user", "content": [{"text": "Hi."}]}]))),
        (
            "a function",
            json!({"tools": [{"functionDeclarations": [{"name": "f"}]}]}),
            Carried("/toolConfig/tools/0/toolSpec/name", json!("f")),
        ),
        ("a search", json!({"tools": [{"googleSearch": {}}]}), Refused(UNSUPPORTED, "tools[0].googleSearch")),
    ];
    check(GENERATE, CONVERSE, &base, rows);
    let rows = vec![
        ("words", json!({}), Carried("/messages", json!([{"role": "user", "content": [{"text": "Hi."}]}]))),
        ("instructions", json!({"instructions": "S"}), Carried("/system", json!([{"text": "S"}]))),
        ("a kept one", json!({"previous_response_id": "r"}), Refused(UNSUPPORTED, "previous_response_id")),
    ];
    check(RESPONSES, CONVERSE, &json!({"model": "ours", "input": "Hi."}), rows);
}

#[test]
fn a_route_may_permit_to_leave_out_what_has_no_place() {
    let way = way(CHAT, CONVERSE);
    let body = with(
        &with(&called(json!([call("a", "{}")]), vec![result("a", "x")]), tool()),
        json!({"tool_choice": "none", "seed": 7, "parallel_tool_calls": false}),
    );
    let request = way.read(body.to_string().as_bytes()).expect("a request");
    let may_drop = ["tool_choice".into(), "seed".into(), "parallel_tool_calls".into()];
    let ask = HubAsk { model: NOVA, output_cap: 9, insert_cap: true, ask_usage: true, may_drop: &may_drop };
    let written = way.request(&request, &ask).expect("carried");
    assert_eq!(written.dropped, ["seed", "parallel_tool_calls", "tool_choice"]);
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert_eq!(body["toolConfig"].get("toolChoice"), None);
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 9}));
}
