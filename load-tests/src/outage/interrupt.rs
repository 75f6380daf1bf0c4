//! Ctrl-C ends a run in order: whatever waits gives up, and what was started is taken down by its owner.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// How soon a wait notices.
const STEP: Duration = Duration::from_millis(50);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens for SIGINT and SIGTERM from now on, on a thread of its own that ends with the process.
pub(super) fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            eprintln!("stopping");
            ASKED.store(true, Ordering::Relaxed);
        });
    })?;
    Ok(())
}

/// Whether somebody wants the run to end.
pub(super) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Waits for as long.
///
/// # Errors
/// When the run is to end.
pub(super) fn pause(wait: Duration) -> Result<()> {
    pause_until(Instant::now() + wait)
}

/// The same until an instant.
pub(super) fn pause_until(end: Instant) -> Result<()> {
    loop {
        if is_asked() {
            bail!("interrupted");
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(STEP));
    }
}
