//! Events of a messages stream into steps.

use std::borrow::Cow;

use serde::Deserialize;

use super::stop_of;
use crate::{
    hub::{HubEvent, HubEventReader},
    sse::data,
};

#[derive(Default)]
pub(super) struct MessageEventReader {}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        #[serde(borrow)]
        message: Message<'a>,
    },
    ContentBlockStart {
        index: u32,
        #[serde(borrow)]
        content_block: Block<'a>,
    },
    ContentBlockDelta {
        index: u32,
        #[serde(borrow)]
        delta: Delta<'a>,
    },
    MessageDelta {
        #[serde(borrow)]
        delta: End<'a>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        #[serde(borrow, default)]
        text: Cow<'a, str>,
    },
    Thinking {
        #[serde(borrow, default)]
        thinking: Cow<'a, str>,
    },
    RedactedThinking {
        #[serde(borrow)]
        data: Cow<'a, str>,
    },
    ToolUse {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text {
        #[serde(borrow)]
        text: Cow<'a, str>,
    },
    #[serde(rename = "input_json_delta")]
    InputJson {
        #[serde(borrow)]
        partial_json: Cow<'a, str>,
    },
    #[serde(rename = "thinking_delta")]
    Thinking {
        #[serde(borrow)]
        thinking: Cow<'a, str>,
    },
    #[serde(rename = "signature_delta")]
    Signature {
        #[serde(borrow)]
        signature: Cow<'a, str>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End<'a> {
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Cow<'a, str>>,
}

impl HubEventReader for MessageEventReader {
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>) {
        let data = data(event);
        let Some(bytes) = data.bytes() else { return };
        // What is not known (pings, blocks of the provider's own tools) says nothing to the client.
        let Ok(event) = serde_json::from_slice::<Event<'_>>(bytes) else { return };
        let step = match event {
            Event::MessageStart { message } => Some(HubEvent::Start { model: message.model.into_owned() }),
            Event::ContentBlockStart { index, content_block } => begin(index, content_block),
            Event::ContentBlockDelta { index, delta } => more(index, delta),
            Event::MessageDelta { delta } => delta.stop_reason.map(|reason| HubEvent::Stop {
                stop: stop_of(&reason),
                sequence: delta.stop_sequence.map(Cow::into_owned),
            }),
            Event::Other => None,
        };
        steps.extend(step);
    }
}

fn begin(key: u32, block: Block<'_>) -> Option<HubEvent> {
    match block {
        Block::Text { text } => some_text(text).map(HubEvent::Text),
        Block::Thinking { thinking } => some_text(thinking).map(HubEvent::Reasoning),
        Block::RedactedThinking { data } => some_text(data).map(HubEvent::Redacted),
        Block::ToolUse { id, name } => {
            Some(HubEvent::ToolStart { key, id: id.into_owned(), name: name.into_owned() })
        }
        Block::Other => None,
    }
}

fn more(key: u32, delta: Delta<'_>) -> Option<HubEvent> {
    match delta {
        Delta::Text { text } => some_text(text).map(HubEvent::Text),
        Delta::Thinking { thinking } => some_text(thinking).map(HubEvent::Reasoning),
        Delta::Signature { signature } => some_text(signature).map(HubEvent::Proof),
        Delta::InputJson { partial_json } => {
            some_text(partial_json).map(|fragment| HubEvent::ToolInput { key, fragment })
        }
        Delta::Other => None,
    }
}

fn some_text(text: Cow<'_, str>) -> Option<String> {
    (!text.is_empty()).then(|| text.into_owned())
}
