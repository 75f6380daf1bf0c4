//! How many tokens a request's input may be, from its bytes alone.
//!
//! Text counts a third of its bytes, JSON around it included, or, where that is more, each
//! punctuation mark and a quarter of the rest: dense code has many tokens in few bytes. Inline media count by kind, since their base64 is not read as text.
//! What stands elsewhere (URLs, file ids, results of server-side tools) cannot be known: the
//! estimate then says that it is a lower bound.

use crate::{
    codec::InputEstimate,
    tokenizer,
    walk::{Found, Value, Walk, text_of},
};

/// What the wider models charge for a picture in full resolution, and the least for other media.
pub(crate) const IMAGE_TOKENS: u64 = 5_000;
/// Base64 bytes of a PDF per token: dense text compresses to about four bytes a word.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 4;
/// Base64 bytes of sound or moving pictures per token, at the lowest bit rates in use.
const AUDIO_BYTES_PER_TOKEN: u64 = 64;
/// Reply priming, and the hidden instructions that come with tools.
pub(crate) const OVERHEAD_TOKENS: u64 = 16;

/// Walks the body once.
pub(crate) fn of_body(body: &[u8]) -> InputEstimate {
    let (mut media_bytes, mut media_tokens, mut marks, mut elsewhere) = (0_u64, 0_u64, 0_u64, false);
    for found in Walk::new(body) {
        let Value::Text(text) = found.value else { continue };
        if let Some(tokens) = media(&found, text) {
            media_bytes += text.len() as u64;
            media_tokens += tokens;
        } else {
            marks += punctuation(text);
        }
        elsewhere |= is_elsewhere(found.name, text);
    }
    let text_bytes = (body.len() as u64).saturating_sub(media_bytes);
    let text_tokens = text_bytes.div_ceil(3).max(marks + (text_bytes - marks).div_ceil(4));
    InputEstimate { tokens: text_tokens + media_tokens + OVERHEAD_TOKENS, lower_bound: elsewhere }
}

/// Tokens of a request's text by the tokenizer, media by kind as in the estimate. Dearer than the
/// estimate: only for calls whose provider never stated its figures.
#[must_use]
pub fn count_input(body: &[u8]) -> u64 {
    let tokens = Walk::new(body).filter_map(|found| match found.value {
        Value::Text(text) => Some(media(&found, text).unwrap_or_else(|| tokenizer::count(&text_of(text)))),
        _ => None,
    });
    tokens.sum::<u64>() + OVERHEAD_TOKENS
}

/// Punctuation marks, summed in bytes so that the compiler makes vectors of it.
fn punctuation(text: &[u8]) -> u64 {
    // Three comparisons, where the ranges of punctuation itself would take four.
    let is_mark = |byte: &u8| byte.is_ascii_graphic() & !byte.is_ascii_alphanumeric();
    let in_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(is_mark(byte))).sum::<u8>();
    text.chunks(128).map(|chunk| u64::from(in_chunk(chunk))).sum()
}

/// The tokens of inline media, or nothing for text. Media show themselves twice, by the member
/// they stand in and by how they begin, so that a long text cannot pass for a picture.
fn media(found: &Found<'_>, text: &[u8]) -> Option<u64> {
    if !matches!(found.name, b"data" | b"file_data" | b"url" | b"image_url" | b"bytes") {
        return None;
    }
    let starts = |marks: &[&[u8]]| marks.iter().any(|mark| text.starts_with(mark));
    let length = text.len() as u64;
    // The beginnings of base64 are those of RIFF (wav, webp), ID3 and MPEG frames (mp3), OggS and
    // fLaC, and of WebM; of `%PDF`; of PNG, JPEG (also with an escaped slash) and GIF.
    let sounds: [&[u8]; 7] = [b"data:audio/", b"UklGR", b"SUQz", b"//", b"T2dnUw", b"ZkxhQw", b"GkXf"];
    if starts(&sounds) || is_mp4(text) {
        Some(length.div_ceil(AUDIO_BYTES_PER_TOKEN).max(IMAGE_TOKENS))
    } else if starts(&[b"data:application/pdf", b"JVBER"]) {
        Some((length / DOCUMENT_BYTES_PER_TOKEN).max(IMAGE_TOKENS))
    } else if starts(&[b"data:image/", b"iVBOR", b"/9j/", b"\\/9j", b"R0lGOD"]) {
        Some(IMAGE_TOKENS)
    } else {
        None
    }
}

