//! The turns of a conversation as contents of parts.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{read_parts::is_kind_of_content, write_request::TARGET};
use crate::{
    hub::{HubBlock, HubMedia, HubRequest, HubRole, HubSource, HubTurn, Untranslatable, arguments},
    wire::Family,
};

/// Stands for a proof that was lost, or that never was since another model made the call.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
const LOST_PROOF: &str = "skip_thought_signature_validator";

/// How the ids of calls begin that other vendors give, and those that are made here. The API itself knows
/// only its own: Vertex gives none, and is reported to refuse any.
const IDS_OF_OTHERS: &[&str] = &["call_", "toolu_", "tooluse_"];

/// URLs that the API follows itself: storage of Google's and films.
const FOLLOWED: &[&str] =
    &["gs://", "https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/"];

#[derive(Serialize)]
pub(super) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<InlineData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
    /// The place of the call that this answers or belongs to the answer of.
    #[serde(skip)]
    answers: Option<usize>,
}

impl<'a> Part<'a> {
    fn of_text(text: &'a str) -> Self {
        Self { text: Some(text), ..Self::default() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    args: Box<RawValue>,
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    response: Box<RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part<'a>>,
}

/// The calls so far: by id their place and name.
type Calls<'a> = HashMap<&'a str, (usize, &'a str)>;

/// The instructions above the conversation.
pub(super) fn system(blocks: &[HubBlock]) -> Result<Option<Content<'_>>, Untranslatable> {
    let mut parts = Vec::new();
    for block in blocks {
        parts.extend(said(block)?);
    }
    Ok((!parts.is_empty()).then_some(Content { role: None, parts }))
}

/// The conversation. With `proves` the model demands a proof of its calls, and takes pictures in results.
pub(super) fn contents(request: &HubRequest, proves: bool) -> Result<Vec<Content<'_>>, Untranslatable> {
    let mut contents: Vec<Content<'_>> = Vec::new();
    let mut calls = Calls::new();
    for turn in &request.turns {
        let (role, parts) = match turn.role {
            HubRole::User => ("user", user(turn, &calls, proves)?),
            HubRole::Assistant => {
                calls.extend(calls_of(turn, calls.len()));
                ("model", model(turn)?)
            }
            HubRole::System => {
                let why = "instructions stand above the conversation there, not inside it";
                return Err(Untranslatable::unsupported(&*turn.at, TARGET, why));
            }
        };
        match contents.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if last.role == Some(role) => last.parts.extend(parts),
            _ => contents.push(Content { role: Some(role), parts }),
        }
    }
    for content in &mut contents {
        // Results stand in the order of their calls, before all else that the user says.
        if content.role == Some("user") {
            content.parts.sort_by_key(|part| part.answers.unwrap_or(usize::MAX));
        } else if proves
            && let Some(call) = content.parts.iter_mut().find(|part| part.function_call.is_some())
        {
            call.thought_signature.get_or_insert(LOST_PROOF);
        }
    }
    match request.turns.last() {
        Some(last) if last.role == HubRole::Assistant && calls_of(last, 0).next().is_none() => {
            let why = "the conversation ends with the model's own words, which it cannot go on from";
            Err(Untranslatable::unsupported(&*last.at, TARGET, why))
        }
        _ => Ok(contents),
    }
}

fn calls_of(turn: &HubTurn, before: usize) -> impl Iterator<Item = (&str, (usize, &str))> {
    let calls = turn.blocks.iter().filter_map(|block| match block {
        HubBlock::ToolUse { id, name, .. } => Some((&**id, &**name)),
        _ => None,
    });
    calls.enumerate().map(move |(place, (id, name))| (id, (before + place, name)))
}

/// The model's turn. A proof stands on the part after the thought that it is of.
fn model(turn: &HubTurn) -> Result<Vec<Part<'_>>, Untranslatable> {
    let mut parts = Vec::new();
    let mut proof = None;
    for block in &turn.blocks {
        let part = match block {
            HubBlock::Reasoning { proof: Some(given), .. } if given.family == Family::Gemini => {
                proof = Some(&*given.text);
                continue;
            }
            HubBlock::ToolUse { id, name, input } => {
                let call = Call { id: own_id(id), name, args: input_object(&turn.at, id, input)? };
                Some(Part { function_call: Some(call), ..Part::default() })
            }
            other => said(other)?,
        };
        parts.extend(part.map(|part| Part { thought_signature: proof.take(), ..part }));
    }
    // Of an answer in words the proof comes last, on no words.
    parts.extend(proof.map(|proof| Part { thought_signature: Some(proof), ..Part::of_text("") }));
    Ok(parts)
}

/// An id where it is the API's own; calls and results are matched by name and order as well.
fn own_id(id: &str) -> Option<&str> {
    (!IDS_OF_OTHERS.iter().any(|start| id.starts_with(start))).then_some(id)
}

