//! A log file that is put aside when it is large or old, and of which so many are kept.
//!
//! The newest of those that were put aside has `.1` behind its name, the oldest the largest number. Whoever
//! prefers another program for that leaves rotation off and has the file opened anew by a signal.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// When a file is put aside, and how many are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// Bytes beyond which nothing more is written to it; `None` is any number.
    pub size: Option<u64>,
    /// Time after which nothing more is written to it; `None` is for ever.
    pub age: Option<Duration>,
    /// So many are kept beside the one that is written.
    pub keep: u32,
}

/// The file at a path, written at its end.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    rotation: Option<Rotation>,
    size: u64,
    began: SystemTime,
    /// Putting aside has failed, which was told of.
    is_stuck: bool,
}

impl LogFile {
    pub(super) fn open(path: PathBuf, rotation: Option<Rotation>) -> io::Result<Self> {
        let (file, size, began) = append_to(&path)?;
        Ok(Self { path, file, rotation, size, began, is_stuck: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file anew by its name.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size, self.began) = append_to(&self.path)?;
        Ok(())
    }

    /// Writes whole lines, into a new file where the old one is full or old at `now`. What could not be
    /// written whole is not written at all, so that no line is torn.
    pub(super) fn write(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        if self.is_due(lines.len() as u64, now) {
            self.put_aside();
        }
        match self.file.write_all(lines) {
            Ok(()) => {
                self.size += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Of a device there is nothing to cut off.
                let _not_a_file = self.file.set_len(self.size);
                Err(error)
            }
        }
    }

    fn is_due(&self, more: u64, now: SystemTime) -> bool {
        let Some(rotation) = self.rotation.filter(|_| self.size > 0) else { return false };
        let is_old = |age| now.duration_since(self.began).is_ok_and(|since| since >= age);
        rotation.size.is_some_and(|most| self.size + more > most) || rotation.age.is_some_and(is_old)
    }

    /// Begins a new file; where that fails, the old one goes on.
    fn put_aside(&mut self) {
        let keep = self.rotation.map_or(0, |rotation| rotation.keep);
        match shift(&self.path, keep).and_then(|()| self.reopen()) {
            Ok(()) => self.is_stuck = false,
            Err(error) => {
                if !self.is_stuck {
                    tracing::warn!(path = %self.path.display(), %error, "access log is not put aside");
                }
                self.is_stuck = true;
            }
        }
    }
}

/// Gives the file the number 1, the one that had it the number 2, and so on; the last one goes.
fn shift(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

/// The open file, its size, and since when it is written: of one that is there already, its last change
/// where nobody knows when it was made.
fn append_to(path: &Path) -> io::Result<(File, u64, SystemTime)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let about = file.metadata()?;
    let began = about.created().or_else(|_| about.modified()).unwrap_or_else(|_| SystemTime::now());
    Ok((file, about.len(), began))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(folder: &Path) -> Vec<(String, String)> {
        let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut texts: Vec<_> = files
            .map(|file| {
                let name = file.file_name().into_string().expect("text");
                (name, fs::read_to_string(file.path()).expect("text"))
            })
            .collect();
        texts.sort();
        texts
    }

    fn told(texts: &[(&str, &str)]) -> Vec<(String, String)> {
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_full_file_is_put_aside_and_so_many_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotation = Rotation { size: Some(8), age: None, keep: 2 };
        let mut log = LogFile::open(folder.path().join("log"), Some(rotation)).expect("opens");
        let now = SystemTime::now();
        for line in ["one\n", "two\n", "three\n", "a line that is longer than a file\n", "five\n"] {
            log.write(line.as_bytes(), now).expect("writes");
        }
        let wanted =
            [("log", "five\n"), ("log.1", "a line that is longer than a file\n"), ("log.2", "three\n")];
        assert_eq!(texts(folder.path()), told(&wanted), "the first two are gone");
    }

    #[test]
    fn an_old_file_is_put_aside_when_something_is_to_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let hour = Duration::from_secs(3_600);
        let rotation = Rotation { size: None, age: Some(hour), keep: 1 };
        let mut log = LogFile::open(folder.path().join("log"), Some(rotation)).expect("opens");
        let now = SystemTime::now();
        log.write(b"one\n", now + hour * 2).expect("an empty file is as good as a new one");
        assert_eq!(texts(folder.path()), told(&[("log", "one\n")]));
        log.write(b"two\n", now + hour * 2).expect("writes");
        assert_eq!(texts(folder.path()), told(&[("log", "two\n"), ("log.1", "one\n")]));
        log.write(b"three\n", now).expect("a clock that goes back makes nothing old");
        assert_eq!(texts(folder.path()), told(&[("log", "two\nthree\n"), ("log.1", "one\n")]));
    }

    #[test]
    fn what_was_there_at_the_start_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("log"), "before\n").expect("writes");
        let rotation = Rotation { size: Some(10), age: None, keep: 0 };
        let mut log = LogFile::open(folder.path().join("log"), Some(rotation)).expect("opens");
        log.write(b"after\n", SystemTime::now()).expect("writes");
        assert_eq!(texts(folder.path()), told(&[("log", "after\n")]), "none is kept");
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_is_written_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotation = Rotation { size: Some(4), age: None, keep: 1 };
        let mut log = LogFile::open(folder.path().join("log"), Some(rotation)).expect("opens");
        // A folder that is not empty stands where the old file would go.
        fs::create_dir_all(folder.path().join("log.1/full")).expect("a folder");
        for line in ["one\n", "two\n"] {
            log.write(line.as_bytes(), SystemTime::now()).expect("writes");
        }
        fs::remove_dir_all(folder.path().join("log.1")).expect("goes");
        log.write(b"three\n", SystemTime::now()).expect("writes");
        assert_eq!(texts(folder.path()), told(&[("log", "three\n"), ("log.1", "one\ntwo\n")]));
    }
}
