//! The row of an hour of reserved capacity: paid for whether it is used or not.

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;
use tollgate_domain::{Money, Name, UnitPrice, UnixMillis};

use super::posted_id;
use crate::{
    ledger::entry::{Entry, Identity, Kind, Place},
    price::{Meter, MeterKind},
};

/// What stands for team, project and key where nobody of them caused a cost. No configured one can
/// have this name.
pub const SHARED: &str = "(shared)";

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// An hour of one upstream's reserved capacity.
#[derive(Clone, Debug)]
pub struct CapacityHour<'a> {
    /// The organisation that pays.
    pub organization: &'a Name,
    /// The gateway that writes the row. It is no part of the row's identity: of several gateways that
    /// share a ledger, each hour is charged once.
    pub instance: &'a Name,
    /// The upstream and the model that it has reserved.
    pub place: &'a Arc<Place>,
    /// When the hour began.
    pub begin: UnixMillis,
    /// What it costs.
    pub per_hour: UnitPrice,
    /// The price entry that says so.
    pub price_id: &'a Name,
    /// The currency.
    pub currency: &'a Name,
    /// Tokens that were served in it, input and output.
    pub served: u64,
    /// Tokens that could have been served in it; above zero.
    pub capacity: u64,
}

impl CapacityHour<'_> {
    /// The hour as a row. Its cost is in two parts, which sum to the price of the hour exactly: the
    /// used one is the share of the capacity that was served, rounded down, and at most all of it;
    /// the idle one is the rest.
    #[must_use]
    pub fn row(&self, now: UnixMillis, config_version: u64) -> Entry {
        let whole = self.per_hour.times(1);
        let served = i128::from(self.served.min(self.capacity));
        let used = Money::from_pico(whole.pico() * served / i128::from(self.capacity.max(1)));
        let meters = [(MeterKind::CapacityUsed, used), (MeterKind::CapacityIdle, whole - used)];
        let meters: SmallVec<[Meter; 4]> = meters
            .into_iter()
            .filter(|(_, cost)| !cost.is_zero())
            .map(|(kind, cost)| self.part(kind, cost))
            .collect();
        let upstream = self.place.upstream.as_str();
        Entry {
            ended_at: self.begin.plus(HOUR),
            place: Some(Arc::clone(self.place)),
            operation: Cow::Borrowed("capacity"),
            meters,
            cost: Some(whole),
            duration_ms: u32::try_from(now.since(self.begin)).unwrap_or(u32::MAX),
            config_version,
            ..Entry::new(
                Kind::Fixed,
                posted_id(self.begin, &[b"capacity", self.organization.as_bytes(), upstream.as_bytes()]),
                Arc::new(self.identity()),
                self.place.upstream_model.as_str().into(),
                self.currency.clone(),
            )
        }
    }

    fn part(&self, meter: MeterKind, cost: Money) -> Meter {
        let pico = i64::try_from(cost.pico()).expect("a part is not more than the price of the whole");
        let unit_price = UnitPrice::from_pico(pico);
        Meter { meter, quantity: 1, unit_price, list_price: None, cost, price_id: self.price_id.clone() }
    }

    fn identity(&self) -> Identity {
        Identity {
            organization: self.organization.clone(),
            instance: self.instance.clone(),
            team: SHARED.into(),
            project: SHARED.into(),
            key: SHARED.into(),
            cost_center: None,
            tags: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::samples::{NOON, entry};

    fn hour(place: &Arc<Place>, per_hour: i64, served: u64, capacity: u64) -> Entry {
        CapacityHour {
            organization: &"contoso".into(),
            instance: &"gw-1".into(),
            place,
            begin: NOON,
            per_hour: UnitPrice::from_pico(per_hour),
            price_id: &"ptu".into(),
            currency: &"USD".into(),
            served,
            capacity,
        }
        .row(NOON.plus(HOUR), 3)
    }

    #[test]
    fn an_hour_is_split_by_what_was_served_of_its_capacity() {
        let place = entry(1).place.expect("a place");
        let parts = |served| {
            let row = hour(&place, 1_000, served, 300);
            row.meters.iter().map(|meter| (meter.meter.as_str(), meter.cost.pico())).collect::<Vec<_>>()
        };
        assert_eq!(parts(0), [("capacity_idle", 1_000)]);
        assert_eq!(parts(100), [("capacity_used", 333), ("capacity_idle", 667)]);
        assert_eq!(parts(300), [("capacity_used", 1_000)]);
        assert_eq!(parts(900), [("capacity_used", 1_000)], "bursts beyond it cost no more");
        let row = hour(&place, 1_000, 100, 300);
        assert_eq!(row.id, hour(&place, 2_000, 7, 300).id, "an hour of an upstream is one row");
        assert_eq!((row.id.started_at(), row.identity.team.as_str()), (NOON, SHARED));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_hour(per_hour in 0..i64::MAX, served in any::<u64>(), capacity in 1..u64::MAX) {
            let place = entry(1).place.expect("a place");
            let row = hour(&place, per_hour, served, capacity);
            let sum: Money = row.meters.iter().map(|meter| meter.cost).sum();
            prop_assert_eq!(Some(sum), row.cost);
            for meter in &row.meters {
                prop_assert_eq!(meter.unit_price.times(meter.quantity), meter.cost);
                prop_assert!(meter.cost >= Money::ZERO);
            }
        }
    }
}
