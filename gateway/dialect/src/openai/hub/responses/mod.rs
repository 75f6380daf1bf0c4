//! Responses through the hub form.
//!
//! The gateway keeps no conversation: an answer that it wrote says `store: false`, and what must not be
//! lost between two turns (proofs of reasoning) travels inside the items that the client sends back.

mod read_events;
mod read_input;
mod read_request;
mod reply;
mod write_events;
mod write_input;
mod write_request;

use serde_json::{Value, json, value::RawValue};
use tollgate_domain::Usage;

use super::TOOL_NAMES;
use crate::{
    hub::{
        Given, HubAsk, HubBody, HubCodec, HubEventReader, HubEventWriter, HubReply, HubRequest, HubStop,
        HubTold, NameRule, Untranslatable,
    },
    wire::Operation,
};

/// The hub faces of responses.
pub(crate) struct ResponsesHub;

impl HubCodec for ResponsesHub {
    fn operation(&self) -> Operation {
        Operation::Responses
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
        Box::<read_events::ResponseEventReader>::default()
    }

    fn event_writer(
        &self,
        _operation: Operation,
        told: &HubTold<'_>,
        _include_usage: bool,
    ) -> Box<dyn HubEventWriter> {
        Box::new(write_events::ResponseEventWriter::new(told))
    }
}

/// Members that an answer repeats, with what it says where the request says nothing. Clients' types
/// demand most of them.
const REPEATED: [(&str, &str); 14] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "1.0"),
    ("user", "null"),
];

/// A longer member is not repeated: of thousands of streams each would keep its prompt to the end.
const LONGEST_REPEATED: usize = 64 << 10;

/// The part of the response object that every event with a response repeats, as JSON members.
fn repeated(echo: &[Given<Box<RawValue>>]) -> String {
    let mut members = String::new();
    for (name, otherwise) in REPEATED {
        let given = echo.iter().find(|given| &*given.at == name).map(|given| given.value.get());
        let value = given.filter(|value| value.len() <= LONGEST_REPEATED).unwrap_or(otherwise);
        for part in [",\"", name, "\":", value] {
            members.push_str(part);
        }
    }
    members
}

/// Where a response is on its way, in this API's words.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Status {
    InProgress,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
}

impl Status {
    fn of(stop: HubStop) -> Self {
        match stop {
            HubStop::End | HubStop::Sequence | HubStop::ToolUse => Self::Completed,
            HubStop::Length | HubStop::ContextFull => Self::Incomplete("max_output_tokens"),
            HubStop::Filter => Self::Incomplete("content_filter"),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

/// A whole response object. `output` holds its items, `repeated` is of [`repeated`].
fn response(
    (id, created, model): (&str, u64, &str),
    status: Status,
    output: &[Value],
    usage: Option<&Usage>,
    repeated: &str,
) -> String {
    let details = match status {
        Status::Incomplete(reason) => json!({"reason": reason}),
        Status::InProgress | Status::Completed => Value::Null,
    };
    let own = json!({
        "id": id, "object": "response", "created_at": created, "status": status.as_str(),
        "background": false, "error": null, "incomplete_details": details, "model": model,
        "output": output, "previous_response_id": null, "service_tier": "default", "store": false,
        "top_logprobs": 0, "truncation": "disabled", "usage": usage.map(usage_object),
    });
    let mut written = own.to_string();
    written.pop();
    written.push_str(repeated);
    written.push('}');
    written
}

/// Usage as this API states it: cached tokens are part of the input, reasoning of the output.
fn usage_object(usage: &Usage) -> Value {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_tokens(),
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.output_reasoning},
        "total_tokens": input.saturating_add(output),
    })
}

/// The reverse of [`Status::of`]; a call makes a completed response one that waits for its result.
fn stop_of(status: &str, reason: Option<&str>, calls: bool) -> HubStop {
    match (status, reason) {
        ("incomplete", Some("content_filter")) => HubStop::Filter,
        ("incomplete", _) => HubStop::Length,
        _ if calls => HubStop::ToolUse,
        _ => HubStop::End,
    }
}
