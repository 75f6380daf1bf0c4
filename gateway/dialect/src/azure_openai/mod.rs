//! Azure OpenAI: OpenAI's bodies under Azure's paths, with Azure's own fault codes.

pub(crate) mod error;
pub(crate) mod request;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    codec::{Codec, Edits, ErrorFace, InputEstimate, LimitNames, LimitShown},
    fault::Fault,
    head::{Head, Malformed},
    hub::{EmbeddingClient, EmbeddingUpstream, HubCodec},
    openai,
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// The API of `{resource}.openai.azure.com`.
pub(crate) struct AzureOpenAi;

impl Codec for AzureOpenAi {
    fn dialect(&self) -> Dialect {
        Dialect::AzureOpenAi
    }

    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
        openai::request::peek(operation, body)
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
        model: &UpstreamModel,
        query: Option<&str>,
        api_version: Option<&str>,
    ) -> String {
        request::path(operation, base_path, model, query, api_version)
    }

    fn forwards_header(&self, name: &str) -> bool {
        openai::request::forwards_header(name)
    }

    fn reply(&self, operation: Operation, body: &[u8]) -> Reported {
        openai::reply::read(operation, body, &error::RULES)
    }

    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader {
        StreamReader::new(Dialect::AzureOpenAi, operation, hide_usage, &error::RULES)
    }

    fn fault(&self, status: u16, body: &[u8]) -> Fault {
        error::RULES.of_answer(status, body)
    }

    fn error_body(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        openai::error::body(face)
    }

    fn error_event(&self, operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
        openai::error::event(operation, face)
    }

    fn heartbeat(&self) -> Option<&'static [u8]> {
        Some(openai::reply::HEARTBEAT)
    }

    fn limit_names(&self) -> &'static LimitNames {
        &openai::reply::LIMIT_NAMES
    }

    fn write_reset(&self, shown: &LimitShown, _now: UnixMillis, text: &mut Vec<u8>) {
        openai::reply::write_wait(shown.reset_after, text);
    }

    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
        openai::reply::models(names, one)
    }

    fn hub(&self) -> Option<&'static dyn HubCodec> {
        openai::OpenAi.hub()
    }

    fn hub_of(&self, operation: Operation) -> Option<&'static dyn HubCodec> {
        openai::OpenAi.hub_of(operation)
    }

    fn embedding_client(&self) -> Option<&'static dyn EmbeddingClient> {
        openai::OpenAi.embedding_client()
    }

    fn embedding_upstream(&self) -> Option<&'static dyn EmbeddingUpstream> {
        openai::OpenAi.embedding_upstream()
    }
}
