//! Sums for any time range: whole days and hours from the rollups, what is left at the edges from rows.

use std::{fmt::Write as _, ops::ControlFlow, time::SystemTime};

use tokio_postgres::{Client, Row, types::Type};
use tollgate_accounting::ledger::{Dimension, StoreError, UsageGroup, UsageQuery};
use tollgate_domain::UnixMillis;

use super::{
    Bound, Outcome, instant, millis, months,
    rollup::{SUMS, group_of},
    rows, text,
};
use crate::{
    spans::{Length, Spans},
    sums::{Range, Rollups, Sums, column, is_whole_hours},
};

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

/// The table that has sums of this length.
const fn table(length: Length) -> &'static str {
    match length {
        Length::Hour => "usage_by_hour",
        Length::Day => "usage_by_day",
    }
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
    for (length, begin, end) in spans.parts() {
        if add_rollups(sums, from, (table(length), begin, end)).await? == Rollups::DoNotFit {
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
