//! Sums for any time range: whole days and hours from the rollups, what is left at the edges from rows.

use std::{fmt::Write as _, ops::ControlFlow, time::SystemTime};

use tokio_postgres::{Client, Row, types::Type};
use tollgate_accounting::ledger::{Dimension, StoreError, UsageGroup, UsageQuery};
use tollgate_domain::UnixMillis;

use super::{
    Bound, FIRST, LAST, Outcome, instant, millis, months,
    rollup::{DAY, HOUR, SUMS, group_of},
    rows, text,
};
use crate::sums::{Range, Rollups, Sums, column, is_whole_hours};

/// The groups that the query asks for.
pub(super) async fn groups(from: &Client, query: &UsageQuery) -> Outcome<Vec<UsageGroup>> {
    let mut sums = Sums::new(query);
    match Spans::within(query) {
        Some(spans) if sums.can_use_rollups() => {
            if add_spans(&mut sums, from, &spans).await? == Rollups::DoNotFit {
                sums.clear();
                add_rows(&mut sums, from, (query.from, query.to)).await?;
            } else {
                for edge in spans.edges(query) {
                    add_rows(&mut sums, from, edge).await?;
                }
            }
        }
        _ => add_rows(&mut sums, from, (query.from, query.to)).await?,
    }
    Ok(sums.into_groups())
}

/// The whole hours of a range, and the whole days of UTC within them, in milliseconds.
struct Spans {
    hours: (i64, i64),
    /// Empty, at one of the ends of the hours, when there is no whole day or days are of no use.
    days: (i64, i64),
}

impl Spans {
    /// None when the range has no whole hour.
    fn within(query: &UsageQuery) -> Option<Self> {
        let begin = query.from.map_or(FIRST, UnixMillis::get).clamp(FIRST, LAST);
        let end = query.to.map_or(LAST + DAY, UnixMillis::get).clamp(FIRST, LAST + DAY);
        let hours = (round_up(begin, HOUR), round_down(end, HOUR));
        if hours.0 >= hours.1 {
            return None;
        }
        let days = (round_up(hours.0, DAY), round_down(hours.1, DAY));
        let useful = days_will_do(query) && days.0 < days.1;
        Some(Self { hours, days: if useful { days } else { (hours.0, hours.0) } })
    }

    /// The parts, each with the table that has their sums.
    fn parts(&self) -> impl Iterator<Item = (&'static str, i64, i64)> {
        let parts = [
            ("usage_by_hour", self.hours.0, self.days.0),
            ("usage_by_day", self.days.0, self.days.1),
            ("usage_by_hour", self.days.1, self.hours.1),
        ];
        parts.into_iter().filter(|(_, begin, end)| begin < end)
    }

    /// What of the range lies outside its whole hours.
    fn edges(&self, query: &UsageQuery) -> impl Iterator<Item = Range> + use<> {
        let (first, past) = (UnixMillis::new(self.hours.0), UnixMillis::new(self.hours.1));
        let begin = query.from.filter(|from| *from < first).map(|from| (Some(from), Some(first)));
        let end = query.to.filter(|to| *to > past).map(|to| (Some(past), Some(to)));
        begin.into_iter().chain(end)
    }
}

fn round_up(at: i64, length: i64) -> i64 {
    round_down(at + length - 1, length)
}

fn round_down(at: i64, length: i64) -> i64 {
    at.div_euclid(length) * length
}

/// True when sums per day of UTC can answer: the question has no calendar, or one whose days they are.
fn days_will_do(query: &UsageQuery) -> bool {
    let by_hour = query.by.contains(&Dimension::Hour);
    let by_calendar = query.by.iter().any(|by| matches!(by, Dimension::Day | Dimension::Month));
    let is_utc = query.time_zone.to_fixed_offset().is_ok_and(|offset| offset.seconds() == 0);
    !by_hour && (!by_calendar || is_utc)
}

async fn add_rows(sums: &mut Sums<'_>, from: &Client, range: Range) -> Outcome<()> {
    months::require_all_rows_since(from, range.0).await?;
    let filter = &sums.query.filter;
    rows::each(from, range, filter, |entry| {
        sums.count(&entry);
        ControlFlow::Continue(())
    })
    .await
}

async fn add_spans(sums: &mut Sums<'_>, from: &Client, spans: &Spans) -> Outcome<Rollups> {
    for part in spans.parts() {
        if add_rollups(sums, from, part).await? == Rollups::DoNotFit {
            return Ok(Rollups::DoNotFit);
        }
    }
    Ok(Rollups::Added)
}

