//! When a stream becomes the answer: at its first content event.
//!
//! What comes before it (role preludes, pings, comments) is held back, so that a stream which dies
//! before it said anything can still be replaced by another target's.

use std::{collections::VecDeque, future::poll_fn};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, response};
use hyper::body::Incoming;
use tollgate_dialect::{Frames, Framing, SeenKind, StreamReader, StreamTranslation};

use super::failure::{Class, Failure};
use crate::{settle::Progress, upstream::Exchange};

/// More than this is not held back: such a stream is committed as it is.
const MOST_HELD: usize = 256 << 10;

/// A stream on its way to the client.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
    pub(crate) exchange: Exchange,
    pub(crate) splitter: Frames,
    pub(crate) reader: StreamReader,
    /// Events that are read and wait to be sent, oldest first.
    pub(crate) held: VecDeque<Bytes>,
    /// The last event read: its meaning is known, its bytes are not in `held` yet.
    pub(crate) last: Option<(SeenKind, Bytes)>,
    /// Into the client's dialect, where the target speaks another.
    pub(crate) translation: Option<StreamTranslation>,
    /// What was left out of the request.
    pub(crate) dropped: Option<HeaderValue>,
}

impl Stream {
    /// A stream that is cut so; one that did not say what it is is told to the client as that.
    pub(super) fn new(
        mut head: response::Parts,
        body: Incoming,
        exchange: Exchange,
        framing: Framing,
        reader: StreamReader,
    ) -> Self {
        let content_type = HeaderValue::from_static(framing.content_type());
        head.headers.entry(header::CONTENT_TYPE).or_insert(content_type);
        Self {
            status: head.status,
            headers: head.headers,
            body,
            exchange,
            splitter: framing.splitter(),
            reader: reader.framed(framing),
            held: VecDeque::new(),
            last: None,
            translation: None,
            dropped: None,
        }
    }
}

/// Reads until the first content event.
pub(super) async fn hold(mut stream: Stream, progress: &Progress) -> Result<Stream, Failure> {
    let mut held = 0;
    loop {
        while let Some(event) = stream.splitter.next() {
            held += event.len();
            let seen = stream.reader.event(&event);
            match seen.kind {
                SeenKind::Error(fault) => return Err(Failure::of(Class::Said(fault))),
                SeenKind::Broken => return Err(Failure::of(Class::Protocol)),
                SeenKind::Prelude if held < MOST_HELD => {
                    // Some providers state the input before they say a word; it is known even if none comes.
                    if let Some(usage) = stream.reader.reported().and_then(|reported| reported.usage) {
                        progress.tells(usage);
                    }
                    if !seen.hide {
                        stream.held.push_back(event);
                    }
                }
                kind => {
                    if !seen.hide {
                        stream.last = Some((kind, event));
                    }
                    return Ok(stream);
                }
            }
        }
        match poll_fn(|cx| stream.exchange.poll_frame(&mut stream.body, cx)).await {
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    stream.splitter.push(chunk);
                }
            }
            Some(Err(_)) | None => return Err(Failure::of(Class::CutShort)),
        }
    }
}
