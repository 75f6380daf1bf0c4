//! Streams of Bedrock: messages that are events of Converse, chunks of a vendor's own, or exceptions.
//!
//! A conversation gives its reason with `messageStop`; usage stands in `metadata` alone, which comes
//! last and is the end mark. A stream that ends between the two has ended, and is counted.

use crate::{
    bedrock::{
        error,
        invoke::{reply::TIER_HEADER, stream::InvokeReader},
        usage,
    },
    codec::HeaderOf,
    event_stream::{Kind, Message},
    reader::{Seen, SeenKind, Tally},
    walk::{Value, Walk},
    wire::Operation,
};

/// Reads the messages of either operation.
#[derive(Debug)]
pub(crate) enum BedrockReader {
    Converse(ConverseReader),
    Invoke(Box<InvokeReader>),
}

impl BedrockReader {
    pub(crate) fn new(operation: Operation) -> Self {
        match operation {
            Operation::InvokeModelStream => Self::Invoke(Box::default()),
            _ => Self::Converse(ConverseReader::default()),
        }
    }

    /// Takes what the head of the answer says of the call.
    pub(crate) fn head(header: &HeaderOf<'_>, tally: &mut Tally) {
        if let Some(tier) = header(TIER_HEADER) {
            tally.service_tier(tier.as_bytes());
        }
    }

    pub(crate) fn finished(&self) -> bool {
        match self {
            Self::Converse(reader) => reader.finished(),
            Self::Invoke(reader) => reader.finished(),
        }
    }

    /// Reads one message with its frame.
    pub(crate) fn message(&mut self, raw: &[u8], tally: &mut Tally) -> Seen {
        let Some(message) = Message::parse(raw) else { return Seen::shown(SeenKind::Broken) };
        if let Some(fault) = error::of_message(&message) {
            return Seen::shown(SeenKind::Error(fault));
        }
        let Kind::Event(name) = message.kind else { return Seen::shown(SeenKind::Prelude) };
        let kind = match self {
            Self::Converse(reader) => reader.event(name, message.payload, tally),
            Self::Invoke(reader) => reader.event(name, message.payload, tally),
        };
        Seen::shown(kind)
    }
}

/// Reads the events of Converse, which Amazon's own models have in their chunks too.
#[derive(Debug, Default)]
pub(crate) struct ConverseReader {
    stopped: bool,
    told: bool,
}

impl ConverseReader {
    pub(crate) fn finished(&self) -> bool {
        self.stopped
    }

    pub(crate) fn event(&mut self, name: &[u8], payload: &[u8], tally: &mut Tally) -> SeenKind {
        match name {
            b"contentBlockStart" => block(payload),
            b"contentBlockDelta" => delta(payload, tally),
            b"messageStop" => {
                self.stopped = true;
                if self.told { SeenKind::End } else { SeenKind::Finish }
            }
            b"metadata" => {
                self.told = true;
                metadata(payload, tally);
                if self.stopped { SeenKind::End } else { SeenKind::Prelude }
            }
            _ => SeenKind::Prelude,
        }
    }
}

/// A block that begins with what it is: a tool call, its result, a picture.
fn block(payload: &[u8]) -> SeenKind {
    let mut members = Walk::new(payload).take_while(|found| found.depth > 0);
    let begins = members.any(|found| found.depth == 2 && found.value == Value::Open);
    if begins { SeenKind::Content } else { SeenKind::Prelude }
}

fn delta(payload: &[u8], tally: &mut Tally) -> SeenKind {
    let mut content = false;
    let mut within: &[u8] = b"";
    let mut walk = Walk::new(payload);
    while let Some(found) = walk.next() {
        match (found.depth, found.name, found.value) {
            (0, ..) => break,
            (1, b"delta", Value::Open) => {}
            (2, name @ (b"toolUse" | b"reasoningContent"), Value::Open) => within = name,
            (2, b"text", Value::Text(text)) => content |= push(text, tally),
            (3, b"input", Value::Text(text)) if within == b"toolUse" => content |= push(text, tally),
            (3, b"text", Value::Text(text)) if within == b"reasoningContent" => content |= push(text, tally),
            // Reasoning that is not shown; a signature alone proves it and says nothing.
            (3, b"redactedContent", Value::Text(text)) => content |= !text.is_empty(),
            (depth, _, Value::Open) => {
                // Citations, results of the vendor's own tools, pictures.
                content |= depth == 2;
                walk.step_over();
            }
            _ => {}
        }
    }
    if content { SeenKind::Content } else { SeenKind::Prelude }
}

fn push(text: &[u8], tally: &mut Tally) -> bool {
    tally.output.push_raw(text);
    !text.is_empty()
}