async fn add_rollups(
    sums: &mut Sums<'_>,
    from: &Client,
    (table, begin, end): (&str, i64, i64),
) -> Outcome<Rollups> {
    let query = sums.query;
    let filter = &query.filter;
    let columns: Vec<&str> = query.by.iter().filter_map(column).collect();
    let by_time = columns.len() < query.by.len();
    let (begin, end) = (instant(UnixMillis::new(begin)), instant(UnixMillis::new(end)));
    let teams: Vec<_> = filter.teams.iter().map(|team| text(team.as_str())).collect();
    let project = filter.project.as_ref().map(|project| text(project.as_str()));
    let key = filter.key.as_ref().map(|key| text(key.as_str()));
    let values: [Bound<'_>; 5] = [
        (&begin, Type::TIMESTAMPTZ),
        (&end, Type::TIMESTAMPTZ),
        (&teams, Type::TEXT_ARRAY),
        (&project, Type::TEXT),
        (&key, Type::TEXT),
    ];
    for row in from.query_typed(&statement(table, &columns, by_time), &values).await? {
        let since = row.try_get::<_, Option<SystemTime>>("since")?.map(millis);
        if since.is_some_and(|since| !is_whole_hours(since, &query.time_zone)) {
            return Ok(Rollups::DoNotFit);
        }
        let part = read_sums(&row)?;
        let values = values_of(query, &row, since)?;
        sums.group(values, part.currency.clone()).add(&part);
    }
    Ok(Rollups::Added)
}

fn values_of(query: &UsageQuery, row: &Row, since: Option<UnixMillis>) -> Outcome<Vec<String>> {
    let value = |by: &Dimension| match (column(by), since) {
        (Some(name), _) => row.try_get(name),
        (None, Some(since)) => Ok(by.period(since, &query.time_zone).unwrap_or_default()),
        (None, None) => Ok(String::new()),
    };
    Ok(query.by.iter().map(value).collect::<Result<_, _>>()?)
}

/// Sums of a part of a table, by columns and, if so asked, by its spans of time. Values: begin, end,
/// teams, project, key.
fn statement(table: &str, columns: &[&str], by_time: bool) -> String {
    let mut groups = columns.to_vec();
    groups.push("currency");
    if by_time {
        groups.push("usage.since");
    }
    let mut sql = format!("SELECT {} AS since", if by_time { "usage.since" } else { "NULL::timestamptz" });
    for column in columns.iter().chain(&["currency"]) {
        let _ = write!(sql, ", {column}");
    }
    for sum in SUMS {
        let _ = write!(sql, ", sum({sum})::text AS {sum}");
    }
    let _ = write!(
        sql,
        " FROM tollgate.{table} AS usage WHERE usage.since >= $1 AND usage.since < $2
         AND (cardinality($3) = 0 OR team = ANY ($3)) AND ($4 IS NULL OR project = $4)
         AND ($5 IS NULL OR key = $5) GROUP BY {}",
        groups.join(", ")
    );
    sql
}

fn read_sums(row: &Row) -> Outcome<UsageGroup> {
    let mut sums = [""; SUMS.len()];
    for (sum, name) in sums.iter_mut().zip(SUMS) {
        *sum = row.try_get(name)?;
    }
    let currency: &str = row.try_get("currency")?;
    let blank = UsageGroup::empty(Vec::new(), currency.into());
    let unreadable = || StoreError::Failed { store: "postgres", source: "a sum is no number".into() };
    Ok(group_of(sums, blank).ok_or_else(unreadable)?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// A table, and the hours that are taken from it.
    type Part = (&'static str, i64, i64);

    fn parts(from: i64, to: i64, by: &[Dimension]) -> Vec<Part> {
        let query = UsageQuery {
            from: Some(UnixMillis::new(from)),
            to: Some(UnixMillis::new(to)),
            by: by.to_vec(),
            ..UsageQuery::default()
        };
        let spans = Spans::within(&query);
        spans.map_or_else(Vec::new, |spans| {
            spans.parts().map(|(table, begin, end)| (table, begin / HOUR, end / HOUR)).collect()
        })
    }

    #[test]
    fn a_range_is_covered_once_by_days_and_hours() {
        let (hours, days) = ("usage_by_hour", "usage_by_day");
        let cases: [(i64, i64, &[Dimension], &[Part]); 6] = [
            (HOUR / 2, HOUR, &[], &[]),
            (HOUR / 2, 3 * HOUR, &[], &[(hours, 1, 3)]),
            (0, 2 * DAY, &[Dimension::Day], &[(days, 0, 48)]),
            (1, 2 * DAY + 2 * HOUR + 1, &[], &[(hours, 1, 24), (days, 24, 48), (hours, 48, 50)]),
            (1, 2 * DAY, &[Dimension::Hour], &[(hours, 1, 48)]),
            (23 * HOUR, 25 * HOUR, &[], &[(hours, 23, 25)]),
        ];
        for (from, to, by, want) in cases {
            assert_eq!(parts(from, to, by), want, "{from} to {to} by {by:?}");
        }
    }

    #[test]
    fn days_of_another_calendar_are_added_up_from_hours() {
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let by =
            |by: Dimension| UsageQuery { by: vec![by], time_zone: zone.clone(), ..UsageQuery::default() };
        assert!(!days_will_do(&by(Dimension::Day)));
        assert!(!days_will_do(&by(Dimension::Month)));
        assert!(days_will_do(&by(Dimension::Team)));
    }
}
