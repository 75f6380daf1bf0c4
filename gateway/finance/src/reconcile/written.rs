//! Amounts and days as providers write them.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tollgate_domain::{Money, Name};

use crate::price_list::amount::times_ten_to;

/// An amount in a currency.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Amount {
    pub(super) money: Money,
    pub(super) currency: Name,
    /// Decimal places that it was written with.
    pub(super) places: u32,
}

impl Amount {
    /// Reads a decimal number, with or without exponent, times ten to `power`. Its digits are moved and
    /// never become a float; what is below a pico-unit is rounded.
    pub(super) fn read(raw: &str, power: i32, currency: &str) -> Option<Self> {
        let money = times_ten_to(raw, power)?;
        Some(Self { money, currency: currency.to_ascii_uppercase().into(), places: places(raw, power) })
    }
}

/// How many decimal places a number is written with, once it is multiplied by ten to `power`.
fn places(raw: &str, power: i32) -> u32 {
    let raw = raw.trim().trim_matches('"');
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let written = mantissa.split_once('.').map_or(0, |(_, places)| places.len());
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let places = i64::try_from(written).unwrap_or_default() - i64::from(exponent) - i64::from(power);
    places.clamp(0, 12) as u32
}

/// The day of an instant or a date as providers write them: in UTC.
pub(super) fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.to_zoned_datetime(TimeZone::UTC).date());
    }
    if let Some([month, day, year]) = parts(text, '/') {
        return Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok();
    }
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok();
    }
    // A date alone, or with a time of day that has no zone.
    let date =
        text.get(..10).filter(|_| text.as_bytes().get(10).is_none_or(|byte| matches!(byte, b'T' | b' ')))?;
    date.parse().ok()
}

fn parts(text: &str, mark: char) -> Option<[&str; 3]> {
    let mut parts = text.split(mark);
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_their_digits_and_tell_their_places() {
        let cases = [
            ("0.06", 0, "0.06", 2),
            ("1.0e-05", 0, "0.00001", 6),
            ("12378.912", -2, "123.78912", 5),
            ("\"100\"", -2, "1", 2),
            ("-3", 0, "-3", 0),
            ("5e3", 0, "5000", 0),
        ];
        for (raw, power, money, places) in cases {
            let amount = Amount::read(raw, power, "usd").expect(raw);
            assert_eq!((amount.money.to_string().as_str(), amount.places), (money, places), "{raw}");
            assert_eq!(&*amount.currency, "USD");
        }
        assert_eq!(Amount::read("1,5", 0, "USD"), None);
    }

    #[test]
    fn days_are_read_as_providers_write_them() {
        let want = Date::constant(2026, 11, 5);
        let texts = [
            "2026-11-05",
            "11/05/2026",
            "20261105",
            "2026-11-05T00:00:00Z",
            "2026-11-05T23:00:00-00:30",
            "2026-11-05 00:00:00",
        ];
        for text in texts {
            assert_eq!(day(text), Some(want), "{text}");
        }
        for text in ["", "5", "2026-11", "2026-13-01", "05.11.2026", "11/05", "2026-11-05x", "é026110"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
