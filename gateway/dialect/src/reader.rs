//! Reading a stream as it passes: what each event means, and what the stream says about itself.
//!
//! The reader never changes bytes. It costs one walk over each event and no allocation for an
//! ordinary delta but the kept text.

use crate::{
    anthropic::stream::MessagesReader,
    bedrock::stream::BedrockReader,
    codec::{ErrorFace, HeaderOf},
    fault::{Fault, FaultRules},
    framing::Framing,
    gemini::{self, stream::GenerateReader},
    openai::{self, chat_stream::ChatReader, media_stream::MediaReader, response_stream::ResponsesReader},
    output::OutputText,
    reported::Reported,
    sse::data,
    walk::text_of,
    wire::{Dialect, Operation},
};

/// What one event is to the relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// What it means.
    pub kind: SeenKind,
    /// The usage-only event that the client did not ask for: take it out.
    pub hide: bool,
}

impl Seen {
    pub(crate) const fn shown(kind: SeenKind) -> Self {
        Self { kind, hide: false }
    }
}

/// What an event means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeenKind {
    /// Nothing generated: roles, pings, comments, filter results, usage.
    Prelude,
    /// Generated text, reasoning, a refusal, audio, a tool call or a hosted tool's item.
    Content,
    /// An answer, or one of several, gave its finish reason; content as well.
    Finish,
    /// The end mark: settle before releasing it.
    End,
    /// The upstream reports a failure inside the stream.
    Error(Fault),
    /// No event at all: its frame is damaged or torn, and nothing behind it can be read.
    Broken,
}

/// Follows one stream, event by event.
#[derive(Debug)]
pub struct StreamReader {
    dialect: Dialect,
    operation: Operation,
    framing: Framing,
    kind: Kind,
    tally: Tally,
}

#[derive(Debug)]
enum Kind {
    Chat(ChatReader),
    Responses(ResponsesReader),
    Messages(MessagesReader),
    Generate(GenerateReader),
    Bedrock(BedrockReader),
    Media(MediaReader),
    /// An operation that has no streamed form: whatever comes is passed on as content.
    Unread,
}

/// What all readers gather.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) rules: &'static FaultRules,
    pub(crate) reported: Reported,
    pub(crate) output: OutputText,
}

impl Tally {
    /// Keeps the first model named; the placeholder chunks of some servers name none.
    pub(crate) fn served_model(&mut self, raw: &[u8]) {
        if self.reported.served_model.is_none() && !raw.is_empty() {
            self.reported.served_model = Some(text_of(raw).into());
        }
    }

    /// Keeps the last tier named.
    pub(crate) fn service_tier(&mut self, raw: &[u8]) {
        if self.reported.service_tier.as_deref().map(str::as_bytes) != Some(raw) && !raw.is_empty() {
            self.reported.service_tier = Some(text_of(raw).into());
        }
    }
}

impl StreamReader {
    pub(crate) fn new(
        dialect: Dialect,
        operation: Operation,
        hide_usage: bool,
        rules: &'static FaultRules,
    ) -> Self {
        let kind = match operation {
            Operation::ChatCompletions => Kind::Chat(ChatReader::new(hide_usage)),
            Operation::Responses | Operation::GetResponse => Kind::Responses(ResponsesReader::default()),
            Operation::Messages => Kind::Messages(MessagesReader::default()),
            Operation::StreamGenerateContent => Kind::Generate(GenerateReader::default()),
            Operation::ConverseStream | Operation::InvokeModelStream => {
                Kind::Bedrock(BedrockReader::new(operation))
            }
            Operation::Completions => Kind::Chat(ChatReader::of_completions(hide_usage)),
            Operation::ImageGenerations
            | Operation::ImageEdits
            | Operation::Speech
            | Operation::Transcriptions
            | Operation::Translations => Kind::Media(MediaReader::new(operation)),
            Operation::CountResponseTokens
            | Operation::CompactResponse
            | Operation::DeleteResponse
            | Operation::CancelResponse
            | Operation::ListResponseInput
            | Operation::Embeddings
            | Operation::Moderations
            | Operation::Rerank
            | Operation::CountTokens
            | Operation::GenerateContent
            | Operation::EmbedContent
            | Operation::BatchEmbedContents
            | Operation::Converse
            | Operation::InvokeModel
            | Operation::ListModels
            | Operation::GetModel => Kind::Unread,
        };
        let tally = Tally { rules, reported: Reported::default(), output: OutputText::default() };
        Self { dialect, operation, framing: Framing::Events, kind, tally }
    }

