//! What of a request is carried to and from generated content, and what is refused.

use serde_json::{Value, json};
use tollgate_dialect::HubAsk;

use crate::{
    CHAT, GENERATE, MESSAGES, STREAM, carried,
    requests::{
        Fate::{self, Carried, Gone, Refused},
        INVALID, UNSUPPORTED, check, user,
    },
    way,
};

fn contents(parts: Value) -> Value {
    json!([{"role": "user", "parts": parts}])
}

type Row = (&'static str, Value, Fate);

fn with(base: &Value, more: Value) -> Value {
    let mut members = base.clone();
    members.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    members
}

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
            Refused(UNSUPPORTED, "tools[0].googleSearch"),
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
                Refused(UNSUPPORTED, "tools[0]"),
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
    let ask = HubAsk { model: "gemini-2.5-flash", output_cap: 500, insert_cap: false, may_drop: &[] };
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
