//! A target that fails is left alone for a while. Closed passes, open refuses.

mod flapping;
mod history;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use flapping::Departures;
use history::History;

/// Faults in a row that open the breaker.
const RUN: u32 = 5;
/// Successes in a row, one request at a time, that let a target recover.
const TRIALS: u32 = 2;
const LONGEST_OPEN: Duration = Duration::from_secs(60);
/// How long a target that has recovered takes back its share.
const RAMP: Duration = Duration::from_secs(10);
/// Closed for this long, former openings are forgotten.
const FORGIVEN: Duration = Duration::from_secs(60);
/// A half-open trial whose end was never told stops blocking after this.
const TRIAL_PATIENCE: Duration = Duration::from_secs(600);
/// A target on probation gets one request in so much time.
const PROBATION_SPACE: Duration = Duration::from_secs(5);
const LOW_RATE: &str = "low_success_rate";

/// What a finished attempt says about its target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sample {
    /// A stream has brought its first content; whether it comes to its end is another sample. Counts in
    /// the rate; a run of faults goes on, or a target that breaks every stream would never have one.
    Began,
    /// A stream that had begun came to its end. Ends a run of faults; in the rate it has counted with its
    /// first content, or failures between streams would look half as many.
    Ended,
    /// The target did its part; also when the request was at fault.
    Success,
    /// The target failed.
    Fault,
    /// The target said that it is overloaded: counts in the rate, not in the run.
    Overloaded,
}

/// By which right a request goes to a target.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Way {
    /// The target takes requests.
    #[default]
    Usual,
    /// Most of the level is out: those that only a rate has put out are used all the same.
    Panic,
    /// Nothing else is left.
    LastResort,
}

/// How a request was let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entered {
    /// Beside others.
    Freely,
    /// As the one that tries.
    OnTrial,
    /// As the one that tries, which has told its first content since then: another one may be trying now.
    HasTried,
}

/// What a sample leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// It opened the breaker.
    Opened,
    /// Too few succeed: whoever knows the other targets may [`eject`](Breaker::eject) it.
    RateIsLow,
}

/// Whether requests pass now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passing {
    /// They do, with so much of the target's weight, in thousandths: it comes back on a ramp.
    Share(u32),
    /// One may try.
    Trial,
    /// They do not.
    Out {
        /// When one may try, where that is known.
        until: Option<Instant>,
        /// Only a low rate has put it out, no run of faults.
        by_rate: bool,
    },
}

/// What operators see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// One request at a time passes.
    HalfOpen,
    /// No request passes.
    Open,
}

impl BreakerState {
    /// The name used by the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// A change of state, for logs and metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// `open`, `half_open`, `recovering` or `closed`.
    pub to: &'static str,
    /// Why, in a few words that never vary.
    pub reason: &'static str,
}

/// A circuit breaker over one target. Time is an argument.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
    /// Openings in a row, which lengthen the next one.
    openings: u32,
    departures: Departures,
    history: History,
    /// What nobody has been told yet.
    changes: SmallVec<[Change; 4]>,
}

#[derive(Debug)]
enum State {
    Closed { faults: u32, since: Option<Instant> },
    Open { until: Instant, by_rate: bool, trial: Option<Instant> },
    HalfOpen(HalfOpen),
    Recovering { since: Instant, faults: u32 },
}

#[derive(Debug)]
struct HalfOpen {
    by_rate: bool,
    trial: Option<Instant>,
    successes: u32,
    /// Since when all trials have succeeded.
    healthy_since: Option<Instant>,
    /// Not before this the next one may try.
    next: Option<Instant>,
}

impl HalfOpen {
    fn new(by_rate: bool, trial: Option<Instant>) -> Self {
        Self { by_rate, trial, successes: 0, healthy_since: None, next: None }
    }

    fn is_free(&self, now: Instant) -> bool {
        let is_alone = self.trial.is_none_or(|since| now.duration_since(since) > TRIAL_PATIENCE);
        is_alone && self.next.is_none_or(|next| now >= next)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { faults: 0, since: None }
    }
}