fn input_object(at: &str, id: &str, input: &str) -> Result<Box<RawValue>, Untranslatable> {
    arguments(input).ok_or_else(|| {
        let what = format!("has a call `{id}` whose arguments are no JSON object");
        Untranslatable::malformed(at, what)
    })
}

fn user<'a>(turn: &'a HubTurn, calls: &Calls<'a>, proves: bool) -> Result<Vec<Part<'a>>, Untranslatable> {
    let mut parts = Vec::new();
    for block in &turn.blocks {
        match block {
            HubBlock::ToolResult { at, id, blocks, is_error } => {
                let (place, name) = calls
                    .get(&**id)
                    .ok_or_else(|| Untranslatable::malformed(&**at, "answers no call before it"))?;
                let result = result(blocks, *is_error, (id, name), proves)?;
                parts.extend(result.into_iter().map(|part| Part { answers: Some(*place), ..part }));
            }
            other => parts.extend(said(other)?),
        }
    }
    Ok(parts)
}

/// What a tool gave. Pictures are part of it for models that can take them there, and follow it for others.
fn result<'a>(
    blocks: &'a [HubBlock],
    is_error: bool,
    (id, name): (&'a str, &'a str),
    proves: bool,
) -> Result<Vec<Part<'a>>, Untranslatable> {
    let (mut text, mut media) = (String::new(), Vec::new());
    for block in blocks {
        match block {
            HubBlock::Text(more) => text.push_str(more),
            other => media.extend(said(other)?),
        }
    }
    let (inside, after) = if proves { (media, Vec::new()) } else { (Vec::new(), media) };
    let response = response_object(&text, is_error);
    let response = Response { id: own_id(id), name, response, parts: inside };
    let mut parts = vec![Part { function_response: Some(response), ..Part::default() }];
    parts.extend(after);
    Ok(parts)
}

/// A result is an object here: one of JSON as it stands, anything else inside one.
fn response_object(text: &str, is_error: bool) -> Box<RawValue> {
    let object = if text.trim().is_empty() { None } else { arguments(text) };
    let name = if is_error { "error" } else { "result" };
    let wrapped =
        || serde_json::value::to_raw_value(&json!({ name: text })).expect("a text is always written");
    match object {
        Some(object) if !is_error || object.get().starts_with("{\"error\"") => object,
        _ => wrapped(),
    }
}

/// What a block says; nothing for what only its own vendor takes back, and for cache hints.
fn said(block: &HubBlock) -> Result<Option<Part<'_>>, Untranslatable> {
    Ok(match block {
        HubBlock::Text(text) | HubBlock::Refusal(text) => (!text.is_empty()).then(|| Part::of_text(text)),
        HubBlock::Image(media) | HubBlock::Document(media) | HubBlock::Audio(media) => {
            Some(self::media(media)?)
        }
        HubBlock::Foreign(given) => return Err(foreign(&given.at, &given.value)),
        HubBlock::ToolResult { at, .. } => return Err(foreign(at, "a result in this place")),
        HubBlock::ToolUse { .. }
        | HubBlock::Reasoning { .. }
        | HubBlock::Redacted(_)
        | HubBlock::CacheMark(_) => None,
    })
}

fn foreign(at: &str, kind: &str) -> Untranslatable {
    Untranslatable::unsupported(at, TARGET, format!("there is nothing like `{kind}` there"))
}

fn media(media: &HubMedia) -> Result<Part<'_>, Untranslatable> {
    let refused = |why: &str| Err(Untranslatable::unsupported(&*media.at, TARGET, why));
    match &media.source {
        HubSource::Inline { media_type, .. } if !is_kind_of_content(media_type) => {
            Err(foreign(&media.at, media_type))
        }
        HubSource::Inline { media_type, base64 } => {
            let mime_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
            let data = InlineData { mime_type, data: base64 };
            Ok(Part { inline_data: Some(data), ..Part::default() })
        }
        HubSource::Text(text) => Ok(Part::of_text(text)),
        HubSource::Url(url) if FOLLOWED.iter().any(|place| url.starts_with(place)) => {
            let Some(media_type) = media_type_of(url) else {
                return refused(
                    "it has to be told what a URL leads to, which its ending does not; send the content",
                );
            };
            let data = json!({"fileUri": url, "mimeType": media_type});
            Ok(Part { file_data: Some(data), ..Part::default() })
        }
        HubSource::Url(_) => refused("it follows only URLs of Google's storage; send the content"),
        HubSource::File(_) => {
            refused("a file that is stored at one provider is not known to another; send its content")
        }
    }
}

/// The media type that a name's ending tells.
fn media_type_of(url: &str) -> Option<&'static str> {
    const KNOWN: &[(&str, &str)] = &[
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("heic", "image/heic"),
        ("heif", "image/heif"),
        ("pdf", "application/pdf"),
        ("wav", "audio/wav"),
        ("mp3", "audio/mp3"),
    ];
    let ending = url.rsplit('.').next()?.to_ascii_lowercase();
    KNOWN.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
}
