//! A throttled target waits. A hold is no fault: it never opens a breaker, and it ends by time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Longest hold that a hint can ask for.
const LONGEST: Duration = Duration::from_secs(300);
/// Shortest hold, so that a hint of nothing does not make a loop.
const SHORTEST: Duration = Duration::from_millis(50);
/// Without hints, holds double from one second up to this.
const LONGEST_UNHINTED: Duration = Duration::from_secs(30);
/// Without hints, the holds of capacity that is paid for whether it is used or not.
const FIRST_PROVISIONED: Duration = Duration::from_millis(50);
const LONGEST_PROVISIONED: Duration = Duration::from_secs(1);
/// A trial whose answer never came stops keeping others out after this.
const TRIAL_PATIENCE: Duration = Duration::from_secs(10);

/// What keeps a target from serving until somebody mends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Defect {
    /// Its upstream refuses the credential.
    Credential,
    /// Its upstream does not know the model.
    Model,
    /// The account has no quota left.
    Account,
}

/// A wait shared by whatever was throttled together: a target, a fate group, an account.
///
/// When it ends, one request goes first; the others follow once it was answered without a throttle.
///
/// Every request asks several holds, and hardly any is ever in force: while it is not, asking is one
/// read of memory that no core writes to.
#[derive(Default)]
pub struct Hold {
    /// The state is not the default one.
    engaged: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    until: Option<Instant>,
    /// The part of it for which an upstream itself has asked: nobody is sent there before that is over.
    refused: Option<Instant>,
    /// When the first request after the hold was let through, while its answer is awaited.
    trial: Option<Instant>,
    in_a_row: u32,
    /// When it ends, all come back at once.
    at_once: bool,
    /// Nobody has refused anything: a limit is used up by what the upstream said was left.
    soft: bool,
    /// It was a defect that does not pass by waiting, not a throttle.
    defect: Option<Defect>,
}

impl Hold {
    fn is_idle(&self) -> bool {
        !self.engaged.load(Ordering::Acquire)
    }

    /// Begins or extends the hold; a new hint never shortens it.
    ///
    /// `jitter` in thousandths spreads the return of several gateways: 0 to 100 lengthens a hinted
    /// wait by up to a tenth.
    pub fn throttled(&self, hint: Option<Duration>, jitter: u32, now: Instant) {
        let mut state = self.state.lock();
        let unhinted = Duration::from_secs(1 << state.in_a_row.min(5)).min(LONGEST_UNHINTED);
        let wait = hint.unwrap_or(unhinted).min(LONGEST);
        self.refuse(&mut state, (wait + wait * jitter.min(100) / 1000).max(SHORTEST), now);
        (state.at_once, state.soft) = (false, false);
    }

    /// The same for capacity that is paid for whether it is used or not: it is given not a moment more
    /// than it asks for, and all requests come back when that is over.
    pub fn overflowed(&self, hint: Option<Duration>, now: Instant) {
        let mut state = self.state.lock();
        let unhinted = (FIRST_PROVISIONED * (1 << state.in_a_row.min(5))).min(LONGEST_PROVISIONED);
        self.refuse(&mut state, hint.unwrap_or(unhinted).min(LONGEST), now);
        (state.at_once, state.soft) = (true, false);
    }

    /// Nothing is left of a limit of the upstream's until then. That is no refusal: the target is still
    /// asked where nothing else is left, and a later throttle is the first one of its row.
    pub fn used_up(&self, wait: Duration, now: Instant) {
        let mut state = self.state.lock();
        let (in_a_row, is_refused) = (state.in_a_row, state.until.is_some_and(|until| until > now));
        self.extend(&mut state, wait.min(LONGEST), now);
        state.in_a_row = in_a_row;
        state.at_once = true;
        state.soft |= !is_refused;
    }

    /// True while what holds is a guess from what was left, and no refusal.
    pub fn is_soft(&self) -> bool {
        !self.is_idle() && self.state.lock().soft
    }

    fn refuse(&self, state: &mut State, wait: Duration, now: Instant) {
        state.refused = state.refused.max(Some(now + wait));
        self.extend(state, wait, now);
    }

    fn extend(&self, state: &mut State, wait: Duration, now: Instant) {
        self.engaged.store(true, Ordering::Release);
        state.until = state.until.max(Some(now + wait));
        state.trial = None;
        state.in_a_row = state.in_a_row.saturating_add(1);
    }

