//! Why a cell differs, as far as its figures decide it.

use std::collections::BTreeSet;

use tollgate_domain::{Money, Name};

use super::{
    Terms,
    compare::{Line, date},
    invoice::{Billed, Side},
    ledger::{Used, UsedSide},
    report::Reason,
};

/// A day and a model on both sides.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) theirs: Option<&'a Billed>,
    pub(super) ours: Option<&'a Used>,
    pub(super) places: u32,
    pub(super) terms: &'a Terms,
}

/// A reason, and the figures behind it.
pub(super) struct Verdict {
    pub(super) reason: Reason,
    pub(super) note: String,
}

fn verdict(reason: Reason, note: impl Into<String>) -> Verdict {
    Verdict { reason, note: note.into() }
}

/// True when two amounts are the same but for `allowance` and a thousandth.
pub(super) fn near(one: Money, other: Money, allowance: Money) -> bool {
    let larger = one.pico().unsigned_abs().max(other.pico().unsigned_abs());
    (one - other).pico().unsigned_abs() <= allowance.pico().unsigned_abs() + larger / 1_000
}

impl Cell<'_> {
    pub(super) fn currencies(&self) -> BTreeSet<Name> {
        let theirs = self.theirs.into_iter().flat_map(|theirs| theirs.costs.keys());
        theirs.chain(self.ours.into_iter().flat_map(|ours| ours.costs.keys())).cloned().collect()
    }

    /// Theirs and ours.
    pub(super) fn costs(&self, currency: &Name) -> (Money, Money) {
        let theirs = self.theirs.and_then(|theirs| theirs.costs.get(currency));
        let ours = self.ours.and_then(|ours| ours.costs.get(currency));
        (theirs.copied().unwrap_or_default(), ours.copied().unwrap_or_default())
    }

    pub(super) fn difference(&self, currency: &Name) -> Money {
        let (theirs, ours) = self.costs(currency);
        theirs - ours
    }

    /// How much rounding can make: half of the last place of each line.
    fn allowance(&self) -> Money {
        // An invoice in whole units is still exact to half a cent.
        let places = self.places.clamp(2, 12);
        let lines = self.theirs.map_or(0, |theirs| theirs.lines);
        Money::from_pico(i128::from(lines) * 10_i128.pow(12 - places) / 2)
    }

    pub(super) fn is_rounding(&self, currency: &Name) -> bool {
        let both = self.theirs.is_some() && self.ours.is_some();
        both && self.difference(currency).pico().unsigned_abs() <= self.allowance().pico().unsigned_abs()
    }

    /// The same but for a thousandth.
    pub(super) fn agrees(&self, currency: &Name) -> bool {
        let (theirs, ours) = self.costs(currency);
        near(theirs, ours, self.allowance())
    }

    pub(super) fn their_tokens(&self) -> Option<u64> {
        let tokens = self.theirs?.sides.values().filter_map(super::invoice::BilledSide::tokens);
        tokens.fold(None, |sum: Option<u64>, tokens| Some(sum.unwrap_or_default().saturating_add(tokens)))
    }
}

/// The reason of a cell whose costs differ.
pub(super) fn judge(cell: &Cell<'_>, currency: &Name) -> Verdict {
    let difference = cell.difference(currency);
    if cell.currencies().len() > 1 {
        let names: Vec<String> = cell.currencies().iter().map(ToString::to_string).collect();
        return verdict(Reason::Currency, format!("amounts in {}", names.join(" and ")));
    }
    if cell.is_rounding(currency) {
        return verdict(Reason::Rounding, format!("at most {} by the invoice's places", cell.allowance()));
    }
    match (cell.theirs, cell.ours) {
        (Some(theirs), None) => match foreign_keys(cell.terms, theirs) {
            Some((keys, _)) if keys.len() == theirs.scopes.len() => {
                verdict(Reason::UnmeteredKeys, format!("all of it is of {}", keys.join(", ")))
            }
            _ => verdict(Reason::MissingUsage, "the ledger has nothing of this model on this day"),
        },
        (None, _) => verdict(Reason::UnknownToProvider, "the invoice has nothing of this model on this day"),
        (Some(theirs), Some(ours)) => unmetered(cell, theirs, difference)
            .or_else(|| unpriced(ours, difference))
            .unwrap_or_else(|| usage_or_price(cell, theirs, ours, difference)),
    }
}

