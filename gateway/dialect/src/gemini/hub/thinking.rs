//! How each generation of models is told how much to think.
//!
//! <https://ai.google.dev/gemini-api/docs/thinking>

use serde_json::{Value, json};

use crate::hub::{Given, HubEffort, HubThinking, Misfits, Untranslatable};

/// The way in which a model is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scale {
    /// It does not think.
    None,
    /// In tokens: at least and at most so many. A model whose least is above nothing always thinks.
    Budget { least: u64, most: u64 },
    /// In steps, from the least to the most.
    Levels(&'static [HubEffort]),
}

/// By pieces of names, the first that fits; newer models have all levels.
const SCALES: &[(&str, Scale)] = &[
    ("gemini-1", Scale::None),
    ("gemini-2.0", Scale::None),
    ("gemini-2.5-pro", Scale::Budget { least: 128, most: 32_768 }),
    ("gemini-2.5", Scale::Budget { least: 0, most: 24_576 }),
    ("gemini-3-pro", Scale::Levels(&[HubEffort::Low, HubEffort::High])),
    ("gemini-3.1-pro", Scale::Levels(&[HubEffort::Low, HubEffort::Medium, HubEffort::High])),
];
const ALL_LEVELS: Scale =
    Scale::Levels(&[HubEffort::Minimal, HubEffort::Low, HubEffort::Medium, HubEffort::High]);

/// Budgets up to these count as that level; above all of them it is the highest.
const LEVEL_OF_BUDGET: [(u64, HubEffort); 2] = [(1_024, HubEffort::Low), (8_192, HubEffort::Medium)];

/// How the model of this name is told.
pub(super) fn scale(model: &str) -> Scale {
    SCALES.iter().find(|(piece, _)| model.contains(piece)).map_or(ALL_LEVELS, |(_, scale)| *scale)
}

/// True for models that demand the proofs of their calls back: those that are told by levels.
pub(super) fn proves_calls(model: &str) -> bool {
    matches!(scale(model), Scale::Levels(_))
}

/// `thinkingConfig` for what the client asks.
pub(super) fn config(
    given: Option<&Given<HubThinking>>,
    model: &str,
    misfits: &mut Misfits<'_>,
) -> Result<Option<Value>, Untranslatable> {
    let Some(given) = given else { return Ok(None) };
    Ok(match (scale(model), given.value) {
        (Scale::None, HubThinking::Off | HubThinking::Adaptive(None)) => None,
        (Scale::None, _) => {
            misfits.meet(&given.at, "this model does not think before it answers")?;
            None
        }
        (Scale::Budget { least, .. }, HubThinking::Off) => Some(json!({"thinkingBudget": least})),
        (Scale::Budget { .. }, HubThinking::Adaptive(None)) => shown(json!({"thinkingBudget": -1})),
        (Scale::Budget { least, most }, HubThinking::Budget(tokens)) => {
            shown(json!({"thinkingBudget": tokens.clamp(least, most)}))
        }
        (
            Scale::Budget { least, most },
            HubThinking::Adaptive(Some(effort)) | HubThinking::Effort(effort),
        ) => shown_from_low(effort, json!({"thinkingBudget": budget_of(effort).clamp(least, most)})),
        // These cannot be told not to think: the lowest step is the nearest.
        (Scale::Levels(levels), HubThinking::Off) => {
            Some(json!({"thinkingLevel": level(levels, HubEffort::Minimal)}))
        }
        (Scale::Levels(_), HubThinking::Adaptive(None)) => shown(json!({})),
        (Scale::Levels(levels), HubThinking::Budget(tokens)) => {
            let step = LEVEL_OF_BUDGET.iter().find(|(most, _)| tokens <= *most);
            shown(
                json!({"thinkingLevel": level(levels, step.map_or(HubEffort::High, |(_, effort)| *effort))}),
            )
        }
        (Scale::Levels(levels), HubThinking::Adaptive(Some(effort)) | HubThinking::Effort(effort)) => {
            shown_from_low(effort, json!({"thinkingLevel": level(levels, effort)}))
        }
    })
}

