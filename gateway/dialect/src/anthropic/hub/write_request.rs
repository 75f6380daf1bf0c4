//! The hub form into a messages request.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::{Number, Value, json, value::RawValue};

use super::thinking::thinking;
use crate::{
    hub::{
        Given, HubAsk, HubBlock, HubBody, HubChoice, HubFormat, HubMedia, HubRequest, HubRole, HubSource,
        HubTool, Misfits, Untranslatable, arguments, standard_base64,
    },
    wire::{Dialect, Family},
};

const TARGET: Dialect = Dialect::Anthropic;
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Value>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
struct Block<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Value>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Text { media_type: &'static str, data: Cow<'a, str> },
    Url { url: &'a str },
}

impl<'a> Source<'a> {
    fn text(data: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { media_type: "text/plain", data: data.into() }
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Cow<'a, RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Value>,
}

#[derive(Default, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
}

pub(super) fn write(request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
    let mut misfits = Misfits::new(TARGET, ask);
    misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
    let without_place = [&request.seed, &request.presence_penalty, &request.frequency_penalty];
    misfits.meet_all(without_place.map(|given| given.as_ref().map(|given| &*given.at)))?;
    let temperature = misfits.temperature_of_one(request.temperature.as_ref())?;
    let format = match &request.format {
        Some(Given { value: HubFormat::Schema { schema, .. }, .. }) => {
            Some(Format { r#type: "json_schema", schema })
        }
        Some(given) => {
            misfits.meet(&given.at, "it takes a schema, not just any JSON")?;
            None
        }
        None => None,
    };
    let max_tokens = request.output_cap.unwrap_or(ask.output_cap);
    let (thinking, effort) = thinking(request, ask.model, max_tokens, &mut misfits)?;
    let body = Body {
        model: ask.model,
        max_tokens,
        system: blocks(&request.system, "")?,
        messages: messages(request)?,
        temperature,
        top_p: request.top_p.as_ref().map(|given| &given.value),
        top_k: request.top_k.as_ref().map(|given| &given.value),
        stop_sequences: request.stop.as_ref().map(|given| &*given.value),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: choice(request),
        thinking,
        output_config: OutputConfig { effort, format },
        metadata: request.end_user.as_ref().map(|given| json!({"user_id": given.value})),
        stream: request.stream.then_some(true),
    };
    Ok(HubBody::written(&body, request, misfits))
}

fn messages(request: &HubRequest) -> Result<Vec<Message<'_>>, Untranslatable> {
    let mut messages: Vec<Message<'_>> = Vec::new();
    for turn in &request.turns {
        let role = match turn.role {
            HubRole::User => "user",
            HubRole::Assistant => "assistant",
            HubRole::System => {
                let why = "instructions stand above the conversation there, not inside it";
                return Err(Untranslatable::unsupported(&*turn.at, TARGET, why));
            }
        };
        let content = blocks(&turn.blocks, &turn.at)?;
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(Message { role, content }),
        }
    }
    for message in &mut messages {
        // Results come before all else that the user says.
        message.content.sort_by_key(|block| !matches!(block.kind, Kind::ToolResult { .. }));
    }
    if let Some(Message { role: "assistant", content }) = messages.last_mut()
        && let Some(Block { kind: Kind::Text { text }, .. }) = content.last_mut()
    {
        *text = text.trim_end();
    }
    Ok(messages)
}

