//! Usage that a provider counts on another day than the ledger does.

use std::{collections::BTreeMap, ops::Range};

use tollgate_domain::{Money, Name};

use super::{
    compare::{Line, date},
    ledger::{MARGIN_HOURS, Used},
    reason::{Verdict, near},
    report::Reason,
};

/// Hours of a day.
const DAY: i64 = 24;

/// Ours by day, where the days are those of a zone `offset` hours ahead of UTC.
pub(super) fn by_day(
    used: Option<&BTreeMap<i64, Used>>,
    offset: i64,
    days: &Range<i64>,
) -> BTreeMap<i64, Used> {
    let mut by_day: BTreeMap<i64, Used> = BTreeMap::new();
    for (hour, used) in used.into_iter().flatten() {
        let day = (hour + offset).div_euclid(DAY);
        if days.contains(&day) {
            by_day.entry(day).or_default().add(used);
        }
    }
    by_day
}

/// Which days of a model are shifted, and how.
pub(super) enum Shift {
    No,
    /// All days are those of a zone so many hours ahead of UTC.
    Zone(i64),
    /// Some usage around a midnight counts on the other side of it: by day, the day of its counterpart.
    Midnights(BTreeMap<i64, i64>),
}

impl Shift {
    pub(super) fn verdict(&self, day: i64) -> Option<Verdict> {
        let note = match self {
            Self::No => return None,
            Self::Zone(hours) => format!("every day agrees when days are those of UTC{hours:+03}:00"),
            Self::Midnights(days) => {
                format!("{} differs by the same amount the other way", date(*days.get(&day)?))
            }
        };
        Some(Verdict { reason: Reason::DayBoundary, note })
    }
}

/// Finds whether the days of the two sides are different ones.
pub(super) fn find(line: &Line<'_>) -> Shift {
    let cells = line.cells();
    let mut currencies: Vec<Name> = cells.iter().flat_map(|(_, cell)| cell.currencies()).collect();
    currencies.sort();
    currencies.dedup();
    let [currency] = &currencies[..] else { return Shift::No };
    let differences: Vec<(i64, Money)> = cells
        .iter()
        .filter(|(_, cell)| !cell.is_rounding(currency) && !cell.agrees(currency))
        .map(|(day, cell)| (*day, cell.difference(currency)))
        .collect();
    if differences.len() < 2 {
        return Shift::No;
    }
    let offsets = (1..=MARGIN_HOURS).flat_map(|hours| [hours, -hours]);
    if let Some(offset) = offsets.into_iter().find(|offset| agrees_in_zone(line, currency, *offset)) {
        return Shift::Zone(offset);
    }
    let mut midnights = BTreeMap::new();
    for pair in differences.windows(2) {
        let [(day, one), (next, other)] = pair else { continue };
        let cancels = near(*one, -*other, Money::from_pico(one.pico() / 1_000_000));
        if *next == day + 1 && cancels && !midnights.contains_key(day) {
            midnights.insert(*day, *next);
            midnights.insert(*next, *day);
        }
    }
    if midnights.is_empty() { Shift::No } else { Shift::Midnights(midnights) }
}

/// True when every day agrees once days are those of that zone; and there are days enough to tell.
fn agrees_in_zone(line: &Line<'_>, currency: &Name, offset: i64) -> bool {
    let ours = by_day(line.used, offset, &line.terms.days());
    let shifted = Line { ours: &ours, ..*line };
    let cells = shifted.cells();
    cells.len() >= 2 && cells.iter().all(|(_, cell)| cell.is_rounding(currency) || cell.agrees(currency))
}
