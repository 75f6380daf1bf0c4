//! A chat completions request into the hub form.

use serde_json::value::RawValue;

use super::HINTS;
use crate::hub::{
    Given, HubBlock, HubChoice, HubEffort, HubFormat, HubMedia, HubRequest, HubRole, HubSource, HubThinking,
    HubTool, HubTurn, Items, Object, Sealed, Untranslatable, as_text,
};
use crate::wire::Family;

/// Members that change nothing in the answer.
const TELL_NOTHING: &[&str] = &["model", "prediction"];

pub(super) fn read(bytes: &[u8]) -> Result<HubRequest, Untranslatable> {
    let mut body = Object::body(bytes)?;
    body.ignore(TELL_NOTHING);
    let mut request = HubRequest {
        output_cap: output_cap(&mut body)?,
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.number("top_k")?,
        seed: body.number("seed")?,
        presence_penalty: body.number("presence_penalty")?.filter(|given| given.value.as_f64() != Some(0.0)),
        frequency_penalty: body
            .number("frequency_penalty")?
            .filter(|given| given.value.as_f64() != Some(0.0)),
        parallel_tools: body
            .flag("parallel_tool_calls")?
            .map(|value| Given::new("parallel_tool_calls", value)),
        stop: stop(&mut body)?,
        format: format(&mut body)?,
        thinking: effort(&mut body)?,
        end_user: end_user(&mut body)?,
        stream: body.flag("stream")?.unwrap_or(false),
        include_usage: include_usage(&mut body)?,
        family: Some(Family::OpenAi),
        ..HubRequest::default()
    };
    for name in HINTS {
        request.hints.extend(body.take(name).map(|value| Given::new(name, value.to_owned())));
    }
    let messages =
        body.items("messages")?.ok_or_else(|| Untranslatable::malformed("messages", "is missing"))?;
    for message in messages {
        read_message(message?, &mut request)?;
    }
    for tool in body.items("tools")?.into_iter().flatten() {
        read_tool(tool?, &mut request)?;
    }
    request.choice = choice(&mut body, &mut request.leftover)?;
    drop_defaults(&mut body);
    request.leftover.extend(body.left());
    Ok(request)
}

/// Where a body holds two caps, the larger, as for its reservation.
fn output_cap(body: &mut Object<'_>) -> Result<Option<u64>, Untranslatable> {
    Ok(body.count("max_completion_tokens")?.max(body.count("max_tokens")?))
}

fn stop(body: &mut Object<'_>) -> Result<Option<Given<Vec<String>>>, Untranslatable> {
    let Some(raw) = body.take("stop") else { return Ok(None) };
    let list = as_text(raw).map(|one| vec![one]).or_else(|| serde_json::from_str(raw.get()).ok());
    let list =
        list.ok_or_else(|| Untranslatable::malformed("stop", "must be a string or an array of strings"))?;
    Ok((!list.is_empty()).then(|| Given::new("stop", list)))
}

fn format(body: &mut Object<'_>) -> Result<Option<Given<HubFormat>>, Untranslatable> {
    let Some(mut format) = body.object("response_format")? else { return Ok(None) };
    let form = match &*format.needed_text("type")? {
        "text" => return Ok(None),
        "json_object" => HubFormat::Json,
        "json_schema" => {
            let missing = || Untranslatable::malformed("response_format.json_schema", "is missing");
            let mut given = format.object("json_schema")?.ok_or_else(missing)?;
            HubFormat::Schema {
                name: given.text("name")?,
                description: given.text("description")?,
                strict: given.flag("strict")?,
                schema: given.take("schema").ok_or_else(missing)?.to_owned(),
            }
        }
        _ => return Err(Untranslatable::malformed("response_format.type", "is not known")),
    };
    Ok(Some(Given::new("response_format", form)))
}

fn effort(body: &mut Object<'_>) -> Result<Option<Given<HubThinking>>, Untranslatable> {
    let Some(name) = body.text("reasoning_effort")? else { return Ok(None) };
    let thinking = match HubEffort::from_name(&name) {
        Some(effort) => HubThinking::Effort(effort),
        None if name == "none" => HubThinking::Off,
        None => return Err(Untranslatable::malformed("reasoning_effort", "is not known")),
    };
    Ok(Some(Given::new("reasoning_effort", thinking)))
}

fn end_user(body: &mut Object<'_>) -> Result<Option<Given<String>>, Untranslatable> {
    let identifier = body.text("safety_identifier")?.map(|value| Given::new("safety_identifier", value));
    let user = body.text("user")?.map(|value| Given::new("user", value));
    Ok(identifier.or(user))
}

fn include_usage(body: &mut Object<'_>) -> Result<bool, Untranslatable> {
    let Some(mut options) = body.object("stream_options")? else { return Ok(false) };
    Ok(options.flag("include_usage")?.unwrap_or(false))
}

