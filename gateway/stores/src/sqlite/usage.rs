//! Sums for any time range: whole days and hours from the rollups, what is left at the edges from rows.

use std::{fmt::Write as _, ops::ControlFlow};

use rusqlite::{Row, Transaction, params_from_iter, types::Value};
use tollgate_accounting::ledger::{UsageGroup, UsageQuery};
use tollgate_domain::UnixMillis;

use super::{
    Outcome, count,
    rollup::{join, table},
    rows,
};
use crate::{
    spans::{HOUR, Length, Spans},
    sums::{Range, Rollups, Sums, column, is_whole_hours},
};

/// The groups that the query asks for.
pub(super) fn groups(from: &Transaction<'_>, query: &UsageQuery) -> Outcome<Vec<UsageGroup>> {
    let mut sums = Sums::new(query);
    match Spans::within(query) {
        Some(spans) if sums.can_use_rollups() => {
            if add_spans(&mut sums, from, &spans)? == Rollups::DoNotFit {
                sums.clear();
                add_rows(&mut sums, from, (query.from, query.to))?;
            } else {
                for edge in spans.edges(query) {
                    add_rows(&mut sums, from, edge)?;
                }
            }
        }
        _ => add_rows(&mut sums, from, (query.from, query.to))?,
    }
    Ok(sums.into_groups())
}

fn add_rows(sums: &mut Sums<'_>, from: &Transaction<'_>, range: Range) -> Outcome<()> {
    let filter = &sums.query.filter;
    let project = filter.project.as_ref().map(|project| project.as_str());
    rows::each(from, range, project, |entry| {
        let identity = &entry.identity;
        if filter.admits(identity.team.as_str(), identity.project.as_str(), identity.key.as_str()) {
            sums.count(&entry);
        }
        ControlFlow::Continue(())
    })
}

fn add_spans(sums: &mut Sums<'_>, from: &Transaction<'_>, spans: &Spans) -> Outcome<Rollups> {
    for (length, begin, end) in spans.parts() {
        if add_rollups(sums, from, (length, begin / HOUR, end / HOUR))? == Rollups::DoNotFit {
            return Ok(Rollups::DoNotFit);
        }
    }
    Ok(Rollups::Added)
}

/// Adds the sums of spans of this length, from hour `first` to before hour `past`.
fn add_rollups(
    sums: &mut Sums<'_>,
    from: &Transaction<'_>,
    (length, first, past): (Length, i64, i64),
) -> Outcome<Rollups> {
    let query = sums.query;
    let columns: Vec<&str> = query.by.iter().filter_map(column).collect();
    let by_time = columns.len() < query.by.len();
    let (sql, filters) = statement(query, table(length), &columns, by_time);
    let parameters = [Value::from(first), Value::from(past)].into_iter().chain(filters);
    let mut select = from.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(parameters))?;
    while let Some(row) = rows.next()? {
        let start = UnixMillis::new(row.get::<_, i64>("hour")?.saturating_mul(HOUR));
        if by_time && !is_whole_hours(start, &query.time_zone) {
            return Ok(Rollups::DoNotFit);
        }
        let values = query
            .by
            .iter()
            .map(|by| match column(by) {
                Some(name) => row.get(name),
                None => Ok(by.period(start, &query.time_zone).unwrap_or_default()),
            })
            .collect::<Result<_, _>>()?;
        let part = read_sums(row)?;
        sums.group(values, part.currency.clone()).add(&part);
    }
    Ok(Rollups::Added)
}

/// The statement and the values of its filters, in order.
fn statement(query: &UsageQuery, table: &str, columns: &[&str], by_time: bool) -> (String, Vec<Value>) {
    let mut groups = columns.to_vec();
    groups.push("currency");
    if by_time {
        groups.push("rollups.hour");
    }
    let mut sql = "SELECT ".to_owned();
    for column in columns {
        let _ = write!(sql, "{column}, ");
    }
    let _ = write!(
        sql,
        "{} AS hour, currency, sum(requests), sum(refusals), sum(input_tokens),
         sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens),
         sum(unpriced_requests), sum(cost_units), sum(cost_pico)
         FROM {table} AS rollups WHERE rollups.hour >= ? AND rollups.hour < ?",
        if by_time { "rollups.hour" } else { "0" }
    );
    let filter = &query.filter;
    let mut values: Vec<Value> = Vec::new();
    if !filter.teams.is_empty() {
        let marks = vec!["?"; filter.teams.len()].join(", ");
        let _ = write!(sql, " AND team IN ({marks})");
        values.extend(filter.teams.iter().map(|team| Value::from(team.to_string())));
    }
    if let Some(project) = &filter.project {
        sql.push_str(" AND project = ?");
        values.push(project.to_string().into());
    }
    if let Some(key) = &filter.key {
        sql.push_str(" AND key = ?");
        values.push(key.to_string().into());
    }
    let _ = write!(sql, " GROUP BY {}", groups.join(", "));
    (sql, values)
}

fn read_sums(row: &Row<'_>) -> rusqlite::Result<UsageGroup> {
    let sum = |name: &str| row.get::<_, i64>(name).map(count);
    let currency: String = row.get("currency")?;
    Ok(UsageGroup {
        requests: sum("sum(requests)")?,
        refusals: sum("sum(refusals)")?,
        input_tokens: sum("sum(input_tokens)")?,
        cached_input_tokens: sum("sum(cached_input_tokens)")?,
        cache_write_tokens: sum("sum(cache_write_tokens)")?,
        output_tokens: sum("sum(output_tokens)")?,
        reasoning_tokens: sum("sum(reasoning_tokens)")?,
        unpriced_requests: sum("sum(unpriced_requests)")?,
        cost: join(row.get("sum(cost_units)")?, row.get("sum(cost_pico)")?),
        ..UsageGroup::empty(Vec::new(), currency.into())
    })
}
