//! The lines of all teams' statements, from one walk over the rows of a month.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_accounting::{
    ledger::{Entry, Kind, LedgerStore, RowQuery, StoreError},
    price::MeterKind,
};
use tollgate_domain::{Money, Name, UnixMillis};

use super::{Line, RowRange, Total};
use crate::{minor_unit, walk::each_row};

/// What a team's statement says, before it is sealed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Gathered {
    pub(crate) rows: RowRange,
    pub(crate) lines: Vec<Line>,
    pub(crate) totals: Vec<Total>,
}

/// Sums the rows of `[from, until)` by team. Memory holds the lines, not the rows.
pub(crate) fn gather(
    store: &dyn LedgerStore,
    from: UnixMillis,
    until: UnixMillis,
) -> Result<BTreeMap<Name, Gathered>, StoreError> {
    let query = RowQuery { kind: None, from: Some(from), to: Some(until), ..RowQuery::default() };
    let mut teams: BTreeMap<Name, Team> = BTreeMap::new();
    each_row(store, &query, |entry| {
        teams.entry(entry.identity.team.name().clone()).or_default().take(entry);
        Ok::<_, StoreError>(())
    })?;
    Ok(teams.into_iter().map(|(name, team)| (name, team.gathered())).collect())
}

/// What tells lines apart, in their order.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct What {
    currency: Name,
    kind: &'static str,
    project: Name,
    model: Name,
    /// The meter's place in a bill; none where the amount is of no quantity.
    meter: Option<usize>,
    unpriced: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    quantity: i64,
    cost: Money,
}

#[derive(Default)]
struct Team {
    rows: u64,
    refusals: u64,
    seqs: Option<(u64, u64)>,
    price_ids: BTreeSet<Name>,
    lines: BTreeMap<What, Sum>,
}

impl Team {
    fn take(&mut self, entry: &Entry) {
        self.rows += 1;
        let (first, last) = self.seqs.unwrap_or((entry.seq, entry.seq));
        self.seqs = Some((first.min(entry.seq), last.max(entry.seq)));
        if entry.kind == Kind::Refusal {
            self.refusals += 1;
            return;
        }
        let Some(cost) = entry.cost else {
            let sides = [
                (MeterKind::Input, entry.usage.input_tokens()),
                (MeterKind::Output, entry.usage.output_tokens()),
            ];
            for (meter, tokens) in sides {
                self.add(entry, Some(meter), true, signed(tokens), Money::ZERO);
            }
            return;
        };
        for meter in &entry.meters {
            self.price_ids.insert(meter.price_id.clone());
            let quantity = signed(meter.quantity);
            // What a correction takes back is a quantity at the price with its sign turned.
            let quantity = if meter.unit_price.pico() < 0 { -quantity } else { quantity };
            self.add(entry, Some(meter.meter), false, quantity, meter.cost);
        }
        let unmetered = cost - entry.meters.iter().map(|meter| meter.cost).sum();
        if !unmetered.is_zero() {
            self.add(entry, None, false, 0, unmetered);
        }
    }

    fn add(&mut self, entry: &Entry, meter: Option<MeterKind>, unpriced: bool, quantity: i64, cost: Money) {
        let what = What {
            currency: entry.currency.clone(),
            kind: entry.kind.as_str(),
            project: entry.identity.project.name().clone(),
            model: entry.model.name().clone(),
            meter: meter.and_then(|meter| MeterKind::ALL.iter().position(|known| *known == meter)),
            unpriced,
        };
        let sum = self.lines.entry(what).or_default();
        sum.quantity = sum.quantity.saturating_add(quantity);
        sum.cost += cost;
    }

    fn gathered(self) -> Gathered {
        let mut exact: BTreeMap<Name, Money> = BTreeMap::new();
        for (what, sum) in &self.lines {
            *exact.entry(what.currency.clone()).or_default() += sum.cost;
        }
        let mut lines: Vec<Line> = self.lines.into_iter().map(|(what, sum)| line(&what, sum)).collect();
        let mut totals = Vec::new();
        for (currency, exact) in exact {
            let amount = minor_unit::round(exact, &currency);
            if amount != exact {
                lines.push(rounding(&currency, amount - exact));
            }
            totals.push(Total { currency: currency.to_string(), exact, amount });
        }
        Gathered {
            rows: RowRange {
                rows: self.rows,
                refusals: self.refusals,
                first_seq: self.seqs.map(|(first, _)| first),
                last_seq: self.seqs.map(|(_, last)| last),
                price_ids: self.price_ids.iter().map(ToString::to_string).collect(),
            },
            lines,
            totals,
        }
    }
}

fn signed(quantity: u64) -> i64 {
    i64::try_from(quantity).unwrap_or(i64::MAX)
}

fn line(what: &What, sum: Sum) -> Line {
    let meter = what.meter.map(|place| MeterKind::ALL[place]);
    Line {
        kind: what.kind.to_owned(),
        project: Some(what.project.to_string()),
        model: Some(what.model.to_string()),
        meter: meter.map(|meter| meter.as_str().to_owned()),
        unit: meter.map(|meter| meter.unit().to_owned()),
        quantity: meter.map(|_| sum.quantity),
        cost: (!what.unpriced).then_some(sum.cost),
        currency: what.currency.to_string(),
    }
}

/// What is charged less or more than it costs, so that the sum can be paid.
fn rounding(currency: &str, residue: Money) -> Line {
    Line {
        kind: "rounding".to_owned(),
        project: None,
        model: None,
        meter: None,
        unit: None,
        quantity: None,
        cost: Some(residue),
        currency: currency.to_owned(),
    }
}
