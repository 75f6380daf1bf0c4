//! Sums per hour and per day: gathered in memory for a batch, then added to the tables.

use std::{collections::BTreeMap, time::SystemTime};

use tokio_postgres::{Client, types::Type};
use tollgate_accounting::ledger::{Entry, Kind, UsageGroup};
use tollgate_domain::{Money, UnixMillis};

use super::{Bound, Outcome, instant, months, text};
use crate::spans::{DAY, HOUR};

/// What a batch adds.
#[derive(Default)]
pub(super) struct Rollups<'a> {
    hours: BTreeMap<Cell<'a>, UsageGroup>,
}

/// What the rows of a sum have in common.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Cell<'a> {
    /// Where the hour, or the day, begins.
    since: i64,
    kind: Kind,
    /// Team, project, key, model, upstream, region, zone, currency.
    names: [&'a str; 8],
}

impl<'a> Cell<'a> {
    fn of(entry: &'a Entry) -> Self {
        let identity = &entry.identity;
        let (upstream, region, zone) = match entry.place.as_deref() {
            Some(place) => (place.upstream.as_str(), place.region.as_str(), place.zone.as_str()),
            None => ("", "", ""),
        };
        Self {
            since: begin(months::started(entry.id), HOUR),
            kind: entry.kind,
            names: [
                identity.team.as_str(),
                identity.project.as_str(),
                identity.key.as_str(),
                entry.model.as_str(),
                upstream,
                region,
                zone,
                &entry.currency,
            ],
        }
    }
}

/// The begin of the span of `length` milliseconds that holds an instant.
fn begin(at: UnixMillis, length: i64) -> i64 {
    at.get().div_euclid(length) * length
}

impl<'a> Rollups<'a> {
    pub(super) fn count(&mut self, entry: &'a Entry) {
        add(&mut self.hours, Cell::of(entry), &entry.currency, |sums| sums.count(entry));
    }

    /// Adds the sums to both tables.
    pub(super) async fn add_to(&self, to: &Client) -> Outcome<()> {
        let mut days = BTreeMap::new();
        for (cell, sums) in &self.hours {
            let day = Cell { since: begin(UnixMillis::new(cell.since), DAY), ..*cell };
            add(&mut days, day, &sums.currency, |day| day.add(sums));
        }
        upsert(to, "usage_by_hour", &self.hours).await?;
        upsert(to, "usage_by_day", &days).await
    }
}

fn add<'a>(
    to: &mut BTreeMap<Cell<'a>, UsageGroup>,
    cell: Cell<'a>,
    currency: &tollgate_domain::Name,
    change: impl FnOnce(&mut UsageGroup),
) {
    change(to.entry(cell).or_insert_with(|| UsageGroup::empty(Vec::new(), currency.clone())));
}

/// The texts of a cell after its kind.
const NAMES: [&str; 8] = ["team", "project", "key", "model", "upstream", "region", "zone", "currency"];
/// The sums of a cell.
pub(super) const SUMS: [&str; 9] = [
    "requests",
    "refusals",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced_requests",
    "cost",
];

/// The sums of a group, in the order of [`SUMS`], as decimals.
fn sums_of(group: &UsageGroup) -> [String; 9] {
    let counts = [
        group.requests,
        group.refusals,
        group.input_tokens,
        group.cached_input_tokens,
        group.cache_write_tokens,
        group.output_tokens,
        group.reasoning_tokens,
        group.unpriced_requests,
    ];
    let [a, b, c, d, e, f, g, h] = counts.map(|count| count.to_string());
    [a, b, c, d, e, f, g, h, group.cost.to_string()]
}

/// The reverse of [`sums_of`]. A count stops at what 64 bits hold.
pub(super) fn group_of(sums: [&str; 9], mut group: UsageGroup) -> Option<UsageGroup> {
    let [requests, refusals, input, cached, written, output, reasoning, unpriced, cost] = sums;
    let count = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX))
    };
    group.requests = count(requests)?;
    group.refusals = count(refusals)?;
    group.input_tokens = count(input)?;
    group.cached_input_tokens = count(cached)?;
    group.cache_write_tokens = count(written)?;
    group.output_tokens = count(output)?;
    group.reasoning_tokens = count(reasoning)?;
    group.unpriced_requests = count(unpriced)?;
    group.cost = cost.parse::<Money>().ok()?;
    Some(group)
}

/// Adds cells to a table, in one statement.
async fn upsert(to: &Client, table: &str, cells: &BTreeMap<Cell<'_>, UsageGroup>) -> Outcome<()> {
    if cells.is_empty() {
        return Ok(());
    }
    let since: Vec<SystemTime> = cells.keys().map(|cell| instant(UnixMillis::new(cell.since))).collect();
    let kinds: Vec<&str> = cells.keys().map(|cell| cell.kind.as_str()).collect();
    let names: Vec<Vec<_>> =
        (0..NAMES.len()).map(|at| cells.keys().map(|cell| text(cell.names[at])).collect()).collect();
    let mut sums: Vec<Vec<String>> = vec![Vec::with_capacity(cells.len()); SUMS.len()];
    for group in cells.values() {
        for (column, sum) in sums.iter_mut().zip(sums_of(group)) {
            column.push(sum);
        }
    }
    let mut values: Vec<Bound<'_>> = vec![(&since, Type::TIMESTAMPTZ_ARRAY), (&kinds, Type::TEXT_ARRAY)];
    values.extend(names.iter().map(|column| -> Bound<'_> { (column, Type::TEXT_ARRAY) }));
    values.extend(sums.iter().map(|column| -> Bound<'_> { (column, Type::TEXT_ARRAY) }));
    to.execute_typed(&statement(table), &values).await?;
    Ok(())
}

fn statement(table: &str) -> String {
    let key = format!("since, kind, {}", NAMES.join(", "));
    let sums = SUMS.join(", ");
    let marks: Vec<String> = (1..=2 + NAMES.len() + SUMS.len()).map(|mark| format!("${mark}")).collect();
    let numbers: Vec<String> = SUMS.iter().map(|sum| format!("{sum}::numeric")).collect();
    let added: Vec<String> = SUMS.iter().map(|sum| format!("{sum} = known.{sum} + excluded.{sum}")).collect();
    format!(
        "INSERT INTO tollgate.{table} AS known ({key}, {sums})
         SELECT {key}, {} FROM unnest({}) AS added ({key}, {sums})
         ON CONFLICT ({key}) DO UPDATE SET {}",
        numbers.join(", "),
        marks.join(", "),
        added.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_survive_their_way_as_texts() {
        let group = UsageGroup {
            requests: 3,
            input_tokens: u64::MAX,
            cost: Money::from_pico(-1_234_567_890_123_456_789),
            unpriced_requests: 1,
            ..UsageGroup::empty(Vec::new(), "USD".into())
        };
        let texts = sums_of(&group);
        let blank = UsageGroup::empty(Vec::new(), "USD".into());
        assert_eq!(group_of(texts.each_ref().map(String::as_str), blank.clone()), Some(group));
        let mut beyond = texts.each_ref().map(String::as_str);
        beyond[2] = "99999999999999999999999";
        assert_eq!(group_of(beyond, blank.clone()).map(|group| group.input_tokens), Some(u64::MAX));
        beyond[8] = "a lot";
        assert_eq!(group_of(beyond, blank), None);
    }
}
