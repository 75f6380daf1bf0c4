//! Converse through the hub form.

mod block;
mod embeddings;
mod media;
mod models;
mod read_blocks;
mod read_events;
mod read_request;
mod reply;
mod seal;
mod write_events;
mod write_messages;
mod write_request;

pub(crate) use embeddings::InvokeEmbeddings;

use crate::{
    hub::{
        HubAsk, HubBody, HubCodec, HubEventReader, HubEventWriter, HubReply, HubRequest, HubStop, HubTold,
        NameRule, Untranslatable,
    },
    wire::Operation,
};

/// The hub faces of the dialect.
pub(crate) struct ConverseHub;

impl HubCodec for ConverseHub {
    fn operation(&self) -> Operation {
        Operation::Converse
    }

    fn stream_operation(&self) -> Operation {
        Operation::ConverseStream
    }

    fn tool_names(&self) -> NameRule {
        NameRule { longest: 64, marks: "_-", begins_with_letter: false }
    }

    fn reads(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Converse | Operation::ConverseStream)
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
        Box::new(read_events::MessageReader)
    }

    fn event_writer(
        &self,
        operation: Operation,
        _told: &HubTold<'_>,
        _include_usage: bool,
    ) -> Box<dyn HubEventWriter> {
        Box::new(write_events::MessageWriter::new(operation))
    }
}

/// Why an answer ended, in this dialect's words.
fn stop_reason(stop: HubStop) -> &'static str {
    match stop {
        HubStop::End => "end_turn",
        HubStop::Length => "max_tokens",
        HubStop::ContextFull => "model_context_window_exceeded",
        HubStop::Sequence => "stop_sequence",
        HubStop::ToolUse => "tool_use",
        HubStop::Filter => "content_filtered",
    }
}

/// The reverse of [`stop_reason`].
fn stop_of(reason: &str) -> HubStop {
    match reason {
        "max_tokens" => HubStop::Length,
        "model_context_window_exceeded" => HubStop::ContextFull,
        "stop_sequence" => HubStop::Sequence,
        "tool_use" => HubStop::ToolUse,
        "content_filtered" | "guardrail_intervened" => HubStop::Filter,
        _ => HubStop::End,
    }
}

/// True for a reason that means that the model's output was of no use.
fn is_broken(reason: &str) -> bool {
    matches!(reason, "malformed_model_output" | "malformed_tool_use")
}
