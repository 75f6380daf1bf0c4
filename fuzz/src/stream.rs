//! Streamed answers: a stream is metered alike wherever it is cut, and takes no more than is stated.

use bytes::Bytes;
use tollgate_dialect::{
    Dialect, ErrorFace, Framing, Operation, Reported, Seen, SeenKind, StreamReader, error_message_of_event,
};

use crate::{cut, known, reply, split::split};

const FACE: ErrorFace<'_> =
    ErrorFace { status: 502, code: "upstream_truncated", message: "cut", param: None, request_id: "r" };

/// All that a reader says of a stream.
#[derive(Debug, PartialEq)]
struct Reading {
    seen: Vec<Seen>,
    reported: Option<Reported>,
    finished: bool,
    output_bytes: u64,
    output: u64,
}

pub(crate) fn check(dialect: Dialect, bytes: &[u8]) {
    for framing in known::FRAMINGS {
        let whole = split(framing, &[bytes]);
        for operation in known::streamed(dialect) {
            for hides in [true, false] {
                let mut reader = dialect.codec().reader(*operation, hides).framed(framing);
                let reading = read(&mut reader, &whole);
                is_fair(&reading, hides, bytes);
                if framing == known::framing_of(dialect) {
                    ends_in_the_open(&reader, framing, *operation);
                }
                // One other way of cutting: the splitters have all of them.
                if let (true, Some(pieces)) = (hides, cut::ways(bytes).pop()) {
                    let mut reader = dialect.codec().reader(*operation, hides).framed(framing);
                    let other = read(&mut reader, &split(framing, &pieces));
                    assert_eq!(other, reading, "{operation:?} in {} pieces", pieces.len());
                }
            }
        }
    }
}

fn read(reader: &mut StreamReader, events: &[Bytes]) -> Reading {
    let seen = events
        .iter()
        .map(|event| {
            let seen = reader.event(event);
            if let SeenKind::Error(_) = seen.kind {
                assert!(error_message_of_event(event).is_none_or(|message| !message.is_empty()));
            }
            seen
        })
        .collect();
    Reading {
        seen,
        reported: reader.reported().cloned(),
        finished: reader.finished(),
        output_bytes: reader.output_bytes(),
        output: reader.count_output(),
    }
}

fn is_fair(reading: &Reading, hides: bool, bytes: &[u8]) {
    if let Some(reported) = &reading.reported {
        reply::assert_stated(reported, bytes);
    }
    let ended = reading.seen.iter().any(|seen| seen.kind == SeenKind::End);
    assert!(!ended || reading.finished, "an end mark finishes a stream");
    assert!(hides || reading.seen.iter().all(|seen| !seen.hide), "what was asked for is shown");
    // Undoing an escape makes text shorter; bytes that are no text become a mark of three.
    assert!(reading.output_bytes <= 3 * bytes.len() as u64, "{reading:?}");
    assert!(reading.output <= reading.output_bytes, "a token has a byte: {reading:?}");
}

/// Whatever was read, our own error event is one whole event and the last.
fn ends_in_the_open(reader: &StreamReader, framing: Framing, operation: Operation) {
    let event = reader.error_event(&FACE);
    let events = split(framing, &[&event]);
    assert_eq!((events.len(), events.last().map(Bytes::len)), (2, Some(0)), "{operation:?}: {events:?}");
}
