//! What of a request is carried, and what is refused: one row for each feature and direction.

use serde_json::{Value, json};

use crate::{CHAT, MESSAGES, carried, carried_for};

/// What becomes of a feature.
pub(crate) enum Fate {
    /// It arrives as this member.
    Carried(&'static str, Value),
    /// It changes nothing in the answer and is gone.
    Gone(&'static str),
    /// It is refused with this code, and this is named.
    Refused(&'static str, &'static str),
}

use Fate::{Carried, Gone, Refused};

pub(crate) const UNSUPPORTED: &str = "unsupported_parameter";
pub(crate) const INVALID: &str = "invalid_request";

pub(crate) fn user(content: Value) -> Value {
    json!([{"role": "user", "content": content}])
}

pub(crate) fn check(
    from: (tollgate_dialect::Dialect, tollgate_dialect::Operation),
    to: (tollgate_dialect::Dialect, tollgate_dialect::Operation),
    base: &Value,
    rows: Vec<(&str, Value, Fate)>,
) {
    check_for("theirs", from, to, base, rows);
}

/// The same for a target that serves this model.
pub(crate) fn check_for(
    model: &str,
    from: (tollgate_dialect::Dialect, tollgate_dialect::Operation),
    to: (tollgate_dialect::Dialect, tollgate_dialect::Operation),
    base: &Value,
    rows: Vec<(&str, Value, Fate)>,
) {
    for (feature, members, fate) in rows {
        let mut body = base.clone();
        for (name, value) in members.as_object().expect("members") {
            body[name] = value.clone();
        }
        let outcome = carried_for(model, from, to, &body.to_string());
        match (fate, outcome) {
            (Carried(place, want), Ok(body)) => {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(body.pointer(place), Some(&want), "{feature}: {body}");
            }
            (Gone(place), Ok(body)) => {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(body.pointer(place), None, "{feature}: {body}");
            }
            (Refused(code, param), Err(why)) => {
                assert_eq!((why.code(), why.param()), (code, param), "{feature}: {why}");
            }
            (_, outcome) => panic!("{feature}: {outcome:?}"),
        }
    }
}

#[test]
fn chat_to_messages() {
    let base = json!({"model": "ours", "messages": user(json!("Hi."))});
    let image = |url: &str| user(json!([{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]));
    let call = |arguments: &str| {
        json!([{"role": "user", "content": "Hi."},
               {"role": "assistant", "content": null, "tool_calls": [
                   {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
               {"role": "tool", "tool_call_id": "call_1", "content": "42"}])
    };
    let tool = json!([{"type": "function", "function": {"name": "f", "description": "d", "strict": true,
        "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}}]);
    let with_tool = |more: Value| {
        let mut members = json!({"tools": tool});
        members.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        members
    };
    check(
        CHAT,
        MESSAGES,
        &base,
        vec![
            ("model", json!({}), Carried("/model", json!("theirs"))),
            ("a cap that is demanded", json!({}), Carried("/max_tokens", json!(500))),
            ("cap", json!({"max_completion_tokens": 9}), Carried("/max_tokens", json!(9))),
            ("old cap", json!({"max_tokens": 9}), Carried("/max_tokens", json!(9))),
            (
                "system",
                json!({"messages": [{"role": "system", "content": "S"}, {"role": "developer", "content": "D"},
            {"role": "user", "content": "Hi."}]}),
                Carried("/system", json!([{"type": "text", "text": "S"}, {"type": "text", "text": "D"}])),
            ),
            (
                "system later on",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "system", "content": "S"}]}),
                Refused(UNSUPPORTED, "messages[1]"),
            ),
            (
                "turns of one role",
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}),
                Carried("/messages/0/content/1/text", json!("b")),
            ),
            (
                "image by data",
                json!({"messages": image("data:image/png;base64,QUJD")}),
                Carried(
                    "/messages/0/content/0/source",
                    json!({"type": "base64", "media_type": "image/png", "data": "QUJD"}),
                ),
            ),
            (
                "image by URL",
                json!({"messages": image("https://x.test/a.png")}),
                Carried(
                    "/messages/0/content/0/source",
                    json!({"type": "url", "url": "https://x.test/a.png"}),
                ),
            ),
            (
                "base64 that is none",
                json!({"messages": image("data:image/png;base64,%%%")}),
                Refused(INVALID, "messages[0].content[0].image_url.url"),
            ),
            (
                "document",
                json!({"messages": user(json!([{"type": "file", "file": {"filename": "a.pdf",
            "file_data": "data:application/pdf;base64,QUJD"}}]))}),
                Carried(
                    "/messages/0/content/0",
                    json!({"type": "document", "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}}),
                ),
            ),
            (
                "file by id",
                json!({"messages": user(json!([{"type": "file", "file": {"file_id": "file-1"}}]))}),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "audio",
                json!({"messages": user(json!([{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}]))}),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "unknown part",
                json!({"messages": user(json!([{"type": "hologram"}]))}),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
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
                "tool without schema",
                json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
                Carried("/tools/0/input_schema", json!({"type": "object", "properties": {}})),
            ),
            (
                "tool that is no function",
                json!({"tools": [{"type": "custom", "custom": {}}]}),
                Refused(UNSUPPORTED, "tools[0]"),
            ),
            (
                "a schema that is none",
                json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]}),
                Refused(INVALID, "tools[0].function.parameters"),
            ),
            (
                "choice: auto",
                with_tool(json!({"tool_choice": "auto"})),
                Carried("/tool_choice", json!({"type": "auto"})),
            ),
            (
                "choice: none",
                with_tool(json!({"tool_choice": "none"})),
                Carried("/tool_choice", json!({"type": "none"})),
            ),
            (
                "choice: required",
                with_tool(json!({"tool_choice": "required"})),
                Carried("/tool_choice", json!({"type": "any"})),
            ),
            (
                "choice: named",
                with_tool(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
                Carried("/tool_choice", json!({"type": "tool", "name": "f"})),
            ),
            (
                "choice: some",
                with_tool(json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}})),
                Refused(UNSUPPORTED, "tool_choice"),
            ),
            (
                "one call at a time",
                with_tool(json!({"parallel_tool_calls": false})),
                Carried("/tool_choice", json!({"type": "auto", "disable_parallel_tool_use": true})),
            ),
            (
                "call",
                json!({"messages": call("{\"b\":1.50,\"a\":2}")}),
                Carried(
                    "/messages/1/content/0",
                    json!({"type": "tool_use", "id": "call_1", "name": "f", "input": {"b": 1.50, "a": 2}}),
                ),
            ),
            (
                "call without arguments",
                json!({"messages": call("")}),
                Carried("/messages/1/content/0/input", json!({})),
            ),
            (
                "arguments that are no object",
                json!({"messages": call("[1]")}),
                Refused(INVALID, "messages[1]"),
            ),
            (
                "result",
                json!({"messages": call("{}")}),
                Carried(
                    "/messages/2/content/0",
                    json!({"type": "tool_result",
            "tool_use_id": "call_1", "content": [{"type": "text", "text": "42"}]}),
                ),
            ),
            ("stop text", json!({"stop": "x"}), Carried("/stop_sequences", json!(["x"]))),
            ("stop texts", json!({"stop": ["x", "y"]}), Carried("/stop_sequences", json!(["x", "y"]))),
            ("temperature", json!({"temperature": 0.5}), Carried("/temperature", json!(0.5))),
            ("temperature above the scale", json!({"temperature": 1.5}), Refused(UNSUPPORTED, "temperature")),
            ("top_p", json!({"top_p": 0.5}), Carried("/top_p", json!(0.5))),
            ("seed", json!({"seed": 1}), Refused(UNSUPPORTED, "seed")),
            ("penalty", json!({"presence_penalty": 0.5}), Refused(UNSUPPORTED, "presence_penalty")),
            ("no penalty", json!({"frequency_penalty": 0}), Gone("/frequency_penalty")),
            ("one answer", json!({"n": 1}), Gone("/n")),
            ("several answers", json!({"n": 2}), Refused(UNSUPPORTED, "n")),
            ("log probabilities", json!({"logprobs": true}), Refused(UNSUPPORTED, "logprobs")),
            ("stored answers", json!({"store": true}), Refused(UNSUPPORTED, "store")),
            (
                "schema",
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}}),
                Carried(
                    "/output_config/format",
                    json!({"type": "json_schema", "schema": {"type": "object"}}),
                ),
            ),
            (
                "any JSON",
                json!({"response_format": {"type": "json_object"}}),
                Refused(UNSUPPORTED, "response_format"),
            ),
            ("plain text", json!({"response_format": {"type": "text"}}), Gone("/output_config")),
            ("effort", json!({"reasoning_effort": "high"}), Carried("/output_config/effort", json!("high"))),
            (
                "no effort",
                json!({"reasoning_effort": "none"}),
                Carried("/thinking", json!({"type": "disabled"})),
            ),
            ("user", json!({"user": "u"}), Carried("/metadata", json!({"user_id": "u"}))),
            (
                "stream",
                json!({"stream": true, "stream_options": {"include_usage": true}}),
                Carried("/stream", json!(true)),
            ),
            ("nothing said by null", json!({"seed": null, "tools": null}), Gone("/tools")),
            ("unknown member", json!({"frobnicate": 1}), Refused(UNSUPPORTED, "frobnicate")),
            ("wrong shape", json!({"messages": {}}), Refused(INVALID, "messages")),
            (
                "a role that is none",
                json!({"messages": [{"role": "boss", "content": ""}]}),
                Refused(INVALID, "messages[0].role"),
            ),
            (
                "name of a speaker",
                json!({"messages": [{"role": "user", "name": "a", "content": "Hi."}]}),
                Refused(UNSUPPORTED, "messages[0].name"),
            ),
        ],
    );
}

