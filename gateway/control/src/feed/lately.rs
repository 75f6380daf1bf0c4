//! The last minutes in more detail than sums: how soon answers began, and what failed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, VecDeque},
};

use serde::Serialize;
use tollgate_accounting::ledger::{End, Entry, Kind, rfc3339};
use tollgate_domain::{TeamName, UnixMillis};

use super::minutes::{MINUTE, is_failed};

/// Whole minutes that are kept, beside the one that runs.
pub(super) const KEPT: i64 = 15;
/// Sorts of failures that are told apart for a team in a minute: codes of upstreams are not ours to bound.
const MOST_SORTS: usize = 64;
/// Sorts that are told of.
const TOLD: usize = 20;

/// What failed, and how often.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failures {
    /// `usage` or `refusal`.
    pub kind: &'static str,
    /// The code, where it had one.
    pub error_code: Option<Cow<'static, str>>,
    /// How the exchange ended, where it went upstream.
    pub end: Option<&'static str>,
    /// How often.
    pub count: u64,
    /// When it last began.
    pub latest: String,
}

/// The last minutes, told.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Lately {
    /// By so many milliseconds 95 of 100 answers had begun, to within a thirty-second part; nothing where
    /// none has.
    pub ttft_p95_ms: Option<u64>,
    /// By sort, the most frequent first.
    pub failures: Vec<Failures>,
}

/// A sort of failures: the row's kind, its code, how it ended.
type Sort = (Kind, Option<Cow<'static, str>>, Option<End>);

/// One team's minute.
#[derive(Default)]
struct Part {
    /// First contents by bucket.
    first: BTreeMap<u32, u64>,
    failures: HashMap<Sort, (u64, UnixMillis)>,
}

/// The minutes by team, the oldest first.
#[derive(Default)]
pub(super) struct Recent(VecDeque<(i64, HashMap<TeamName, Part>)>);

impl Recent {
    /// Counts a row in the minute of its end.
    pub(super) fn count(&mut self, row: &Entry) {
        let minute = row.ended_at.get().div_euclid(MINUTE);
        let newest = self.0.back().map_or(minute, |(minute, _)| *minute).max(minute);
        while self.0.front().is_some_and(|(oldest, _)| *oldest < newest - KEPT) {
            self.0.pop_front();
        }
        let is_failure = row.kind == Kind::Refusal || is_failed(row);
        if minute < newest - KEPT || (row.ttft_ms.is_none() && !is_failure) {
            return;
        }
        let at = self.0.partition_point(|(known, _)| *known < minute);
        if self.0.get(at).is_none_or(|(known, _)| *known != minute) {
            self.0.insert(at, (minute, HashMap::new()));
        }
        let part = self.0[at].1.entry(row.identity.team.clone()).or_default();
        if let Some(ttft) = row.ttft_ms {
            *part.first.entry(bucket(u64::from(ttft))).or_default() += 1;
        }
        if is_failure {
            part.fail(row);
        }
    }

    /// What is known of these teams, or of all when there are none.
    pub(super) fn told(&self, teams: &[TeamName], now: UnixMillis) -> Lately {
        let first = now.get().div_euclid(MINUTE) - KEPT;
        let parts = self.0.iter().filter(|(minute, _)| *minute >= first).flat_map(|(_, parts)| parts);
        let (mut begun, mut failures) = (BTreeMap::<u32, u64>::new(), HashMap::<&Sort, _>::new());
        for (_, part) in parts.filter(|(team, _)| teams.is_empty() || teams.contains(team)) {
            for (bucket, count) in &part.first {
                *begun.entry(*bucket).or_default() += count;
            }
            for (sort, (count, latest)) in &part.failures {
                let sum = failures.entry(sort).or_insert((0_u64, *latest));
                *sum = (sum.0 + count, sum.1.max(*latest));
            }
        }
        let mut failures: Vec<_> = failures.into_iter().collect();
        failures.sort_by_key(|(_, (count, latest))| std::cmp::Reverse((*count, *latest)));
        failures.truncate(TOLD);
        Lately { ttft_p95_ms: p95(&begun), failures: failures.into_iter().map(tell).collect() }
    }
}

impl Part {
    fn fail(&mut self, row: &Entry) {
        let mut sort = (row.kind, row.error_code.clone(), row.end);
        if self.failures.len() >= MOST_SORTS && !self.failures.contains_key(&sort) {
            sort.1 = None;
        }
        let known = self.failures.entry(sort).or_insert((0, row.started_at));
        *known = (known.0 + 1, known.1.max(row.started_at));
    }
}

fn tell(((kind, code, end), (count, latest)): (&Sort, (u64, UnixMillis))) -> Failures {
    Failures {
        kind: kind.as_str(),
        error_code: code.clone(),
        end: end.map(End::as_str),
        count,
        latest: rfc3339(latest),
    }
}

/// Buckets are exact below 32, and then a thirty-second part of their octave wide.
fn bucket(value: u64) -> u32 {
    let octave = 63_u32.saturating_sub(value.leading_zeros()).saturating_sub(5);
    // What is left has at most six bits.
    octave * 32 + (value >> octave) as u32
}

/// The largest value of a bucket.
fn upper(bucket: u32) -> u64 {
    if bucket < 64 {
        return u64::from(bucket);
    }
    let (octave, rest) = (bucket / 32 - 1, bucket % 32 + 32);
    ((u64::from(rest) + 1) << octave) - 1
}

/// The bucket that the 95th of 100 is in.
fn p95(counts: &BTreeMap<u32, u64>) -> Option<u64> {
    let all: u64 = counts.values().sum();
    let rank = (all * 95).div_ceil(100);
    let mut seen = 0;
    let found = counts.iter().find(|(_, count)| {
        seen += **count;
        seen >= rank && rank > 0
    });
    found.map(|(bucket, _)| upper(*bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_never_far_from_what_is_in_it() {
        for value in (0..5_000).chain([65_535, 1 << 20, u64::from(u32::MAX)]) {
            let top = upper(bucket(value));
            assert!(top >= value && top - value <= value / 32, "{value}: {top}");
        }
    }

    #[test]
    fn ninety_five_of_a_hundred_were_as_fast() {
        assert_eq!(p95(&BTreeMap::new()), None);
        let of = |values: &mut dyn Iterator<Item = u64>| {
            let mut counts = BTreeMap::new();
            for value in values {
                *counts.entry(bucket(value)).or_default() += 1;
            }
            p95(&counts)
        };
        assert_eq!(of(&mut [7].into_iter()), Some(7));
        assert_eq!(of(&mut (1..=20)), Some(19));
        let hundred = of(&mut (1..=1_000)).expect("there are values");
        assert!((950..=980).contains(&hundred), "{hundred}");
    }
}
