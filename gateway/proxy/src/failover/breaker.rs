//! A target that fails is left alone for a while. Closed passes, open refuses.

use std::time::{Duration, Instant};

/// Faults in a row that open the breaker.
const RUN: u32 = 5;
/// Samples below which a rate says nothing.
const ENOUGH: u32 = 20;
/// Successes per hundred samples below which the breaker opens.
const LEAST_PERCENT: u32 = 80;
/// Seconds of history that the rate looks at.
const WINDOW: usize = 10;
const LONGEST_OPEN: Duration = Duration::from_secs(60);
/// How long a target that has recovered takes back its share.
const RAMP: Duration = Duration::from_secs(10);
/// Closed for this long, former openings are forgotten.
const FORGIVEN: Duration = Duration::from_secs(60);
/// A half-open trial whose end was never told stops blocking after this.
const TRIAL_PATIENCE: Duration = Duration::from_secs(600);

/// What a finished attempt says about its target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sample {
    /// The target did its part; also when the request was at fault.
    Success,
    /// The target failed.
    Fault,
    /// The target said that it is overloaded: counts in the rate, not in the run.
    Overloaded,
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

/// A circuit breaker over one target. Time is an argument.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
    /// Openings in a row, which lengthen the next one.
    openings: u32,
    history: History,
}

#[derive(Debug)]
enum State {
    Closed { faults: u32, since: Option<Instant> },
    Open { until: Instant },
    HalfOpen { trial: Option<Instant>, successes: u32 },
    Recovering { since: Instant, faults: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { faults: 0, since: None }
    }
}

impl Breaker {
    /// True when a request could pass now. Changes nothing but an opening that has run out.
    pub fn admits(&mut self, now: Instant) -> bool {
        self.advance(now);
        match &self.state {
            State::Closed { .. } | State::Recovering { .. } => true,
            State::Open { .. } => false,
            State::HalfOpen { trial, .. } => {
                trial.is_none_or(|since| now.duration_since(since) > TRIAL_PATIENCE)
            }
        }
    }

    /// Takes the way in; in half-open only one request at a time has it.
    pub fn enter(&mut self, now: Instant) -> bool {
        let admitted = self.admits(now);
        if let (true, State::HalfOpen { trial, .. }) = (admitted, &mut self.state) {
            *trial = Some(now);
        }
        admitted
    }

    /// Takes in how an attempt ended. `jitter` in thousandths lengthens an opening by up to half.
    ///
    /// Returns true when this sample opened the breaker.
    pub fn sample(&mut self, sample: Sample, jitter: u32, now: Instant) -> bool {
        self.advance(now);
        self.history.add(sample, now);
        let rate_is_low = self.history.rate_is_low(now);
        let opens = match &mut self.state {
            State::Closed { faults, .. } | State::Recovering { faults, .. } => {
                match sample {
                    Sample::Success => *faults = 0,
                    Sample::Fault => *faults += 1,
                    Sample::Overloaded => {}
                }
                *faults >= RUN || rate_is_low
            }
            State::HalfOpen { trial, successes } => {
                *trial = None;
                match sample {
                    Sample::Success => *successes += 1,
                    Sample::Fault | Sample::Overloaded => {
                        self.open(jitter, now);
                        return true;
                    }
                }
                if *successes >= 2 {
                    self.history = History::default();
                    self.state = State::Recovering { since: now, faults: 0 };
                }
                false
            }
            State::Open { .. } => false,
        };
        if opens {
            self.open(jitter, now);
        }
        opens
    }

    /// The attempt that had the way in ended without telling anything about the target.
    pub fn no_sample(&mut self) {
        if let State::HalfOpen { trial, .. } = &mut self.state {
            *trial = None;
        }
    }

    /// The state, after whatever time has done to it.
    pub fn state(&mut self, now: Instant) -> BreakerState {
        self.advance(now);
        match self.state {
            State::Closed { .. } | State::Recovering { .. } => BreakerState::Closed,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::Open { .. } => BreakerState::Open,
        }
    }

