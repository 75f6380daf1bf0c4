//! Messages through the hub form.

mod read_events;
mod read_request;
mod reply;
mod thinking;
mod write_events;
mod write_request;

use crate::{
    hub::{
        HubAsk, HubBody, HubCodec, HubEventReader, HubEventWriter, HubReply, HubRequest, HubStop, HubTold,
        NameRule, Untranslatable,
    },
    wire::Operation,
};

pub(crate) use thinking::thinking;

/// The hub faces of the dialect.
pub(crate) struct MessagesHub;

impl HubCodec for MessagesHub {
    fn operation(&self) -> Operation {
        Operation::Messages
    }

    fn tool_names(&self) -> NameRule {
        NameRule { longest: 128, marks: "_-", begins_with_letter: false }
    }

    fn needed_headers(&self) -> &'static [(&'static str, &'static str)] {
        // The version that every server of this dialect knows; the bodies written here need no newer.
        &[("anthropic-version", "2023-06-01")]
    }

    fn read_request(&self, _operation: Operation, body: &[u8]) -> Result<HubRequest, Untranslatable> {
        read_request::read(body)
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
        Box::<read_events::MessageEventReader>::default()
    }

    fn event_writer(
        &self,
        _operation: Operation,
        told: &HubTold<'_>,
        _include_usage: bool,
    ) -> Box<dyn HubEventWriter> {
        Box::new(write_events::MessageEventWriter::new(told))
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
        HubStop::Filter => "refusal",
    }
}

/// The reverse of [`stop_reason`].
fn stop_of(reason: &str) -> HubStop {
    match reason {
        "max_tokens" => HubStop::Length,
        "model_context_window_exceeded" => HubStop::ContextFull,
        "stop_sequence" => HubStop::Sequence,
        "tool_use" => HubStop::ToolUse,
        "refusal" => HubStop::Filter,
        _ => HubStop::End,
    }
}
