//! How many tokens a request's input may be, from its bytes alone.
//!
//! Text counts a third of its bytes, JSON around it included, which holds for the languages and
//! code that the tests name. Inline media count by kind, since their base64 is not read as text.
//! What stands elsewhere (URLs, file ids, results of server-side tools) cannot be known: the
//! estimate then says that it is a lower bound.

use crate::{
    codec::InputEstimate,
    walk::{Found, Value, Walk},
};

/// What the wider models charge for a picture in full resolution, and the least for other media.
const IMAGE_TOKENS: u64 = 5_000;
/// Base64 bytes of a PDF per token: dense text compresses to about four bytes a word.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 4;
/// Base64 bytes of sound per token, at the lowest bit rates in use.
const AUDIO_BYTES_PER_TOKEN: u64 = 64;
/// Reply priming, and the hidden instructions that come with tools.
const OVERHEAD_TOKENS: u64 = 16;

/// Walks the body once.
pub(crate) fn of_body(body: &[u8]) -> InputEstimate {
    let (mut media_bytes, mut media_tokens, mut elsewhere) = (0_u64, 0_u64, false);
    for found in Walk::new(body) {
        let Value::Text(text) = found.value else { continue };
        if let Some(tokens) = media(&found, text) {
            media_bytes += text.len() as u64;
            media_tokens += tokens;
        }
        elsewhere |= is_elsewhere(found.name, text);
    }
    let text_bytes = (body.len() as u64).saturating_sub(media_bytes);
    InputEstimate { tokens: text_bytes.div_ceil(3) + media_tokens + OVERHEAD_TOKENS, lower_bound: elsewhere }
}

/// The tokens of inline media, or nothing for text. Media show themselves twice, by the member
/// they stand in and by how they begin, so that a long text cannot pass for a picture.
fn media(found: &Found<'_>, text: &[u8]) -> Option<u64> {
    if !matches!(found.name, b"data" | b"file_data" | b"url" | b"image_url") {
        return None;
    }
    let starts = |marks: &[&[u8]]| marks.iter().any(|mark| text.starts_with(mark));
    let length = text.len() as u64;
    // The beginnings of base64 are those of RIFF (wav, webp), ID3 and MPEG frames (mp3), OggS and
    // fLaC; of `%PDF`; of PNG, JPEG (also with an escaped slash) and GIF.
    if starts(&[b"data:audio/", b"UklGR", b"SUQz", b"//", b"T2dnUw", b"ZkxhQw"]) {
        Some(length.div_ceil(AUDIO_BYTES_PER_TOKEN).max(IMAGE_TOKENS))
    } else if starts(&[b"data:application/pdf", b"JVBER"]) {
        Some((length / DOCUMENT_BYTES_PER_TOKEN).max(IMAGE_TOKENS))
    } else if starts(&[b"data:image/", b"iVBOR", b"/9j/", b"\\/9j", b"R0lGOD"]) {
        Some(IMAGE_TOKENS)
    } else {
        None
    }
}

fn is_elsewhere(name: &[u8], text: &[u8]) -> bool {
    match name {
        b"url" | b"image_url" | b"file_url" => text.starts_with(b"http"),
        b"file_id" => true,
        b"type" => [&b"web_search"[..], b"web_fetch", b"file_search", b"mcp", b"item_reference", b"code_"]
            .iter()
            .any(|kind| text.starts_with(kind)),
        _ => false,
    }
}
