//! Streams of InvokeModel: chunks that hold the vendor's own events in base64.
//!
//! Each is read by the reader of its vendor's dialect. AWS adds its own counts to the last chunk,
//! whoever the vendor is: that is the end mark.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Shape, Vendor, reply};
use crate::{
    anthropic::stream::MessagesReader,
    bedrock::{stream::ConverseReader, usage::Figures},
    openai::chat_stream::ChatReader,
    reader::{SeenKind, Tally},
    walk::{Value, Walk, text_of},
};

#[derive(Debug)]
pub(crate) struct InvokeReader {
    messages: MessagesReader,
    conversation: ConverseReader,
    chat: ChatReader,
    /// The counts that other vendors state, the last one of each.
    counts: Figures,
    /// A vendor with text of its own gave its reason.
    finished: bool,
    /// AWS's own counts have come.
    metered: bool,
    /// Some chunk was understood.
    understood: bool,
    /// The last chunk, decoded; kept for its room.
    decoded: Vec<u8>,
}

impl Default for InvokeReader {
    fn default() -> Self {
        Self {
            messages: MessagesReader::default(),
            conversation: ConverseReader::default(),
            chat: ChatReader::new(false),
            counts: Figures::default(),
            finished: false,
            metered: false,
            understood: false,
            decoded: Vec::new(),
        }
    }
}

impl InvokeReader {
    /// Of a stream in words that nobody here knows, its end cannot be told from a proper one.
    pub(crate) fn finished(&self) -> bool {
        self.metered
            || self.finished
            || self.messages.finished()
            || self.conversation.finished()
            || self.chat.finished()
            || !self.understood
    }

    pub(crate) fn event(&mut self, name: &[u8], payload: &[u8], tally: &mut Tally) -> SeenKind {
        if name != b"chunk" {
            return SeenKind::Prelude;
        }
        let mut members = Walk::new(payload).take_while(|found| found.depth > 0);
        let bytes = members.find_map(|found| match found.value {
            Value::Text(text) if found.depth == 1 && found.name == b"bytes" => Some(text),
            _ => None,
        });
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        let readable =
            bytes.is_some_and(|raw| BASE64_STANDARD.decode_vec(&*text_of(raw), &mut decoded).is_ok());
        let kind = if readable { self.chunk(&decoded, tally) } else { SeenKind::Content };
        self.decoded = decoded;
        kind
    }

    fn chunk(&mut self, chunk: &[u8], tally: &mut Tally) -> SeenKind {
        let shape = Shape::of(chunk);
        let kind = match shape.vendor {
            Vendor::Anthropic => self.messages.data(chunk, tally).kind,
            Vendor::OpenAi => self.chat.data(chunk, tally).kind,
            Vendor::Amazon(event) => {
                self.conversation.event(event.name, chunk.get(event.at..).unwrap_or_default(), tally)
            }
            Vendor::Other => self.other(chunk, &shape, tally),
        };
        self.understood |= shape.vendor != Vendor::Other;
        if let SeenKind::Error(_) = kind {
            return kind;
        }
        if shape.metrics.is_none() {
            return kind;
        }
        self.metered = true;
        // The vendor's own figures count before those that AWS makes of them.
        if shape.vendor == Vendor::Other || tally.reported.usage.is_none() {
            self.counts.or(shape.metered(chunk)).report(&mut tally.reported);
        }
        SeenKind::End
    }

