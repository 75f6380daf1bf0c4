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
                    Sample::Success => *faults = 0,
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
                if sample == Sample::Success {
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
                Sample::Began | Sample::Success => {
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
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// What a request that went in beside others says.
    fn say(breaker: &mut Breaker, sample: Sample, now: Instant) -> Told {
        breaker.sample(sample, Entered::Freely, 0, now)
    }

    /// What the request that tries says.
    fn try_out(breaker: &mut Breaker, sample: Sample, now: Instant) -> Told {
        assert_eq!(breaker.enter(Way::Usual, now), Some(Entered::OnTrial));
        breaker.sample(sample, Entered::OnTrial, 0, now)
    }

    fn fail(breaker: &mut Breaker, now: Instant) {
        for _ in 0..RUN {
            say(breaker, Sample::Fault, now);
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        fail(&mut breaker, now);
        breaker
    }

    fn is_out(breaker: &mut Breaker, now: Instant) -> bool {
        matches!(breaker.passing(now), Passing::Out { .. })
    }

    #[test]
    fn a_trial_that_breaks_late_opens_it_and_leaves_the_next_one_on_trial() {
        let start = Instant::now();
        let (mut breaker, now) = (opened(start), start + seconds(2));
        try_out(&mut breaker, Sample::Began, now);
        assert_eq!(breaker.enter(Way::Usual, now), Some(Entered::OnTrial));
        assert_eq!(breaker.sample(Sample::Fault, Entered::HasTried, 0, now), Told::Opened);
        assert_eq!(breaker.enter(Way::LastResort, now), None, "one is on trial");
        breaker.no_sample();
        assert_eq!(breaker.enter(Way::LastResort, now), Some(Entered::OnTrial));
        assert_eq!(breaker.sample(Sample::Fault, Entered::HasTried, 0, now), Told::Nothing);
        assert_eq!(breaker.enter(Way::LastResort, now), None, "it still is");
    }

    #[test]
    fn five_faults_in_a_row_open_it_and_a_success_breaks_the_run() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..RUN - 1 {
            assert_eq!(say(&mut breaker, Sample::Fault, now), Told::Nothing);
        }
        say(&mut breaker, Sample::Success, now);
        assert_eq!(say(&mut breaker, Sample::Fault, now), Told::Nothing);
        assert_eq!(breaker.passing(now), Passing::Share(1000));
        assert!(is_out(&mut opened(now), now));
    }

    #[test]
    fn a_target_that_breaks_every_stream_is_left_alone() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for n in 1..=RUN {
            say(&mut breaker, Sample::Began, now);
            let told = say(&mut breaker, Sample::Fault, now);
            assert_eq!(told == Told::Opened, n == RUN, "stream {n}");
        }
    }

    #[test]
    fn a_low_rate_is_told_and_overload_counts_in_the_rate_alone() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..15 {
            say(&mut breaker, Sample::Success, now);
        }
        let told: Vec<Told> = (0..5).map(|_| say(&mut breaker, Sample::Overloaded, now)).collect();
        assert_eq!(told[3..], [Told::Nothing, Told::RateIsLow], "15 of 20 is below 80 in a hundred");
        assert_eq!(breaker.passing(now), Passing::Share(1000), "the others are asked first");
        breaker.eject(0, now);
        assert_eq!(breaker.passing(now), Passing::Out { until: Some(now + seconds(1)), by_rate: true });
        let mut run_only = Breaker::default();
        for _ in 0..history::ENOUGH - 1 {
            assert_eq!(say(&mut run_only, Sample::Overloaded, now), Told::Nothing);
        }
    }

    #[test]
    fn old_samples_leave_the_window() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for at in 0..19 {
            say(&mut breaker, if at % 4 == 0 { Sample::Success } else { Sample::Overloaded }, now);
        }
        assert_eq!(say(&mut breaker, Sample::Success, now + seconds(11)), Told::Nothing);
        assert_eq!(breaker.success_permille(now + seconds(11)), Some(1000));
    }

    #[test]
    fn half_open_lets_one_request_try_and_two_successes_recover_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + seconds(1);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        assert_eq!(breaker.passing(later), Passing::Trial);
        assert_eq!(breaker.enter(Way::Usual, later), Some(Entered::OnTrial));
        assert!(is_out(&mut breaker, later));
        assert_eq!(breaker.enter(Way::Usual, later), None, "one at a time");
        breaker.sample(Sample::Success, Entered::OnTrial, 0, later);
        try_out(&mut breaker, Sample::Began, later);
        assert_eq!(breaker.state(later), BreakerState::Closed);
        for (after, share) in [(0, 100), (5, 550), (10, 1000)] {
            assert_eq!(breaker.passing(later + seconds(after)), Passing::Share(share), "{after} s");
        }
    }

    #[test]
    fn requests_from_before_the_opening_decide_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + seconds(1);
        for sample in [Sample::Success, Sample::Fault, Sample::Success] {
            say(&mut breaker, sample, later);
            assert_eq!(breaker.state(later), BreakerState::HalfOpen, "{sample:?}");
        }
    }

    #[test]
    fn each_opening_in_a_row_is_longer_up_to_a_minute() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(
                breaker.passing(now),
                Passing::Out { until: Some(now + seconds(wait)), by_rate: false }
            );
            now += seconds(wait);
            assert_eq!(try_out(&mut breaker, Sample::Fault, now), Told::Opened);
        }
    }

    #[test]
    fn a_throttled_trial_opens_it_again() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + seconds(1);
        assert_eq!(breaker.enter(Way::Usual, later), Some(Entered::OnTrial));
        assert_eq!(breaker.trial_throttled(0, later), Told::Opened);
        assert_eq!(breaker.passing(later), Passing::Out { until: Some(later + seconds(2)), by_rate: false });
    }

    #[test]
    fn a_trial_that_tells_nothing_lets_the_next_one_try() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + seconds(1);
        assert!(breaker.enter(Way::Usual, later).is_some());
        breaker.no_sample();
        assert!(breaker.enter(Way::Usual, later).is_some());
    }

    #[test]
    fn a_last_resort_that_fails_makes_nothing_longer_and_one_that_succeeds_is_a_trial() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.enter(Way::Usual, now), None);
        assert_eq!(breaker.enter(Way::LastResort, now), Some(Entered::OnTrial));
        assert_eq!(breaker.enter(Way::LastResort, now), None, "one at a time");
        assert_eq!(breaker.sample(Sample::Fault, Entered::OnTrial, 0, now), Told::Nothing);
        assert_eq!(breaker.passing(now), Passing::Out { until: Some(now + seconds(1)), by_rate: false });
        breaker.enter(Way::LastResort, now);
        breaker.sample(Sample::Success, Entered::OnTrial, 0, now);
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
        try_out(&mut breaker, Sample::Success, now);
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn in_panic_only_those_come_back_that_a_rate_has_put_out() {
        let now = Instant::now();
        let mut ejected = Breaker::default();
        ejected.eject(0, now);
        assert_eq!(ejected.enter(Way::Panic, now), Some(Entered::Freely));
        assert_eq!(opened(now).enter(Way::Panic, now), None);
    }

    #[test]
    fn a_target_that_comes_and_goes_stays_out_until_it_has_been_healthy_for_long() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        // Ten minutes of five seconds up, five down, twenty requests a second.
        let mut swings = 0;
        for second in 0..600 {
            now += seconds(1);
            let sample = if second % 10 < 5 { Sample::Success } else { Sample::Fault };
            for _ in 0..20 {
                if let Some(entered) = breaker.enter(Way::Usual, now) {
                    breaker.sample(sample, entered, 0, now);
                }
                let changes = breaker.take_changes();
                let moves =
                    |change: &&Change| change.reason == "faults_in_a_row" || change.to == "recovering";
                swings += changes.iter().filter(moves).count();
            }
        }
        assert!(swings <= 4, "{swings}");
        // Healthy from now on: requests one by one, and all of it after the probation.
        let begin = now;
        while breaker.state(now) != BreakerState::Closed {
            now += seconds(1);
            if let Some(entered) = breaker.enter(Way::Usual, now) {
                breaker.sample(Sample::Success, entered, 0, now);
            }
        }
        let took = now.duration_since(begin);
        assert!(took <= seconds(700), "{took:?}");
    }

    #[test]
    fn on_probation_one_request_in_a_while_tries() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        now += seconds(2);
        for _ in 0..TRIALS {
            try_out(&mut breaker, Sample::Success, now);
        }
        fail(&mut breaker, now);
        now += seconds(2);
        for _ in 0..TRIALS {
            try_out(&mut breaker, Sample::Success, now);
        }
        assert!(is_out(&mut breaker, now), "the second time it has to show a minute of health");
        let mut tried = 0;
        let begin = now;
        while breaker.state(now) != BreakerState::Closed {
            now += Duration::from_millis(100);
            if let Some(entered) = breaker.enter(Way::Usual, now) {
                tried += 1;
                breaker.sample(Sample::Success, entered, 0, now);
            }
        }
        assert_eq!((now.duration_since(begin), tried), (seconds(60), 12));
    }

    #[test]
    fn a_passed_probe_lets_a_request_try_earlier_and_closes_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.probed(now);
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
        breaker.probed(now);
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    }

    #[test]
    fn every_change_is_told_once_with_its_reason() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let told = |breaker: &mut Breaker| -> Vec<(&str, &str)> {
            breaker.take_changes().into_iter().map(|change| (change.to, change.reason)).collect()
        };
        assert_eq!(told(&mut breaker), [("open", "faults_in_a_row")]);
        assert_eq!(told(&mut breaker), []);
        let later = now + seconds(1);
        try_out(&mut breaker, Sample::Fault, later);
        assert_eq!(told(&mut breaker), [("half_open", "waited"), ("open", "trial_failed")]);
    }
}
