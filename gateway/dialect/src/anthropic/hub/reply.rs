//! Whole answers of the Messages API.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tollgate_domain::Usage;

use super::{stop_of, stop_reason};
use crate::{
    hub::{HubBlock, HubReply, HubTold, Sealed, arguments_or_raw},
    wire::Family,
};

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    model: String,
    content: Vec<Block>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

#[derive(Deserialize)]
struct Block {
    r#type: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
    signature: Option<String>,
    #[serde(default)]
    data: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    input: Option<Box<RawValue>>,
}

pub(super) fn read(body: &[u8]) -> Option<HubReply> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    let sealed = |text| Sealed { family: Family::Anthropic, text };
    let blocks = reply.content.into_iter().enumerate().filter_map(|(place, block)| {
        Some(match &*block.r#type {
            "text" => HubBlock::Text(block.text),
            "thinking" => HubBlock::Reasoning { text: block.thinking, proof: block.signature.map(sealed) },
            "redacted_thinking" => HubBlock::Redacted(sealed(block.data)),
            "tool_use" => HubBlock::ToolUse {
                // What a server forgot to name could not be answered by its client.
                id: if block.id.is_empty() { format!("call_{place}") } else { block.id },
                name: block.name,
                input: block.input.map_or_else(String::new, |input| input.get().to_owned()),
            },
            // Work of the provider's own tools, which a translated request cannot ask for.
            _ => return None,
        })
    });
    Some(HubReply {
        model: reply.model,
        blocks: blocks.collect(),
        stop: stop_of(reply.stop_reason.as_deref().unwrap_or("end_turn")),
        stop_sequence: reply.stop_sequence,
    })
}

#[derive(Serialize)]
struct Written<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Content<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: Value,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: String },
    RedactedThinking { data: String },
    ToolUse { id: &'a str, name: &'a str, input: Box<RawValue> },
}

pub(super) fn write(reply: &HubReply, told: &HubTold<'_>) -> Vec<u8> {
    let content = reply.blocks.iter().filter_map(|block| {
        Some(match block {
            HubBlock::Text(text) | HubBlock::Refusal(text) => Content::Text { text },
            HubBlock::Reasoning { text, proof } => Content::Thinking {
                thinking: text,
                signature: proof.clone().map_or_else(String::new, Sealed::kept),
            },
            HubBlock::Redacted(sealed) => Content::RedactedThinking { data: sealed.clone().kept() },
            HubBlock::ToolUse { id, name, input } => {
                Content::ToolUse { id, name, input: arguments_or_raw(input) }
            }
            _ => return None,
        })
    });
    let written = Written {
        id: format!("msg_{}", told.id),
        r#type: "message",
        role: "assistant",
        model: &reply.model,
        content: content.collect(),
        stop_reason: stop_reason(reply.stop),
        stop_sequence: reply.stop_sequence.as_deref(),
        usage: usage_object(told.usage),
    };
    serde_json::to_vec(&written).expect("texts and numbers are always written")
}

/// Usage as this dialect states it: cached tokens stand beside the input.
pub(super) fn usage_object(usage: Option<&Usage>) -> Value {
    let usage = usage.copied().unwrap_or_default();
    json!({
        "input_tokens": usage.input_uncached.saturating_add(usage.input_audio),
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write_tokens(),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m.saturating_add(usage.cache_write_other),
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output_tokens(),
        "output_tokens_details": {"thinking_tokens": usage.output_reasoning},
        "service_tier": "standard",
    })
}
