//! A client of each dialect: how it asks, and how strictly it reads its answer.

use serde_json::Value;

use super::heard::{Heard, Usage, messages, sse};
use crate::harness::{Answer, Ask};

/// What a client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Client {
    Chat,
    Responses,
    Messages,
    Generate,
    Converse,
}

use Client::{Chat, Converse, Generate, Messages, Responses};

const CHAT: Usage = Usage { at: "/usage", input: "prompt_tokens", output: "completion_tokens" };
const RESPONSES: Usage = Usage { at: "/usage", input: "input_tokens", output: "output_tokens" };
const MESSAGES: Usage = RESPONSES;
const GENERATE: Usage =
    Usage { at: "/usageMetadata", input: "promptTokenCount", output: "candidatesTokenCount" };
const CONVERSE: Usage = Usage { at: "/usage", input: "inputTokens", output: "outputTokens" };

impl Client {
    /// The dialect as rows name it.
    pub(super) fn dialect(self) -> &'static str {
        match self {
            Chat | Responses => "openai",
            Messages => "anthropic",
            Generate => "gemini",
            Converse => "bedrock",
        }
    }

    pub(super) fn ask(self, stream: bool) -> Ask {
        let messages = r#""messages":[{"role":"user","content":"Hi."}]"#;
        match self {
            Chat => Ask::chat().body(format!(
                r#"{{"model":"chat","stream":{stream},{}{messages}}}"#,
                if stream { r#""stream_options":{"include_usage":true},"# } else { "" }
            )),
            Responses => {
                Ask::post("/v1/responses", format!(r#"{{"model":"chat","stream":{stream},"input":"Hi."}}"#))
            }
            Messages => Ask::messages()
                .body(format!(r#"{{"model":"claude","max_tokens":64,"stream":{stream},{messages}}}"#)),
            Generate => Ask::post(
                match stream {
                    true => "/v1beta/models/gemini:streamGenerateContent?alt=sse",
                    false => "/v1beta/models/gemini:generateContent",
                },
                r#"{"contents":[{"role":"user","parts":[{"text":"Hi."}]}]}"#,
            ),
            Converse => Ask::post(
                if stream { "/model/nova/converse-stream" } else { "/model/nova/converse" },
                r#"{"messages":[{"role":"user","content":[{"text":"Hi."}]}]}"#,
            ),
        }
    }

    /// What the answer says, or what is not in order with it.
    pub(super) fn hear(self, answer: &Answer, stream: bool) -> Result<Heard, String> {
        let heard = if stream { self.hear_stream(answer) } else { self.hear_whole(answer) };
        heard.map_err(|what| format!("{what} in {}", String::from_utf8_lossy(&answer.body)))
    }

    fn hear_whole(self, answer: &Answer) -> Result<Heard, String> {
        let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let (text, usage) = match self {
            Chat => ("/choices/0/message/content", CHAT),
            Responses => ("/output/0/content/0/text", RESPONSES),
            Messages => ("/content/0/text", MESSAGES),
            Generate => ("/candidates/0/content/parts/0/text", GENERATE),
            Converse => ("/output/message/content/0/text", CONVERSE),
        };
        let mut heard = Heard::default();
        heard.says(&body, text);
        heard.counts(&body, usage)?;
        Ok(heard)
    }

    fn hear_stream(self, answer: &Answer) -> Result<Heard, String> {
        match self {
            Chat => hear_chat(sse(answer)?),
            Responses => hear_responses(sse(answer)?),
            Messages => hear_messages(sse(answer)?),
            Generate => hear_generate(sse(answer)?),
            Converse => hear_converse(messages(&answer.body)?),
        }
    }
}

/// The role once and first, one reason to finish, one usage, the end mark last.
fn hear_chat(events: Vec<(String, Value)>) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let kind = |event: &Value| {
        let delta = &event["choices"][0];
        match event {
            Value::Null => "[DONE]",
            _ if !delta["delta"]["role"].is_null() => "role",
            _ if !delta["finish_reason"].is_null() => "finish",
            _ if !event["usage"].is_null() => "usage",
            _ if delta["delta"].is_object() => "delta",
            _ => "something else",
        }
    };
    let kinds: Vec<&str> = events.iter().map(|(_, event)| kind(event)).collect();
    in_order(&kinds, "role", &["delta"], &["finish", "usage", "[DONE]"])?;
    let chunks = &events[..events.len() - 1];
    same(chunks, "/id")?;
    for (_, event) in chunks {
        heard.says(event, "/choices/0/delta/content");
        heard.counts_if_told(event, CHAT)?;
    }
    Ok(heard)
}

/// Created once and first, completed once and last, every event counted.
fn hear_responses(events: Vec<(String, Value)>) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let kinds: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let between = [
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ];
    in_order(&kinds, "response.created", &between, &["response.completed"])?;
    for (place, (name, event)) in events.iter().enumerate() {
        if event["type"] != name.as_str() || event["sequence_number"] != place {
            return Err(format!("event {place} is out of its place"));
        }
        heard.says(event, "/delta");
        heard.counts_if_told(&event["response"], RESPONSES)?;
    }
    Ok(heard)
}

/// One start, one block that is opened and closed, one stop.
fn hear_messages(events: Vec<(String, Value)>) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let kinds: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let between = ["content_block_start", "content_block_delta", "content_block_stop", "ping"];
    in_order(&kinds, "message_start", &between, &["message_delta", "message_stop"])?;
    for kind in ["content_block_start", "content_block_stop"] {
        once(&kinds, kind)?;
    }
    for (name, event) in &events {
        if event["type"] != name.as_str() {
            return Err(format!("{name} says another type"));
        }
        heard.says(event, "/delta/text");
        if name == "message_start" {
            heard.counts(&event["message"], MESSAGES)?;
        }
        // The last one counts; an upstream's own may tell the output alone.
        heard.counts_if_told(event, MESSAGES)?;
    }
    Ok(heard)
}

/// One reason to finish, in the last chunk; one id for all.
fn hear_generate(events: Vec<(String, Value)>) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let kind = |event: &Value| match &event["candidates"][0] {
        Value::Object(candidate) if candidate.contains_key("finishReason") => "finish",
        Value::Object(_) => "part",
        _ => "something else",
    };
    let kinds: Vec<&str> = events.iter().map(|(_, event)| kind(event)).collect();
    in_order(&kinds, "part", &["part"], &["finish"])?;
    same(&events, "/responseId")?;
    for (_, event) in &events {
        heard.says(event, "/candidates/0/content/parts/0/text");
        heard.counts_if_told(event, GENERATE)?;
    }
    Ok(heard)
}

