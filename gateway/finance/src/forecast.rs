//! Where spending will stand at the end of a budget's period.
//!
//! The method is stated with every figure, and there is none before three whole days are known.
//! Days are those of the calendar: a period has as many as the calendar gives it, and a day of 23
//! or 25 hours is a day. Integers only; equal spending on every day forecasts exactly.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tollgate_domain::{Money, UnixMillis};

/// Whole days that must be known before anything is said.
const LEAST_DAYS: usize = 3;
/// With so many, each weekday is looked at by itself.
const SEASONAL_DAYS: usize = 14;
/// Whole days before today that are looked at: eight weeks, so that each weekday counts alike.
pub const LOOKBACK_DAYS: i64 = 56;
/// The 90th percentile of the normal distribution lies 1.2816 standard deviations above its mean.
const P90_NUMERATOR: i128 = 12_816;
const P90_DENOMINATOR: i128 = 10_000;

/// What a scope spent on the days before today.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Days(BTreeMap<Date, Money>);

impl Days {
    /// Adds what was spent on a day.
    pub fn add(&mut self, day: Date, cost: Money) {
        *self.0.entry(day).or_default() += cost;
    }

    /// Every day from the first with spending within the look-back up to yesterday. A day without
    /// spending in between is a day of nothing.
    fn known(&self, today: Date) -> Vec<(Date, i128)> {
        let oldest = today.saturating_sub(LOOKBACK_DAYS.days());
        let Some((&first, _)) = self.0.range(oldest..today).next() else { return Vec::new() };
        let days = first.series(1.day()).take_while(|day| *day < today);
        days.map(|day| (day, self.0.get(&day).copied().unwrap_or_default().pico())).collect()
    }
}

/// A budget's period as it stands now.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The current day.
    pub today: Date,
    /// The first day after the period.
    pub end: Date,
    /// What was spent in the period so far, today included.
    pub spent: Money,
    /// What was spent today.
    pub spent_today: Money,
}

impl Standing {
    /// How a period stands at `now` that ends at an instant, which is midnight in the calendar's zone.
    /// `None` for instants beyond the calendar.
    #[must_use]
    pub fn at(
        now: UnixMillis,
        end: UnixMillis,
        (spent, spent_today): (Money, Money),
        zone: &TimeZone,
    ) -> Option<Self> {
        let date = |at: UnixMillis| {
            let time = Timestamp::from_millisecond(at.get()).ok()?;
            Some(time.to_zoned_datetime(zone.clone()).date())
        };
        Some(Self { today: date(now)?, end: date(end)?, spent, spent_today })
    }
}

/// What will be spent by the end of a period.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forecast {
    /// As likely to be exceeded as not; never below what is spent already.
    pub p50: Money,
    /// Exceeded in one of ten cases, if days go on to differ as they did.
    pub p90: Money,
    /// How it was made.
    pub method: Method,
    /// The last whole day that it is made of.
    pub last_day: Date,
}

/// How a forecast is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Every remaining day is like the mean of the days known.
    LinearRunRate,
    /// Every remaining day is like the mean of its weekdays known.
    WeekdayMean,
}

impl Method {
    /// The name used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LinearRunRate => "linear_run_rate",
            Self::WeekdayMean => "weekday_mean",
        }
    }
}

impl Forecast {
    /// A forecast; `None` before three whole days are known.
    #[must_use]
    pub fn of(days: &Days, standing: &Standing) -> Option<Self> {
        let known = days.known(standing.today);
        let last_day = known.last().filter(|_| known.len() >= LEAST_DAYS)?.0;
        let method = if known.len() < SEASONAL_DAYS { Method::LinearRunRate } else { Method::WeekdayMean };
        let usual = Usual::of(&known, method);
        let (before, today) = ((standing.spent - standing.spent_today).pico(), standing.spent_today.pico());
        // Today goes on at least as it began, and usually becomes a day like others.
        let to_come = usual.sum(standing.today.series(1.day()).skip(1).take_while(|day| *day < standing.end));
        let expected = before + today.max(usual.sum([standing.today].into_iter())) + to_come;
        let p50 = expected.max(standing.spent.pico());
        let days_left =
            standing.today.until(standing.end).map_or(0, |span| i128::from(span.get_days())).max(0);
        let p90 = p50.saturating_add(usual.spread(&known, days_left));
        Some(Self { p50: Money::from_pico(p50), p90: Money::from_pico(p90), method, last_day })
    }
}

/// Sums and numbers of the days known, for each kind of day that the method tells apart.
struct Usual {
    kinds: [(i128, i128); 7],
    method: Method,
}

