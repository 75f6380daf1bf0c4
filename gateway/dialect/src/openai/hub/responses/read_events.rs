//! Events of a responses stream into steps.
//!
//! The `type` inside the data decides. What a server told only at the end of an item, without the
//! deltas before it, is told then.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    reply::{Item, Part},
    stop_of,
};
use crate::{
    hub::{HubEvent, HubEventReader, Sealed},
    sse::data,
};

#[derive(Default)]
pub(super) struct ResponseEventReader {
    started: bool,
    stopped: bool,
    called: bool,
    /// What has come of each item, by its place in the output.
    items: Vec<Told>,
}

/// How much of an item has come in deltas.
#[derive(Clone, Copy, Default)]
struct Told {
    place: u32,
    begun: bool,
    anything: bool,
    /// The part of the reasoning's summary that was told last.
    part: u32,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default)]
    output_index: u32,
    #[serde(default)]
    summary_index: u32,
    #[serde(borrow, default)]
    delta: Option<Cow<'a, str>>,
    #[serde(default)]
    item: Option<Item>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    incomplete_details: Option<Details<'a>>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

impl HubEventReader for ResponseEventReader {
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>) {
        let data = data(event);
        let Some(bytes) = data.bytes() else { return };
        // What is not known (an end mark, the steps of hosted tools) says nothing to the client.
        let Ok(event) = serde_json::from_slice::<Event<'_>>(bytes) else { return };
        if let Some(response) = event.response {
            return self.response(&event.r#type, response, steps);
        }
        self.start(String::new(), steps);
        let place = event.output_index;
        match (&*event.r#type, event.item, event.delta) {
            ("response.output_item.added", Some(item), _) => self.begin(place, &item, steps),
            ("response.output_item.done", Some(item), _) => self.end(place, item, steps),
            ("response.output_text.delta", _, Some(text)) => self.tell(place, HubEvent::Text, text, steps),
            ("response.refusal.delta", _, Some(text)) => self.tell(place, HubEvent::Refusal, text, steps),
            ("response.reasoning_summary_text.delta" | "response.reasoning_text.delta", _, Some(text)) => {
                self.reason(place, event.summary_index, text, steps);
            }
            ("response.function_call_arguments.delta", _, Some(fragment)) => {
                let input = |fragment| HubEvent::ToolInput { key: place, fragment };
                self.tell(place, input, fragment, steps);
            }
            _ => {}
        }
    }
}

impl ResponseEventReader {
    fn start(&mut self, model: String, steps: &mut Vec<HubEvent>) {
        if !self.started {
            self.started = true;
            steps.push(HubEvent::Start { model });
        }
    }

    fn response(&mut self, kind: &str, response: Response<'_>, steps: &mut Vec<HubEvent>) {
        self.start(response.model.unwrap_or_default().into_owned(), steps);
        if matches!(kind, "response.completed" | "response.incomplete") && !self.stopped {
            self.stopped = true;
            let reason = response.incomplete_details.and_then(|details| details.reason);
            let status = response.status.unwrap_or_else(|| kind.trim_start_matches("response.").into());
            let stop = stop_of(&status, reason.as_deref(), self.called);
            steps.push(HubEvent::Stop { stop, sequence: None });
        }
    }

    fn told(&mut self, place: u32) -> &mut Told {
        let known = self.items.iter().position(|told| told.place == place);
        let at = known.unwrap_or_else(|| {
            self.items.push(Told { place, ..Told::default() });
            self.items.len() - 1
        });
        &mut self.items[at]
    }

    fn tell(
        &mut self,
        place: u32,
        step: impl Fn(String) -> HubEvent,
        text: Cow<'_, str>,
        steps: &mut Vec<HubEvent>,
    ) {
        if !text.is_empty() {
            self.told(place).anything = true;
            steps.push(step(text.into_owned()));
        }
    }

    /// Parts of a summary are paragraphs.
    fn reason(&mut self, place: u32, part: u32, text: Cow<'_, str>, steps: &mut Vec<HubEvent>) {
        let told = self.told(place);
        if std::mem::replace(&mut told.part, part) != part && told.anything {
            steps.push(HubEvent::Reasoning("\n\n".to_owned()));
        }
        self.tell(place, HubEvent::Reasoning, text, steps);
    }

    fn begin(&mut self, place: u32, item: &Item, steps: &mut Vec<HubEvent>) {
        let (Some(id), Some(name)) = (item.call_id(), item.name.clone()) else { return };
        if item.r#type == "function_call" && !std::mem::replace(&mut self.told(place).begun, true) {
            self.called = true;
            steps.push(HubEvent::ToolStart { key: place, id, name });
        }
    }

    fn end(&mut self, place: u32, item: Item, steps: &mut Vec<HubEvent>) {
        self.begin(place, &item, steps);
        let told = self.told(place).anything;
        match &*item.r#type {
            "function_call" if !told => {
                let input = |fragment| HubEvent::ToolInput { key: place, fragment };
                self.tell(place, input, item.arguments.unwrap_or_default().into(), steps);
            }
            "message" if !told => {
                for part in item.content.into_iter().flatten() {
                    match part {
                        Part { refusal: Some(text), .. } => {
                            self.tell(place, HubEvent::Refusal, text.into(), steps);
                        }
                        Part { text: Some(text), .. } => self.tell(place, HubEvent::Text, text.into(), steps),
                        Part { .. } => {}
                    }
                }
            }
            "reasoning" => {
                let text = item.reasoning();
                if !told {
                    self.tell(place, HubEvent::Reasoning, text.into(), steps);
                }
                let shown = self.told(place).anything;
                let kept = item.proof().map(Sealed::kept);
                steps.extend(kept.map(if shown { HubEvent::Proof } else { HubEvent::Redacted }));
            }
            _ => {}
        }
    }
}
