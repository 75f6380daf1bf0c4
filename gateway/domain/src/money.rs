//! Money as whole pico-units of a currency (10⁻¹²), never as a float.
//!
//! Every list price published so far is a whole number of pico-units per token, so that quantity
//! times unit price is exact and sums of rows equal the totals to the last digit.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub, SubAssign},
    str::FromStr,
};

/// Pico-units in one unit of currency.
const PICO: i128 = 1_000_000_000_000;

/// An amount of money in pico-units of the currency that its context names.
///
/// One row's amount fits an `i64` (9.2 million units of currency); sums are 128 bits wide.
/// Arithmetic saturates instead of wrapping: an amount that large is already an alarm elsewhere.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount from pico-units.
    #[must_use]
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// The amount in pico-units.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// True when the amount is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The shortest exact decimal, without allocating: at most twelve places, no trailing zeros, no
    /// exponent.
    #[must_use]
    pub fn to_text(self) -> MoneyText {
        MoneyText::of(self.0)
    }

    /// The larger of the amount and nothing.
    #[must_use]
    pub const fn or_zero(self) -> Self {
        if self.0 < 0 { Self::ZERO } else { self }
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// As [`Money::to_text`] writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_text().as_str())
    }
}

/// An amount as text that lies on the stack; see [`Money::to_text`].
#[derive(Clone, Copy, Debug)]
pub struct MoneyText {
    /// The text is at the end, because digits come to light from the last to the first.
    bytes: [u8; Self::LONGEST],
    begin: usize,
}

impl MoneyText {
    /// A sign, the 27 digits before the point that 128 bits can have, the point and twelve places.
    const LONGEST: usize = 41;

    fn of(pico: i128) -> Self {
        let amount = pico.unsigned_abs();
        // Amounts of up to 18 million are divided as 64 bits, which takes a tenth of the time.
        let (whole, places) = match u64::try_from(amount) {
            Ok(amount) => (u128::from(amount / PICO as u64), amount % PICO as u64),
            Err(_) => (amount / PICO as u128, (amount % PICO as u128) as u64),
        };
        let mut text = Self { bytes: [0; Self::LONGEST], begin: Self::LONGEST };
        if places != 0 {
            text.prepend_places(places);
            text.prepend(b'.');
        }
        text.prepend_number(whole);
        if pico < 0 {
            text.prepend(b'-');
        }
        text
    }

    /// The amount as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits are text")
    }

    /// The amount as ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }

    /// Twelve places without the zeros at their end.
    fn prepend_places(&mut self, mut places: u64) {
        let mut left = 12;
        while places.is_multiple_of(10) {
            places /= 10;
            left -= 1;
        }
        for _ in 0..left {
            self.prepend(b'0' + (places % 10) as u8);
            places /= 10;
        }
    }

    fn prepend_number(&mut self, mut number: u128) {
        while number > u128::from(u64::MAX) {
            self.prepend(b'0' + (number % 10) as u8);
            number /= 10;
        }
        let mut number = number as u64;
        loop {
            self.prepend(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    fn prepend(&mut self, byte: u8) {
        self.begin -= 1;
        self.bytes[self.begin] = byte;
    }
}

/// A text that is no exact amount of money.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseMoneyError {
    /// Something other than an optional sign, digits and one point.
    #[error("not a decimal number: write an amount such as \"12.50\"")]
    NotDecimal,
    /// Digits below one pico-unit.
    #[error("more than twelve decimal places")]
    TooFine,
    /// More than the type holds.
    #[error("the amount is too large")]
    TooLarge,
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(places) || digits.ends_with('.') {
            return Err(ParseMoneyError::NotDecimal);
        }
        let places = places.trim_end_matches('0');
        if places.len() > 12 {
            return Err(ParseMoneyError::TooFine);
        }
        let whole: i128 = whole.parse().map_err(|_| ParseMoneyError::TooLarge)?;
        let rest: i128 = format!("{places:0<12}").parse().map_err(|_| ParseMoneyError::TooLarge)?;
        whole
            .checked_mul(PICO)
            .and_then(|pico| pico.checked_add(rest))
            .map(|pico| Self(sign * pico))
            .ok_or(ParseMoneyError::TooLarge)
    }
}

