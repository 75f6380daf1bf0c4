//! Where papers lie: in the store, and with the same bytes in a folder. A month has a folder of its own.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tollgate_accounting::ledger::{Closing, Document, LedgerStore, StoreError};
use tollgate_domain::UnixMillis;

use super::{Sealed, Statement, open, text_of};
use crate::close::Close;

/// The kind of statements in the store.
pub(crate) const STATEMENT: &str = "statement";
/// The kind of a month's close in the store, and what its file is called.
pub(crate) const CLOSE: &str = "close";
/// What the file is called that says up to when the books are closed.
pub(crate) const CLOSING: &str = "closing";

/// The folder with the months.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folder<'a>(pub(crate) &'a Path);

/// A paper that cannot be kept, or is not what it was.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A paper was changed since it was sealed.
    #[error("{what} {fault}")]
    Changed {
        /// Which paper, and where.
        what: String,
        /// What is wrong with it.
        fault: String,
    },
}

impl Folder<'_> {
    /// Keeps a paper in both places, or finds that it is kept. Of a paper that one place has already,
    /// that one counts, whatever `paper` says: nothing is sealed twice. `stored` is what the store has.
    pub(crate) fn keep<T: Sealed>(
        &self,
        store: &dyn LedgerStore,
        (kind, month): (&str, &str),
        stored: Option<&str>,
        paper: T,
        at: UnixMillis,
    ) -> Result<T, FolderError> {
        let path = self.path(month, kind, paper.name());
        let written = read(&path)?;
        let text = match (stored, &written) {
            (Some(stored), Some(written)) if stored != written => {
                let fault = "is not what the ledger has".to_owned();
                return Err(FolderError::Changed { what: path.display().to_string(), fault });
            }
            (Some(stored), _) => stored.to_owned(),
            (None, Some(written)) => written.clone(),
            (None, None) => text_of(&paper),
        };
        let kept = open(&text)
            .map_err(|fault| FolderError::Changed { what: format!("{kind} {}", paper.name()), fault })?;
        if written.is_none() {
            write(&path, &text)?;
        }
        if stored.is_none() {
            put(store, kind, paper.name(), &text, at)?;
        }
        Ok(kept)
    }

    /// Keeps beside the statements how far the books were closed: a store that is lost needs it back
    /// before it takes rows.
    pub(crate) fn keep_closing(&self, month: &str, closing: &Closing) -> Result<(), FolderError> {
        let path = self.path(month, CLOSING, "");
        match read(&path)? {
            Some(text) if text == closing.document().body => Ok(()),
            Some(_) => Err(FolderError::Changed {
                what: path.display().to_string(),
                fault: "is of another close than the ledger's".to_owned(),
            }),
            None => write(&path, &closing.document().body),
        }
    }

    /// The months that have a folder, in order.
    pub(crate) fn months(&self) -> Result<Vec<String>, FolderError> {
        let fail = |source| FolderError::Io { path: self.0.to_owned(), source };
        let entries = match fs::read_dir(self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut months = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            if entry.path().is_dir() {
                months.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        months.sort();
        Ok(months)
    }

    /// The close of a month, as its file has it.
    pub(crate) fn close(&self, month: &str) -> Result<Option<String>, FolderError> {
        read(&self.path(month, CLOSE, month))
    }

    /// The statements of a month: their files and what is in them.
    pub(crate) fn statements(&self, month: &str) -> Result<Vec<(PathBuf, String)>, FolderError> {
        let folder = self.0.join(month);
        let fail = |source| FolderError::Io { path: folder.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("team-")
                && name.ends_with(".json")
                && let Some(text) = read(&path)?
            {
                found.push((path, text));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Gives a store back what the files have and it has not. Returns what is wrong with files; those
    /// are left alone.
    ///
    /// # Errors
    /// A file that says up to when the books are closed is damaged, and the store does not know it
    /// either: rows would change what is sealed.
    pub(crate) fn restore(&self, store: &dyn LedgerStore) -> Result<Vec<FolderError>, FolderError> {
        let mut faults = Vec::new();
        let (known, papers, months) = (store.closings()?, Papers::load(store)?, self.months()?);
        for month in &months {
            match self.restore_closing(store, &known, month) {
                Err(error @ FolderError::Changed { .. }) if known.len() >= months.len() => faults.push(error),
                restored => restored?,
            }
            for (path, text) in self.statements(month)? {
                faults.extend(restore_one::<Statement>(store, &papers, STATEMENT, &path, &text)?);
            }
            if let Some(text) = self.close(month)? {
                let path = self.path(month, CLOSE, month);
                faults.extend(restore_one::<Close>(store, &papers, CLOSE, &path, &text)?);
            }
        }
        Ok(faults)
    }

    fn restore_closing(
        &self,
        store: &dyn LedgerStore,
        known: &[Closing],
        month: &str,
    ) -> Result<(), FolderError> {
        let path = self.path(month, CLOSING, "");
        let Some(text) = read(&path)? else { return Ok(()) };
        let closings = Closing::of_documents([text.as_str()]).map_err(|error| FolderError::Changed {
            what: path.display().to_string(),
            fault: format!("cannot be read: {error}"),
        })?;
        for closing in closings {
            if known.iter().all(|known| known.until != closing.until) {
                store.put_document(&closing.document())?;
            }
        }
        Ok(())
    }

    fn path(&self, month: &str, kind: &str, name: &str) -> PathBuf {
        let file = match kind {
            STATEMENT => format!("team-{}.json", safe(name.split_once('.').map_or(name, |(_, team)| team))),
            kind => format!("{kind}.json"),
        };
        self.0.join(month).join(file)
    }
}

/// A name as part of a file's: letters, digits and a few marks; everything else by its bytes.
fn safe(name: &str) -> String {
    let mut safe = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("%{byte:02X}"));
        }
    }
    safe
}

fn restore_one<T: Sealed>(
    store: &dyn LedgerStore,
    papers: &Papers,
    kind: &str,
    path: &Path,
    text: &str,
) -> Result<Option<FolderError>, FolderError> {
    let changed = |fault| FolderError::Changed { what: path.display().to_string(), fault };
    let paper: T = match open(text) {
        Ok(paper) => paper,
        Err(fault) => return Ok(Some(changed(fault))),
    };
    match papers.text(kind, paper.name()) {
        Some(stored) if stored != text => Ok(Some(changed("is not what the ledger has".to_owned()))),
        Some(_) => Ok(None),
        None => put(store, kind, paper.name(), text, UnixMillis::new(0)).map(|()| None),
    }
}

/// The papers that the store has, by kind and name.
pub(crate) struct Papers(BTreeMap<(String, String), String>);

impl Papers {
    pub(crate) fn load(store: &dyn LedgerStore) -> Result<Self, StoreError> {
        let mut papers = BTreeMap::new();
        for kind in [STATEMENT, CLOSE] {
            for document in store.documents(kind)? {
                papers.insert((document.kind, document.name), document.body);
            }
        }
        Ok(Self(papers))
    }

    pub(crate) fn text(&self, kind: &str, name: &str) -> Option<&str> {
        self.0.get(&(kind.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// The papers of a kind, by name.
    pub(crate) fn of(&self, kind: &str) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        let papers = self.0.iter().filter(move |((known, _), _)| known == kind);
        papers.map(|((_, name), text)| (name.as_str(), text.as_str()))
    }
}

fn put(
    store: &dyn LedgerStore,
    kind: &str,
    name: &str,
    text: &str,
    at: UnixMillis,
) -> Result<(), FolderError> {
    let paper =
        Document { kind: kind.to_owned(), name: name.to_owned(), revision: 1, at, body: text.to_owned() };
    match store.put_document(&paper) {
        // Someone closes at the same time; the same paper is no difference.
        Err(StoreError::Exists(_)) if Papers::load(store)?.text(kind, name) == Some(text) => Ok(()),
        put => Ok(put?),
    }
}

fn read(path: &Path) -> Result<Option<String>, FolderError> {
    match fs::read_to_string(path) {
        Ok(text) => match text.strip_suffix('\n') {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(FolderError::Changed {
                what: path.display().to_string(),
                fault: "does not end where it should".to_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(FolderError::Changed { what: path.display().to_string(), fault: "is no text".to_owned() })
        }
        Err(source) => Err(FolderError::Io { path: path.to_owned(), source }),
    }
}

/// Writes a file that is whole under its name or not there at all, also after a loss of power.
fn write(path: &Path, text: &str) -> Result<(), FolderError> {
    let fail = |source| FolderError::Io { path: path.to_owned(), source };
    let folder = path.parent().expect("a paper lies in the folder of its month");
    fs::create_dir_all(folder).map_err(fail)?;
    let part = path.with_added_extension("part");
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(folder)?.sync_all()?;
        folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    });
    written.map_err(|error| {
        // What is left of it would be in nobody's way, but is of no use either.
        let _ = fs::remove_file(&part);
        fail(error)
    })
}
