//! One JSON line per request, written by one thread beside the cores.
//!
//! A core formats lines into a buffer of its own ([`AccessWriter`]) and hands full buffers over; it
//! never waits. When the destination is slower than the traffic, whole buffers are dropped and
//! their lines counted.

mod json;
mod line;
mod rotation;
mod sink;
mod writer;

pub use line::AccessLine;
pub use rotation::Rotation;
pub use sink::{AccessLogError, Destination};
pub use writer::AccessWriter;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
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
    /// The destination did not take them in time, or the thread had died.
    No,
}

impl AccessLog {
    /// Opens the destination and starts the thread. Lost lines are counted in the exposition that
    /// is installed at this moment.
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
                return Drained::No;
            }
            message = unsent;
            thread::sleep(Duration::from_millis(1));
        }
        match self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => Drained::Yes,
            Err(_) => Drained::No,
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

impl Message {
    /// The buffer of lines that go nowhere, to be used again.
    fn into_empty_buffer(self) -> Vec<u8> {
        match self {
            Self::Lines { mut bytes, .. } => {
                bytes.clear();
                bytes
            }
            Self::End => Vec::new(),
        }
    }
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

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{self, Write},
        path::Path,
    };

    use super::{line::tests::plain, *};
    use crate::Exposition;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn lines_of_all_writers_reach_the_file() {
        let folder = tempfile::tempdir().expect("a folder for the log");
        let path = folder.path().join("access.log");
        let log = AccessLog::open(Destination::File(path.clone(), None)).expect("opens");
        thread::scope(|cores| {
            for _ in 0..2 {
                let mut writer = log.writer();
                cores.spawn(move || (0..1_000).for_each(|_| writer.write(&plain())));
            }
        });
        assert_eq!(log.shutdown(PATIENCE), Drained::Yes);
        assert_eq!(lines_in(&path), 2_000);
    }

    #[test]
    fn a_log_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder for the log");
        let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        fs::write(&path, "from an earlier run\n").expect("writes");
        let log = AccessLog::open(Destination::File(path.clone(), None)).expect("opens");
        fs::rename(&path, &moved).expect("moves");
        log.reopen();
        let mut writer = log.writer();
        writer.write(&plain());
        drop(writer);
        assert_eq!(log.shutdown(PATIENCE), Drained::Yes);
        assert_eq!((lines_in(&moved), lines_in(&path)), (1, 1));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = AccessLog::open(Destination::File("/nonexistent/access.log".into(), None)).err();
        let told = error.expect("refused").to_string();
        assert!(told.starts_with("access log /nonexistent/access.log: "), "{told}");
    }

    #[test]
    fn a_full_disk_costs_lines_which_are_counted_and_nothing_else() {
        // A device that is always full.
        let exposition = Exposition::new();
        let destination = Destination::File("/dev/full".into(), None);
        let log = exposition.scope(|| AccessLog::open(destination)).expect("opens");
        let mut writer = log.writer();
        (0..3).for_each(|_| writer.write(&plain()));
        drop(writer);
        assert_eq!(log.shutdown(PATIENCE), Drained::Yes);
        assert_eq!(dropped(&exposition), 3);
    }

    #[test]
    fn a_destination_that_stalls_costs_lines_and_no_waiting() {
        let (arrived, arrivals) = sync_channel(1);
        let (open_gate, gate) = sync_channel::<()>(0);
        let exposition = Exposition::new();
        let log = log_to(&exposition, move |_| {
            let _only_the_first_is_awaited = arrived.try_send(());
            let _closed_means_open = gate.recv();
            Ok(())
        });
        let mut writer = log.writer();
        let mut write_one = || {
            writer.write(&plain());
            writer.flush();
        };
        write_one();
        arrivals.recv().expect("the thread writes the first buffer and stalls");
        (0..QUEUE).for_each(|_| write_one());
        assert_eq!(dropped(&exposition), 0, "the queue takes these");
        (0..7).for_each(|_| write_one());
        assert_eq!(dropped(&exposition), 7);
        drop(open_gate);
        assert_eq!(log.shutdown(PATIENCE), Drained::Yes);
        assert_eq!(dropped(&exposition), 7, "what was queued is not lost");
    }

    #[test]
    fn a_shutdown_gives_up_on_a_destination_that_stalls() {
        let (_never_opened, gate) = sync_channel::<()>(0);
        let log = log_to(&Exposition::new(), move |_| {
            let _blocks = gate.recv();
            Ok(())
        });
        let mut writer = log.writer();
        writer.write(&plain());
        writer.flush();
        assert_eq!(log.shutdown(Duration::ZERO), Drained::No);
    }

    #[test]
    fn a_broken_pipe_is_counted_and_survived() {
        let exposition = Exposition::new();
        let mut broken = true;
        let log = log_to(&exposition, move |_| {
            if std::mem::take(&mut broken) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
        let mut writer = log.writer();
        (0..3).for_each(|_| writer.write(&plain()));
        writer.flush();
        writer.write(&plain());
        drop(writer);
        assert_eq!(log.shutdown(PATIENCE), Drained::Yes);
        assert_eq!(dropped(&exposition), 3);
    }

    fn log_to(
        exposition: &Exposition,
        write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> AccessLog {
        let sink = Sink::to(Box::new(Scripted(write)));
        exposition.scope(|| AccessLog::start(sink)).expect("the thread starts")
    }

    /// A destination that does with each buffer what the test says.
    struct Scripted<F>(F);

    impl<F: FnMut(&[u8]) -> io::Result<()>> Write for Scripted<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (self.0)(bytes).map(|()| bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_in(path: &Path) -> usize {
        fs::read_to_string(path).expect("a readable log").lines().count()
    }

    fn dropped(exposition: &Exposition) -> u64 {
        let text = exposition.render();
        let name = "tollgate_telemetry_dropped_total{signal=\"access_log\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("a dropped counter");
        value.parse().expect("a whole number")
    }
}