/// Who asks for hardly any thinking is shown none of it, as who asks for none.
fn shown_from_low(effort: HubEffort, config: Value) -> Option<Value> {
    if effort == HubEffort::Minimal { Some(config) } else { shown(config) }
}

/// Who asks for thinking sees the thoughts.
fn shown(mut config: Value) -> Option<Value> {
    config["includeThoughts"] = json!(true);
    Some(config)
}

/// The step that is asked for, or the next above it that the model has, or its highest.
fn level(levels: &[HubEffort], wanted: HubEffort) -> String {
    let step = levels.iter().find(|level| **level >= wanted).or(levels.last());
    step.map_or("HIGH".to_owned(), |step| step.as_str().to_ascii_uppercase())
}

/// Tokens of thinking for each step; the vendor publishes no table, so that these are ours.
fn budget_of(effort: HubEffort) -> u64 {
    match effort {
        HubEffort::Minimal => 512,
        HubEffort::Low => 1_024,
        HubEffort::Medium => 8_192,
        HubEffort::High => 24_576,
        HubEffort::XHigh | HubEffort::Max => 32_768,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hub::HubAsk, wire::Dialect};

    #[test]
    fn each_generation_is_told_in_its_own_way() {
        use HubThinking::{Adaptive, Budget, Effort, Off};
        let shown = |mut config: Value| {
            config["includeThoughts"] = json!(true);
            Some(config)
        };
        let cases = [
            ("gemini-2.0-flash", Off, None),
            ("gemini-2.5-flash", Off, Some(json!({"thinkingBudget": 0}))),
            ("gemini-2.5-pro", Off, Some(json!({"thinkingBudget": 128}))),
            ("gemini-2.5-flash", Effort(HubEffort::Medium), shown(json!({"thinkingBudget": 8192}))),
            ("gemini-2.5-flash", Effort(HubEffort::Max), shown(json!({"thinkingBudget": 24576}))),
            ("gemini-2.5-pro", Effort(HubEffort::Max), shown(json!({"thinkingBudget": 32768}))),
            ("gemini-2.5-pro", Budget(5), shown(json!({"thinkingBudget": 128}))),
            ("gemini-2.5-flash", Adaptive(None), shown(json!({"thinkingBudget": -1}))),
            ("gemini-3-pro-preview", Off, Some(json!({"thinkingLevel": "LOW"}))),
            ("gemini-3-pro-preview", Effort(HubEffort::Medium), shown(json!({"thinkingLevel": "HIGH"}))),
            ("gemini-3.5-flash", Off, Some(json!({"thinkingLevel": "MINIMAL"}))),
            ("gemini-3.5-flash", Effort(HubEffort::Minimal), Some(json!({"thinkingLevel": "MINIMAL"}))),
            ("gemini-3.5-flash", Effort(HubEffort::Medium), shown(json!({"thinkingLevel": "MEDIUM"}))),
            ("gemini-flash-latest", Effort(HubEffort::XHigh), shown(json!({"thinkingLevel": "HIGH"}))),
            ("gemini-3.5-flash", Budget(5_000), shown(json!({"thinkingLevel": "MEDIUM"}))),
            ("gemini-3.5-flash", Adaptive(None), shown(json!({}))),
        ];
        let ask = HubAsk { model: "", output_cap: 0, insert_cap: false, ask_usage: true, may_drop: &[] };
        for (model, thinking, want) in cases {
            let given = Given::new("reasoning_effort", thinking);
            let made = config(Some(&given), model, &mut Misfits::new(Dialect::Gemini, &ask));
            assert_eq!(made, Ok(want), "{model} {thinking:?}");
        }
        let given = Given::new("reasoning_effort", Effort(HubEffort::Low));
        let made = config(Some(&given), "gemini-2.0-flash", &mut Misfits::new(Dialect::Gemini, &ask));
        assert_eq!(made.map_err(|why| why.code()), Err("unsupported_parameter"));
    }
}
