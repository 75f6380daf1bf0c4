//! What has come of a stream and is not cut into events yet.

use bytes::{Bytes, BytesMut};

/// Bytes of a stream in their order. While one chunk holds all of them, what is taken is a slice of it
/// and no copy.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// An unfinished event that began in a former chunk, and what came since.
    held: BytesMut,
    /// The current chunk; empty while anything is held.
    chunk: Bytes,
}

impl Pending {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.held.is_empty() && self.chunk.is_empty() {
            self.chunk = chunk;
            return;
        }
        self.held.extend_from_slice(&self.chunk);
        self.chunk.clear();
        self.held.extend_from_slice(&chunk);
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len() + self.chunk.len()
    }

    /// All that is there.
    pub(crate) fn front(&self) -> &[u8] {
        if self.held.is_empty() { &self.chunk } else { &self.held }
    }

    /// Takes so many bytes from the front; there are as many.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        if self.held.is_empty() { self.chunk.split_to(length) } else { self.held.split_to(length).freeze() }
    }
}