#[test]
fn messages_to_chat() {
    let base = json!({"model": "ours", "max_tokens": 9, "messages": user(json!("Hi."))});
    let block = |block: Value| json!({"messages": user(json!([block]))});
    let tool = json!([{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"b": {}, "a": {}}},
        "cache_control": {"type": "ephemeral"}}]);
    let with_tool = |choice: Value| json!({"tools": tool, "tool_choice": choice});
    let called = json!({"messages": [{"role": "user", "content": "Hi."},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1.50, "a": 2}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "42"}]},
            {"type": "text", "text": "And?"}]}]});
    check(
        MESSAGES,
        CHAT,
        &base,
        vec![
            ("model", json!({}), Carried("/model", json!("theirs"))),
            ("cap", json!({}), Carried("/max_completion_tokens", json!(9))),
            (
                "system",
                json!({"system": "S"}),
                Carried("/messages/0", json!({"role": "system", "content": "S"})),
            ),
            (
                "system blocks",
                json!({"system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "T"}]}),
                Carried(
                    "/messages/0/content",
                    json!([{"type": "text", "text": "S"}, {"type": "text", "text": "T"}]),
                ),
            ),
            (
                "image by data",
                block(
                    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}),
                ),
                Carried("/messages/0/content/0/image_url/url", json!("data:image/png;base64,QUJD")),
            ),
            (
                "image by URL",
                block(json!({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}})),
                Carried("/messages/0/content/0/image_url/url", json!("https://x.test/a.png")),
            ),
            (
                "document",
                block(json!({"type": "document", "title": "a.pdf", "source": {"type": "base64",
            "media_type": "application/pdf", "data": "QUJD"}})),
                Carried(
                    "/messages/0/content/0/file",
                    json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}),
                ),
            ),
            (
                "document of text",
                block(
                    json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "T"}}),
                ),
                Carried("/messages/0/content", json!("T")),
            ),
            (
                "document by URL",
                block(json!({"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "stored file",
                block(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "document to be cited",
                block(json!({"type": "document", "citations": {"enabled": true},
            "source": {"type": "text", "media_type": "text/plain", "data": "T"}})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "unknown block",
                block(json!({"type": "search_result"})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "tool",
                with_tool(json!({"type": "auto"})),
                Carried(
                    "/tools/0/function",
                    json!({"name": "f", "description": "d",
            "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}),
                ),
            ),
            (
                "tool of the provider",
                json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
                Refused(UNSUPPORTED, "tools[0]"),
            ),
            ("choice: any", with_tool(json!({"type": "any"})), Carried("/tool_choice", json!("required"))),
            ("choice: none", with_tool(json!({"type": "none"})), Carried("/tool_choice", json!("none"))),
            (
                "choice: named",
                with_tool(json!({"type": "tool", "name": "f"})),
                Carried("/tool_choice/function/name", json!("f")),
            ),
            (
                "one call at a time",
                with_tool(json!({"type": "auto", "disable_parallel_tool_use": true})),
                Carried("/parallel_tool_calls", json!(false)),
            ),
            (
                "call",
                called.clone(),
                Carried(
                    "/messages/1",
                    json!({"role": "assistant", "content": "Let me see.",
            "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.5,\"a\":2}"}}]}),
                ),
            ),
            (
                "result before what is said",
                called.clone(),
                Carried(
                    "/messages/2",
                    json!({"role": "tool", "content": "42",
            "tool_call_id": "toolu_1"}),
                ),
            ),
            (
                "what is said beside a result",
                called,
                Carried("/messages/3", json!({"role": "user", "content": "And?"})),
            ),
            (
                "a result with a picture",
                block(json!({"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "url", "url": "https://x.test"}}]})),
                Refused(UNSUPPORTED, "messages[0].content[0]"),
            ),
            (
                "words put into the mouth",
                json!({"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "{"}]}),
                Refused(UNSUPPORTED, "messages[1]"),
            ),
            ("stop texts", json!({"stop_sequences": ["x"]}), Carried("/stop", json!(["x"]))),
            ("temperature", json!({"temperature": 0.5}), Carried("/temperature", json!(0.5))),
            ("top_k", json!({"top_k": 5}), Refused(UNSUPPORTED, "top_k")),
            (
                "budget of thinking",
                json!({"thinking": {"type": "enabled", "budget_tokens": 5000}}),
                Carried("/reasoning_effort", json!("medium")),
            ),
            ("thinking as it sees fit", json!({"thinking": {"type": "adaptive"}}), Gone("/reasoning_effort")),
            ("no thinking", json!({"thinking": {"type": "disabled"}}), Gone("/reasoning_effort")),
            (
                "effort",
                json!({"output_config": {"effort": "low"}}),
                Carried("/reasoning_effort", json!("low")),
            ),
            (
                "schema",
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
                Carried(
                    "/response_format/json_schema",
                    json!({"name": "response", "schema": {"type": "object"}, "strict": true}),
                ),
            ),
            ("user", json!({"metadata": {"user_id": "u"}}), Carried("/user", json!("u"))),
            ("stream", json!({"stream": true}), Carried("/stream_options", json!({"include_usage": true}))),
            ("container", json!({"container": "c"}), Refused(UNSUPPORTED, "container")),
            ("servers of tools", json!({"mcp_servers": [{"url": "x"}]}), Refused(UNSUPPORTED, "mcp_servers")),
            ("a cache hint", json!({"cache_control": {"type": "ephemeral"}}), Gone("/cache_control")),
            ("wrong shape", json!({"system": 7}), Refused(INVALID, "system")),
        ],
    );
}

#[test]
fn a_member_given_twice_is_refused_at_any_depth() {
    let body = r#"{"messages":[{"role":"user","role":"system","content":"x"}]}"#;
    let why = carried(CHAT, MESSAGES, body).expect_err("parsers disagree about it");
    assert_eq!((why.code(), why.param()), (INVALID, "messages[0].role"));
}

#[test]
fn models_that_think_up_to_a_budget_get_one_that_fits_their_cap() {
    use tollgate_dialect::HubAsk;
    let way = crate::way(CHAT, MESSAGES);
    let thinking = |model: &str, cap: u64| {
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"x"}}],"reasoning_effort":"medium","max_tokens":{cap}}}"#
        );
        let hub = way.read(body.as_bytes()).expect("good");
        let ask = HubAsk { model, output_cap: 500, insert_cap: false, ask_usage: true, may_drop: &[] };
        way.request(&hub, &ask)
            .map(|body| serde_json::from_slice::<Value>(&body.body).expect("JSON")["thinking"].clone())
    };
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    assert_eq!(thinking("claude-sonnet-4-5", 20_000), Ok(budget(8_192)));
    assert_eq!(thinking("claude-sonnet-4-5", 4_000), Ok(budget(2_976)));
    assert_eq!(
        thinking("claude-sonnet-4-5", 2_000).map_err(|why| why.param().to_owned()),
        Err("reasoning_effort".to_owned())
    );
    assert_eq!(thinking("claude-sonnet-4-6", 20_000), Ok(json!({"type": "adaptive"})));
}
