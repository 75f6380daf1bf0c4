//! The items of a request: messages, calls, their results and reasoning, which here stand side by side.

use serde_json::value::RawValue;

use crate::{
    hub::{
        Given, HubBlock, HubMedia, HubRequest, HubRole, HubSource, HubTurn, Items, Object, Sealed,
        Untranslatable, as_text,
    },
    openai::hub::read_request::{sound, source},
    wire::Family,
};

pub(super) fn read(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    const AT: &str = "input";
    let raw = body.take(AT).ok_or_else(|| Untranslatable::malformed(AT, "is missing"))?;
    if let Some(text) = as_text(raw) {
        request.turns.push(HubTurn {
            at: AT.into(),
            role: HubRole::User,
            blocks: vec![HubBlock::Text(text)],
        });
        return Ok(());
    }
    let items = Items::read(raw, AT)
        .map_err(|_| Untranslatable::malformed(AT, "must be a string or an array of items"))?;
    for item in items {
        read_item(item?, request)?;
    }
    Ok(())
}

fn read_item(mut item: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let at: Box<str> = item.at().into();
    // Ids and states of the provider's own, and how it labels what the model says on the way.
    item.ignore(&["id", "status", "phase"]);
    match item.text("type")?.as_deref() {
        None | Some("message") => return read_message(item, at, request),
        Some("function_call") => {
            let call = HubBlock::ToolUse {
                id: item.needed_text("call_id")?,
                name: item.needed_text("name")?,
                input: item.text("arguments")?.unwrap_or_default(),
            };
            belongs_to(request, HubRole::Assistant, at).push(call);
        }
        Some("function_call_output") => {
            let id = item.needed_text("call_id")?;
            let mut blocks = Vec::new();
            read_content(&mut item, "output", &mut blocks, &mut request.leftover)?;
            let result = HubBlock::ToolResult { at: at.clone(), id, blocks, is_error: false };
            belongs_to(request, HubRole::User, at).push(result);
        }
        Some("reasoning") => {
            if let Some(reasoning) = reasoning(&mut item)? {
                belongs_to(request, HubRole::Assistant, at).push(reasoning);
            }
        }
        Some(kind) => {
            let foreign = HubBlock::Foreign(Given::new(at.clone(), kind.into()));
            belongs_to(request, HubRole::Assistant, at).push(foreign);
            return Ok(());
        }
    }
    request.leftover.extend(item.left());
    Ok(())
}

/// The turn that an item is part of: the last one where the same side goes on.
fn belongs_to(request: &mut HubRequest, role: HubRole, at: Box<str>) -> &mut Vec<HubBlock> {
    let is_result = |block: &HubBlock| matches!(block, HubBlock::ToolResult { .. });
    // What a user says is a message of its own; only results go together.
    let goes_on = |last: &HubTurn| {
        last.role == role && (role == HubRole::Assistant || last.blocks.iter().all(is_result))
    };
    let goes_on = request.turns.last().is_some_and(goes_on);
    if !goes_on {
        request.turns.push(HubTurn { at, role, blocks: Vec::new() });
    }
    &mut request.turns.last_mut().expect("there is one now").blocks
}

fn read_message(
    mut message: Object<'_>,
    at: Box<str>,
    request: &mut HubRequest,
) -> Result<(), Untranslatable> {
    let role = match &*message.needed_text("role")? {
        "system" | "developer" => HubRole::System,
        "user" => HubRole::User,
        "assistant" => HubRole::Assistant,
        _ => return Err(Untranslatable::malformed(message.path("role"), "is not known")),
    };
    let mut blocks = Vec::new();
    read_content(&mut message, "content", &mut blocks, &mut request.leftover)?;
    request.leftover.extend(message.left());
    match role {
        HubRole::System if request.turns.is_empty() => request.system.extend(blocks),
        HubRole::Assistant => belongs_to(request, role, at).extend(blocks),
        _ => request.turns.push(HubTurn { at, role, blocks }),
    }
    Ok(())
}

