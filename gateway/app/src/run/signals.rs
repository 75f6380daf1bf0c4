//! What the operating system tells the process: stop, stop at once, read the configuration again, open the
//! log again.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals as SystemSignals,
};

/// Signals, in the order they came.
pub(crate) struct Signals {
    events: Mutex<Receiver<Event>>,
    stops: Arc<AtomicUsize>,
}

enum Event {
    Stop,
    Reload,
    Reopen,
}

impl Signals {
    /// Takes SIGTERM, SIGINT, SIGHUP and SIGUSR1 over from the system.
    ///
    /// # Errors
    /// The system does not let it.
    pub(crate) fn install() -> io::Result<Self> {
        let mut system = SystemSignals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        let (send, events) = channel();
        let stops = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&stops);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in system.forever() {
                let event = match signal {
                    SIGHUP => Event::Reload,
                    SIGUSR1 => Event::Reopen,
                    _ => Event::Stop,
                };
                if matches!(event, Event::Stop) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                if send.send(event).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { events: Mutex::new(events), stops })
    }

    /// Waits until the process is to stop; `reload` is called for each SIGHUP before, `reopen` for each
    /// SIGUSR1.
    pub(crate) fn wait_for_stop(&self, reload: impl Fn(), reopen: impl Fn()) {
        let events = self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while let Ok(event) = events.recv() {
            match event {
                Event::Reload => reload(),
                Event::Reopen => reopen(),
                Event::Stop => return,
            }
        }
    }

    /// Waits, unless a second signal says to hurry.
    pub(super) fn pause(&self, duration: Duration) {
        let events = self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let until = Instant::now() + duration;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match events.recv_timeout(left) {
                Ok(Event::Reload | Event::Reopen) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// True once the process was told to stop more than once.
    pub(super) fn stop_again(&self) -> bool {
        self.stops.load(Ordering::Relaxed) > 1
    }
}