/// Keys of the invoice that are none of those that the gateway is known to use, and what they cost.
fn foreign_keys(terms: &Terms, theirs: &Billed) -> Option<(Vec<String>, Money)> {
    if terms.keys.is_empty() {
        return None;
    }
    let foreign = theirs.scopes.iter().filter(|(scope, _)| !terms.keys.contains(scope));
    let (mut keys, mut cost) = (Vec::new(), Money::ZERO);
    for (key, amount) in foreign {
        keys.push(key.clone());
        cost += *amount;
    }
    (!keys.is_empty()).then_some((keys, cost))
}

/// Usage at the provider by keys that the gateway does not use: they were named, or one key explains
/// the whole difference, and others the rest.
fn unmetered(cell: &Cell<'_>, theirs: &Billed, difference: Money) -> Option<Verdict> {
    let allowance = cell.allowance();
    if let Some((keys, cost)) = foreign_keys(cell.terms, theirs) {
        return near(cost, difference, allowance)
            .then(|| verdict(Reason::UnmeteredKeys, format!("{cost} is of {}", keys.join(", "))));
    }
    if !cell.terms.keys.is_empty() || theirs.scopes.len() < 2 {
        return None;
    }
    let explains = |cost: &Money| !cost.is_zero() && near(*cost, difference, allowance);
    let mut found = theirs.scopes.iter().filter(|(_, cost)| explains(cost));
    match (found.next(), found.next()) {
        (Some((key, cost)), None) => Some(verdict(
            Reason::UnmeteredKeys,
            format!("{cost} is of {key}, and without it both sides agree"),
        )),
        _ => None,
    }
}

fn unpriced(ours: &Used, difference: Money) -> Option<Verdict> {
    let explains = ours.unpriced > 0 && difference > Money::ZERO;
    explains.then(|| verdict(Reason::Unpriced, format!("rows without a price: {}", ours.unpriced)))
}

fn usage_or_price(cell: &Cell<'_>, theirs: &Billed, ours: &Used, difference: Money) -> Verdict {
    let Some(sides) = compared_sides(theirs, ours) else {
        return verdict(
            Reason::Undecided,
            "the invoice does not tell the tokens; add the provider's usage report or token columns",
        );
    };
    let other: Vec<String> = sides
        .iter()
        .filter(|side| side.theirs != side.ours)
        .map(|side| format!("{}: theirs {} tokens, ours {}", side.name, side.theirs, side.ours))
        .collect();
    if other.is_empty() {
        return verdict(Reason::PriceDiffers, unit_prices(theirs, ours));
    }
    let effect = sides.iter().map(|side| side.effect).sum::<Option<Money>>();
    match effect {
        Some(effect) if near(effect, difference, cell.allowance()) => {
            verdict(Reason::UsageDiffers, other.join("; "))
        }
        _ => verdict(
            Reason::Undecided,
            format!("tokens and prices both differ; {}; {}", other.join("; "), unit_prices(theirs, ours)),
        ),
    }
}

/// A sort of tokens that both sides tell.
struct Compared {
    name: &'static str,
    theirs: u64,
    ours: u64,
    /// What the difference in tokens costs by our price; none when we have none.
    effect: Option<Money>,
}

const SIDES: [(Side, &str); 4] = [
    (Side::Input, "input"),
    (Side::CachedInput, "cached input"),
    (Side::CacheWrite, "cache write"),
    (Side::Output, "output"),
];

