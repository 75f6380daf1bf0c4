//! Where papers of drills are kept: a file each, written beside and renamed, so that a file is whole or
//! not there. Each report names the hash of the one that was sealed before it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::evidence::{Evidence, Flaw};

pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// The number of the next drill.
    pub(super) fn next(&self) -> io::Result<u64> {
        Ok(self.numbers()?.last().map_or(1, |last| last + 1))
    }

    /// The numbers of all drills, ascending.
    pub(super) fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// `None` when there is no such drill.
    pub(super) fn read(&self, number: u64) -> io::Result<Option<Evidence>> {
        let path = self.path(number);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let foreign =
            |error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
        serde_json::from_slice(&text).map(Some).map_err(foreign)
    }

    pub(super) fn write(&self, number: u64, evidence: &Evidence) -> io::Result<()> {
        let path = self.path(number);
        let beside = path.with_extension("new");
        let mut file = private_file(&beside)?;
        file.write_all(format!("{:#}\n", evidence.document()).as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Seals a report behind the one that was sealed last.
    pub(super) fn seal(&self, number: u64, mut content: Value) -> io::Result<()> {
        let last = self.sealed()?.pop();
        let place = last.as_ref().map_or(1, |last| place(last) + 1);
        content["chain"] = json!({ "place": place, "previous_sha256": last.and_then(|last| last.sha256) });
        self.write(number, &Evidence::seal(content))
    }

    /// The paper of a drill that was never begun.
    pub(super) fn forget(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.path(number))
    }

    /// The first report that is not what was sealed, or does not follow the one before it.
    pub(super) fn flaw(&self) -> io::Result<Option<Flaw>> {
        let mut before = None;
        for report in self.sealed()? {
            if let Err(flaw) = report.verify() {
                return Ok(Some(flaw));
            }
            if report.content["chain"]["previous_sha256"] != json!(before) {
                return Ok(Some(Flaw::Unchained(report.content["id"].as_str().unwrap_or_default().into())));
            }
            before = report.sha256;
        }
        Ok(None)
    }

    /// Reports in the order in which they were sealed.
    fn sealed(&self) -> io::Result<Vec<Evidence>> {
        let mut sealed = Vec::new();
        for number in self.numbers()? {
            sealed.extend(self.read(number)?.filter(|kept| !kept.is_open()));
        }
        sealed.sort_by_key(place);
        Ok(sealed)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:012}.json"))
    }
}

fn place(report: &Evidence) -> u64 {
    report.content["chain"]["place"].as_u64().unwrap_or_default()
}

/// A file for the owner only: it names projects and people.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_follow_one_another_and_a_gap_or_a_change_shows() {
        let place = tempfile::TempDir::new().expect("a folder");
        let folder = Folder::open(place.path().into()).expect("ours");
        for number in [2, 1, 3] {
            folder.seal(number, json!({ "id": number.to_string() })).expect("written");
        }
        assert_eq!(folder.flaw().expect("read"), None);
        let text = fs::read_to_string(folder.path(3)).expect("there");
        fs::write(folder.path(3), text.replace("\"place\": 3", "\"place\": 4")).expect("ours");
        assert_eq!(folder.flaw().expect("read"), Some(Flaw::Changed("3".into())));
        fs::write(folder.path(3), text).expect("ours");
        folder.forget(1).expect("there");
        assert_eq!(folder.flaw().expect("read"), Some(Flaw::Unchained("3".into())));
    }
}
