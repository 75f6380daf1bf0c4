//! The one body type of all answers; an enum, so that no answer pays for a box it does not need.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::stream::StreamBody;
use crate::listen::InFlight;

/// The body of an answer.
pub(crate) struct Body {
    kind: Kind,
    /// Tells the connection that the answer is still on its way.
    in_flight: Option<InFlight>,
    /// The connection ends with this answer although its client is still sending.
    parts: bool,
}

enum Kind {
    Full(Bytes),
    Stream(Box<StreamBody>),
}

impl Body {
    /// A body that is in hand.
    pub(crate) const fn full(bytes: Bytes) -> Self {
        Self { kind: Kind::Full(bytes), in_flight: None, parts: false }
    }

    /// A body that is still being made.
    pub(super) fn stream(stream: StreamBody) -> Self {
        Self { kind: Kind::Stream(Box::new(stream)), in_flight: None, parts: false }
    }

    /// The same as the last of its connection.
    pub(crate) fn parting(self) -> Self {
        Self { parts: true, ..self }
    }

    /// True when the connection ends with this answer although its client is still sending.
    pub(crate) const fn parts(&self) -> bool {
        self.parts
    }

    /// Keeps a request in flight while this answer is on its way.
    pub(crate) fn in_flight(mut self, in_flight: InFlight) -> Self {
        self.in_flight = Some(in_flight);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.kind {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream(stream) => stream.poll_next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}
