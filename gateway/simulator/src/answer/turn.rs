//! One turn of a model: what it says and what that took, before any dialect has worded it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Family, Stamp, text};
use crate::Behaviour;
use crate::book::Usage;
use crate::request::Asked;

/// What the model says.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) stamp: &'a Stamp,
    pub(super) family: Family,
    /// The served model as a JSON string, quotes included.
    pub(super) model: String,
    pub(super) content: Content,
    pub(super) end: End,
    /// Of all choices together.
    pub(super) usage: Usage,
    pub(super) choices: u32,
    pub(super) include_usage: bool,
    /// Wait before each content chunk.
    pub(super) pause: Duration,
    pub(super) output_cap: Option<u64>,
}

/// What the model says: words, or one tool call.
#[derive(Debug)]
pub(super) enum Content {
    Words(u32),
    Tool(ToolCall),
}

/// A call of a tool that the caller offered.
#[derive(Debug)]
pub(super) struct ToolCall {
    /// As a JSON string, quotes included.
    pub(super) name: String,
    /// A JSON object as text.
    pub(super) arguments: String,
    /// The order in which streams bring the arguments; together they are `arguments`.
    pub(super) fragments: Vec<String>,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Stop,
    Length,
    Tool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        stamp: &'a Stamp,
        family: Family,
        model: &str,
        asked: &Asked<'_>,
        behaviour: &Behaviour,
    ) -> Self {
        let cap = asked.output_cap();
        let reasoning = cap.map_or(behaviour.reasoning_tokens, |cap| cap.min(behaviour.reasoning_tokens));
        let (content, end, visible) = match asked.tool() {
            Some(tool) => {
                let call = ToolCall::new(tool);
                let tokens = call.fragments.len() as u64;
                (Content::Tool(call), End::Tool, tokens)
            }
            None => {
                let room = cap.map_or(u64::MAX, |cap| cap - reasoning);
                let words = u32::try_from(room.min(u64::from(behaviour.chunks))).unwrap_or(u32::MAX);
                let end = if words < behaviour.chunks { End::Length } else { End::Stop };
                (Content::Words(words), end, u64::from(words))
            }
        };
        let choices = asked.choices();
        let input_tokens = behaviour.input_tokens.unwrap_or_else(|| asked.input_tokens());
        let cached_input_tokens = behaviour.cached_tokens.min(input_tokens);
        let usage = Usage {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens: behaviour.cache_write_tokens.min(input_tokens - cached_input_tokens),
            output_tokens: (visible + reasoning) * u64::from(choices),
            reasoning_tokens: reasoning * u64::from(choices),
        };
        Self {
            stamp,
            family,
            model: Value::from(model).to_string(),
            content,
            end,
            usage,
            choices,
            include_usage: asked.include_usage(),
            pause: behaviour.chunk_pause,
            output_cap: cap,
        }
    }

    /// The words as one text; empty for a tool call.
    pub(super) fn text(&self) -> String {
        match &self.content {
            Content::Words(words) => text::text_of(*words),
            Content::Tool(_) => String::new(),
        }
    }
}

impl ToolCall {
    /// Calls a tool in any of the forms `{function: {name, parameters}}` (chat),
    /// `{name, parameters}` (responses and Gemini), `{name, input_schema}` (messages),
    /// `{name, parametersJsonSchema}` (Gemini), `{toolSpec: {name, inputSchema: {json}}}` (Converse).
    fn new(tool: &Value) -> Self {
        let function = tool.get("function").or_else(|| tool.get("toolSpec")).unwrap_or(tool);
        let name = function.get("name").and_then(Value::as_str).unwrap_or("tool");
        let schema =
            ["parameters", "input_schema", "parametersJsonSchema"].iter().find_map(|name| function.get(name));
        let schema = schema.or_else(|| function.get("inputSchema")?.get("json"));
        let arguments = example(schema.unwrap_or(&Value::Null)).to_string();
        let characters: Vec<char> = arguments.chars().collect();
        let fragments = characters.chunks(6).map(|part| part.iter().collect()).collect();
        Self { name: Value::from(name).to_string(), arguments, fragments }
    }
}

/// A value that the schema of a tool's arguments admits.
fn example(schema: &Value) -> Value {
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    // Google's own schemas have the same types in capitals.
    match schema.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        Some("string") => json!("Paris"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            Value::Object(
                members.map(|(name, schema)| (name.clone(), example(schema))).collect::<Map<_, _>>(),
            )
        }
    }
}
