//! Numbers as LiteLLM writes them, by their digits.

/// A decimal number, moved by so many places to the left of its point, as plain digits: `2.5e-06` moved by
/// six is `2.5`. `None` when it is no number, is below zero, or is finer than our prices can be.
pub(super) fn decimal(text: &str, moved: i32) -> Option<String> {
    let text = text.trim().trim_start_matches('+');
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = format!("{whole}{places}");
    if digits.is_empty() || digits.len() > 40 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.checked_add(moved)?;
    if !(-40..=40).contains(&exponent) {
        return None;
    }
    // Where the point stands among the digits.
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let padded_left = usize::try_from((1 - point).max(0)).ok()?;
    let mut digits = format!("{}{digits}", "0".repeat(padded_left));
    let point = usize::try_from(point.max(1)).ok()?;
    while digits.len() < point {
        digits.push('0');
    }
    let (whole, places) = digits.split_at(point);
    let (whole, places) = (whole.trim_start_matches('0'), places.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    match places.len() {
        0 => Some(whole.to_owned()),
        1..=12 => Some(format!("{whole}.{places}")),
        _ => None,
    }
}

/// The period of a budget that lasts so long, and whether it is quite the same.
pub(super) fn period(duration: Option<&str>) -> Option<(&'static str, bool)> {
    Some(match duration {
        None => ("total", true),
        Some("24h" | "1d") => ("day", true),
        Some("7d" | "1w") => ("week", true),
        Some("1mo") => ("month", true),
        Some("28d" | "30d" | "31d" | "720h") => ("month", false),
        Some("90d" | "91d" | "92d" | "3mo") => ("quarter", false),
        Some("365d" | "12mo" | "1y") => ("year", false),
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_moved_by_their_digits() {
        let cases = [
            ("0.0000025", 6, Some("2.5")),
            ("2.5e-06", 6, Some("2.5")),
            ("2.50E-6", 6, Some("2.5")),
            ("1e-7", 6, Some("0.1")),
            ("3", 6, Some("3000000")),
            ("0", 6, Some("0")),
            ("0.1", 0, Some("0.1")),
            ("1000", 0, Some("1000")),
            ("00.10", 0, Some("0.1")),
            (".5", 0, Some("0.5")),
            ("1e-19", 6, None),
            ("-1", 6, None),
            ("nan", 6, None),
            ("1e99", 6, None),
            ("", 6, None),
        ];
        for (text, moved, want) in cases {
            assert_eq!(decimal(text, moved).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_length_that_is_no_calendar_period_is_told_from_one_that_is() {
        assert_eq!(period(Some("30d")), Some(("month", false)));
        assert_eq!(period(Some("1mo")), Some(("month", true)));
        assert_eq!(period(None), Some(("total", true)));
        assert_eq!(period(Some("36h")), None);
    }
}