/// `at` is the turn's place, for what is wrong with a call in it.
fn blocks<'a>(from: &'a [HubBlock], at: &str) -> Result<Vec<Block<'a>>, Untranslatable> {
    let mut written: Vec<Block<'_>> = Vec::new();
    for block in from {
        let kind = match block {
            // Empty text is refused there, and says nothing.
            HubBlock::Text(text) | HubBlock::Refusal(text) if text.trim().is_empty() => continue,
            HubBlock::Text(text) | HubBlock::Refusal(text) => Kind::Text { text },
            HubBlock::Image(media) => Kind::Image { source: source(media)? },
            HubBlock::Document(media) => {
                Kind::Document { source: source(media)?, title: media.name.as_deref() }
            }
            HubBlock::Audio(media) => return Err(foreign(&media.at, "audio")),
            HubBlock::ToolUse { id, name, input } => {
                Kind::ToolUse { id: id_for(id), name, input: input_object(at, id, input)? }
            }
            HubBlock::ToolResult { id, blocks: result, is_error, .. } => Kind::ToolResult {
                tool_use_id: id_for(id),
                content: blocks(result, at)?,
                is_error: *is_error,
            },
            HubBlock::Reasoning { text, proof: Some(proof) } if proof.family == Family::Anthropic => {
                Kind::Thinking { thinking: text, signature: &proof.text }
            }
            HubBlock::Redacted(sealed) if sealed.family == Family::Anthropic => {
                Kind::RedactedThinking { data: &sealed.text }
            }
            // Reasoning is bound to the vendor who made it: without his proof it is not taken back.
            HubBlock::Reasoning { .. } | HubBlock::Redacted(_) => continue,
            HubBlock::CacheMark(seconds) => {
                if let Some(last) = written.last_mut() {
                    last.cache_control = Some(cache_control(*seconds));
                }
                continue;
            }
            HubBlock::Foreign(given) => return Err(foreign(&given.at, &given.value)),
        };
        written.push(Block { kind, cache_control: None });
    }
    Ok(written)
}

fn cache_control(seconds: Option<u32>) -> Value {
    match seconds {
        Some(3_600) => json!({"type": "ephemeral", "ttl": "1h"}),
        _ => json!({"type": "ephemeral"}),
    }
}

fn foreign(at: &str, kind: &str) -> Untranslatable {
    Untranslatable::unsupported(at, TARGET, format!("there is nothing like `{kind}` there"))
}

fn source(media: &HubMedia) -> Result<Source<'_>, Untranslatable> {
    match &media.source {
        HubSource::Inline { media_type, base64 } => {
            if let Some(text) = text_of(media_type, base64) {
                return Ok(Source::text(text));
            }
            let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
            Ok(Source::Base64 { media_type, data: base64 })
        }
        HubSource::Text(text) => Ok(Source::text(text)),
        HubSource::Url(url) => Ok(Source::Url { url }),
        HubSource::File(_) => {
            let why = "a file that is stored at one provider is not known to another; send its content";
            Err(Untranslatable::unsupported(&*media.at, TARGET, why))
        }
    }
}

/// The text of a document that is some: the API takes those as text only.
fn text_of(media_type: &str, base64: &str) -> Option<String> {
    let bytes = media_type.starts_with("text/").then(|| standard_base64(base64)).flatten()?;
    String::from_utf8(BASE64_STANDARD.decode(&*bytes).ok()?).ok()
}

/// An id in the letters that this dialect takes; the same id always becomes the same, so that a
/// result still names its call.
fn id_for(id: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    let mut made = String::from("call_");
    for byte in id.bytes() {
        match byte {
            byte if fits(byte) => made.push(char::from(byte)),
            other => made.push_str(&format!("_{other:02x}")),
        }
    }
    Cow::Owned(made)
}

/// Arguments as the object that they must be here, in the text that the model wrote.
fn input_object(at: &str, id: &str, input: &str) -> Result<Box<RawValue>, Untranslatable> {
    arguments(input).ok_or_else(|| {
        Untranslatable::malformed(at, format!("has a call `{id}` whose arguments are no JSON object"))
    })
}

fn tool(tool: &HubTool) -> Tool<'_> {
    let nothing = || {
        RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).expect("this is valid JSON")
    };
    Tool {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema: tool.schema.as_deref().map_or_else(|| Cow::Owned(nothing()), Cow::Borrowed),
        strict: tool.strict.filter(|strict| *strict),
        cache_control: tool.cache_mark.map(cache_control),
    }
}

fn choice(request: &HubRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    let alone = request.parallel_tools.as_ref().is_some_and(|given| !given.value);
    let mut choice = match request.choice.as_ref().map(|given| &given.value) {
        None if !alone => return None,
        None | Some(HubChoice::Auto) => json!({"type": "auto"}),
        Some(HubChoice::Nothing) => return Some(json!({"type": "none"})),
        Some(HubChoice::Required) => json!({"type": "any"}),
        Some(HubChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if alone {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Some(choice)
}
