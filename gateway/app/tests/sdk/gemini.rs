//! A Gemini provider whose every word is written out here.

use serde_json::{Value, json};
use tollgate_simulator::{At, Exact, Fault, Framing, Incoming, Piece, Script, text_of};

use crate::stage::{TEXT_WORDS, USAGE};

/// What a call of the Gemini API is answered; `None` for calls of other APIs.
pub(crate) fn script(call: &Incoming) -> Option<Script> {
    let (_, called) = call.path.split_once("/models/")?;
    let (model, method) = called.split_once(':')?;
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    if method.starts_with("streamGenerateContent") {
        let script = stream();
        return Some(if model.ends_with("dies") { script.then(Fault::Reset(At::Chunk(1))) } else { script });
    }
    let wants_tool = body["contents"].as_array()?.last()?["parts"][0]["text"]
        .as_str()
        .is_some_and(|text| text.contains("use a tool"));
    let part = if wants_tool {
        let name = &body["tools"][0]["functionDeclarations"][0]["name"];
        json!({ "functionCall": { "name": name, "args": { "city": "Paris" } } })
    } else {
        json!({ "text": text_of(TEXT_WORDS) })
    };
    Some(Script::json(200, chunk(&part, Some("STOP")).to_string()))
}

/// The text word by word; each chunk repeats the usage, and there is no mark of the end.
fn stream() -> Script {
    let text = text_of(TEXT_WORDS);
    let (first, rest) = text.split_at(text.find(' ').unwrap_or_default());
    let event =
        |text: &str, finish| Piece::new(format!("data: {}\r\n\r\n", chunk(&json!({ "text": text }), finish)));
    Script::exact(Exact {
        status: 200,
        headers: vec![("content-type".into(), "text/event-stream".into())],
        pieces: vec![event(first, None), event(rest, Some("STOP"))],
        framing: Framing::Chunked,
    })
}

fn chunk(part: &Value, finish: Option<&str>) -> Value {
    let (input, output) = USAGE;
    let mut candidate = json!({ "index": 0, "content": { "role": "model", "parts": [part] } });
    if let Some(reason) = finish {
        candidate["finishReason"] = reason.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": input,
            "candidatesTokenCount": output,
            "totalTokenCount": input + output,
        },
        "modelVersion": "gemini-2.5-flash",
    })
}
