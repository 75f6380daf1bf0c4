//! Steps into the events of a messages stream.
//!
//! Blocks of this dialect come one after the other, where other dialects may mix the arguments of
//! several calls: what belongs to a later call waits until the earlier one is whole.

use serde::Serialize;
use serde_json::{Value, json};
use tollgate_domain::Usage;

use super::{reply::usage_object, stop_reason};
use crate::{
    anthropic::error,
    codec::ErrorFace,
    hub::{HubEvent, HubEventWriter, HubStop, HubTold, WaitingCalls},
};

pub(super) struct MessageEventWriter {
    id: String,
    started: bool,
    /// The index of the next block.
    next: u32,
    open: Option<Open>,
    /// Calls that began while another was open, in order.
    waiting: WaitingCalls,
    stop: Option<(HubStop, Option<String>)>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Open {
    Text,
    Thinking { proven: bool },
    Call { key: u32 },
}

/// More of a block. There is one for nearly each word, so that none is built as a tree first.
#[derive(Serialize)]
struct BlockDelta<'a> {
    r#type: &'static str,
    index: u32,
    delta: &'a Delta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

fn text_block() -> Value {
    json!({"type": "text", "text": ""})
}

fn thinking_block() -> Value {
    json!({"type": "thinking", "thinking": "", "signature": ""})
}

impl MessageEventWriter {
    pub(super) fn new(told: &HubTold<'_>) -> Self {
        Self {
            id: format!("msg_{}", told.id),
            started: false,
            next: 0,
            open: None,
            waiting: WaitingCalls::default(),
            stop: None,
        }
    }

    fn start(&mut self, model: &str, out: &mut Vec<u8>) {
        self.started = true;
        let mut usage = usage_object(None);
        // The vendor's own first figure; what was really consumed comes at the end.
        usage["output_tokens"] = json!(1);
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        event("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    fn begin(&mut self, kind: Open, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        let start = json!({"type": "content_block_start", "index": self.next, "content_block": block});
        event("content_block_start", &start, out);
        self.open = Some(kind);
    }

    fn delta(&self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        const KIND: &str = "content_block_delta";
        event(KIND, &BlockDelta { r#type: KIND, index: self.next, delta }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        if open == (Open::Thinking { proven: false }) {
            // Clients keep a proof with each block; another vendor's reasoning has none.
            self.delta(&Delta::Signature { signature: "" }, out);
        }
        event("content_block_stop", &json!({"type": "content_block_stop", "index": self.next}), out);
        self.next += 1;
    }

    fn is_in_call(&self) -> bool {
        matches!(self.open, Some(Open::Call { .. }))
    }

    fn call(&mut self, key: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        self.begin(Open::Call { key }, &block, out);
    }

    fn input(&self, fragment: &str, out: &mut Vec<u8>) {
        self.delta(&Delta::InputJson { partial_json: fragment }, out);
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

    fn text(&mut self, kind: Open, block: fn() -> Value, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.is_in_call() {
            self.release(out);
        }
        let same = match (self.open, kind) {
            (Some(Open::Thinking { proven }), Open::Thinking { .. }) => !proven,
            (open, kind) => open == Some(kind),
        };
        if !same {
            self.begin(kind, &block(), out);
        }
        self.delta(delta, out);
    }
}

impl HubEventWriter for MessageEventWriter {
    fn write(&mut self, step: HubEvent, out: &mut Vec<u8>) {
        if !self.started && !matches!(step, HubEvent::Start { .. }) {
            self.start("", out);
        }
        match step {
            HubEvent::Start { model } => self.start(&model, out),
            HubEvent::Text(text) | HubEvent::Refusal(text) => {
                self.text(Open::Text, text_block, &Delta::Text { text: &text }, out);
            }
            HubEvent::Reasoning(text) => {
                let delta = Delta::Thinking { thinking: &text };
                self.text(Open::Thinking { proven: false }, thinking_block, &delta, out);
            }
            HubEvent::Proof(signature) => {
                let delta = Delta::Signature { signature: &signature };
                self.text(Open::Thinking { proven: false }, thinking_block, &delta, out);
                self.open = Some(Open::Thinking { proven: true });
            }
            HubEvent::Redacted(data) => {
                self.begin(Open::Text, &json!({"type": "redacted_thinking", "data": data}), out);
                self.close(out);
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
            HubEvent::Stop { stop, sequence } => {
                self.release(out);
                self.close(out);
                self.stop = Some((stop, sequence));
            }
        }
    }

    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        if !self.started {
            self.start("", out);
        }
        self.release(out);
        self.close(out);
        let (stop, sequence) = self.stop.take().unwrap_or((HubStop::End, None));
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(stop), "stop_sequence": sequence},
            "usage": usage_object(usage),
        });
        event("message_delta", &delta, out);
        event("message_stop", &json!({"type": "message_stop"}), out);
    }

    fn error(&mut self, face: &ErrorFace<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(face));
    }
}

fn event(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    for part in ["event: ", name, "\ndata: "] {
        out.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut *out, data).expect("memory takes all that is written");
    out.extend_from_slice(b"\n\n");
}
