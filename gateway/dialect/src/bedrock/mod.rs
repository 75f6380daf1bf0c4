//! Amazon Bedrock's runtime API: Converse, InvokeModel, the free token count, models.
//!
//! Converse speaks to every model in one shape; InvokeModel takes and gives what the model's vendor
//! defined. The model and whether the answer is a stream stand in the path; a stream is AWS's event
//! stream.

pub(crate) mod error;
mod hub;
mod invoke;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod usage;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    codec::{Codec, Edits, ErrorFace, HeaderOf, InputEstimate, LimitNames, LimitShown},
    fault::Fault,
    framing::Framing,
    head::{Head, Malformed},
    hub::{EmbeddingUpstream, HubCodec},
    openai,
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// The API of bedrock-runtime.{region}.amazonaws.com.
pub(crate) struct Bedrock;

impl Codec for Bedrock {
    fn dialect(&self) -> Dialect {
        Dialect::Bedrock
    }

    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
        request::peek(operation, body)
    }

    fn estimate_input(&self, _operation: Operation, body: &[u8], _head: &Head) -> InputEstimate {
        request::estimate(body)
    }

    fn request_body(&self, operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
        request::edited(operation, head, body, edits)
    }

    fn upstream_path(
        &self,
        operation: Operation,
        base_path: &str,
        model: &UpstreamModel,
        _query: Option<&str>,
        _api_version: Option<&str>,
    ) -> String {
        request::path(operation, base_path, model)
    }

    fn forwards_header(&self, name: &str) -> bool {
        request::forwards_header(name)
    }

    fn reply(&self, operation: Operation, body: &[u8]) -> Reported {
        reply::read(operation, body, &|_| None)
    }

    fn reply_with(&self, operation: Operation, body: &[u8], header: &HeaderOf<'_>) -> Reported {
        reply::read(operation, body, header)
    }

    fn framing(&self, content_type: Option<&[u8]>) -> Option<Framing> {
        reply::framing(content_type)
    }

    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader {
        StreamReader::new(Dialect::Bedrock, operation, hide_usage, &error::RULES)
    }

    fn fault(&self, status: u16, body: &[u8]) -> Fault {
        error::of_answer(status, body, None)
    }

    fn fault_with(&self, status: u16, body: &[u8], header: &HeaderOf<'_>) -> Fault {
        error::of_answer(status, body, header(error::TYPE_HEADER))
    }

    /// No query tells: each operation has its own.
    fn client_framing(&self, operation: Operation, _query: Option<&str>) -> Framing {
        match operation {
            Operation::ConverseStream | Operation::InvokeModelStream => Framing::EventStream,
            _ => Framing::Events,
        }
    }

    fn error_body(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        error::body(face)
    }

    /// AWS refuses signatures with 403.
    fn refusal_status(&self, status: u16, code: &str) -> u16 {
        if matches!(code, "invalid_signature" | "unknown_access_key") { 403 } else { status }
    }

    fn error_header(&self, face: &ErrorFace<'_>) -> Option<(&'static str, &'static str)> {
        Some((error::TYPE_HEADER, error::name(face)))
    }

    fn error_event(&self, operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
        error::event(operation, face)
    }

    fn limit_names(&self) -> &'static LimitNames {
        // AWS's own answers name no limits; these names are the most widely read.
        &openai::reply::LIMIT_NAMES
    }

    fn write_reset(&self, shown: &LimitShown, _now: UnixMillis, text: &mut Vec<u8>) {
        openai::reply::write_wait(shown.reset_after, text);
    }

    /// Amazon lists its models at another origin than the one that runs them.
    fn lists_for_free(&self) -> bool {
        false
    }

    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
        reply::models(names, one)
    }

    fn hub(&self) -> Option<&'static dyn HubCodec> {
        Some(&hub::ConverseHub)
    }

    fn embedding_upstream(&self) -> Option<&'static dyn EmbeddingUpstream> {
        Some(&hub::InvokeEmbeddings)
    }
}
