//! Frames of Bedrock's event stream, as a reader by the book has them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html>

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The events of a stream: what each is called, and what it says.
pub(super) fn events(mut bytes: &[u8]) -> Result<Vec<(String, Value)>> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let number = |at: usize| {
            let number =
                bytes.get(at..at + 4).and_then(|number| number.try_into().ok()).map(u32::from_be_bytes);
            number.context("a frame is cut short")
        };
        let (total, headers) = (number(0)? as usize, number(4)? as usize);
        let frame = bytes.get(..total).context("a frame is cut short")?;
        ensure!(number(8)? == crc32fast::hash(&frame[..8]), "the sum of a frame's beginning is wrong");
        ensure!(number(total - 4)? == crc32fast::hash(&frame[..total - 4]), "the sum of a frame is wrong");
        let headers = frame.get(12..12 + headers).context("headers are cut short")?;
        let payload = &frame[12 + headers.len()..total - 4];
        let payload = serde_json::from_slice(payload).context("a frame holds no JSON")?;
        events.push((kind(headers).unwrap_or_default(), payload));
        bytes = &bytes[total..];
    }
    Ok(events)
}

/// The name of the event, or of the exception.
fn kind(mut headers: &[u8]) -> Option<String> {
    while let [length, rest @ ..] = headers {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        // All headers in use are texts.
        let rest = rest.strip_prefix(&[7])?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if matches!(name, b":event-type" | b":exception-type") {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
        headers = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_simulator::event_stream::event;

    use super::*;

    #[test]
    fn what_is_framed_is_read_again_and_what_is_altered_is_not() {
        let mut stream = event("messageStart", r#"{"role":"assistant"}"#);
        stream.extend(event("messageStop", r#"{"stopReason":"end_turn"}"#));
        let read = events(&stream).expect("a good stream");
        assert_eq!(read[0], ("messageStart".to_owned(), json!({"role": "assistant"})));
        assert_eq!(read[1].0, "messageStop");
        assert!(events(&stream[..stream.len() - 1]).is_err());
        let middle = stream.len() / 2;
        stream[middle] ^= 1;
        assert!(events(&stream).is_err());
    }
}
