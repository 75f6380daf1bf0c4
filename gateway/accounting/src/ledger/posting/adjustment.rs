//! The row that corrects another one.
//!
//! Nothing that was written is ever changed. A correction says what the row was charged with a minus
//! before it, then what it is charged now; their sum is the correction's cost.

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;
use tollgate_domain::{Money, UnitPrice, UnixMillis};

use super::posted_id;
use crate::{
    ledger::entry::{Entry, Kind},
    price::Meter,
};

/// A correction of one row.
#[derive(Clone, Copy, Debug)]
pub struct Adjustment<'a> {
    /// The row.
    pub original: &'a Entry,
    /// Why, in a word that becomes the correction's `operation`, such as `rerate`.
    pub reason: &'static str,
    /// How many corrections the row has had for this reason. Together with the row and the reason it
    /// makes the id, so that a correction that is made again is the same.
    pub earlier: u64,
    /// What the row is charged up to now: its own meters and those of earlier corrections.
    pub before: &'a [Meter],
    /// What it should be charged.
    pub after: &'a [Meter],
}

impl Adjustment<'_> {
    /// The correction as a row; none when nothing would be corrected.
    ///
    /// It has the identity, model and place of its original and none of its tokens, so that sums of
    /// tokens stay true. It counts at the original's instant, or at `now` when `is_closed` says that
    /// the month of the original takes no more rows.
    #[must_use]
    pub fn row(
        &self,
        now: UnixMillis,
        config_version: u64,
        is_closed: impl Fn(UnixMillis) -> bool,
    ) -> Option<Entry> {
        let meters: SmallVec<[Meter; 4]> =
            standing(self.before.iter().map(reversed).chain(self.after.iter().cloned()));
        if meters.is_empty() {
            return None;
        }
        let original = self.original;
        let at = if is_closed(original.started_at) { now } else { original.started_at };
        let id = posted_id(
            at,
            &[b"adjustment", &original.id.to_bytes(), self.reason.as_bytes(), &self.earlier.to_le_bytes()],
        );
        Some(Entry {
            ended_at: now,
            request_tags: original.request_tags.clone(),
            end_user: original.end_user.clone(),
            session: original.session.clone(),
            place: original.place.clone(),
            served_model: original.served_model.clone(),
            dialect: original.dialect.clone(),
            operation: Cow::Borrowed(self.reason),
            stream: original.stream,
            usage_source: original.usage_source,
            cost: Some(meters.iter().map(|meter| meter.cost).sum::<Money>()),
            meters,
            service_tier: original.service_tier.clone(),
            config_version,
            adjusts: Some(original.id),
            ..Entry::new(
                Kind::Adjustment,
                id,
                Arc::clone(&original.identity),
                original.model.clone(),
                original.currency.clone(),
            )
        })
    }
}

/// What meters leave standing once those that take each other back are gone. What costs nothing
/// charges nothing and is left out.
pub fn standing<C: FromIterator<Meter>>(meters: impl IntoIterator<Item = Meter>) -> C {
    let mut standing: Vec<Meter> = Vec::new();
    for meter in meters.into_iter().filter(|meter| !meter.cost.is_zero()) {
        let opposite = reversed(&meter);
        match standing.iter().position(|known| *known == opposite) {
            Some(at) => {
                standing.remove(at);
            }
            None => standing.push(meter),
        }
    }
    standing.into_iter().collect()
}