impl Breaker {
    /// Whether a request could pass now. Changes nothing but what time alone has changed.
    pub fn passing(&mut self, now: Instant) -> Passing {
        self.advance(now);
        match &self.state {
            State::Closed { .. } => Passing::Share(1000),
            State::Recovering { since, .. } => {
                let done = now.duration_since(*since).min(RAMP).as_millis() * 900 / RAMP.as_millis();
                Passing::Share(100 + u32::try_from(done).unwrap_or(900))
            }
            State::HalfOpen(half) if half.is_free(now) => Passing::Trial,
            State::HalfOpen(half) => Passing::Out { until: half.next, by_rate: half.by_rate },
            State::Open { until, by_rate, .. } => Passing::Out { until: Some(*until), by_rate: *by_rate },
        }
    }

    /// Takes the way in; in half-open only one request at a time has it.
    pub fn enter(&mut self, way: Way, now: Instant) -> Option<Entered> {
        self.advance(now);
        match &mut self.state {
            State::Closed { .. } | State::Recovering { .. } => Some(Entered::Freely),
            State::HalfOpen(half) if half.is_free(now) => {
                half.trial = Some(now);
                Some(Entered::OnTrial)
            }
            State::Open { trial, .. } if way == Way::LastResort && trial.is_none() => {
                *trial = Some(now);
                Some(Entered::OnTrial)
            }
            State::HalfOpen(HalfOpen { by_rate: true, .. }) | State::Open { by_rate: true, .. }
                if way == Way::Panic =>
            {
                Some(Entered::Freely)
            }
            State::HalfOpen(_) | State::Open { .. } => None,
        }
    }

    /// Takes in how an attempt ended that was let in so. `jitter` in thousandths lengthens an opening by
    /// up to half.
    pub fn sample(&mut self, sample: Sample, entered: Entered, jitter: u32, now: Instant) -> Told {
        self.advance(now);
        self.history.add(sample, now);
        let is_trial = entered == Entered::OnTrial;
        match &mut self.state {
            State::Closed { faults, .. } | State::Recovering { faults, .. } => {
                match sample {
                    Sample::Success | Sample::Ended => *faults = 0,
                    Sample::Fault => *faults += 1,
                    Sample::Began | Sample::Overloaded => {}
                }
                if *faults >= RUN {
                    self.open("faults_in_a_row", jitter, now);
                    return Told::Opened;
                }
                if self.history.rate_is_low(now) { Told::RateIsLow } else { Told::Nothing }
            }
            // Those who were there before it opened tell nothing about the target as it is now.
            State::HalfOpen(_) | State::Open { .. } if entered == Entered::Freely => Told::Nothing,
            State::Open { .. } if !is_trial => Told::Nothing,
            State::HalfOpen(HalfOpen { trial, .. }) if !is_trial => {
                let trial = *trial;
                if matches!(sample, Sample::Success | Sample::Ended) {
                    return Told::Nothing;
                }
                self.open("trial_failed", jitter, now);
                // Whoever tries at the moment still does.
                if let State::Open { trial: of_open, .. } = &mut self.state {
                    *of_open = trial;
                }
                Told::Opened
            }
            State::HalfOpen(_) => match sample {
                Sample::Began | Sample::Ended | Sample::Success => {
                    self.trial_succeeded(now);
                    Told::Nothing
                }
                Sample::Fault | Sample::Overloaded => {
                    self.open("trial_failed", jitter, now);
                    Told::Opened
                }
            },
            State::Open { by_rate, trial, .. } => {
                *trial = None;
                if matches!(sample, Sample::Began | Sample::Success) {
                    let by_rate = *by_rate;
                    self.change(State::HalfOpen(HalfOpen::new(by_rate, None)), "half_open", "last_resort");
                    self.trial_succeeded(now);
                }
                // A failed last resort makes the opening no longer.
                Told::Nothing
            }
        }
    }

    /// Opens it for its low rate.
    pub fn eject(&mut self, jitter: u32, now: Instant) {
        self.advance(now);
        if matches!(self.state, State::Closed { .. } | State::Recovering { .. }) {
            self.open(LOW_RATE, jitter, now);
        }
    }

