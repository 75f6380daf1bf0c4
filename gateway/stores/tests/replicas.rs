//! Several gateways on one server, and what is the server's own: who is let in, and when rows go.

mod ground;
mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tempfile::TempDir;
use tollgate_accounting::ledger::{
    Batch, Cursor, Dimension, Entry, LedgerStore, Loader, Order, RowQuery, StoreError, UsageQuery,
    encode_entry,
};
use tollgate_domain::{LogId, Money, UnixMillis};
use tollgate_stores::{PostgresStore, ServerUrl};
use tollgate_test_support::PostgresServer;

use ground::{journal, numbers_in_order, open, write};
use rows::{HOUR, MIDNIGHT, Shape, row};

/// A server, an empty database of it, and a folder.
struct Site {
    server: Arc<PostgresServer>,
    database: String,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let server = PostgresServer::shared().expect("a server");
        let database = server.database().expect("a database");
        Self { server, database, folder: TempDir::new().expect("a folder") }
    }

    fn open(&self) -> PostgresStore {
        open(&self.server, &self.database)
    }

    /// A journal with these rows.
    fn journal_of(&self, name: &str, numbers: std::ops::Range<u64>) -> PathBuf {
        let folder = self.folder.path().join(name);
        write(&mut journal(&folder).writer(0).expect("a writer"), numbers);
        folder
    }
}

#[test]
fn replicas_load_side_by_side_and_each_row_counts_once() {
    let site = Site::new();
    let own = [site.journal_of("one", 0..6_000), site.journal_of("two", 10_000..16_000)];
    // A journal that both load, as after a folder was copied.
    let both = site.journal_of("both", 20_000..23_000);
    let done = AtomicBool::new(false);
    let (start, store) = (Barrier::new(2), site.open());
    let followed = thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&store, &done));
        let replicas = own.each_ref().map(|own| {
            scope.spawn(|| {
                let store: Arc<dyn LedgerStore> = Arc::new(site.open());
                start.wait();
                load(&both, &store) + load(own, &store)
            })
        });
        let taken: u64 = replicas.map(|replica| replica.join().expect("loaded")).iter().sum();
        assert_eq!(taken, 15_000, "a row is new to one replica only");
        done.store(true, Ordering::Release);
        follower.join().expect("followed")
    });
    let wanted: Vec<u64> = (0..6_000).chain(10_000..16_000).chain(20_000..23_000).collect();
    let mut stored = numbers_in_order(&store);
    assert_eq!(followed, stored, "who follows the order misses nothing and meets nothing twice");
    stored.sort_unstable();
    assert_eq!(stored, wanted);
    let expected: Money = wanted.iter().filter_map(|number| row(Shape::new(*number)).cost).sum();
    for by in [vec![], vec![Dimension::Hour], vec![Dimension::Day], vec![Dimension::EndUser]] {
        let groups = store.usage(&UsageQuery { by, ..UsageQuery::default() }).expect("summed");
        assert_eq!(groups.iter().map(|group| group.cost).sum::<Money>(), expected);
        assert_eq!(groups.iter().map(|group| group.requests).sum::<u64>(), 15_000);
    }
}

/// Follows the order of loading while rows come, until they do not come any more.
fn follow(store: &dyn LedgerStore, done: &AtomicBool) -> Vec<u64> {
    let mut query = RowQuery { kind: None, order: Order::Seq, limit: 700, ..RowQuery::default() };
    let mut found = Vec::new();
    loop {
        let last = done.load(Ordering::Acquire);
        let page = store.rows(&query).expect("read");
        found.extend(page.items.iter().map(rows::number));
        match page.next {
            Some(next) => query.after = Some(next),
            None if last => return found,
            None => {}
        }
    }
}

/// Loads a journal to its end, and tells how many rows were new.
fn load(folder: &Path, store: &Arc<dyn LedgerStore>) -> u64 {
    Loader::new(folder, Arc::clone(store)).run_once().expect("loaded").rows
}

