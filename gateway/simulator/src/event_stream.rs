//! Messages of AWS event streams, as a provider writes them: by code that shares nothing with the
//! gateway's, so that one checks the other.
//!
//! Format: <https://smithy.io/2.0/aws/amazon-eventstream.html>

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// An event with JSON in it.
pub fn event(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    message(&headers, payload.as_bytes())
}

/// An exception with JSON in it.
pub fn exception(name: &str, payload: &str) -> Vec<u8> {
    let headers =
        [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
    message(&headers, payload.as_bytes())
}

/// A chunk that holds an event in the words of a model's vendor.
pub fn chunk(inner: &str) -> Vec<u8> {
    event("chunk", &format!("{{\"bytes\":\"{}\",\"p\":\"abcdef\"}}", BASE64_STANDARD.encode(inner)))
}

/// A message with headers of text, which must be short.
pub fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(name.len() as u8);
        block.extend_from_slice(name.as_bytes());
        // The type of text.
        block.push(7);
        block.extend_from_slice(&(value.len() as u16).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = 4 + 4 + 4 + block.len() + payload.len() + 4;
    let mut message = Vec::with_capacity(total);
    message.extend_from_slice(&(total as u32).to_be_bytes());
    message.extend_from_slice(&(block.len() as u32).to_be_bytes());
    seal(&mut message);
    message.extend_from_slice(&block);
    message.extend_from_slice(payload);
    seal(&mut message);
    message
}

/// Adds the checksum of all that is there.
fn seal(message: &mut Vec<u8>) {
    let checksum = crc32fast::hash(message);
    message.extend_from_slice(&checksum.to_be_bytes());
}