    /// Keeps requests out for a defect, such as a refused credential: when nothing else is left, that is
    /// no throttle to wait for.
    pub fn defective(&self, defect: Defect, wait: Duration, now: Instant) {
        let mut state = self.state.lock();
        self.extend(&mut state, wait, now);
        (state.at_once, state.soft, state.defect) = (false, false, Some(defect));
    }

    /// The defect is none any more: what was held for it is held no longer. A throttle stays.
    pub fn mended(&self, defect: Defect) {
        self.lift(|held| held == defect);
    }

    /// An answer has come in spite of a defect, whichever it was: it is none any more.
    pub fn works(&self) {
        self.lift(|_| true);
    }

    fn lift(&self, is_meant: impl Fn(Defect) -> bool) {
        if self.is_idle() {
            return;
        }
        let mut state = self.state.lock();
        if !state.defect.is_some_and(is_meant) {
            return;
        }
        match state.refused {
            Some(refused) => (state.until, state.defect) = (Some(refused), None),
            None => self.clear(&mut state),
        }
    }

    /// True while what holds is a defect.
    pub fn is_defect(&self) -> bool {
        !self.is_idle() && self.state.lock().defect.is_some()
    }

    /// True while an upstream itself has asked to be left alone, whatever else holds.
    pub fn is_refused(&self, now: Instant) -> bool {
        !self.is_idle() && self.state.lock().refused.is_some_and(|until| until > now)
    }

