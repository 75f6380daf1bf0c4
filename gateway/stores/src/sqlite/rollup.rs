//! Sums per hour and per day: gathered in memory for a batch, then added to the tables.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Transaction, params};
use tollgate_accounting::ledger::{Entry, Kind, UsageGroup};
use tollgate_domain::Money;

use super::{Outcome, signed};
use crate::spans::{HOUR, Length};

/// Hours of a day of UTC.
const HOURS: i64 = 24;
/// Pico-units in a unit of currency.
const PICO: i128 = 1_000_000_000_000;

/// What a batch adds. A cell of the table may be in several parts here: they are told apart by
/// where their texts lie, which is the same for nearly all rows of a key, and added up by the table.
#[derive(Default)]
pub(super) struct Rollups<'a>(HashMap<Part, (&'a Entry, UsageGroup), foldhash::fast::RandomState>);

/// What rows of one cell have in common, by address; the rows outlive the sums.
#[derive(Eq, Hash, PartialEq)]
struct Part {
    hour: i64,
    kind: Kind,
    identity: usize,
    model: usize,
    place: usize,
    currency: usize,
}

impl Part {
    fn of(entry: &Entry) -> Self {
        Self {
            hour: hour(entry),
            kind: entry.kind,
            identity: Arc::as_ptr(&entry.identity).addr(),
            model: entry.model.as_str().as_ptr().addr(),
            place: entry.place.as_ref().map_or(0, |place| Arc::as_ptr(place).addr()),
            currency: entry.currency.as_ptr().addr(),
        }
    }
}

fn hour(entry: &Entry) -> i64 {
    entry.started_at.get().div_euclid(HOUR)
}

impl<'a> Rollups<'a> {
    pub(super) fn count(&mut self, entry: &'a Entry) {
        let part = self.0.entry(Part::of(entry));
        let (_, sums) =
            part.or_insert_with(|| (entry, UsageGroup::empty(Vec::new(), entry.currency.clone())));
        sums.count(entry);
    }

    /// Adds the sums to both tables.
    pub(super) fn add_to(self, to: &Transaction<'_>) -> Outcome<()> {
        let mut days = Self::default();
        for (part, (entry, sums)) in &self.0 {
            let day = Part { hour: part.hour.div_euclid(HOURS) * HOURS, ..*part };
            let known = days.0.entry(day);
            let (_, day) =
                known.or_insert_with(|| (*entry, UsageGroup::empty(Vec::new(), entry.currency.clone())));
            day.add(sums);
        }
        self.upsert(to, Length::Hour)?;
        days.upsert(to, Length::Day)
    }

    fn upsert(self, to: &Transaction<'_>, length: Length) -> Outcome<()> {
        let mut upsert = to.prepare_cached(&statement(table(length)))?;
        for (part, (entry, sums)) in self.0 {
            let identity = &entry.identity;
            let (upstream, region, zone) = match entry.place.as_deref() {
                Some(place) => (place.upstream.as_str(), place.region.as_str(), place.zone.as_str()),
                None => ("", "", ""),
            };
            let (units, pico) = split(sums.cost);
            upsert.execute(params![
                part.hour,
                entry.kind.as_str(),
                identity.team.as_str(),
                identity.project.as_str(),
                identity.key.as_str(),
                entry.model.as_str(),
                upstream,
                region,
                zone,
                &*entry.currency,
                signed(sums.requests),
                signed(sums.refusals),
                signed(sums.input_tokens),
                signed(sums.cached_input_tokens),
                signed(sums.cache_write_tokens),
                signed(sums.output_tokens),
                signed(sums.reasoning_tokens),
                signed(sums.unpriced_requests),
                units,
                pico,
            ])?;
        }
        Ok(())
    }
}

/// The table that has sums of this length.
pub(super) const fn table(length: Length) -> &'static str {
    match length {
        Length::Hour => "rollups",
        Length::Day => "rollups_by_day",
    }
}

fn statement(table: &str) -> String {
    format!(
        "INSERT INTO {table} (hour, kind, team, project, key, model, upstream, region, zone, currency,
            requests, refusals, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
            reasoning_tokens, unpriced_requests, cost_units, cost_pico)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET
            requests            = requests + excluded.requests,
            refusals            = refusals + excluded.refusals,
            input_tokens        = input_tokens + excluded.input_tokens,
            cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,
            cache_write_tokens  = cache_write_tokens + excluded.cache_write_tokens,
            output_tokens       = output_tokens + excluded.output_tokens,
            reasoning_tokens    = reasoning_tokens + excluded.reasoning_tokens,
            unpriced_requests   = unpriced_requests + excluded.unpriced_requests,
            cost_units = cost_units + excluded.cost_units + (cost_pico + excluded.cost_pico) / 1000000000000,
            cost_pico  = (cost_pico + excluded.cost_pico) % 1000000000000"
    )
}

/// An amount as two integers that SQLite can add exactly. Units stop at what 64 bits hold.
fn split(cost: Money) -> (i64, i64) {
    let (units, pico) = (cost.pico().div_euclid(PICO), cost.pico().rem_euclid(PICO));
    let units = units.clamp(i64::MIN.into(), i64::MAX.into());
    (units as i64, pico as i64)
}

/// The reverse of [`split`], for sums of it too.
pub(super) fn join(units: i64, pico: i64) -> Money {
    Money::from_pico(i128::from(units) * PICO + i128::from(pico))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_survives_its_two_halves() {
        for pico in [0, 1, -1, PICO, -PICO, PICO - 1, 1 - PICO, 12_345_678_901_234_567_890_i128] {
            let (units, rest) = split(Money::from_pico(pico));
            assert!((0..PICO).contains(&i128::from(rest)), "{pico}");
            assert_eq!(join(units, rest), Money::from_pico(pico));
        }
    }
}
