//! The hub form into a request of Converse.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Number, Value, json, value::RawValue};

use super::{
    block::{Block, CachePoint},
    models::{self, Fields, Maker},
    write_messages::{BlockWriter, Message, first_with_tools},
};
use crate::{
    hub::{
        Given, HubAsk, HubBlock, HubBody, HubChoice, HubFormat, HubRequest, HubTool, Misfits, Untranslatable,
    },
    wire::Dialect,
};

pub(super) const TARGET: Dialect = Dialect::Bedrock;

/// The most letters of a value in `requestMetadata`.
const LONGEST_METADATA: usize = 256;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Inference::is_empty")]
    inference_config: Inference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_request_fields: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_metadata: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
}

impl Inference<'_> {
    fn is_empty(&self) -> bool {
        self.max_tokens.is_none()
            && self.temperature.is_none()
            && self.top_p.is_none()
            && self.stop_sequences.is_none()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Tool<'a> {
    ToolSpec(Spec<'a>),
    CachePoint(CachePoint),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct Schema<'a> {
    json: Cow<'a, RawValue>,
}

pub(super) fn write(request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
    let mut misfits = Misfits::new(TARGET, ask);
    misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
    let without_place = [&request.seed, &request.presence_penalty, &request.frequency_penalty];
    misfits.meet_all(without_place.map(|given| given.as_ref().map(|given| &*given.at)))?;
    if let Some(alone) = request.parallel_tools.as_ref().filter(|given| !given.value)
        && !request.tools.is_empty()
    {
        misfits.meet(&alone.at, "the model decides how many tools it calls at once there")?;
    }
    let maker = Maker::of(ask.model);
    let mut blocks = BlockWriter::new(maker);
    let Fields { fields, cap } = models::fields(request, ask, &mut misfits)?;
    let body = Body {
        system: system(request, &mut blocks)?,
        messages: blocks.messages(request)?,
        inference_config: Inference {
            max_tokens: cap,
            temperature: misfits.temperature_of_one(request.temperature.as_ref())?,
            top_p: request.top_p.as_ref().map(|given| &given.value),
            stop_sequences: request.stop.as_ref().map(|given| &*given.value).filter(|list| !list.is_empty()),
        },
        tool_config: tool_config(request, maker, &mut misfits)?,
        output_config: output_config(request.format.as_ref(), &mut misfits)?,
        additional_model_request_fields: fields,
        request_metadata: metadata(request),
    };
    Ok(HubBody::written(&body, request, misfits))
}

/// Instructions are texts; of the other blocks the API takes none in this place.
fn system<'a>(request: &'a HubRequest, blocks: &mut BlockWriter) -> Result<Vec<Block<'a>>, Untranslatable> {
    for block in &request.system {
        let at = match block {
            HubBlock::Image(media) | HubBlock::Document(media) | HubBlock::Audio(media) => &*media.at,
            HubBlock::ToolResult { at, .. } => at,
            HubBlock::ToolUse { .. } => "system",
            _ => continue,
        };
        return Err(Untranslatable::unsupported(at, TARGET, "instructions are texts there"));
    }
    blocks.system(&request.system)
}

/// The tools, without which a conversation that used some is refused. The model cannot be told to call
/// none of them: who says so is not given any, where the conversation permits it.
fn tool_config<'a>(
    request: &'a HubRequest,
    maker: Maker,
    misfits: &mut Misfits<'_>,
) -> Result<Option<ToolConfig<'a>>, Untranslatable> {
    let used = first_with_tools(request);
    if request.tools.is_empty() {
        let why = "a conversation in which tools were called is taken there only with the tools themselves";
        return used.map_or(Ok(None), |at| Err(Untranslatable::unsupported(at, TARGET, why)));
    }
    let tool_choice = match &request.choice {
        None => None,
        Some(Given { value: HubChoice::Nothing, .. }) if used.is_none() => return Ok(None),
        Some(Given { value: HubChoice::Nothing, at }) => {
            misfits.meet(at, "after a call of a tool the model cannot be told to call none")?;
            None
        }
        Some(Given { value: HubChoice::Auto, .. }) => Some(json!({"auto": {}})),
        Some(Given { value: HubChoice::Required, .. }) => Some(json!({"any": {}})),
        Some(Given { value: HubChoice::Named(name), .. }) => Some(json!({"tool": {"name": name}})),
    };
    let mut tools = Vec::new();
    for tool in &request.tools {
        tools.push(Tool::ToolSpec(spec(tool)));
        let mark = tool.cache_mark.filter(|_| maker.caches_tools());
        tools.extend(mark.map(|seconds| Tool::CachePoint(CachePoint::of(seconds))));
    }
    Ok(Some(ToolConfig { tools, tool_choice }))
}

fn spec(tool: &HubTool) -> Spec<'_> {
    let nothing = || {
        RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).expect("this is valid JSON")
    };
    Spec {
        name: &tool.name,
        // An empty one is refused.
        description: tool.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: Schema {
            json: tool.schema.as_deref().map_or_else(|| Cow::Owned(nothing()), Cow::Borrowed),
        },
        strict: tool.strict.filter(|strict| *strict),
    }
}

/// The form of the answer, whose schema is JSON inside a text here.
fn output_config(
    format: Option<&Given<HubFormat>>,
    misfits: &mut Misfits<'_>,
) -> Result<Option<Value>, Untranslatable> {
    match format {
        None => Ok(None),
        Some(Given { value: HubFormat::Schema { name, description, schema, .. }, .. }) => {
            let mut form = json!({"schema": schema.get()});
            for (member, text) in [("name", name), ("description", description)] {
                if let Some(text) = text {
                    form[member] = json!(text);
                }
            }
            let structure = json!({"jsonSchema": form});
            Ok(Some(json!({"textFormat": {"type": "json_schema", "structure": structure}})))
        }
        Some(given) => {
            misfits.meet(&given.at, "it takes a schema, not just any JSON")?;
            Ok(None)
        }
    }
}

/// The client's own user, for the logs of the account; an id in letters that the API refuses there is left
/// out, since no answer depends on it.
fn metadata(request: &HubRequest) -> Option<Value> {
    let id = &request.end_user.as_ref()?.value;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(letter);
    (id.len() <= LONGEST_METADATA && id.chars().all(fits)).then(|| json!({"user_id": id}))
}
