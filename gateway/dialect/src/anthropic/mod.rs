//! Anthropic's Messages API: messages, the free token count, models.

pub(crate) mod error;
pub(crate) mod hub;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod usage;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    codec::{Codec, Edits, ErrorFace, InputEstimate, LimitNames, LimitShown},
    fault::Fault,
    head::{Head, Malformed},
    hub::HubCodec,
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// The API of api.anthropic.com.
pub(crate) struct Anthropic;

impl Codec for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
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
        _api_version: Option<&str>,
    ) -> String {
        request::path(operation, base_path, model, query)
    }

    fn forwards_header(&self, name: &str) -> bool {
        request::forwards_header(name)
    }

    fn reply(&self, operation: Operation, body: &[u8]) -> Reported {
        reply::read(operation, body)
    }

    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader {
        StreamReader::new(Dialect::Anthropic, operation, hide_usage, &error::RULES)
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

    fn heartbeat(&self) -> Option<&'static [u8]> {
        Some(reply::HEARTBEAT)
    }

    fn limit_names(&self) -> &'static LimitNames {
        &reply::LIMIT_NAMES
    }

    fn write_reset(&self, shown: &LimitShown, now: UnixMillis, text: &mut Vec<u8>) {
        reply::write_instant(shown, now, text);
    }

    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
        reply::models(names, one)
    }

    fn hub(&self) -> Option<&'static dyn HubCodec> {
        Some(&hub::MessagesHub)
    }
}
