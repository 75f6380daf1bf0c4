//! Steps into the chunks of a stream of generated content.
//!
//! A call is one whole part, so that its fragments wait until the answer goes on or ends; its reason to end
//! waits for the usage. There is no end mark among server-sent events; an array has its bracket.

use tollgate_domain::Usage;

use super::{
    reply::{Written, WrittenReply, candidate, usage_object},
    seal,
};
use crate::{
    codec::ErrorFace,
    framing::Framing,
    gemini::error,
    hub::{HubEvent, HubEventWriter, HubStop, HubTold, Sealed},
    wire::Family,
};

pub(super) struct ChunkWriter {
    id: String,
    framing: Framing,
    model: String,
    /// Something was written.
    began: bool,
    /// Calls that are not written yet, in the order of their beginning.
    calls: Vec<Waiting>,
    /// A proof of this dialect's own vendor, which stands on the part after it.
    proof: Option<String>,
    stop: Option<HubStop>,
}

struct Waiting {
    key: u32,
    id: String,
    name: String,
    input: String,
    proof: Option<String>,
}

impl Waiting {
    fn part(&self) -> Written<'_> {
        let part = Written::call(&self.id, &self.name, &self.input);
        Written { thought_signature: self.proof.clone(), ..part }
    }
}

impl ChunkWriter {
    pub(super) fn new(told: &HubTold<'_>) -> Self {
        Self {
            id: told.id.to_owned(),
            framing: told.framing,
            model: String::new(),
            began: false,
            calls: Vec::new(),
            proof: None,
            stop: None,
        }
    }

    fn chunk(
        &mut self,
        parts: Vec<Written<'_>>,
        stop: Option<HubStop>,
        usage: Option<&Usage>,
        out: &mut Vec<u8>,
    ) {
        let began = std::mem::replace(&mut self.began, true);
        let (before, after): (&[u8], &[u8]) = match self.framing {
            Framing::JsonArray if began => (b",\r\n", b""),
            Framing::JsonArray => (b"[", b""),
            _ => (b"data: ", b"\r\n\r\n"),
        };
        let chunk = WrittenReply {
            candidates: candidate(parts, stop),
            usage_metadata: usage.map(usage_object),
            model_version: &self.model,
            response_id: &self.id,
        };
        out.extend_from_slice(before);
        serde_json::to_writer(&mut *out, &chunk).expect("memory takes all that is written");
        out.extend_from_slice(after);
    }

    fn part(&mut self, part: Written<'_>, out: &mut Vec<u8>) {
        self.release_calls(out);
        let part = match self.proof.take() {
            Some(proof) if part.thought.is_none() => Written { thought_signature: Some(proof), ..part },
            proof => {
                self.proof = proof;
                part
            }
        };
        self.chunk(vec![part], None, None, out);
    }

    /// Writes the calls that are whole now.
    fn release_calls(&mut self, out: &mut Vec<u8>) {
        let calls = std::mem::take(&mut self.calls);
        if calls.is_empty() {
            return;
        }
        let parts = calls.iter().map(Waiting::part).collect();
        self.chunk(parts, None, None, out);
    }

    fn proof(&mut self, kept: String, out: &mut Vec<u8>) {
        match Sealed::from_kept(kept) {
            Some(own) if own.family == Family::Gemini => self.proof = Some(own.text),
            Some(foreign) => self.part(Written::thought("", Some(seal::proof(&foreign))), out),
            None => {}
        }
    }
}

impl HubEventWriter for ChunkWriter {
    fn write(&mut self, step: HubEvent, out: &mut Vec<u8>) {
        match step {
            HubEvent::Start { model } => self.model = model,
            HubEvent::Text(text) | HubEvent::Refusal(text) => self.part(Written::text(&text), out),
            HubEvent::Reasoning(text) => self.part(Written::thought(&text, None), out),
            HubEvent::Proof(kept) => self.proof(kept, out),
            HubEvent::Redacted(kept) => {
                let signature = Sealed::from_kept(kept).map(|sealed| seal::redacted(&sealed));
                self.part(Written::thought("", signature), out);
            }
            HubEvent::ToolStart { key, id, name } => {
                let proof = self.proof.take();
                self.calls.push(Waiting { key, id, name, input: String::new(), proof });
            }
            HubEvent::ToolInput { key, fragment } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.key == key) {
                    call.input.push_str(&fragment);
                }
            }
            HubEvent::Stop { stop, .. } => {
                self.release_calls(out);
                self.stop = Some(stop);
            }
        }
    }

    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        self.release_calls(out);
        let stop = self.stop.take().unwrap_or(HubStop::End);
        let last = Written { thought_signature: self.proof.take(), ..Written::text("") };
        self.chunk(vec![last], Some(stop), usage, out);
        if self.framing == Framing::JsonArray {
            out.extend_from_slice(b"\r\n]");
        }
    }

    fn error(&mut self, face: &ErrorFace<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&match self.framing {
            Framing::JsonArray => error::last_element(face, self.began),
            _ => error::event(face),
        });
    }
}
