//! A backup: one file with all that a gateway keeps, and a list of it with the hash of each part.
//!
//! The form is tar, so that anybody can look inside. The list comes last: a file that was cut short has
//! none, and is refused. Nothing is unpacked to a place that the list does not name, and nothing outside
//! of the folder that is asked for.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tollgate_domain::UnixMillis;

/// The form of backups that this version writes and reads.
const FORM: u32 = 1;
/// The list's name in the file.
const LIST: &str = "backup.json";
/// A list is small; what is larger is none.
const LARGEST_LIST: u64 = 64 << 20;

/// What a backup says of itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Manifest {
    /// The form of the file.
    pub form: u32,
    /// When it was begun.
    pub made_at: UnixMillis,
    /// The version of the program that made it.
    pub program: String,
    /// The gateway that it is of; part of its journal's folder.
    pub instance: String,
    /// The ledger is in it; otherwise it is on a server and has its own backups.
    pub has_ledger: bool,
    /// Its parts by path.
    pub parts: BTreeMap<String, PartFacts>,
}

/// One part of a backup.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PartFacts {
    /// Its length.
    pub bytes: u64,
    /// Of its content, in hexadecimal.
    pub sha256: String,
}

/// Why a backup cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no list, so that the end of the file is missing.
    #[error("this is no whole backup: its list of parts is missing")]
    NoList,
    /// The list is not what this version writes.
    #[error("this backup's list cannot be read: {0}")]
    List(String),
    /// Made by a newer version.
    #[error("this backup has form {0}, which this version does not know")]
    Form(u32),
    /// A part has no place below the folder.
    #[error("this backup names a part that it may not have: {0:?}")]
    Path(String),
    /// Content and list differ.
    #[error("the part {0} is not what was backed up")]
    Differs(String),
}

/// A backup being written.
pub struct BackupWriter<W: Write> {
    tar: tar::Builder<W>,
    manifest: Manifest,
}

impl<W: Write> BackupWriter<W> {
    /// Begins one, of this gateway.
    pub fn new(into: W, made_at: UnixMillis, program: &str, instance: &str, has_ledger: bool) -> Self {
        let manifest = Manifest {
            form: FORM,
            made_at,
            program: program.to_owned(),
            instance: instance.to_owned(),
            has_ledger,
            parts: BTreeMap::new(),
        };
        Self { tar: tar::Builder::new(into), manifest }
    }

    /// Adds a part of exactly this length.
    ///
    /// # Errors
    /// Its content ends before, or cannot be read or written.
    pub fn add(&mut self, path: &str, bytes: u64, content: impl Read) -> Result<(), BackupError> {
        let mut content = Hashing::new(content.take(bytes));
        let mut header = header(bytes, self.manifest.made_at);
        self.tar.append_data(&mut header, path, &mut content)?;
        let (length, sha256) = content.facts();
        if length != bytes {
            return Err(BackupError::Differs(path.to_owned()));
        }
        self.manifest.parts.insert(path.to_owned(), PartFacts { bytes, sha256 });
        Ok(())
    }

    /// Adds the list and gives back what was written into.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<(W, Manifest), BackupError> {
        let list = serde_json::to_vec_pretty(&self.manifest).map_err(io::Error::other)?;
        let mut header = header(list.len() as u64, self.manifest.made_at);
        self.tar.append_data(&mut header, LIST, list.as_slice())?;
        Ok((self.tar.into_inner()?, self.manifest))
    }
}

fn header(bytes: u64, made_at: UnixMillis) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(made_at.get().unsigned_abs() / 1_000);
    header
}

