//! Generated content through the hub form.

mod embeddings;
mod read_config;
mod read_events;
mod read_parts;
mod read_request;
mod reply;
mod schema;
mod seal;
mod thinking;
mod write_contents;
mod write_events;
mod write_request;

use crate::{
    hub::{
        HubAsk, HubBody, HubCodec, HubEventReader, HubEventWriter, HubReply, HubRequest, HubStop, HubTold,
        NameRule, Untranslatable,
    },
    wire::Operation,
};

pub(crate) use embeddings::GeminiEmbeddings;

/// The hub faces of the dialect.
pub(crate) struct GenerateHub;

impl HubCodec for GenerateHub {
    fn operation(&self) -> Operation {
        Operation::GenerateContent
    }

    fn stream_operation(&self) -> Operation {
        Operation::StreamGenerateContent
    }

    fn tool_names(&self) -> NameRule {
        NameRule { longest: 64, marks: "_.:-", begins_with_letter: true }
    }

    fn reads(&self, operation: Operation) -> bool {
        matches!(operation, Operation::GenerateContent | Operation::StreamGenerateContent)
    }

    fn needed_query(&self, stream: bool) -> Option<&'static str> {
        stream.then_some("alt=sse")
    }

    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<HubRequest, Untranslatable> {
        read_request::read(operation, body)
    }

    fn write_request(&self, request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        write_request::write(request, ask)
    }

    fn read_reply(&self, body: &[u8]) -> Option<HubReply> {
        reply::read(body)
    }

    fn write_reply(&self, _operation: Operation, reply: &HubReply, told: &HubTold<'_>) -> Vec<u8> {
        reply::write(reply, told)
    }

    fn event_reader(&self) -> Box<dyn HubEventReader> {
        Box::<read_events::ChunkReader>::default()
    }

    fn event_writer(
        &self,
        _operation: Operation,
        told: &HubTold<'_>,
        _include_usage: bool,
    ) -> Box<dyn HubEventWriter> {
        Box::new(write_events::ChunkWriter::new(told))
    }
}

/// Why an answer ended, in this dialect's words. Calls of tools are seen by their parts only.
fn finish_reason(stop: HubStop) -> &'static str {
    match stop {
        HubStop::End | HubStop::Sequence | HubStop::ToolUse => "STOP",
        HubStop::Length | HubStop::ContextFull => "MAX_TOKENS",
        HubStop::Filter => "SAFETY",
    }
}

/// The reverse of [`finish_reason`], of an answer that calls tools or does not.
fn stop_of(reason: &str, calls: bool) -> HubStop {
    match reason {
        "MAX_TOKENS" => HubStop::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => HubStop::Filter,
        _ if calls => HubStop::ToolUse,
        _ => HubStop::End,
    }
}

/// True for a reason that means that the model's output was of no use.
fn is_broken(reason: &str) -> bool {
    matches!(
        reason,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "LANGUAGE" | "OTHER"
    )
}

/// An id for a call that came without one: the same in a stream and in one piece, and another one in
/// every answer.
fn made_id(response: &str, place: usize) -> String {
    let response: String =
        response.chars().filter(|letter| letter.is_ascii_alphanumeric()).take(40).collect();
    if response.is_empty() { format!("call_{place}") } else { format!("call_{response}_{place}") }
}
