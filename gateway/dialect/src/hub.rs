//! The hub form: what translation between wire families passes through.
//!
//! Only the shape, so that the trait's faces are settled; no dialect reads or writes it yet. It
//! names what the families have in common and keeps the rest as [`HubBlock::Opaque`], so that a
//! writer can refuse what it cannot carry instead of dropping it.

use serde_json::Value;
use tollgate_domain::Usage;

use crate::wire::{Dialect, Operation};

/// A request for one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HubRequest {
    /// The model asked for.
    pub model: String,
    /// Instructions that stand above the conversation.
    pub system: Vec<HubBlock>,
    /// The conversation, oldest first.
    pub messages: Vec<HubMessage>,
    /// The tools the model may call.
    pub tools: Vec<HubTool>,
    /// The output cap in tokens.
    pub output_cap: Option<u64>,
    /// The answer is asked for as a stream.
    pub stream: bool,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct HubMessage {
    /// Whose turn it is.
    pub role: HubRole,
    /// What it says.
    pub blocks: Vec<HubBlock>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HubRole {
    /// Instructions in mid-conversation.
    System,
    /// The client's side, tool results included.
    User,
    /// The model.
    Assistant,
}

/// A piece of content.
#[derive(Clone, Debug, PartialEq)]
pub enum HubBlock {
    /// Plain text.
    Text(String),
    /// A picture.
    Image(HubSource),
    /// A document, such as a PDF.
    Document(HubSource),
    /// Sound.
    Audio(HubSource),
    /// The model calls a tool; `input` is JSON as the model wrote it, perhaps invalid.
    ToolUse {
        /// The call's id, which its result names.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments.
        input: String,
    },
    /// What a tool gave.
    ToolResult {
        /// The id of the call.
        id: String,
        /// The result.
        blocks: Vec<HubBlock>,
        /// The tool failed.
        is_error: bool,
    },
    /// The model's reasoning, with the provider's proof that it is unaltered.
    Reasoning {
        /// The visible text.
        text: String,
        /// The signature or encrypted form.
        proof: Option<String>,
    },
    /// The model declines.
    Refusal(String),
    /// Everything before this may be cached, so many seconds where the client says.
    CacheMark(Option<u32>),
    /// Something only `dialect` knows, kept as it came.
    Opaque {
        /// Whose it is.
        dialect: Dialect,
        /// The block itself.
        value: Value,
    },
}

/// Where the bytes of a picture, document or sound are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HubSource {
    /// In the request, as base64 text.
    Inline {
        /// The media type.
        media_type: String,
        /// The base64 text.
        base64: String,
    },
    /// At a URL.
    Url(String),
    /// At the provider, by its id.
    File(String),
}

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct HubTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub schema: Value,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct HubReply {
    /// The model that answered.
    pub model: String,
    /// What it says.
    pub blocks: Vec<HubBlock>,
    /// Why it ended.
    pub stop: HubStop,
    /// What it consumed.
    pub usage: Option<Usage>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HubStop {
    /// The model was done.
    End,
    /// The output cap or the context was reached.
    Length,
    /// A stop sequence appeared.
    Sequence,
    /// A tool is to be called.
    ToolUse,
    /// A content policy stepped in.
    Filter,
}

/// A step of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum HubEvent {
    /// The answer begins.
    Start {
        /// The model that answers.
        model: String,
    },
    /// A block begins, in its empty form.
    BlockStart {
        /// Its place in the answer.
        index: usize,
        /// Its kind.
        block: HubBlock,
    },
    /// More text of a block: visible text, arguments or reasoning by the block's kind.
    BlockDelta {
        /// Its place in the answer.
        index: usize,
        /// The fragment.
        text: String,
    },
    /// A block is whole.
    BlockStop {
        /// Its place in the answer.
        index: usize,
    },
    /// The answer is whole.
    Stop {
        /// Why it ended.
        stop: HubStop,
        /// What it consumed.
        usage: Option<Usage>,
    },
}

/// Something that cannot be carried into another family.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{dialect} cannot be translated: {what}", dialect = .dialect.as_str())]
pub struct Untranslatable {
    /// The dialect that was to be read or written.
    pub dialect: Dialect,
    /// The operation or member at fault.
    pub what: String,
}

impl Untranslatable {
    /// The whole operation has no translation.
    #[must_use]
    pub fn operation(dialect: Dialect, operation: Operation) -> Self {
        Self { dialect, what: format!("{} has no translation", operation.as_str()) }
    }
}
