//! InvokeModel: bodies of each model's vendor, which Bedrock hands on as they are.
//!
//! A request tells its vendor by the model it goes to, an answer by the members that only this vendor
//! writes. What is of no known vendor passes, and is counted by what AWS counts beside it.

pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

use crate::{
    bedrock::usage::Figures,
    reported::count_of,
    walk::{Value, Walk},
};

/// What AWS adds to the answers of every vendor: in a stream, to the last chunk.
const METRICS: &[u8] = b"amazon-bedrock-invocationMetrics";

/// What the members of an answer, or of a chunk of one, tell about it.
#[derive(Debug, Default)]
struct Shape<'a> {
    vendor: Vendor,
    /// Where its `usage` stands.
    usage: Option<usize>,
    /// Where AWS's own counts stand.
    metrics: Option<usize>,
    /// The model that answered.
    model: Option<&'a [u8]>,
    /// Where the list of pictures stands.
    images: Option<usize>,
    /// The counts that stand beside the text.
    counts: Figures,
    /// It gives the reason why the text ends.
    finish: bool,
}

/// Whose words they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Vendor {
    /// Anthropic's messages.
    Anthropic,
    /// Amazon's own: one event of Converse, whose name and place these are.
    Amazon(Event),
    /// The chunks of OpenAI, which several vendors have.
    OpenAi,
    /// Any other, with its text as members of the outermost object.
    #[default]
    Other,
}

/// An event of Converse inside a chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Event {
    name: &'static [u8],
    at: usize,
}

/// The events of Converse by name.
const EVENTS: [&[u8]; 6] = [
    b"messageStart",
    b"contentBlockStart",
    b"contentBlockDelta",
    b"contentBlockStop",
    b"messageStop",
    b"metadata",
];

/// The events of Anthropic's streams, and its plain answer, by type.
const TYPES: [&[u8]; 9] = [
    b"message",
    b"message_start",
    b"content_block_start",
    b"content_block_delta",
    b"content_block_stop",
    b"message_delta",
    b"message_stop",
    b"ping",
    b"error",
];

impl<'a> Shape<'a> {
    fn of(body: &'a [u8]) -> Self {
        let mut shape = Self::default();
        let mut walk = Walk::new(body);
        while let Some(found) = walk.next() {
            if found.depth != 1 {
                break;
            }
            match (found.name, found.value) {
                (b"usage", Value::Open) => shape.usage = Some(found.at),
                (METRICS, Value::Open) => shape.metrics = Some(found.at),
                (b"choices", Value::Open) => shape.vendor = Vendor::OpenAi,
                (b"images", Value::Open) => shape.images = Some(found.at),
                (b"model", Value::Text(model)) if !model.is_empty() => shape.model = Some(model),
                (b"type", Value::Text(kind)) if TYPES.contains(&kind) => shape.vendor = Vendor::Anthropic,
                (name, Value::Open) => {
                    if let Some(event) = EVENTS.into_iter().find(|event| *event == name) {
                        shape.vendor = Vendor::Amazon(Event { name: event, at: found.at });
                    }
                }
                (name, Value::Scalar(scalar)) => shape.count(name, scalar),
                (b"completionReason" | b"stop_reason" | b"finish_reason", Value::Text(reason)) => {
                    shape.finish |= !reason.is_empty();
                }
                _ => {}
            }
            if found.value == Value::Open {
                walk.step_over();
            }
        }
        shape
    }

    /// The counts that Titan and Llama state among their text.
    fn count(&mut self, name: &[u8], scalar: &[u8]) {
        match name {
            b"inputTextTokenCount" | b"prompt_token_count" => {
                self.counts.input = count_of(scalar).or(self.counts.input)
            }
            b"totalOutputTextTokenCount" | b"generation_token_count" => {
                self.counts.output = count_of(scalar).or(self.counts.output);
            }
            b"is_finished" => self.finish |= scalar == b"true",
            _ => {}
        }
    }

    /// AWS's own counts.
    fn metered(&self, body: &[u8]) -> Figures {
        let raw = self.metrics.and_then(|at| body.get(at..));
        raw.map(Figures::of_metrics).unwrap_or_default()
    }
}
