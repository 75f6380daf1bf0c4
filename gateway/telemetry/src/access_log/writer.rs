//! A core's side of the access log.

use std::sync::{
    Arc,
    mpsc::{SyncSender, TrySendError},
};

use super::{AccessLine, Message, Shared};

/// Bytes at which a buffer is handed over.
const FULL: usize = 64 * 1024;
/// Room above [`FULL`] for the line that reaches it, so that a warm buffer does not grow.
const CAPACITY: usize = FULL + 8 * 1024;

/// Formats the lines of one core. Never waits: a line is lost before a request is.
pub struct AccessWriter {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    lines: u64,
}

impl AccessWriter {
    pub(super) fn new(queue: SyncSender<Message>, shared: Arc<Shared>) -> Self {
        Self { queue, shared, buffer: Vec::with_capacity(CAPACITY), lines: 0 }
    }

    /// Adds a line, which reaches the destination when the buffer is full or flushed.
    pub fn write(&mut self, line: &AccessLine<'_>) {
        line.write_to(&mut self.buffer);
        self.lines += 1;
        if self.buffer.len() >= FULL {
            self.flush();
        }
    }

    /// Hands over what has been written, without waiting for it to arrive. The core calls this
    /// every 100 ms, so that lines of a quiet hour are seen.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.buffer);
        let count = std::mem::take(&mut self.lines);
        self.buffer = match self.queue.try_send(Message::Lines { bytes, count }) {
            Ok(()) => self.shared.spare.lock().pop().unwrap_or_else(|| Vec::with_capacity(CAPACITY)),
            Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) => {
                self.shared.dropped.increment(count);
                unsent.into_empty_buffer()
            }
        };
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.flush();
    }
}
