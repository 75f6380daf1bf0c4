//! What of a request for generated content is carried elsewhere, and what is refused.

use serde_json::{Value, json};
use tollgate_dialect::HubAsk;

use super::with;
use crate::{
    CHAT, GENERATE, MESSAGES, RESPONSES, STREAM,
    requests::{
        Fate::{self, Carried, Gone, Refused},
        INVALID, UNSUPPORTED, check, user,
    },
};

fn contents(parts: Value) -> Value {
    json!([{"role": "user", "parts": parts}])
}

type Row = (&'static str, Value, Fate);

/// What every dialect with a conversation is refused alike.
fn refused_of_gemini() -> Vec<Row> {
    let part = |part: Value| json!({"contents": contents(json!([part]))});
    let config = |config: Value| json!({"generationConfig": config});
    let called = |response: Value| {
        json!({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            {"role": "user", "parts": [{"functionResponse": response}]}]})
    };
    vec![
        (
            "cached content",
            json!({"cachedContent": "cachedContents/1"}),
            Refused(UNSUPPORTED, "cachedContent"),
        ),
        (
            "a filter",
            json!({"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_LOW_AND_ABOVE"}]}),
            Refused(UNSUPPORTED, "safetySettings[0]"),
        ),
        (
            "a tool of the provider",
            json!({"tools": [{"google_search": {}}]}),
            Refused(UNSUPPORTED, "tools[0].google_search"),
        ),
        (
            "several answers",
            config(json!({"candidateCount": 2})),
            Refused(UNSUPPORTED, "generationConfig.candidateCount"),
        ),
        (
            "pictures as answers",
            config(json!({"responseModalities": ["IMAGE"]})),
            Refused(UNSUPPORTED, "generationConfig.responseModalities"),
        ),
        (
            "speech",
            config(json!({"speechConfig": {}})),
            Refused(UNSUPPORTED, "generationConfig.speechConfig"),
        ),
        (
            "log probabilities",
            config(json!({"responseLogprobs": true})),
            Refused(UNSUPPORTED, "generationConfig.responseLogprobs"),
        ),
        (
            "an answer from a list",
            config(json!({"responseMimeType": "text/x.enum"})),
            Refused(UNSUPPORTED, "generationConfig.responseMimeType"),
        ),
        (
            "a stored file",
            part(json!({"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}})),
            Refused(UNSUPPORTED, "contents[0].parts[0]"),
        ),
        (
            "a film",
            part(json!({"inlineData": {"mimeType": "video/mp4", "data": "QUJD"}})),
            Refused(UNSUPPORTED, "contents[0].parts[0]"),
        ),
        (
            "a cut of a picture",
            part(
                json!({"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "videoMetadata": {"fps": 1}}),
            ),
            Refused(UNSUPPORTED, "contents[0].parts[0]"),
        ),
        (
            "code",
            part(json!({"executableCode": {"code": "1"}})),
            Refused(UNSUPPORTED, "contents[0].parts[0]"),
        ),
        (
            "base64 that is none",
            part(json!({"inlineData": {"mimeType": "image/png", "data": "%%%"}})),
            Refused(INVALID, "contents[0].parts[0].inlineData.data"),
        ),
        (
            "a result of no call",
            part(json!({"functionResponse": {"name": "f", "response": {}}})),
            Refused(INVALID, "contents[0].parts[0].functionResponse"),
        ),
        (
            "a result that is no object",
            called(json!({"name": "f", "response": 7})),
            Refused(INVALID, "contents[1].parts[0].functionResponse.response"),
        ),
        (
            "a schema that is none",
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": 7}]}]}),
            Refused(INVALID, "tools[0].functionDeclarations[0].parameters"),
        ),
        (
            "what a function gives",
            json!({"tools": [{"functionDeclarations": [{"name": "f", "response": {"type": "STRING"}}]}]}),
            Refused(UNSUPPORTED, "tools[0].functionDeclarations[0].response"),
        ),
        ("unknown member", json!({"frobnicate": 1}), Refused(UNSUPPORTED, "frobnicate")),
        (
            "unknown setting",
            config(json!({"frobnicate": 1})),
            Refused(UNSUPPORTED, "generationConfig.frobnicate"),
        ),
        (
            "a number that is none",
            config(json!({"temperature": "hot"})),
            Refused(INVALID, "generationConfig.temperature"),
        ),
        ("wrong shape", json!({"contents": 7}), Refused(INVALID, "contents")),
        (
            "a role that is none",
            json!({"contents": [{"role": "boss", "parts": []}]}),
            Refused(INVALID, "contents[0].role"),
        ),
        (
            "a member under both its names",
            json!({"systemInstruction": {"parts": []}, "system_instruction": {"parts": []}}),
            Refused(INVALID, "systemInstruction"),
        ),
        (
            "words put into the mouth",
            json!({"contents": [{"role": "user", "parts": [{"text": "Hi."}]}, {"role": "model", "parts": [{"text": "{"}]}]}),
            Refused(UNSUPPORTED, "contents[1]"),
        ),
    ]
}

#[test]
fn generated_content_to_chat() {
    let base = json!({"contents": contents(json!([{"text": "Hi."}]))});
    let config = |config: Value| json!({"generationConfig": config});
    let part = |part: Value| json!({"contents": contents(json!([{"text": "See:"}, part]))});
    let tools = json!({"tools": [{"functionDeclarations": [
        {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {"b": {"type": "STRING", "nullable": true}, "a": {"type": "INTEGER"}}}},
        {"name": "g", "parametersJsonSchema": {"type": "object", "properties": {"z": {"const": 1}}}}]}]});
    let calling = |calling: Value| with(&tools, json!({"toolConfig": {"functionCallingConfig": calling}}));
    let called = json!({"contents": [
        {"role": "user", "parts": [{"text": "Hi."}]},
        {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "Let me see."},
            {"functionCall": {"name": "f", "args": {"b": 1.5, "a": 2}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "mine", "name": "f"}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "mine", "name": "f", "response": {"x": 1, "a": 2}}},
            {"functionResponse": {"name": "f", "response": {"result": "42"}}}, {"text": "And?"}]}]});
    let mut rows = vec![
        ("model", json!({}), Carried("/model", json!("theirs"))),
        ("words", json!({}), Carried("/messages", user(json!("Hi.")))),
        (
            "no role",
            json!({"contents": [{"parts": [{"text": "Hi."}]}]}),
            Carried("/messages", user(json!("Hi."))),
        ),
        (
            "lists without brackets",
            json!({"contents": {"parts": {"text": "Hi."}}}),
            Carried("/messages", user(json!("Hi."))),
        ),
        (
            "system",
            json!({"system_instruction": {"role": "user", "parts": [{"text": "S"}]}}),
            Carried("/messages/0", json!({"role": "system", "content": "S"})),
        ),
        ("cap", config(json!({"maxOutputTokens": 9})), Carried("/max_completion_tokens", json!(9))),
        (
            "cap as text",
            config(json!({"max_output_tokens": "9"})),
            Carried("/max_completion_tokens", json!(9)),
        ),
        ("temperature", config(json!({"temperature": 1.5})), Carried("/temperature", json!(1.5))),
        ("top_p", config(json!({"topP": 0.5})), Carried("/top_p", json!(0.5))),
        ("top_k", config(json!({"topK": 5})), Refused(UNSUPPORTED, "generationConfig.topK")),
        ("seed", config(json!({"seed": 7})), Carried("/seed", json!(7))),
        ("penalty", config(json!({"presencePenalty": 0.5})), Carried("/presence_penalty", json!(0.5))),
        ("no penalty", config(json!({"frequencyPenalty": 0.0})), Gone("/frequency_penalty")),
        ("stop texts", config(json!({"stopSequences": ["x"]})), Carried("/stop", json!(["x"]))),
        ("one answer", config(json!({"candidateCount": 1})), Gone("/n")),
        (
            "any JSON",
            config(json!({"responseMimeType": "application/json"})),
            Carried("/response_format", json!({"type": "json_object"})),
        ),
        ("plain text", config(json!({"responseMimeType": "text/plain"})), Gone("/response_format")),
        (
            "schema",
            config(
                json!({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}),
            ),
            Carried(
                "/response_format/json_schema",
                json!({"name": "response", "strict": false, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}),
            ),
        ),
        (
            "closed JSON schema",
            config(json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object",
                "properties": {"a": {}}, "required": ["a"], "additionalProperties": false}})),
            Carried("/response_format/json_schema/strict", json!(true)),
        ),
        (
            "budget of thinking",
            config(json!({"thinkingConfig": {"thinkingBudget": 5000}})),
            Carried("/reasoning_effort", json!("medium")),
        ),
        (
            "thinking as it sees fit",
            config(json!({"thinkingConfig": {"thinkingBudget": -1}})),
            Gone("/reasoning_effort"),
        ),
        ("no thinking", config(json!({"thinkingConfig": {"thinkingBudget": 0}})), Gone("/reasoning_effort")),
        (
            "level of thinking",
            config(json!({"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": true}})),
            Carried("/reasoning_effort", json!("high")),
        ),
        (
            "image by data",
            part(json!({"inline_data": {"mime_type": "image/png", "data": "_-8"}})),
            Carried("/messages/0/content/1/image_url/url", json!("data:image/png;base64,/+8=")),
        ),
        (
            "image by URL",
            part(json!({"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png"}})),
            Carried("/messages/0/content/1/image_url/url", json!("https://x.test/a.png")),
        ),
        (
            "document",
            part(
                json!({"inlineData": {"mimeType": "application/pdf", "data": "QUJD", "displayName": "a.pdf"}}),
            ),
            Carried(
                "/messages/0/content/1/file",
                json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}),
            ),
        ),
        (
            "sound",
            part(json!({"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}})),
            Carried("/messages/0/content/1/input_audio", json!({"data": "QUJD", "format": "wav"})),
        ),
        (
            "tool by the API's own schema",
            tools.clone(),
            Carried(
                "/tools/0/function",
                json!({"name": "f", "description": "d", "parameters": {"type": "object",
                    "properties": {"b": {"type": ["string", "null"]}, "a": {"type": "integer"}}}}),
            ),
        ),
        (
            "tool by JSON schema",
            tools.clone(),
            Carried(
                "/tools/1/function",
                json!({"name": "g", "parameters": {"type": "object", "properties": {"z": {"const": 1}}}}),
            ),
        ),
        ("mode: auto", calling(json!({"mode": "AUTO"})), Carried("/tool_choice", json!("auto"))),
        ("mode: none", calling(json!({"mode": "NONE"})), Carried("/tool_choice", json!("none"))),
        ("mode: any", calling(json!({"mode": "ANY"})), Carried("/tool_choice", json!("required"))),
        (
            "mode: validated",
            calling(json!({"mode": "VALIDATED"})),
            Carried("/tools/0/function/strict", json!(true)),
        ),
        (
            "one that must be called",
            calling(json!({"mode": "ANY", "allowed_function_names": ["g"]})),
            Carried("/tool_choice/function/name", json!("g")),
        ),
        (
            "those that may be called",
            calling(json!({"mode": "VALIDATED", "allowedFunctionNames": ["g"]})),
            Gone("/tools/1"),
        ),
        (
            "calls with ids and without",
            called.clone(),
            Carried(
                "/messages/1",
                json!({"role": "assistant", "content": "Let me see.", "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.5,\"a\":2}"}},
                    {"id": "mine", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            ),
        ),
        (
            "a result that is an object",
            called.clone(),
            Carried(
                "/messages/2",
                json!({"role": "tool", "tool_call_id": "mine", "content": "{\"x\":1,\"a\":2}"}),
            ),
        ),
        (
            "a result in words",
            called.clone(),
            Carried("/messages/3", json!({"role": "tool", "tool_call_id": "call_0", "content": "42"})),
        ),
        (
            "what is said beside a result",
            called,
            Carried("/messages/4", json!({"role": "user", "content": "And?"})),
        ),
        (
            "a filter that lets all pass",
            json!({"safetySettings": [{"category": "x", "threshold": "BLOCK_NONE"}]}),
            Gone("/safetySettings"),
        ),
        ("labels", json!({"labels": {"a": "b"}}), Gone("/metadata")),
        ("tier", json!({"serviceTier": "standard"}), Gone("/service_tier")),
    ];
    rows.extend(refused_of_gemini());
    check(GENERATE, CHAT, &base, rows);
    check(
        STREAM,
        CHAT,
        &base,
        vec![("stream", json!({}), Carried("/stream_options", json!({"include_usage": true})))],
    );
}

#[test]
fn generated_content_to_messages() {
    let base = json!({"contents": contents(json!([{"text": "Hi."}]))});
    let config = |config: Value| json!({"generationConfig": config});
    let tools = json!({"tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}]}]});
    let sealed = |text: &str| {
        json!({"contents": [{"parts": [{"text": "Hi."}]},
            {"role": "model", "parts": [{"text": "h", "thought": true}, {"text": "m", "thought": true},
                {"text": "", "thought": true, "thoughtSignature": text}, {"functionCall": {"id": "1", "name": "f", "args": {}}}]},
            {"parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"error": "broken"}}}]}]})
    };
    let mut rows = vec![
        ("a cap that is demanded", json!({}), Carried("/max_tokens", json!(500))),
        ("cap", config(json!({"maxOutputTokens": 9})), Carried("/max_tokens", json!(9))),
        (
            "system",
            json!({"systemInstruction": {"parts": [{"text": "S"}]}}),
            Carried("/system", json!([{"type": "text", "text": "S"}])),
        ),
        ("temperature", config(json!({"temperature": 0.5})), Carried("/temperature", json!(0.5))),
        (
            "temperature above the scale",
            config(json!({"temperature": 1.5})),
            Refused(UNSUPPORTED, "generationConfig.temperature"),
        ),
        ("top_k", config(json!({"topK": 5})), Carried("/top_k", json!(5))),
        ("seed", config(json!({"seed": 7})), Refused(UNSUPPORTED, "generationConfig.seed")),
        ("stop texts", config(json!({"stopSequences": ["x"]})), Carried("/stop_sequences", json!(["x"]))),
        (
            "any JSON",
            config(json!({"responseMimeType": "application/json"})),
            Refused(UNSUPPORTED, "generationConfig.responseMimeType"),
        ),
        (
            "schema",
            config(json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}})),
            Carried("/output_config/format", json!({"type": "json_schema", "schema": {"type": "object"}})),
        ),
        (
            "level of thinking",
            config(json!({"thinkingConfig": {"thinkingLevel": "low"}})),
            Carried("/output_config/effort", json!("low")),
        ),
        (
            "no thinking",
            config(json!({"thinkingConfig": {"thinkingBudget": 0}})),
            Carried("/thinking", json!({"type": "disabled"})),
        ),
        (
            "tool",
            tools.clone(),
            Carried("/tools/0/input_schema", json!({"type": "object", "properties": {}})),
        ),
        (
            "mode: any",
            with(&tools, json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}})),
            Carried("/tool_choice", json!({"type": "any"})),
        ),
        (
            "a thought that the upstream's vendor proved",
            sealed("dG9sbGdhdGUuMS5hbnRocm9waWMuZXlKd2NtOXZaaUk2SWtWeEt5OGlmUT09"),
            Carried(
                "/messages/1/content/0",
                json!({"type": "thinking", "thinking": "hm", "signature": "Eq+/"}),
            ),
        ),
        (
            "a block that only the upstream's vendor reads",
            sealed("cmVkYWN0ZWQ6dG9sbGdhdGUuMS5hbnRocm9waWMuZXlKd2NtOXZaaUk2SW5naWZRPT0="),
            Carried("/messages/1/content/0", json!({"type": "redacted_thinking", "data": "x"})),
        ),
        (
            "a thought that another vendor proved",
            sealed("c2ln"),
            Carried("/messages/1/content/0/type", json!("tool_use")),
        ),
        (
            "a tool that failed",
            sealed("c2ln"),
            Carried(
                "/messages/2/content/0",
                json!({"type": "tool_result", "tool_use_id": "1", "is_error": true, "content": [{"type": "text", "text": "broken"}]}),
            ),
        ),
        (
            "sound",
            json!({"contents": contents(json!([{"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}]))}),
            Refused(UNSUPPORTED, "contents[0].parts[0]"),
        ),
    ];
    // This dialect goes on from words that are put into its mouth.
    rows.extend(
        refused_of_gemini().into_iter().filter(|(feature, ..)| *feature != "words put into the mouth"),
    );
    check(GENERATE, MESSAGES, &base, rows);
}

#[test]
fn generated_content_to_responses() {
    let base = json!({"contents": contents(json!([{"text": "Hi."}]))});
    let called = json!({"contents": [
        {"role": "user", "parts": [{"text": "Hi."}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": "c2ln"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "42"}}}]}]});
    let mut rows = vec![
        ("model", json!({}), Carried("/model", json!("theirs"))),
        (
            "system",
            json!({"systemInstruction": {"parts": [{"text": "S"}]}}),
            Carried("/instructions", json!("S")),
        ),
        (
            "cap",
            json!({"generationConfig": {"maxOutputTokens": 99}}),
            Carried("/max_output_tokens", json!(99)),
        ),
        (
            "a call",
            called.clone(),
            Carried(
                "/input/1",
                json!({"type": "function_call", "call_id": "call_0", "name": "f", "arguments": "{\"b\":1,\"a\":2}"}),
            ),
        ),
        (
            "its result",
            called,
            Carried("/input/2", json!({"type": "function_call_output", "call_id": "call_0", "output": "42"})),
        ),
    ];
    rows.extend(refused_of_gemini());
    check(GENERATE, RESPONSES, &base, rows);
}

#[test]
fn a_refusal_names_the_member_as_the_client_spelled_it_and_a_route_may_drop_it_in_either_spelling() {
    let body =
        r#"{"contents":[{"parts":[{"text":"Hi."}]}],"generation_config":{"response_modalities":["AUDIO"]}}"#;
    let way = crate::way(GENERATE, CHAT);
    let hub = way.read(body.as_bytes()).expect("good");
    let written = |may_drop: &[Box<str>]| {
        way.request(&hub, &HubAsk { model: "m", output_cap: 9, insert_cap: false, ask_usage: true, may_drop })
    };
    let place = "generation_config.response_modalities";
    assert_eq!(written(&[]).map_err(|why| why.param().to_owned()), Err(place.to_owned()));
    for name in [place, "generationConfig.responseModalities"] {
        let dropped = written(&[name.into()]).expect("it may be dropped").dropped;
        assert_eq!(dropped, [place], "{name}");
    }
}
