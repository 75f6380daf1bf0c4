//! The hub form into a request for generated content.

use serde::Serialize;
use serde_json::{Number, Value, json, value::RawValue};

use super::{
    thinking,
    write_contents::{Content, contents, system},
};
use crate::{
    hub::{HubAsk, HubBody, HubChoice, HubFormat, HubRequest, HubTool, Misfits, Untranslatable},
    wire::Dialect,
};

pub(super) const TARGET: Dialect = Dialect::Gemini;
/// So many texts may end an answer.
const MOST_STOP_SEQUENCES: usize = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tool<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Value>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    generation_config: Config<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tool<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a RawValue>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Value>,
}

impl Config<'_> {
    fn is_empty(&self) -> bool {
        self.max_output_tokens.is_none()
            && [self.temperature, self.top_p, self.top_k, self.seed].iter().all(Option::is_none)
            && self.presence_penalty.is_none()
            && self.frequency_penalty.is_none()
            && self.stop_sequences.is_none()
            && self.response_mime_type.is_none()
            && self.thinking_config.is_none()
    }
}

pub(super) fn write(request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
    let mut misfits = Misfits::new(TARGET, ask);
    misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
    // It cannot be told; who asks for several at once asks for nothing special.
    if let Some(alone) = request.parallel_tools.as_ref().filter(|given| !given.value && has_tools(request)) {
        misfits.meet(&alone.at, "the model decides how many tools it calls at once there")?;
    }
    let body = Body {
        system_instruction: system(&request.system)?,
        contents: contents(request, thinking::proves_calls(ask.model))?,
        tools: tools(request),
        tool_config: tool_config(request),
        generation_config: config(request, ask, &mut misfits)?,
    };
    Ok(HubBody::written(&body, request, misfits))
}

fn config<'a>(
    request: &'a HubRequest,
    ask: &HubAsk<'_>,
    misfits: &mut Misfits<'_>,
) -> Result<Config<'a>, Untranslatable> {
    let stop = match &request.stop {
        Some(given) if given.value.len() > MOST_STOP_SEQUENCES => {
            misfits.meet(&given.at, "it takes at most 5 of them")?;
            None
        }
        given => given.as_ref().map(|given| &*given.value),
    };
    let (response_mime_type, response_json_schema) = match request.format.as_ref().map(|given| &given.value) {
        Some(HubFormat::Schema { schema, .. }) => (Some("application/json"), Some(&**schema)),
        Some(HubFormat::Json) => (Some("application/json"), None),
        None => (None, None),
    };
    Ok(Config {
        max_output_tokens: request.output_cap.or(ask.insert_cap.then_some(ask.output_cap)),
        temperature: request.temperature.as_ref().map(|given| &given.value),
        top_p: request.top_p.as_ref().map(|given| &given.value),
        top_k: request.top_k.as_ref().map(|given| &given.value),
        seed: request.seed.as_ref().map(|given| &given.value),
        presence_penalty: request.presence_penalty.as_ref().map(|given| &given.value),
        frequency_penalty: request.frequency_penalty.as_ref().map(|given| &given.value),
        stop_sequences: stop,
        response_mime_type,
        response_json_schema,
        thinking_config: thinking::config(request.thinking.as_ref(), ask.model, misfits)?,
    })
}

fn has_tools(request: &HubRequest) -> bool {
    !request.tools.is_empty()
}

fn tools(request: &HubRequest) -> Option<[Tool<'_>; 1]> {
    let function_declarations = request.tools.iter().map(function).collect();
    has_tools(request).then_some([Tool { function_declarations }])
}

fn function(tool: &HubTool) -> Function<'_> {
    Function {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters_json_schema: tool.schema.as_deref(),
    }
}

/// Which tools are called. A tool that must keep to its schema makes the mode the one that holds calls to
/// it; forced calls are held to it anyway.
fn tool_config(request: &HubRequest) -> Option<Value> {
    if !has_tools(request) {
        return None;
    }
    let strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    let calling = match request.choice.as_ref().map(|given| &given.value) {
        None | Some(HubChoice::Auto) if strict => json!({"mode": "VALIDATED"}),
        None => return None,
        Some(HubChoice::Auto) => json!({"mode": "AUTO"}),
        Some(HubChoice::Nothing) => json!({"mode": "NONE"}),
        Some(HubChoice::Required) => json!({"mode": "ANY"}),
        Some(HubChoice::Named(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    Some(json!({"functionCallingConfig": calling}))
}
