//! Where the server's programs are, and as whom they are run.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;

/// The server's programs, as a distribution installs them.
#[derive(Clone, Debug)]
pub struct PostgresPrograms {
    folder: PathBuf,
}

impl PostgresPrograms {
    /// Finds the newest installation, or says what is missing.
    ///
    /// # Errors
    /// There is none: neither in `PATH` nor where Debian puts it.
    pub fn find() -> Result<Self> {
        let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
            .unwrap_or_default();
        folders.sort_by_key(|folder| std::cmp::Reverse(version_of(folder)));
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let whole =
            |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
        match folders.into_iter().find(whole) {
            Some(folder) => Ok(Self { folder }),
            None => {
                bail!("PostgreSQL is missing: no folder has initdb, postgres and psql (Debian: postgresql)")
            }
        }
    }

    /// What `postgres --version` prints.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(self.folder.join("postgres")).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// One of the programs, run as somebody whom the server lets.
    pub(super) fn command(&self, program: &str, as_user: Option<Account>) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.stdin(Stdio::null()).env("LC_ALL", "C").env_remove("PGOPTIONS");
        if let Some(account) = as_user {
            command.uid(account.user).gid(account.group).current_dir("/");
        }
        command
    }
}

/// The major version in a path such as `/usr/lib/postgresql/15/bin`.
fn version_of(folder: &Path) -> u32 {
    let version = folder.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// A user of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Account {
    /// Who runs the server: we, unless we are root, whom it refuses.
    pub(super) fn for_server() -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| Self::named(&accounts, name));
        account.map(Some).context("PostgreSQL does not run as root, and there is no user postgres or nobody")
    }

    fn named(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(user)), Some(Ok(group))) => Some(Self { user, group }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts =
            "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        let account = Account::named(accounts, "postgres").map(|account| (account.user, account.group));
        assert_eq!(account, Some((101, 104)));
        assert!(Account::named(accounts, "nobody").is_none());
    }

    #[test]
    fn the_newest_installation_comes_first() {
        assert_eq!(version_of(Path::new("/usr/lib/postgresql/15/bin")), 15);
        assert_eq!(version_of(Path::new("/usr/bin")), 0);
    }
}
