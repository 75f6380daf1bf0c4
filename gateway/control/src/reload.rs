//! A running gateway takes a new configuration, whole or not at all.
//!
//! Triggers are a changed file, a signal and the admin API. Each reads, checks and compiles the
//! files; only then one pointer is swapped. Whatever fails leaves the running configuration as it
//! was, and the reason is kept for people. Requests in flight keep the snapshot that they have.

mod watch;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tollgate_accounting::{price::PriceBook, quota::Scope};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{Live, Snapshot};

pub use watch::Watch;

use crate::{
    config::{self, Compiled, Document, Errors, Masks, Part, Problem, Settings, compile, restart_only},
    history::{History, Source, Version},
    keys::Issued,
};

/// The configuration in force, and the way to the next one.
pub struct Reloader {
    snapshot: Arc<ArcSwap<Snapshot>>,
    running: ArcSwap<Running>,
    live: Arc<Live>,
    pepper: [u8; 32],
    history: History,
    /// Keys that were made at run time.
    issued: ArcSwap<Vec<Arc<Issued>>>,
    /// One reload at a time.
    turn: Mutex<()>,
    /// Why the last one failed, if it did.
    last_error: ArcSwapOption<Refusal>,
    tell: Box<dyn Fn(Outcome<'_>) + Send + Sync>,
}

/// What is in force beside the snapshot.
#[derive(Clone)]
pub struct Running {
    /// Number, hash, author and text.
    pub version: Version,
    /// What the files said.
    pub document: Arc<Document>,
    /// Settings of the process around the data plane.
    pub settings: Settings,
    /// The prices of all price files.
    pub prices: Arc<PriceBook>,
    /// Every scope with its rules: teams, their projects, their keys.
    pub scopes: Vec<Arc<Scope>>,
    /// Run-time keys that are not as meant, in words.
    pub strays: Vec<String>,
    /// Where credentials come from that have to be renewed.
    pub sources: Vec<Arc<crate::credentials::Source>>,
    /// What is perhaps not as meant.
    pub warnings: Vec<Problem>,
}

/// A configuration that was refused; the one before stays in force.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What brought it.
    pub source: Source,
    /// Who brought it.
    pub author: String,
    /// When.
    pub at: UnixMillis,
    /// What is wrong with it.
    pub errors: Errors,
}

