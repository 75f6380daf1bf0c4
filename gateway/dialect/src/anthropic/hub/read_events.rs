//! Events of a messages stream into steps.

use std::borrow::Cow;

use serde::Deserialize;

use super::stop_of;
use crate::{
    hub::{HubEvent, HubEventReader},
    sse::data,
};

#[derive(Default)]
pub(super) struct MessageEventReader {}

/// Every kind of event at once: of tagged kinds serde would make a tree first.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

/// More of a block, or why the answer ended.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
}

impl HubEventReader for MessageEventReader {
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>) {
        let data = data(event);
        let Some(bytes) = data.bytes() else { return };
        // What is not known (pings, blocks of the provider's own tools) says nothing to the client.
        let Ok(event) = serde_json::from_slice::<Event<'_>>(bytes) else { return };
        steps.extend(match &*event.r#type {
            "message_start" => {
                event.message.map(|message| HubEvent::Start { model: message.model.into_owned() })
            }
            "content_block_start" => event.content_block.and_then(|block| begin(event.index, block)),
            "content_block_delta" => event.delta.and_then(|delta| more(event.index, delta)),
            "message_delta" => event.delta.and_then(end),
            _ => None,
        });
    }
}

fn begin(key: u32, block: Block<'_>) -> Option<HubEvent> {
    match &*block.r#type {
        "text" => some(block.text).map(HubEvent::Text),
        "thinking" => some(block.thinking).map(HubEvent::Reasoning),
        "redacted_thinking" => some(block.data).map(HubEvent::Redacted),
        "tool_use" => Some(HubEvent::ToolStart { key, id: block.id?, name: block.name? }),
        _ => None,
    }
}

fn more(key: u32, delta: Delta<'_>) -> Option<HubEvent> {
    match &*delta.r#type {
        "text_delta" => some(delta.text).map(HubEvent::Text),
        "thinking_delta" => some(delta.thinking).map(HubEvent::Reasoning),
        "signature_delta" => some(delta.signature).map(HubEvent::Proof),
        "input_json_delta" => some(delta.partial_json).map(|fragment| HubEvent::ToolInput { key, fragment }),
        _ => None,
    }
}

fn end(delta: Delta<'_>) -> Option<HubEvent> {
    let stop = stop_of(&delta.stop_reason?);
    Some(HubEvent::Stop { stop, sequence: delta.stop_sequence })
}

fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
