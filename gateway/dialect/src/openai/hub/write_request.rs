//! The hub form into a chat completions request.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Number, Value, json, value::RawValue};

use super::{
    HINTS, IN_BOTH,
    media::{Sound, Url},
};
use crate::{
    hub::{
        HubAsk, HubBlock, HubBody, HubChoice, HubEffort, HubFormat, HubMedia, HubRequest, HubRole, HubSource,
        HubThinking, HubTurn, Misfits, Untranslatable,
    },
    wire::{Dialect, Family},
};

const TARGET: Dialect = Dialect::OpenAi;
/// Reasoning budgets up to these count as that effort; above all of them it is `high`.
const EFFORT_OF_BUDGET: [(u64, HubEffort); 2] = [(1_024, HubEffort::Low), (8_192, HubEffort::Medium)];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
    /// What a client of the family gave beside.
    #[serde(flatten)]
    more: BTreeMap<&'static str, &'a RawValue>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// One text as a string, anything else as parts.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

impl Content<'_> {
    const EMPTY: Self = Self::Text(Cow::Borrowed(""));
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    Refusal { refusal: &'a str },
    ImageUrl { image_url: Image<'a> },
    File { file: File<'a> },
    InputAudio { input_audio: Sound<'a> },
}

#[derive(Serialize)]
struct Image<'a> {
    url: Url<'a>,
}

#[derive(Serialize)]
struct File<'a> {
    filename: &'a str,
    file_data: Url<'a>,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonObject,
    JsonSchema { json_schema: Schema<'a> },
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    strict: bool,
}

pub(super) fn write(request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
    let mut misfits = Misfits::new(TARGET, ask);
    let more = more(request, &mut misfits)?;
    misfits.meet_all([request.top_k.as_ref().map(|given| &*given.at)])?;
    let has_tools = !request.tools.is_empty();
    let body = Body {
        model: ask.model,
        messages: messages(request)?,
        max_completion_tokens: request.output_cap.or(ask.insert_cap.then_some(ask.output_cap)),
        temperature: request.temperature.as_ref().map(|given| &given.value),
        top_p: request.top_p.as_ref().map(|given| &given.value),
        seed: request.seed.as_ref().map(|given| &given.value),
        presence_penalty: request.presence_penalty.as_ref().map(|given| &given.value),
        frequency_penalty: request.frequency_penalty.as_ref().map(|given| &given.value),
        stop: request.stop.as_ref().map(|given| &*given.value),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: request.choice.as_ref().filter(|_| has_tools).map(|given| choice(&given.value)),
        parallel_tool_calls: request.parallel_tools.as_ref().filter(|_| has_tools).map(|given| given.value),
        response_format: request.format.as_ref().map(|given| format(&given.value, request.family)),
        reasoning_effort: request.thinking.as_ref().and_then(|given| effort(given.value)),
        user: request.end_user.as_ref().map(|given| &*given.value),
        stream: request.stream.then_some(true),
        stream_options: (request.stream && ask.ask_usage).then(|| json!({"include_usage": true})),
        more,
    };
    Ok(HubBody::written(&body, request, misfits))
}

/// Members of responses that chat completions have too; the client's others are refused.
fn more<'a>(
    request: &'a HubRequest,
    misfits: &mut Misfits<'_>,
) -> Result<BTreeMap<&'static str, &'a RawValue>, Untranslatable> {
    let mut more = BTreeMap::new();
    let is_kin = request.family == Some(Family::OpenAi);
    for given in &request.leftover {
        match IN_BOTH.iter().find(|(_, theirs)| is_kin && *theirs == &*given.at) {
            Some((name, _)) => more.insert(*name, &*given.value),
            None => {
                misfits.meet(&given.at, "it has no such member")?;
                None
            }
        };
    }
    for given in request.hints.iter().filter(|_| is_kin) {
        if let Some(name) = HINTS.iter().find(|name| **name == &*given.at) {
            more.insert(name, &given.value);
        }
    }
    Ok(more)
}

fn messages(request: &HubRequest) -> Result<Vec<Message<'_>>, Untranslatable> {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(message("system", content(&request.system)?));
    }
    for turn in &request.turns {
        match turn.role {
            HubRole::System => messages.push(message("system", content(&turn.blocks)?)),
            HubRole::User => user(turn, &mut messages)?,
            HubRole::Assistant => messages.push(assistant(turn)?),
        }
    }
    match request.turns.last() {
        Some(last) if last.role == HubRole::Assistant && !has_calls(last) => {
            let why = "the conversation ends with the model's own words, which it cannot go on from";
            Err(Untranslatable::unsupported(&*last.at, TARGET, why))
        }
        _ => Ok(messages),
    }
}

fn has_calls(turn: &HubTurn) -> bool {
    turn.blocks.iter().any(|block| matches!(block, HubBlock::ToolUse { .. }))
}

fn message<'a>(role: &'static str, content: Option<Content<'a>>) -> Message<'a> {
    Message { role, content, refusal: None, tool_calls: Vec::new(), tool_call_id: None }
}

