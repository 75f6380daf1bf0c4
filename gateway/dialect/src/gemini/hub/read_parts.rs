//! The parts of a content into blocks, and which call each result answers.
//!
//! Calls of this dialect need no id: a result without one answers the oldest open call of its name.

use super::seal::{self, Signature};
use crate::hub::{Given, HubBlock, HubMedia, HubSource, Object, Sealed, Untranslatable};

/// Where files that a client stored at Google are found; they are known to nobody else.
const STORED: &[&str] = &["gs://", "https://generativelanguage.googleapis.com/"];

/// The calls of a conversation so far.
#[derive(Default)]
pub(super) struct Conversation {
    /// Calls without a result yet, oldest first: id and name.
    open: Vec<(String, String)>,
    /// Calls so far.
    calls: usize,
}

impl Conversation {
    fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{}", self.calls));
        self.calls += 1;
        self.open.push((id.clone(), name.to_owned()));
        id
    }

    fn result(&mut self, id: Option<String>, name: &str, at: &str) -> Result<String, Untranslatable> {
        let id = id.filter(|id| !id.is_empty());
        let answers = |(call, of): &(String, String)| match &id {
            Some(id) => call == id,
            None => of == name,
        };
        match self.open.iter().position(answers) {
            Some(place) => Ok(self.open.remove(place).0),
            None => Err(Untranslatable::malformed(at, "answers no call before it")),
        }
    }
}

/// Reads the parts of a content.
pub(super) fn read_parts(
    content: &mut Object<'_>,
    conversation: &mut Conversation,
    blocks: &mut Vec<HubBlock>,
) -> Result<(), Untranslatable> {
    for part in content.items("parts")?.into_iter().flatten() {
        read_part(part?, conversation, blocks)?;
    }
    Ok(())
}

fn read_part(
    mut part: Object<'_>,
    conversation: &mut Conversation,
    blocks: &mut Vec<HubBlock>,
) -> Result<(), Untranslatable> {
    let signature = part.text("thoughtSignature")?.and_then(seal::read);
    if part.flag("thought")?.unwrap_or(false) {
        let text = part.text("text")?.unwrap_or_default();
        read_thought(text, signature, blocks);
        return refuse_rest(part, blocks);
    }
    if let Some(Signature::Proof(proof)) = signature {
        // Here a proof stands on the part after the thought.
        blocks.push(HubBlock::Reasoning { text: String::new(), proof: Some(proof) });
    }
    // How closely to look is a hint that others do not have.
    part.ignore(&["mediaResolution", "partMetadata"]);
    if let Some(text) = part.text("text")? {
        if !text.is_empty() {
            blocks.push(HubBlock::Text(text));
        }
    } else if let Some(mut call) = part.object("functionCall")? {
        let name = call.needed_text("name")?;
        let id = conversation.call(call.text("id")?, &name);
        let input = call.take("args").map_or_else(String::new, |args| args.get().to_owned());
        blocks.push(HubBlock::ToolUse { id, name, input });
    } else if let Some(response) = part.object("functionResponse")? {
        blocks.push(read_result(response, conversation)?);
    } else if let Some(block) = read_media(&mut part)? {
        blocks.push(block);
    }
    refuse_rest(part, blocks)
}

/// What a part holds beside what was read, such as code to be run or a cut of a video.
fn refuse_rest(part: Object<'_>, blocks: &mut Vec<HubBlock>) -> Result<(), Untranslatable> {
    let at = part.at().to_owned();
    if let Some((name, _)) = part.into_members().find(|(_, value)| value.get() != "null") {
        blocks.push(HubBlock::Foreign(Given::new(at, (&*name).into())));
    }
    Ok(())
}

