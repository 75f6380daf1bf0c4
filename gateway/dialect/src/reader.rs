//! Reading a stream as it passes: what each event means, and what the stream says about itself.
//!
//! The reader never changes bytes. It costs one walk over each event and no allocation for an
//! ordinary delta but the kept text.

use crate::{
    anthropic::stream::MessagesReader,
    codec::{Codec, ErrorFace},
    fault::{Fault, FaultRules},
    openai::{chat_stream::ChatReader, response_stream::ResponsesReader},
    output::OutputText,
    reported::Reported,
    sse::data,
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
}

/// Follows one stream, event by event.
#[derive(Debug)]
pub struct StreamReader {
    dialect: Dialect,
    operation: Operation,
    kind: Kind,
    tally: Tally,
}

#[derive(Debug)]
enum Kind {
    Chat(ChatReader),
    Responses(ResponsesReader),
    Messages(MessagesReader),
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
            self.reported.served_model = Some(crate::walk::text_of(raw).into());
        }
    }

    /// Keeps the last tier named.
    pub(crate) fn service_tier(&mut self, raw: &[u8]) {
        if self.reported.service_tier.as_deref().map(str::as_bytes) != Some(raw) && !raw.is_empty() {
            self.reported.service_tier = Some(crate::walk::text_of(raw).into());
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
            Operation::Responses => Kind::Responses(ResponsesReader::default()),
            Operation::Messages => Kind::Messages(MessagesReader::default()),
            Operation::Embeddings | Operation::CountTokens | Operation::ListModels | Operation::GetModel => {
                Kind::Unread
            }
        };
        let tally = Tally { rules, reported: Reported::default(), output: OutputText::default() };
        Self { dialect, operation, kind, tally }
    }

    /// Reads one whole event, blank line included, as received.
    pub fn event(&mut self, raw: &[u8]) -> Seen {
        let data = data(raw);
        let Some(bytes) = data.bytes() else { return Seen::shown(SeenKind::Prelude) };
        match &mut self.kind {
            Kind::Chat(reader) => reader.data(bytes, &mut self.tally),
            Kind::Responses(reader) => reader.data(bytes, &mut self.tally),
            Kind::Messages(reader) => reader.data(bytes, &mut self.tally),
            Kind::Unread => Seen::shown(SeenKind::Content),
        }
    }

    /// What the stream said about itself so far; `None` while it said nothing.
    #[must_use]
    pub fn reported(&self) -> Option<&Reported> {
        let reported = &self.tally.reported;
        let silent =
            reported.usage.is_none() && reported.served_model.is_none() && reported.service_tier.is_none();
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

    /// An error of ours as the event that ends this stream, blank line included. In a responses
    /// stream it takes the next sequence number.
    #[must_use]
    pub fn error_event(&self, face: &ErrorFace<'_>) -> Vec<u8> {
        match &self.kind {
            Kind::Responses(reader) => crate::openai::error::responses_event(face, reader.next_sequence()),
            _ => self.codec().error_event(self.operation, face),
        }
    }

    fn codec(&self) -> &'static dyn Codec {
        self.dialect.codec()
    }
}