    /// The reader for events that are framed so; without it they are server-sent ones.
    #[must_use]
    pub fn framed(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// The reader of a stream whose head says what its events may not.
    #[must_use]
    pub fn headed(mut self, header: &HeaderOf<'_>) -> Self {
        if let Kind::Bedrock(_) = self.kind {
            BedrockReader::head(header, &mut self.tally);
        }
        self.tally.reported.take_head(self.dialect, header);
        self
    }

    /// Reads one whole event with its frame, as received.
    pub fn event(&mut self, raw: &[u8]) -> Seen {
        match (self.framing, &mut self.kind) {
            (Framing::JsonArray, Kind::Generate(reader)) => return reader.element(raw, &mut self.tally),
            (Framing::EventStream, Kind::Bedrock(reader)) => return reader.message(raw, &mut self.tally),
            _ => {}
        }
        let data = data(raw);
        let Some(bytes) = data.bytes() else { return Seen::shown(SeenKind::Prelude) };
        match &mut self.kind {
            Kind::Chat(reader) => reader.data(bytes, &mut self.tally),
            Kind::Responses(reader) => reader.data(bytes, &mut self.tally),
            Kind::Messages(reader) => reader.data(bytes, &mut self.tally),
            Kind::Generate(reader) => reader.data(bytes, &mut self.tally),
            Kind::Media(reader) => reader.data(bytes, &mut self.tally),
            Kind::Bedrock(_) | Kind::Unread => Seen::shown(SeenKind::Content),
        }
    }

    /// What the stream said about itself so far; `None` while it said nothing.
    #[must_use]
    pub fn reported(&self) -> Option<&Reported> {
        let reported = &self.tally.reported;
        let silent = reported.usage.is_none()
            && reported.response_id.is_none()
            && reported.served_model.is_none()
            && reported.service_tier.is_none()
            && reported.place.is_none();
        (!silent).then_some(reported)
    }

    /// True once the stream gave terminal evidence: its end mark, or a finish reason for every
    /// choice that was seen. An end of the body before that is a truncation.
    #[must_use]
    pub fn finished(&self) -> bool {
        match &self.kind {
            Kind::Chat(reader) => reader.finished(),
            Kind::Responses(reader) => reader.finished(),
            Kind::Messages(reader) => reader.finished(),
            Kind::Generate(reader) => reader.finished(),
            Kind::Bedrock(reader) => reader.finished(),
            Kind::Media(reader) => reader.finished(),
            Kind::Unread => false,
        }
    }

    /// Tokens of the visible output so far, by the tokenizer: for a stream that was cut short.
    /// Hidden reasoning cannot be seen and is not in it.
    pub fn count_output(&mut self) -> u64 {
        self.tally.output.count()
    }

    /// Bytes of the visible output so far; cheap.
    #[must_use]
    pub fn output_bytes(&self) -> u64 {
        self.tally.output.bytes()
    }

    /// What closes a stream after the upstream's own error event, which is the last that is passed on.
    #[must_use]
    pub const fn closing(&self) -> &'static [u8] {
        match self.framing {
            Framing::Events | Framing::EventStream => b"",
            Framing::JsonArray => b"]",
        }
    }

