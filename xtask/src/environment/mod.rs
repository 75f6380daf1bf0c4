//! What the tests need from outside cargo: tools, a PostgreSQL server, SDK packages for Python and Node,
//! coding agents, readers of finance files.
//!
//! Everything is installed below the target folder and only when its list has changed; what
//! cannot be installed is an error that names it.

mod mount;
mod node;
mod postgres;
mod python;
mod readers;
mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

pub(crate) use self::{
    mount::try_mount,
    node::prepare as prepare_node,
    postgres::prepare as prepare_postgres,
    python::prepare as prepare_python,
    readers::prepare as prepare_readers,
    tools::{Tool, require, require_rust_components},
};

/// Where the SDK scripts and their package lists stand.
const SDK_FOLDER: &str = "gateway/test-support/sdk";

/// Remembers, beside an installed environment, the very text that it was installed from.
struct Stamp {
    file: PathBuf,
    wanted: String,
}

impl Stamp {
    /// The stamp of `folder` for the lists in `sources` and whatever else decides the content.
    fn new(folder: &Path, sources: &[PathBuf], also: &str) -> Result<Self> {
        let mut wanted = format!("{also}\n");
        for source in sources {
            let text =
                fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
            wanted.push_str(&text);
        }
        Ok(Self { file: folder.join("installed-from.txt"), wanted })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|installed| installed == self.wanted)
    }

    /// Only after everything is in place: an interrupted installation is done again.
    fn set(&self) -> Result<()> {
        fs::write(&self.file, &self.wanted).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

/// An empty folder at `path`, whatever was there.
fn clear(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_list_or_interpreter_asks_for_a_new_installation() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("requirements.txt");
        fs::write(&list, "one==1").unwrap();
        let stamp = Stamp::new(folder.path(), std::slice::from_ref(&list), "Python 3.11").unwrap();
        assert!(!stamp.is_current());
        stamp.set().unwrap();
        assert!(stamp.is_current());

        assert!(!Stamp::new(folder.path(), std::slice::from_ref(&list), "Python 3.12").unwrap().is_current());
        fs::write(&list, "one==2").unwrap();
        assert!(!Stamp::new(folder.path(), std::slice::from_ref(&list), "Python 3.11").unwrap().is_current());
    }
}
