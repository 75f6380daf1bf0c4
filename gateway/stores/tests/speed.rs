//! How fast rows are taken and questions answered: printed, not judged. The answers are judged.
//!
//! `TOLLGATE_LONG=1 cargo test --release -p tollgate-stores --test speed -- --nocapture` takes the
//! figures: 300,000 rows into either store, and questions to a server that has taken 10 million.

mod ground;
mod rows;

use std::time::{Duration, Instant};

use tollgate_accounting::ledger::{Batch, Cursor, Dimension, UsageQuery, encode_entry};
use tollgate_domain::LogId;

use ground::{Ground, write};
use rows::{MIDNIGHT, Shape, row};

fn short_or_long(short: u64, long: u64) -> u64 {
    if std::env::var_os("TOLLGATE_LONG").is_some_and(|value| value == "1") { long } else { short }
}

#[test]
fn catching_up() {
    for (name, ground) in [("sqlite", Ground::sqlite()), ("postgres", Ground::postgres())] {
        let count = short_or_long(20_000, 300_000);
        write(&mut ground.journal().writer(0).expect("a writer"), 0..count);
        let began = Instant::now();
        let progress = ground.loader().run_once().expect("loaded");
        tell(&format!("{name}: {count} rows are caught up"), began.elapsed(), count);
        assert_eq!((progress.rows, progress.duplicates, progress.dead, progress.lost), (count, 0, 0, 0));
    }
}

#[test]
fn a_month_by_team_and_day() {
    const TEAMS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    const KEYS: [&str; 5] = ["k1", "k2", "k3", "k4", "k5"];
    const MONTH: u64 = 30 * 24 * 3_600 * 1_000;
    let ground = Ground::postgres();
    let count = short_or_long(50_000, 10_000_000);
    let log = LogId::new(1);
    let (mut batch, mut bytes) = (Batch::default(), Vec::new());
    let began = Instant::now();
    for number in 0..count {
        let team = TEAMS[(number % 10) as usize];
        let key = KEYS[(number / 10 % 5) as usize];
        let at = MIDNIGHT.plus((number * MONTH / count) as i64);
        let entry = row(Shape { at, team, key, ..Shape::new(number) });
        bytes.clear();
        encode_entry(&entry, &mut bytes);
        batch.push(log, number + 1, entry, &bytes);
        if batch.rows.len() == 5_000 || number + 1 == count {
            batch.cursors.push(Cursor { log, lsn: number + 1, segment: 1, offset: number });
            ground.store.load(&batch).expect("loaded");
            batch.clear();
        }
    }
    tell(&format!("postgres: {count} rows are made and loaded"), began.elapsed(), count);
    let questions = [
        ("team and day", vec![Dimension::Team, Dimension::Day]),
        ("team and hour", vec![Dimension::Team, Dimension::Hour]),
        ("nothing", vec![]),
    ];
    for (name, by) in questions {
        let began = Instant::now();
        let query = UsageQuery { from: Some(MIDNIGHT), by, ..UsageQuery::default() };
        let groups = ground.store.usage(&query).expect("summed");
        tell(&format!("usage of {count} rows by {name}, {} groups", groups.len()), began.elapsed(), 0);
        assert_eq!(groups.iter().map(|group| group.requests).sum::<u64>(), count);
    }
}

fn tell(what: &str, took: Duration, rows: u64) {
    let rate =
        if rows > 0 { format!(", {:.0} a second", rows as f64 / took.as_secs_f64()) } else { String::new() };
    eprintln!("{what} in {:.3} s{rate}", took.as_secs_f64());
}
