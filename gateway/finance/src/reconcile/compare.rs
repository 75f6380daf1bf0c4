//! Both sides cell by cell: a cell is a day and a model.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use tollgate_domain::{Money, Name};

use super::{
    Terms,
    invoice::{Billed, Invoice},
    ledger::{Ledger, Used},
    models::Names,
    reason::{self, Cell, Verdict},
    report::{Difference, Reason, Reconciliation, Summed, Totals},
    shift,
};

/// Stands for the model where an invoice tells none at all.
const EVERY_MODEL: &str = "*";
/// Stands for the model of single lines without one.
const NO_MODEL: &str = "(no model)";

/// An invoice by the ledger's names: by model, then by day since 1970.
pub(super) type Theirs = BTreeMap<String, BTreeMap<i64, Billed>>;

/// Compares an invoice with what the ledger has.
pub(super) fn compare(invoice: &Invoice, mut ledger: Ledger, terms: &Terms) -> Reconciliation {
    let tells_models = invoice.cells.keys().any(|(_, model)| model.is_some());
    if !tells_models && !invoice.cells.is_empty() {
        ledger = without_models(ledger);
    }
    let days = terms.days();
    let (theirs, lines, lines_outside) = by_our_names(invoice, &ledger, terms, tells_models);
    let mut found = Found { items: Vec::new(), totals: BTreeMap::new(), requests: 0 };
    let models: BTreeSet<&String> = theirs.keys().chain(ledger.models.keys()).collect();
    for model in models {
        let (billed, used) = (theirs.get(model), ledger.models.get(model));
        let ours = shift::by_day(used, 0, &days);
        let shown = Line { model, billed, ours: &ours, used, places: invoice.places, terms };
        found.compare_model(&shown);
    }
    found.report(invoice, terms, (lines, lines_outside))
}

/// The sums of all models under one name.
fn without_models(ledger: Ledger) -> Ledger {
    let mut hours: BTreeMap<i64, Used> = BTreeMap::new();
    for (hour, used) in ledger.models.into_values().flatten() {
        hours.entry(hour).or_default().add(&used);
    }
    Ledger { models: BTreeMap::from([(EVERY_MODEL.to_owned(), hours)]) }
}

fn by_our_names(invoice: &Invoice, ledger: &Ledger, terms: &Terms, tells_models: bool) -> (Theirs, u64, u64) {
    let names = Names::new(&terms.models, ledger.models.keys().cloned());
    let (mut theirs, mut lines, mut outside) = (Theirs::new(), 0, 0);
    for ((day, model), billed) in &invoice.cells {
        let day = number(*day);
        if !terms.days().contains(&day) {
            outside += billed.lines;
            continue;
        }
        lines += billed.lines;
        let name = match model {
            Some(model) => names.of(model),
            None if tells_models => NO_MODEL.to_owned(),
            None => EVERY_MODEL.to_owned(),
        };
        theirs.entry(name).or_default().entry(day).or_default().add(billed);
    }
    (theirs, lines, outside)
}

/// One model on both sides.
pub(super) struct Line<'a> {
    pub(super) model: &'a str,
    pub(super) billed: Option<&'a BTreeMap<i64, Billed>>,
    pub(super) ours: &'a BTreeMap<i64, Used>,
    /// Ours by hour, also outside the range.
    pub(super) used: Option<&'a BTreeMap<i64, Used>>,
    /// Decimal places of the invoice's amounts.
    pub(super) places: u32,
    pub(super) terms: &'a Terms,
}

impl<'a> Line<'a> {
    /// The cells that either side has, by day.
    pub(super) fn cells(&self) -> Vec<(i64, Cell<'a>)> {
        let billed = self.billed.into_iter().flat_map(BTreeMap::keys);
        let days: BTreeSet<i64> = billed.chain(self.ours.keys()).copied().collect();
        days.into_iter().map(|day| (day, self.cell(day))).collect()
    }

