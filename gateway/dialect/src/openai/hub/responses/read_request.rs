//! A responses request into the hub form.

use serde_json::{Value, value::RawValue};

use super::{REPEATED, read_input};
use crate::{
    hub::{
        Given, HubBlock, HubChoice, HubEffort, HubFormat, HubRequest, HubThinking, HubTool, Items, Object,
        Untranslatable, as_text,
    },
    openai::hub::HINTS,
    wire::Family,
};

/// Members that change nothing in the answer. `store` is among them since every translated answer says
/// itself that it is not kept, and the bound of calls of hosted tools since those tools are refused.
const TELL_NOTHING: [&str; 6] =
    ["model", "store", "stream_options", "max_tool_calls", "client_metadata", "prompt_cache_options"];

pub(super) fn read(bytes: &[u8]) -> Result<HubRequest, Untranslatable> {
    let mut body = Object::body(bytes)?;
    let echo = REPEATED.iter().filter_map(|(name, _)| Some(Given::new(*name, body.peek(name)?.to_owned())));
    let mut request =
        HubRequest { family: Some(Family::OpenAi), echo: echo.collect(), ..HubRequest::default() };
    body.ignore(&TELL_NOTHING);
    for name in HINTS {
        request.hints.extend(body.take(name).map(|value| Given::new(name, value.to_owned())));
    }
    request.output_cap = body.count("max_output_tokens")?;
    request.temperature = body.number("temperature")?;
    request.top_p = body.number("top_p")?;
    request.parallel_tools =
        body.flag("parallel_tool_calls")?.map(|value| Given::new("parallel_tool_calls", value));
    request.end_user = end_user(&mut body)?;
    request.stream = body.flag("stream")?.unwrap_or(false);
    request.include_usage = true;
    request.system.extend(body.text("instructions")?.map(HubBlock::Text));
    read_input::read(&mut body, &mut request)?;
    for tool in body.items("tools")?.into_iter().flatten() {
        read_tool(tool?, &mut request)?;
    }
    read_choice(&mut body, &mut request)?;
    read_text(&mut body, &mut request)?;
    read_reasoning(&mut body, &mut request)?;
    read_include(&mut body, &mut request)?;
    drop_defaults(&mut body);
    request.leftover.extend(body.left());
    Ok(request)
}

fn end_user(body: &mut Object<'_>) -> Result<Option<Given<String>>, Untranslatable> {
    let identifier = body.text("safety_identifier")?.map(|value| Given::new("safety_identifier", value));
    let user = body.text("user")?.map(|value| Given::new("user", value));
    Ok(identifier.or(user))
}

/// Members whose value is what every other dialect does anyway.
fn drop_defaults(body: &mut Object<'_>) {
    let defaults: &[(&str, &[&str])] = &[
        ("background", &["false"]),
        ("truncation", &["\"disabled\""]),
        ("top_logprobs", &["0"]),
        ("service_tier", &["\"auto\"", "\"default\""]),
        ("context_management", &["[]"]),
    ];
    for (name, values) in defaults {
        body.take_if(name, |value| values.contains(&value));
    }
}

fn read_tool(mut tool: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let at: Box<str> = tool.at().into();
    if tool.needed_text("type")? != "function" {
        // A tool that the provider runs itself, or one whose input is no JSON.
        request.leftover.push(Given::new(at, RawValue::NULL.to_owned()));
        return Ok(());
    }
    let path = tool.path("parameters");
    let schema = tool.take("parameters");
    if let Some(raw) = schema {
        Object::read(raw, &path)
            .map_err(|_| Untranslatable::malformed(path, "must be a JSON schema, which is an object"))?;
    }
    let strict = tool.flag("strict")?.or_else(|| schema.and_then(is_closed).filter(|closed| *closed));
    request.tools.push(HubTool {
        name: tool.needed_text("name")?,
        description: tool.text("description")?,
        schema: schema.map(ToOwned::to_owned),
        strict,
        cache_mark: None,
        at,
    });
    request.leftover.extend(tool.left());
    Ok(())
}

