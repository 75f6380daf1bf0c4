//! A planned answer: status, headers, the body in pieces, and where it breaks.

use std::ops::Range;
use std::time::Duration;

use super::{Family, Headers, Stamp, gemini};
use crate::book::Usage;
use crate::{At, Fault, Framing, Incoming, Operation, event_stream};

/// What will be sent.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    /// The body's cuts in order; the last one ends it.
    pub(crate) pieces: Vec<Cut>,
    /// Wait before the head.
    pub(crate) delay: Duration,
    /// What happens instead of a proper end.
    pub(crate) breaks: Option<Break>,
    /// Bytes that `content-length` promises beyond the body.
    pub(crate) promised: u64,
    pub(crate) usage: Usage,
    /// Whether the body, if whole, says `usage`.
    pub(crate) tells_usage: bool,
    /// Which pieces are content, so that faults can count them.
    pub(crate) content: Range<usize>,
    /// Whether the body is one piece, which faults count as two halves.
    pub(crate) is_plain: bool,
    /// Output tokens that a stream states before its first word.
    pub(crate) opening: u64,
    /// Whether a stream tells an error.
    pub(crate) says_error: bool,
}

/// A piece of the body: where it ends, and the wait before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) end: usize,
    pub(crate) pause: Duration,
}

/// A break of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    /// After so many bytes on the wire; after all pieces when absent.
    pub(crate) at: Option<u64>,
    pub(crate) how: How,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    Reset,
    Close,
    Stall,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            framing: Framing::Length,
            body: Vec::new(),
            pieces: Vec::new(),
            delay: Duration::ZERO,
            breaks: None,
            promised: 0,
            usage: Usage::default(),
            tells_usage: false,
            content: 0..0,
            is_plain: false,
            opening: 0,
            says_error: false,
        }
    }
}

impl Plan {
    /// Adds a piece.
    pub(crate) fn push(&mut self, pause: Duration, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.body);
        self.pieces.push(Cut { end: self.body.len(), pause });
    }

    /// The pieces with the wait before each.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Duration, &[u8])> {
        let mut start = 0;
        self.pieces.iter().map(move |cut| {
            let piece = &self.body[start..cut.end];
            start = cut.end;
            (cut.pause, piece)
        })
    }

    /// Words among the first `sent` bytes of the body.
    pub(crate) fn words_within(&self, sent: usize) -> u64 {
        let content = self.pieces.iter().take(self.content.end).skip(self.content.start);
        content.filter(|cut| cut.end <= sent).count() as u64
    }

    /// Works a fault into the answer.
    pub(super) fn apply(&mut self, fault: Fault, family: Family, incoming: &Incoming, stamp: &Stamp) {
        match fault {
            // Taken from the queue when a connection is accepted; asked for in a reply it is the
            // nearest thing, a reset before the head.
            Fault::Refuse => self.breaks = Some(Break { at: Some(0), how: How::Reset }),
            Fault::Reset(at) => self.break_at(at, How::Reset),
            Fault::Close(at) => self.break_at(at, How::Close),
            Fault::Stall(at) => self.break_at(at, How::Stall),
            Fault::EndEarly(chunks) => self.keep_content(chunks),
            Fault::ErrorEvent(chunks) => {
                self.keep_content(chunks);
                self.says_error = true;
                let event = error_event(family, incoming, stamp, !self.body.is_empty());
                self.push(Duration::ZERO, |body| body.extend_from_slice(&event));
            }
            Fault::Trickle(pause) => {
                let pause = Duration::from_millis(pause);
                self.pieces = (1..=self.body.len()).map(|end| Cut { end, pause }).collect();
            }
            Fault::MalformedBody => {
                let half = self.body.len() / 2;
                self.replace_body(half);
            }
            Fault::WrongContentType => {
                self.set_content_type("text/html; charset=utf-8");
                self.framing = Framing::Length;
                self.replace_body(0);
                self.push(Duration::ZERO, |body| {
                    body.extend_from_slice(b"<html><body><h1>It works!</h1></body></html>\n");
                });
            }
            Fault::ShortBody => {
                self.framing = Framing::Length;
                self.promised = 10;
                self.breaks = Some(Break { at: None, how: How::Close });
            }
        }
    }

    fn break_at(&mut self, at: At, how: How) {
        let at = match at {
            At::Byte(byte) => Some(byte),
            At::Chunk(chunks) => {
                let announced = self.body.len();
                self.keep_content(chunks);
                self.promised = (announced - self.body.len()) as u64;
                None
            }
        };
        self.breaks = Some(Break { at, how });
    }

    /// Drops all that follows so many content pieces.
    fn keep_content(&mut self, chunks: u32) {
        if self.is_plain {
            let whole = self.body.len();
            self.replace_body([0, whole / 2].get(chunks as usize).copied().unwrap_or(whole));
            return;
        }
        let chunks = usize::try_from(chunks).unwrap_or(usize::MAX);
        let kept = self.content.start.saturating_add(chunks).min(self.content.end);
        self.pieces.truncate(kept);
        self.content.end = kept;
        self.body.truncate(self.pieces.last().map_or(0, |cut| cut.end));
        self.tells_usage = false;
    }

    /// Keeps only the first bytes, as one piece that no longer tells the usage.
    fn replace_body(&mut self, kept: usize) {
        self.body.truncate(kept);
        self.pieces = vec![Cut { end: kept, pause: Duration::ZERO }];
        self.tells_usage = false;
    }

    fn set_content_type(&mut self, value: &'static str) {
        self.headers.retain(|(name, _)| name != "content-type");
        self.headers.insert(0, ("content-type".into(), value.into()));
    }
}

/// The event with which a provider says that a stream has failed.
fn error_event(family: Family, incoming: &Incoming, stamp: &Stamp, began: bool) -> Vec<u8> {
    let text = match (family, incoming.operation) {
        (Family::Bedrock, _) => {
            return event_stream::exception("serviceUnavailableException", "{\"message\":\"Overloaded\"}");
        }
        (Family::Gemini, _) => gemini::error_event(gemini::wants_events(incoming), began),
        (Family::Anthropic, _) => format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\
             \"message\":\"Overloaded\",\"details\":null}},\"request_id\":\"{}\"}}\n\n",
            stamp.request_id
        ),
        (_, Operation::Responses) => "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\
             \"message\":\"The server had an error while processing your request\",\"param\":null,\
             \"sequence_number\":99}\n\n"
            .to_owned(),
        _ => "data: {\"error\":{\"message\":\"The server had an error while processing your request\",\
             \"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n"
            .to_owned(),
    };
    text.into_bytes()
}
