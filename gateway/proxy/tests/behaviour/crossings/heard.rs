//! What a client has heard, and the frames that it heard it in: read by code that shares nothing with the
//! gateway's.

use serde_json::Value;

use crate::harness::Answer;

/// The visible text of an answer and the tokens that it tells.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) input: u64,
    pub(super) output: u64,
}

/// Where an event has its figures, and by which names.
#[derive(Clone, Copy)]
pub(super) struct Usage {
    pub(super) at: &'static str,
    pub(super) input: &'static str,
    pub(super) output: &'static str,
}

impl Heard {
    /// Adds the text that stands at a place, if there is one.
    pub(super) fn says(&mut self, event: &Value, at: &str) {
        self.text.push_str(event.pointer(at).and_then(Value::as_str).unwrap_or_default());
    }

    /// Takes the figures, which must be there.
    pub(super) fn counts(&mut self, event: &Value, usage: Usage) -> Result<(), String> {
        let told = event.pointer(usage.at).ok_or("no usage")?;
        self.input = told[usage.input].as_u64().ok_or("no count of input")?;
        self.output = told[usage.output].as_u64().ok_or("no count of output")?;
        Ok(())
    }

    /// Takes such figures as there are.
    pub(super) fn counts_if_told(&mut self, event: &Value, usage: Usage) -> Result<(), String> {
        let Some(told) = event.pointer(usage.at).filter(|told| !told.is_null()) else { return Ok(()) };
        let count = |name: &str, known| match &told[name] {
            Value::Null => Ok(known),
            number => number.as_u64().ok_or_else(|| format!("{name} is no count")),
        };
        self.input = count(usage.input, self.input)?;
        self.output = count(usage.output, self.output)?;
        Ok(())
    }
}

/// The events of a stream of text, each with its name, empty where it has none. `[DONE]` is null.
pub(super) fn sse(answer: &Answer) -> Result<Vec<(String, Value)>, String> {
    if !answer.header("content-type").starts_with("text/event-stream") {
        return Err(format!("a stream of {}", answer.header("content-type")));
    }
    let text = answer.text().replace("\r\n", "\n");
    let whole = text.strip_suffix("\n\n").ok_or("an event without its end")?;
    whole.split("\n\n").map(event).collect()
}

fn event(block: &str) -> Result<(String, Value), String> {
    let (mut name, mut data) = (String::new(), None);
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut name),
            Some(("data", "[DONE]")) => data = Some(Value::Null),
            Some(("data", value)) if data.is_none() => {
                data = Some(serde_json::from_str(value).map_err(|error| format!("{error}: {value}"))?);
            }
            _ => return Err(format!("a line that is none: {line}")),
        }
    }
    Ok((name, data.ok_or("an event without data")?))
}

/// The messages of an AWS event stream, each with the name of its event. An exception is an error.
pub(super) fn messages(mut bytes: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
        let (total, headers) = length(0).zip(length(4)).ok_or("a torn prelude")?;
        let (message, rest) = bytes.split_at_checked(total).ok_or("a torn message")?;
        let (block, payload) = message
            .get(12..total.saturating_sub(4))
            .and_then(|inner| inner.split_at_checked(headers))
            .ok_or("lengths that do not fit")?;
        let checksum = crc32fast::hash(&message[..total - 4]);
        if message[total - 4..] != checksum.to_be_bytes() {
            return Err("a wrong checksum".into());
        }
        let name = header(block, ":event-type").ok_or("a message that is no event")?;
        found.push((name, serde_json::from_slice(payload).map_err(|error| error.to_string())?));
        bytes = rest;
    }
    Ok(found)
}

/// The text of a header; all of them are texts.
fn header(mut block: &[u8], wanted: &str) -> Option<String> {
    while let Some((&length, rest)) = block.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&[7, high, low], rest) = rest.split_first_chunk()? else { return None };
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        if name == wanted.as_bytes() {
            return String::from_utf8(value.to_vec()).ok();
        }
        block = rest;
    }
    None
}
