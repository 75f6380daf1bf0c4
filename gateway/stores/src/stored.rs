//! The memory of answers that providers keep: one SQLite file of its own.
//!
//! It stands beside the ledger and not in it, since it cannot be rebuilt from the journal and a new
//! ledger must not lose it.

use std::{path::Path, time::Duration};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};
use tollgate_accounting::{
    ledger::StoreError,
    stored::{Keeper, LONGEST_ID, Lasting, StoredResponses},
};
use tollgate_domain::UnixMillis;

/// How long a statement waits for another process that has the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// How often what is over is swept out.
const SWEEP_EVERY: i64 = 60 * 60 * 1_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS responses (
        id TEXT PRIMARY KEY, team TEXT NOT NULL, project TEXT NOT NULL, model TEXT NOT NULL,
        upstream TEXT NOT NULL, until INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS responses_until ON responses (until);";

/// Kept answers in a SQLite file. Written without waiting for the device: a loss of power may forget
/// the last ones, the death of the process forgets none.
#[derive(Debug)]
pub struct SqliteResponses(Mutex<Open>);

#[derive(Debug)]
struct Open {
    file: Connection,
    swept: i64,
}

impl SqliteResponses {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// The file cannot be used, or is something else.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let file = Connection::open(path)?;
            file.busy_timeout(BUSY)?;
            file.pragma_update(None, "journal_mode", "wal")?;
            file.pragma_update(None, "synchronous", "normal")?;
            file.execute_batch(SCHEMA)?;
            Ok(file)
        };
        Ok(Self(Mutex::new(Open { file: open().map_err(failed)?, swept: 0 })))
    }
}

impl StoredResponses for SqliteResponses {
    fn keep(&self, id: &str, keeper: &Keeper, lasting: Lasting, now: UnixMillis) -> Result<(), StoreError> {
        if id.len() > LONGEST_ID {
            return Ok(());
        }
        let mut open = self.0.lock();
        open.sweep(now).map_err(failed)?;
        let until = lasting.end(now).get();
        let mut insert = open
            .file
            .prepare_cached("INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?, ?)")
            .map_err(failed)?;
        let Keeper { team, project, model, upstream } = keeper;
        let row = params![id, team.as_str(), project.as_str(), model.as_str(), upstream.as_str(), until];
        insert.execute(row).map(drop).map_err(failed)
    }

    fn find(&self, id: &str, now: UnixMillis) -> Result<Option<Keeper>, StoreError> {
        let open = self.0.lock();
        let mut select = open
            .file
            .prepare_cached("SELECT team, project, model, upstream FROM responses WHERE id = ? AND until > ?")
            .map_err(failed)?;
        let text = |row: &rusqlite::Row<'_>, at| row.get::<_, String>(at);
        let found = select.query_row(params![id, now.get()], |row| {
            Ok(Keeper {
                team: text(row, 0)?.as_str().into(),
                project: text(row, 1)?.as_str().into(),
                model: text(row, 2)?.as_str().into(),
                upstream: text(row, 3)?.as_str().into(),
            })
        });
        found.optional().map_err(failed)
    }

    fn forget(&self, id: &str) -> Result<(), StoreError> {
        let open = self.0.lock();
        open.file.execute("DELETE FROM responses WHERE id = ?", [id]).map(drop).map_err(failed)
    }
}

impl Open {
    fn sweep(&mut self, now: UnixMillis) -> rusqlite::Result<()> {
        // A clock that was set back must not stop it for as long.
        if (now.get() - self.swept).abs() >= SWEEP_EVERY {
            self.swept = now.get();
            self.file.execute("DELETE FROM responses WHERE until <= ?", [now.get()])?;
        }
        Ok(())
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed { store: "sqlite", source: error.into() }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn keeper(project: &str) -> Keeper {
        Keeper {
            team: "team".into(),
            project: project.into(),
            model: "gpt".into(),
            upstream: "openai-east".into(),
        }
    }

    fn at(millis: i64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    const MONTH: i64 = 30 * 24 * 60 * 60 * 1_000;

    #[test]
    fn an_answer_is_remembered_for_a_month_also_over_a_restart() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("stored.sqlite");
        SqliteResponses::open(&path)
            .expect("made")
            .keep("resp_1", &keeper("a"), Lasting::AMonth, at(5))
            .expect("kept");
        let again = SqliteResponses::open(&path).expect("opened");
        assert_eq!(again.find("resp_1", at(4 + MONTH)).expect("read"), Some(keeper("a")));
        assert_eq!(again.find("resp_1", at(5 + MONTH)).expect("read"), None);
        assert_eq!(again.find("resp_2", at(5)).expect("read"), None);
    }

    #[test]
    fn nobody_takes_over_an_id_and_what_was_deleted_is_gone() {
        let folder = TempDir::new().expect("a folder");
        let responses = SqliteResponses::open(&folder.path().join("s.sqlite")).expect("made");
        responses.keep("resp_1", &keeper("a"), Lasting::AMonth, at(5)).expect("kept");
        responses.keep("resp_1", &keeper("b"), Lasting::AMonth, at(6)).expect("ignored");
        assert_eq!(responses.find("resp_1", at(7)).expect("read"), Some(keeper("a")));
        responses.forget("resp_1").expect("forgotten");
        assert_eq!(responses.find("resp_1", at(7)).expect("read"), None);
        responses.keep(&"x".repeat(LONGEST_ID + 1), &keeper("a"), Lasting::AMonth, at(5)).expect("not kept");
        assert_eq!(responses.find(&"x".repeat(LONGEST_ID + 1), at(7)).expect("read"), None);
    }

    #[test]
    fn what_is_over_does_not_stay_in_the_file() {
        let folder = TempDir::new().expect("a folder");
        let responses = SqliteResponses::open(&folder.path().join("s.sqlite")).expect("made");
        responses.keep("resp_1", &keeper("a"), Lasting::AMonth, at(0)).expect("kept");
        responses.keep("resp_2", &keeper("a"), Lasting::AMonth, at(MONTH + SWEEP_EVERY)).expect("kept");
        let count: i64 = responses
            .0
            .lock()
            .file
            .query_row("SELECT count(*) FROM responses", [], |row| row.get(0))
            .expect("read");
        assert_eq!(count, 1);
    }

    #[test]
    fn a_conversation_is_remembered_until_it_is_deleted() {
        let folder = TempDir::new().expect("a folder");
        let kept = SqliteResponses::open(&folder.path().join("s.sqlite")).expect("made");
        kept.keep("conv_1", &keeper("a"), Lasting::UntilDeleted, at(5)).expect("kept");
        kept.keep("resp_1", &keeper("a"), Lasting::AMonth, at(100 * MONTH)).expect("kept");
        assert_eq!(kept.find("conv_1", at(1_000 * MONTH)).expect("read"), Some(keeper("a")));
        kept.forget("conv_1").expect("forgotten");
        assert_eq!(kept.find("conv_1", at(6)).expect("read"), None);
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("s.sqlite");
        std::fs::write(&path, "not a database, and long enough to have been one").expect("written");
        assert!(matches!(SqliteResponses::open(&path), Err(StoreError::Failed { .. })));
    }
}
