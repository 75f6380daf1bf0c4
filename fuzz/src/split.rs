//! Splitters: where a stream is cut on its way changes nothing, and nothing of it is lost.

use bytes::Bytes;
use tollgate_dialect::Framing;

use crate::cut;

/// The events of a stream that comes in pieces, and last what is left of it.
pub(crate) fn split(framing: Framing, pieces: &[&[u8]]) -> Vec<Bytes> {
    let mut splitter = framing.splitter();
    let mut events = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        for event in splitter.by_ref() {
            assert!(!event.is_empty(), "an event without a byte");
            events.push(event);
        }
    }
    let (waits, rest) = (splitter.buffered(), splitter.rest());
    assert_eq!((waits, splitter.buffered()), (rest.len(), 0));
    events.push(rest);
    events
}

pub(crate) fn check(framing: Framing, bytes: &[u8]) {
    let whole = split(framing, &[bytes]);
    assert_eq!(whole.concat(), bytes, "the events together are the stream");
    for pieces in cut::ways(bytes) {
        assert_eq!(split(framing, &pieces), whole, "in {} pieces", pieces.len());
    }
    if framing == Framing::Events {
        whole.iter().for_each(is_one);
    }
}

/// A blank line ends an event, so that none is inside one.
fn is_one(event: &Bytes) {
    let again = split(Framing::Events, &[event]);
    let parts = again.iter().filter(|part| !part.is_empty()).count();
    assert!(parts <= 1, "an event holds {parts}: {again:?}");
}