/// Members whose value is what every other dialect does anyway.
fn drop_defaults(body: &mut Object<'_>) {
    let defaults: &[(&str, &[&str])] = &[
        ("n", &["1"]),
        ("logprobs", &["false"]),
        ("store", &["false"]),
        ("logit_bias", &["{}"]),
        ("service_tier", &["\"auto\"", "\"default\""]),
        ("modalities", &["[\"text\"]"]),
        ("verbosity", &["\"medium\""]),
        ("functions", &["[]"]),
    ];
    for (name, values) in defaults {
        body.take_if(name, |value| values.contains(&value));
    }
}

fn read_message(mut message: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let at: Box<str> = message.at().into();
    let mut blocks = Vec::new();
    let role = match &*message.needed_text("role")? {
        "system" | "developer" => HubRole::System,
        "user" => HubRole::User,
        "assistant" => {
            read_reasoning(&mut message, &mut blocks)?;
            HubRole::Assistant
        }
        "tool" => {
            let id = message.needed_text("tool_call_id")?;
            let mut result = Vec::new();
            read_content(&mut message, &mut result)?;
            blocks.push(HubBlock::ToolResult { at: at.clone(), id, blocks: result, is_error: false });
            HubRole::User
        }
        _ => return Err(Untranslatable::malformed(message.path("role"), "is not known")),
    };
    read_content(&mut message, &mut blocks)?;
    if role == HubRole::Assistant {
        if let Some(refusal) = message.text("refusal")? {
            blocks.push(HubBlock::Refusal(refusal));
        }
        read_calls(&mut message, &mut blocks)?;
        message.ignore(&["annotations"]);
    }
    request.leftover.extend(message.left());
    if role == HubRole::System && request.turns.is_empty() {
        request.system.extend(blocks);
    } else {
        request.turns.push(HubTurn { at, role, blocks });
    }
    Ok(())
}

/// Reasoning that an earlier answer showed: with its proofs where the client kept them.
fn read_reasoning(message: &mut Object<'_>, blocks: &mut Vec<HubBlock>) -> Result<(), Untranslatable> {
    let visible = message.text("reasoning_content")?;
    let Some(kept) = message.items("thinking_blocks")? else {
        blocks.extend(visible.map(|text| HubBlock::Reasoning { text, proof: None }));
        return Ok(());
    };
    for block in kept {
        let mut block = block?;
        blocks.push(match block.text("data")?.and_then(Sealed::from_kept) {
            Some(sealed) => HubBlock::Redacted(sealed),
            None => HubBlock::Reasoning {
                text: block.text("thinking")?.unwrap_or_default(),
                proof: block.text("signature")?.and_then(Sealed::from_kept),
            },
        });
    }
    Ok(())
}

fn read_content(message: &mut Object<'_>, blocks: &mut Vec<HubBlock>) -> Result<(), Untranslatable> {
    let path = message.path("content");
    let Some(raw) = message.take("content") else { return Ok(()) };
    if let Some(text) = as_text(raw) {
        blocks.push(HubBlock::Text(text));
        return Ok(());
    }
    for part in Items::read(raw, &path)
        .map_err(|_| Untranslatable::malformed(path, "must be a string or an array of parts"))?
    {
        read_part(part?, blocks)?;
    }
    Ok(())
}

fn read_part(mut part: Object<'_>, blocks: &mut Vec<HubBlock>) -> Result<(), Untranslatable> {
    let at: Box<str> = part.at().into();
    let kind = part.needed_text("type")?;
    let block = match &*kind {
        "text" => HubBlock::Text(part.needed_text("text")?),
        "refusal" => HubBlock::Refusal(part.needed_text("refusal")?),
        "image_url" => {
            let mut image = part.object("image_url")?.ok_or_else(|| missing(&at, "image_url"))?;
            // How closely to look is a hint that others do not have; the picture is the same.
            image.ignore(&["detail"]);
            let url = image.needed_text("url")?;
            HubBlock::Image(HubMedia { source: source(url, &image.path("url"))?, at, name: None })
        }
        "input_audio" => {
            let mut audio = part.object("input_audio")?.ok_or_else(|| missing(&at, "input_audio"))?;
            HubBlock::Audio(HubMedia { at, source: sound(&mut audio)?, name: None })
        }
        "file" => {
            let mut file = part.object("file")?.ok_or_else(|| missing(&at, "file"))?;
            let source = match (file.text("file_data")?, file.text("file_id")?) {
                (Some(data), _) => source(data, &file.path("file_data"))?,
                (None, Some(id)) => HubSource::File(id),
                (None, None) => return Err(missing(&at, "file.file_data")),
            };
            HubBlock::Document(HubMedia { at, source, name: file.text("filename")? })
        }
        _ => HubBlock::Foreign(Given::new(at, kind.into())),
    };
    blocks.push(block);
    if part.take("prompt_cache_breakpoint").is_some() || part.take("cache_control").is_some() {
        blocks.push(HubBlock::CacheMark(None));
    }
    Ok(())
}

