//! What a stream has for its client: whole events, and as few pieces of them as can be.

use std::collections::VecDeque;

use bytes::Bytes;

/// What waits to be sent. Neighbouring events of one chunk are sent as one piece.
#[derive(Default)]
pub(super) struct Outgoing {
    queue: VecDeque<Bytes>,
    /// From the end mark on, until the record is durable.
    held: Option<VecDeque<Bytes>>,
    /// The chunk that the splitter cuts events from.
    chunk: Bytes,
    /// The part of it that is passed on next.
    run: Option<(usize, usize)>,
}

impl Outgoing {
    pub(super) fn began(&mut self, chunk: Bytes) {
        self.end_run();
        self.chunk = chunk;
    }

    pub(super) fn push(&mut self, event: Bytes) {
        if event.is_empty() {
            return;
        }
        match (self.place_in_chunk(&event), self.run) {
            (Some((start, end)), Some((first, last))) if start == last => self.run = Some((first, end)),
            (Some(place), _) => {
                self.end_run();
                self.run = Some(place);
            }
            (None, _) => {
                self.end_run();
                self.target().push_back(event);
            }
        }
    }

    /// Where an event lies in the chunk, if it is a slice of it and not a copy.
    fn place_in_chunk(&self, event: &Bytes) -> Option<(usize, usize)> {
        let start = event.as_ptr().addr().checked_sub(self.chunk.as_ptr().addr())?;
        let end = start.checked_add(event.len())?;
        (end <= self.chunk.len()).then_some((start, end))
    }

    fn end_run(&mut self) {
        if let Some((start, end)) = self.run.take() {
            let piece = self.chunk.slice(start..end);
            self.target().push_back(piece);
        }
    }

    fn target(&mut self) -> &mut VecDeque<Bytes> {
        self.held.as_mut().unwrap_or(&mut self.queue)
    }

    /// From now on, nothing leaves until [`release`](Self::release).
    pub(super) fn hold_back(&mut self) {
        self.end_run();
        self.held = Some(VecDeque::new());
    }

    pub(super) fn release(&mut self) {
        self.end_run();
        if let Some(held) = self.held.take() {
            self.queue.extend(held);
        }
    }

    pub(super) fn drop_held(&mut self) {
        self.run = None;
        self.held = None;
    }

    /// True when something waits that may leave.
    pub(super) fn has_more(&self) -> bool {
        !self.queue.is_empty() || (self.held.is_none() && self.run.is_some())
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.queue.pop_front() {
            return Some(bytes);
        }
        if self.held.is_some() {
            return None;
        }
        let (start, end) = self.run.take()?;
        Some(self.chunk.slice(start..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(chunk: &'static [u8]) -> (Outgoing, Bytes) {
        let chunk = Bytes::from_static(chunk);
        let mut out = Outgoing::default();
        out.began(chunk.clone());
        (out, chunk)
    }

    #[test]
    fn neighbouring_events_of_one_chunk_leave_in_one_piece() {
        let (mut out, chunk) = outgoing(b"aabbcc");
        out.push(chunk.slice(0..2));
        out.push(chunk.slice(2..4));
        out.push(chunk.slice(4..6));
        assert_eq!(out.pop().as_deref(), Some(&b"aabbcc"[..]));
        assert_eq!(out.pop(), None);
    }

    #[test]
    fn a_hidden_event_splits_the_piece() {
        let (mut out, chunk) = outgoing(b"aabbcc");
        out.push(chunk.slice(0..2));
        out.push(chunk.slice(4..6));
        out.push(Bytes::from_static(b"elsewhere"));
        let pieces: Vec<_> = std::iter::from_fn(|| out.pop()).collect();
        assert_eq!(pieces, [&b"aa"[..], b"cc", b"elsewhere"]);
    }

    #[test]
    fn what_is_held_back_leaves_only_when_released() {
        let (mut out, chunk) = outgoing(b"aabb");
        out.push(chunk.slice(0..2));
        out.hold_back();
        out.push(chunk.slice(2..4));
        assert_eq!(out.pop().as_deref(), Some(&b"aa"[..]));
        assert_eq!(out.pop(), None);
        out.release();
        assert_eq!(out.pop().as_deref(), Some(&b"bb"[..]));
    }
}
