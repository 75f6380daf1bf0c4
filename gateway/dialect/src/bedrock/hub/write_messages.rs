//! The turns of a conversation as messages of Converse.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::Serialize;

use super::{
    block::{Block, CachePoint, Call, Outcome},
    media::{self, DocumentNames},
    models::Maker,
    write_request::TARGET,
};
use crate::{
    hub::{HubBlock, HubRequest, HubRole, HubTurn, Untranslatable, arguments},
    wire::Family,
};

/// The most letters of a call's id.
const LONGEST_ID: usize = 64;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// A block, and the mark behind it for the cache, which goes where the block goes.
struct Said<'a> {
    block: Block<'a>,
    mark: Option<CachePoint>,
}

/// Writes the blocks of one request for a model of this maker.
pub(super) struct BlockWriter {
    maker: Maker,
    names: DocumentNames,
}

impl BlockWriter {
    pub(super) fn new(maker: Maker) -> Self {
        Self { maker, names: DocumentNames::default() }
    }

    /// The instructions above the conversation: texts only.
    pub(super) fn system<'a>(&mut self, blocks: &'a [HubBlock]) -> Result<Vec<Block<'a>>, Untranslatable> {
        let said = self.blocks(blocks, "system")?;
        Ok(flat(said))
    }

    /// The conversation. Roles alternate, and the client's side begins.
    pub(super) fn messages<'a>(
        &mut self,
        request: &'a HubRequest,
    ) -> Result<Vec<Message<'a>>, Untranslatable> {
        let mut turns: Vec<(HubRole, Vec<Said<'_>>)> = Vec::new();
        for turn in &request.turns {
            if turn.role == HubRole::System {
                let why = "instructions stand above the conversation there, not inside it";
                return Err(Untranslatable::unsupported(&*turn.at, TARGET, why));
            }
            let said = self.blocks(&turn.blocks, &turn.at)?;
            match turns.last_mut() {
                _ if said.is_empty() => {}
                Some((role, before)) if *role == turn.role => before.extend(said),
                None if turn.role == HubRole::Assistant => return Err(begins_with_the_model(turn)),
                _ => turns.push((turn.role, said)),
            }
        }
        if let Some((HubRole::Assistant, said)) = turns.last_mut()
            && let Some(Said { block: Block::Text(text), .. }) = said.last_mut()
        {
            // The model goes on from its own words, which must not end in a blank.
            *text = text.trim_end();
        }
        Ok(turns.into_iter().map(message).collect())
    }

    /// `at` is the place of the turn, for what is wrong with a call in it.
    fn blocks<'a>(&mut self, from: &'a [HubBlock], at: &str) -> Result<Vec<Said<'a>>, Untranslatable> {
        let mut written: Vec<Said<'_>> = Vec::new();
        for block in from {
            if let HubBlock::CacheMark(seconds) = block {
                if let Some(last) = written.last_mut().filter(|_| self.maker.caches()) {
                    last.mark = Some(CachePoint::of(*seconds));
                }
                continue;
            }
            written.extend(self.block(block, at)?.map(|block| Said { block, mark: None }));
        }
        Ok(written)
    }

    fn block<'a>(&mut self, block: &'a HubBlock, at: &str) -> Result<Option<Block<'a>>, Untranslatable> {
        Ok(Some(match block {
            // Blank text is refused there, and says nothing.
            HubBlock::Text(text) | HubBlock::Refusal(text) if text.trim().is_empty() => return Ok(None),
            HubBlock::Text(text) | HubBlock::Refusal(text) => Block::Text(text),
            HubBlock::Image(media) => Block::Image(media::image(media)?),
            HubBlock::Document(media) => Block::Document(media::document(media, &mut self.names)?),
            HubBlock::Audio(media) => Block::Audio(media::audio(media)?),
            HubBlock::ToolUse { id, name, input } => {
                let input = arguments(input).ok_or_else(|| {
                    let what = format!("has a call `{id}` whose arguments are no JSON object");
                    Untranslatable::malformed(at, what)
                })?;
                Block::ToolUse(Call { tool_use_id: id_for(id), name, input })
            }
            HubBlock::ToolResult { at, id, blocks, is_error } => {
                if blocks.iter().any(has_no_place_in_results) {
                    let why = "a result is texts, pictures and documents there";
                    return Err(Untranslatable::unsupported(&**at, TARGET, why));
                }
                // There are no marks inside a result.
                let content = self.blocks(blocks, at)?.into_iter().map(|said| said.block).collect();
                let status = is_error.then_some("error");
                Block::ToolResult(Outcome { tool_use_id: id_for(id), content, status })
            }
            HubBlock::Reasoning { text, proof: Some(proof) } if self.takes(proof.family) => {
                Block::reasoning(text, Some(proof.text.clone()))
            }
            HubBlock::Redacted(sealed) if self.takes(sealed.family) => Block::redacted(sealed),
            // Reasoning is bound to the vendor who made it: without his proof it is not taken back.
            HubBlock::Reasoning { .. } | HubBlock::Redacted(_) | HubBlock::CacheMark(_) => return Ok(None),
            HubBlock::Foreign(given) => {
                let why = format!("there is nothing like `{}` there", given.value);
                return Err(Untranslatable::unsupported(&*given.at, TARGET, why));
            }
        }))
    }

    /// True when the model takes this vendor's proofs.
    fn takes(&self, family: Family) -> bool {
        self.maker == Maker::Anthropic && family == Family::Anthropic
    }
}