/// A data URL's content, or the URL.
pub(super) fn source(mut url: String, at: &str) -> Result<HubSource, Untranslatable> {
    let Some(data) = url.strip_prefix("data:") else { return Ok(HubSource::Url(url)) };
    let broken = || Untranslatable::malformed(at, "is no data URL with base64 content");
    let (head, base64) = data.split_once(',').ok_or_else(broken)?;
    let media_type = head.strip_suffix(";base64").ok_or_else(broken)?;
    let media_type = media_type.to_owned();
    // In place: a large picture is not held twice for the few letters before it.
    url.drain(..url.len() - base64.len());
    HubSource::inline((&media_type, at), (url, at)).map_err(|_| broken())
}

/// Sound with the name of its format.
pub(super) fn sound(audio: &mut Object<'_>) -> Result<HubSource, Untranslatable> {
    let media_type = format!("audio/{}", audio.needed_text("format")?);
    let base64 = audio.needed_text("data")?;
    HubSource::inline((&media_type, audio.path("format")), (base64, audio.path("data")))
}

fn read_calls(message: &mut Object<'_>, blocks: &mut Vec<HubBlock>) -> Result<(), Untranslatable> {
    for call in message.items("tool_calls")?.into_iter().flatten() {
        let mut call = call?;
        let at: Box<str> = call.at().into();
        let id = call.needed_text("id")?;
        let Some(mut function) = call.object("function")? else {
            blocks.push(HubBlock::Foreign(Given::new(at, "a call of no function".into())));
            continue;
        };
        let name = function.needed_text("name")?;
        let input = function.text("arguments")?.unwrap_or_default();
        blocks.extend(call_proof(&mut call)?);
        blocks.push(HubBlock::ToolUse { id, name, input });
    }
    Ok(())
}

/// The proof that a call of Gemini's carries, where Google's own server of this dialect puts it.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures#openai>
fn call_proof(call: &mut Object<'_>) -> Result<Option<HubBlock>, Untranslatable> {
    let Some(mut extra) = call.object("extra_content")? else { return Ok(None) };
    let Some(mut google) = extra.object("google")? else { return Ok(None) };
    let proof = google.text("thought_signature")?.map(|text| Sealed { family: Family::Gemini, text });
    Ok(proof.map(|proof| HubBlock::Reasoning { text: String::new(), proof: Some(proof) }))
}

fn read_tool(mut tool: Object<'_>, request: &mut HubRequest) -> Result<(), Untranslatable> {
    let at: Box<str> = tool.at().into();
    if tool.text("type")?.as_deref() != Some("function") {
        request.leftover.push(Given::new(at, RawValue::NULL.to_owned()));
        return Ok(());
    }
    let mut function = tool.object("function")?.ok_or_else(|| missing(&at, "function"))?;
    request.tools.push(HubTool {
        name: function.needed_text("name")?,
        description: function.text("description")?,
        schema: schema(&mut function, "parameters")?,
        strict: function.flag("strict")?,
        cache_mark: tool.take("cache_control").map(|_| None),
        at,
    });
    Ok(())
}

/// A tool's schema; it must at least be an object.
fn schema(function: &mut Object<'_>, name: &str) -> Result<Option<Box<RawValue>>, Untranslatable> {
    let path = function.path(name);
    let Some(raw) = function.take(name) else { return Ok(None) };
    Object::read(raw, &path)
        .map_err(|_| Untranslatable::malformed(path, "must be a JSON schema, which is an object"))?;
    Ok(Some(raw.to_owned()))
}

fn choice(
    body: &mut Object<'_>,
    leftover: &mut Vec<Given<Box<RawValue>>>,
) -> Result<Option<Given<HubChoice>>, Untranslatable> {
    const AT: &str = "tool_choice";
    let Some(raw) = body.take(AT) else { return Ok(None) };
    let choice = match as_text(raw).as_deref() {
        Some("auto") => HubChoice::Auto,
        Some("none") => HubChoice::Nothing,
        Some("required") => HubChoice::Required,
        Some(_) => return Err(Untranslatable::malformed(AT, "is not known")),
        None => {
            let mut object = Object::read(raw, AT)?;
            let Some(mut function) = object.object("function")? else {
                leftover.push(Given::new(AT, raw.to_owned()));
                return Ok(None);
            };
            HubChoice::Named(function.needed_text("name")?)
        }
    };
    Ok(Some(Given::new(AT, choice)))
}

fn missing(at: &str, what: &str) -> Untranslatable {
    Untranslatable::malformed(format!("{at}.{what}"), "is missing")
}
