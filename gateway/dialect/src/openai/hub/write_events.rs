//! Steps into the chunks of a chat completions stream.

use serde::Serialize;
use serde_json::{Value, json};
use tollgate_domain::Usage;

use super::{
    finish_reason,
    reply::{extra_content, is_of_call, kept_proof, usage_object},
};
use crate::{
    codec::ErrorFace,
    hub::{HubEvent, HubEventWriter, HubTold, Sealed},
    openai::error,
    wire::Operation,
};

pub(super) struct ChunkWriter {
    id: String,
    created: u64,
    include_usage: bool,
    model: String,
    /// Calls in the order of their beginning: whether any argument was written.
    calls: Vec<(u32, bool)>,
    /// The text of the reasoning block that is open, kept for its proof.
    reasoning: String,
    /// A proof that waits for its call.
    of_call: Option<Sealed>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Value; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[Value; 1]>,
}

impl ChunkWriter {
    pub(super) fn new(told: &HubTold<'_>, include_usage: bool) -> Self {
        Self {
            id: format!("chatcmpl-{}", told.id),
            created: told.created,
            include_usage,
            model: String::new(),
            calls: Vec::new(),
            reasoning: String::new(),
            of_call: None,
        }
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.chunk(&[Choice { index: 0, delta, logprobs: None, finish_reason: None }], None, out);
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<Value>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        serde_json::to_writer(&mut *out, &chunk).expect("memory takes all that is written");
        out.extend_from_slice(b"\n\n");
    }

    /// A proof for clients that keep it beside the message.
    fn keep(&mut self, proof: Sealed, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.reasoning);
        let kept = kept_proof(&text, proof);
        self.delta(Delta { thinking_blocks: Some([kept]), ..Delta::default() }, out);
    }

    /// The proof that waited for a call, and none came.
    fn release_proof(&mut self, out: &mut Vec<u8>) {
        if let Some(proof) = self.of_call.take() {
            self.keep(proof, out);
        }
    }

    /// Where a call stands in the answer.
    fn place(&self, key: u32) -> Option<usize> {
        self.calls.iter().position(|(known, _)| *known == key)
    }

    fn argument(&mut self, place: usize, fragment: &str, out: &mut Vec<u8>) {
        self.calls[place].1 = true;
        let call = json!({"index": place, "function": {"arguments": fragment}});
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, out);
    }

    /// A call without arguments still has an object of none.
    fn complete_calls(&mut self, out: &mut Vec<u8>) {
        for place in 0..self.calls.len() {
            if !self.calls[place].1 {
                self.argument(place, "{}", out);
            }
        }
    }
}

impl HubEventWriter for ChunkWriter {
    fn write(&mut self, step: HubEvent, out: &mut Vec<u8>) {
        match step {
            HubEvent::Start { model } => {
                self.model = model;
                let opening = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
                self.delta(opening, out);
            }
            HubEvent::Text(text) => {
                self.release_proof(out);
                self.delta(Delta { content: Some(&text), ..Delta::default() }, out);
            }
            HubEvent::Reasoning(text) => {
                self.reasoning.push_str(&text);
                self.delta(Delta { reasoning_content: Some(&text), ..Delta::default() }, out);
            }
            HubEvent::Proof(kept) => match Sealed::from_kept(kept) {
                Some(proof) if is_of_call(&proof) => self.of_call = Some(proof),
                proof => proof.into_iter().for_each(|proof| self.keep(proof, out)),
            },
            HubEvent::Redacted(sealed) => {
                let kept = json!({"type": "redacted_thinking", "data": sealed});
                self.delta(Delta { thinking_blocks: Some([kept]), ..Delta::default() }, out);
            }
            HubEvent::Refusal(text) => self.delta(Delta { refusal: Some(&text), ..Delta::default() }, out),
            HubEvent::ToolStart { key, id, name } => {
                let mut call = json!({
                    "index": self.calls.len(), "id": id, "type": "function",
                    "function": {"name": name, "arguments": ""},
                });
                if let Some(proof) = self.of_call.take() {
                    call["extra_content"] = extra_content(&proof);
                }
                self.calls.push((key, false));
                self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, out);
            }
            HubEvent::ToolInput { key, fragment } => {
                if let Some(place) = self.place(key).filter(|_| !fragment.is_empty()) {
                    self.argument(place, &fragment, out);
                }
            }
            HubEvent::Stop { stop, .. } => {
                self.release_proof(out);
                self.complete_calls(out);
                let finish_reason = Some(finish_reason(stop));
                let last = Choice { index: 0, delta: Delta::default(), logprobs: None, finish_reason };
                self.chunk(&[last], None, out);
            }
        }
    }

    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        if let Some(usage) = usage.filter(|_| self.include_usage) {
            self.chunk(&[], Some(usage_object(usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn error(&mut self, face: &ErrorFace<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(Operation::ChatCompletions, face));
    }
}