#[test]
fn processes_that_start_at_once_find_one_ledger() {
    let site = Site::new();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    site.open().cursors().expect("read").len()
                })
            })
            .collect();
        for started in starts {
            assert_eq!(started.join().expect("opened"), 0);
        }
    });
    assert_eq!(site.server.psql(&site.database, "SELECT version FROM tollgate.schema").expect("read"), "1");
}

#[test]
fn a_ledger_of_a_newer_version_is_refused_and_left_alone() {
    let site = Site::new();
    drop(site.open());
    site.server.psql(&site.database, "UPDATE tollgate.schema SET version = 99").expect("set");
    let url = ServerUrl::parse(&site.server.url(&site.database)).expect("a URL");
    let error = PostgresStore::open(&url).expect_err("too new");
    assert!(matches!(&error, StoreError::TooNew { place, found: 99, .. } if place.ends_with(&site.database)));
    assert_eq!(site.server.psql(&site.database, "SELECT version FROM tollgate.schema").expect("read"), "99");
}

#[test]
fn who_is_not_let_in_is_told_so_without_the_password() {
    let site = Site::new();
    let good = site.server.url(&site.database);
    let cases = [
        (good.replace("pass-of", "not-of"), "password authentication failed"),
        (good.replace(&format!("/{}", site.database), "/nowhere"), "does not exist"),
        (on_port_1(&good), "error connecting"),
        (format!("{good}?sslmode=verify-full"), "TLS"),
        (format!("{good}?sslmode=require&sslrootcert=/nowhere/ca.pem"), "/nowhere/ca.pem"),
    ];
    for (url, wanted) in cases {
        let url = ServerUrl::parse(&url).expect("a URL");
        let error = PostgresStore::open(&url).expect_err("not let in");
        let told = format!("{error} {error:?}");
        assert!(told.contains(wanted), "{wanted:?} in {told}");
        assert!(!told.contains("-of-the-tests"), "{told}");
    }
}

/// The URL with a port on which nobody listens.
fn on_port_1(url: &str) -> String {
    let (before, after) = url.rsplit_once(':').expect("a port");
    let (_, database) = after.split_once('/').expect("a database");
    format!("{before}:1/{database}")
}

#[test]
fn a_server_is_trusted_by_its_certificate_and_name() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let files = [
        ("server.crt", made.cert.pem()),
        ("server.key", made.signing_key.serialize_pem()),
        ("other.crt", other.cert.pem()),
    ];
    let server =
        PostgresServer::with(&["ssl=on"], &files.each_ref().map(|(name, text)| (*name, text.as_str())))
            .expect("a server with TLS");
    let database = server.database().expect("a database");
    let with = |parameters: String| {
        let url = ServerUrl::parse(&format!("{}?{parameters}", server.url(&database))).expect("a URL");
        PostgresStore::open(&url)
    };
    let folder = TempDir::new().expect("a folder");
    for (name, text) in &files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let root = |name: &str| format!("sslrootcert={}", folder.path().join(name).display());
    let store = with(format!("sslmode=verify-full&{}", root("server.crt"))).expect("trusted");
    assert_eq!(store.cursors().expect("read"), []);
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'tollgate'";
    assert_eq!(server.psql(&database, encrypted).expect("read"), "t");
    for parameters in [format!("sslmode=require&{}", root("other.crt")), "sslmode=require".to_owned()] {
        let error = with(parameters.clone()).expect_err("not trusted").to_string();
        assert!(error.contains("TLS"), "{parameters}: {error}");
    }
}

