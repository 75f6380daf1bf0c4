//! Forecasts of all budgets, from the ledger's rollups by day.
//!
//! Whole days hardly change any more: they are read anew every ten minutes, and when a day ends.

use std::collections::HashMap;

use jiff::{ToSpan, tz::TimeZone};
use parking_lot::Mutex;
use tollgate_accounting::{
    ledger::{Dimension, LedgerStore, StoreError, UsageGroup, UsageQuery},
    quota::{BudgetStatus, Calendar, Period, ScopeId, ScopeKind},
};
use tollgate_domain::{Money, UnixMillis};
use tollgate_finance::{Days, Forecast, LOOKBACK_DAYS, Standing};

const FRESH_MILLIS: i64 = 600_000;

/// What every scope spent on the days before today.
#[derive(Default)]
pub struct Foresight(Mutex<Option<Known>>);

struct Known {
    read_at: UnixMillis,
    today: UnixMillis,
    days: HashMap<ScopeId, Days>,
}

impl Foresight {
    /// Reads the days again where that is due. Blocks on the store.
    ///
    /// # Errors
    /// The store cannot be read; forecasts go on with what was known.
    pub fn refresh(
        &self,
        store: &dyn LedgerStore,
        currency: &str,
        zone: &TimeZone,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let today = Calendar::of(zone.clone()).window_of(Period::Day, now).start;
        let fresh =
            |known: &Known| known.today == today && (0..FRESH_MILLIS).contains(&now.since(known.read_at));
        if self.0.lock().as_ref().is_some_and(fresh) {
            return Ok(());
        }
        let days = read(store, currency, zone, today)?;
        *self.0.lock() = Some(Known { read_at: now, today, days });
        Ok(())
    }

    /// Where this budget will stand at the end of its period. `None` where it has no end, or too
    /// little is known.
    #[must_use]
    pub fn of(&self, status: &BudgetStatus, zone: &TimeZone, now: UnixMillis) -> Option<Forecast> {
        let standing = Standing::at(now, status.end?, (status.spent, status.spent_today), zone)?;
        let known = self.0.lock();
        Forecast::of(known.as_ref()?.days.get(&status.scope)?, &standing)
    }
}

fn read(
    store: &dyn LedgerStore,
    currency: &str,
    zone: &TimeZone,
    today: UnixMillis,
) -> Result<HashMap<ScopeId, Days>, StoreError> {
    let query = UsageQuery {
        from: days_before(today, zone),
        to: Some(today),
        by: vec![Dimension::Team, Dimension::Project, Dimension::Key, Dimension::Day],
        time_zone: zone.clone(),
        ..UsageQuery::default()
    };
    let mut days: HashMap<ScopeId, Days> = HashMap::new();
    for group in store.usage(&query)?.iter().filter(|group| *group.currency == *currency) {
        add(&mut days, group);
    }
    Ok(days)
}

/// Adds a key's day to the key, its project and its team.
fn add(days: &mut HashMap<ScopeId, Days>, group: &UsageGroup) {
    let [(_, team), (_, project), (_, key), (_, day)] = &group.group[..] else { return };
    let Ok(day) = day.parse() else { return };
    let project = format!("{team}/{project}");
    let names = [
        (ScopeKind::Team, team.clone()),
        (ScopeKind::Key, format!("{project}/{key}")),
        (ScopeKind::Project, project),
    ];
    for (kind, name) in names {
        if group.cost != Money::ZERO {
            days.entry(ScopeId { kind, name: name.into() }).or_default().add(day, group.cost);
        }
    }
}

/// The first instant of the day so many days back.
fn days_before(today: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
    let today = jiff::Timestamp::from_millisecond(today.get()).ok()?.to_zoned_datetime(zone.clone()).date();
    let first = today.checked_sub(LOOKBACK_DAYS.days()).ok()?;
    let midnight = first.to_zoned_datetime(zone.clone()).ok()?;
    Some(UnixMillis::new(midnight.timestamp().as_millisecond()))
}
