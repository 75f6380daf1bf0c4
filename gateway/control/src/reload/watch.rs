//! Tells when files have changed, and has the configuration read again.
//!
//! Folders are watched, not files: editors replace files, and Kubernetes swaps a symbolic link above
//! them. A slow poll stands behind it, for network file systems that tell nothing.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::{config::fingerprint, history::Source};

use super::Reloader;

/// How long to wait after the first sign of a change: several files often change together.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// How often to look without any sign.
const POLL: Duration = Duration::from_secs(2);

/// A thread that reloads when files change. Dropping it ends the thread.
pub struct Watch {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    /// Something has happened in a watched folder.
    Stir,
    /// Somebody asks for a reload.
    Reload(Source, String, Box<dyn FnOnce() + Send>),
    End,
}

impl Watch {
    /// Starts to watch the files of the running configuration. What has changed since they were read
    /// is noticed too.
    ///
    /// # Errors
    /// The thread cannot be started. A system that cannot watch files is polled.
    pub fn start(reloader: Arc<Reloader>) -> std::io::Result<Self> {
        let (messages, inbox) = channel();
        let stir = messages.clone();
        let run = move || Watching::new(reloader, stir).run(&inbox);
        let thread = std::thread::Builder::new().name("config-watch".into()).spawn(run)?;
        Ok(Self { messages, thread: Some(thread) })
    }

    /// Asks for a reload and returns at once: for signals. `done` is called after it, whatever came of it.
    pub fn reload_soon(&self, source: Source, author: &str, done: impl FnOnce() + Send + 'static) {
        // A thread that has ended has nothing left to reload.
        let _ = self.messages.send(Message::Reload(source, author.to_owned(), Box::new(done)));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watching {
    reloader: Arc<Reloader>,
    notifier: Option<RecommendedWatcher>,
    folders: HashSet<PathBuf>,
    seen: u64,
}

impl Watching {
    fn new(reloader: Arc<Reloader>, stir: Sender<Message>) -> Self {
        let notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change of it, and our own reading would wake us for ever.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = stir.send(Message::Stir);
            }
        });
        let notifier =
            notifier.inspect_err(|error| tracing::warn!(%error, "files are polled, not watched")).ok();
        let seen = reloader.running().document.fingerprint;
        let mut watching = Self { reloader, notifier, folders: HashSet::new(), seen };
        watching.follow();
        watching
    }

    fn run(&mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(POLL) {
                Ok(Message::Stir) => {
                    if let Some(Message::End) = self.settle(inbox) {
                        return;
                    }
                }
                Ok(Message::Reload(source, author, done)) => {
                    self.reload(source, &author);
                    done();
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Lets a burst of changes pass, then looks.
    fn settle(&mut self, inbox: &Receiver<Message>) -> Option<Message> {
        let until = Instant::now() + DEBOUNCE;
        while let Ok(message) = inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            match message {
                Message::Stir => {}
                Message::Reload(source, author, done) => {
                    self.reload(source, &author);
                    done();
                    return None;
                }
                Message::End => return Some(Message::End),
            }
        }
        self.look();
        None
    }

    /// Reloads when something is different. A refused configuration is tried each time: what it
    /// lacks may be a file that nobody watches yet.
    fn look(&mut self) {
        if self.fingerprint() != self.seen || self.reloader.last_error().is_some() {
            self.reload(Source::File, "file watch");
        }
    }

    fn reload(&mut self, source: Source, author: &str) {
        let current = self.fingerprint();
        // The outcome is told by the reloader, to everyone who wants to know.
        self.seen = match self.reloader.reload(source, author) {
            Ok(running) => running.document.fingerprint,
            Err(_) => current,
        };
        self.follow();
    }

    /// Watches the folders of all files. Folders that are no longer needed stay watched: an event
    /// too many costs one look.
    fn follow(&mut self) {
        let Some(notifier) = &mut self.notifier else { return };
        for path in &self.reloader.running().document.watched {
            let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            if !self.folders.contains(folder) && notifier.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                self.folders.insert(folder.to_owned());
            }
        }
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(&self.reloader.running().document.watched)
    }
}
