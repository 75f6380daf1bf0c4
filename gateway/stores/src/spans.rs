//! Which sums answer a question about a range of time: whole days of UTC, the whole hours around them, and
//! rows for what is left at the edges. Months of a large organisation have a row for each hour in which
//! somebody called something: days are a tenth of that.

use tollgate_accounting::ledger::{Dimension, UsageQuery};
use tollgate_domain::UnixMillis;

use crate::sums::Range;

/// Milliseconds of an hour.
pub(crate) const HOUR: i64 = 3_600_000;
/// Milliseconds of a day of UTC.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The last instant that every store can write: 9999-12-30T22:00:00Z.
pub(crate) const LAST: i64 = 253_402_207_200_000;
/// The first one: 0001-01-01T00:00:00Z.
pub(crate) const FIRST: i64 = -62_135_596_800_000;

/// How long the spans of a table of sums are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Length {
    Hour,
    Day,
}

/// The whole hours of a range, and the whole days of UTC within them, in milliseconds.
pub(crate) struct Spans {
    hours: (i64, i64),
    /// Empty, at one of the ends of the hours, when there is no whole day or days are of no use.
    days: (i64, i64),
}

impl Spans {
    /// None when the range has no whole hour.
    pub(crate) fn within(query: &UsageQuery) -> Option<Self> {
        let begin = query.from.map_or(FIRST, UnixMillis::get).clamp(FIRST, LAST);
        let end = query.to.map_or(LAST + DAY, UnixMillis::get).clamp(FIRST, LAST + DAY);
        let hours = (round_up(begin, HOUR), round_down(end, HOUR));
        if hours.0 >= hours.1 {
            return None;
        }
        let days = (round_up(hours.0, DAY), round_down(hours.1, DAY));
        let useful = days_will_do(query) && days.0 < days.1;
        Some(Self { hours, days: if useful { days } else { (hours.0, hours.0) } })
    }

    /// The parts, each with the length of the spans that have their sums, its begin and its end.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Length, i64, i64)> {
        let parts = [
            (Length::Hour, self.hours.0, self.days.0),
            (Length::Day, self.days.0, self.days.1),
            (Length::Hour, self.days.1, self.hours.1),
        ];
        parts.into_iter().filter(|(_, begin, end)| begin < end)
    }

    /// What of the range lies outside its whole hours.
    pub(crate) fn edges(&self, query: &UsageQuery) -> impl Iterator<Item = Range> + use<> {
        let (first, past) = (UnixMillis::new(self.hours.0), UnixMillis::new(self.hours.1));
        let begin = query.from.filter(|from| *from < first).map(|from| (Some(from), Some(first)));
        let end = query.to.filter(|to| *to > past).map(|to| (Some(past), Some(to)));
        begin.into_iter().chain(end)
    }
}

fn round_up(at: i64, length: i64) -> i64 {
    round_down(at + length - 1, length)
}

fn round_down(at: i64, length: i64) -> i64 {
    at.div_euclid(length) * length
}

/// True when sums per day of UTC can answer: the question has no calendar, or one whose days they are.
fn days_will_do(query: &UsageQuery) -> bool {
    let by_hour = query.by.contains(&Dimension::Hour);
    let by_calendar = query.by.iter().any(|by| matches!(by, Dimension::Day | Dimension::Month));
    let is_utc = query.time_zone.to_fixed_offset().is_ok_and(|offset| offset.seconds() == 0);
    !by_hour && (!by_calendar || is_utc)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    /// The length of spans, and the hours that are taken from them.
    type Part = (Length, i64, i64);

    fn parts(from: i64, to: i64, by: &[Dimension]) -> Vec<Part> {
        let query = UsageQuery {
            from: Some(UnixMillis::new(from)),
            to: Some(UnixMillis::new(to)),
            by: by.to_vec(),
            ..UsageQuery::default()
        };
        let spans = Spans::within(&query);
        spans.map_or_else(Vec::new, |spans| {
            spans.parts().map(|(length, begin, end)| (length, begin / HOUR, end / HOUR)).collect()
        })
    }

    #[test]
    fn a_range_is_covered_once_by_days_and_hours() {
        let (hours, days) = (Length::Hour, Length::Day);
        let cases: [(i64, i64, &[Dimension], &[Part]); 6] = [
            (HOUR / 2, HOUR, &[], &[]),
            (HOUR / 2, 3 * HOUR, &[], &[(hours, 1, 3)]),
            (0, 2 * DAY, &[Dimension::Day], &[(days, 0, 48)]),
            (1, 2 * DAY + 2 * HOUR + 1, &[], &[(hours, 1, 24), (days, 24, 48), (hours, 48, 50)]),
            (1, 2 * DAY, &[Dimension::Hour], &[(hours, 1, 48)]),
            (23 * HOUR, 25 * HOUR, &[], &[(hours, 23, 25)]),
        ];
        for (from, to, by, want) in cases {
            assert_eq!(parts(from, to, by), want, "{from} to {to} by {by:?}");
        }
    }

    #[test]
    fn days_of_another_calendar_are_added_up_from_hours() {
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let by =
            |by: Dimension| UsageQuery { by: vec![by], time_zone: zone.clone(), ..UsageQuery::default() };
        assert!(!days_will_do(&by(Dimension::Day)));
        assert!(!days_will_do(&by(Dimension::Month)));
        assert!(days_will_do(&by(Dimension::Team)));
    }
}