/// The base64 of a box that is called `ftyp` and whose length, as is usual, is a multiple of four.
fn is_mp4(text: &[u8]) -> bool {
    text.starts_with(b"AAAA") && text.get(5..).is_some_and(|behind| behind.starts_with(b"GZ0eXB"))
}

fn is_elsewhere(name: &[u8], text: &[u8]) -> bool {
    match name {
        b"url" | b"image_url" | b"file_url" => text.starts_with(b"http"),
        b"file_id" => true,
        b"type" => [
            &b"web_search"[..],
            b"web_fetch",
            b"advisor",
            b"file_search",
            b"mcp",
            b"item_reference",
            b"code_",
        ]
        .iter()
        .any(|kind| text.starts_with(kind)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tokenizer::count;

    #[test]
    fn text_of_many_kinds_stays_under_the_estimate() {
        let texts = [
            "The quick brown fox jumps over the lazy dog, and then it does it again.",
            "Übergrößenträger fahren über Straßen, während Zuschauer staunen.",
            "Съешь же ещё этих мягких французских булок, да выпей чаю.",
            "我能吞下玻璃而不伤身体。今天天气很好，我们去公园散步吧。",
            "fn main() { let x: Vec<u8> = vec![1, 2, 3]; println!(\"{:?}\", x); }",
            "SELECT id, name FROM users WHERE age > 21 AND city = 'Berlin' ORDER BY 2;",
        ];
        for text in texts {
            for text in [text.to_owned(), text.repeat(50)] {
                let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
                let estimate = of_body(body.as_bytes());
                assert!(!estimate.lower_bound);
                assert!(estimate.tokens >= count(&text) + 8, "{estimate:?} for {}", count(&text));
            }
        }
    }

    #[test]
    fn inline_media_count_by_kind_and_not_by_their_bytes() {
        let base64 = "A".repeat(1_000_000);
        let estimate =
            |part: serde_json::Value| of_body(json!({"messages": [part]}).to_string().as_bytes()).tokens;
        let image = estimate(json!({"image_url": {"url": format!("data:image/png;base64,{base64}")}}));
        assert!((IMAGE_TOKENS..IMAGE_TOKENS + 100).contains(&image), "{image}");
        let pdf = estimate(json!({"source": {"type": "base64", "data": format!("JVBER{base64}")}}));
        assert!(pdf >= 250_000, "{pdf}");
        let film = estimate(json!({"source": {"bytes": format!("AAAAIGZ0eXBpc29t{base64}")}}));
        assert!((IMAGE_TOKENS..100_000).contains(&film), "{film}");
        let text = estimate(json!({"source": {"type": "text", "data": base64}}));
        assert!(text >= 333_333, "a long text must not pass for a picture: {text}");
        let quoted = estimate(json!({"text": format!("data:image/png;base64,{base64}")}));
        assert!(quoted >= 333_333, "{quoted}");
    }

    #[test]
    fn what_stands_elsewhere_makes_a_lower_bound() {
        let cases = [
            (json!({"image_url": {"url": "https://example.com/a.png"}}), true),
            (json!({"file_id": "file-1"}), true),
            (json!({"tools": [{"type": "web_search_20250305"}]}), true),
            (json!({"content": "https://example.com"}), false),
        ];
        for (body, want) in cases {
            assert_eq!(of_body(body.to_string().as_bytes()).lower_bound, want, "{body}");
        }
    }
}
