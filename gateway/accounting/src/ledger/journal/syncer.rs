//! The background thread: brings records to the device, keeps segments ready, and tries again what
//! could not be written.
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

use super::{Shared, log::Log};

/// How long the thread waits before it tries again what the device has refused.
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
        let waker = SyncWaker { signals, thread: Some(thread.thread().clone()) };
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
        self.waker.wake();
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
    /// None in tests that do its work by hand.
    thread: Option<Thread>,
}

impl SyncWaker {
    /// Reaches nobody.
    #[cfg(test)]
    pub(super) fn of_nobody() -> Self {
        Self { signals: Arc::default(), thread: None }
    }

    /// A record was written.
    pub(super) fn written(&self, log: &Log) {
        if log.mark_dirty() {
            self.wake();
        }
    }

    /// Somebody waits for a record: do not wait for the interval.
    pub(super) fn request_sync(&self) {
        if !self.signals.sync_now.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// A reserved file was taken.
    pub(super) fn request_spares(&self) {
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
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
        let mut last_try = last_sync;
        loop {
            let stop = self.signals.stop.load(Ordering::Acquire);
            let urgent = self.signals.sync_now.swap(false, Ordering::AcqRel) || stop;
            let spares_ready = stop || self.shared.make_spares();
            if self.shared.is_failing() && (stop || last_try.elapsed() >= RETRY) {
                last_try = Instant::now();
                self.shared.revive();
            }
            if self.shared.is_dirty() && (urgent || last_sync.elapsed() >= interval) {
                last_sync = Instant::now();
                // A failure has been told to all who wait; what is left is tried again later.
                let _ = self.shared.sync_all();
            }
            if stop {
                return;
            }
            let pause = if self.shared.is_dirty() {
                interval.saturating_sub(last_sync.elapsed())
            } else if spares_ready && !self.shared.is_failing() {
                Duration::MAX
            } else {
                RETRY
            };
            if !pause.is_zero() {
                thread::park_timeout(pause);
            }
        }
    }
}