    fn cell(&self, day: i64) -> Cell<'a> {
        let theirs = self.billed.and_then(|billed| billed.get(&day));
        Cell { theirs, ours: self.ours.get(&day), places: self.places, terms: self.terms }
    }
}

/// What comparing has found so far.
struct Found {
    items: Vec<Difference>,
    totals: BTreeMap<Name, (Money, Money)>,
    requests: u64,
}

impl Found {
    fn compare_model(&mut self, line: &Line<'_>) {
        let mut found: Vec<(i64, Cell<'_>, Name, Verdict)> = Vec::new();
        let shifted = shift::find(line);
        for (day, cell) in line.cells() {
            self.requests += cell.ours.map_or(0, |used| used.requests);
            for currency in cell.currencies() {
                let (theirs, ours) = cell.costs(&currency);
                let sums = self.totals.entry(currency.clone()).or_default();
                sums.0 += theirs;
                sums.1 += ours;
                if theirs == ours {
                    continue;
                }
                let verdict = match shifted.verdict(day) {
                    Some(verdict) if !cell.is_rounding(&currency) => verdict,
                    _ => reason::judge(&cell, &currency),
                };
                found.push((day, cell, currency, verdict));
            }
        }
        reason::find_price_changes(line, &mut found);
        for (day, cell, currency, verdict) in found {
            self.items.push(difference(day, line, &cell, currency, verdict));
        }
    }

    fn report(self, invoice: &Invoice, terms: &Terms, (lines, lines_outside): (u64, u64)) -> Reconciliation {
        let totals: Vec<Totals> = self
            .totals
            .into_iter()
            .map(|(currency, (theirs, ours))| Totals { currency, theirs, ours, difference: theirs - ours })
            .collect();
        let mut reasons: BTreeMap<(Reason, Name), (u64, Money)> = BTreeMap::new();
        for item in &self.items {
            let sum = reasons.entry((item.reason, item.currency.clone())).or_default();
            sum.0 += 1;
            sum.1 += item.difference;
        }
        let covered = totals.iter().all(|sums| terms.tolerance.covers(sums.difference, sums.theirs));
        let days = terms.days();
        Reconciliation {
            provider: terms.provider.clone(),
            from: date(days.start),
            to: date(days.end),
            tolerance: terms.tolerance,
            files: invoice.files.clone(),
            lines,
            lines_outside,
            other_lines: invoice.other_lines,
            requests: self.requests,
            within_tolerance: covered && self.items.iter().all(|item| !item.material),
            totals,
            reasons: reasons
                .into_iter()
                .map(|((reason, currency), (differences, difference))| Summed {
                    reason,
                    currency,
                    differences,
                    difference,
                })
                .collect(),
            items: self.items,
        }
    }
}

fn difference(day: i64, line: &Line<'_>, cell: &Cell<'_>, currency: Name, verdict: Verdict) -> Difference {
    let (theirs, ours) = cell.costs(&currency);
    let difference = theirs - ours;
    let material = match verdict.reason {
        // Money that only changes its day is no money lost; the sums tell if some left the range.
        Reason::Rounding | Reason::DayBoundary => false,
        Reason::Currency => true,
        _ => !line.terms.tolerance.covers(difference, theirs),
    };
    Difference {
        day: date(day),
        model: line.model.to_owned(),
        reason: verdict.reason,
        theirs,
        ours,
        difference,
        currency,
        their_tokens: cell.their_tokens(),
        our_tokens: cell.ours.map_or(0, Used::tokens),
        material,
        note: verdict.note,
    }
}

/// The number of a day since 1970.
pub(super) fn number(date: Date) -> i64 {
    let midnight = date.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    midnight.map_or(i64::MAX, |midnight| midnight.timestamp().as_second().div_euclid(86_400))
}

/// The day of a number.
pub(super) fn date(number: i64) -> Date {
    let at = jiff::Timestamp::from_second(number.saturating_mul(86_400)).unwrap_or_default();
    at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date()
}
