//! Chunks of a stream of generated content into steps.
//!
//! Calls come whole, in one part. The provider's own id of the answer makes ids for calls without one.

use super::{
    reply::{Generated, Part},
    stop_of,
};
use crate::{
    hub::{HubEvent, HubEventReader, HubStop, Sealed},
    sse::data,
};

#[derive(Default)]
pub(super) struct ChunkReader {
    started: bool,
    stopped: bool,
    calls: u32,
}

impl HubEventReader for ChunkReader {
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>) {
        let data = data(event);
        // Elements of a JSON array come with what stands between them.
        let between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'[' | b',' | b']');
        let start = event.iter().position(|byte| !between(byte)).unwrap_or(event.len());
        let bytes = data.bytes().unwrap_or_else(|| event.get(start..).unwrap_or_default());
        // What is no chunk says nothing to the client.
        let Ok(mut chunk) = serde_json::from_slice::<Generated<'_>>(bytes) else { return };
        let candidate = chunk.take_candidate();
        let blocked = candidate.is_none() && chunk.is_blocked();
        if !self.started && (blocked || candidate.is_some()) {
            self.started = true;
            steps.push(HubEvent::Start { model: chunk.model() });
        }
        let stop = match candidate {
            Some(mut candidate) => {
                for part in candidate.take_parts() {
                    self.part(part, chunk.id(), steps);
                }
                candidate.finished().map(|reason| stop_of(reason, self.calls > 0))
            }
            None => blocked.then_some(HubStop::Filter),
        };
        if let Some(stop) = stop.filter(|_| !std::mem::replace(&mut self.stopped, true)) {
            steps.push(HubEvent::Stop { stop, sequence: None });
        }
    }
}

impl ChunkReader {
    fn part(&mut self, mut part: Part<'_>, response: &str, steps: &mut Vec<HubEvent>) {
        let proof = part.take_proof().map(Sealed::kept).map(HubEvent::Proof);
        let text = part.text.take().filter(|text| !text.is_empty());
        if part.thought == Some(true) {
            steps.extend(text.map(|text| HubEvent::Reasoning(text.into_owned())));
            steps.extend(proof);
            return;
        }
        // Here a proof stands on the part after the thought.
        steps.extend(proof);
        if let Some(call) = part.function_call {
            let key = self.calls;
            self.calls += 1;
            let id = call.id(response, key as usize);
            steps.push(HubEvent::ToolStart { key, id, name: call.name.to_string() });
            steps.push(HubEvent::ToolInput { key, fragment: call.input().to_owned() });
        } else {
            steps.extend(text.map(|text| HubEvent::Text(text.into_owned())));
        }
    }
}
