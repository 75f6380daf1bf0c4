//! Sums for any time range: whole days and hours from the rollups, what is left at the edges from rows.

use std::{collections::BTreeMap, fmt::Write as _, ops::ControlFlow, time::SystemTime};

use jiff::{Timestamp, tz::TimeZone};
use tokio_postgres::{Client, Row, types::Type};
use tollgate_accounting::ledger::{Dimension, StoreError, UsageGroup, UsageQuery};
use tollgate_domain::{Name, UnixMillis};

use super::{
    Bound, FIRST, LAST, Outcome, instant, millis, months,
    rollup::{DAY, HOUR, SUMS, group_of},
    rows, text,
};

/// A range of time; none is open on that side.
type Range = (Option<UnixMillis>, Option<UnixMillis>);

/// The groups that the query asks for.
pub(super) async fn groups(from: &Client, query: &UsageQuery) -> Outcome<Vec<UsageGroup>> {
    let mut sums = Sums { query, groups: BTreeMap::new() };
    match Spans::within(query) {
        Some(spans) if sums.can_use_rollups() => {
            if sums.add_spans(from, &spans).await? == Rollups::DoNotFit {
                sums.groups.clear();
                sums.add_rows(from, (query.from, query.to)).await?;
            } else {
                for edge in spans.edges(query) {
                    sums.add_rows(from, edge).await?;
                }
            }
        }
        _ => sums.add_rows(from, (query.from, query.to)).await?,
    }
    Ok(sums.groups.into_values().collect())
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

#[derive(Eq, PartialEq)]
enum Rollups {
    Added,
    /// A day of the calendar does not begin with an hour of UTC.
    DoNotFit,
}

struct Sums<'a> {
    query: &'a UsageQuery,
    groups: BTreeMap<(Vec<String>, Name), UsageGroup>,
}

impl Sums<'_> {
    fn can_use_rollups(&self) -> bool {
        !self.query.by.iter().any(|by| matches!(by, Dimension::EndUser | Dimension::Tag(_)))
    }

    fn group(&mut self, values: Vec<String>, currency: Name) -> &mut UsageGroup {
        let by = &self.query.by;
        self.groups.entry((values, currency)).or_insert_with_key(|(values, currency)| {
            UsageGroup::empty(by.iter().cloned().zip(values.iter().cloned()).collect(), currency.clone())
        })
    }

    async fn add_rows(&mut self, from: &Client, range: Range) -> Outcome<()> {
        months::require_all_rows_since(from, range.0).await?;
        let filter = &self.query.filter;
        rows::each(from, range, filter, |entry| {
            let zone = &self.query.time_zone;
            let values = self.query.by.iter().map(|by| by.value(&entry, zone).into_owned()).collect();
            self.group(values, entry.currency.clone()).count(&entry);
            ControlFlow::Continue(())
        })
        .await
    }

    async fn add_spans(&mut self, from: &Client, spans: &Spans) -> Outcome<Rollups> {
        for part in spans.parts() {
            if self.add_rollups(from, part).await? == Rollups::DoNotFit {
                return Ok(Rollups::DoNotFit);
            }
        }
        Ok(Rollups::Added)
    }

    async fn add_rollups(
        &mut self,
        from: &Client,
        (table, begin, end): (&str, i64, i64),
    ) -> Outcome<Rollups> {
        let filter = &self.query.filter;
        let columns: Vec<&str> = self.query.by.iter().filter_map(column).collect();
        let by_time = columns.len() < self.query.by.len();
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
            if since.is_some_and(|since| !is_whole_hours(since, &self.query.time_zone)) {
                return Ok(Rollups::DoNotFit);
            }
            let sums = read_sums(&row)?;
            let values = self.values(&row, since)?;
            self.group(values, sums.currency.clone()).add(&sums);
        }
        Ok(Rollups::Added)
    }

    fn values(&self, row: &Row, since: Option<UnixMillis>) -> Outcome<Vec<String>> {
        let value = |by: &Dimension| match (column(by), since) {
            (Some(name), _) => row.try_get(name),
            (None, Some(since)) => Ok(by.period(since, &self.query.time_zone).unwrap_or_default()),
            (None, None) => Ok(String::new()),
        };
        Ok(self.query.by.iter().map(value).collect::<Result<_, _>>()?)
    }
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

/// The rollups' column of a dimension that is no time; all dimensions that need rows are excluded
/// before.
fn column(by: &Dimension) -> Option<&'static str> {
    Some(match by {
        Dimension::Team => "team",
        Dimension::Project => "project",
        Dimension::Key => "key",
        Dimension::Model => "model",
        Dimension::Upstream => "upstream",
        Dimension::Region => "region",
        Dimension::Zone => "zone",
        Dimension::EndUser | Dimension::Tag(_) | Dimension::Day | Dimension::Hour | Dimension::Month => {
            return None;
        }
    })
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

fn is_whole_hours(at: UnixMillis, zone: &TimeZone) -> bool {
    Timestamp::from_millisecond(at.get()).is_ok_and(|at| zone.to_offset(at).seconds() % 3_600 == 0)
}

#[cfg(test)]
mod tests {
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