/// How a reload ended, for metrics and logs.
pub enum Outcome<'a> {
    /// The configuration is in force.
    Applied(&'a Running),
    /// Nothing has changed.
    Refused(&'a Refusal),
}

/// A configuration that could be put in force.
pub struct Candidate {
    /// What its hash would be.
    pub hash: String,
    /// Its files, the main one first.
    pub parts: Vec<Part>,
    /// What is perhaps not as meant.
    pub warnings: Vec<Problem>,
}

/// Why a change asked for by people did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The new configuration is not sound, or asks for a restart. Nothing has changed.
    #[error("{0}")]
    Refused(#[from] Errors),
    /// Another change came first: the caller has looked at an older configuration.
    #[error("the running configuration is version {running}, not what the change was made from")]
    Outdated {
        /// Number of the running one.
        running: u64,
    },
    /// A file is not what the running configuration was read from: somebody is changing it.
    #[error("{} has changed and is not in force yet: reload, look, and try again", .0.display())]
    FileChanged(PathBuf),
    /// Files have come since that version, and its own do not leave them out.
    #[error("the files would not be that version again: {} would be among them", listed(.0))]
    NotWhole(Vec<PathBuf>),
    /// No such version is kept.
    #[error("version {0} is not kept")]
    UnknownVersion(u64),
    /// A file cannot be written or the history cannot be read. Nothing has changed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Reloader {
    /// Compiles the first configuration. `live` was made for it and holds what earlier processes
    /// have spent; `tell` hears of every reload from then on, from the thread that does it.
    ///
    /// # Errors
    /// The configuration cannot be compiled, or the history folder cannot be used.
    pub fn start(
        document: Document,
        live: Arc<Live>,
        pepper: [u8; 32],
        history: History,
        tell: impl Fn(Outcome<'_>) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, ChangeError> {
        let last = history.latest()?;
        let version = next_version(last.as_ref(), &document, Source::File, "start");
        let compiled = compile(&document, version.number, pepper, &[], &live)?;
        if last.is_none_or(|last| last.number != version.number) {
            history.append(&version)?;
        }
        let (snapshot, running) = split(version, document, compiled);
        live.objectives.follow(&running.settings.objectives);
        Ok(Arc::new(Self {
            snapshot: Arc::new(ArcSwap::new(snapshot)),
            running: ArcSwap::from_pointee(running),
            live,
            pepper,
            history,
            issued: ArcSwap::default(),
            turn: Mutex::new(()),
            last_error: ArcSwapOption::empty(),
            tell: Box::new(tell),
        }))
    }

    /// Where the data plane takes its snapshot from, once per request.
    #[must_use]
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// What is in force.
    #[must_use]
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Why the last reload failed; `None` when it did not.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<Refusal>> {
        self.last_error.load_full()
    }

    /// The versions that were in force.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Reads the files again and puts what they say in force. Blocks for as long as that takes.
    ///
    /// # Errors
    /// What is wrong with them; the running configuration stays.
    pub fn reload(&self, source: Source, author: &str) -> Result<Arc<Running>, Errors> {
        let _turn = self.turn.lock();
        self.reload_in_turn(source, author)
    }

    /// Puts these run-time keys in force beside the running configuration, in place of the former ones:
    /// the next request meets them. Nothing of the configuration is read again.
    pub fn issue(&self, issued: Vec<Arc<Issued>>) {
        let _turn = self.turn.lock();
        let running = self.running();
        let keys = config::keys(&running.document, &running.settings, self.pepper, &issued, &self.live);
        self.issued.store(Arc::new(issued));
        warn_of(&keys.strays, &running.strays);
        let snapshot = self.snapshot.load().with_keys(keys.ring);
        let (scopes, strays) = (keys.scopes, keys.strays);
        self.running.store(Arc::new(Running { scopes, strays, ..Running::clone(&running) }));
        self.snapshot.store(Arc::new(snapshot));
    }

    /// The files of a version as they may be shown.
    #[must_use]
    pub fn shown(&self, parts: &[Part]) -> Vec<Part> {
        Masks::new(self.pepper).hide(parts)
    }

    /// Looks at a text that would replace the main file. Nothing changes.
    ///
    /// # Errors
    /// Everything that would keep it from being put in force.
    pub fn validate(&self, text: &str) -> Result<Candidate, Errors> {
        let running = self.running();
        let text = self.put_back(text, &running);
        let document = Document::parse(&running.document.path, text, running.document.sources())?;
        self.refuse_restart(&running, &document)?;
        // Against live state of its own: a candidate touches nothing.
        let live = Live::new(config::quotas(&document));
        let warnings = compile(&document, 0, self.pepper, &[], &live)?.warnings;
        Ok(Candidate { hash: document.hash(), parts: document.parts, warnings })
    }

    /// Replaces the main file and puts it in force. `expected` tells whether the hash of the running
    /// configuration is one that the caller's change was made from.
    ///
    /// # Errors
    /// As [`ChangeError`] says; file and configuration then are what they were.
    pub fn replace(
        &self,
        text: &str,
        expected: impl Fn(&str) -> bool,
        author: &str,
    ) -> Result<Arc<Running>, ChangeError> {
        let put = |running: &Running| {
            let text = self.put_back(text, running);
            Ok((vec![Part { path: running.document.path.clone(), text }], None))
        };
        self.put(put, expected, author)
    }

    /// Puts an earlier version in force again, as a new one.
    ///
    /// # Errors
    /// As [`ChangeError`] says; files and configuration then are what they were.
    pub fn rollback(
        &self,
        number: u64,
        expected: impl Fn(&str) -> bool,
        author: &str,
    ) -> Result<Arc<Running>, ChangeError> {
        let version = self.history.get(number)?.ok_or(ChangeError::UnknownVersion(number))?;
        self.put(|_| Ok((version.parts.clone(), Some(&*version.hash))), expected, author)
    }

    fn put_back(&self, text: &str, running: &Running) -> String {
        Masks::new(self.pepper).put_back(text, &running.document.parts)
    }

    /// Writes files and reloads; when that fails, the former files come back. With a hash, the files of the
    /// folder must then be the configuration of that hash.
    fn put<'h>(
        &self,
        files: impl FnOnce(&Running) -> Result<(Vec<Part>, Option<&'h str>), ChangeError>,
        expected: impl Fn(&str) -> bool,
        author: &str,
    ) -> Result<Arc<Running>, ChangeError> {
        let _turn = self.turn.lock();
        let running = self.running();
        if !expected(&running.version.hash) {
            return Err(ChangeError::Outdated { running: running.version.number });
        }
        let sources = running.document.sources();
        let is_as_read = |part: &&Part| {
            std::fs::read(sources.resolve(&part.path)).is_ok_and(|bytes| bytes == part.text.as_bytes())
        };
        if let Some(part) = running.document.parts.iter().find(|part| !is_as_read(part)) {
            return Err(ChangeError::FileChanged(part.path.clone()));
        }
        let (parts, hash) = files(&running)?;
        let mut former = Vec::new();
        let outcome = parts.iter().try_for_each(|part| {
            let path = sources.resolve(&part.path);
            former.push((path.clone(), std::fs::read(&path).ok()));
            write_whole(&path, part.text.as_bytes())
        });
        let outcome = outcome.map_err(ChangeError::from).and_then(|()| {
            if let Some(hash) = hash {
                let document = Document::load(&running.document.path, sources)?;
                if document.hash() != hash {
                    return Err(ChangeError::NotWhole(others(&document.parts, &parts)));
                }
            }
            Ok(self.reload_in_turn(Source::Api, author)?)
        });
        if outcome.is_err() {
            for (path, bytes) in former {
                match bytes {
                    Some(bytes) => write_whole(&path, &bytes)?,
                    None => std::fs::remove_file(&path)?,
                }
            }
        }
        outcome
    }

    fn reload_in_turn(&self, source: Source, author: &str) -> Result<Arc<Running>, Errors> {
        match self.next(source, author) {
            Ok((snapshot, running)) => {
                let running = Arc::new(running);
                warn_of(&running.strays, &self.running().strays);
                self.running.store(Arc::clone(&running));
                self.snapshot.store(snapshot);
                self.live.objectives.follow(&running.settings.objectives);
                self.last_error.store(None);
                (self.tell)(Outcome::Applied(&running));
                Ok(running)
            }
            Err(errors) => {
                // A poll that meets the same broken files again is no news.
                let known = self.last_error.load().as_ref().is_some_and(|last| last.errors == errors);
                if !(known && source == Source::File) {
                    let author = author.to_owned();
                    let refusal = Arc::new(Refusal { source, author, at: now(), errors: errors.clone() });
                    self.last_error.store(Some(Arc::clone(&refusal)));
                    (self.tell)(Outcome::Refused(&refusal));
                }
                Err(errors)
            }
        }
    }

    fn next(&self, source: Source, author: &str) -> Result<(Arc<Snapshot>, Running), Errors> {
        let running = self.running();
        let document = Document::load(&running.document.path, running.document.sources())?;
        self.refuse_restart(&running, &document)?;
        let version = next_version(Some(&running.version), &document, source, author);
        let compiled = compile(&document, version.number, self.pepper, &self.issued.load(), &self.live)?;
        if version.number != running.version.number {
            let unkept =
                |error| Problem::at(None, format!("the configuration's history cannot be kept: {error}"));
            self.history.append(&version).map_err(unkept)?;
        }
        Ok(split(version, document, compiled))
    }

    fn refuse_restart(&self, running: &Running, document: &Document) -> Result<(), Errors> {
        let problems = restart_only(&running.document.file, document);
        if problems.is_empty() { Ok(()) } else { Err(Errors(problems)) }
    }
}

/// Warns of run-time keys that are not as meant, once.
fn warn_of(strays: &[String], known: &[String]) {
    for stray in strays.iter().filter(|stray| !known.contains(stray)) {
        tracing::warn!("{stray}");
    }
}

fn others(found: &[Part], wanted: &[Part]) -> Vec<PathBuf> {
    let is_other = |part: &&Part| !wanted.iter().any(|known| known.path == part.path);
    found.iter().filter(is_other).map(|part| part.path.clone()).collect()
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn split(version: Version, document: Document, compiled: Compiled) -> (Arc<Snapshot>, Running) {
    let Compiled { snapshot, settings, prices, scopes, strays, sources, warnings } = compiled;
    let document = Arc::new(document);
    (snapshot, Running { version, document, settings, prices, scopes, strays, sources, warnings })
}

/// The last version when the text is the same, else one more: a number names one text.
fn next_version(last: Option<&Version>, document: &Document, source: Source, author: &str) -> Version {
    let hash = document.hash();
    match last {
        Some(last) if last.hash == hash => last.clone(),
        _ => Version {
            number: last.map_or(0, |last| last.number) + 1,
            hash,
            source,
            author: author.to_owned(),
            at: now(),
            parts: document.parts.clone(),
        },
    }
}

/// Writes beside and renames, so that nobody reads half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(".new");
    let beside = folder.join(name);
    let mut file = std::fs::File::create(&beside)?;
    if let Ok(known) = std::fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(folder)?.sync_all()
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