/// A stream's clients keep thoughts in the pieces that came, and the proof on the last of them.
fn read_thought(text: String, signature: Option<Signature>, blocks: &mut Vec<HubBlock>) {
    let proof: Option<Sealed> = match signature {
        Some(Signature::Redacted(sealed)) => {
            blocks.push(HubBlock::Redacted(sealed));
            return;
        }
        Some(Signature::Proof(proof)) => Some(proof),
        None => None,
    };
    if let Some(HubBlock::Reasoning { text: before, proof: open @ None }) = blocks.last_mut() {
        before.push_str(&text);
        *open = proof;
    } else {
        blocks.push(HubBlock::Reasoning { text, proof });
    }
}

fn read_result(
    mut response: Object<'_>,
    conversation: &mut Conversation,
) -> Result<HubBlock, Untranslatable> {
    let at: Box<str> = response.at().into();
    let name = response.text("name")?.unwrap_or_default();
    let id = conversation.result(response.text("id")?, &name, &at)?;
    let (text, is_error) = result_text(&mut response)?;
    let mut blocks = vec![HubBlock::Text(text)];
    for part in response.items("parts")?.into_iter().flatten() {
        let mut part = part?;
        blocks.extend(read_media(&mut part)?);
        refuse_rest(part, &mut blocks)?;
    }
    response.take_if("willContinue", |continues| continues == "false");
    if let Some(given) = response.left().next() {
        return Ok(HubBlock::Foreign(Given::new(given.at, "a result that is used in another way".into())));
    }
    Ok(HubBlock::ToolResult { at, id, blocks, is_error })
}

/// A result as text. An object whose only member is a text under one of the names by which the API's
/// clients wrap texts is that text; any other stays the object.
fn result_text(response: &mut Object<'_>) -> Result<(String, bool), Untranslatable> {
    let path = response.path("response");
    let Some(raw) = response.take("response") else { return Ok((String::new(), false)) };
    let object = Object::read(raw, &path)?;
    let mut members: Vec<_> = object.into_members().collect();
    if let [(name, value)] = &mut members[..]
        && let Some(text) = crate::hub::as_text(value)
    {
        match &**name {
            "result" | "output" => return Ok((text, false)),
            "error" => return Ok((text, true)),
            _ => {}
        }
    }
    let is_error = matches!(&members[..], [(name, _)] if name == "error");
    Ok((raw.get().to_owned(), is_error))
}

/// A picture, a document or sound, in the part or elsewhere.
fn read_media(part: &mut Object<'_>) -> Result<Option<HubBlock>, Untranslatable> {
    let at: Box<str> = part.at().into();
    if let Some(mut data) = part.object("inlineData")? {
        let media_type = data.needed_text("mimeType")?.to_ascii_lowercase();
        let base64 = data.needed_text("data")?;
        let name = data.text("displayName")?;
        let source = HubSource::inline((&media_type, data.path("mimeType")), (base64, data.path("data")))?;
        return Ok(Some(of_kind(&media_type, HubMedia { at, source, name })));
    }
    if let Some(mut file) = part.object("fileData")? {
        let uri = file.needed_text("fileUri")?;
        let media_type = file.text("mimeType")?.unwrap_or_default().to_ascii_lowercase();
        let name = file.text("displayName")?;
        let stored = STORED.iter().any(|place| uri.starts_with(place));
        let source = if stored { HubSource::File(uri) } else { HubSource::Url(uri) };
        return Ok(Some(of_kind(&media_type, HubMedia { at, source, name })));
    }
    Ok(None)
}

/// What can stand in a part: pictures, sound and documents.
pub(super) fn is_kind_of_content(media_type: &str) -> bool {
    matches!(media_type.split('/').next(), Some("image" | "audio" | "application" | "text"))
}

fn of_kind(media_type: &str, media: HubMedia) -> HubBlock {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => HubBlock::Image(media),
        "audio" => HubBlock::Audio(media),
        "application" | "text" => HubBlock::Document(media),
        // Moving pictures, and what does not say what it is.
        _ => HubBlock::Foreign(Given::new(
            media.at,
            if media_type.is_empty() { "a file of no type" } else { media_type }.into(),
        )),
    }
}
