//! The OpenAI wire family: chat completions, responses, embeddings, images, sound, models.
//!
//! Also the dialect of the many servers that follow it; their quirks are handled where they show
//! (usage, faults, streams). Azure's folder delegates here.

pub(crate) mod chat_stream;
pub(crate) mod error;
pub(crate) mod form_head;
pub(crate) mod hub;
pub(crate) mod media;
pub(crate) mod media_stream;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod response_stream;
pub(crate) mod usage;
mod usual;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    codec::{Codec, Edits, ErrorFace, InputEstimate, LimitNames, LimitShown},
    fault::Fault,
    head::{Head, Malformed},
    hub::{EmbeddingClient, EmbeddingUpstream, HubCodec},
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// The API of api.openai.com.
pub(crate) struct OpenAi;

impl Codec for OpenAi {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAi
    }

    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
        request::peek(operation, body)
    }

    fn estimate_input(&self, _operation: Operation, body: &[u8], head: &Head) -> InputEstimate {
        request::estimate(body, head)
    }

    fn request_body(&self, operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
        request::edited(operation, head, body, edits)
    }

    fn upstream_path(
        &self,
        operation: Operation,
        base_path: &str,
        model: &UpstreamModel,
        query: Option<&str>,
        _api_version: Option<&str>,
    ) -> String {
        request::path(operation, base_path, model, query)
    }

    fn forwards_header(&self, name: &str) -> bool {
        request::forwards_header(name)
    }

    fn reply(&self, operation: Operation, body: &[u8]) -> Reported {
        reply::read(operation, body, &error::RULES)
    }

    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader {
        StreamReader::new(Dialect::OpenAi, operation, hide_usage, &error::RULES)
    }

    fn fault(&self, status: u16, body: &[u8]) -> Fault {
        error::RULES.of_answer(status, body)
    }

    fn error_body(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        error::body(face)
    }

    fn error_event(&self, operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
        error::event(operation, face)
    }

    fn heartbeat(&self) -> Option<&'static [u8]> {
        Some(reply::HEARTBEAT)
    }

    fn limit_names(&self) -> &'static LimitNames {
        &reply::LIMIT_NAMES
    }

    fn write_reset(&self, shown: &LimitShown, _now: UnixMillis, text: &mut Vec<u8>) {
        reply::write_wait(shown.reset_after, text);
    }

    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
        reply::models(names, one)
    }

    fn hub(&self) -> Option<&'static dyn HubCodec> {
        Some(&hub::ChatHub)
    }

    fn embedding_client(&self) -> Option<&'static dyn EmbeddingClient> {
        Some(&hub::OpenAiEmbeddings)
    }

    fn embedding_upstream(&self) -> Option<&'static dyn EmbeddingUpstream> {
        Some(&hub::OpenAiEmbeddings)
    }

    fn hub_of(&self, operation: Operation) -> Option<&'static dyn HubCodec> {
        hub::of(operation)
    }
}