/// A string, or an array of parts.
fn read_content(
    object: &mut Object<'_>,
    name: &str,
    blocks: &mut Vec<HubBlock>,
    leftover: &mut Vec<Given<Box<RawValue>>>,
) -> Result<(), Untranslatable> {
    let path = object.path(name);
    let Some(raw) = object.take(name) else { return Ok(()) };
    if let Some(text) = as_text(raw) {
        blocks.push(HubBlock::Text(text));
        return Ok(());
    }
    let parts = Items::read(raw, &path)
        .map_err(|_| Untranslatable::malformed(path, "must be a string or an array of parts"))?;
    for part in parts {
        read_part(part?, blocks, leftover)?;
    }
    Ok(())
}

fn read_part(
    mut part: Object<'_>,
    blocks: &mut Vec<HubBlock>,
    leftover: &mut Vec<Given<Box<RawValue>>>,
) -> Result<(), Untranslatable> {
    let at: Box<str> = part.at().into();
    let kind = part.needed_text("type")?;
    // How closely to look is a hint that others do not have; the rest says where an earlier text was from.
    part.ignore(&["detail", "annotations", "logprobs"]);
    let block = match &*kind {
        "input_text" | "output_text" | "text" => HubBlock::Text(part.needed_text("text")?),
        "refusal" => HubBlock::Refusal(part.needed_text("refusal")?),
        "input_image" => {
            let source = match (part.text("image_url")?, part.text("file_id")?) {
                (Some(url), _) => source(url, &part.path("image_url"))?,
                (None, Some(id)) => HubSource::File(id),
                (None, None) => return Err(missing(&part, "image_url")),
            };
            HubBlock::Image(HubMedia { at, source, name: None })
        }
        "input_file" => {
            let given = (part.text("file_data")?, part.text("file_url")?, part.text("file_id")?);
            let source = match given {
                (Some(data), _, _) => source(data, &part.path("file_data"))?,
                (None, Some(url), _) => HubSource::Url(url),
                (None, None, Some(id)) => HubSource::File(id),
                (None, None, None) => return Err(missing(&part, "file_data")),
            };
            HubBlock::Document(HubMedia { at, source, name: part.text("filename")? })
        }
        "input_audio" => {
            let mut audio = part.object("input_audio")?.ok_or_else(|| missing(&part, "input_audio"))?;
            HubBlock::Audio(HubMedia { at, source: sound(&mut audio)?, name: None })
        }
        _ => {
            blocks.push(HubBlock::Foreign(Given::new(at, kind.into())));
            return Ok(());
        }
    };
    blocks.push(block);
    if part.take("prompt_cache_breakpoint").is_some() {
        blocks.push(HubBlock::CacheMark(None));
    }
    leftover.extend(part.left());
    Ok(())
}

/// Reasoning that an earlier answer gave, with its proof: this gateway's wrapper, or the vendor's own.
fn reasoning(item: &mut Object<'_>) -> Result<Option<HubBlock>, Untranslatable> {
    let mut shown = Vec::new();
    for name in ["summary", "content"] {
        for part in item.items(name)?.into_iter().flatten() {
            shown.extend(part?.text("text")?);
        }
    }
    let shown = shown.join("\n\n");
    let sealed = item.text("encrypted_content")?;
    Ok(match sealed.map(|sealed| Sealed::unwrapped(&sealed).ok_or(sealed)) {
        Some(Ok((proof, Some(text)))) => Some(HubBlock::Reasoning { text, proof: Some(proof) }),
        Some(Ok((sealed, None))) => Some(HubBlock::Redacted(sealed)),
        Some(Err(text)) => {
            let sealed = Sealed { family: Family::OpenAi, text };
            Some(match shown.is_empty() {
                true => HubBlock::Redacted(sealed),
                false => HubBlock::Reasoning { text: shown, proof: Some(sealed) },
            })
        }
        None if shown.is_empty() => None,
        None => Some(HubBlock::Reasoning { text: shown, proof: None }),
    })
}

fn missing(object: &Object<'_>, name: &str) -> Untranslatable {
    Untranslatable::malformed(object.path(name), "is missing")
}