/// The same quantity at the price with its sign turned.
fn reversed(meter: &Meter) -> Meter {
    let turned = |price: UnitPrice| UnitPrice::from_pico(price.pico().saturating_neg());
    Meter {
        unit_price: turned(meter.unit_price),
        list_price: meter.list_price.map(turned),
        cost: -meter.cost,
        ..meter.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_domain::Usage;

    use super::*;
    use crate::{
        ledger::{
            codec::{Decoder, encode_entry},
            samples::{NOON, entry},
        },
        price::MeterKind,
    };

    const OPEN: fn(UnixMillis) -> bool = |_| false;

    fn meter(kind: MeterKind, quantity: u64, pico: i64, price_id: &str) -> Meter {
        let unit_price = UnitPrice::from_pico(pico);
        let cost = unit_price.times(quantity);
        Meter { meter: kind, quantity, unit_price, list_price: None, cost, price_id: price_id.into() }
    }

    fn shown(meters: &[Meter]) -> Vec<(&str, u64, i64, &str)> {
        meters.iter().map(|m| (m.meter.as_str(), m.quantity, m.unit_price.pico(), &*m.price_id)).collect()
    }

    #[test]
    fn a_correction_takes_back_what_was_charged_and_charges_anew() {
        let original = entry(1);
        let before = [meter(MeterKind::Input, 100, 2, "old"), meter(MeterKind::Output, 10, 8, "old")];
        let after = [meter(MeterKind::Input, 100, 3, "new"), meter(MeterKind::Output, 10, 8, "old")];
        let correction =
            Adjustment { original: &original, reason: "rerate", earlier: 0, before: &before, after: &after };
        let row = correction.row(NOON.plus(9_000), 7, OPEN).expect("something to correct");
        assert_eq!(shown(&row.meters), [("input", 100, -2, "old"), ("input", 100, 3, "new")]);
        assert_eq!(row.cost, Some(Money::from_pico(100)));
        assert_eq!((row.kind, row.adjusts), (Kind::Adjustment, Some(original.id)));
        assert_eq!((row.started_at, row.id.started_at()), (original.started_at, original.started_at));
        assert_eq!((row.usage, row.attempts.len()), (Usage::default(), 0), "no token counts twice");
        assert_eq!(row.identity, original.identity);
        let mut encoded = Vec::new();
        encode_entry(&row, &mut encoded);
        assert_eq!(Decoder::new().entry(&encoded).as_ref(), Ok(&row), "negative prices survive");
        let again = correction.row(NOON.plus(10_000), 8, OPEN).expect("as before");
        assert_eq!(again.id, row.id);
        let next = Adjustment { earlier: 1, ..correction };
        assert_ne!(next.row(NOON, 7, OPEN).map(|row| row.id), Some(row.id));
    }

    #[test]
    fn a_closed_month_is_corrected_in_the_present() {
        let original = entry(1);
        let now = NOON.plus(86_400_000);
        let after = [meter(MeterKind::Input, 100, 3, "new")];
        let correction =
            Adjustment { original: &original, reason: "rerate", earlier: 0, before: &[], after: &after };
        let row = correction.row(now, 7, |at| at < now).expect("something to correct");
        assert_eq!((row.started_at, row.id.started_at()), (now, now));
    }

    #[test]
    fn nothing_to_correct_is_no_row() {
        let original = entry(1);
        let charged = [meter(MeterKind::Input, 100, 2, "a")];
        let free = [charged[0].clone(), meter(MeterKind::Output, 10, 0, "free")];
        for (before, after) in [(&charged[..], &charged[..]), (&charged[..], &free[..]), (&[], &free[1..])] {
            let same = Adjustment { original: &original, reason: "rerate", earlier: 0, before, after };
            assert_eq!(same.row(NOON, 7, OPEN), None);
        }
    }

    fn any_meters() -> impl Strategy<Value = Vec<Meter>> {
        let any = (0_usize..MeterKind::ALL.len(), 1_u64..5, 0_i64..5, "[ab]");
        let any = any.prop_map(|(kind, quantity, pico, id)| meter(MeterKind::ALL[kind], quantity, pico, &id));
        proptest::collection::vec(any, 0..6)
    }

    proptest! {
        #[test]
        fn corrections_add_up_to_the_newest_charge(steps in proptest::collection::vec(any_meters(), 1..5)) {
            let original = entry(1);
            let mut all: Vec<Meter> = steps[0].clone();
            for (earlier, after) in steps.iter().enumerate().skip(1) {
                let before: Vec<Meter> = standing(all.iter().cloned());
                let correction = Adjustment {
                    original: &original, reason: "rerate", earlier: earlier as u64, before: &before, after,
                };
                let row = correction.row(NOON, 7, OPEN);
                let sum = |meters: &[Meter]| meters.iter().map(|meter| meter.cost).sum::<Money>();
                let delta = row.as_ref().and_then(|row| row.cost).unwrap_or_default();
                prop_assert_eq!(sum(&before) + delta, sum(after));
                all.extend(row.into_iter().flat_map(|row| row.meters));
                prop_assert_eq!(sum(&all), sum(after));
            }
        }
    }
}
