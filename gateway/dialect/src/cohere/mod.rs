//! Cohere's own API, version 2: embeddings and reranks.
//!
//! Its chat is not served; its models converse through servers of OpenAI's family and through Bedrock. A
//! rerank has the shape in which servers of OpenAI's family have taken it over, so that the bytes pass
//! between the two.

mod error;
pub(crate) mod hub;
mod reply;
mod request;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    codec::{Codec, Edits, ErrorFace, InputEstimate, LimitNames, LimitShown},
    fault::Fault,
    head::{Head, Malformed},
    hub::{EmbeddingClient, EmbeddingUpstream},
    openai,
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// The API of api.cohere.com.
pub(crate) struct Cohere;

impl Codec for Cohere {
    fn dialect(&self) -> Dialect {
        Dialect::Cohere
    }

    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
        request::peek(operation, body)
    }

    fn estimate_input(&self, _operation: Operation, body: &[u8], head: &Head) -> InputEstimate {
        openai::request::estimate(body, head)
    }

    fn request_body(&self, operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
        openai::request::edited(operation, head, body, edits)
    }

    fn upstream_path(
        &self,
        operation: Operation,
        base_path: &str,
        _model: &UpstreamModel,
        query: Option<&str>,
        _api_version: Option<&str>,
    ) -> String {
        request::path(operation, base_path, query)
    }

    fn forwards_header(&self, name: &str) -> bool {
        request::forwards_header(name)
    }

    fn reply(&self, operation: Operation, body: &[u8]) -> Reported {
        reply::read(operation, body, &error::RULES)
    }

    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader {
        StreamReader::new(Dialect::Cohere, operation, hide_usage, &error::RULES)
    }

    fn fault(&self, status: u16, body: &[u8]) -> Fault {
        error::RULES.of_answer(status, body)
    }

    fn error_body(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        error::body(face)
    }

    fn error_event(&self, _operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
        error::event(face)
    }

    fn limit_names(&self) -> &'static LimitNames {
        // The API's own answers name none of ours; these names are the most widely read.
        &openai::reply::LIMIT_NAMES
    }

    fn write_reset(&self, shown: &LimitShown, _now: UnixMillis, text: &mut Vec<u8>) {
        openai::reply::write_wait(shown.reset_after, text);
    }

    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
        reply::models(names, one)
    }

    fn embedding_client(&self) -> Option<&'static dyn EmbeddingClient> {
        Some(&hub::CohereEmbeddings)
    }

    fn embedding_upstream(&self) -> Option<&'static dyn EmbeddingUpstream> {
        Some(&hub::CohereEmbeddings)
    }
}
