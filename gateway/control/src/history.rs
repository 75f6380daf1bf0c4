//! Every configuration that was in force: kept in files, so that what ran yesterday can be shown,
//! compared and brought back.
//!
//! One file per version in `data_dir/history`, written beside and renamed, so that a file is whole
//! or not there. The newest [`KEPT`] stay.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tollgate_domain::UnixMillis;

use crate::config::Part;

/// Versions that are kept.
pub const KEPT: usize = 50;

/// A configuration that is, or was, in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Version {
    /// Ascending number; part of every ledger row.
    pub number: u64,
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
    /// What brought it.
    pub source: Source,
    /// Who brought it.
    pub author: String,
    /// When it came into force.
    pub at: UnixMillis,
    /// Its files, the main one first.
    pub parts: Vec<Part>,
}

/// What brings a configuration into force.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file has changed, or the gateway has started.
    File,
    /// The admin API.
    Api,
    /// A signal.
    Signal,
}

impl Source {
    /// The name used in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
            Self::Signal => "signal",
        }
    }
}

/// The versions in a folder. Only the process that holds the instance's journal writes there.
pub struct History {
    folder: PathBuf,
}

impl History {
    /// Opens a folder, making it when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Keeps a version, on disk when this returns, and forgets those beyond [`KEPT`].
    ///
    /// # Errors
    /// It was not kept.
    pub fn append(&self, version: &Version) -> io::Result<()> {
        let path = self.path(version.number);
        let beside = path.with_extension("new");
        let text = serde_json::to_vec_pretty(version).map_err(io::Error::other)?;
        let mut file = private_file(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.folder)?.sync_all()?;
        let numbers = self.numbers()?;
        for number in numbers.iter().take(numbers.len().saturating_sub(KEPT)) {
            fs::remove_file(self.path(*number))?;
        }
        Ok(())
    }

    /// The versions that are kept, the newest first.
    ///
    /// # Errors
    /// The folder or one of its files cannot be read.
    pub fn list(&self) -> io::Result<Vec<Version>> {
        self.numbers()?.into_iter().rev().map(|number| self.read(number)).collect()
    }

    /// The newest version, if there is one.
    ///
    /// # Errors
    /// The folder or the file cannot be read.
    pub fn latest(&self) -> io::Result<Option<Version>> {
        self.numbers()?.last().map(|number| self.read(*number)).transpose()
    }

    /// A version by its number; `None` when it is not kept (any more).
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn get(&self, number: u64) -> io::Result<Option<Version>> {
        match self.read(number) {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ascending.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&self, number: u64) -> io::Result<Version> {
        let path = self.path(number);
        let text = fs::read(&path)?;
        serde_json::from_slice(&text).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}.json"))
    }
}

/// A file for the owner only: somebody may have written a secret into their configuration.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What differs between two configurations, as a unified diff; empty when nothing does.
#[must_use]
pub fn diff(old: &[Part], new: &[Part]) -> String {
    let mut out = String::new();
    let text_of = |parts: &[Part], path: &Path| {
        parts.iter().find(|part| part.path == path).map(|part| part.text.clone())
    };
    let added = new.iter().filter(|part| !old.iter().any(|known| known.path == part.path));
    for part in old.iter().chain(added) {
        let before = text_of(old, &part.path).unwrap_or_default();
        let after = text_of(new, &part.path).unwrap_or_default();
        if before != after {
            out.push_str(&format!("--- {0}\n+++ {0}\n", part.path.display()));
            hunks(&edits(&before, &after), &mut out);
        }
    }
    out
}

/// A line and what became of it.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Kept(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;
/// Cells of the table of common lines; beyond it a change is shown as all old, then all new lines.
const MAX_TABLE: usize = 4_000_000;

/// The shortest way from one text to the other, by a table of longest common sequences.
fn edits<'a>(before: &'a str, after: &'a str) -> Vec<Edit<'a>> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = before.iter().zip(&after).take_while(|(old, new)| old == new).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut edits: Vec<_> = before[..head].iter().map(|line| Edit::Kept(line)).collect();
    if old.len().saturating_mul(new.len()) > MAX_TABLE {
        edits.extend(old.iter().map(|line| Edit::Removed(line)));
        edits.extend(new.iter().map(|line| Edit::Added(line)));
    } else {
        middle(old, new, &mut edits);
    }
    edits.extend(before[before.len() - tail..].iter().map(|line| Edit::Kept(line)));
    edits
}

