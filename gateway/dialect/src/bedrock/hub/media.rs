//! Pictures, documents and sound: media types elsewhere, short names of formats here.

use std::{borrow::Cow, collections::HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::write_request::TARGET;
use crate::hub::{
    Given, HubBlock, HubMedia, HubSource, Object, Untranslatable, into_standard_base64, standard_base64,
};

const IMAGES: &[(&str, &str)] =
    &[("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("webp", "image/webp")];

const SOUNDS: &[(&str, &str)] = &[
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("mp3", "audio/mpeg"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("aac", "audio/aac"),
];

const DOCUMENTS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// The most letters of a document's name.
const LONGEST_NAME: usize = 200;

fn format_of(media_type: &str, known: &[(&'static str, &str)]) -> Option<&'static str> {
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { &*media_type };
    known.iter().find(|(_, one)| *one == media_type).map(|(format, _)| *format)
}

/// Reads the block of this kind, where the object is one.
pub(super) fn read(block: &mut Object<'_>, kind: &str) -> Result<Option<HubBlock>, Untranslatable> {
    let Some(mut media) = block.object(kind)? else { return Ok(None) };
    let at: Box<str> = media.at().into();
    let foreign = |what: &str| Ok(Some(HubBlock::Foreign(Given::new(&*at, what.into()))));
    let known = match kind {
        "image" => IMAGES,
        "audio" => SOUNDS,
        _ => DOCUMENTS,
    };
    let path = media.path("format");
    let format = media.needed_text("format")?;
    let Some((_, media_type)) = known.iter().find(|(name, _)| *name == format) else {
        return Err(Untranslatable::malformed(path, "is not known"));
    };
    let name = media.text("name")?;
    let path = media.path("source");
    let missing = || Untranslatable::malformed(path, "is missing");
    let mut given = media.object("source")?.ok_or_else(missing)?;
    let source = source(&mut given, media_type)?;
    if let Some(mut citations) = media.object("citations")?
        && citations.flag("enabled")?.unwrap_or(false)
    {
        return foreign("a document to be cited");
    }
    if let Some(rest) = given.left().chain(media.left()).next() {
        let name = rest.at.rsplit('.').next().unwrap_or_default().to_owned();
        return Ok(Some(HubBlock::Foreign(Given::new(rest.at, name.into()))));
    }
    let Some(source) = source else { return foreign("content that is nowhere") };
    let media = HubMedia { at, source, name };
    Ok(Some(match kind {
        "image" => HubBlock::Image(media),
        "audio" => HubBlock::Audio(media),
        _ => HubBlock::Document(media),
    }))
}

/// Where the bytes are. A document that is plain text travels as text, as other vendors take it.
fn source(source: &mut Object<'_>, media_type: &str) -> Result<Option<HubSource>, Untranslatable> {
    if let Some(text) = source.text("text")? {
        return Ok(Some(HubSource::Text(text)));
    }
    let path = source.path("bytes");
    let Some(bytes) = source.text("bytes")? else { return Ok(None) };
    let base64 =
        into_standard_base64(bytes).ok_or_else(|| Untranslatable::malformed(path, "is no base64"))?;
    let text = (media_type == "text/plain").then(|| BASE64_STANDARD.decode(&base64).ok()).flatten();
    Ok(Some(match text.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => HubSource::Text(text),
        None => HubSource::Inline { media_type: media_type.to_owned(), base64 },
    }))
}

/// A picture, a document or sound as it is written.
#[derive(Serialize)]
pub(super) struct Media<'a> {
    format: &'static str,
    /// Documents alone have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    source: Source<'a>,
}

#[derive(Serialize)]
struct Source<'a> {
    bytes: Cow<'a, str>,
}

pub(super) fn image(media: &HubMedia) -> Result<Media<'_>, Untranslatable> {
    content(media, IMAGES)
}

pub(super) fn audio(media: &HubMedia) -> Result<Media<'_>, Untranslatable> {
    content(media, SOUNDS)
}

pub(super) fn document<'a>(
    media: &'a HubMedia,
    names: &mut DocumentNames,
) -> Result<Media<'a>, Untranslatable> {
    let content = content(media, DOCUMENTS)?;
    let name = names.name(media.name.as_deref().unwrap_or_default());
    Ok(Media { name: Some(name), ..content })
}

fn content<'a>(media: &'a HubMedia, known: &[(&'static str, &str)]) -> Result<Media<'a>, Untranslatable> {
    let written = |format, bytes| Media { format, name: None, source: Source { bytes } };
    let refused = |why: &str| Untranslatable::unsupported(&*media.at, TARGET, why);
    match &media.source {
        HubSource::Inline { media_type, base64 } => {
            let format = format_of(media_type, known)
                .ok_or_else(|| refused(&format!("it takes nothing of the type `{media_type}` here")))?;
            let bytes = standard_base64(base64)
                .ok_or_else(|| Untranslatable::malformed(&*media.at, "is no base64"))?;
            Ok(written(format, bytes))
        }
        HubSource::Text(text) if text.is_empty() => Err(refused("a document that is empty is refused there")),
        HubSource::Text(text) => {
            let format =
                format_of("text/plain", known).ok_or_else(|| refused("it takes no text in this place"))?;
            Ok(written(format, Cow::Owned(BASE64_STANDARD.encode(text))))
        }
        HubSource::Url(_) => Err(refused("it follows no URLs; send the content")),
        HubSource::File(_) => {
            Err(refused("a file that is stored at one provider is not known to another; send its content"))
        }
    }
}

/// The names of a request's documents. The API takes few letters in them, and each name once.
#[derive(Default)]
pub(super) struct DocumentNames {
    given: HashSet<String>,
    count: usize,
}

impl DocumentNames {
    fn name(&mut self, wanted: &str) -> String {
        self.count += 1;
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-()[] ".contains(letter);
        let neutral: String = wanted
            .chars()
            .map(|letter| match letter {
                letter if letter.is_whitespace() => ' ',
                letter if fits(letter) => letter,
                _ => '-',
            })
            .take(LONGEST_NAME)
            .collect();
        let mut name = neutral.split_whitespace().collect::<Vec<_>>().join(" ");
        let says_something = name.contains(|letter: char| letter.is_ascii_alphanumeric());
        if !says_something || self.given.contains(&name) {
            name = format!("document-{}", self.count);
        }
        while !self.given.insert(name.clone()) {
            name.push('-');
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_names_that_the_api_takes_and_each_its_own() {
        let mut names = DocumentNames::default();
        let cases = [
            ("", "document-1"),
            ("a  report_1.pdf", "a report-1-pdf"),
            ("a report_1.pdf", "document-3"),
            ("é/..", "document-4"),
            ("document-6", "document-6"),
            ("", "document-6-"),
        ];
        for (wanted, want) in cases {
            assert_eq!(names.name(wanted), want, "{wanted}");
        }
    }
}
