//! What other currencies are worth in that of the books, through time.
//!
//! Prices in another currency are converted when the price book is built, each unit price once, at the
//! rate of its date. Rows, budgets, totals and exports know one currency, and what was charged once
//! is never converted again.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use tollgate_domain::{Money, Name, UnixMillis};

/// Dated rates into one currency.
#[derive(Clone, Debug)]
pub struct Exchange {
    currency: Name,
    rates: HashMap<Name, BTreeMap<UnixMillis, Rate>>,
}

/// What one unit of another currency is worth, in millionths; above zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate(u64);

/// Two rates of a currency for the same instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the rate of this currency is given twice for the same date")]
pub struct TwoRates;

impl Exchange {
    /// No rates into `currency` yet.
    #[must_use]
    pub fn new(currency: Name) -> Self {
        Self { currency, rates: HashMap::new() }
    }

    /// Adds what one unit of `currency` is worth from an instant on.
    ///
    /// # Errors
    /// There is a rate for this instant.
    pub fn add(&mut self, currency: Name, from: UnixMillis, rate: Rate) -> Result<(), TwoRates> {
        match self.rates.entry(currency).or_default().entry(from) {
            Entry::Occupied(_) => Err(TwoRates),
            Entry::Vacant(place) => {
                place.insert(rate);
                Ok(())
            }
        }
    }

    /// The currency of the books.
    #[must_use]
    pub fn currency(&self) -> &Name {
        &self.currency
    }

    /// The rates of `currency` that count in `[from, until)`, the first one from `from` on. None when
    /// there is no rate at its begin; one without a rate for the currency of the books itself.
    pub(super) fn spans(
        &self,
        currency: &Name,
        from: UnixMillis,
        until: Option<UnixMillis>,
    ) -> Option<Vec<(UnixMillis, Option<Rate>)>> {
        if *currency == self.currency {
            return Some(vec![(from, None)]);
        }
        let rates = self.rates.get(currency)?;
        let (_, first) = rates.range(..=from).next_back()?;
        let later =
            rates.range(from..).filter(|(at, _)| **at > from && until.is_none_or(|until| **at < until));
        let later = later.map(|(at, rate)| (*at, Some(*rate)));
        Some(std::iter::once((from, Some(*first))).chain(later).collect())
    }
}

impl Rate {
    /// Millionths in one.
    pub(super) const ONE: i128 = 1_000_000;

    /// A rate above zero and up to a million, with at most six decimal places; none of any other.
    #[must_use]
    pub fn from_decimal(rate: Money) -> Option<Self> {
        let millionths = rate.pico() / Self::ONE;
        let exact = millionths * Self::ONE == rate.pico();
        let rate =
            u64::try_from(millionths).ok().filter(|rate| exact && (1..=1_000_000_000_000).contains(rate));
        rate.map(Self)
    }

    pub(super) fn millionths(self) -> i128 {
        self.0.into()
    }

    /// The rate as a decimal.
    pub(super) fn decimal(self) -> Money {
        Money::from_pico(self.millionths() * Self::ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Option<Rate> {
        Rate::from_decimal(text.parse().expect(text))
    }

    #[test]
    fn a_rate_counts_from_its_date_to_the_next() {
        let mut exchange = Exchange::new("USD".into());
        let [old, new] = [rate("1.05"), rate("1.10")].map(|rate| rate.expect("a rate"));
        let at = UnixMillis::new;
        exchange.add("EUR".into(), at(100), old).expect("new");
        exchange.add("EUR".into(), at(200), new).expect("new");
        assert_eq!(exchange.add("EUR".into(), at(200), old), Err(TwoRates));
        let spans = |from, until: Option<i64>| exchange.spans(&"EUR".into(), at(from), until.map(at));
        assert_eq!(spans(99, None), None, "no rate counts yet");
        assert_eq!(spans(150, None), Some(vec![(at(150), Some(old)), (at(200), Some(new))]));
        assert_eq!(spans(100, Some(200)), Some(vec![(at(100), Some(old))]));
        assert_eq!(spans(200, None), Some(vec![(at(200), Some(new))]));
        assert_eq!(exchange.spans(&"USD".into(), at(0), None), Some(vec![(at(0), None)]));
        assert_eq!(exchange.spans(&"JPY".into(), at(500), None), None);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        assert_eq!(rate("1.0855").map(|rate| rate.decimal().to_string()).as_deref(), Some("1.0855"));
        for text in ["0", "-1.1", "1000000.1", "1.0000001"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }
}
