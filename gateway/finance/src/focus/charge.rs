//! What a row charges, by what lines are told apart.

use std::collections::BTreeMap;

use tollgate_accounting::{
    ledger::{Entry, Kind},
    price::{Meter, MeterKind},
};
use tollgate_domain::{Money, Name, UnitPrice, UnixMillis, Usage, UsageSource};

use super::hour_of;

/// What one line of the file is for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Charge {
    pub(super) organization: Name,
    pub(super) team: Name,
    pub(super) project: Name,
    pub(super) key: Name,
    pub(super) cost_center: Option<Name>,
    pub(super) tags: BTreeMap<Name, Name>,
    /// The alias that clients use.
    pub(super) alias: Name,
    pub(super) currency: Name,
    pub(super) served: Option<Served>,
    pub(super) origin: Origin,
    pub(super) what: What,
    pub(super) status: Status,
}

/// Where the request was served.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Served {
    pub(super) provider: Name,
    pub(super) region: Name,
    pub(super) model: Name,
    pub(super) tier: Option<Box<str>>,
}

/// Why there is a charge.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Origin {
    /// A request.
    Request,
    /// Capacity that is paid for whether it is used or not; the row's own word for it.
    Capacity(Name),
    /// A request of the hour at `hour`, told when its month was closed already.
    Late { hour: UnixMillis },
    /// Another price for what was told before, of the hour at `hour`: nothing more was consumed.
    Correction { hour: UnixMillis, reason: Name },
}

/// What is charged.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum What {
    /// A priced quantity, and what one of it costs by the provider's list. What is taken back is a
    /// quantity below zero, never a price below zero.
    Metered { meter: MeterKind, unit_price: UnitPrice, list_price: UnitPrice, price_id: Name },
    /// A quantity that has no price: its cost is unknown, not zero.
    Unpriced(MeterKind),
    /// An amount that no quantity explains.
    Lump(Money),
}

/// How sure the figures are.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Status {
    /// By the provider's own figures.
    Settled,
    /// Counted or estimated by the gateway.
    Estimated,
    /// Without a price.
    Unknown,
}

/// The sums of a line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) quantity: i128,
    pub(super) cost: Money,
    pub(super) rows: u64,
    /// The ledger's numbers of the first and the last row.
    pub(super) seqs: Option<(u64, u64)>,
}

impl Sums {
    pub(super) fn add(&mut self, other: &Self) {
        self.quantity = self.quantity.saturating_add(other.quantity);
        self.cost += other.cost;
        self.rows += other.rows;
        self.seqs = match (self.seqs, other.seqs) {
            (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
            (one, other) => one.or(other),
        };
    }
}

/// Gives each charge of a row with its share of the sums. The shares add up to the row's cost.
pub(super) fn of_entry(entry: &Entry, mut each: impl FnMut(Charge, Sums)) {
    let Some(origin) = origin(entry) else { return };
    let mut give = |what: What, status: Status, quantity: i128, cost: Money| {
        let sums = Sums { quantity, cost, rows: 1, seqs: Some((entry.seq, entry.seq)) };
        each(charge(entry, origin.clone(), what, status), sums);
    };
    let Some(cost) = entry.cost else {
        let sides = [
            (MeterKind::Input, entry.usage.input_tokens()),
            (MeterKind::Output, entry.usage.output_tokens()),
        ];
        for (meter, tokens) in sides.into_iter().filter(|(_, tokens)| *tokens > 0) {
            give(What::Unpriced(meter), Status::Unknown, tokens.into(), Money::ZERO);
        }
        return;
    };
    let reported = entry.usage_source == UsageSource::Reported || entry.usage == Usage::default();
    let status = if reported { Status::Settled } else { Status::Estimated };
    for meter in &entry.meters {
        let (what, quantity) = metered(meter);
        give(what, status, quantity, meter.cost);
    }
    let rest = cost - entry.meters.iter().map(|meter| meter.cost).sum::<Money>();
    if !rest.is_zero() {
        give(What::Lump(rest), status, 1, rest);
    }
}

/// Why a row charges; none when it does not.
fn origin(entry: &Entry) -> Option<Origin> {
    let reason = || Name::from(&*entry.operation);
    let hour = || hour_of(entry.adjusts.map_or(entry.started_at, |original| original.started_at()));
    match entry.kind {
        Kind::Refusal => None,
        Kind::Usage | Kind::Probe => Some(Origin::Request),
        Kind::Fixed => Some(Origin::Capacity(reason())),
        Kind::Adjustment if entry.usage == Usage::default() => {
            Some(Origin::Correction { hour: hour(), reason: reason() })
        }
        Kind::Adjustment => Some(Origin::Late { hour: hour() }),
    }
}

/// A meter as it is charged: the price without its sign, which goes to the quantity.
fn metered(meter: &Meter) -> (What, i128) {
    let quantity = i128::from(meter.quantity);
    let taken_back = meter.unit_price.pico() < 0;
    let unsigned = |price: UnitPrice| match taken_back {
        true => UnitPrice::from_pico(price.pico().saturating_neg()),
        false => price,
    };
    let what = What::Metered {
        meter: meter.meter,
        unit_price: unsigned(meter.unit_price),
        list_price: unsigned(meter.list_price.unwrap_or(meter.unit_price)),
        price_id: meter.price_id.clone(),
    };
    (what, if taken_back { -quantity } else { quantity })
}

fn charge(entry: &Entry, origin: Origin, what: What, status: Status) -> Charge {
    let identity = &entry.identity;
    Charge {
        organization: identity.organization.clone(),
        team: identity.team.name().clone(),
        project: identity.project.name().clone(),
        key: identity.key.name().clone(),
        cost_center: identity.cost_center.clone(),
        // The identity's tags come last, since a request cannot replace them.
        tags: entry.request_tags.iter().chain(&identity.tags).cloned().collect(),
        alias: entry.model.name().clone(),
        currency: entry.currency.clone(),
        served: entry.place.as_ref().map(|place| Served {
            provider: place.provider.clone(),
            region: place.region.name().clone(),
            model: place.upstream_model.name().clone(),
            tier: entry.service_tier.clone(),
        }),
        origin,
        what,
        status,
    }
}