fn middle<'a>(old: &[&'a str], new: &[&'a str], edits: &mut Vec<Edit<'a>>) {
    let width = new.len() + 1;
    // common[i * width + j]: how many lines old[i..] and new[j..] can share in order.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            edits.push(Edit::Kept(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len()
            && (j == new.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            edits.push(Edit::Removed(old[i]));
            i += 1;
        } else {
            edits.push(Edit::Added(new[j]));
            j += 1;
        }
    }
}

fn hunks(edits: &[Edit<'_>], out: &mut String) {
    let changed = |edit: &Edit<'_>| !matches!(edit, Edit::Kept(_));
    let (mut old_line, mut new_line, mut at) = (1, 1, 0);
    while let Some(first) = edits[at..].iter().position(changed).map(|offset| at + offset) {
        let start = first.saturating_sub(CONTEXT).max(at);
        // Changes that are close together share a hunk.
        let mut end = first + 1;
        while let Some(next) = edits[end..].iter().take(2 * CONTEXT + 1).position(changed) {
            end += next + 1;
        }
        let end = (end + CONTEXT).min(edits.len());
        old_line += start - at;
        new_line += start - at;
        let hunk = &edits[start..end];
        let old_count = hunk.iter().filter(|edit| !matches!(edit, Edit::Added(_))).count();
        let new_count = hunk.iter().filter(|edit| !matches!(edit, Edit::Removed(_))).count();
        out.push_str(&format!("@@ -{old_line},{old_count} +{new_line},{new_count} @@\n"));
        for edit in hunk {
            let (mark, line) = match edit {
                Edit::Kept(line) => (' ', line),
                Edit::Removed(line) => ('-', line),
                Edit::Added(line) => ('+', line),
            };
            out.push(mark);
            out.push_str(line);
            out.push('\n');
        }
        old_line += old_count;
        new_line += new_count;
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        Part { path: "main.yaml".into(), text: text.into() }
    }

    fn version(number: u64) -> Version {
        let parts = vec![part("version: 1\n")];
        Version {
            number,
            hash: "ab".into(),
            source: Source::File,
            author: "ops".into(),
            at: UnixMillis::new(5),
            parts,
        }
    }

    #[test]
    fn versions_are_kept_newest_first_and_old_ones_forgotten() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let history = History::open(folder.path().join("history")).expect("the folder");
        assert_eq!(history.latest().expect("readable"), None);
        for number in 1..=KEPT as u64 + 2 {
            history.append(&version(number)).expect("kept");
        }
        let kept = history.list().expect("readable");
        assert_eq!(kept.len(), KEPT);
        assert_eq!((kept[0].number, kept[KEPT - 1].number), (52, 3));
        assert_eq!(history.get(2).expect("readable"), None);
        assert_eq!(history.get(3).expect("readable"), Some(version(3)));
    }

    #[test]
    fn a_diff_shows_changes_with_their_surroundings() {
        let lines = |changed: &str| -> String {
            (1..=20)
                .map(|line| if line == 10 { format!("{changed}\n") } else { format!("line {line}\n") })
                .collect()
        };
        let text = diff(&[part(&lines("old"))], &[part(&lines("new"))]);
        let want = "--- main.yaml\n+++ main.yaml\n@@ -7,7 +7,7 @@\n line 7\n line 8\n line 9\n-old\n+new\n line 11\n line 12\n line 13\n";
        assert_eq!(text, want);
        assert_eq!(diff(&[part("same\n")], &[part("same\n")]), "");
    }

    proptest::proptest! {
        #[test]
        fn a_diff_applied_to_the_old_text_gives_the_new(old in "([a-d]\n){0,30}", new in "([a-d]\n){0,30}") {
            let (mut before, mut after) = (String::new(), String::new());
            for edit in edits(&old, &new) {
                let (line, in_old, in_new) = match edit {
                    Edit::Kept(line) => (line, true, true),
                    Edit::Removed(line) => (line, true, false),
                    Edit::Added(line) => (line, false, true),
                };
                if in_old { before.push_str(line); before.push('\n'); }
                if in_new { after.push_str(line); after.push('\n'); }
            }
            proptest::prop_assert_eq!(before, old);
            proptest::prop_assert_eq!(after, new);
        }
    }
}
