//! What the ledger says that a provider was used for, by model and hour.

use std::collections::{BTreeMap, HashMap};

use tollgate_accounting::{
    ledger::{Attempt, Entry, Kind, LedgerStore, Place, RowQuery, StoreError},
    price::{Meter, MeterKind},
};
use tollgate_domain::{ModelAlias, Money, Name, UnixMillis, UpstreamModel, UpstreamName};

use super::{Terms, invoice::Side, models::plain};
use crate::walk::each_row;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Rows so far outside the range are read too: an invoice's days may be those of another time zone.
pub(super) const MARGIN_HOURS: i64 = 14;

/// Usage by model and hour since 1970.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) models: BTreeMap<String, BTreeMap<i64, Used>>,
}

/// What a model was used for in an hour, or in longer.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    pub(super) requests: u64,
    pub(super) unpriced: u64,
    pub(super) costs: BTreeMap<Name, Money>,
    pub(super) sides: BTreeMap<Side, UsedSide>,
}

/// One sort of tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UsedSide {
    pub(super) cost: Money,
    pub(super) tokens: u64,
}

impl Used {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.unpriced += other.unpriced;
        for (currency, cost) in &other.costs {
            *self.costs.entry(currency.clone()).or_default() += *cost;
        }
        for (side, theirs) in &other.sides {
            let ours = self.sides.entry(*side).or_default();
            ours.cost += theirs.cost;
            ours.tokens = ours.tokens.saturating_add(theirs.tokens);
        }
    }

    pub(super) fn tokens(&self) -> u64 {
        self.sides.values().fold(0, |sum, side| sum.saturating_add(side.tokens))
    }

    fn meter(&mut self, currency: &Name, meter: &Meter) {
        let side = self.sides.entry(side(meter.meter)).or_default();
        side.cost += meter.cost;
        *self.costs.entry(currency.clone()).or_default() += meter.cost;
    }

    fn without(&mut self, currency: &Name, meter: &Meter) {
        self.sides.entry(side(meter.meter)).or_default().cost -= meter.cost;
        *self.costs.entry(currency.clone()).or_default() -= meter.cost;
    }

    fn tokens_of(&mut self, side: Side, tokens: u64) {
        if tokens > 0 {
            let sum = self.sides.entry(side).or_default();
            sum.tokens = sum.tokens.saturating_add(tokens);
        }
    }
}

fn side(meter: MeterKind) -> Side {
    match meter {
        MeterKind::Input | MeterKind::AudioInput => Side::Input,
        MeterKind::CachedInput => Side::CachedInput,
        MeterKind::CacheWrite5m | MeterKind::CacheWrite1h | MeterKind::CacheWrite => Side::CacheWrite,
        MeterKind::Output | MeterKind::Reasoning | MeterKind::AudioOutput => Side::Output,
        _ => Side::Other,
    }
}

/// Reads the rows that the terms are about.
///
/// A correction counts when the request did that it corrects, wherever it is posted: a provider knows
/// nothing of our close.
pub(super) fn read(store: &dyn LedgerStore, terms: &Terms) -> Result<Ledger, StoreError> {
    let (from, to) = (terms.from.plus(-MARGIN_HOURS * HOUR), terms.to.plus(MARGIN_HOURS * HOUR));
    let mut rows = Rows { terms, from, to, places: HashMap::new(), parts: HashMap::new(), tries: Vec::new() };
    let within = RowQuery { kind: None, from: Some(from), to: Some(to), ..RowQuery::default() };
    let later = RowQuery { kind: Some(Kind::Adjustment), from: Some(to), ..RowQuery::default() };
    for query in [within, later] {
        each_row(store, &query, |entry| {
            rows.take(entry);
            Ok::<_, StoreError>(())
        })?;
    }
    Ok(rows.finish())
}

/// Where a row was served, and by which model as far as it is known.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Served {
    upstream: UpstreamName,
    model: UpstreamModel,
    /// The model that the upstream says it was; deployments have names of their own.
    told: Option<String>,
}

struct Rows<'a> {
    terms: &'a Terms,
    from: UnixMillis,
    to: UnixMillis,
    /// Where the targets of an alias stand, as its rows tell.
    places: HashMap<(ModelAlias, UpstreamName), (bool, UpstreamModel)>,
    parts: HashMap<(Served, i64), Used>,
    /// Failed attempts that were billed elsewhere than the answer.
    tries: Vec<Try>,
}

