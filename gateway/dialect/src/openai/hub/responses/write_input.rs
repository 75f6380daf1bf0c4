//! Turns into the items of a request.

use serde_json::{Value, json};

use super::write_request::TARGET;
use crate::{
    hub::{HubBlock, HubMedia, HubRequest, HubRole, HubSource, HubTurn, Untranslatable},
    openai::hub::write_request::{audio, foreign, stored, url},
    wire::Family,
};

/// The instructions that have a place of their own, and the items.
pub(super) fn write(request: &HubRequest) -> Result<(Option<&str>, Vec<Value>), Untranslatable> {
    let mut items = Vec::new();
    let (instructions, rest) = match &*request.system {
        [HubBlock::Text(first), rest @ ..] => (Some(&**first), rest),
        rest => (None, rest),
    };
    if let Some(content) = content(rest, "input_text")? {
        items.push(message("developer", content));
    }
    for turn in &request.turns {
        match turn.role {
            HubRole::System => items.extend(said("developer", &turn.blocks)?),
            HubRole::User => user(turn, &mut items)?,
            HubRole::Assistant => assistant(turn, &mut items)?,
        }
    }
    match request.turns.last() {
        Some(last) if last.role == HubRole::Assistant && !has_calls(last) => {
            let why = "the conversation ends with the model's own words, which it cannot go on from";
            Err(Untranslatable::unsupported(&*last.at, TARGET, why))
        }
        _ => Ok((instructions, items)),
    }
}

fn has_calls(turn: &HubTurn) -> bool {
    turn.blocks.iter().any(|block| matches!(block, HubBlock::ToolUse { .. }))
}

fn message(role: &str, content: Value) -> Value {
    json!({"role": role, "content": content})
}

fn said(role: &str, blocks: &[HubBlock]) -> Result<Option<Value>, Untranslatable> {
    Ok(content(blocks, "input_text")?.map(|content| message(role, content)))
}

/// Results of tools are items of their own, before what the user says beside them.
fn user(turn: &HubTurn, items: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let mut rest = Vec::new();
    for block in &turn.blocks {
        match block {
            HubBlock::ToolResult { id, blocks, .. } => {
                let output = content(blocks, "input_text")?.unwrap_or_else(|| json!(""));
                items.push(json!({"type": "function_call_output", "call_id": id, "output": output}));
            }
            other => rest.push(other.clone()),
        }
    }
    items.extend(said("user", &rest)?);
    Ok(())
}

fn assistant(turn: &HubTurn, items: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let mut words = Vec::new();
    let mut reasoning = Vec::new();
    let from = items.len();
    let say = |words: &mut Vec<HubBlock>, items: &mut Vec<Value>| {
        let content = content(words, "output_text")?;
        words.clear();
        items.extend(content.map(|content| message("assistant", content)));
        Ok(())
    };
    for block in &turn.blocks {
        match block {
            HubBlock::ToolUse { id, name, input } => {
                say(&mut words, items)?;
                items.append(&mut reasoning);
                let arguments = if input.is_empty() { "{}" } else { input };
                let call =
                    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments});
                items.push(call);
            }
            HubBlock::Reasoning { text, proof: Some(proof) } if proof.family == Family::OpenAi => {
                say(&mut words, items)?;
                let summary = [json!({"type": "summary_text", "text": text})];
                reasoning.push(reasoning_item(&summary, &proof.text));
            }
            HubBlock::Redacted(sealed) if sealed.family == Family::OpenAi => {
                say(&mut words, items)?;
                reasoning.push(reasoning_item(&[], &sealed.text));
            }
            // Reasoning is bound to the vendor who made it: without his proof it is not taken back.
            HubBlock::Reasoning { .. } | HubBlock::Redacted(_) | HubBlock::CacheMark(_) => {}
            other => {
                // A reasoning item stands before what it led to, never alone.
                items.append(&mut reasoning);
                words.push(other.clone());
            }
        }
    }
    say(&mut words, items)?;
    if items.len() == from {
        items.push(message("assistant", json!("")));
    }
    Ok(())
}

fn reasoning_item(summary: &[Value], sealed: &str) -> Value {
    json!({"type": "reasoning", "summary": summary, "encrypted_content": sealed})
}

/// One text as a string, anything else as parts; nothing for nothing.
fn content(blocks: &[HubBlock], text_kind: &str) -> Result<Option<Value>, Untranslatable> {
    let mut parts = Vec::new();
    for block in blocks {
        let part = match block {
            HubBlock::Text(text) => json!({"type": text_kind, "text": text}),
            HubBlock::Refusal(text) => json!({"type": "refusal", "refusal": text}),
            HubBlock::Image(media) => json!({"type": "input_image", "image_url": url(media)?}),
            HubBlock::Document(media) => document(media)?,
            HubBlock::Audio(media) => audio(media)?,
            // A hint that changes no answer.
            HubBlock::CacheMark(_) => continue,
            HubBlock::Foreign(given) => return Err(foreign(&given.at, &given.value)),
            HubBlock::ToolResult { at, .. } => return Err(foreign(at, "tool_result")),
            HubBlock::ToolUse { .. } | HubBlock::Reasoning { .. } | HubBlock::Redacted(_) => continue,
        };
        parts.push(part);
    }
    Ok(match &mut parts[..] {
        [] => None,
        [only] if only["type"] == text_kind => Some(only["text"].take()),
        _ => Some(Value::Array(parts)),
    })
}

fn document(media: &HubMedia) -> Result<Value, Untranslatable> {
    let name = media.name.as_deref().unwrap_or("document.pdf");
    match &media.source {
        HubSource::Inline { .. } => {
            Ok(json!({"type": "input_file", "filename": name, "file_data": url(media)?}))
        }
        HubSource::Text(text) => Ok(json!({"type": "input_text", "text": text})),
        HubSource::Url(url) => Ok(json!({"type": "input_file", "file_url": url})),
        HubSource::File(_) => Err(stored(media)),
    }
}
