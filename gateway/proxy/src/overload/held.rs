//! The bytes of one request's body: counted when they are taken, given back with the last who holds them.

use std::{rc::Rc, sync::atomic::Ordering};

use super::{
    Shed,
    memory::{Mark, SMALL_BODY},
};
use crate::worker::Worker;

/// So many bytes are held for a client. Dropped with the body.
pub(crate) struct Held {
    worker: Rc<Worker>,
    bytes: u64,
}

impl Held {
    /// Counts the bytes that a request has announced, before they come: whoever may begin to send may
    /// also finish. `most` bounds the bytes of all requests.
    ///
    /// # Errors
    /// There is no room for them; nothing is counted then.
    pub(crate) fn announced(worker: &Rc<Worker>, bytes: u64, most: u64) -> Result<Self, Shed> {
        let mut held = Self { worker: Rc::clone(worker), bytes: 0 };
        held.count(bytes, most)?;
        Ok(held)
    }

    /// So many bytes have come in all. Only those beyond what was announced are counted now.
    ///
    /// # Errors
    /// There is no room for them.
    pub(crate) fn has_come(&mut self, total: usize, most: u64) -> Result<(), Shed> {
        let beyond = (total as u64).saturating_sub(self.bytes);
        if beyond == 0 {
            return Ok(());
        }
        if total as u64 > SMALL_BODY && self.worker.shared.live.gate.memory.mark() != Mark::Low {
            return Err(Shed::MemorySoft);
        }
        self.count(beyond, most)
    }

    fn count(&mut self, bytes: u64, most: u64) -> Result<(), Shed> {
        if bytes == 0 {
            return Ok(());
        }
        let all = &self.worker.shared.live.gate.bytes;
        let with_them = |held: u64| held.checked_add(bytes).filter(|held| *held <= most);
        all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_them).map_err(|_| Shed::BytesHeld)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.worker.shared.live.gate.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}
