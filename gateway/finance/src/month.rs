//! A month of the calendar.

use std::{fmt, str::FromStr};

use jiff::{ToSpan, civil::Date, tz::TimeZone};
use tollgate_domain::UnixMillis;

/// A month, written `2026-11`. Where it begins is the time zone's word.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Month(Date);

/// A text that names no month.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no month; write 2026-11")]
pub struct MonthError(String);

impl Month {
    /// The first instant of the month, and the first one after it.
    #[must_use]
    pub fn window(self, zone: &TimeZone) -> (UnixMillis, UnixMillis) {
        let next = self.0.checked_add(1.month()).unwrap_or(Date::MAX);
        (midnight(self.0, zone), midnight(next, zone))
    }
}

fn midnight(date: Date, zone: &TimeZone) -> UnixMillis {
    // Only the last month of the year 9999 has no instant after it.
    let at = date.to_zoned_datetime(zone.clone());
    UnixMillis::new(at.map_or(i64::MAX, |at| at.timestamp().as_millisecond()))
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let read = || {
            let (year, month) = text.split_once('-').filter(|_| text.len() == 7)?;
            let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(year) || !digits(month) {
                return None;
            }
            Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
        };
        read().map(Self).ok_or_else(|| MonthError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::ledger::rfc3339;

    use super::*;

    #[test]
    fn a_month_begins_where_its_zone_says() {
        let cases = [
            ("2026-11", "UTC", "2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"),
            ("2026-12", "UTC", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
            // The clock changes within the month.
            ("2026-03", "Europe/Stockholm", "2026-02-28T23:00:00.000Z", "2026-03-31T22:00:00.000Z"),
            ("2028-02", "America/New_York", "2028-02-01T05:00:00.000Z", "2028-03-01T05:00:00.000Z"),
        ];
        for (text, zone, from, until) in cases {
            let month: Month = text.parse().expect(text);
            let (first, past) = month.window(&TimeZone::get(zone).expect("a zone"));
            assert_eq!((rfc3339(first).as_str(), rfc3339(past).as_str()), (from, until), "{text} {zone}");
            assert_eq!(month.to_string(), text);
        }
    }

    #[test]
    fn what_names_no_month_is_refused() {
        for text in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-1x", "-026-11", "2026-11-01"]
        {
            assert_eq!(text.parse::<Month>(), Err(MonthError(text.to_owned())));
        }
    }
}
