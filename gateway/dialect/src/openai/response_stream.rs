//! Streams of the responses API: named events with sequence numbers and one terminal event.
//!
//! The `type` inside the data decides, never the `event:` line, which some hosts leave out or put
//! elsewhere.

use crate::{
    fault::Fault,
    openai::reply,
    reader::{Seen, SeenKind, Tally},
    walk::{Found, Value, Walk, parse_at, text_of},
};

#[derive(Debug, Default)]
pub(crate) struct ResponsesReader {
    finished: bool,
    next_sequence: u64,
}

/// The members of one event, as far as they matter.
#[derive(Default)]
struct Event<'a> {
    kind: &'a [u8],
    delta: &'a [u8],
    item_type: &'a [u8],
    response_at: Option<usize>,
    error: bool,
}

impl ResponsesReader {
    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    /// The number after the last one seen.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub(crate) fn data(&mut self, data: &[u8], tally: &mut Tally) -> Seen {
        if data.trim_ascii() == b"[DONE]" {
            // Some hosts add it behind the terminal event.
            return Seen::shown(SeenKind::Prelude);
        }
        let event = self.walk(data);
        Seen::shown(self.meaning(&event, data, tally))
    }

    fn walk<'a>(&mut self, data: &'a [u8]) -> Event<'a> {
        let mut event = Event::default();
        let mut walk = Walk::new(data);
        while let Some(Found { depth, name, value, at }) = walk.next() {
            match (depth, name, value) {
                (1, b"type", Value::Text(kind)) => event.kind = kind,
                (1, b"delta", Value::Text(delta)) => event.delta = delta,
                (1, b"sequence_number", Value::Scalar(number)) => {
                    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
                    self.next_sequence = number.map_or(self.next_sequence, |n: u64| n.saturating_add(1));
                }
                (1, b"error", value) => {
                    event.error = !value.is_null();
                    skip_open(&mut walk, value);
                }
                (1, b"response", Value::Open) => {
                    event.response_at = Some(at);
                    walk.step_over();
                }
                (1, b"item", Value::Open) => {}
                (2, b"type", Value::Text(kind)) => event.item_type = kind,
                (_, _, value) => skip_open(&mut walk, value),
            }
        }
        event
    }

    fn meaning(&mut self, event: &Event<'_>, data: &[u8], tally: &mut Tally) -> SeenKind {
        match event.kind {
            b"response.completed" | b"response.incomplete" => {
                self.finished = true;
                self.response(event, data, tally);
                SeenKind::End
            }
            b"response.failed" => {
                self.finished = true;
                self.response(event, data, tally);
                SeenKind::Error(tally.reported.fault.unwrap_or(Fault::Server))
            }
            b"response.created" | b"response.queued" | b"response.in_progress" => {
                self.response(event, data, tally);
                SeenKind::Prelude
            }
            b"error" => self.failure(data, tally),
            _ if event.error => self.failure(data, tally),
            b"response.output_item.added" | b"response.output_item.done" => match event.item_type {
                // A message begins empty, as reasoning does; their deltas are the content.
                b"message" | b"reasoning" | b"" => SeenKind::Prelude,
                _ => SeenKind::Content,
            },
            b"response.content_part.added" | b"response.content_part.done" => SeenKind::Prelude,
            b"response.reasoning_summary_part.added" | b"response.reasoning_summary_part.done" => {
                SeenKind::Prelude
            }
            _ => delta(event, tally),
        }
    }

    fn failure(&mut self, data: &[u8], tally: &mut Tally) -> SeenKind {
        self.finished = true;
        let error = parse_at(data, 0).unwrap_or_default();
        SeenKind::Error(tally.rules.of_event(&error))
    }

    /// Takes model and tier, and of a terminal event the usage: it replaces.
    fn response(&self, event: &Event<'_>, data: &[u8], tally: &mut Tally) {
        let Some(at) = event.response_at else { return };
        let response = &data[at..];
        let members = reply::Members::of(response);
        if let Some(id) = members.id.filter(|id| tally.reported.response_id.is_none() && !id.is_empty()) {
            tally.reported.response_id = Some(text_of(id).into());
        }
        if let Some(model) = members.model {
            tally.served_model(model);
        }
        if let Some(tier) = members.service_tier {
            tally.service_tier(tier);
        }
        members.take_usage(response, &mut tally.reported);
        tally.reported.fault = members.fault(response, tally.rules);
    }
}

fn delta(event: &Event<'_>, tally: &mut Tally) -> SeenKind {
    let is_text = !event.delta.is_empty() && !event.kind.starts_with(b"response.audio.delta");
    if is_text {
        tally.output.push_raw(event.delta);
    }
    // `…done` repeats its deltas; the steps of hosted tools are work done for the client.
    if event.kind.starts_with(b"response.") { SeenKind::Content } else { SeenKind::Prelude }
}

fn skip_open(walk: &mut Walk<'_>, value: Value<'_>) {
    if value == Value::Open {
        walk.step_over();
    }
}