fn has_no_place_in_results(block: &HubBlock) -> bool {
    matches!(block, HubBlock::ToolUse { .. } | HubBlock::ToolResult { .. } | HubBlock::Audio(_))
}

fn begins_with_the_model(turn: &HubTurn) -> Untranslatable {
    let why = "a conversation begins with a message of the user there";
    Untranslatable::unsupported(&*turn.at, TARGET, why)
}

fn message((role, mut said): (HubRole, Vec<Said<'_>>)) -> Message<'_> {
    let role = if role == HubRole::Assistant { "assistant" } else { "user" };
    // Results come before all else that the user says.
    said.sort_by_key(|said| !matches!(said.block, Block::ToolResult(_)));
    Message { role, content: flat(said) }
}

fn flat(said: Vec<Said<'_>>) -> Vec<Block<'_>> {
    let mut blocks = Vec::with_capacity(said.len());
    for Said { block, mark } in said {
        blocks.push(block);
        blocks.extend(mark.map(Block::CachePoint));
    }
    blocks
}

/// The place of the first turn that calls a tool or has a call's result.
pub(super) fn first_with_tools(request: &HubRequest) -> Option<&str> {
    let uses = |block: &HubBlock| matches!(block, HubBlock::ToolUse { .. } | HubBlock::ToolResult { .. });
    let turn = request.turns.iter().find(|turn| turn.blocks.iter().any(uses))?;
    Some(&turn.at)
}

/// An id in the letters that this dialect takes, and as few; the same id always becomes the same, so that a
/// result still names its call.
fn id_for(id: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    if !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    // Both are written by one process, so that its hash need not outlive it.
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    Cow::Owned(format!("call_{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_letters_that_the_api_takes_and_stay_apart() {
        for fair in ["call_1", "toolu_1", "a.b:c-d", &"x".repeat(64)] {
            assert_eq!(id_for(fair), fair);
        }
        let odd = ["", "a b", "a|b", "é", &"x".repeat(65), &"y".repeat(65)];
        let made: std::collections::HashSet<_> = odd.iter().map(|id| id_for(id)).collect();
        assert_eq!(made.len(), odd.len());
        assert!(made.iter().all(|id| id.len() <= 64 && id.starts_with("call_")), "{made:?}");
        assert_eq!(id_for("a b"), id_for("a b"));
    }
}
