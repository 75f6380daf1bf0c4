//! Google's Gemini API: generated content, embeddings, the free token count, models.
//!
//! The same bodies under two roots: the developer API (generativelanguage.googleapis.com) and Vertex
//! AI's projects (aiplatform.googleapis.com). The model and whether the answer is a stream stand in
//! the path; a stream is server-sent events with `alt=sse` and one JSON array without.

pub(crate) mod error;
mod hub;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod usage;

use std::time::Duration;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    codec::{Codec, Edits, ErrorFace, InputEstimate, LimitNames, LimitShown},
    fault::Fault,
    framing::Framing,
    head::{Head, Malformed},
    hub::{EmbeddingClient, EmbeddingUpstream, HubCodec},
    openai,
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// The API of generativelanguage.googleapis.com and of Vertex AI.
pub(crate) struct Gemini;

impl Codec for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
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
        query: Option<&str>,
        api_version: Option<&str>,
    ) -> String {
        request::path(operation, base_path, model, query, api_version)
    }

    fn forwards_header(&self, name: &str) -> bool {
        request::forwards_header(name)
    }

    fn reply(&self, operation: Operation, body: &[u8]) -> Reported {
        reply::read(operation, body)
    }

    fn framing(&self, content_type: Option<&[u8]>) -> Option<Framing> {
        reply::framing(content_type)
    }

    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader {
        StreamReader::new(Dialect::Gemini, operation, hide_usage, &error::RULES)
    }

    fn fault(&self, status: u16, body: &[u8]) -> Fault {
        error::RULES.of_answer(status, body)
    }

    fn wait(&self, body: &[u8]) -> Option<Duration> {
        error::wait(body)
    }

    fn client_framing(&self, operation: Operation, query: Option<&str>) -> Framing {
        request::client_framing(operation, query)
    }

    fn error_body(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        error::body(face)
    }

    fn error_event(&self, _operation: Operation, face: &ErrorFace<'_>) -> Vec<u8> {
        error::event(face)
    }

    /// None: Google's Python client takes a comment for a broken answer, and no event of this API is empty.
    fn heartbeat(&self) -> Option<&'static [u8]> {
        None
    }

    fn limit_names(&self) -> &'static LimitNames {
        // Google's own answers name no limits; these names are the most widely read.
        &openai::reply::LIMIT_NAMES
    }

    fn write_reset(&self, shown: &LimitShown, _now: UnixMillis, text: &mut Vec<u8>) {
        openai::reply::write_wait(shown.reset_after, text);
    }

    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
        reply::models(names, one)
    }

    fn hub(&self) -> Option<&'static dyn HubCodec> {
        Some(&hub::GenerateHub)
    }

    fn embedding_client(&self) -> Option<&'static dyn EmbeddingClient> {
        Some(&hub::GeminiEmbeddings)
    }

    fn embedding_upstream(&self) -> Option<&'static dyn EmbeddingUpstream> {
        Some(&hub::GeminiEmbeddings)
    }
}
