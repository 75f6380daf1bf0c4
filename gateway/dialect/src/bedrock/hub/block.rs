//! Blocks of content as they are written: each an object whose only member is named after its kind.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::hub::Sealed;

use super::{media::Media, seal};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(&'a str),
    Image(Media<'a>),
    Document(Media<'a>),
    Audio(Media<'a>),
    ToolUse(Call<'a>),
    ToolResult(Outcome<'a>),
    ReasoningContent(Value),
    CachePoint(CachePoint),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) name: &'a str,
    pub(super) input: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) content: Vec<Block<'a>>,
    /// Success is the usual, which not every model can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
}

/// Everything before it may be cached.
#[derive(Clone, Copy, Serialize)]
pub(super) struct CachePoint {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl CachePoint {
    /// For so many seconds; five minutes are the usual.
    pub(super) fn of(seconds: Option<u32>) -> Self {
        Self { r#type: "default", ttl: (seconds == Some(3_600)).then_some("1h") }
    }
}

impl Block<'_> {
    /// Reasoning, with its proof as the reader of it keeps it.
    pub(super) fn reasoning(text: &str, signature: Option<String>) -> Self {
        let mut said = json!({"text": text});
        if let Some(signature) = signature {
            said["signature"] = json!(signature);
        }
        Self::ReasoningContent(json!({"reasoningText": said}))
    }

    /// Reasoning that only its vendor can read.
    pub(super) fn redacted(sealed: &Sealed) -> Self {
        Self::ReasoningContent(json!({"redactedContent": seal::blob(sealed)}))
    }
}