/// Unpacks a backup into a folder, which is there and empty, and holds each part against the list.
///
/// # Errors
/// It is not whole, or not what was written. The folder may then hold some of it.
pub fn unpack(backup: impl Read, folder: &Path) -> Result<Manifest, BackupError> {
    let mut archive = tar::Archive::new(backup);
    let mut found = BTreeMap::new();
    let mut manifest = None;
    for entry in archive.entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if manifest.is_some() || !entry.header().entry_type().is_file() {
            return Err(BackupError::Path(name));
        }
        if name == LIST {
            manifest = Some(read_list(entry)?);
            continue;
        }
        let place = folder.join(inside(&name).ok_or_else(|| BackupError::Path(name.clone()))?);
        let facts = write_part(entry, &place)?;
        if found.insert(name.clone(), facts).is_some() {
            return Err(BackupError::Path(name));
        }
    }
    let manifest = manifest.ok_or(BackupError::NoList)?;
    for (path, facts) in &manifest.parts {
        if found.remove(path).as_ref() != Some(facts) {
            return Err(BackupError::Differs(path.clone()));
        }
    }
    match found.into_keys().next() {
        Some(unlisted) => Err(BackupError::Differs(unlisted)),
        None => Ok(manifest),
    }
}

fn read_list(entry: impl Read) -> Result<Manifest, BackupError> {
    let mut text = Vec::new();
    entry.take(LARGEST_LIST).read_to_end(&mut text)?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| BackupError::List(error.to_string()))?;
    match manifest.form {
        FORM => Ok(manifest),
        other => Err(BackupError::Form(other)),
    }
}

/// The path, if it leads to a file below wherever it begins.
fn inside(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let goes_down = path.components().all(|part| matches!(part, Component::Normal(_)));
    (goes_down && path.file_name().is_some()).then(|| path.to_owned())
}

fn write_part(content: impl Read, place: &Path) -> io::Result<PartFacts> {
    if let Some(above) = place.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(above)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
    let mut content = Hashing::new(content);
    io::copy(&mut content, &mut file)?;
    file.sync_all()?;
    let (bytes, sha256) = content.facts();
    Ok(PartFacts { bytes, sha256 })
}

/// Counts and hashes what is read through it.
struct Hashing<R> {
    inner: R,
    bytes: u64,
    digest: Sha256,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, bytes: 0, digest: Sha256::new() }
    }

    fn facts(self) -> (u64, String) {
        (self.bytes, hex::encode(self.digest.finalize()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bytes += read as u64;
        self.digest.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = BackupWriter::new(Vec::new(), UnixMillis::new(1_000), "0.1.0", "gw-1", true);
        for (path, text) in parts {
            writer.add(path, text.len() as u64, text.as_bytes()).expect("it fits into memory");
        }
        writer.finish().expect("it fits into memory").0
    }

    #[test]
    fn what_was_written_comes_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let manifest = unpack(&*backup(&[("pepper", "p"), ("journal/gw-1/a", "")]), folder.path());
        assert_eq!(manifest.expect("it is whole").instance, "gw-1");
        assert_eq!(fs::read(folder.path().join("pepper")).expect("it is there"), b"p");
        assert_eq!(fs::read(folder.path().join("journal/gw-1/a")).expect("it is there"), b"");
    }

    #[test]
    fn a_byte_changed_anywhere_and_an_end_cut_anywhere_are_seen() {
        let whole = backup(&[("pepper", "the content of a part"), ("b", "another")]);
        let tries = |bytes: &[u8]| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            unpack(bytes, folder.path())
        };
        let original = tries(&whole).expect("it is whole");
        // Every try writes files, so that not every byte is tried.
        for at in (0..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            // What tar fills up with, and facts that it keeps of a file, are nobody's content.
            if let Ok(read) = tries(&changed) {
                assert_eq!(read.parts, original.parts, "byte {at}");
            }
        }
        let list = whole.windows(LIST.len()).position(|bytes| bytes == LIST.as_bytes()).expect("it has one");
        for end in (0..list).step_by(11) {
            assert!(tries(&whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn nothing_is_written_outside_the_folder() {
        for name in ["../x", "/etc/x", "a/../../x", ".."] {
            assert_eq!(inside(name), None, "{name}");
        }
        // tar itself refuses to write such a name, so that it is put in by hand.
        let mut bytes = backup(&[("aa/b", "x")]);
        bytes[..4].copy_from_slice(b"../b");
        let sum: u32 = bytes[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let below = folder.path().join("below");
        fs::create_dir(&below).expect("it is ours");
        assert!(matches!(unpack(&*bytes, &below), Err(BackupError::Path(_))));
        assert!(!folder.path().join("b").exists());
    }
}
