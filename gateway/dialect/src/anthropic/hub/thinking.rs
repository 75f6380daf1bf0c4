//! How Anthropic's models are told how much to think, by whichever API they are asked.

use serde_json::{Value, json};

use crate::{
    hub::{HubBlock, HubEffort, HubRequest, HubRole, HubThinking, Misfits, Untranslatable},
    wire::Family,
};

/// The smallest budget that the API takes, and what an answer must at least have beside it.
const LEAST_BUDGET: u64 = 1_024;
/// Models of these names think up to a budget; later ones decide for themselves, by effort.
/// <https://docs.claude.com/en/docs/build-with-claude/extended-thinking>
const BUDGET_MODELS: &[&str] = &[
    "claude-3",
    "opus-4-0",
    "opus-4-1",
    "opus-4-5",
    "opus-4-2",
    "sonnet-4-0",
    "sonnet-4-2",
    "sonnet-4-5",
    "haiku-4-5",
];

/// What is asked of the model's thinking: the older form by budget, or the newer with an effort beside it.
pub(crate) fn thinking(
    request: &HubRequest,
    model: &str,
    max_tokens: u64,
    misfits: &mut Misfits<'_>,
) -> Result<(Option<Value>, Option<&'static str>), Untranslatable> {
    let Some(given) = &request.thinking else { return Ok((None, None)) };
    if given.value == HubThinking::Off {
        return Ok((Some(json!({"type": "disabled"})), None));
    }
    if lost_its_reasoning(request) {
        // The API wants the proof of the reasoning before a tool call; who has lost it goes on without.
        return Ok((None, None));
    }
    let by_budget = BUDGET_MODELS.iter().any(|name| model.contains(name));
    let budget = |wanted: u64| {
        let budget = wanted.min(max_tokens.saturating_sub(LEAST_BUDGET));
        (budget >= LEAST_BUDGET).then(|| json!({"type": "enabled", "budget_tokens": budget}))
    };
    Ok(match given.value {
        HubThinking::Budget(tokens) if by_budget => (budget(tokens), None),
        // These do not decide for themselves.
        HubThinking::Adaptive(None) if by_budget => (budget(budget_of(HubEffort::Medium)), None),
        HubThinking::Budget(_) | HubThinking::Adaptive(None) => (Some(json!({"type": "adaptive"})), None),
        HubThinking::Adaptive(Some(effort)) | HubThinking::Effort(effort) if by_budget => {
            let thinking = budget(budget_of(effort));
            if thinking.is_none() {
                misfits.meet(&given.at, "the output cap leaves no room to think")?;
            }
            (thinking, None)
        }
        HubThinking::Adaptive(Some(effort)) | HubThinking::Effort(effort) => {
            (Some(json!({"type": "adaptive"})), Some(effort_name(effort)))
        }
        HubThinking::Off => (None, None),
    })
}

/// True when the model's last turn called tools and its reasoning is gone.
fn lost_its_reasoning(request: &HubRequest) -> bool {
    let last = request.turns.iter().rev().find(|turn| turn.role == HubRole::Assistant);
    last.is_some_and(|turn| {
        let calls = turn.blocks.iter().any(|block| matches!(block, HubBlock::ToolUse { .. }));
        let proven = turn.blocks.iter().any(|block| match block {
            HubBlock::Redacted(proof) | HubBlock::Reasoning { proof: Some(proof), .. } => {
                proof.family == Family::Anthropic
            }
            _ => false,
        });
        calls && !proven
    })
}

/// Tokens of thinking for each step; the vendor publishes no table, so that these are ours.
fn budget_of(effort: HubEffort) -> u64 {
    match effort {
        HubEffort::Minimal | HubEffort::Low => 1_024,
        HubEffort::Medium => 8_192,
        HubEffort::High => 16_384,
        HubEffort::XHigh | HubEffort::Max => 32_000,
    }
}

fn effort_name(effort: HubEffort) -> &'static str {
    match effort {
        HubEffort::Minimal => HubEffort::Low.as_str(),
        other => other.as_str(),
    }
}
