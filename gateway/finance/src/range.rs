//! Time ranges as people write them.

use jiff::{Span, Timestamp, ToSpan, ZonedDateTime, civil::Date, tz::TimeZone};
use tollgate_domain::UnixMillis;

/// A half-open range: `from` is inside, `to` is not; none is open on that side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TimeRange {
    /// The first instant.
    pub from: Option<UnixMillis>,
    /// The first instant after it.
    pub to: Option<UnixMillis>,
}

/// A text that tells no time, or a range that ends before it begins.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TimeError {
    /// Not one of the ways to write a time.
    #[error(
        "{0:?} is no time; write 2026-10-01, 2026-10, 2026-10-01T08:00:00Z, -7d, -12h, -30m, now, today, this-month or last-month"
    )]
    NotATime(String),
    /// The end does not follow the begin.
    #[error("the range ends at or before its begin: from {from:?} to {to:?}")]
    Backwards {
        /// The begin as it was written.
        from: String,
        /// The end as it was written.
        to: String,
    },
}

impl TimeRange {
    /// Reads both ends. Days and months are those of `zone`, relative times count from `now`.
    ///
    /// # Errors
    /// A text tells no time, or the range is empty.
    pub fn parse(
        from: Option<&str>,
        to: Option<&str>,
        now: UnixMillis,
        zone: &TimeZone,
    ) -> Result<Self, TimeError> {
        let instant =
            |text: &str| instant(text, now, zone).ok_or_else(|| TimeError::NotATime(text.to_owned()));
        let range = Self { from: from.map(instant).transpose()?, to: to.map(instant).transpose()? };
        match (range.from, range.to) {
            (Some(begin), Some(end)) if end <= begin => Err(TimeError::Backwards {
                from: from.unwrap_or_default().to_owned(),
                to: to.unwrap_or_default().to_owned(),
            }),
            _ => Ok(range),
        }
    }
}

fn instant(text: &str, now: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
    let local = Timestamp::from_millisecond(now.get()).ok()?.to_zoned_datetime(zone.clone());
    match text {
        "now" => Some(now),
        "today" => midnight(local.date(), zone),
        "this-month" => midnight(local.date().first_of_month(), zone),
        "last-month" => midnight(local.date().first_of_month().checked_sub(1.month()).ok()?, zone),
        _ => relative(text, &local).or_else(|| absolute(text, zone)),
    }
}

/// `-7d` is seven calendar days before now at the same time of day; hours and minutes are exact.
fn relative(text: &str, now: &ZonedDateTime) -> Option<UnixMillis> {
    let (number, unit) = text.strip_prefix('-')?.split_at_checked(text.len().checked_sub(2)?)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i32 = number.parse().ok()?;
    let span = match unit {
        "d" => Span::new().try_days(number),
        "h" => Span::new().try_hours(number),
        "m" => Span::new().try_minutes(number),
        _ => return None,
    };
    millis(now.checked_sub(span.ok()?).ok()?.timestamp())
}

fn absolute(text: &str, zone: &TimeZone) -> Option<UnixMillis> {
    if let Some((year, month)) = text.split_once('-').filter(|_| text.len() == 7) {
        return midnight(Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?, zone);
    }
    if text.len() == 10 {
        return midnight(text.parse::<Date>().ok()?, zone);
    }
    millis(text.parse().ok()?)
}

fn midnight(date: Date, zone: &TimeZone) -> Option<UnixMillis> {
    millis(date.to_zoned_datetime(zone.clone()).ok()?.timestamp())
}

fn millis(at: Timestamp) -> Option<UnixMillis> {
    Some(UnixMillis::new(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-05T12:30:00Z.
    const NOW: UnixMillis = UnixMillis::new(1_793_881_800_000);

    fn read(text: &str, zone: &str) -> Result<String, TimeError> {
        let zone = TimeZone::get(zone).expect("a zone");
        let range = TimeRange::parse(Some(text), None, NOW, &zone)?;
        Ok(tollgate_accounting::ledger::rfc3339(range.from.expect("given")))
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let cases = [
            ("2026-10-01T08:00:00Z", "UTC", "2026-10-01T08:00:00.000Z"),
            ("2026-10-01T08:00:00.250+02:00", "UTC", "2026-10-01T06:00:00.250Z"),
            ("2026-10-01", "UTC", "2026-10-01T00:00:00.000Z"),
            ("2026-10-01", "America/New_York", "2026-10-01T04:00:00.000Z"),
            ("2026-10", "Asia/Kolkata", "2026-09-30T18:30:00.000Z"),
            ("now", "UTC", "2026-11-05T12:30:00.000Z"),
            ("today", "UTC", "2026-11-05T00:00:00.000Z"),
            ("this-month", "UTC", "2026-11-01T00:00:00.000Z"),
            ("last-month", "UTC", "2026-10-01T00:00:00.000Z"),
            ("-30m", "UTC", "2026-11-05T12:00:00.000Z"),
            ("-12h", "UTC", "2026-11-05T00:30:00.000Z"),
            ("-7d", "UTC", "2026-10-29T12:30:00.000Z"),
            // The clock went back an hour on 1 November: the day before then is 25 hours long.
            ("-7d", "America/New_York", "2026-10-29T11:30:00.000Z"),
        ];
        for (text, zone, want) in cases {
            assert_eq!(read(text, zone).as_deref(), Ok(want), "{text} in {zone}");
        }
    }

    #[test]
    fn what_tells_no_time_is_refused() {
        let texts =
            ["", "-", "-d", "-7", "-7w", "-1.5d", "--7d", "-é", "7d", "2026", "2026-13", "2026-02-30"];
        for text in
            texts.into_iter().chain(["yesterday", "2026-10-01T08:00:00", "-99999999999d", "-2000000000d"])
        {
            assert_eq!(read(text, "UTC"), Err(TimeError::NotATime(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn a_range_must_end_after_its_begin() {
        let parse = |from, to| TimeRange::parse(Some(from), Some(to), NOW, &TimeZone::UTC);
        assert!(matches!(parse("now", "-1h"), Err(TimeError::Backwards { .. })));
        assert!(matches!(parse("now", "now"), Err(TimeError::Backwards { .. })));
        assert!(parse("-1h", "now").is_ok());
        assert_eq!(TimeRange::parse(None, None, NOW, &TimeZone::UTC), Ok(TimeRange::default()));
    }
}
