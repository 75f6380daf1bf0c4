//! Whole answers of chat completions.

use serde_json::{Value, json};
use tollgate_domain::Usage;

use super::{finish_reason, stop_of};
use crate::{
    hub::{HubBlock, HubReply, HubTold, Sealed},
    wire::Family,
};

/// Reads an answer's first choice: translated requests ask for no more.
pub(super) fn read(body: &[u8]) -> Option<HubReply> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    let choice = reply.get("choices")?.get(0)?;
    let message = choice.get("message")?;
    let text_at = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut blocks = Vec::new();
    if let Some(text) = text_at("reasoning_content").or_else(|| text_at("reasoning")) {
        blocks.push(HubBlock::Reasoning { text: text.to_owned(), proof: None });
    }
    if let Some(text) = text_at("content") {
        blocks.push(HubBlock::Text(text.to_owned()));
    }
    // Some servers answer in parts.
    for part in message.get("content").and_then(Value::as_array).into_iter().flatten() {
        blocks.extend(part.get("text").and_then(Value::as_str).map(|text| HubBlock::Text(text.to_owned())));
    }
    // Others answer with the JSON itself where JSON was asked for.
    let json = message.get("content").filter(|content| content.is_object());
    blocks.extend(json.map(|json| HubBlock::Text(json.to_string())));
    if let Some(text) = text_at("refusal") {
        blocks.push(HubBlock::Refusal(text.to_owned()));
    }
    for (place, call) in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        blocks.push(tool_use(call, place)?);
    }
    let has_calls = blocks.iter().any(|block| matches!(block, HubBlock::ToolUse { .. }));
    let stop = match choice.get("finish_reason").and_then(Value::as_str).map(stop_of) {
        // Some servers say `stop` although a tool is to be called.
        Some(crate::hub::HubStop::End) | None if has_calls => crate::hub::HubStop::ToolUse,
        Some(stop) => stop,
        None => crate::hub::HubStop::End,
    };
    let model = reply.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(HubReply { model, blocks, stop, stop_sequence: None })
}

fn tool_use(call: &Value, place: usize) -> Option<HubBlock> {
    let function = call.get("function")?;
    let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
    Some(HubBlock::ToolUse {
        id: id.map_or_else(|| format!("call_{place}"), str::to_owned),
        name: function.get("name")?.as_str()?.to_owned(),
        input: match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(value) if !value.is_null() => value.to_string(),
            _ => String::new(),
        },
    })
}

/// Writes an answer of one choice.
pub(super) fn write(reply: &HubReply, told: &HubTold<'_>) -> Vec<u8> {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let (mut text, mut reasoning, mut kept, mut calls) = (None, None, Vec::new(), Vec::new());
    let mut of_call = None;
    let add = |to: &mut Option<String>, more: &str| to.get_or_insert_default().push_str(more);
    for block in &reply.blocks {
        match block {
            HubBlock::Text(more) => {
                kept.extend(of_call.take().map(|proof| kept_proof("", proof)));
                add(&mut text, more);
            }
            HubBlock::Reasoning { text: more, proof } => {
                add(&mut reasoning, more);
                match proof {
                    Some(proof) if is_of_call(proof) => of_call = Some(proof.clone()),
                    proof => kept.extend(proof.clone().map(|proof| kept_proof(more, proof))),
                }
            }
            HubBlock::Redacted(sealed) => {
                kept.push(json!({"type": "redacted_thinking", "data": sealed.clone().kept()}))
            }
            HubBlock::Refusal(more) => message["refusal"] = json!(more),
            HubBlock::ToolUse { id, name, input } => {
                let mut call = json!({
                    "id": id, "type": "function",
                    "function": {"name": name, "arguments": if input.is_empty() { "{}" } else { input }},
                });
                if let Some(proof) = of_call.take() {
                    call["extra_content"] = extra_content(&proof);
                }
                calls.push(call);
            }
            _ => {}
        }
    }
    kept.extend(of_call.map(|proof| kept_proof("", proof)));
    if text.is_none() && calls.is_empty() {
        text = Some(String::new());
    }
    message["content"] = json!(text);
    if let Some(reasoning) = reasoning.filter(|text| !text.is_empty()) {
        message["reasoning_content"] = json!(reasoning);
    }
    if !kept.is_empty() {
        message["thinking_blocks"] = json!(kept);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let mut body = json!({
        "id": format!("chatcmpl-{}", told.id),
        "object": "chat.completion",
        "created": told.created,
        "model": reply.model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(reply.stop),
        }],
    });
    if let Some(usage) = told.usage {
        body["usage"] = usage_object(usage);
    }
    body.to_string().into_bytes()
}

/// A proof that belongs to the call after it, if one follows.
pub(super) fn is_of_call(proof: &Sealed) -> bool {
    proof.family == Family::Gemini
}

/// The proof of a call of Gemini's, where Google's own server of this dialect puts it.
pub(super) fn extra_content(proof: &Sealed) -> Value {
    json!({"google": {"thought_signature": proof.text}})
}

/// A proof where clients keep it who hand an answer back whole.
pub(super) fn kept_proof(text: &str, proof: Sealed) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": proof.kept()})
}

/// Usage as this family states it: cached tokens are part of the prompt, reasoning of the completion.
pub(super) fn usage_object(usage: &Usage) -> Value {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_tokens(),
            "audio_tokens": usage.input_audio,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.output_reasoning,
            "audio_tokens": usage.output_audio,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