    /// An error of ours as the event that ends this stream, its frame included. In a responses stream it
    /// takes the next sequence number, in a JSON array it is the last element.
    #[must_use]
    pub fn error_event(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        match &self.kind {
            Kind::Generate(reader) if self.framing == Framing::JsonArray => {
                gemini::error::last_element(face, reader.began_array())
            }
            Kind::Responses(reader) => openai::error::responses_event(face, reader.next_sequence()),
            _ => self.dialect.codec().error_event(self.operation, face),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> StreamReader {
        Dialect::OpenAi.codec().reader(Operation::ChatCompletions, true)
    }

    #[test]
    fn a_responses_error_takes_the_next_sequence_number() {
        let mut reader = Dialect::OpenAi.codec().reader(Operation::Responses, false);
        reader.event(
            b"data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"sequence_number\":41}\n\n",
        );
        let face = ErrorFace { status: 502, code: "c", message: "m", param: None, request_id: "r" };
        let event = String::from_utf8(reader.error_event(&face)).expect("text");
        assert!(event.contains("\"sequence_number\":42"), "{event}");
    }

    #[test]
    fn a_chat_is_finished_when_every_choice_seen_gave_its_reason() {
        let mut reader = chat();
        assert!(!reader.finished());
        reader.event(br#"data: {"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{}}]}"#);
        reader.event(br#"data: {"choices":[{"finish_reason":"stop","delta":{},"index":1}]}"#);
        assert!(!reader.finished(), "choice 0 is still open");
        let seen = reader.event(br#"data: {"choices":[{"delta":{"content":"b"},"finish_reason":"length"}]}"#);
        assert_eq!(seen.kind, SeenKind::Finish);
        assert!(reader.finished());
        assert_eq!(reader.output_bytes(), 2);
    }

    #[test]
    fn choices_of_one_chunk_are_told_apart_whatever_the_order_of_their_members() {
        for chunk in [
            r#"data: {"choices":[{"finish_reason":null,"index":0},{"finish_reason":"stop","index":1}]}"#,
            r#"data: {"choices":[{"index":0,"finish_reason":null},{"index":1,"finish_reason":"stop"}]}"#,
            r#"data: {"choices":[{"index":1,"finish_reason":"stop"},{"index":0,"finish_reason":null}]}"#,
        ] {
            let mut reader = chat();
            reader.event(chunk.as_bytes());
            assert!(!reader.finished(), "{chunk}");
            reader.event(br#"data: {"choices":[{"index":0,"finish_reason":"stop"}]}"#);
            assert!(reader.finished(), "{chunk}");
        }
    }

    #[test]
    fn what_generates_nothing_is_no_content() {
        let preludes = [
            ": ping",
            "event: ping",
            "data: not json",
            "data: {}",
            r#"data: {"choices":[]}"#,
            r#"data: {"choices":null}"#,
            r#"data: {"choices":[{"index":0}]}"#,
            r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":""}]}"#,
            r#"data: {"choices":[{"index":0,"delta":{"content":null,"tool_calls":[]}}]}"#,
            r#"data: {"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"token":"a"}]}}]}"#,
            r#"data: {"choices":[],"error":null,"prompt_filter_results":[{"prompt_index":0}]}"#,
        ];
        for event in preludes {
            assert_eq!(chat().event(event.as_bytes()), Seen::shown(SeenKind::Prelude), "{event}");
        }
    }

    #[test]
    fn a_heartbeat_is_one_whole_event_that_says_nothing() {
        let streams = [
            (Dialect::OpenAi, Operation::ChatCompletions),
            (Dialect::OpenAi, Operation::Responses),
            (Dialect::AzureOpenAi, Operation::ChatCompletions),
            (Dialect::Anthropic, Operation::Messages),
        ];
        for (dialect, operation) in streams {
            let heartbeat = dialect.codec().heartbeat().expect("its clients survive one");
            let mut splitter = Framing::Events.splitter();
            splitter.push(bytes::Bytes::from_static(heartbeat));
            assert_eq!(splitter.next().as_deref(), Some(heartbeat));
            let seen = dialect.codec().reader(operation, true).event(heartbeat);
            assert_eq!(seen, Seen::shown(SeenKind::Prelude), "{dialect:?}");
        }
        assert_eq!(Dialect::Gemini.codec().heartbeat(), None, "a comment breaks Google's Python client");
    }

    #[test]
    fn only_the_usage_chunk_that_nobody_asked_for_is_hidden() {
        let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":1}"#;
        let cases = [
            (format!("{{\"choices\":[],{usage}}}"), true),
            (format!("{{{usage}}}"), true),
            (format!("{{\"choices\":[],{usage},\"moderation\":null,\"prompt_filter_results\":[]}}"), true),
            (format!("{{\"choices\":[],{usage},\"moderation\":{{\"flagged\":false}}}}"), false),
            (format!("{{\"choices\":[],{usage},\"prompt_filter_results\":[{{}}]}}"), false),
            (format!("{{\"choices\":[{{\"index\":0,\"delta\":{{}}}}],{usage}}}"), false),
            ("{\"choices\":[],\"usage\":null}".to_owned(), false),
        ];
        for (chunk, hidden) in cases {
            let event = format!("data: {chunk}\n\n");
            assert_eq!(chat().event(event.as_bytes()).hide, hidden, "{chunk}");
            let mut asked = Dialect::OpenAi.codec().reader(Operation::ChatCompletions, false);
            assert!(!asked.event(event.as_bytes()).hide, "{chunk}");
            assert!(asked.reported().is_some() || chunk.contains("null}"), "{chunk}");
        }
    }
}
