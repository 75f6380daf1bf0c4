//! The hub form into a responses request.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Number, Value, json, value::RawValue};

use super::write_input::{self, Item};
use crate::{
    hub::{HubAsk, HubBody, HubChoice, HubFormat, HubRequest, HubTool, Misfits, Untranslatable},
    openai::hub::{HINTS, IN_BOTH, write_request::effort},
    wire::{Dialect, Family},
};

pub(super) const TARGET: Dialect = Dialect::OpenAi;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Text::is_empty")]
    text: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    /// The client could not find it again: the API keeps answers unless it is told not to.
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    /// What a client of the family gave beside.
    #[serde(flatten)]
    more: BTreeMap<&'static str, &'a RawValue>,
}

#[derive(Default, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a RawValue>,
}

impl Text<'_> {
    fn is_empty(&self) -> bool {
        self.format.is_none() && self.verbosity.is_none()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a RawValue,
        strict: bool,
    },
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Option<&'a RawValue>,
    strict: bool,
}

pub(super) fn write(request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
    let mut misfits = Misfits::new(TARGET, ask);
    let mut more = more(request, &mut misfits)?;
    let sampling = [&request.top_k, &request.seed, &request.presence_penalty, &request.frequency_penalty];
    let without_place = sampling.into_iter().flatten().map(|given| &*given.at);
    for at in without_place.chain(request.stop.as_ref().map(|given| &*given.at)) {
        misfits.meet(at, "responses have no such member")?;
    }
    let has_tools = !request.tools.is_empty();
    let (instructions, input) = write_input::write(request)?;
    let effort = request.thinking.as_ref().and_then(|given| effort(given.value));
    let body = Body {
        model: ask.model,
        instructions,
        input,
        max_output_tokens: request.output_cap.or(ask.insert_cap.then_some(ask.output_cap)),
        temperature: request.temperature.as_ref().map(|given| &given.value),
        top_p: request.top_p.as_ref().map(|given| &given.value),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: request.choice.as_ref().filter(|_| has_tools).map(|given| choice(&given.value)),
        parallel_tool_calls: request.parallel_tools.as_ref().filter(|_| has_tools).map(|given| given.value),
        text: Text {
            format: request.format.as_ref().map(|given| format(&given.value, request.family)),
            verbosity: more.remove(VERBOSITY),
        },
        reasoning: effort.map(|effort| json!({"effort": effort})),
        // Only models that reason know it, and only those are asked with an effort.
        include: effort.map(|_| ["reasoning.encrypted_content"]),
        user: request.end_user.as_ref().map(|given| &*given.value),
        store: false,
        stream: request.stream.then_some(true),
        more,
    };
    Ok(HubBody::written(&body, request, misfits))
}

const VERBOSITY: &str = "text.verbosity";

/// Members of chat completions that responses have too; the client's others are refused.
fn more<'a>(
    request: &'a HubRequest,
    misfits: &mut Misfits<'_>,
) -> Result<BTreeMap<&'static str, &'a RawValue>, Untranslatable> {
    let mut more: BTreeMap<&'static str, &'a RawValue> = BTreeMap::new();
    let is_kin = request.family == Some(Family::OpenAi);
    for given in &request.leftover {
        match IN_BOTH.iter().find(|(theirs, _)| is_kin && *theirs == &*given.at) {
            Some((_, name)) => {
                more.insert(name, &given.value);
            }
            None => misfits.meet(&given.at, "responses have no such member")?,
        }
    }
    for given in request.hints.iter().filter(|_| is_kin) {
        if let Some(name) = HINTS.iter().find(|name| **name == &*given.at) {
            more.insert(name, &given.value);
        }
    }
    Ok(more)
}

fn tool(tool: &HubTool) -> Tool<'_> {
    Tool {
        r#type: "function",
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters: tool.schema.as_deref(),
        // Where nothing is said this API takes it for yes, and all others for no.
        strict: tool.strict.unwrap_or(false),
    }
}

fn choice(choice: &HubChoice) -> Value {
    match choice {
        HubChoice::Auto => json!("auto"),
        HubChoice::Nothing => json!("none"),
        HubChoice::Required => json!("required"),
        HubChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

fn format(format: &HubFormat, family: Option<Family>) -> Format<'_> {
    match format {
        HubFormat::Json => Format::JsonObject,
        HubFormat::Schema { name, description, schema, strict } => Format::JsonSchema {
            // A name is demanded here and means nothing.
            name: name.as_deref().unwrap_or("response"),
            description: description.as_deref(),
            schema,
            // Elsewhere a schema is always kept to.
            strict: strict.unwrap_or(family != Some(Family::OpenAi)),
        },
    }
}
