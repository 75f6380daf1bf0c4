//! What a row charges, by what lines are told apart.

use std::collections::BTreeMap;

use tollgate_accounting::{
    ledger::{Entry, Kind},
    price::MeterKind,
};
use tollgate_domain::{Money, Name, UnitPrice, UsageSource};

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

/// What is charged.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum What {
    /// A priced quantity.
    Metered { meter: MeterKind, unit_price: UnitPrice, list_price: UnitPrice, price_id: Name },
    /// A quantity that has no price: its cost is unknown, not zero.
    Unpriced(MeterKind),
    /// Capacity that is paid for whether it is used or not.
    Fixed,
    /// A correction of what was charged before.
    Adjustment,
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
    pub(super) quantity: u64,
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

/// Gives each charge of a row with its share of the sums.
pub(super) fn of_entry(entry: &Entry, mut each: impl FnMut(Charge, Sums)) {
    let mut give = |what: What, status: Status, quantity: u64, cost: Money| {
        let sums = Sums { quantity, cost, rows: 1, seqs: Some((entry.seq, entry.seq)) };
        each(charge(entry, what, status), sums);
    };
    match entry.kind {
        Kind::Refusal => {}
        Kind::Adjustment => {
            give(What::Adjustment, Status::Settled, 0, entry.cost.unwrap_or_default());
        }
        Kind::Fixed => give(What::Fixed, Status::Settled, 0, entry.cost.unwrap_or_default()),
        Kind::Usage | Kind::Probe if entry.cost.is_none() => {
            let sides = [
                (MeterKind::Input, entry.usage.input_tokens()),
                (MeterKind::Output, entry.usage.output_tokens()),
            ];
            for (meter, tokens) in sides.into_iter().filter(|(_, tokens)| *tokens > 0) {
                give(What::Unpriced(meter), Status::Unknown, tokens, Money::ZERO);
            }
        }
        Kind::Usage | Kind::Probe => {
            let reported = entry.usage_source == UsageSource::Reported;
            let status = if reported { Status::Settled } else { Status::Estimated };
            for meter in &entry.meters {
                let what = What::Metered {
                    meter: meter.meter,
                    unit_price: meter.unit_price,
                    list_price: meter.list_price.unwrap_or(meter.unit_price),
                    price_id: meter.price_id.clone(),
                };
                give(what, status, meter.quantity, meter.cost);
            }
        }
    }
}

fn charge(entry: &Entry, what: What, status: Status) -> Charge {
    let identity = &entry.identity;
    Charge {
        organization: identity.organization.clone(),
        team: identity.team.name().clone(),
        project: identity.project.name().clone(),
        key: identity.key.name().clone(),
        cost_center: identity.cost_center.clone(),
        tags: identity.tags.iter().chain(&entry.request_tags).cloned().collect(),
        alias: entry.model.name().clone(),
        currency: entry.currency.clone(),
        served: entry.place.as_ref().map(|place| Served {
            provider: place.provider.clone(),
            region: place.region.name().clone(),
            model: place.upstream_model.name().clone(),
            tier: entry.service_tier.clone(),
        }),
        what,
        status,
    }
}