impl serde::Serialize for Money {
    /// Money crosses every border as a decimal string, never as a JSON number.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The price of one unit (a token, a request, an image) in whole pico-units of currency.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnitPrice(i64);

impl UnitPrice {
    /// A price from pico-units per unit.
    #[must_use]
    pub const fn from_pico(pico: i64) -> Self {
        Self(pico)
    }

    /// The price in pico-units per unit.
    #[must_use]
    pub const fn pico(self) -> i64 {
        self.0
    }

    /// The price of one unit when `per` units cost `amount`, rounded once, half to even.
    ///
    /// `None` when `per` is zero or the result does not fit.
    #[must_use]
    pub fn of(amount: Money, per: u64) -> Option<Self> {
        Self::of_part(amount, per.into())
    }

    /// The same for a number of units that an exact factor of the amount may have made larger.
    ///
    /// `None` when `per` is not above zero or the result does not fit.
    #[must_use]
    pub fn of_part(amount: Money, per: i128) -> Option<Self> {
        if per <= 0 {
            return None;
        }
        let (quotient, rest) = (amount.pico().div_euclid(per), amount.pico().rem_euclid(per));
        let round_up = match rest.cmp(&(per - rest)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => quotient % 2 != 0,
        };
        i64::try_from(quotient + i128::from(round_up)).ok().map(Self)
    }

    /// What `quantity` units cost: exact.
    #[must_use]
    pub fn times(self, quantity: u64) -> Money {
        Money(i128::from(self.0) * i128::from(quantity))
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Money(i128::from(self.0)).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        let cases = [
            ("0", 0, "0"),
            ("5000.00", 5_000 * PICO, "5000"),
            ("-0.5", -PICO / 2, "-0.5"),
            ("0.000000000001", 1, "0.000000000001"),
            ("12.340000000000000", 12_340_000_000_000, "12.34"),
            ("18446744.073709551616", 1 << 64, "18446744.073709551616"),
            (
                "-99999999999999999999999999",
                -99_999_999_999_999_999_999_999_999 * PICO,
                "-99999999999999999999999999",
            ),
        ];
        for (text, pico, shown) in cases {
            let money: Money = text.parse().expect(text);
            assert_eq!(money.pico(), pico, "{text}");
            assert_eq!(money.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1e3", "+1", "1,000", "--1", "1.0000000000001", "1 "] {
            assert!(text.parse::<Money>().is_err(), "{text:?}");
        }
        assert_eq!("9".repeat(60).parse::<Money>(), Err(ParseMoneyError::TooLarge));
    }

    #[test]
    fn a_unit_price_is_rounded_once_half_to_even() {
        let price = |text: &str, per| UnitPrice::of(text.parse().expect(text), per).map(UnitPrice::pico);
        assert_eq!(price("0.003625", 1_000_000), Some(3_625));
        assert_eq!(price("0.000000000005", 2), Some(2));
        assert_eq!(price("0.000000000007", 2), Some(4));
        assert_eq!(price("1", 0), None);
    }

    #[test]
    fn the_largest_amounts_have_room() {
        let shown = |pico| Money::from_pico(pico).to_string();
        assert_eq!(shown(i128::MAX), "170141183460469231731687303.715884105727");
        assert_eq!(shown(i128::MIN), "-170141183460469231731687303.715884105728");
    }

    proptest! {
        #[test]
        fn writing_and_reading_changes_nothing(pico in any::<i64>()) {
            let money = Money::from_pico(i128::from(pico));
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }

        #[test]
        fn an_amount_beyond_64_bits_survives_too(pico in (i128::MIN / 2)..(i128::MAX / 2)) {
            let money = Money::from_pico(pico);
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }
    }
}
