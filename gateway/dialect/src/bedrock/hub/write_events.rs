//! Steps into the messages of a stream of Converse.
//!
//! Clients read one block after the other, where other dialects may mix the arguments of several calls:
//! what belongs to a later call waits until the earlier one is whole.

use serde::Serialize;
use serde_json::json;
use tollgate_domain::Usage;

use super::{
    reply::{blob_of_kept, metrics, usage_object},
    stop_reason,
};
use crate::{
    bedrock::error,
    codec::ErrorFace,
    event_stream,
    hub::{HubEvent, HubEventWriter, HubStop, WaitingCalls},
    wire::Operation,
};

pub(super) struct MessageWriter {
    operation: Operation,
    started: bool,
    stopped: bool,
    /// The index of the next block, or of the one that is open.
    next: u32,
    open: Option<Open>,
    /// Calls that began while another was open, in order.
    waiting: WaitingCalls,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Open {
    Text,
    /// Once it is proven, more reasoning is another block.
    Reasoning {
        proven: bool,
    },
    Call {
        key: u32,
    },
}

/// More of a block. There is one for nearly each word, so that none is built as a tree first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    delta: &'a Delta<'a>,
    content_block_index: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Delta<'a> {
    Text(&'a str),
    ToolUse { input: &'a str },
    ReasoningContent(Reasoning<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Reasoning<'a> {
    Text(&'a str),
    Signature(&'a str),
    RedactedContent(&'a str),
}

impl MessageWriter {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            started: false,
            stopped: false,
            next: 0,
            open: None,
            waiting: WaitingCalls::default(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            message("messageStart", &json!({"role": "assistant"}), out);
        }
    }

    fn delta(&self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        message("contentBlockDelta", &BlockDelta { delta, content_block_index: self.next }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            message("contentBlockStop", &json!({"contentBlockIndex": self.next}), out);
            self.next += 1;
        }
    }

    fn is_in_call(&self) -> bool {
        matches!(self.open, Some(Open::Call { .. }))
    }

    fn call(&mut self, key: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        self.close(out);
        let start = json!({"toolUse": {"toolUseId": id, "name": name}});
        message("contentBlockStart", &json!({"start": start, "contentBlockIndex": self.next}), out);
        self.open = Some(Open::Call { key });
    }

    fn input(&self, fragment: &str, out: &mut Vec<u8>) {
        self.delta(&Delta::ToolUse { input: fragment }, out);
    }

    /// Writes the calls that had to wait.
    fn release(&mut self, out: &mut Vec<u8>) {
        for call in self.waiting.take() {
            self.call(call.key, &call.id, &call.name, out);
            if !call.input.is_empty() {
                self.input(&call.input, out);
            }
        }
    }

    /// More of a block that begins with what it says.
    fn say(&mut self, kind: Open, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.open != Some(kind) {
            self.release(out);
            self.close(out);
            self.open = Some(kind);
        }
        self.delta(delta, out);
    }

    fn stop(&mut self, stop: HubStop, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.release(out);
        self.close(out);
        message("messageStop", &json!({"stopReason": stop_reason(stop)}), out);
    }
}

impl HubEventWriter for MessageWriter {
    fn write(&mut self, step: HubEvent, out: &mut Vec<u8>) {
        const UNPROVEN: Open = Open::Reasoning { proven: false };
        if self.stopped {
            return;
        }
        self.start(out);
        match step {
            HubEvent::Start { .. } => {}
            HubEvent::Text(text) | HubEvent::Refusal(text) => {
                self.say(Open::Text, &Delta::Text(&text), out);
            }
            HubEvent::Reasoning(text) => {
                self.say(UNPROVEN, &Delta::ReasoningContent(Reasoning::Text(&text)), out);
            }
            HubEvent::Proof(signature) => {
                self.say(UNPROVEN, &Delta::ReasoningContent(Reasoning::Signature(&signature)), out);
                self.open = Some(Open::Reasoning { proven: true });
            }
            HubEvent::Redacted(kept) => {
                if let Some(blob) = blob_of_kept(kept) {
                    let sealed = Delta::ReasoningContent(Reasoning::RedactedContent(&blob));
                    self.close(out);
                    self.say(UNPROVEN, &sealed, out);
                    self.close(out);
                }
            }
            HubEvent::ToolStart { key, id, name } if self.is_in_call() => {
                self.waiting.begin(key, id, name);
            }
            HubEvent::ToolStart { key, id, name } => self.call(key, &id, &name, out),
            HubEvent::ToolInput { key, fragment } => {
                if self.open == Some(Open::Call { key }) {
                    self.input(&fragment, out);
                } else {
                    self.waiting.add(key, &fragment);
                }
            }
            HubEvent::Stop { stop, .. } => self.stop(stop, out),
        }
    }

    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        self.start(out);
        self.stop(HubStop::End, out);
        message("metadata", &json!({"usage": usage_object(usage), "metrics": metrics()}), out);
    }

    fn error(&mut self, face: &ErrorFace<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(self.operation, face));
    }
}

fn message(kind: &str, payload: &impl Serialize, out: &mut Vec<u8>) {
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    let payload = serde_json::to_vec(payload).expect("memory takes all that is written");
    out.extend_from_slice(&event_stream::write(&headers, &payload));
}
