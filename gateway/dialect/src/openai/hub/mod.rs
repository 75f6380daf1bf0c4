//! The family's two ways to converse through the hub form: chat completions here, responses beside them.

mod embeddings;
mod media;
mod read_events;
mod read_request;
mod reply;
mod responses;
mod write_events;
mod write_request;

use crate::{
    hub::{
        HubAsk, HubBody, HubCodec, HubEventReader, HubEventWriter, HubReply, HubRequest, HubStop, HubTold,
        NameRule, Untranslatable,
    },
    wire::Operation,
};

pub(crate) use embeddings::OpenAiEmbeddings;

/// The hub faces of chat completions.
pub(crate) struct ChatHub;

/// The hub faces of an operation.
pub(super) fn of(operation: Operation) -> Option<&'static dyn HubCodec> {
    match operation {
        Operation::ChatCompletions => Some(&ChatHub),
        Operation::Responses => Some(&responses::ResponsesHub),
        _ => None,
    }
}

/// Members that both ways to converse have, by their path in chat completions and in responses. Others
/// do not know them; between these two they are carried as they are.
const IN_BOTH: [(&str, &str); 2] = [("service_tier", "service_tier"), ("verbosity", "text.verbosity")];

/// Hints that both take, under the same name.
const HINTS: [&str; 3] = ["metadata", "prompt_cache_key", "prompt_cache_retention"];

/// Both APIs of this dialect take the same names for tools.
const TOOL_NAMES: NameRule = NameRule { longest: 64, marks: "_-", begins_with_letter: false };

impl HubCodec for ChatHub {
    fn operation(&self) -> Operation {
        Operation::ChatCompletions
    }

    fn tool_names(&self) -> NameRule {
        TOOL_NAMES
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
        Box::<read_events::ChunkReader>::default()
    }

    fn event_writer(
        &self,
        _operation: Operation,
        told: &HubTold<'_>,
        include_usage: bool,
    ) -> Box<dyn HubEventWriter> {
        Box::new(write_events::ChunkWriter::new(told, include_usage))
    }
}

/// Why an answer ended, in this family's words.
fn finish_reason(stop: HubStop) -> &'static str {
    match stop {
        HubStop::End | HubStop::Sequence => "stop",
        HubStop::Length | HubStop::ContextFull => "length",
        HubStop::ToolUse => "tool_calls",
        HubStop::Filter => "content_filter",
    }
}

/// The reverse of [`finish_reason`]; words of compatible servers included.
fn stop_of(reason: &str) -> HubStop {
    match reason {
        "length" | "model_length" | "max_tokens" => HubStop::Length,
        "tool_calls" | "function_call" | "tool_use" => HubStop::ToolUse,
        "content_filter" => HubStop::Filter,
        _ => HubStop::End,
    }
}
