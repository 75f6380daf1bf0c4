//! Blocks of content into the hub form.

use super::{media, seal};
use crate::hub::{Given, HubBlock, Object, Sealed, Untranslatable};

/// Reads the blocks under this name.
pub(super) fn read_blocks(
    object: &mut Object<'_>,
    name: &str,
    blocks: &mut Vec<HubBlock>,
) -> Result<(), Untranslatable> {
    for block in object.items(name)?.into_iter().flatten() {
        let mut block = block?;
        blocks.extend(read_block(&mut block)?);
        refuse_rest(block, blocks);
    }
    Ok(())
}

/// What nobody knows of a block is something that only this dialect has.
fn refuse_rest(block: Object<'_>, blocks: &mut Vec<HubBlock>) {
    let at: Box<str> = block.at().into();
    let rest = block.into_members().filter(|(_, value)| value.get() != "null");
    blocks.extend(rest.map(|(name, _)| HubBlock::Foreign(Given::new(&*at, (&*name).into()))));
}

fn read_block(block: &mut Object<'_>) -> Result<Option<HubBlock>, Untranslatable> {
    if let Some(text) = block.text("text")? {
        return Ok(Some(HubBlock::Text(text)));
    }
    for kind in ["image", "document", "audio"] {
        if let Some(media) = media::read(block, kind)? {
            return Ok(Some(media));
        }
    }
    if let Some(mut call) = block.object("toolUse")? {
        let made = HubBlock::ToolUse {
            id: call.needed_text("toolUseId")?,
            name: call.needed_text("name")?,
            input: call.take("input").map_or_else(String::new, |input| input.get().to_owned()),
        };
        return Ok(Some(whole(call, made)));
    }
    if let Some(result) = block.object("toolResult")? {
        return read_result(result).map(Some);
    }
    if let Some(reasoning) = block.object("reasoningContent")? {
        return read_reasoning(reasoning).map(Some);
    }
    cache_point(block).map(|mark| mark.map(HubBlock::CacheMark))
}

/// The block, unless something in it is not known, such as the mark of a tool that the server runs.
fn whole(object: Object<'_>, block: HubBlock) -> HubBlock {
    match object.left().next() {
        Some(given) => {
            let name = given.at.rsplit('.').next().unwrap_or_default().into();
            HubBlock::Foreign(Given::new(given.at, name))
        }
        None => block,
    }
}

fn read_result(mut result: Object<'_>) -> Result<HubBlock, Untranslatable> {
    let at: Box<str> = result.at().into();
    let id = result.needed_text("toolUseId")?;
    let path = result.path("status");
    let is_error = match result.text("status")?.as_deref() {
        None | Some("success") => false,
        Some("error") => true,
        Some(_) => return Err(Untranslatable::malformed(path, "is not known")),
    };
    let mut blocks = Vec::new();
    for block in result.items("content")?.into_iter().flatten() {
        let mut block = block?;
        match block.take("json") {
            Some(json) => blocks.push(HubBlock::Text(json.get().to_owned())),
            None => blocks.extend(read_block(&mut block)?),
        }
        refuse_rest(block, &mut blocks);
    }
    Ok(whole(result, HubBlock::ToolResult { at, id, blocks, is_error }))
}

fn read_reasoning(mut reasoning: Object<'_>) -> Result<HubBlock, Untranslatable> {
    let path = reasoning.path("redactedContent");
    if let Some(blob) = reasoning.text("redactedContent")? {
        let sealed = seal::of_blob(&blob).ok_or_else(|| Untranslatable::malformed(path, "is no base64"))?;
        return Ok(HubBlock::Redacted(sealed));
    }
    let path = reasoning.path("reasoningText");
    let missing = || Untranslatable::malformed(path, "is missing");
    let mut said = reasoning.object("reasoningText")?.ok_or_else(missing)?;
    let text = said.text("text")?.unwrap_or_default();
    Ok(HubBlock::Reasoning { text, proof: said.text("signature")?.and_then(Sealed::from_kept) })
}

/// A mark with its lifetime in seconds, where the client says.
pub(super) fn cache_point(object: &mut Object<'_>) -> Result<Option<Option<u32>>, Untranslatable> {
    let Some(mut mark) = object.object("cachePoint")? else { return Ok(None) };
    Ok(Some(match mark.text("ttl")?.as_deref() {
        Some("1h") => Some(3_600),
        Some("5m") => Some(300),
        _ => None,
    }))
}
