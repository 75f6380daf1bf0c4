//! Streams of the Messages API: named events from `message_start` to `message_stop`.
//!
//! The `type` inside the data decides. Usage comes at the start and is replaced, field by field,
//! by each `message_delta`.

use crate::{
    anthropic::usage::{self, Stated},
    reader::{Seen, SeenKind, Tally},
    walk::{Found, Value, Walk, parse_at},
};

#[derive(Debug, Default)]
pub(crate) struct MessagesReader {
    finished: bool,
    stated: Stated,
}

/// The members of one event, as far as they matter.
#[derive(Default)]
struct Event<'a> {
    kind: &'a [u8],
    /// The type of the block or delta inside.
    inner: &'a [u8],
    text: &'a [u8],
    stop_reason: bool,
    model: Option<&'a [u8]>,
    usage_at: Option<usize>,
}

impl MessagesReader {
    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn data(&mut self, data: &[u8], tally: &mut Tally) -> Seen {
        let event = walk(data);
        if let Some(model) = event.model {
            tally.served_model(model);
        }
        if let Some(at) = event.usage_at
            && let Some(tier) = usage::take(&data[at..], &mut self.stated, &mut tally.reported)
        {
            tally.service_tier(tier.as_bytes());
        }
        let kind = match event.kind {
            b"content_block_delta" => delta(&event, tally),
            b"content_block_start" => block(&event, tally),
            b"message_delta" if event.stop_reason => SeenKind::Finish,
            b"message_stop" => {
                self.finished = true;
                SeenKind::End
            }
            b"error" => SeenKind::Error(tally.rules.of_event(&parse_at(data, 0).unwrap_or_default())),
            _ => SeenKind::Prelude,
        };
        Seen::shown(kind)
    }
}

fn walk(data: &[u8]) -> Event<'_> {
    let mut event = Event::default();
    let mut walk = Walk::new(data);
    while let Some(Found { depth, name, value, at }) = walk.next() {
        match (depth, name, value) {
            (1, b"type", Value::Text(kind)) => event.kind = kind,
            (1, b"delta" | b"content_block" | b"message", Value::Open) => {}
            (2, b"type", Value::Text(kind)) => event.inner = kind,
            (2, b"text" | b"partial_json" | b"thinking" | b"content", Value::Text(text)) => event.text = text,
            (2, b"model", Value::Text(model)) => event.model = Some(model),
            (2, b"stop_reason", Value::Text(_)) => event.stop_reason = true,
            (1 | 2, b"usage", Value::Open) => {
                event.usage_at = Some(at);
                walk.step_over();
            }
            (_, _, Value::Open) => walk.step_over(),
            _ => {}
        }
    }
    event
}

fn delta(event: &Event<'_>, tally: &mut Tally) -> SeenKind {
    match event.inner {
        b"citations_delta" => SeenKind::Content,
        // A proof of reasoning that is not shown.
        b"signature_delta" => SeenKind::Prelude,
        _ if event.text.is_empty() => SeenKind::Prelude,
        _ => {
            tally.output.push_raw(event.text);
            SeenKind::Content
        }
    }
}

/// Text and thinking begin empty; tool calls and results of server tools are content at once.
fn block(event: &Event<'_>, tally: &mut Tally) -> SeenKind {
    match event.inner {
        b"text" | b"thinking" if event.text.is_empty() => SeenKind::Prelude,
        b"" => SeenKind::Prelude,
        b"text" | b"thinking" => {
            tally.output.push_raw(event.text);
            SeenKind::Content
        }
        _ => SeenKind::Content,
    }
}
