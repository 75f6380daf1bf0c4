//! A journal or a store that was put back from an older copy.

mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;
use tollgate_accounting::ledger::{
    Entry, Journal, JournalOptions, LedgerStore, Loader, Recovered, RolledBack, RowQuery, Start, Writer,
    verify,
};
use tollgate_domain::Money;
use tollgate_stores::SqliteStore;

use rows::{MIDNIGHT, Shape, row};

/// A gateway's folder: journal and store.
struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn store(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&self.0.path().join("ledger.sqlite")).expect("opened"))
    }

    /// A life of the gateway: it starts, writes rows, loads them and is killed.
    fn live(&self, numbers: std::ops::Range<u64>) -> Recovered {
        let store = self.store();
        let journal = Journal::open(&self.journal(), JournalOptions::default()).expect("opened");
        let found = journal.recover_beside(&*store, "gw-1", MIDNIGHT).expect("recovered");
        let mut writer = journal.writer(0).expect("a writer");
        for number in numbers {
            writer.end(&row(Shape::new(number))).expect("written");
        }
        Loader::new(&self.journal(), store).run_once().expect("loaded");
        found
    }

    fn stored(&self) -> Vec<u64> {
        let query = RowQuery { kind: None, limit: RowQuery::MAX_LIMIT, ..RowQuery::default() };
        let mut seqs: Vec<u64> =
            self.store().rows(&query).expect("read").items.iter().map(|row| row.seq).collect();
        seqs.sort_unstable();
        seqs
    }

    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.0.path().join(format!("copy-of-{name}"));
        copy_all(&self.0.path().join(name), &copy);
        copy
    }

    fn put_back(&self, name: &str, copy: &Path) {
        let place = self.0.path().join(name);
        fs::remove_dir_all(&place).expect("removed");
        copy_all(copy, &place);
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("listed").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

#[test]
fn one_start_after_the_other_is_no_sign_of_anything() {
    let ground = Ground::new();
    for life in 0..3 {
        assert_eq!(ground.live(life * 10..life * 10 + 10).rolled_back, []);
    }
    assert_eq!(ground.stored().len(), 30);
}

#[test]
fn a_journal_from_before_the_last_start_is_noticed_and_its_rows_get_places_of_their_own() {
    let ground = Ground::new();
    ground.live(0..10);
    let copy = ground.copy("journal");
    ground.live(10..20);
    ground.put_back("journal", &copy);
    let found = ground.live(20..30);
    assert_eq!(found.rolled_back, [RolledBack::Epoch { journal: 1, store: 2 }]);
    let told = found.rolled_back[0].to_string();
    assert!(told.contains("older copy") && told.contains("start 2"), "{told}");
    assert_eq!(ground.stored().len(), 30, "no row took the place of another");
    assert_eq!(ground.live(30..31).rolled_back, [], "it is told once");
    let report = verify(&ground.journal(), &*ground.store()).expect("verified");
    assert_eq!(report.difference_count, 10, "the audit names the rows that only the ledger has");
}

#[test]
fn a_log_that_is_shorter_than_what_was_loaded_of_it_is_noticed() {
    let ground = Ground::new();
    ground.live(0..10);
    let segment = fs::read_dir(ground.journal())
        .expect("listed")
        .map(|entry| entry.expect("listed").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .expect("a segment");
    let length = fs::metadata(&segment).expect("there").len();
    fs::File::options().write(true).open(&segment).and_then(|file| file.set_len(length / 2)).expect("cut");
    let found = ground.live(10..20);
    let [RolledBack::Log { journal, store, .. }] = &found.rolled_back[..] else {
        panic!("{:?}", found.rolled_back)
    };
    assert!(journal < store, "{journal} {store}");
    assert_eq!(ground.stored().len(), 20);
}

#[test]
fn an_open_request_of_an_older_journal_gets_the_row_that_the_store_has() {
    let ground = Ground::new();
    let journal = Journal::open(&ground.journal(), JournalOptions::default()).expect("opened");
    let mut writer = journal.writer(0).expect("a writer");
    let finished = row(Shape::new(1));
    begin(&mut writer, &finished);
    journal.sync().expect("synced");
    let copy = ground.copy("journal");
    writer.end(&finished).expect("written");
    Loader::new(&ground.journal(), ground.store()).run_once().expect("loaded");
    drop((writer, journal));
    ground.put_back("journal", &copy);
    assert_eq!(ground.live(2..3).rows, 1, "the request was open in the copy");
    assert_eq!(ground.stored().len(), 2);
    let report = verify(&ground.journal(), &*ground.store()).expect("verified");
    assert!(report.is_clean(), "journal and ledger tell the same of it: {report}");
}

fn begin(writer: &mut Writer, row: &Entry) {
    writer
        .start(&Start {
            id: row.id,
            started_at: row.started_at,
            identity: &row.identity,
            request_tags: &[],
            end_user: None,
            session: None,
            client: None,
            model: &row.model,
            dialect: "openai",
            operation: "chat_completions",
            stream: false,
            input_estimate: 1_000,
            output_reserved: 1_000,
            reserved_cost: Money::ZERO,
            price: None,
            currency: &row.currency,
            hard: true,
            config_version: 1,
        })
        .expect("written");
}

#[test]
fn an_older_store_is_caught_up_and_no_sign_of_anything() {
    let ground = Ground::new();
    ground.live(0..10);
    let old = fs::read(ground.0.path().join("ledger.sqlite")).expect("read");
    ground.live(10..20);
    for file in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        // They are there only while somebody has the store open.
        let _ = fs::remove_file(ground.0.path().join(file));
    }
    fs::write(ground.0.path().join("ledger.sqlite"), old).expect("put back");
    assert_eq!(ground.live(20..30).rolled_back, []);
    assert_eq!(ground.stored().len(), 30);
    let report = verify(&ground.journal(), &*ground.store()).expect("verified");
    assert!(report.is_clean(), "{report}");
}