/// Results of tools are messages of their own, before what the user says beside them.
fn user<'a>(turn: &'a HubTurn, messages: &mut Vec<Message<'a>>) -> Result<(), Untranslatable> {
    let mut said = Vec::new();
    for block in &turn.blocks {
        match block {
            HubBlock::ToolResult { at, id, blocks, .. } => messages.push(Message {
                tool_call_id: Some(id),
                ..message("tool", Some(Content::Text(Cow::Owned(result_text(at, blocks)?))))
            }),
            other => said.push(other),
        }
    }
    match content(said.iter().copied())? {
        Some(content) => messages.push(message("user", Some(content))),
        None if said.is_empty() => {}
        None => messages.push(message("user", Some(Content::EMPTY))),
    }
    Ok(())
}

fn result_text(at: &str, blocks: &[HubBlock]) -> Result<String, Untranslatable> {
    let mut text = String::new();
    for block in blocks {
        match block {
            HubBlock::Text(part) => text.push_str(part),
            HubBlock::CacheMark(_) => {}
            _ => {
                return Err(Untranslatable::unsupported(
                    at,
                    TARGET,
                    "a tool's result can only be text there",
                ));
            }
        }
    }
    Ok(text)
}

fn assistant(turn: &HubTurn) -> Result<Message<'_>, Untranslatable> {
    let mut message = message("assistant", None);
    let mut said = Vec::new();
    for block in &turn.blocks {
        match block {
            HubBlock::ToolUse { id, name, input } => message.tool_calls.push(json!({
                "id": id, "type": "function",
                "function": {"name": name, "arguments": if input.is_empty() { "{}" } else { input }},
            })),
            HubBlock::Refusal(text) => message.refusal = Some(text),
            // Reasoning is bound to the vendor who made it, and this one takes nobody's.
            HubBlock::Reasoning { .. } | HubBlock::Redacted(_) => {}
            other => said.push(other),
        }
    }
    message.content = content(said)?;
    if message.content.is_none() && message.tool_calls.is_empty() && message.refusal.is_none() {
        message.content = Some(Content::EMPTY);
    }
    Ok(message)
}

/// What these blocks say; nothing for nothing.
fn content<'a>(
    blocks: impl IntoIterator<Item = &'a HubBlock>,
) -> Result<Option<Content<'a>>, Untranslatable> {
    let mut parts = Vec::new();
    for block in blocks {
        let part = match block {
            HubBlock::Text(text) => Part::Text { text },
            HubBlock::Refusal(refusal) => Part::Refusal { refusal },
            HubBlock::Image(media) => Part::ImageUrl { image_url: Image { url: Url::of(media)? } },
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
        [Part::Text { text }] => Some(Content::Text(Cow::Borrowed(text))),
        _ => Some(Content::Parts(parts)),
    })
}

pub(super) fn foreign(at: &str, kind: &str) -> Untranslatable {
    Untranslatable::unsupported(at, TARGET, format!("there is nothing like `{kind}` there"))
}

fn document(media: &HubMedia) -> Result<Part<'_>, Untranslatable> {
    let filename = media.name.as_deref().unwrap_or("document.pdf");
    match &media.source {
        HubSource::Inline { .. } => Ok(Part::File { file: File { filename, file_data: Url::of(media)? } }),
        HubSource::Text(text) => Ok(Part::Text { text }),
        HubSource::Url(_) => {
            let why = "a document must be sent along there, not named by a URL";
            Err(Untranslatable::unsupported(&*media.at, TARGET, why))
        }
        HubSource::File(_) => Err(stored(media)),
    }
}

pub(super) fn stored(media: &HubMedia) -> Untranslatable {
    let why = "a file that is stored at one provider is not known to another; send its content";
    Untranslatable::unsupported(&*media.at, TARGET, why)
}

fn tool(tool: &crate::hub::HubTool) -> Tool<'_> {
    Tool {
        r#type: "function",
        function: Function {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.schema.as_deref(),
            strict: tool.strict,
        },
    }
}

fn choice(choice: &HubChoice) -> Value {
    match choice {
        HubChoice::Auto => json!("auto"),
        HubChoice::Nothing => json!("none"),
        HubChoice::Required => json!("required"),
        HubChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn format(format: &HubFormat, family: Option<Family>) -> Format<'_> {
    match format {
        HubFormat::Json => Format::JsonObject,
        HubFormat::Schema { name, description, schema, strict } => Format::JsonSchema {
            json_schema: Schema {
                // A name is demanded here and means nothing.
                name: name.as_deref().unwrap_or("response"),
                description: description.as_deref(),
                schema,
                // Elsewhere a schema is always kept to.
                strict: strict.unwrap_or(family != Some(Family::OpenAi)),
            },
        },
    }
}

pub(super) fn effort(thinking: HubThinking) -> Option<&'static str> {
    match thinking {
        // Models that do not reason refuse the member, and the others decide for themselves.
        HubThinking::Off | HubThinking::Adaptive(None) => None,
        HubThinking::Adaptive(Some(effort)) | HubThinking::Effort(effort) => Some(effort.as_str()),
        HubThinking::Budget(tokens) => {
            let step = EFFORT_OF_BUDGET.iter().find(|(most, _)| tokens <= *most);
            Some(step.map_or(HubEffort::High, |(_, effort)| *effort).as_str())
        }
    }
}