    /// A chunk of a vendor whose text stands in members of its own.
    fn other(&mut self, chunk: &[u8], shape: &Shape<'_>, tally: &mut Tally) -> SeenKind {
        let mut content = false;
        for found in Walk::new(chunk) {
            match (found.name, found.value) {
                (name, Value::Text(text)) if reply::is_text(name) => {
                    self.understood = true;
                    content |= !text.is_empty();
                    tally.output.push_raw(text);
                }
                // Mistral's reason stands beside its text, inside a list.
                (b"stop_reason" | b"finish_reason", Value::Text(reason)) => {
                    self.finished |= !reason.is_empty();
                }
                _ => {}
            }
        }
        self.finished |= shape.finish;
        self.counts = shape.counts.or(self.counts);
        self.counts.report(&mut tally.reported);
        match (self.finished, content) {
            (true, _) => SeenKind::Finish,
            (false, true) => SeenKind::Content,
            // What is not understood may be content, and is not held back.
            (false, false) if !self.understood => SeenKind::Content,
            (false, false) => SeenKind::Prelude,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{
        event_stream::write,
        fault::Fault,
        framing::Framing,
        reader::StreamReader,
        wire::{Dialect, Operation},
    };

    fn reader() -> StreamReader {
        Dialect::Bedrock.codec().reader(Operation::InvokeModelStream, false).framed(Framing::EventStream)
    }

    fn chunk(inner: &Json) -> Vec<u8> {
        let payload = json!({"bytes": BASE64_STANDARD.encode(inner.to_string()), "p": "abc"});
        let headers = [(":event-type", "chunk"), (":message-type", "event")];
        write(&headers, payload.to_string().as_bytes())
    }

    /// The kinds of the chunks, what was counted, and whether it is over.
    fn read(chunks: &[Json]) -> (Vec<SeenKind>, (u64, u64), bool) {
        let mut reader = reader();
        let kinds = chunks.iter().map(|inner| reader.event(&chunk(inner)).kind).collect();
        let usage = reader.reported().and_then(|reported| reported.usage).unwrap_or_default();
        (kinds, (usage.input_tokens(), usage.output_tokens()), reader.finished())
    }

    const METRICS: &str = "amazon-bedrock-invocationMetrics";

    #[test]
    fn each_vendors_stream_is_read_in_its_own_words() {
        use SeenKind::{Content, End, Finish, Prelude};
        let metrics = json!({"inputTokenCount": 90, "outputTokenCount": 91});
        let cases = [
            (
                "anthropic",
                vec![
                    json!({"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}}}),
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}),
                    json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
                    json!({"type": "message_stop", METRICS: metrics}),
                ],
                vec![Prelude, Content, Finish, End],
                (3, 7),
            ),
            (
                "nova",
                vec![
                    json!({"messageStart": {"role": "assistant"}}),
                    json!({"contentBlockDelta": {"delta": {"text": "a"}, "contentBlockIndex": 0}}),
                    json!({"messageStop": {"stopReason": "end_turn"}}),
                    json!({"metadata": {"usage": {"inputTokens": 5, "outputTokens": 2}}, METRICS: metrics}),
                ],
                vec![Prelude, Content, Finish, End],
                (5, 2),
            ),
            (
                "openai and those like it",
                vec![
                    json!({"choices": [{"index": 0, "delta": {"content": "a"}}]}),
                    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], METRICS: metrics}),
                ],
                vec![Content, End],
                (90, 91),
            ),
            (
                "titan",
                vec![
                    json!({"outputText": "a", "index": 0, "completionReason": null}),
                    json!({"outputText": "b", "completionReason": "FINISH", "inputTextTokenCount": 4, "totalOutputTextTokenCount": 6, METRICS: metrics}),
                ],
                vec![Content, End],
                (4, 6),
            ),
            (
                "llama",
                vec![
                    json!({"generation": "a", "prompt_token_count": 8, "generation_token_count": 1, "stop_reason": null}),
                    json!({"generation": "", "prompt_token_count": null, "generation_token_count": 2, "stop_reason": "stop"}),
                    json!({"generation": "", METRICS: metrics}),
                ],
                vec![Content, Finish, End],
                (8, 2),
            ),
            (
                "mistral",
                vec![
                    json!({"outputs": [{"text": "a", "stop_reason": null}]}),
                    json!({"outputs": [{"text": "", "stop_reason": "stop"}], METRICS: metrics}),
                ],
                vec![Content, End],
                (90, 91),
            ),
            (
                "cohere",
                vec![
                    json!({"event_type": "text-generation", "text": "a", "is_finished": false}),
                    json!({"event_type": "stream-end", "finish_reason": "COMPLETE", "is_finished": true, METRICS: metrics}),
                ],
                vec![Content, End],
                (90, 91),
            ),
            (
                "nobody known",
                vec![json!({"say": {"it": "a"}}), json!({METRICS: metrics})],
                vec![Content, End],
                (90, 91),
            ),
        ];
        for (name, chunks, kinds, usage) in cases {
            assert_eq!(read(&chunks), (kinds, usage, true), "{name}");
        }
    }

    #[test]
    fn a_stream_of_a_known_vendor_that_gives_no_reason_is_not_finished() {
        for first in [
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
            json!({"contentBlockDelta": {"delta": {"text": "a"}}}),
            json!({"choices": [{"index": 0, "delta": {"content": "a"}}]}),
            json!({"generation": "a", "stop_reason": null}),
        ] {
            let (kinds, _, finished) = read(std::slice::from_ref(&first));
            assert_eq!((kinds, finished), (vec![SeenKind::Content], false), "{first}");
        }
    }

    #[test]
    fn a_vendors_error_inside_a_chunk_is_an_error() {
        let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}});
        assert_eq!(read(&[overloaded]).0, [SeenKind::Error(Fault::Overloaded)]);
    }

    #[test]
    fn a_chunk_that_cannot_be_decoded_passes() {
        let headers = [(":event-type", "chunk"), (":message-type", "event")];
        for payload in ["{\"bytes\":\"!\"}", "{}", "no JSON", "{\"bytes\":\"\\u0041\"}"] {
            assert_eq!(reader().event(&write(&headers, payload.as_bytes())).kind, SeenKind::Content);
        }
    }
}