    /// When an open breaker lets the next request try.
    pub fn opens_until(&mut self, now: Instant) -> Option<Instant> {
        self.advance(now);
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Thousandths of its weight that the target has: it comes back on a ramp from a tenth.
    pub fn share_permille(&mut self, now: Instant) -> u32 {
        self.advance(now);
        match self.state {
            State::Closed { .. } => 1000,
            State::Recovering { since, .. } => {
                let done = now.duration_since(since).min(RAMP).as_millis() * 900 / RAMP.as_millis();
                100 + u32::try_from(done).unwrap_or(900)
            }
            State::HalfOpen { .. } | State::Open { .. } => 100,
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

    fn open(&mut self, jitter: u32, now: Instant) {
        self.openings = self.openings.saturating_add(1);
        let wait = Duration::from_secs(1 << (self.openings - 1).min(6)).min(LONGEST_OPEN);
        self.state = State::Open { until: now + wait + wait * jitter.min(500) / 1000 };
    }

    fn advance(&mut self, now: Instant) {
        match self.state {
            State::Open { until } if now >= until => {
                self.state = State::HalfOpen { trial: None, successes: 0 }
            }
            State::Recovering { since, faults } if now.duration_since(since) >= RAMP => {
                self.state = State::Closed { faults, since: Some(now) };
            }
            State::Closed { since: Some(since), faults } if now.duration_since(since) >= FORGIVEN => {
                self.openings = 0;
                self.state = State::Closed { faults, since: None };
            }
            _ => {}
        }
    }
}

/// Successes and failures of the last ten seconds, by second.
#[derive(Debug, Default)]
struct History {
    start: Option<Instant>,
    slots: [Slot; WINDOW],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    good: u32,
    bad: u32,
}

impl History {
    fn second(&self, now: Instant) -> u64 {
        self.start.map_or(0, |start| now.duration_since(start).as_secs())
    }

    fn add(&mut self, sample: Sample, now: Instant) {
        self.start.get_or_insert(now);
        let second = self.second(now);
        let slot = &mut self.slots[(second % WINDOW as u64) as usize];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        match sample {
            Sample::Success => slot.good += 1,
            Sample::Fault | Sample::Overloaded => slot.bad += 1,
        }
    }

    fn counts(&self, now: Instant) -> (u32, u32) {
        let second = self.second(now);
        let recent = self.slots.iter().filter(|slot| slot.second + WINDOW as u64 > second);
        recent.fold((0, 0), |(good, bad), slot| (good + slot.good, bad + slot.bad))
    }

    fn rate_is_low(&self, now: Instant) -> bool {
        let (good, bad) = self.counts(now);
        good + bad >= ENOUGH && good * 100 < (good + bad) * LEAST_PERCENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..RUN {
            breaker.sample(Sample::Fault, 0, now);
        }
        breaker
    }

    #[test]
    fn five_faults_in_a_row_open_it_and_a_success_breaks_the_run() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..RUN - 1 {
            assert!(!breaker.sample(Sample::Fault, 0, now));
        }
        breaker.sample(Sample::Success, 0, now);
        assert!(!breaker.sample(Sample::Fault, 0, now));
        assert!(breaker.admits(now));
        assert!(!opened(now).admits(now));
    }

    #[test]
    fn a_low_rate_opens_it_and_overload_counts_in_the_rate_alone() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..15 {
            breaker.sample(Sample::Success, 0, now);
        }
        let opened = (0..5).filter(|_| breaker.sample(Sample::Overloaded, 0, now)).count();
        assert_eq!(opened, 1, "15 of 20 is below 80 in a hundred");
        let mut run_only = Breaker::default();
        for _ in 0..ENOUGH - 1 {
            assert!(!run_only.sample(Sample::Overloaded, 0, now));
        }
    }

    #[test]
    fn old_samples_leave_the_window() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for at in 0..19 {
            breaker.sample(if at % 4 == 0 { Sample::Success } else { Sample::Overloaded }, 0, now);
        }
        assert!(!breaker.sample(Sample::Success, 0, now + seconds(11)));
        assert_eq!(breaker.success_permille(now + seconds(11)), Some(1000));
    }

    #[test]
    fn half_open_lets_one_request_try_and_two_successes_recover_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + seconds(1);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        assert!(breaker.enter(later));
        assert!(!breaker.enter(later), "one at a time");
        breaker.sample(Sample::Success, 0, later);
        assert!(breaker.enter(later));
        breaker.sample(Sample::Success, 0, later);
        assert_eq!(breaker.state(later), BreakerState::Closed);
        assert_eq!(breaker.share_permille(later), 100);
        assert_eq!(breaker.share_permille(later + seconds(5)), 550);
        assert_eq!(breaker.share_permille(later + seconds(10)), 1000);
    }

    #[test]
    fn each_opening_in_a_row_is_longer_up_to_a_minute() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(breaker.opens_until(now), Some(now + seconds(wait)));
            now += seconds(wait);
            assert!(breaker.enter(now));
            assert!(breaker.sample(Sample::Fault, 0, now));
        }
    }

    #[test]
    fn a_trial_that_tells_nothing_lets_the_next_one_try() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + seconds(1);
        assert!(breaker.enter(later));
        breaker.no_sample();
        assert!(breaker.enter(later));
    }
}
