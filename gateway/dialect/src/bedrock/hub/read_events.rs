//! Messages of a stream of Converse into steps.
//!
//! Exceptions among them are the stream's end, which its reader tells; here they say nothing.

use std::borrow::Cow;

use serde::{Deserialize, de::DeserializeOwned};

use super::{reply::own, stop_of};
use crate::{
    event_stream::{Kind, Message},
    hub::{HubEvent, HubEventReader},
};

pub(super) struct MessageReader;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    content_block_index: u32,
    start: Start,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<Call>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    #[serde(default)]
    tool_use_id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    content_block_index: u32,
    delta: Delta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<Input>,
    reasoning_content: Option<Reasoning>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stop<'a> {
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
}

impl HubEventReader for MessageReader {
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>) {
        let Some(Message { kind: Kind::Event(name), payload }) = Message::parse(event) else { return };
        match name {
            // Which model answers is not told.
            b"messageStart" => steps.push(HubEvent::Start { model: String::new() }),
            b"contentBlockStart" => steps.extend(parsed(payload).and_then(begin)),
            b"contentBlockDelta" => steps.extend(parsed(payload).and_then(more)),
            b"messageStop" => {
                let stop = serde_json::from_slice::<Stop<'_>>(payload).ok();
                let reason = stop.and_then(|stop| stop.stop_reason);
                let stop = stop_of(reason.as_deref().unwrap_or("end_turn"));
                steps.push(HubEvent::Stop { stop, sequence: None });
            }
            // The end of a block says nothing, the usage is read elsewhere.
            _ => {}
        }
    }
}

fn parsed<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

/// Only a call is told to begin; text and reasoning begin with what they say.
fn begin(block: BlockStart) -> Option<HubEvent> {
    let key = block.content_block_index;
    let Call { tool_use_id, name } = block.start.tool_use?;
    let id = if tool_use_id.is_empty() { format!("call_{key}") } else { tool_use_id };
    Some(HubEvent::ToolStart { key, id, name })
}

fn more(block: BlockDelta) -> Option<HubEvent> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let delta = block.delta;
    if let Some(text) = delta.text {
        return some(text).map(HubEvent::Text);
    }
    if let Some(Input { input }) = delta.tool_use {
        let key = block.content_block_index;
        return some(input).map(|fragment| HubEvent::ToolInput { key, fragment });
    }
    let reasoning = delta.reasoning_content?;
    let text = reasoning.text.and_then(some).map(HubEvent::Reasoning);
    let proof = reasoning.signature.and_then(some).map(|text| HubEvent::Proof(own(text).kept()));
    let sealed = reasoning.redacted_content.and_then(some);
    text.or(proof).or_else(|| sealed.map(|text| HubEvent::Redacted(own(text).kept())))
}
