//! Chunks of a chat completions stream into steps.

use std::borrow::Cow;

use serde::Deserialize;

use super::stop_of;
use crate::{
    hub::{HubEvent, HubEventReader, HubStop},
    sse::data,
};

#[derive(Default)]
pub(super) struct ChunkReader {
    started: bool,
    /// Calls whose head has come, by their index.
    calls: Vec<u32>,
    stopped: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default = "Vec::new")]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    /// Two names that compatible servers have for the same.
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

impl HubEventReader for ChunkReader {
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>) {
        let data = data(event);
        let Some(bytes) = data.bytes() else { return };
        // What is no chunk (the end mark, a server's own notes) says nothing to the client.
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(bytes) else { return };
        let first = |choice: &Choice<'_>| choice.index.unwrap_or(0) == 0;
        let Some(choice) = chunk.choices.into_iter().find(first) else { return };
        if !self.started {
            self.started = true;
            steps.push(HubEvent::Start { model: chunk.model.unwrap_or_default().into_owned() });
        }
        if let Some(delta) = choice.delta {
            self.delta(delta, steps);
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty() && !self.stopped) {
            self.stopped = true;
            let stop = match stop_of(&reason) {
                HubStop::End if !self.calls.is_empty() => HubStop::ToolUse,
                stop => stop,
            };
            steps.push(HubEvent::Stop { stop, sequence: None });
        }
    }
}

impl ChunkReader {
    fn delta(&mut self, delta: Delta<'_>, steps: &mut Vec<HubEvent>) {
        let mut push = |text: Option<Cow<'_, str>>, step: fn(String) -> HubEvent| {
            steps.extend(text.filter(|text| !text.is_empty()).map(|text| step(text.into_owned())));
        };
        push(delta.reasoning_content.or(delta.reasoning), HubEvent::Reasoning);
        push(delta.content, HubEvent::Text);
        push(delta.refusal, HubEvent::Refusal);
        for (place, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.call(place, call, steps);
        }
    }

    fn call(&mut self, place: usize, call: Call<'_>, steps: &mut Vec<HubEvent>) {
        let key = call.index.unwrap_or(u32::try_from(place).unwrap_or(u32::MAX));
        let (name, arguments) =
            call.function.map_or((None, None), |function| (function.name, function.arguments));
        if !self.calls.contains(&key) {
            let Some(name) = name.filter(|name| !name.is_empty()) else { return };
            self.calls.push(key);
            let id = call.id.filter(|id| !id.is_empty());
            let id = id.map_or_else(|| format!("call_{key}"), Cow::into_owned);
            steps.push(HubEvent::ToolStart { key, id, name: name.into_owned() });
        }
        if let Some(fragment) = arguments.filter(|fragment| !fragment.is_empty()) {
            steps.push(HubEvent::ToolInput { key, fragment: fragment.into_owned() });
        }
    }
}
