//! A JSON number as an exact amount: its digits are moved, never computed with in floating point.

use tollgate_domain::Money;

/// Most digits of a mantissa; a float that was printed has at most 17.
const MOST_DIGITS: usize = 30;

/// What a number of units costs, from the price of one as JSON writes it: a number or a text with one,
/// with or without an exponent. Rounded half up at a pico-unit, since lists hold printed floats such as
/// `2.9999999999999997e-07`.
///
/// `None` for whatever is no number, or too long or large to be a price.
pub(crate) fn times_ten_to(raw: &str, power: i32) -> Option<Money> {
    let text = raw.trim().trim_matches('"').trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, places].concat();
    let sound =
        !whole.is_empty() && digits.len() <= MOST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !sound {
        return None;
    }
    let mantissa: i128 = digits.parse().ok()?;
    // A pico-unit is twelve places.
    let shift = exponent.checked_add(power)?.checked_add(12)?.checked_sub(places.len() as i32)?;
    let pico = if shift >= 0 {
        mantissa.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?
    } else {
        match 10_i128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => (mantissa + divisor / 2) / divisor,
            None => 0,
        }
    };
    Some(Money::from_pico(if negative { -pico } else { pico }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_every_spelling_are_exact() {
        let cases = [
            ("2.5e-06", Some("2.5")),
            ("0.0000025", Some("2.5")),
            ("\"0.0000025\"", Some("2.5")),
            ("1E-5", Some("10")),
            ("2.9999999999999997e-07", Some("0.3")),
            ("7.5e-08", Some("0.075")),
            ("0", Some("0")),
            ("-1e-6", Some("-1")),
            ("1e-400", Some("0")),
            ("1e400", None),
            ("null", None),
            ("\"\"", None),
            (".5", None),
            ("1e", None),
            ("0x10", None),
            ("NaN", None),
        ];
        for (raw, want) in cases {
            assert_eq!(times_ten_to(raw, 6).map(|money| money.to_string()).as_deref(), want, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_is_the_same_with_and_without_an_exponent(micros in 0_u64..100_000_000_000, exponent in -6_i32..6) {
            let plain = times_ten_to(&micros.to_string(), 0).expect("a number");
            let shifted = times_ten_to(&format!("{micros}e{exponent}"), -exponent).expect("a number");
            prop_assert_eq!(plain, shifted);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", power in -20_i32..20) {
            let _ = times_ten_to(&text, power);
        }
    }
}
