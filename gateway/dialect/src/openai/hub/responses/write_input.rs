//! Turns into the items of a request.

use serde::Serialize;
use serde_json::{Value, json};

use super::write_request::TARGET;
use crate::{
    hub::{HubBlock, HubMedia, HubRequest, HubRole, HubSource, HubTurn, Untranslatable},
    openai::hub::{
        media::{Sound, Url},
        write_request::{foreign, stored},
    },
    wire::Family,
};

/// An item of the input.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
    },
    Output {
        r#type: &'static str,
        call_id: &'a str,
        output: Content<'a>,
    },
    /// A call, or reasoning.
    Other(Value),
}

/// One text as a string, anything else as parts.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    InputText { text: &'a str },
    OutputText { text: &'a str },
    Refusal { refusal: &'a str },
    InputImage { image_url: Url<'a> },
    InputFile(File<'a>),
    InputAudio { input_audio: Sound<'a> },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum File<'a> {
    Inline { filename: &'a str, file_data: Url<'a> },
    Elsewhere { file_url: &'a str },
}

/// How a text is told: by the client's side, or by the model.
type TextPart<'a> = fn(&'a str) -> Part<'a>;

/// The instructions that have a place of their own, and the items.
pub(super) fn write(request: &HubRequest) -> Result<(Option<&str>, Vec<Item<'_>>), Untranslatable> {
    let mut items = Vec::new();
    let (instructions, rest) = match &*request.system {
        [HubBlock::Text(first), rest @ ..] => (Some(&**first), rest),
        rest => (None, rest),
    };
    items.extend(said("developer", rest)?);
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

fn said<'a>(
    role: &'static str,
    blocks: impl IntoIterator<Item = &'a HubBlock>,
) -> Result<Option<Item<'a>>, Untranslatable> {
    let content = content(blocks, |text| Part::InputText { text })?;
    Ok(content.map(|content| Item::Message { role, content }))
}

/// Results of tools are items of their own, before what the user says beside them.
fn user<'a>(turn: &'a HubTurn, items: &mut Vec<Item<'a>>) -> Result<(), Untranslatable> {
    let mut rest = Vec::new();
    for block in &turn.blocks {
        match block {
            HubBlock::ToolResult { id, blocks, .. } => {
                let output = content(blocks, |text| Part::InputText { text })?.unwrap_or(Content::Text(""));
                items.push(Item::Output { r#type: "function_call_output", call_id: id, output });
            }
            other => rest.push(other),
        }
    }
    items.extend(said("user", rest)?);
    Ok(())
}

fn assistant<'a>(turn: &'a HubTurn, items: &mut Vec<Item<'a>>) -> Result<(), Untranslatable> {
    let mut words = Vec::new();
    let mut reasoning = Vec::new();
    let from = items.len();
    let say = |words: &mut Vec<&'a HubBlock>, items: &mut Vec<Item<'a>>| {
        let content = content(words.drain(..), |text| Part::OutputText { text })?;
        items.extend(content.map(|content| Item::Message { role: "assistant", content }));
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
                items.push(Item::Other(call));
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
                words.push(other);
            }
        }
    }
    say(&mut words, items)?;
    if items.len() == from {
        items.push(Item::Message { role: "assistant", content: Content::Text("") });
    }
    Ok(())
}

fn reasoning_item<'a>(summary: &[Value], sealed: &str) -> Item<'a> {
    Item::Other(json!({"type": "reasoning", "summary": summary, "encrypted_content": sealed}))
}

/// What these blocks say; nothing for nothing.
fn content<'a>(
    blocks: impl IntoIterator<Item = &'a HubBlock>,
    text_part: TextPart<'a>,
) -> Result<Option<Content<'a>>, Untranslatable> {
    let mut parts = Vec::new();
    for block in blocks {
        let part = match block {
            HubBlock::Text(text) => text_part(text),
            HubBlock::Refusal(refusal) => Part::Refusal { refusal },
            HubBlock::Image(media) => Part::InputImage { image_url: Url::of(media)? },
            HubBlock::Document(media) => document(media)?,
            HubBlock::Audio(media) => Part::InputAudio { input_audio: Sound::of(media)? },
            // A hint that changes no answer.
            HubBlock::CacheMark(_) => continue,
            HubBlock::Foreign(given) => return Err(foreign(&given.at, &given.value)),
            HubBlock::ToolResult { at, .. } => return Err(foreign(at, "tool_result")),
            HubBlock::ToolUse { .. } | HubBlock::Reasoning { .. } | HubBlock::Redacted(_) => continue,
        };
        parts.push(part);
    }
    Ok(match &parts[..] {
        [] => None,
        [Part::InputText { text } | Part::OutputText { text }] => Some(Content::Text(text)),
        _ => Some(Content::Parts(parts)),
    })
}

fn document(media: &HubMedia) -> Result<Part<'_>, Untranslatable> {
    let filename = media.name.as_deref().unwrap_or("document.pdf");
    match &media.source {
        HubSource::Inline { .. } => {
            Ok(Part::InputFile(File::Inline { filename, file_data: Url::of(media)? }))
        }
        HubSource::Text(text) => Ok(Part::InputText { text }),
        HubSource::Url(file_url) => Ok(Part::InputFile(File::Elsewhere { file_url })),
        HubSource::File(_) => Err(stored(media)),
    }
}
