//! What a reconciliation found, in words that finance can act on.

use std::str::FromStr;

use jiff::civil::Date;
use serde::{Serialize, Serializer};
use tollgate_domain::{Money, Name};

use super::invoice::FileDigest;

/// A provider's invoice beside the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciliation {
    /// The provider, by the ledger's name; none when rows of all providers were compared.
    pub provider: Option<Name>,
    /// The first day.
    #[serde(serialize_with = "as_text")]
    pub from: Date,
    /// The first day after it. Days are those of UTC.
    #[serde(serialize_with = "as_text")]
    pub to: Date,
    /// What may differ.
    pub tolerance: Tolerance,
    /// The files of the invoice.
    pub files: Vec<FileDigest>,
    /// Lines of the invoice that were compared.
    pub lines: u64,
    /// Lines of days outside the range.
    pub lines_outside: u64,
    /// Lines about other things than models.
    pub other_lines: u64,
    /// Requests of the ledger that were compared.
    pub requests: u64,
    /// Both sums, in each currency that occurs.
    pub totals: Vec<Totals>,
    /// How much each reason explains.
    pub reasons: Vec<Summed>,
    /// Every difference, by model and day.
    pub items: Vec<Difference>,
    /// True when no difference is material and the sums differ by no more than the tolerance.
    pub within_tolerance: bool,
}

/// Sums in one currency.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// The currency.
    pub currency: Name,
    /// What the provider says.
    pub theirs: Money,
    /// What the ledger says.
    pub ours: Money,
    /// Theirs without ours.
    pub difference: Money,
}

/// The differences of one reason.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Summed {
    /// Why.
    pub reason: Reason,
    /// In which currency.
    pub currency: Name,
    /// How many.
    pub differences: u64,
    /// Their sum: theirs without ours.
    pub difference: Money,
}

/// How much may differ before it matters: the larger of a part and an amount.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Tolerance {
    /// In percent of what the provider says.
    pub percent: Money,
    /// In units of the currency.
    pub amount: Money,
}

impl Default for Tolerance {
    /// Half a percent, or one unit of currency.
    fn default() -> Self {
        Self { percent: Money::from_pico(500_000_000_000), amount: Money::from_pico(1_000_000_000_000) }
    }
}

/// A text that is no tolerance.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no tolerance; write a percentage, an amount or both: 0.5%,1")]
pub struct ToleranceError(String);

impl FromStr for Tolerance {
    type Err = ToleranceError;

    /// Reads `0.5%`, `1` or `0.5%,1`; what is not said is nothing.
    fn from_str(text: &str) -> Result<Self, ToleranceError> {
        let wrong = || ToleranceError(text.to_owned());
        let (mut percent, mut amount) = (None, None);
        for part in text.split(',').map(str::trim) {
            let (place, number) = match part.strip_suffix('%') {
                Some(number) => (&mut percent, number),
                None => (&mut amount, part),
            };
            let number: Money = number.trim().parse().map_err(|_| wrong())?;
            if number < Money::ZERO || place.replace(number).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self { percent: percent.unwrap_or_default(), amount: amount.unwrap_or_default() })
    }
}

impl Tolerance {
    /// True when `difference` does not matter beside `theirs`.
    #[must_use]
    pub fn covers(&self, difference: Money, theirs: Money) -> bool {
        let part = i128::try_from(theirs.pico().unsigned_abs() / 100).unwrap_or(i128::MAX);
        // Whole pico-units of the part first: amounts of a month leave room for the percent.
        let part = part.saturating_mul(self.percent.pico() / 1_000_000) / 1_000_000;
        difference.pico().unsigned_abs() <= part.max(self.amount.pico()).unsigned_abs()
    }
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// The day.
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    /// The model, by the ledger's name where it has one.
    pub model: String,
    /// Why, as far as the figures decide it.
    pub reason: Reason,
    /// What the provider says.
    pub theirs: Money,
    /// What the ledger says.
    pub ours: Money,
    /// Theirs without ours.
    pub difference: Money,
    /// The currency of these amounts.
    pub currency: Name,
    /// The provider's tokens, where it tells them.
    pub their_tokens: Option<u64>,
    /// The ledger's tokens.
    pub our_tokens: u64,
    /// True when it exceeds the tolerance.
    pub material: bool,
    /// The figures behind the reason.
    pub note: String,
}

/// Why an invoice and the ledger differ.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The provider's amounts have fewer places.
    Rounding,
    /// The provider has usage that the ledger has not.
    MissingUsage,
    /// The ledger has usage that the provider has not.
    UnknownToProvider,
    /// The same tokens at another price from a day on.
    PriceChange,
    /// The same tokens at another price.
    PriceDiffers,
    /// Another number of tokens at the same price.
    UsageDiffers,
    /// Usage of a key or project at the provider that does not come through the gateway.
    UnmeteredKeys,
    /// The ledger's rows have no price.
    Unpriced,
    /// Amounts in different currencies.
    Currency,
    /// Usage that the provider counts on another day.
    DayBoundary,
    /// The figures do not tell.
    Undecided,
}

impl Reason {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rounding => "rounding",
            Self::MissingUsage => "missing_usage",
            Self::UnknownToProvider => "unknown_to_provider",
            Self::PriceChange => "price_change",
            Self::PriceDiffers => "price_differs",
            Self::UsageDiffers => "usage_differs",
            Self::UnmeteredKeys => "unmetered_keys",
            Self::Unpriced => "unpriced",
            Self::Currency => "currency",
            Self::DayBoundary => "day_boundary",
            Self::Undecided => "undecided",
        }
    }
}

/// A day as `2026-11-05`.
fn as_text<S: Serializer>(day: &Date, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_part_and_amount_is_tolerated() {
        let money = |text: &str| text.parse::<Money>().expect(text);
        let cases = [
            ("1", "10", true),
            ("-1", "10", true),
            ("1.000000000001", "10", false),
            ("5", "1000", true),
            ("5.01", "1000", false),
            ("-5.01", "-1000", false),
            ("50000", "10000000", true),
        ];
        for (difference, theirs, covered) in cases {
            assert_eq!(
                Tolerance::default().covers(money(difference), money(theirs)),
                covered,
                "{difference}"
            );
        }
        let exact: Tolerance = "0".parse().expect("exact");
        assert!(exact.covers(Money::ZERO, money("3")) && !exact.covers(Money::from_pico(1), money("3")));
    }

    #[test]
    fn a_tolerance_is_read_as_people_write_it() {
        assert_eq!("0.5%,1".parse(), Ok(Tolerance::default()));
        assert_eq!("1, 0.5 %".parse(), Ok(Tolerance::default()));
        let percent: Tolerance = "2%".parse().expect("a percentage");
        assert_eq!((percent.percent.to_string().as_str(), percent.amount), ("2", Money::ZERO));
        for text in ["", "%", "-1", "1,2", "0.5%,1%", "1e2", "half"] {
            assert!(text.parse::<Tolerance>().is_err(), "{text:?}");
        }
    }
}
