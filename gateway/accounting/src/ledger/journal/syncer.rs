//! The background thread: brings records to the device and keeps segments ready.
//!
//! It sleeps while nothing is written. A log that turns dirty wakes it once, not once per record.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use super::{Shared, writer::LogState};

/// How long the thread waits before it tries again to reserve space that the device did not have.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Syncer {
    waker: SyncWaker,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let signals = Arc::new(Signals::default());
        let run = Run { shared, signals: signals.clone() };
        let thread =
            thread::Builder::new().name("journal-sync".to_owned()).spawn(move || run.until_stopped())?;
        let waker = SyncWaker { signals, thread: thread.thread().clone() };
        Ok(Self { waker, thread: Some(thread) })
    }

    pub(super) fn waker(&self) -> SyncWaker {
        self.waker.clone()
    }
}

impl Drop for Syncer {
    /// Waits for the last sync.
    fn drop(&mut self) {
        self.waker.signals.stop.store(true, Ordering::Release);
        self.waker.thread.unpark();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by then; there is nothing left to undo.
            let _ = thread.join();
        }
    }
}

/// How writers and waiters reach the thread.
#[derive(Clone, Debug)]
pub(super) struct SyncWaker {
    signals: Arc<Signals>,
    thread: Thread,
}

impl SyncWaker {
    /// A record was written.
    pub(super) fn written(&self, log: &LogState) {
        if log.mark_dirty() {
            self.thread.unpark();
        }
    }

    /// Somebody waits for a record: do not wait for the interval.
    pub(super) fn request_sync(&self) {
        if !self.signals.sync_now.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    /// A reserved file was taken.
    pub(super) fn request_spares(&self) {
        self.thread.unpark();
    }
}

#[derive(Debug, Default)]
struct Signals {
    sync_now: AtomicBool,
    stop: AtomicBool,
}

struct Run {
    shared: Arc<Shared>,
    signals: Arc<Signals>,
}

impl Run {
    fn until_stopped(self) {
        let interval = self.shared.options.sync_interval;
        let mut last_sync = Instant::now();
        loop {
            let stop = self.signals.stop.load(Ordering::Acquire);
            let urgent = self.signals.sync_now.swap(false, Ordering::AcqRel) || stop;
            let spares_ready = stop || self.make_spares();
            let dirty = self.is_dirty();
            if dirty && (urgent || last_sync.elapsed() >= interval) && self.shared.is_healthy() {
                last_sync = Instant::now();
                // A failure has poisoned the journal and woken all who wait; there is no retry.
                let _ = self.shared.sync_all();
                self.shared.logs.write().retain(|log| !log.is_done());
            }
            if stop {
                return;
            }
            let pause = if self.is_dirty() && self.shared.is_healthy() {
                interval.saturating_sub(last_sync.elapsed())
            } else if spares_ready {
                Duration::MAX
            } else {
                RETRY
            };
            if !pause.is_zero() {
                thread::park_timeout(pause);
            }
        }
    }

    /// A log that somebody waits for counts too: its record may have been synced in between.
    fn is_dirty(&self) -> bool {
        self.shared.logs.read().iter().any(|log| log.is_dirty() || log.has_waiting())
    }

    fn make_spares(&self) -> bool {
        while self.shared.is_healthy() && self.shared.spares.lock().len() < self.shared.spares_wanted() {
            if self.shared.make_spare().is_err() {
                return false;
            }
        }
        true
    }
}
