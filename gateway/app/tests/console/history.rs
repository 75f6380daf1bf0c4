//! Two months of rows, written into the ledger as those of another instance.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use tollgate_accounting::ledger::{
    Attempt, Batch, Cursor, End, Entry, Identity, Kind, LedgerStore, Place, encode_entry,
};
use tollgate_domain::{LogId, Money, RequestId, UnixMillis, Usage, UsageSource};
use tollgate_stores::SqliteStore;

use crate::large::Size;

const DAYS: i64 = 62;
const DAY: i64 = 86_400_000;
const LOG: LogId = LogId::new(0x00c0_50e1);

/// A project's habit: who, which model where, calls a day, thousandths of a dollar a call.
struct Habit<'a> {
    team: &'a str,
    project: &'a str,
    key: &'a str,
    model: &'a str,
    upstream: &'a str,
    region: &'a str,
    calls: i64,
    milli: i128,
}

const HABITS: [Habit<'static>; 6] = [
    habit("retail", "search-assistant", "prod", "gpt-5-mini", "aoai-eastus", "eastus", 9, 1_150),
    habit("retail", "search-assistant", "prod", "text-embedding-3-small", "openai", "global", 6, 60),
    habit("retail", "checkout", "prod", "gpt-5-mini", "aoai-sweden", "swedencentral", 5, 840),
    habit("health", "triage", "prod", "gpt-5-mini", "aoai-sweden", "swedencentral", 4, 1_620),
    habit("platform", "evals", "nightly", "claude-sonnet-4-6", "anthropic", "global", 3, 2_450),
    habit("platform", "evals", "nightly", "gpt-5-mini", "aoai-eastus", "eastus", 2, 610),
];

#[expect(clippy::too_many_arguments, reason = "a line of a table")]
const fn habit(
    team: &'static str,
    project: &'static str,
    key: &'static str,
    model: &'static str,
    upstream: &'static str,
    region: &'static str,
    calls: i64,
    milli: i128,
) -> Habit<'static> {
    Habit { team, project, key, model, upstream, region, calls, milli }
}

/// Writes the rows up to two hours ago.
pub(crate) fn write(ledger: &Path) -> Result<()> {
    let store = SqliteStore::open(ledger)?;
    let now = jiff::Timestamp::now().as_millisecond() - 2 * 3_600_000;
    let (mut batch, mut bytes, mut number) = (Batch::default(), Vec::new(), 0);
    for day in (0..DAYS).rev() {
        for (index, habit) in HABITS.iter().enumerate() {
            // Weekends are quiet, and use grows slowly.
            let quiet = (now / DAY - day) % 7 < 2;
            let calls = if quiet { habit.calls / 2 } else { habit.calls };
            for call in 0..calls {
                number += 1;
                let at = now - day * DAY - call * 3_700_000 - i64::try_from(index)? * 61_000;
                let entry = row(habit, UnixMillis::new(at), number, 100 - day / 2 + call * 3);
                bytes.clear();
                encode_entry(&entry, &mut bytes);
                batch.push(LOG, number, entry, &bytes);
            }
        }
    }
    batch.cursors.push(Cursor { log: LOG, lsn: number, segment: 1, offset: number });
    store.load(&batch)?;
    Ok(())
}

/// Writes the rows of a large organisation: on each day one of every fourth project.
pub(crate) fn write_large(ledger: &Path, size: Size) -> Result<()> {
    let store = SqliteStore::open(ledger)?;
    let now = jiff::Timestamp::now().as_millisecond();
    let a_day = size.teams * size.projects_of_a_team / 4;
    let (mut bytes, mut number) = (Vec::new(), 0_u64);
    for day in (0..size.days).rev() {
        let mut batch = Batch::default();
        for place in 0..a_day {
            number += 1;
            let names = size.row(place * 4 + usize::try_from(day)? % 4);
            let habit = Habit {
                team: &names.team,
                project: &names.project,
                key: "prod",
                model: &names.model,
                upstream: &names.upstream,
                region: &names.region,
                calls: 1,
                milli: 4_000,
            };
            let at = now - day * DAY - i64::try_from(place)? * 70_000 % DAY;
            let entry = row(&habit, UnixMillis::new(at), number, 50 + i64::try_from(place)? % 90);
            bytes.clear();
            encode_entry(&entry, &mut bytes);
            batch.push(LOG, number, entry, &bytes);
        }
        batch.cursors.push(Cursor { log: LOG, lsn: number, segment: 1, offset: number });
        store.load(&batch)?;
    }
    Ok(())
}

fn row(habit: &Habit<'_>, at: UnixMillis, number: u64, percent: i64) -> Entry {
    let identity = Identity {
        organization: "contoso".into(),
        instance: "gw-2".into(),
        team: habit.team.into(),
        project: habit.project.into(),
        key: habit.key.into(),
        cost_center: None,
        tags: Vec::new(),
    };
    let place = Place {
        provider: habit.upstream.split('-').next().unwrap_or_default().into(),
        account: None,
        upstream: habit.upstream.into(),
        upstream_model: habit.model.into(),
        region: habit.region.into(),
        zone: habit.region.into(),
    };
    let attempt = Attempt {
        n: 1,
        upstream: habit.upstream.into(),
        region: habit.region.into(),
        outcome: "ok".into(),
        status: Some(200),
        upstream_request_id: None,
        ttft_ms: Some(280),
        duration_ms: 900,
        meters: Default::default(),
        waste: Money::ZERO,
    };
    let tokens = 4_000 + number % 900;
    Entry {
        seq: number,
        ended_at: at.plus(900),
        place: Some(Arc::new(place)),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        status: 200,
        end: Some(End::Completed),
        usage: Usage { input_uncached: tokens, output_text: tokens / 4, ..Usage::default() },
        usage_source: UsageSource::Reported,
        cost: Some(Money::from_pico(habit.milli * i128::from(percent) * 10_000_000)),
        attempts: [attempt].into_iter().collect(),
        ttft_ms: Some(280),
        duration_ms: 900,
        config_version: 1,
        ..Entry::new(
            Kind::Usage,
            RequestId::new(at, u128::from(number)),
            Arc::new(identity),
            habit.model.into(),
            "USD".into(),
        )
    }
}