/// Tokens side by side; none when the invoice does not tell all of them.
fn compared_sides(theirs: &Billed, ours: &Used) -> Option<Vec<Compared>> {
    let told = |side: Side| theirs.sides.get(&side).and_then(super::invoice::BilledSide::tokens);
    if SIDES.iter().any(|(side, _)| told(*side).is_some()) {
        let costs_without_tokens = |side: Side| {
            told(side).is_none() && theirs.sides.get(&side).is_some_and(|side| !side.cost.is_zero())
        };
        if SIDES.iter().any(|(side, _)| costs_without_tokens(*side)) {
            return None;
        }
        let compare = |(side, name): (Side, &'static str)| {
            let billed = theirs.sides.get(&side).copied().unwrap_or_default();
            let used = ours.sides.get(&side).copied().unwrap_or_default();
            let tokens = billed.tokens().unwrap_or_default();
            let own_cost = (!billed.cost.is_zero()).then_some(billed.cost);
            Compared { name, theirs: tokens, ours: used.tokens, effect: effect(tokens, used, own_cost) }
        };
        return Some(SIDES.into_iter().map(compare).collect());
    }
    let tokens = told(Side::All)?;
    let cost = ours.sides.values().map(|side| side.cost).sum();
    let used = UsedSide { cost, tokens: ours.tokens() };
    Some(vec![Compared {
        name: "all",
        theirs: tokens,
        ours: used.tokens,
        effect: effect(tokens, used, None),
    }])
}

/// What it costs that theirs are not as many tokens as ours. Where we have none, it is what they say.
fn effect(theirs: u64, ours: UsedSide, own_cost: Option<Money>) -> Option<Money> {
    if theirs == ours.tokens {
        return Some(Money::ZERO);
    }
    if ours.tokens == 0 {
        return own_cost;
    }
    let more = i128::from(theirs) - i128::from(ours.tokens);
    Some(Money::from_pico(ours.cost.pico().checked_mul(more)? / i128::from(ours.tokens)))
}

/// What a million tokens cost on both sides, by sort where the invoice tells it.
fn unit_prices(theirs: &Billed, ours: &Used) -> String {
    let mut parts = Vec::new();
    for (side, name) in SIDES {
        let (Some(billed), Some(used)) = (theirs.sides.get(&side), ours.sides.get(&side)) else { continue };
        let (their_price, our_price) =
            (million(billed.cost, billed.tokens()), million(used.cost, Some(used.tokens)));
        if let (Some(their_price), Some(our_price)) = (their_price, our_price)
            && !billed.cost.is_zero()
            && their_price != our_price
        {
            parts.push(format!("{name}: theirs {their_price} a million, ours {our_price}"));
        }
    }
    if parts.is_empty() {
        let sum = |costs: &mut dyn Iterator<Item = &Money>| costs.copied().sum::<Money>();
        let (their_cost, our_cost) = (sum(&mut theirs.costs.values()), sum(&mut ours.costs.values()));
        parts.push(format!("the same tokens cost {their_cost} there and {our_cost} here"));
    }
    parts.join("; ")
}

fn million(cost: Money, tokens: Option<u64>) -> Option<Money> {
    let tokens = i128::from(tokens?);
    Some(Money::from_pico(cost.pico().checked_mul(1_000_000)?.checked_div(tokens)?))
}

/// Another price that begins on a day, and before which both sides agree, is a change of it.
pub(super) fn find_price_changes(line: &Line<'_>, found: &mut [(i64, Cell<'_>, Name, Verdict)]) {
    let is_price = |verdict: &Verdict| verdict.reason == Reason::PriceDiffers;
    let Some((first, currency)) = found
        .iter()
        .find(|(.., verdict)| is_price(verdict))
        .map(|(day, _, currency, _)| (*day, currency.clone()))
    else {
        return;
    };
    let agreeing: Vec<i64> = line
        .cells()
        .iter()
        .filter(|(_, cell)| cell.theirs.is_some() && cell.ours.is_some() && cell.agrees(&currency))
        .map(|(day, _)| *day)
        .collect();
    let before = agreeing.iter().any(|day| *day < first);
    let after = agreeing.iter().any(|day| *day > first);
    if !before || after {
        return;
    }
    for (.., verdict) in found.iter_mut().filter(|(.., verdict)| is_price(verdict)) {
        verdict.reason = Reason::PriceChange;
        verdict.note = format!("from {} on; {}", date(first), verdict.note);
    }
}
