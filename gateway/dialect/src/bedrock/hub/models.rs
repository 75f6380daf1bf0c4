//! What only the models of one maker take, for which the API has a place of each model's own.

use serde_json::{Map, Value, json};

use crate::{
    anthropic::hub::thinking,
    hub::{HubAsk, HubRequest, HubThinking, Misfits, Untranslatable},
};

/// Who made a model, as far as its name tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Maker {
    Anthropic,
    Amazon,
    Other,
}

impl Maker {
    pub(super) fn of(model: &str) -> Self {
        if model.contains("claude") {
            Self::Anthropic
        } else if model.contains("amazon.nova") {
            Self::Amazon
        } else {
            Self::Other
        }
    }

    /// True where a request may say what to cache; other models refuse one that does.
    pub(super) fn caches(self) -> bool {
        self != Self::Other
    }

    /// The same for the definitions of tools.
    pub(super) fn caches_tools(self) -> bool {
        self == Self::Anthropic
    }
}

/// `additionalModelRequestFields`, and the output cap that must stand beside them.
pub(super) struct Fields {
    pub(super) fields: Option<Value>,
    pub(super) cap: Option<u64>,
}

pub(super) fn fields(
    request: &HubRequest,
    ask: &HubAsk<'_>,
    misfits: &mut Misfits<'_>,
) -> Result<Fields, Untranslatable> {
    let maker = Maker::of(ask.model);
    let mut fields = Map::new();
    let mut cap = request.output_cap.or(ask.insert_cap.then_some(ask.output_cap));
    if let Some(given) = &request.top_k {
        match maker {
            Maker::Anthropic => {
                fields.insert("top_k".to_owned(), json!(given.value));
            }
            Maker::Amazon => {
                fields.insert("inferenceConfig".to_owned(), json!({"topK": given.value}));
            }
            Maker::Other => misfits.meet(&given.at, "this model has no such member")?,
        }
    }
    match &request.thinking {
        Some(given) if given.value != HubThinking::Off && maker != Maker::Anthropic => {
            misfits.meet(&given.at, "only Claude is told there how much to think")?;
        }
        // Who is not asked to think does not.
        Some(given) if given.value != HubThinking::Off => {
            let most = request.output_cap.unwrap_or(ask.output_cap);
            let (thinking, effort) = thinking(request, ask.model, most, misfits)?;
            // A budget is refused without a cap above it.
            let by_budget = thinking.as_ref().is_some_and(|thinking| thinking["budget_tokens"].is_u64());
            cap = cap.or(by_budget.then_some(most));
            fields.extend(thinking.map(|thinking| ("thinking".to_owned(), thinking)));
            fields.extend(effort.map(|effort| ("output_config".to_owned(), json!({"effort": effort}))));
        }
        _ => {}
    }
    Ok(Fields { fields: (!fields.is_empty()).then_some(Value::Object(fields)), cap })
}
