//! AWS event streams as tests write them, by code of their own.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// A message with headers of text.
pub(crate) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(name.len() as u8);
        block.extend_from_slice(name.as_bytes());
        block.push(7);
        block.extend_from_slice(&(value.len() as u16).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let mut message = Vec::new();
    let checksum = |message: &mut Vec<u8>| {
        let sum = crc32fast::hash(message);
        message.extend_from_slice(&sum.to_be_bytes());
    };
    message.extend_from_slice(&((16 + block.len() + payload.len()) as u32).to_be_bytes());
    message.extend_from_slice(&(block.len() as u32).to_be_bytes());
    checksum(&mut message);
    message.extend_from_slice(&block);
    message.extend_from_slice(payload);
    checksum(&mut message);
    message
}

/// The message of one line: `{"event": NAME, "payload": …}`, `{"exception": NAME, "payload": …}`, or
/// `{"chunk": …}` with a vendor's own event.
pub(crate) fn written(line: &Value) -> Vec<u8> {
    let headers =
        |name, value, kind| [(name, value), (":content-type", "application/json"), (":message-type", kind)];
    let payload = line["payload"].to_string();
    if let Some(name) = line["event"].as_str() {
        return message(&headers(":event-type", name, "event"), payload.as_bytes());
    }
    if let Some(name) = line["exception"].as_str() {
        return message(&headers(":exception-type", name, "exception"), payload.as_bytes());
    }
    let chunk = json!({"bytes": BASE64_STANDARD.encode(line["chunk"].to_string()), "p": "abcdef"});
    message(&headers(":event-type", "chunk", "event"), chunk.to_string().as_bytes())
}
