//! What a load's calls say of an outage. Times are from the instant at which a call was due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::tally::Failure;

/// Later than this beyond the healthy p99, an answer counts as hurt.
const LATE: Duration = Duration::from_millis(50);
/// So long a stretch without hurt calls is a recovery.
const CALM: Duration = Duration::from_secs(1);

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// Whole and right.
    Good,
    /// It failed before the client had any content.
    Before(Failure),
    /// It failed visibly, after content.
    After(Failure),
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) due: Instant,
    /// To its first byte, which the gateway sends with the first content; without one to its end.
    pub(super) first: Duration,
    pub(super) end: End,
    /// 0 without a head.
    pub(super) status: u16,
    /// Who answered, as the gateway says.
    pub(super) upstream: Option<Box<str>>,
    /// How many attempts it took, as the gateway says.
    pub(super) attempts: Option<u32>,
}

/// Calls by the time at which they were due.
#[derive(Clone, Debug)]
pub(super) struct Calls(Vec<Call>);

impl Calls {
    pub(super) fn new(mut calls: Vec<Call>) -> Self {
        calls.sort_by_key(|call| call.due);
        Self(calls)
    }

    /// Those that were due in this time.
    pub(super) fn due(&self, from: Instant, to: Instant) -> Self {
        Self(self.0.iter().filter(|call| (from..to).contains(&call.due)).cloned().collect())
    }

    /// Those that are so.
    pub(super) fn only(&self, is_so: impl Fn(&Call) -> bool) -> Self {
        Self(self.0.iter().filter(|call| is_so(call)).cloned().collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many are so.
    pub(super) fn count(&self, is_so: impl Fn(&Call) -> bool) -> usize {
        self.0.iter().filter(|call| is_so(call)).count()
    }

    pub(super) fn good(&self) -> usize {
        self.count(|call| call.end == End::Good)
    }

    /// Calls that failed before any content.
    pub(super) fn errors(&self) -> usize {
        self.count(|call| matches!(call.end, End::Before(_)))
    }

    /// What went wrong, and how often.
    pub(super) fn failures(&self) -> String {
        let mut counts: BTreeMap<Failure, usize> = BTreeMap::new();
        for call in &self.0 {
            if let End::Before(failure) | End::After(failure) = call.end {
                *counts.entry(failure).or_default() += 1;
            }
        }
        let told: Vec<_> = counts.iter().map(|(failure, count)| format!("{failure} {count}")).collect();
        told.join(", ")
    }

    /// Time to first content that 99 of 100 do not exceed; zero without calls.
    pub(super) fn p99(&self) -> Duration {
        let mut times: Vec<_> = self.0.iter().map(|call| call.first).collect();
        times.sort_unstable();
        let rank = (times.len() * 99).div_ceil(100).max(1);
        times.get(rank - 1).copied().unwrap_or_default()
    }

    /// Attempts a call, of those whose answer tells.
    pub(super) fn attempts_per_call(&self) -> Option<f64> {
        let told: Vec<_> = self.0.iter().filter_map(|call| call.attempts).collect();
        let sum: u64 = told.iter().map(|attempts| u64::from(*attempts)).sum();
        (!told.is_empty()).then(|| sum as f64 / told.len() as f64)
    }

    /// From the fault to the first instant after which, for a second, at most one call in a hundred
    /// failed or was late; none when the run ended before.
    pub(super) fn recovery(&self, fault: Instant, healthy_p99: Duration) -> Option<Duration> {
        let after: Vec<_> = self.0.iter().filter(|call| call.due >= fault).collect();
        let end = after.last()?.due;
        let hurt = |call: &&&Call| matches!(call.end, End::Before(_)) || call.first > healthy_p99 + LATE;
        after.iter().enumerate().map(|(place, call)| (place, call.due)).find_map(|(place, due)| {
            let calm: Vec<_> = after[place..].iter().take_while(|call| call.due < due + CALM).collect();
            let hurt = calm.iter().filter(|call| hurt(call)).count();
            (due + CALM <= end && hurt * 100 <= calm.len()).then(|| due - fault)
        })
    }

    /// How often most of the traffic went elsewhere than the second before.
    pub(super) fn swings(&self) -> usize {
        let Some(first) = self.0.first() else { return 0 };
        let mut seconds: BTreeMap<u64, BTreeMap<&str, usize>> = BTreeMap::new();
        for call in &self.0 {
            if let Some(upstream) = &call.upstream {
                let second = call.due.duration_since(first.due).as_secs();
                *seconds.entry(second).or_default().entry(upstream).or_default() += 1;
            }
        }
        let favourites: Vec<_> = seconds
            .values()
            .filter_map(|counts| {
                let all: usize = counts.values().sum();
                // Half and half is no favourite: the one before stays.
                counts.iter().find(|(_, count)| **count * 2 > all).map(|(name, _)| *name)
            })
            .collect();
        favourites.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A call every 10 ms for so many seconds; `change` has each in its hands.
    fn calls(seconds: u64, change: impl Fn(u64, &mut Call)) -> (Instant, Calls) {
        let start = Instant::now();
        let all = (0..seconds * 100).map(|number| {
            let mut call = Call {
                number,
                due: start + MS * 10 * u32::try_from(number).expect("few"),
                first: MS * 20,
                end: End::Good,
                status: 200,
                upstream: Some("east".into()),
                attempts: Some(1),
            };
            change(number, &mut call);
            call
        });
        (start, Calls::new(all.collect()))
    }

    #[test]
    fn recovery_is_told_to_the_call() {
        let failed = End::Before(Failure::Status(503));
        let (start, all) = calls(4, |number, call| match number {
            100..130 => call.end = failed,
            130..140 => call.first = MS * 900,
            _ => {}
        });
        let fault = start + Duration::from_secs(1);
        // One late call in the hundred that follow is forgiven.
        assert_eq!(all.recovery(fault, MS * 20), Some(MS * 390));
        assert_eq!((all.errors(), all.good()), (30, 370));
        assert_eq!(all.failures(), "status_503 30");
        let (start, never) = calls(4, |_, call| call.end = failed);
        assert_eq!(never.recovery(start, MS * 20), None);
    }

    #[test]
    fn swings_are_changes_of_the_favourite() {
        let (_, all) = calls(6, |number, call| {
            let west = match number / 100 {
                0 | 3 => number % 10 == 0,
                1 | 2 => number % 10 != 0,
                4 => number % 2 == 0,
                _ => false,
            };
            if west {
                call.upstream = Some("west".into());
            }
        });
        assert_eq!(all.swings(), 2, "there, back; half and half is no change");
    }

    #[test]
    fn a_quantile_is_the_rank_of_the_sorted_times() {
        let (_, all) = calls(1, |number, call| call.first = MS * u32::try_from(number).expect("few"));
        assert_eq!(all.p99(), MS * 98);
        assert_eq!(all.only(|_| false).p99(), Duration::ZERO);
    }
}