impl Usual {
    fn of(known: &[(Date, i128)], method: Method) -> Self {
        let mut usual = Self { kinds: [(0, 0); 7], method };
        for (day, cost) in known {
            let (sum, number) = &mut usual.kinds[usual.kind(*day)];
            (*sum, *number) = (sum.saturating_add(*cost), *number + 1);
        }
        usual
    }

    fn kind(&self, day: Date) -> usize {
        match self.method {
            Method::LinearRunRate => 0,
            Method::WeekdayMean => usize::from(day.weekday().to_monday_zero_offset().unsigned_abs()),
        }
    }

    /// What such days come to, each kind rounded once. Corrections can leave a kind below nothing;
    /// no day takes money back by itself.
    fn sum(&self, days: impl Iterator<Item = Date>) -> i128 {
        let mut numbers = [0_i128; 7];
        days.for_each(|day| numbers[self.kind(day)] += 1);
        let parts = self.kinds.iter().zip(numbers).map(|((sum, known), asked)| {
            let all = (*sum).max(0).saturating_mul(asked);
            (all + known / 2).checked_div(*known).unwrap_or(0)
        });
        parts.fold(0, i128::saturating_add)
    }

    /// How far above its middle the sum of so many days is in one of ten cases: by the variance of
    /// the days known around what is usual, and that of the means themselves.
    fn spread(&self, known: &[(Date, i128)], days: i128) -> i128 {
        let usual = |day| self.sum([day].into_iter());
        let off: Vec<i128> = known.iter().map(|(day, cost)| cost.saturating_sub(usual(*day))).collect();
        let count = known.len() as i128;
        // Each mean that was taken from the days leaves one of them less to differ.
        let means = self.kinds.iter().filter(|(_, number)| *number > 0).count() as i128;
        let Some(free) = Some(count - means).filter(|free| *free > 0 && days > 0) else { return 0 };
        // Squares of 44 bits leave room for the sums and factors below.
        let largest = off.iter().map(|off| off.unsigned_abs()).max().unwrap_or(0);
        let scale = i128::try_from(largest >> 44).unwrap_or(i128::MAX).saturating_add(1);
        let squares: i128 = off.iter().map(|off| (off / scale) * (off / scale)).sum();
        let variance = squares * days * (count + days) / (free * count);
        (variance.isqrt().saturating_mul(scale)).saturating_mul(P90_NUMERATOR) / P90_DENOMINATOR
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn pico(amount: i128) -> Money {
        Money::from_pico(amount)
    }

    /// So many days before `today`, the first given first.
    fn days(today: Date, costs: &[i128]) -> Days {
        let mut days = Days::default();
        for (ago, cost) in (1_i64..).zip(costs.iter().rev()) {
            days.add(today.saturating_sub(ago.days()), pico(*cost));
        }
        days
    }

    #[test]
    fn before_three_whole_days_nothing_is_said() {
        let today = date(2026, 11, 24);
        let standing = Standing { today, end: date(2026, 12, 1), spent: pico(9), spent_today: pico(3) };
        for known in 0..3 {
            assert_eq!(Forecast::of(&days(today, &vec![3; known]), &standing), None, "{known} days");
        }
        let forecast = Forecast::of(&days(today, &[3, 3, 3]), &standing).expect("three days are enough");
        assert_eq!((forecast.method, forecast.last_day), (Method::LinearRunRate, date(2026, 11, 23)));
        assert_eq!(forecast.p50, pico(6 + 7 * 3), "what was spent before today, and seven days");
        let mut old = Days::default();
        old.add(today.saturating_sub(60.days()), pico(3));
        assert_eq!(Forecast::of(&old, &standing), None, "what is older than eight weeks tells nothing");
    }

    #[test]
    fn two_weeks_tell_weekdays_apart() {
        // Ten on working days, nothing on weekends; 2026-11-24 is a Tuesday.
        let today = date(2026, 11, 24);
        let mut known = Days::default();
        for ago in 1..=14 {
            let day = today.saturating_sub(ago.days());
            let weekend = day.weekday().to_monday_zero_offset() > 4;
            known.add(day, pico(if weekend { 0 } else { 10 }));
        }
        // Without spending on the first day, the days known begin with the second.
        let standing = Standing { today, end: date(2026, 12, 1), spent: pico(160), spent_today: pico(0) };
        let forecast = Forecast::of(&known, &standing).expect("two weeks");
        assert_eq!(forecast.method, Method::WeekdayMean);
        assert_eq!(forecast.p50, pico(160 + 5 * 10), "Tuesday to Friday, and Monday");
        assert_eq!(forecast.p90, forecast.p50, "every weekday was like the last");
    }

    #[test]
    fn a_day_beyond_the_usual_is_taken_as_it_is() {
        let today = date(2026, 11, 24);
        let known = days(today, &[10, 10, 10, 10]);
        let standing = |spent_today| Standing {
            today,
            end: date(2026, 11, 26),
            spent: pico(40 + spent_today),
            spent_today: pico(spent_today),
        };
        let p50 = |spent_today| Forecast::of(&known, &standing(spent_today)).expect("four days").p50;
        assert_eq!((p50(0), p50(10), p50(35)), (pico(60), pico(60), pico(85)));
    }

    #[test]
    fn days_that_differ_widen_the_band() {
        let today = date(2026, 11, 24);
        let standing = Standing { today, end: date(2026, 12, 1), spent: pico(0), spent_today: pico(0) };
        let band = |costs: &[i128]| {
            let forecast = Forecast::of(&days(today, costs), &standing).expect("enough days");
            forecast.p90 - forecast.p50
        };
        assert_eq!(band(&[100; 6]), pico(0));
        // Six days around 100 with a deviation of √(6·400/5) = 21.9; seven days to come, and the mean
        // itself uncertain: √(480 · 7 · (6 + 7) / 6) = 85.3 and 1.2816 times that, each rounded down.
        assert_eq!(band(&[80, 120, 80, 120, 80, 120]), pico(108));
        assert!(band(&[1, 199, 1, 199, 1, 199]) > pico(400));
    }

    /// A period ends where its window ends, over the days on which clocks change.
    #[test]
    fn days_are_those_of_the_calendar() {
        use tollgate_accounting::quota::{Calendar, Period};
        let cases = [
            ("Europe/Berlin", "2026-03-28T12:00:00Z", Period::Month, 4),
            ("Europe/Berlin", "2026-03-28T23:30:00Z", Period::Month, 3),
            ("Europe/Berlin", "2026-10-24T22:30:00Z", Period::Week, 1),
            ("America/Sao_Paulo", "2018-11-03T12:00:00Z", Period::Month, 28),
            ("UTC", "2028-02-28T00:00:00Z", Period::Month, 2),
        ];
        for (name, now, period, days_left) in cases {
            let now = UnixMillis::new(now.parse::<Timestamp>().expect(now).as_millisecond());
            let window = Calendar::of_zone(name).expect(name).window_of(period, now);
            let zone = TimeZone::get(name).expect(name);
            let standing = Standing::at(now, window.end, (pico(0), pico(0)), &zone).expect("in range");
            let left = standing.today.until(standing.end).expect("in range").get_days();
            assert_eq!(left, days_left, "{name} {standing:?}");
            let forecast = Forecast::of(&days(standing.today, &[7, 7, 7]), &standing).expect("three days");
            assert_eq!(forecast.p50, pico(7 * i128::from(days_left)), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_forecast_is_never_below_what_is_spent(
            costs in prop::collection::vec(-1_000_000_i128..i128::from(i64::MAX), 3..80),
            (before, today_cost) in (0_i128..i128::from(i64::MAX), 0_i128..i128::from(i64::MAX)),
            ahead in 1_i64..400,
        ) {
            let today = date(2026, 3, 29);
            let spent = pico(before + today_cost);
            let end = today.saturating_add(ahead.days());
            let standing = Standing { today, end, spent, spent_today: pico(today_cost) };
            if let Some(forecast) = Forecast::of(&days(today, &costs), &standing) {
                prop_assert!(forecast.p50 >= spent && forecast.p90 >= forecast.p50, "{forecast:?}");
            }
        }

        /// Whatever the day, the period and the time already known: constant spending is forecast to
        /// the last unit, with no doubt about it.
        #[test]
        fn constant_spending_forecasts_exactly(
            cost in 1_i128..i128::from(i64::MAX),
            (known, begun, ahead) in (3_usize..80, 0_i128..300, 1_i64..400),
            offset in 0_i64..1_000,
        ) {
            let today = date(2026, 1, 1).saturating_add(offset.days());
            let end = today.saturating_add(ahead.days());
            let spent = pico(cost * begun + cost / 3);
            let standing = Standing { today, end, spent, spent_today: pico(cost / 3) };
            let forecast = Forecast::of(&days(today, &vec![cost; known]), &standing).expect("enough days");
            prop_assert_eq!(forecast.p50, pico(cost * (begun + i128::from(ahead))));
            prop_assert_eq!(forecast.p90, forecast.p50);
        }
    }
}
