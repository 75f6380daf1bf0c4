//! What came of the calls of a drill.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tollgate_accounting::ledger::{End, Entry};
use tollgate_domain::{Money, ProjectName, RequestId, ZoneName};

use super::{
    burn::Burn,
    histogram::{Histogram, Quantiles},
    pulse::Pulse,
    timeline::Timeline,
};
use crate::edge::row_millis;

/// So many calls outside of their zones are named; all are counted.
const MOST_NAMED: usize = 20;

/// A settled call, as a drill looks at it.
pub(super) struct Told<'a> {
    pub(super) entry: &'a Entry,
    /// It tried the drilled place.
    pub(super) touched: bool,
    /// It was with a target outside of the drilled place at last.
    pub(super) is_elsewhere: bool,
    /// A zone where it should not have been.
    pub(super) misplaced: Option<ZoneName>,
    /// What the fault adds to a call that it lets through.
    pub(super) delay: Duration,
    pub(super) began: Instant,
    pub(super) now: Instant,
}

/// A call that was processed where its project does not permit it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misplaced {
    /// Its row.
    pub id: RequestId,
    /// Whose it was.
    pub project: ProjectName,
    /// Where it was.
    pub zone: ZoneName,
}

/// What was measured. Calls that were the request's own fault, and those whose client left, are neither
/// successes nor failures.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Calls that took part and are settled.
    pub requests: u64,
    /// Of them, those that were answered whole.
    pub succeeded: u64,
    /// Of them, those whose client got an error, or a stream that broke.
    pub failed: u64,
    /// Of them, those that never tried the drilled place.
    pub spared: u64,
    /// The failed ones by their code.
    pub failed_by_code: BTreeMap<String, u64>,
    /// Tries of all calls together.
    pub attempts: u64,
    /// Faults that were injected.
    pub injected: u64,
    /// When the first of them was, counted from the begin.
    pub first_fault: Option<Duration>,
    /// When the first client was told of a failure, counted from the begin.
    pub first_failure: Option<Duration>,
    /// From the first fault until clients got their answers, whole and from elsewhere.
    pub recovery: Option<Duration>,
    /// From the first fault until calls did not try the drilled place any more.
    pub avoidance: Option<Duration>,
    /// From the beginning of a call to its first content.
    pub answer: Option<Quantiles>,
    /// How many had theirs within each time, in milliseconds, by time.
    pub answered_within: Vec<(u64, u64)>,
    /// Of it, what passed before the attempt began that gave the answer, and what the fault delayed that.
    pub added: Option<Quantiles>,
    /// What the rows of the calls say that they cost.
    pub cost: Money,
    /// What attempts without an answer have cost.
    pub waste: Money,
    /// Calls whose cost is unknown.
    pub unpriced: u64,
    /// Calls that were processed where their project does not permit it.
    pub misplaced: u64,
    /// The first of them.
    pub misplaced_calls: Vec<Misplaced>,
}

pub(super) struct Tally {
    sums: Measured,
    answer: Histogram,
    added: Histogram,
    good: Timeline,
    spared: Timeline,
    burn: Burn,
}

impl Tally {
    pub(super) fn new(stop_below: u32) -> Self {
        Self {
            sums: Measured::default(),
            answer: Histogram::new(),
            added: Histogram::new(),
            good: Timeline::default(),
            spared: Timeline::default(),
            burn: Burn::new(stop_below),
        }
    }

    /// Takes in a call; true when the error budget is burnt by it. `began` is when the drill did.
    pub(super) fn take_in(&mut self, told: &Told<'_>, began: Instant) -> bool {
        let entry = told.entry;
        let sums = &mut self.sums;
        sums.requests += 1;
        sums.attempts += entry.attempts.len() as u64;
        sums.spared += u64::from(!told.touched);
        sums.waste += entry.attempts.iter().map(|attempt| attempt.waste).sum::<Money>();
        match entry.cost {
            Some(cost) => sums.cost += cost,
            None => sums.unpriced += 1,
        }
        if let Some(zone) = &told.misplaced {
            sums.misplaced += 1;
            if sums.misplaced_calls.len() < MOST_NAMED {
                let project = entry.identity.project.clone();
                sums.misplaced_calls.push(Misplaced { id: entry.id, project, zone: zone.clone() });
            }
        }
        match entry.end {
            Some(End::Completed) => self.succeeded(told, began),
            Some(End::UpstreamFailed | End::Truncated | End::Stalled | End::Internal) => {
                self.failed(told, began)
            }
            _ => false,
        }
    }

    fn succeeded(&mut self, told: &Told<'_>, began: Instant) -> bool {
        self.sums.succeeded += 1;
        let answered = match told.entry.ttft_ms {
            Some(ttft) => {
                self.answer.record(ttft);
                let last = told.entry.attempts.last().and_then(|attempt| attempt.ttft_ms);
                let delay = if told.is_elsewhere { 0 } else { row_millis(told.delay) };
                self.added.record(ttft.saturating_sub(last.unwrap_or(ttft)).saturating_add(delay));
                told.began + Duration::from_millis(u64::from(ttft))
            }
            None => told.now,
        };
        let at = answered.saturating_duration_since(began);
        self.good.record(at, told.is_elsewhere);
        self.spared.record(at, !told.touched);
        self.burn.is_burnt_by(false)
    }

    fn failed(&mut self, told: &Told<'_>, began: Instant) -> bool {
        self.sums.failed += 1;
        let code = told.entry.error_code.as_deref().unwrap_or("unknown");
        *self.sums.failed_by_code.entry(code.to_owned()).or_default() += 1;
        let at = told.now.saturating_duration_since(began);
        self.sums.first_failure = Some(self.sums.first_failure.map_or(at, |first| first.min(at)));
        self.good.record(at, false);
        self.spared.record(at, !told.touched);
        self.burn.is_burnt_by(true)
    }

    pub(super) fn measured(&self, pulse: &Pulse) -> Measured {
        let first = pulse.first().map(|at| at.saturating_duration_since(pulse.began));
        Measured {
            injected: pulse.injected(),
            first_fault: first,
            recovery: first.and_then(|first| self.good.recovered(first)),
            avoidance: first.and_then(|first| self.spared.recovered(first)),
            answer: self.answer.quantiles(),
            answered_within: self.answer.counts(),
            added: self.added.quantiles(),
            ..self.sums.clone()
        }
    }
}
