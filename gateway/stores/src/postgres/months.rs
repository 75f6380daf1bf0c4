//! The months that rows are kept in: a partition each, made when its first row comes, dropped whole.

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};
use tokio_postgres::{Client, types::Type};
use tollgate_accounting::ledger::StoreError;
use tollgate_domain::{RequestId, UnixMillis};

use super::{FIRST, LAST, Outcome, instant, load, millis};

/// A calendar month of UTC.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Month {
    year: i16,
    month: i8,
}

/// When a row started, as its id remembers it and as its partition is found by.
pub(super) fn started(id: RequestId) -> UnixMillis {
    UnixMillis::new(id.started_at().get().clamp(FIRST, LAST))
}

impl Month {
    /// The month of an instant that [`started`] gives.
    pub(super) fn of(at: UnixMillis) -> Self {
        let at = Timestamp::from_millisecond(at.get().clamp(FIRST, LAST)).expect("clamped to what is a time");
        let date = at.to_zoned_datetime(TimeZone::UTC);
        Self { year: date.year(), month: date.month() }
    }

    fn after(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    /// The name of its table.
    fn table(self) -> String {
        format!("entries_{:04}_{:02}", self.year, self.month)
    }

    /// The month of a table.
    fn of_table(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix("entries_")?.split_once('_')?;
        Some(Self { year: year.parse().ok()?, month: month.parse().ok()? })
    }

    /// Its first instant, as a bound of a partition.
    fn bound(self) -> String {
        if self.year > 9_999 {
            return "MAXVALUE".to_owned();
        }
        format!("'{:04}-{:02}-01T00:00:00Z'", self.year, self.month)
    }
}

/// Makes the partitions of these months that are not there. The caller holds the lock of the
/// sequence, so nobody else makes or drops one meanwhile.
pub(super) async fn make(to: &Client, months: &BTreeSet<Month>) -> Outcome<()> {
    let tables: Vec<String> = months.iter().map(|month| month.table()).collect();
    let missing = "SELECT name FROM unnest($1) AS name WHERE to_regclass('tollgate.' || name) IS NULL";
    for row in to.query_typed(missing, &[(&tables, Type::TEXT_ARRAY)]).await? {
        let table: String = row.try_get(0)?;
        let month = Month::of_table(&table).expect("one of the names above");
        // A table that is attached afterwards disturbs no reader; one that is made in place waits for
        // all of them.
        let make = format!(
            "CREATE TABLE tollgate.{table} (LIKE tollgate.entries INCLUDING DEFAULTS);
             ALTER TABLE tollgate.entries ATTACH PARTITION tollgate.{table}
                 FOR VALUES FROM ({}) TO ({})",
            month.bound(),
            month.after().bound()
        );
        to.batch_execute(&make).await?;
    }
    Ok(())
}

/// Drops the months that ended before an instant.
pub(super) async fn drop_before(to: &Client, before: UnixMillis) -> Outcome<Vec<String>> {
    load::lock_sequence(to).await?;
    let first_kept = Month::of(before);
    let mut dropped = Vec::new();
    for month in all(to).await?.into_iter().filter(|month| *month < first_kept) {
        to.batch_execute(&format!("DROP TABLE tollgate.{}", month.table())).await?;
        dropped.push(format!("{:04}-{:02}", month.year, month.month));
    }
    if !dropped.is_empty() {
        let note = format!(
            "UPDATE tollgate.retention SET dropped_before = greatest(dropped_before, {})",
            first_kept.bound()
        );
        to.batch_execute(&note).await?;
    }
    Ok(dropped)
}

/// Every month that has a partition, the earliest first.
async fn all(from: &Client) -> Outcome<Vec<Month>> {
    let partitions = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                      WHERE inhparent = 'tollgate.entries'::regclass ORDER BY relname";
    let names = from.query_typed(partitions, &[]).await?;
    let names = names.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let mut months: Vec<Month> = names.iter().filter_map(|name| Month::of_table(name)).collect();
    months.sort_unstable();
    Ok(months)
}

/// Refuses a question about rows since `begin` if some of them were dropped. An open begin asks for
/// what there is.
pub(super) async fn require_rows_since(from: &Client, begin: Option<UnixMillis>) -> Outcome<()> {
    let Some(begin) = begin else { return Ok(()) };
    match dropped_before(from).await? {
        Some(before) if begin < before => Err(StoreError::RowsDropped { before }.into()),
        _ => Ok(()),
    }
}

/// Refuses a question that needs every row there ever was in a range, if some of them were dropped.
pub(super) async fn require_all_rows_since(from: &Client, begin: Option<UnixMillis>) -> Outcome<()> {
    require_rows_since(from, Some(begin.unwrap_or(UnixMillis::new(FIRST)))).await
}

async fn dropped_before(from: &Client) -> Outcome<Option<UnixMillis>> {
    let row = from.query_typed_one("SELECT dropped_before FROM tollgate.retention", &[]).await?;
    Ok(row.try_get::<_, Option<_>>(0)?.map(millis))
}

/// The instant of a row's partition, as the server takes it.
pub(super) fn started_instant(id: RequestId) -> std::time::SystemTime {
    instant(started(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_found_by_any_of_its_instants_and_by_its_table() {
        let cases = [
            (0, "entries_1970_01", "'1970-01-01T00:00:00Z'", "'1970-02-01T00:00:00Z'"),
            (1_790_812_799_999, "entries_2026_09", "'2026-09-01T00:00:00Z'", "'2026-10-01T00:00:00Z'"),
            (1_790_812_800_000, "entries_2026_10", "'2026-10-01T00:00:00Z'", "'2026-11-01T00:00:00Z'"),
            (i64::MAX, "entries_9999_12", "'9999-12-01T00:00:00Z'", "MAXVALUE"),
        ];
        for (at, table, begin, end) in cases {
            let month = Month::of(UnixMillis::new(at));
            assert_eq!(
                (month.table().as_str(), &*month.bound(), &*month.after().bound()),
                (table, begin, end)
            );
            assert_eq!(Month::of_table(table), Some(month));
        }
        assert_eq!(Month::of_table("entries_by_hand"), None);
    }
}
