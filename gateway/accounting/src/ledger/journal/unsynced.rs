//! The records that the device has not confirmed, kept so that they can be written elsewhere.
//!
//! When a sync fails, the system may have dropped what it could not write; only this memory still
//! has it. What it holds is bounded by admission, which stops while too much is unconfirmed.

use super::record;

/// Whole frames in the order of their numbers, by how far they have come.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// Written, and part of the sync that runs or last ran.
    syncing: Vec<u8>,
    /// Written since that sync began.
    fresh: Vec<u8>,
    /// Not written: there is no file that takes them.
    waiting: Vec<u8>,
}

/// Memory beyond this is given back once its records are on the device.
const KEPT: usize = 1024 * 1024;

impl Unsynced {
    /// Records that stand in the file.
    pub(super) fn wrote(&mut self, frames: &[u8]) {
        self.fresh.extend_from_slice(frames);
    }

    /// A record that stands nowhere but here.
    pub(super) fn wait(&mut self, frame: &[u8]) {
        self.waiting.extend_from_slice(frame);
    }

    /// A sync begins; it covers all that is in the file now.
    pub(super) fn begin_sync(&mut self) {
        if self.syncing.is_empty() {
            std::mem::swap(&mut self.syncing, &mut self.fresh);
        } else {
            self.syncing.append(&mut self.fresh);
        }
    }

    /// That sync has succeeded.
    pub(super) fn end_sync(&mut self) {
        self.syncing.clear();
        self.syncing.shrink_to(KEPT);
    }

    /// Every record, oldest first.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        [&self.syncing, &self.fresh, &self.waiting].into_iter().flat_map(|part| record::frames(part))
    }

    /// All of them stand in a new file now.
    pub(super) fn moved(&mut self) {
        self.begin_sync();
        self.syncing.append(&mut self.waiting);
        std::mem::swap(&mut self.syncing, &mut self.fresh);
    }

    /// Bytes that are held.
    pub(super) fn len(&self) -> u64 {
        (self.syncing.len() + self.fresh.len() + self.waiting.len()) as u64
    }
}