    /// Until when new requests are kept out; `None` when they are not.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        if self.is_idle() {
            return None;
        }
        self.state.lock().until.filter(|until| *until > now)
    }

    /// True when a request could pass now. Changes nothing.
    pub fn admits(&self, now: Instant) -> bool {
        if self.is_idle() {
            return true;
        }
        let state = self.state.lock();
        match state.until {
            None => true,
            Some(until) if until > now => false,
            Some(_) if state.at_once => true,
            Some(_) => state.trial.is_none_or(|since| now.duration_since(since) > TRIAL_PATIENCE),
        }
    }

    /// Takes the way in: the first request after a hold becomes its trial.
    pub fn enter(&self, now: Instant) -> bool {
        if self.is_idle() {
            return true;
        }
        let mut state = self.state.lock();
        match state.until {
            None => true,
            Some(until) if until > now => false,
            Some(_) if state.at_once => true,
            Some(_) if state.trial.is_some_and(|since| now.duration_since(since) <= TRIAL_PATIENCE) => false,
            Some(_) => {
                state.trial = Some(now);
                true
            }
        }
    }

    /// An answer without a throttle came, to a request that began at `began`. Answers to requests from
    /// before the hold tell nothing about its end.
    pub fn answered(&self, began: Instant, now: Instant) {
        if self.is_idle() {
            return;
        }
        let mut state = self.state.lock();
        if state.until.is_some_and(|until| until <= now && began >= until) {
            self.clear(&mut state);
        }
    }

    /// The request that went in at `began` has ended. Where it was the trial and opened nothing, the
    /// next one may try.
    pub fn left(&self, began: Instant) {
        if self.is_idle() {
            return;
        }
        let mut state = self.state.lock();
        if state.trial == Some(began) {
            state.trial = None;
        }
    }

    /// An operator or a new configuration ends the hold.
    pub fn reset(&self) {
        self.clear(&mut self.state.lock());
    }

    fn clear(&self, state: &mut State) {
        *state = State::default();
        self.engaged.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_extend_and_never_shorten() {
        let (hold, now) = (Hold::default(), Instant::now());
        hold.throttled(Some(Duration::from_secs(7)), 0, now);
        hold.throttled(Some(Duration::from_secs(2)), 0, now);
        assert_eq!(hold.until(now), Some(now + Duration::from_secs(7)));
        hold.throttled(Some(Duration::from_secs(9_999)), 0, now);
        assert_eq!(hold.until(now), Some(now + LONGEST));
    }

    #[test]
    fn without_hints_holds_double_until_a_success() {
        let (hold, mut now) = (Hold::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            hold.throttled(None, 0, now);
            assert_eq!(hold.until(now), Some(now + Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
        }
        assert!(hold.enter(now));
        hold.answered(now, now);
        hold.throttled(None, 0, now);
        assert_eq!(hold.until(now), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn one_request_goes_first_when_a_hold_ends() {
        let (hold, now) = (Hold::default(), Instant::now());
        hold.throttled(Some(Duration::from_secs(1)), 0, now);
        assert!(!hold.admits(now) && !hold.enter(now));
        let end = now + Duration::from_secs(1);
        assert!(hold.enter(end));
        assert!(!hold.admits(end) && !hold.enter(end));
        hold.answered(now, end);
        assert!(!hold.admits(end), "an answer from before the hold opens nothing");
        hold.answered(end, end);
        assert!(hold.enter(end) && hold.enter(end));
    }

    #[test]
    fn paid_capacity_waits_to_the_millisecond_and_comes_back_at_once() {
        let (hold, mut now) = (Hold::default(), Instant::now());
        hold.overflowed(Some(Duration::from_millis(37)), now);
        assert_eq!(hold.until(now), Some(now + Duration::from_millis(37)));
        now += Duration::from_millis(37);
        assert!(hold.admits(now) && hold.enter(now) && hold.enter(now));
        hold.answered(now, now);
        for millis in [50, 100, 200, 400, 800, 1_000, 1_000] {
            hold.overflowed(None, now);
            assert_eq!(hold.until(now), Some(now + Duration::from_millis(millis)));
            now += Duration::from_millis(millis);
        }
    }

    #[test]
    fn a_limit_that_is_used_up_is_waited_for_and_is_no_throttle() {
        let (hold, now) = (Hold::default(), Instant::now());
        hold.used_up(Duration::from_millis(1_250), now);
        assert_eq!(hold.until(now), Some(now + Duration::from_millis(1_250)));
        let end = now + Duration::from_millis(1_250);
        assert!(hold.is_soft() && hold.enter(end) && hold.enter(end));
        hold.throttled(None, 0, end);
        hold.used_up(Duration::from_secs(9), end);
        assert!(!hold.is_soft(), "it has refused");
        hold.reset();
        hold.throttled(None, 0, end);
        assert_eq!(hold.until(end), Some(end + Duration::from_secs(1)));
    }

    #[test]
    fn a_hold_for_a_defect_ends_when_that_is_mended() {
        let (hold, now) = (Hold::default(), Instant::now());
        hold.defective(Defect::Model, Duration::from_secs(600), now);
        assert_eq!(hold.until(now), Some(now + Duration::from_secs(600)));
        hold.mended(Defect::Credential);
        assert!(hold.is_defect() && !hold.admits(now));
        hold.mended(Defect::Model);
        assert!(!hold.is_defect() && hold.admits(now));
    }

    #[test]
    fn a_throttle_is_obeyed_beside_a_defect_and_outlives_it() {
        let (hold, now) = (Hold::default(), Instant::now());
        let seconds = |n| now + Duration::from_secs(n);
        hold.defective(Defect::Credential, Duration::from_secs(60), now);
        assert!(!hold.is_refused(now));
        hold.throttled(Some(Duration::from_secs(20)), 0, now);
        assert_eq!(hold.until(now), Some(seconds(60)));
        assert!(hold.is_refused(now) && !hold.is_refused(seconds(20)));
        hold.works();
        assert!(!hold.is_defect());
        assert_eq!(hold.until(now), Some(seconds(20)), "what was held for the throttle is held");
        hold.defective(Defect::Model, Duration::from_secs(60), seconds(21));
        hold.mended(Defect::Model);
        assert_eq!(hold.until(seconds(21)), None);
    }

    #[test]
    fn a_lost_trial_does_not_keep_others_out_for_ever() {
        let (hold, now) = (Hold::default(), Instant::now());
        hold.throttled(Some(Duration::from_secs(1)), 0, now);
        let end = now + Duration::from_secs(1);
        assert!(hold.enter(end));
        assert!(hold.enter(end + TRIAL_PATIENCE + Duration::from_millis(1)));
        let third = end + Duration::from_secs(1);
        hold.left(end);
        assert!(!hold.enter(third), "only the trial's own end opens the way");
        hold.left(end + TRIAL_PATIENCE + Duration::from_millis(1));
        assert!(hold.enter(third));
    }
}
