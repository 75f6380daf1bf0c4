//! Whole answers of the responses API.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Status, repeated, response, stop_of};
use crate::{
    hub::{HubBlock, HubReply, HubTold, Sealed},
    wire::Family,
};

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    model: String,
    #[serde(default)]
    status: String,
    incomplete_details: Option<Details>,
    output: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Details {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

/// An item of any kind, as far as it says something in another dialect.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) r#type: String,
    pub(super) content: Option<Vec<Part>>,
    pub(super) summary: Option<Vec<Part>>,
    pub(super) encrypted_content: Option<String>,
    pub(super) call_id: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    r#type: String,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
}

impl Item {
    /// The visible reasoning: what was said of it, or the reasoning itself.
    pub(super) fn reasoning(&self) -> String {
        let parts = self.summary.iter().chain(&self.content).flatten();
        parts.filter_map(|part| part.text.as_deref()).collect::<Vec<_>>().join("\n\n")
    }

    pub(super) fn proof(&self) -> Option<Sealed> {
        let sealed = self.encrypted_content.clone().filter(|sealed| !sealed.is_empty())?;
        Some(Sealed { family: Family::OpenAi, text: sealed })
    }

    /// The id that a result names.
    pub(super) fn call_id(&self) -> Option<String> {
        self.call_id.clone().or_else(|| self.id.clone())
    }
}

pub(super) fn read(body: &[u8]) -> Option<HubReply> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    let mut blocks = Vec::new();
    for item in reply.output {
        let Kind { r#type: kind } = serde_json::from_str(item.get()).ok()?;
        // What else there is, is work of the provider's own tools, which a translated request cannot ask
        // for.
        if matches!(&*kind, "message" | "reasoning" | "function_call") {
            read_item(serde_json::from_str(item.get()).ok()?, &mut blocks)?;
        }
    }
    let calls = blocks.iter().any(|block| matches!(block, HubBlock::ToolUse { .. }));
    let reason = reply.incomplete_details.and_then(|details| details.reason);
    let stop = stop_of(&reply.status, reason.as_deref(), calls);
    Some(HubReply { model: reply.model, blocks, stop, stop_sequence: None })
}

fn read_item(item: Item, blocks: &mut Vec<HubBlock>) -> Option<()> {
    match &*item.r#type {
        "message" => blocks.extend(item.content.into_iter().flatten().filter_map(|part| {
            match (&*part.r#type, part.text, part.refusal) {
                ("refusal", _, Some(text)) => Some(HubBlock::Refusal(text)),
                (_, Some(text), _) => Some(HubBlock::Text(text)),
                _ => None,
            }
        })),
        "reasoning" => {
            let text = item.reasoning();
            blocks.extend(match (text.is_empty(), item.proof()) {
                (true, proof) => proof.map(HubBlock::Redacted),
                (false, proof) => Some(HubBlock::Reasoning { text, proof }),
            });
        }
        "function_call" => blocks.push(HubBlock::ToolUse {
            id: item.call_id()?,
            name: item.name?,
            input: item.arguments.unwrap_or_default(),
        }),
        _ => {}
    }
    Some(())
}

pub(super) fn write(reply: &HubReply, told: &HubTold<'_>) -> Vec<u8> {
    let status = Status::of(reply.stop);
    let mut items: Vec<Value> = Vec::new();
    for block in &reply.blocks {
        let place = items.len();
        match block {
            HubBlock::Text(_) | HubBlock::Refusal(_) => {
                let part = match block {
                    HubBlock::Refusal(text) => refusal_part(text),
                    HubBlock::Text(text) => text_part(text),
                    _ => continue,
                };
                match items.last_mut().filter(|last| last["type"] == "message") {
                    Some(message) => {
                        if let Some(parts) = message["content"].as_array_mut() {
                            parts.push(part);
                        }
                    }
                    None => {
                        let id = item_id("msg", told.id, place);
                        items.push(message_item(&id, Status::Completed, vec![part]));
                    }
                }
            }
            HubBlock::Reasoning { text, proof } => {
                let sealed = proof.as_ref().map(|proof| proof.wrapped(Some(text)));
                items.push(reasoning_item(&item_id("rs", told.id, place), Some(text), sealed.as_deref()));
            }
            HubBlock::Redacted(sealed) => {
                let sealed = sealed.wrapped(None);
                items.push(reasoning_item(&item_id("rs", told.id, place), None, Some(&sealed)));
            }
            HubBlock::ToolUse { id, name, input } => {
                let item = item_id("fc", told.id, place);
                let input = if input.is_empty() { "{}" } else { input };
                items.push(call_item(&item, Status::Completed, (id, name), input));
            }
            _ => {}
        }
    }
    // What was said last is what was cut off.
    if let (Status::Incomplete(_), Some(last)) = (status, items.last_mut())
        && last.get("status").is_some()
    {
        last["status"] = json!(status.as_str());
    }
    let id = format!("resp_{}", told.id);
    let named = (&*id, told.created, &*reply.model);
    response(named, status, &items, told.usage, &repeated(told.echo())).into_bytes()
}

/// The id of an item, which no other item of any answer has.
pub(super) fn item_id(kind: &str, answer: &str, place: usize) -> String {
    format!("{kind}_{answer}-{place}")
}

pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

pub(super) fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

pub(super) fn message_item(id: &str, status: Status, parts: Vec<Value>) -> Value {
    json!({"id": id, "type": "message", "status": status.as_str(), "role": "assistant", "content": parts})
}

/// The proof is given unasked: without it the next turn could not go on reasoning.
pub(super) fn reasoning_item(id: &str, text: Option<&str>, sealed: Option<&str>) -> Value {
    let summary: Vec<Value> = text.filter(|text| !text.is_empty()).map(summary_part).into_iter().collect();
    json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": sealed})
}

pub(super) fn call_item(id: &str, status: Status, (call, name): (&str, &str), arguments: &str) -> Value {
    json!({
        "id": id, "type": "function_call", "status": status.as_str(), "arguments": arguments,
        "call_id": call, "name": name,
    })
}
