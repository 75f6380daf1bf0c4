//! Floor 2: wire formats of model providers as pure functions over bytes.
//!
//! Nothing here does I/O, awaits, reads a clock or a configuration. A request travels through the
//! modules in this order: [`path`](recognise) tells which API it is, [`Codec::peek`] reads its
//! [`Head`], [`Codec::request_body`] splices the few edits in; the answer is read by
//! [`Codec::reply`] or, event by event, by [`Frames`] and [`StreamReader`].

mod wire;

mod path;

mod form;
mod head;
mod peek;
mod splice;

mod codec;
mod estimate;
mod fault;
mod framing;
mod hub;

mod anthropic;
mod azure_openai;
mod bedrock;
mod cohere;
mod gemini;
mod openai;

mod event_stream;
mod json_array;
mod output;
mod pending;
mod places;
mod prefix;
mod reader;
mod reported;
mod spent;
mod sse;
mod tokenizer;
mod walk;

pub use codec::{Codec, Edits, ErrorFace, HeaderOf, InputEstimate, LimitNames, LimitShown, write_count};
pub use estimate::count_input;
pub use event_stream::MessageSplitter;
pub use fault::{Fault, error_message, error_message_of_event};
pub use framing::{Frames, Framing};
pub use head::{Form, Head, Malformed, Member};
pub use hub::{
    EmbeddingClient, EmbeddingTranslation, EmbeddingUpstream, Given, HubAsk, HubBlock, HubBody, HubChoice,
    HubCodec, HubEffort, HubEmbedded, HubEmbedding, HubEmbeddingTold, HubEncoding, HubEvent, HubEventReader,
    HubEventWriter, HubFormat, HubMedia, HubPurpose, HubReply, HubRequest, HubRole, HubSource, HubStop,
    HubThinking, HubTold, HubTool, HubTurn, NameRule, Sealed, StreamTranslation, Translation, Untranslatable,
};
pub use json_array::ElementSplitter;
pub use openai::{form_head::peek_form, media::spoken_tokens};
pub use path::{Call, Recognised, path_template, recognise};
pub use places::{Area, Told, same_place, told_by_address, told_by_model};
pub use prefix::{Prefix, prompt_prefix};
pub use reader::{Seen, SeenKind, StreamReader};
pub use reported::{Beside, ReportFlags, Reported};
pub use sse::{MAX_EVENT, Splitter};
pub use tokenizer::{count, warm};
pub use wire::{Apis, Dialect, Family, Operation};
