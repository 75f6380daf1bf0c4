//! Sums by the minute and the team.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use tollgate_accounting::ledger::{End, Entry, Kind};
use tollgate_domain::{Money, TeamName, UnixMillis};

/// Milliseconds.
pub(super) const MINUTE: i64 = 60_000;
/// How long they are kept.
const KEPT: i64 = 120;

/// What was asked and used in a time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Sums {
    /// Requests that were served or tried.
    pub requests: u64,
    /// Of these, those that no upstream answered or whose answer broke.
    pub failed: u64,
    /// Requests that were refused before anything was sent.
    pub refusals: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// What it cost, in the configuration's currency.
    pub cost: Money,
}

impl Sums {
    fn count(&mut self, row: &Entry) {
        if row.kind == Kind::Refusal {
            self.refusals += 1;
            return;
        }
        self.requests += 1;
        self.failed += u64::from(is_failed(row));
        self.input_tokens += row.usage.input_tokens();
        self.output_tokens += row.usage.output_tokens();
        self.cost += row.cost.unwrap_or_default();
    }

    /// Adds another time's.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.refusals += other.refusals;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost += other.cost;
    }
}

/// True for what no upstream answered, or whose answer broke.
pub(super) fn is_failed(row: &Entry) -> bool {
    matches!(
        row.end,
        Some(End::UpstreamFailed | End::Truncated | End::Stalled | End::Internal | End::Recovered)
    )
}

/// The last two hours.
#[derive(Default)]
pub(super) struct Minutes(VecDeque<(i64, HashMap<TeamName, Sums>)>);

impl Minutes {
    /// Counts a row in the minute of its end: that is when it is seen.
    pub(super) fn count(&mut self, row: &Entry) {
        let minute = row.ended_at.get().div_euclid(MINUTE);
        let newest = self.0.back().map_or(minute, |(minute, _)| *minute);
        if minute <= newest - KEPT {
            return;
        }
        let at = self.0.partition_point(|(known, _)| *known < minute);
        if self.0.get(at).is_none_or(|(known, _)| *known != minute) {
            self.0.insert(at, (minute, HashMap::new()));
        }
        while self.0.front().is_some_and(|(oldest, _)| *oldest <= newest.max(minute) - KEPT) {
            self.0.pop_front();
        }
        // The minute is still there: it is younger than what was let go.
        let Some((_, teams)) = self.0.iter_mut().find(|(known, _)| *known == minute) else { return };
        teams.entry(row.identity.team.clone()).or_default().count(row);
    }

    pub(super) fn last(
        &self,
        teams: &[TeamName],
        minutes: usize,
        now: UnixMillis,
    ) -> Vec<(UnixMillis, Sums)> {
        let running = now.get().div_euclid(MINUTE);
        let first = running - i64::try_from(minutes).unwrap_or(KEPT).min(KEPT);
        let sums = |minute: i64| {
            let mut sums = Sums::default();
            let known = self.0.iter().find(|(known, _)| *known == minute);
            for (team, part) in known.into_iter().flat_map(|(_, teams)| teams) {
                if teams.is_empty() || teams.contains(team) {
                    sums.add(part);
                }
            }
            (UnixMillis::new(minute * MINUTE), sums)
        };
        (first..=running).map(sums).collect()
    }
}
