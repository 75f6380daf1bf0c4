//! From a listed amount to the price of one unit, rounded once.

use tollgate_domain::{Money, UnitPrice};

use super::{entry::PriceFault, exchange::Rate};

/// What amounts are multiplied by: one less the discount, times the rate of exchange. A fraction, so
/// that a unit price is rounded once for all of it.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    numerator: i128,
    denominator: i128,
}

impl Scale {
    pub(super) fn of(discount: u32, rate: Option<Rate>) -> Result<Self, PriceFault> {
        let one = Rate::ONE;
        let left = one - i128::from(discount);
        if left <= 0 {
            return Err(PriceFault::Discount);
        }
        Ok(match rate {
            Some(rate) => Self { numerator: left * rate.millionths(), denominator: one * one },
            None => Self { numerator: left, denominator: one },
        })
    }

    /// The price of one unit when `per` cost `amount`; refuses what rounding would falsify.
    pub(super) fn unit_price(
        self,
        field: &'static str,
        amount: Option<Money>,
        per: u64,
    ) -> Result<Option<UnitPrice>, PriceFault> {
        let Some(amount) = amount else { return Ok(None) };
        if amount < Money::ZERO {
            return Err(PriceFault::Negative { field });
        }
        let price = self.apply(amount, per).ok_or(PriceFault::TooLarge { field })?;
        if price.pico() == 0 && !amount.is_zero() {
            return Err(PriceFault::RoundsToZero { field });
        }
        Ok(Some(price))
    }

    pub(super) fn apply(self, amount: Money, per: u64) -> Option<UnitPrice> {
        let amount = Money::from_pico(amount.pico().checked_mul(self.numerator)?);
        UnitPrice::of_part(amount, i128::from(per) * self.denominator)
    }
}
