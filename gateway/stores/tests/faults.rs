//! A store in trouble while rows keep coming: the journal waits, the loader catches up, every row is in
//! the store once and sums are exact.
//!
//! Short troubles for every day; a minute each with `TOLLGATE_LONG=1`.

mod ground;
mod rows;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tollgate_accounting::ledger::UsageQuery;
use tollgate_test_support::PostgresServer;

use ground::{Base, Ground, write};

/// How long a trouble lasts: longer than a store waits for a lock, or a minute.
fn a_while() -> Duration {
    let long = std::env::var_os("TOLLGATE_LONG").is_some_and(|value| value == "1");
    Duration::from_secs(if long { 60 } else { 6 })
}

/// How long the loader may need afterwards: its longest pause, and a call to a store that was stuck.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_server_that_was_stopped_is_caught_up() {
    on_a_server(|server, _| {
        server.stop().expect("stopped");
        thread::sleep(a_while());
        server.resume().expect("started");
    });
}

#[test]
fn a_server_that_was_killed_is_caught_up() {
    on_a_server(|server, _| {
        server.kill().expect("killed");
        thread::sleep(a_while() / 2);
        server.resume().expect("started");
    });
}

#[test]
fn a_server_that_slept_is_caught_up() {
    on_a_server(|server, _| {
        server.pause().expect("asleep");
        thread::sleep(a_while());
        server.wake().expect("awake");
    });
}

#[test]
fn a_locked_table_is_caught_up() {
    on_a_server(|server, database| {
        let lock = "LOCK TABLE tollgate.entries IN ACCESS EXCLUSIVE MODE";
        let _locked = server.hold(database, lock).expect("locked");
        thread::sleep(a_while());
    });
}

#[test]
fn a_locked_file_is_caught_up() {
    let ground = Ground::sqlite();
    let other = Connection::open(ground.folder.path().join("ledger.sqlite")).expect("opened");
    rides_out(&ground, move || {
        other.busy_timeout(PATIENCE).expect("set");
        other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
        thread::sleep(a_while());
        other.execute_batch("ROLLBACK").expect("unlocked");
    });
}

fn on_a_server(trouble: impl FnOnce(&PostgresServer, &str)) {
    let ground = Ground::on(Arc::new(PostgresServer::start().expect("a server")));
    let Base::Postgres { server, database } = &ground.base else { unreachable!("it is on a server") };
    rides_out(&ground, || trouble(server, database));
}

/// Writes and loads all the time; in the middle there is trouble.
fn rides_out(ground: &Ground, trouble: impl FnOnce()) {
    let journal = ground.journal();
    let (stop, loaded, written) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut writer = journal.writer(0).expect("a writer");
            while !stop.load(Ordering::Relaxed) {
                let next = written.load(Ordering::Relaxed);
                write(&mut writer, next..next + 20);
                written.store(next + 20, Ordering::Release);
                thread::sleep(Duration::from_millis(10));
            }
        });
        let loading = scope.spawn(|| {
            let mut loader = ground.loader();
            let mut deadline = None;
            loop {
                // What fails is offered again; what was taken is told by the last successful call.
                if let Ok(progress) = loader.run_once() {
                    loaded.fetch_add(progress.rows, Ordering::Relaxed);
                    assert_eq!((progress.dead, progress.lost), (0, 0));
                }
                let ended = stop.load(Ordering::Relaxed);
                if ended && requests(ground) == Some(written.load(Ordering::Acquire)) {
                    break;
                }
                let deadline = deadline.get_or_insert_with(|| Instant::now() + PATIENCE + a_while());
                assert!(!ended || Instant::now() < *deadline, "not caught up");
                thread::sleep(Duration::from_millis(10));
            }
        });
        wait_for("rows before the trouble", || loaded.load(Ordering::Relaxed) > 0);
        trouble();
        let then = written.load(Ordering::Relaxed);
        wait_for("rows after the trouble", || written.load(Ordering::Relaxed) > then);
        stop.store(true, Ordering::Relaxed);
        writing.join().expect("written");
        loading.join().expect("loaded");
    });
    let report = ground.verify();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.stored, report.pending), (written.into_inner(), 0));
}

/// How many requests the store's totals tell of; none while it does not answer.
fn requests(ground: &Ground) -> Option<u64> {
    let groups = ground.store.usage(&UsageQuery::default()).ok()?;
    Some(groups.iter().map(|group| group.requests).sum())
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