fn metadata(payload: &[u8], tally: &mut Tally) {
    let mut walk = Walk::new(payload);
    while let Some(found) = walk.next() {
        if found.depth != 1 {
            break;
        }
        usage::take(payload, &found, &mut tally.reported);
        if found.value == Value::Open {
            walk.step_over();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event_stream::write, fault::Fault, framing::Framing, reader::StreamReader, wire::Dialect};

    fn reader() -> StreamReader {
        Dialect::Bedrock.codec().reader(Operation::ConverseStream, false).framed(Framing::EventStream)
    }

    fn event(name: &str, payload: &str) -> Vec<u8> {
        let headers =
            [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
        write(&headers, payload.as_bytes())
    }

    #[test]
    fn each_event_is_told_by_what_it_holds() {
        use SeenKind::{Content, Finish, Prelude};
        let cases = [
            ("messageStart", r#"{"p":"ab","role":"assistant"}"#, Prelude),
            ("contentBlockStart", r#"{"contentBlockIndex":0,"start":{}}"#, Prelude),
            (
                "contentBlockStart",
                r#"{"contentBlockIndex":0,"start":{"toolUse":{"name":"f","toolUseId":"t"}}}"#,
                Content,
            ),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":""}}"#, Prelude),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"a"},"p":"x"}"#, Content),
            ("contentBlockDelta", r#"{"delta":{"toolUse":{"input":""}}}"#, Prelude),
            ("contentBlockDelta", r#"{"delta":{"toolUse":{"input":"{"}}}"#, Content),
            ("contentBlockDelta", r#"{"delta":{"reasoningContent":{"text":"hm"}}}"#, Content),
            ("contentBlockDelta", r#"{"delta":{"reasoningContent":{"signature":"abc"}}}"#, Prelude),
            ("contentBlockDelta", r#"{"delta":{"reasoningContent":{"redactedContent":"abc"}}}"#, Content),
            ("contentBlockDelta", r#"{"delta":{"citation":{"title":"t"}}}"#, Content),
            ("contentBlockDelta", r#"{"delta":{"toolResult":[{"json":{}}]}}"#, Content),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#, Prelude),
            ("messageStop", r#"{"stopReason":"end_turn"}"#, Finish),
            ("metadata", r#"{"usage":{"inputTokens":1,"outputTokens":1}}"#, Prelude),
            ("somethingNew", r#"{"a":{"b":1}}"#, Prelude),
        ];
        for (name, payload, want) in cases {
            assert_eq!(reader().event(&event(name, payload)).kind, want, "{name} {payload}");
        }
    }

    #[test]
    fn a_stream_is_finished_by_its_stop_and_ended_by_its_metadata() {
        let mut reader = reader();
        reader.event(&event("contentBlockDelta", r#"{"delta":{"text":"h\u00e9"}}"#));
        assert!(!reader.finished());
        reader.event(&event("messageStop", r#"{"stopReason":"end_turn"}"#));
        assert!(reader.finished());
        let metadata = r#"{"usage":{"inputTokens":5,"outputTokens":2,"totalTokens":7},"metrics":{"latencyMs":3},"serviceTier":{"type":"priority"}}"#;
        assert_eq!(reader.event(&event("metadata", metadata)).kind, SeenKind::End);
        let reported = reader.reported().expect("figures");
        let usage = reported.usage.expect("figures");
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (5, 2));
        assert_eq!(reported.service_tier.as_deref(), Some("priority"));
        assert_eq!(reader.output_bytes(), 3);
    }

    #[test]
    fn exceptions_are_errors_and_damage_is_no_event() {
        let exception = write(
            &[(":exception-type", "throttlingException"), (":message-type", "exception")],
            br#"{"message":"slow down"}"#,
        );
        assert_eq!(reader().event(&exception).kind, SeenKind::Error(Fault::Throttled));
        assert_eq!(crate::error_message_of_event(&exception).as_deref(), Some("slow down"));
        let mut damaged = event("messageStop", "{}");
        damaged[20] ^= 1;
        assert_eq!(reader().event(&damaged).kind, SeenKind::Broken);
        assert_eq!(reader().event(&exception[..30]).kind, SeenKind::Broken);
        assert_eq!(reader().event(b"").kind, SeenKind::Broken);
    }

    #[test]
    fn the_head_of_a_stream_may_tell_its_tier() {
        let reader = reader().headed(&|name| (name == TIER_HEADER).then_some("flex"));
        assert_eq!(reader.reported().and_then(|reported| reported.service_tier.as_deref()), Some("flex"));
    }
}