/// A failed attempt that consumed something.
struct Try {
    alias: ModelAlias,
    hour: i64,
    currency: Name,
    attempt: Attempt,
    /// Where its row was served.
    row: Served,
    row_is_wanted: bool,
}

impl Rows<'_> {
    fn take(&mut self, entry: &Entry) {
        let Some(place) = entry.place.as_deref() else { return };
        let at = entry.adjusts.map_or(entry.started_at, |id| id.started_at());
        if entry.kind == Kind::Refusal || at < self.from || at >= self.to {
            return;
        }
        let wanted = self.wants(place);
        let target = (entry.model.clone(), place.upstream.clone());
        self.places.insert(target, (wanted, place.upstream_model.clone()));
        let served = Served {
            upstream: place.upstream.clone(),
            model: place.upstream_model.clone(),
            told: entry.served_model.as_deref().map(plain),
        };
        let hour = at.get().div_euclid(HOUR);
        for attempt in entry.attempts.iter().filter(|attempt| !attempt.meters.is_empty()) {
            self.tries.push(Try {
                alias: entry.model.clone(),
                hour,
                currency: entry.currency.clone(),
                attempt: attempt.clone(),
                row: served.clone(),
                row_is_wanted: wanted,
            });
        }
        if wanted {
            add_row(self.parts.entry((served, hour)).or_default(), entry);
        }
    }

    fn wants(&self, place: &Place) -> bool {
        let is = |wanted: &Option<Name>, found: Option<&Name>| wanted.is_none() || wanted.as_ref() == found;
        is(&self.terms.provider, Some(&place.provider)) && is(&self.terms.account, place.account.as_ref())
    }

    fn finish(mut self) -> Ledger {
        for tried in std::mem::take(&mut self.tries) {
            self.settle_try(tried);
        }
        // What a deployment is, told by the rows that know it.
        let told: BTreeMap<(UpstreamName, UpstreamModel), String> = self
            .parts
            .keys()
            .filter_map(|(served, _)| {
                Some(((served.upstream.clone(), served.model.clone()), served.told.clone()?))
            })
            .collect();
        let mut ledger = Ledger::default();
        for ((served, hour), used) in self.parts {
            let name = served.told.clone().unwrap_or_else(|| {
                let known = told.get(&(served.upstream, served.model.clone()));
                known.cloned().unwrap_or_else(|| plain(served.model.as_str()))
            });
            ledger.models.entry(name).or_default().entry(hour).or_default().add(&used);
        }
        ledger
    }

    /// Moves what an attempt cost from its row to the provider that was tried.
    fn settle_try(&mut self, tried: Try) {
        let Try { alias, hour, currency, attempt, row, row_is_wanted } = tried;
        let here = (row_is_wanted, row.model.clone());
        let target = (alias, attempt.upstream.clone());
        let (wanted, model) = self.places.get(&target).cloned().unwrap_or(here);
        if row_is_wanted {
            let used = self.parts.entry((row, hour)).or_default();
            attempt.meters.iter().for_each(|meter| used.without(&currency, meter));
        }
        if wanted {
            let there = Served { upstream: attempt.upstream.clone(), model, told: None };
            let used = self.parts.entry((there, hour)).or_default();
            for meter in &attempt.meters {
                used.meter(&currency, meter);
                if side(meter.meter) != Side::Other {
                    used.tokens_of(side(meter.meter), meter.quantity);
                }
            }
        }
    }
}

fn add_row(used: &mut Used, entry: &Entry) {
    if matches!(entry.kind, Kind::Usage | Kind::Probe) {
        used.requests += 1;
    }
    let usage = &entry.usage;
    used.tokens_of(Side::Input, usage.input_uncached.saturating_add(usage.input_audio));
    used.tokens_of(Side::CachedInput, usage.cache_read);
    used.tokens_of(Side::CacheWrite, usage.cache_write_tokens());
    used.tokens_of(Side::Output, usage.output_tokens());
    let Some(cost) = entry.cost else {
        used.unpriced += 1;
        return;
    };
    entry.meters.iter().for_each(|meter| used.meter(&entry.currency, meter));
    // Corrections and fixed costs may have an amount that no meter explains.
    let unmetered = cost - entry.meters.iter().map(|meter| meter.cost).sum();
    if !unmetered.is_zero() {
        used.sides.entry(Side::Other).or_default().cost += unmetered;
        *used.costs.entry(entry.currency.clone()).or_default() += unmetered;
    }
}