/// One start, deltas of one block that is closed, one stop, the figures last.
fn hear_converse(events: Vec<(String, Value)>) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let kinds: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let between = ["contentBlockDelta"];
    in_order(&kinds, "messageStart", &between, &["contentBlockStop", "messageStop", "metadata"])?;
    for (_, event) in &events {
        heard.says(event, "/delta/text");
        heard.counts_if_told(event, CONVERSE)?;
    }
    Ok(heard)
}

/// Whether the kinds are the first, then only such as may stand between, then exactly the last ones.
fn in_order(kinds: &[&str], first: &str, between: &[&str], last: &[&str]) -> Result<(), String> {
    let Some(rest) = kinds.strip_prefix(&[first]).and_then(|rest| rest.strip_suffix(last)) else {
        return Err(format!("not from {first} to {last:?}: {kinds:?}"));
    };
    match rest.iter().find(|kind| !between.contains(kind)) {
        Some(kind) => Err(format!("{kind} in the middle")),
        None => Ok(()),
    }
}

fn once(kinds: &[&str], wanted: &str) -> Result<(), String> {
    match kinds.iter().filter(|kind| **kind == wanted).count() {
        1 => Ok(()),
        times => Err(format!("{wanted} comes {times} times")),
    }
}

/// Whether a member has one text in all events.
fn same(events: &[(String, Value)], member: &str) -> Result<(), String> {
    let first = events.first().and_then(|(_, event)| event.pointer(member)?.as_str());
    match events.iter().all(|(_, event)| event.pointer(member).and_then(Value::as_str) == first) {
        true if first.is_some() => Ok(()),
        _ => Err(format!("{member} is not one and the same")),
    }
}
