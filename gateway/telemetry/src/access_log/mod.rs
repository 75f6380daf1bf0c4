//! One JSON line per request, written by one thread beside the cores.
//!
//! A core formats lines into a buffer of its own ([`AccessWriter`]) and hands full buffers over; it
//! never waits. When the destination is slower than the traffic, whole buffers are dropped and
//! their lines counted.

mod line;
mod sink;
mod writer;

pub use line::AccessLine;
pub use sink::{AccessLogError, Destination};
pub use writer::AccessWriter;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use metrics::Counter;
use parking_lot::Mutex;

use self::sink::Sink;
use crate::catalogue::DROPPED;

/// Buffers that may wait for the thread: 4 MiB of lines, about 6,000 requests.
const QUEUE: usize = 64;

/// The access log of a process: its destination and the thread that writes there.
pub struct AccessLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

/// Whether the last lines reached the destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Drained {
    /// All that writers had handed over is written.
    Yes,
    /// The destination did not take them in time.
    TimedOut,
}

impl AccessLog {
    /// Opens the destination and starts the thread.
    ///
    /// # Errors
    /// When a file cannot be opened, or the thread cannot be started.
    pub fn open(destination: Destination) -> Result<Self, AccessLogError> {
        Self::start(Sink::open(destination)?)
    }

    /// A writer for one core.
    #[must_use]
    pub fn writer(&self) -> AccessWriter {
        AccessWriter::new(self.queue.clone(), Arc::clone(&self.shared))
    }

    /// Asks for the file to be opened anew by its name, after it was moved away by a log rotation.
    /// Takes effect with the next lines; a file that cannot be opened leaves the old one in use.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// Writes what writers have handed over and ends the thread. Call it after the writers have
    /// been dropped or flushed: what they hand over later is dropped. Waits for `patience` at most.
    pub fn shutdown(self, patience: Duration) -> Drained {
        let deadline = Instant::now() + patience;
        let mut message = Message::End;
        while let Err(TrySendError::Full(unsent)) = self.queue.try_send(message) {
            if Instant::now() >= deadline {
                return Drained::TimedOut;
            }
            message = unsent;
            thread::sleep(Duration::from_millis(1));
        }
        match self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Drained::Yes,
            Err(RecvTimeoutError::Timeout) => Drained::TimedOut,
        }
    }

    fn start(sink: Sink) -> Result<Self, AccessLogError> {
        let (queue, lines) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let dropped = DROPPED.counter(vec![metrics::Label::from_static_parts("signal", "access_log")]);
        let shared = Arc::new(Shared { reopen: AtomicBool::new(false), spare: Mutex::default(), dropped });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                write_until_end(sink, &lines, &of_thread);
                let _nobody_may_wait = end.send(());
            })
            .map_err(AccessLogError::Thread)?;
        Ok(Self { queue, shared, ended })
    }
}

/// What cores and the thread share.
struct Shared {
    reopen: AtomicBool,
    /// Written buffers on their way back to the cores.
    spare: Mutex<Vec<Vec<u8>>>,
    dropped: Counter,
}

enum Message {
    Lines { bytes: Vec<u8>, count: u64 },
    End,
}

fn write_until_end(mut sink: Sink, queue: &Receiver<Message>, shared: &Shared) {
    while let Ok(Message::Lines { mut bytes, count }) = queue.recv() {
        if shared.reopen.swap(false, Ordering::AcqRel) {
            sink.reopen();
        }
        if !sink.write(&bytes) {
            shared.dropped.increment(count);
        }
        bytes.clear();
        let mut spare = shared.spare.lock();
        if spare.len() < QUEUE {
            spare.push(bytes);
        }
    }
}
