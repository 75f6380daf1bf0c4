//! How the events of a streamed answer are told apart, and one splitter for all the ways.

use bytes::Bytes;

use crate::{event_stream::MessageSplitter, json_array::ElementSplitter, sse::Splitter};

/// The `content-type` of AWS's event streams.
pub(crate) const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// How a streamed answer is cut into events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// One JSON array that is sent piecewise; each element is an event.
    JsonArray,
    /// The binary messages of AWS, each with its length and checksums.
    EventStream,
}

impl Framing {
    /// What a `content-type` of server-sent events says. A missing one is accepted when the body turns
    /// out to be what was asked for.
    pub(crate) fn of_events(content_type: Option<&[u8]>) -> Option<Self> {
        let is_events = content_type.is_none_or(|value| value.starts_with(b"text/event-stream"));
        is_events.then_some(Self::Events)
    }

    /// The `content-type` of an answer that is cut so.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::JsonArray => "application/json; charset=UTF-8",
            Self::EventStream => EVENT_STREAM,
        }
    }

    /// An empty splitter for it.
    #[must_use]
    pub fn splitter(self) -> Frames {
        match self {
            Self::Events => Frames::Events(Splitter::new()),
            Self::JsonArray => Frames::JsonArray(ElementSplitter::default()),
            Self::EventStream => Frames::EventStream(MessageSplitter::default()),
        }
    }
}

/// An incremental splitter: push chunks in, take whole events out until there are none. Events leave
/// as the bytes that came; all of them together are the stream.
#[derive(Debug)]
pub enum Frames {
    /// Cuts at blank lines.
    Events(Splitter),
    /// Cuts after each element.
    JsonArray(ElementSplitter),
    /// Cuts after each message.
    EventStream(MessageSplitter),
}

impl Frames {
    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Events(splitter) => splitter.push(chunk),
            Self::JsonArray(splitter) => splitter.push(chunk),
            Self::EventStream(splitter) => splitter.push(chunk),
        }
    }

    /// The unfinished tail.
    pub fn rest(&mut self) -> Bytes {
        match self {
            Self::Events(splitter) => splitter.rest(),
            Self::JsonArray(splitter) => splitter.rest(),
            Self::EventStream(splitter) => splitter.rest(),
        }
    }

    /// Bytes that wait for the end of their event.
    #[must_use]
    pub fn buffered(&self) -> usize {
        match self {
            Self::Events(splitter) => splitter.buffered(),
            Self::JsonArray(splitter) => splitter.buffered(),
            Self::EventStream(splitter) => splitter.buffered(),
        }
    }

    /// True when the piece handed out last was part of an event longer than
    /// [`MAX_EVENT`](crate::MAX_EVENT): pass it on, do not read it.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        match self {
            Self::Events(splitter) => splitter.is_raw(),
            Self::JsonArray(splitter) => splitter.is_raw(),
            Self::EventStream(splitter) => splitter.is_raw(),
        }
    }
}

impl Iterator for Frames {
    type Item = Bytes;

    /// The next whole event; `None` until more is pushed.
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Events(splitter) => splitter.next(),
            Self::JsonArray(splitter) => splitter.next(),
            Self::EventStream(splitter) => splitter.next(),
        }
    }
}
