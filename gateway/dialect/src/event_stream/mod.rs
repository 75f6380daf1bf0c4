//! Cutting an AWS event stream (`application/vnd.amazon.eventstream`) into its messages.
//!
//! Each message states its length in a prelude that has a checksum of its own, so that a length is
//! only trusted when it came as it was sent. Messages leave as the bytes that came; where a chunk
//! holds whole messages they are slices of it, without a copy.

mod message;

use bytes::Bytes;

use crate::{pending::Pending, sse::MAX_EVENT};

pub(crate) use message::{Kind, Message, write};
use message::{PRELUDE, Prelude};

/// An incremental splitter with the faces of [`Splitter`](crate::Splitter).
#[derive(Debug, Default)]
pub struct MessageSplitter {
    pending: Pending,
    /// So much is left of a message that is longer than [`MAX_EVENT`].
    oversized: usize,
    raw: bool,
    /// A prelude was damaged: where the next message begins is not known any more.
    damaged: bool,
}

impl MessageSplitter {
    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        self.pending.push(chunk);
    }

    /// The unfinished tail: a torn message, or all that stands behind damage.
    pub fn rest(&mut self) -> Bytes {
        self.pending.take(self.buffered())
    }

    /// Bytes that wait for the end of their message.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.pending.len()
    }

    /// True when the piece handed out last was part of a message longer than [`MAX_EVENT`].
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    fn take_raw(&mut self, most: usize) -> Option<Bytes> {
        let length = most.min(self.buffered());
        self.raw = true;
        (length > 0).then(|| self.pending.take(length))
    }

    fn take_whole(&mut self, length: usize) -> Option<Bytes> {
        self.raw = false;
        Some(self.pending.take(length))
    }
}

impl Iterator for MessageSplitter {
    type Item = Bytes;

    /// The next whole message; `None` until more is pushed. A damaged prelude is handed out alone, so
    /// that whoever reads it sees the damage, and nothing follows it but [`rest`](Self::rest).
    fn next(&mut self) -> Option<Bytes> {
        if self.damaged {
            return if self.buffered() > MAX_EVENT { self.take_raw(usize::MAX) } else { None };
        }
        if self.oversized == 0 {
            let front = self.pending.front().get(..PRELUDE)?;
            match Prelude::of(front) {
                None => {
                    self.damaged = true;
                    return self.take_whole(PRELUDE);
                }
                Some(prelude) if prelude.total > MAX_EVENT => self.oversized = prelude.total,
                Some(prelude) if prelude.total <= self.buffered() => return self.take_whole(prelude.total),
                Some(_) => return None,
            }
        }
        let piece = self.take_raw(self.oversized)?;
        self.oversized -= piece.len();
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &[u8]) -> Vec<u8> {
        write(&[(":message-type", "event"), (":event-type", "e")], payload)
    }

    fn split(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut splitter = MessageSplitter::default();
        let mut messages = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            messages.extend(splitter.by_ref());
        }
        messages.push(splitter.rest());
        messages
    }

    #[test]
    fn a_stream_is_cut_the_same_wherever_its_chunks_end() {
        let sent = [message(b"{}"), message(b""), message(&[b'x'; 300])];
        let stream = [sent.concat(), message(b"torn")[..20].to_vec()].concat();
        let whole = split(&[&stream]);
        assert_eq!(whole[..3], sent.map(Bytes::from));
        assert_eq!(whole[3].len(), 20);
        for cut in 0..stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(split(&[head, tail]), whole, "{cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(split(&bytes), whole);
    }

    #[test]
    fn whole_messages_are_slices_of_their_chunk() {
        let chunk = Bytes::from([message(b"1"), message(b"2")].concat());
        let mut splitter = MessageSplitter::default();
        splitter.push(chunk.clone());
        let first = splitter.next().expect("a message");
        assert_eq!(first.as_ptr(), chunk.as_ptr());
        assert_eq!(splitter.next().map(|second| second.len()), Some(chunk.len() - first.len()));
        assert_eq!((splitter.next(), splitter.buffered()), (None, 0));
    }

    #[test]
    fn behind_a_damaged_prelude_nothing_is_taken_for_a_message() {
        for bit in 0..PRELUDE * 8 {
            let mut damaged = message(b"2");
            damaged[bit / 8] ^= 1 << (bit % 8);
            let stream = [message(b"1"), damaged.clone(), message(b"3")].concat();
            let messages = split(&[&stream]);
            assert_eq!(messages.len(), 3, "bit {bit}");
            assert_eq!(messages[1], damaged[..PRELUDE], "bit {bit}");
            assert!(Message::parse(&messages[1]).is_none(), "bit {bit}");
            assert_eq!(messages.concat(), stream, "bit {bit}");
        }
    }

    #[test]
    fn an_endless_message_passes_on_raw_in_bounded_memory() {
        let long = message(&vec![b'x'; MAX_EVENT + 5_000_000]);
        let mut splitter = MessageSplitter::default();
        let mut passed = Vec::new();
        for chunk in long.chunks(1 << 20) {
            splitter.push(Bytes::copy_from_slice(chunk));
            for piece in splitter.by_ref() {
                passed.extend_from_slice(&piece);
            }
            assert!(splitter.is_raw() && splitter.buffered() <= MAX_EVENT);
        }
        assert!(passed == long);
        splitter.push(message(b"1").into());
        assert_eq!(splitter.next().as_deref(), Some(&message(b"1")[..]));
        assert!(!splitter.is_raw());
    }

    #[test]
    fn what_follows_damage_is_not_kept_without_bound() {
        let mut splitter = MessageSplitter::default();
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        let mut passed = 0;
        for _ in 0..40 {
            splitter.push(chunk.clone());
            passed += splitter.by_ref().map(|piece| piece.len()).sum::<usize>();
            assert!(splitter.buffered() <= MAX_EVENT);
        }
        assert_eq!(passed + splitter.buffered(), 40 << 20);
    }
}