/// Whether a schema can be kept to strictly, which is what this API does by itself where it can: its
/// objects have no members but the listed, and all of those.
fn is_closed(schema: &RawValue) -> Option<bool> {
    fn closed(schema: &Value) -> bool {
        let Value::Object(members) = schema else { return true };
        let properties = members.get("properties").and_then(Value::as_object);
        let required = members.get("required").and_then(Value::as_array);
        let is_required =
            |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name.as_str()));
        let open = members.get("type").is_some_and(|kind| kind == "object") || properties.is_some();
        let fits = !open
            || (members.get("additionalProperties") == Some(&Value::Bool(false))
                && properties.is_none_or(|properties| properties.keys().all(is_required)));
        fits && members.iter().all(|(name, value)| match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(inner)) => inner.values().all(closed),
            ("items", inner) => closed(inner),
            ("anyOf", Value::Array(inner)) => inner.iter().all(closed),
            _ => true,
        })
    }
    serde_json::from_str(schema.get()).ok().map(|schema: Value| closed(&schema))
}

fn read_choice(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    const AT: &str = "tool_choice";
    let Some(raw) = body.take(AT) else { return Ok(()) };
    let by_name = |name: &str| match name {
        "auto" => Ok(HubChoice::Auto),
        "none" => Ok(HubChoice::Nothing),
        "required" => Ok(HubChoice::Required),
        _ => Err(Untranslatable::malformed(AT, "is not known")),
    };
    let choice = match as_text(raw) {
        Some(name) => by_name(&name)?,
        None => {
            let mut object = Object::read(raw, AT)?;
            match &*object.needed_text("type")? {
                "function" => HubChoice::Named(object.needed_text("name")?),
                "allowed_tools" => {
                    let mode = by_name(object.text("mode")?.as_deref().unwrap_or("auto"))?;
                    keep_allowed(object.items("tools")?, request)?;
                    mode
                }
                _ => {
                    request.leftover.push(Given::new(AT, raw.to_owned()));
                    return Ok(());
                }
            }
        }
    };
    request.choice = Some(Given::new(AT, choice));
    Ok(())
}

/// Only the tools that may be chosen are offered.
fn keep_allowed(allowed: Option<Items<'_>>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let mut names = Vec::new();
    for tool in allowed.into_iter().flatten() {
        names.extend(tool?.text("name")?);
    }
    request.tools.retain(|tool| names.contains(&tool.name));
    Ok(())
}

fn read_text(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(mut text) = body.object("text")? else { return Ok(()) };
    text.take_if("verbosity", |value| value == "\"medium\"");
    if let Some(mut format) = text.object("format")? {
        let at = format.at().to_owned();
        let form = match &*format.needed_text("type")? {
            "text" => None,
            "json_object" => Some(HubFormat::Json),
            "json_schema" => Some(HubFormat::Schema {
                name: format.text("name")?,
                description: format.text("description")?,
                strict: format.flag("strict")?,
                schema: format
                    .take("schema")
                    .ok_or_else(|| Untranslatable::malformed("text.format.schema", "is missing"))?
                    .to_owned(),
            }),
            _ => return Err(Untranslatable::malformed("text.format.type", "is not known")),
        };
        request.format = form.map(|form| Given::new(at, form));
        request.leftover.extend(format.left());
    }
    request.leftover.extend(text.left());
    Ok(())
}

fn read_reasoning(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    const AT: &str = "reasoning.effort";
    let Some(mut reasoning) = body.object("reasoning")? else { return Ok(()) };
    // How much of the reasoning is shown is the vendor's affair; what he shows is handed on.
    reasoning.ignore(&["summary", "generate_summary"]);
    reasoning.take_if("context", |value| value == "\"auto\"");
    reasoning.take_if("mode", |value| value == "\"standard\"");
    if let Some(name) = reasoning.text("effort")? {
        let thinking = match HubEffort::from_name(&name) {
            Some(effort) => HubThinking::Effort(effort),
            None if name == "none" => HubThinking::Off,
            None => return Err(Untranslatable::malformed(AT, "is not known")),
        };
        request.thinking = Some(Given::new(AT, thinking));
    }
    request.leftover.extend(reasoning.left());
    Ok(())
}

/// Of what a client may want beside the answer, only the proofs of its reasoning exist elsewhere.
fn read_include(body: &mut Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let Some(raw) = body.take("include") else { return Ok(()) };
    let wanted: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| Untranslatable::malformed("include", "must be an array of strings"))?;
    for (place, name) in wanted.iter().enumerate() {
        if name != "reasoning.encrypted_content" {
            let value = serde_json::value::to_raw_value(name).expect("a text is always written");
            request.leftover.push(Given::new(format!("include[{place}]"), value));
        }
    }
    Ok(())
}
