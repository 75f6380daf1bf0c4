//! What a provider's rate-limit headers say is used up.

use std::time::Duration;

use jiff::Timestamp;
use tollgate_domain::UnixMillis;

use crate::codec::{HeaderOf, LimitNames};

/// Resets further away than this are the day's or the month's; what is left of those is not looked at.
const FURTHEST: Duration = Duration::from_secs(300);

impl LimitNames {
    /// How long nothing is left of a limit that says so (`remaining` is 0 and `reset` tells until when);
    /// the longest of several. `now` is the wall clock. What says nothing, or nothing that can be read,
    /// is no limit.
    #[must_use]
    pub fn spent(&self, header: &HeaderOf<'_>, now: UnixMillis) -> Option<Duration> {
        let limits = [self.requests, self.tokens].into_iter();
        limits
            .filter(|[_, remaining, _]| header(remaining).is_some_and(|left| left.trim() == "0"))
            .filter_map(|[_, _, reset]| until(header(reset)?.trim(), now))
            .filter(|wait| !wait.is_zero() && *wait <= FURTHEST)
            .max()
    }
}

/// A reset as its providers write it: `1s`, `6m0s`, `20ms`, seconds without a unit, or an instant.
fn until(text: &str, now: UnixMillis) -> Option<Duration> {
    if let Ok(at) = text.parse::<Timestamp>() {
        let millis = at.as_millisecond().checked_sub(now.get())?;
        return u64::try_from(millis).ok().map(Duration::from_millis);
    }
    if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return scaled(text, 1_000);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, millis)?)?;
        rest = tail;
    }
    Some(total)
}

/// A decimal number of units, each of so many milliseconds; what is finer is cut.
fn scaled(number: &str, millis: u64) -> Option<Duration> {
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !(places.is_empty() || digits(places)) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part = places.bytes().take(3).zip([100, 10, 1]).map(|(digit, place)| u64::from(digit - b'0') * place);
    let thousandths = part.sum::<u64>();
    whole.checked_mul(millis)?.checked_add(thousandths * millis / 1_000).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Dialect;

    fn spent(dialect: Dialect, headers: &[(&str, &str)]) -> Option<u128> {
        // 2026-03-01T12:00:00Z.
        let now = UnixMillis::new(1_772_366_400_000);
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        dialect.codec().limit_names().spent(&header, now).map(|wait| wait.as_millis())
    }

    #[test]
    fn what_is_used_up_is_told_with_its_end() {
        let (left, reset) = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests");
        let cases = [
            ("0", "1s", Some(1_000)),
            ("0", "2m3.5s", Some(123_500)),
            ("0", "120ms", Some(120)),
            ("0", "0.25", Some(250)),
            ("0", "12", Some(12_000)),
            ("1", "1s", None),
            ("0", "0s", None),
            ("0", "6m0s", None),
            ("0", "soon", None),
            ("0", "1s2", None),
            ("0", "-1s", None),
            ("", "1s", None),
        ];
        for (remaining, end, want) in cases {
            let told = spent(Dialect::OpenAi, &[(left, remaining), (reset, end)]);
            assert_eq!(told, want, "{remaining} {end}");
        }
        assert_eq!(spent(Dialect::OpenAi, &[(left, "0")]), None, "without an end it is no limit");
    }

    #[test]
    fn an_instant_is_read_and_the_longest_of_several_counts() {
        let headers = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-03-01T12:00:07Z"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2026-03-01T12:00:30Z"),
        ];
        assert_eq!(spent(Dialect::Anthropic, &headers), Some(30_000));
        let past = [headers[0], ("anthropic-ratelimit-requests-reset", "2026-03-01T11:59:00Z")];
        assert_eq!(spent(Dialect::Anthropic, &past), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}") {
            let _ = until(&text, UnixMillis::new(0));
        }
    }
}
