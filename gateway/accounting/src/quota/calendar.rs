//! The windows in which quotas and budgets are counted: days, months and the like of a time zone.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use tollgate_domain::UnixMillis;

/// How long a window lasts. All are of the calendar: a month is not thirty days.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// A calendar month.
    Month,
    /// Three months from January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
    /// One window without an end.
    Total,
}

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 6] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year, Self::Total];

    /// The name used in configuration and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Total => "total",
        }
    }
}

/// A half-open span of time: `start` is inside, `end` is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// Its first instant.
    pub start: UnixMillis,
    /// The first instant after it; the end of time for [`Period::Total`].
    pub end: UnixMillis,
}

impl Window {
    /// When it ends, if ever.
    #[must_use]
    pub fn ends(&self) -> Option<UnixMillis> {
        (self.end.get() != i64::MAX).then_some(self.end)
    }
}

/// A time zone that is not in the database.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown time zone {name:?}: use a name of the IANA database such as \"Europe/Stockholm\"")]
pub struct UnknownTimeZone {
    /// The name that was asked for.
    pub name: String,
}

/// A time zone, to tell in which window an instant lies.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// The calendar of UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// The calendar of an IANA time zone.
    ///
    /// # Errors
    ///
    /// The name is not in the time zone database.
    pub fn of_zone(name: &str) -> Result<Self, UnknownTimeZone> {
        let zone = TimeZone::get(name).map_err(|_| UnknownTimeZone { name: name.to_owned() })?;
        Ok(Self { zone })
    }

    /// The calendar of a time zone.
    #[must_use]
    pub const fn of(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// The window of this period in which the instant lies.
    #[must_use]
    pub fn window_of(&self, period: Period, at: UnixMillis) -> Window {
        let end_of_time = UnixMillis::new(i64::MAX);
        if period == Period::Total {
            return Window { start: UnixMillis::new(0), end: end_of_time };
        }
        // Clocks outside the years that a calendar knows are broken, but no reason to stop.
        let nearest = if at.get() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::from_millisecond(at.get()).unwrap_or(nearest);
        let first = first_day(period, self.zone.to_datetime(time).date());
        let next = match period {
            Period::Day | Period::Total => first.checked_add(1.day()),
            Period::Week => first.checked_add(7.days()),
            Period::Month => first.checked_add(1.month()),
            Period::Quarter => first.checked_add(3.months()),
            Period::Year => first.checked_add(1.year()),
        };
        Window {
            start: self.midnight(first).unwrap_or(at),
            end: next.ok().and_then(|next| self.midnight(next)).unwrap_or(end_of_time),
        }
    }

    /// The first instant of a day; some days of some zones do not begin at 00:00.
    fn midnight(&self, date: Date) -> Option<UnixMillis> {
        let zoned = date.to_zoned_datetime(self.zone.clone()).ok()?;
        Some(UnixMillis::new(zoned.timestamp().as_millisecond()))
    }
}

/// The day on which the period around `date` begins.
fn first_day(period: Period, date: Date) -> Date {
    let first_of = |month| Date::new(date.year(), month, 1);
    let first = match period {
        Period::Day | Period::Total => return date,
        Period::Week => {
            let days = date.weekday().since(Weekday::Monday);
            date.checked_sub(i64::from(days).days())
        }
        Period::Month => first_of(date.month()),
        Period::Quarter => first_of((date.month() - 1) / 3 * 3 + 1),
        Period::Year => first_of(1),
    };
    first.unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> UnixMillis {
        UnixMillis::new(text.parse::<Timestamp>().expect("a timestamp").as_millisecond())
    }

    fn shown(window: Window) -> [String; 2] {
        [window.start, window.end]
            .map(|at| Timestamp::from_millisecond(at.get()).expect("in range").to_string())
    }

    #[test]
    fn windows_begin_where_the_calendar_says() {
        // 2026-11-24 is a Tuesday.
        let cases = [
            ("UTC", Period::Day, "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
            ("UTC", Period::Week, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("UTC", Period::Month, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("UTC", Period::Quarter, "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("UTC", Period::Year, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("Europe/Stockholm", Period::Day, "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z"),
            // Begins in summer time, ends in winter time.
            ("Europe/Stockholm", Period::Quarter, "2026-09-30T22:00:00Z", "2026-12-31T23:00:00Z"),
            ("America/New_York", Period::Week, "2026-11-23T05:00:00Z", "2026-11-30T05:00:00Z"),
        ];
        for (zone, period, start, end) in cases {
            let calendar = Calendar::of_zone(zone).expect("known");
            let window = calendar.window_of(period, millis("2026-11-24T11:00:00Z"));
            assert_eq!(shown(window), [start, end], "{zone} {period:?}");
        }
    }

    #[test]
    fn a_total_never_ends() {
        let window = Calendar::utc().window_of(Period::Total, millis("2026-11-24T11:00:00Z"));
        assert_eq!((window.start, window.ends()), (UnixMillis::new(0), None));
    }

    #[test]
    fn a_zone_nobody_knows_is_named() {
        let error = Calendar::of_zone("Mars/Olympus").expect_err("unknown");
        assert!(error.to_string().contains("Mars/Olympus"));
    }

    proptest! {
        #[test]
        fn an_instant_lies_in_its_window_and_windows_are_seamless(
            at in -2_000_000_000_000_i64..100_000_000_000_000, which in 0_usize..5,
        ) {
            let calendar = Calendar::of_zone("America/Sao_Paulo").expect("known");
            let (period, at) = (Period::ALL[which], UnixMillis::new(at));
            let window = calendar.window_of(period, at);
            prop_assert!(window.start <= at && at < window.end);
            prop_assert_eq!(calendar.window_of(period, window.end).start, window.end);
            prop_assert_eq!(calendar.window_of(period, window.end.plus(-1)), window);
        }

        #[test]
        fn no_clock_is_too_broken(at in any::<i64>(), which in 0_usize..6) {
            let window = Calendar::utc().window_of(Period::ALL[which], UnixMillis::new(at));
            prop_assert!(window.start <= window.end);
        }
    }
}