    /// The attempt that had the way in as a trial was throttled: the target is not what it should be.
    pub fn trial_throttled(&mut self, jitter: u32, now: Instant) -> Told {
        match &mut self.state {
            State::HalfOpen(_) => {
                self.open("trial_throttled", jitter, now);
                Told::Opened
            }
            State::Open { trial, .. } => {
                *trial = None;
                Told::Nothing
            }
            State::Closed { .. } | State::Recovering { .. } => Told::Nothing,
        }
    }

    /// The attempt that tried ended without telling anything about the target.
    pub fn no_sample(&mut self) {
        match &mut self.state {
            State::HalfOpen(HalfOpen { trial, .. }) | State::Open { trial, .. } => *trial = None,
            State::Closed { .. } | State::Recovering { .. } => {}
        }
    }

    /// A probe has passed: a request may try earlier. It never closes the breaker, since an answer to a
    /// list call says nothing about generation.
    pub fn probed(&mut self, now: Instant) {
        self.advance(now);
        if let State::Open { by_rate, trial, .. } = self.state {
            self.change(State::HalfOpen(HalfOpen::new(by_rate, trial)), "half_open", "probe_passed");
        }
    }

    /// True while requests are kept out, but for those that try.
    pub fn is_out(&mut self, now: Instant) -> bool {
        !matches!(self.passing(now), Passing::Share(_))
    }

    /// The state, after whatever time has done to it.
    pub fn state(&mut self, now: Instant) -> BreakerState {
        self.advance(now);
        match self.state {
            State::Closed { .. } | State::Recovering { .. } => BreakerState::Closed,
            State::HalfOpen(_) => BreakerState::HalfOpen,
            State::Open { .. } => BreakerState::Open,
        }
    }

    /// Successes per thousand samples of the window.
    pub fn success_permille(&mut self, now: Instant) -> Option<u32> {
        let (good, bad) = self.history.counts(now);
        (good + bad > 0).then(|| good * 1000 / (good + bad))
    }

    /// An operator closes it and forgets its past.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The changes since this was last asked; the newest few.
    pub fn take_changes(&mut self) -> SmallVec<[Change; 4]> {
        std::mem::take(&mut self.changes)
    }

    fn trial_succeeded(&mut self, now: Instant) {
        let probation = self.departures.probation(now);
        let State::HalfOpen(half) = &mut self.state else { return };
        half.trial = None;
        half.successes += 1;
        let since = *half.healthy_since.get_or_insert(now);
        if half.successes < TRIALS {
            return;
        }
        if now.duration_since(since) < probation {
            half.next = Some(now + PROBATION_SPACE);
            return;
        }
        self.history = History::default();
        self.change(State::Recovering { since: now, faults: 0 }, "recovering", "trials_succeeded");
    }

    fn open(&mut self, reason: &'static str, jitter: u32, now: Instant) {
        let by_rate = match self.state {
            State::Closed { .. } | State::Recovering { .. } => {
                self.departures.add(now);
                reason == LOW_RATE
            }
            // A failed trial changes nothing about why it went.
            State::HalfOpen(HalfOpen { by_rate, .. }) | State::Open { by_rate, .. } => by_rate,
        };
        self.openings = self.openings.saturating_add(1);
        let wait = Duration::from_secs(1 << (self.openings - 1).min(6)).min(LONGEST_OPEN);
        let until = now + wait + wait * jitter.min(500) / 1000;
        self.change(State::Open { until, by_rate, trial: None }, "open", reason);
    }

    fn advance(&mut self, now: Instant) {
        match self.state {
            State::Open { until, by_rate, trial } if now >= until => {
                self.change(State::HalfOpen(HalfOpen::new(by_rate, trial)), "half_open", "waited");
            }
            State::Recovering { since, faults } if now.duration_since(since) >= RAMP => {
                self.change(State::Closed { faults, since: Some(now) }, "closed", "ramp_ended");
            }
            State::Closed { since: Some(since), faults } if now.duration_since(since) >= FORGIVEN => {
                self.openings = 0;
                self.state = State::Closed { faults, since: None };
            }
            _ => {}
        }
    }

    fn change(&mut self, state: State, to: &'static str, reason: &'static str) {
        self.state = state;
        if self.changes.len() >= self.changes.inline_size() {
            self.changes.remove(0);
        }
        self.changes.push(Change { to, reason });
    }
}

#[cfg(test)]
mod tests;
