//! How far a currency is divided in payments (ISO 4217), and rounding to it.

use tollgate_domain::Money;

/// Decimal places of the currency's minor unit; two for currencies that are not of another kind.
pub(crate) fn places(currency: &str) -> u32 {
    const NONE: [&str; 17] = [
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
        "XAF", "XOF", "XPF",
    ];
    const THREE: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
    const FOUR: [&str; 2] = ["CLF", "UYW"];
    let is_one = |list: &[&str]| list.iter().any(|code| code.eq_ignore_ascii_case(currency));
    match () {
        () if is_one(&NONE) => 0,
        () if is_one(&THREE) => 3,
        () if is_one(&FOUR) => 4,
        () => 2,
    }
}

/// The amount in whole minor units, half to even.
pub(crate) fn round(amount: Money, currency: &str) -> Money {
    let unit = 10_i128.pow(12 - places(currency));
    let (whole, rest) = (amount.pico().div_euclid(unit), amount.pico().rem_euclid(unit));
    let up = match (rest * 2).cmp(&unit) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => whole % 2 != 0,
    };
    Money::from_pico((whole + i128::from(up)).saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_half_to_even_at_the_minor_unit() {
        let cases = [
            ("1.005", "USD", "1"),
            ("1.015", "USD", "1.02"),
            ("1.0150000001", "EUR", "1.02"),
            ("-1.015", "USD", "-1.02"),
            ("-1.005", "USD", "-1"),
            ("2.5", "JPY", "2"),
            ("3.5", "jpy", "4"),
            ("1.0005", "KWD", "1"),
            ("1.00005", "CLF", "1"),
        ];
        for (amount, currency, want) in cases {
            let rounded = round(amount.parse().expect(amount), currency);
            assert_eq!(rounded.to_string(), want, "{amount} {currency}");
        }
    }
}
