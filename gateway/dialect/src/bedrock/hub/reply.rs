//! Whole answers of Converse.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tollgate_domain::Usage;

use super::{
    block::{Block, Call},
    is_broken, seal, stop_of, stop_reason,
};
use crate::{
    hub::{HubBlock, HubReply, HubTold, Sealed, arguments_or_raw},
    wire::Family,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    output: Output,
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Vec<Content>,
}

/// A block; pictures and the work of the provider's own tools, which a translated request cannot ask for,
/// are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text: Option<String>,
    tool_use: Option<ToolUse>,
    reasoning_content: Option<Reasoning>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse {
    #[serde(default)]
    tool_use_id: String,
    #[serde(default)]
    name: String,
    input: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    signature: Option<String>,
}

/// Reads an answer. One that ended since the model's output was broken, and that says nothing, is none.
pub(super) fn read(body: &[u8]) -> Option<HubReply> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    let blocks = reply.output.message.content.into_iter().enumerate();
    let blocks: Vec<_> = blocks.filter_map(|(place, content)| block(place, content)).collect();
    let reason = reply.stop_reason.as_deref().unwrap_or("end_turn");
    if is_broken(reason) && blocks.is_empty() {
        return None;
    }
    // Which model answered is not told.
    Some(HubReply { model: String::new(), blocks, stop: stop_of(reason), stop_sequence: None })
}

fn block(place: usize, content: Content) -> Option<HubBlock> {
    if let Some(text) = content.text {
        return Some(HubBlock::Text(text));
    }
    if let Some(call) = content.tool_use {
        return Some(HubBlock::ToolUse {
            // What a server forgot to name could not be answered by its client.
            id: if call.tool_use_id.is_empty() { format!("call_{place}") } else { call.tool_use_id },
            name: call.name,
            input: call.input.map_or_else(String::new, |input| input.get().to_owned()),
        });
    }
    let reasoning = content.reasoning_content?;
    if let Some(said) = reasoning.reasoning_text {
        let proof = said.signature.filter(|text| !text.is_empty()).map(own);
        return Some(HubBlock::Reasoning { text: said.text, proof });
    }
    reasoning.redacted_content.map(|text| HubBlock::Redacted(own(text)))
}

/// A proof of this API's: whoever signs his reasoning there is Anthropic.
pub(super) fn own(text: String) -> Sealed {
    Sealed { family: Family::Anthropic, text }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    output: WrittenOutput<'a>,
    stop_reason: &'static str,
    usage: Value,
    metrics: Value,
}

#[derive(Serialize)]
struct WrittenOutput<'a> {
    message: WrittenMessage<'a>,
}

#[derive(Serialize)]
struct WrittenMessage<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

pub(super) fn write(reply: &HubReply, told: &HubTold<'_>) -> Vec<u8> {
    let content = reply.blocks.iter().filter_map(|block| {
        Some(match block {
            HubBlock::Text(text) | HubBlock::Refusal(text) => Block::Text(text),
            HubBlock::Reasoning { text, proof } => Block::reasoning(text, proof.clone().map(Sealed::kept)),
            HubBlock::Redacted(sealed) => Block::redacted(sealed),
            HubBlock::ToolUse { id, name, input } => {
                Block::ToolUse(Call { tool_use_id: Cow::Borrowed(id), name, input: arguments_or_raw(input) })
            }
            _ => return None,
        })
    });
    let message = WrittenMessage { role: "assistant", content: content.collect() };
    let written = Written {
        output: WrittenOutput { message },
        stop_reason: stop_reason(reply.stop),
        usage: usage_object(told.usage),
        metrics: metrics(),
    };
    serde_json::to_vec(&written).expect("texts and numbers are always written")
}

/// How long Bedrock itself took. Clients count on the member; no Bedrock was asked, so that it is none.
pub(super) fn metrics() -> Value {
    json!({"latencyMs": 0})
}

/// Usage as this dialect states it: what was read from and written to the cache stands beside the input.
pub(super) fn usage_object(usage: Option<&Usage>) -> Value {
    let usage = usage.copied().unwrap_or_default();
    let (read, written) = (usage.cache_read, usage.cache_write_tokens());
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let mut object = json!({
        "inputTokens": input.saturating_sub(read).saturating_sub(written),
        "outputTokens": output,
        "totalTokens": input.saturating_add(output),
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
    });
    if usage.cache_write_1h > 0 {
        let details = [("1h", usage.cache_write_1h), ("5m", written.saturating_sub(usage.cache_write_1h))];
        let details = details.into_iter().filter(|(_, count)| *count > 0);
        let details: Vec<Value> =
            details.map(|(ttl, count)| json!({"ttl": ttl, "inputTokens": count})).collect();
        object["cacheDetails"] = json!(details);
    }
    object
}

/// What a client of this dialect keeps of a sealed block, from the words that others keep.
pub(super) fn blob_of_kept(kept: String) -> Option<String> {
    Sealed::from_kept(kept).map(|sealed| seal::blob(&sealed))
}