#[test]
fn months_past_their_time_are_dropped_and_their_sums_stay() {
    let site = Site::new();
    let store = site.open();
    let september = MIDNIGHT.plus(-36 * HOUR);
    let at = |number, at: UnixMillis| row(Shape { at, ..Shape::new(number) });
    let rows =
        [at(1, september), at(2, september.plus(HOUR / 2)), at(3, MIDNIGHT), at(4, MIDNIGHT.plus(HOUR))];
    take(&store, 1, &rows);
    let by_day = UsageQuery { by: vec![Dimension::Day], ..UsageQuery::default() };
    let before = store.usage(&by_day).expect("summed");

    assert_eq!(store.drop_rows_before(MIDNIGHT.plus(-1)).expect("asked"), [""; 0], "the month is not over");
    assert_eq!(store.drop_rows_before(MIDNIGHT.plus(HOUR)).expect("dropped"), ["2026-09"]);
    assert_eq!(store.drop_rows_before(MIDNIGHT.plus(HOUR)).expect("asked"), [""; 0]);
    assert_eq!(numbers_in_order(&store), [3, 4]);
    assert_eq!(store.row(rows[0].id).expect("read"), None);
    assert_eq!(store.usage(&by_day).expect("summed"), before);

    // What only the dropped rows could tell is refused, not told wrong.
    let since = |from: UnixMillis, by: Vec<Dimension>| {
        store.usage(&UsageQuery { from: Some(from), by, ..UsageQuery::default() })
    };
    let dropped = |error| matches!(error, StoreError::RowsDropped { before } if before == MIDNIGHT);
    assert!(dropped(since(september.plus(1), vec![]).expect_err("a part of an hour")));
    assert!(dropped(since(september, vec![Dimension::EndUser]).expect_err("not in the sums")));
    assert!(dropped(
        store.usage(&UsageQuery { by: vec![Dimension::EndUser], ..by_day }).expect_err("of all time")
    ));
    let listed = RowQuery { from: Some(september), ..RowQuery::default() };
    assert!(dropped(store.rows(&listed).expect_err("not all there")));
    assert_eq!(since(MIDNIGHT.plus(1), vec![Dimension::EndUser]).expect("summed").len(), 1);
    assert_eq!(since(september, vec![]).expect("whole hours")[0].requests, 4);

    // A late row of a dropped month still counts.
    take(&store, 2, &[at(5, september.plus(HOUR))]);
    assert_eq!(since(september, vec![]).expect("whole hours")[0].requests, 5);
}

fn take(store: &dyn LedgerStore, lsn: u64, rows: &[Entry]) {
    let log = LogId::new(1);
    let mut batch = Batch::default();
    for entry in rows {
        let mut bytes = Vec::new();
        encode_entry(entry, &mut bytes);
        batch.push(log, lsn, entry.clone(), &bytes);
    }
    batch.cursors.push(Cursor { log, lsn, segment: 1, offset: lsn });
    assert_eq!(store.load(&batch).expect("loaded").inserted, rows.len() as u64);
}

#[test]
fn people_find_a_row_in_typed_columns() {
    let site = Site::new();
    let store = site.open();
    let mut entry = row(Shape { number: 1, at: MIDNIGHT.plus(1_234), ..Shape::new(1) });
    entry.end_user = Some("tab\there, line\nbreak, back\\slash, nul\0, é".into());
    take(&store, 1, std::slice::from_ref(&entry));
    let ask = |sql: &str| site.server.psql(&site.database, sql).expect("answered");
    let columns = "SELECT id, seq, kind, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
                          team, stream, status, input_tokens, cost, tags->>'feature', \"end\", lsn
                   FROM tollgate.entries WHERE started_at >= '2026-10-01' AND started_at < '2026-11-01'";
    let cost = entry.cost.expect("a cost");
    let input = entry.usage.input_tokens();
    let wanted =
        format!("{}|1|usage|2026-10-01 00:00:01.234|a|f|200|{input}|{cost}|f1|completed|1", entry.id);
    assert_eq!(ask(columns), wanted);
    let meters = "SELECT (meters->0->>'cost')::numeric = cost, jsonb_array_length(attempts), flags FROM tollgate.entries";
    assert_eq!(ask(meters), "t|0|[]");
    let text = ask("SELECT end_user FROM tollgate.entries");
    assert_eq!(text, "tab\there, line\nbreak, back\\slash, nul\u{fffd}, é");
    entry.seq = 1;
    assert_eq!(store.row(entry.id).expect("read"), Some(entry), "what is read back is whole");
}
