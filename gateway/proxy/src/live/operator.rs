//! What an operator says about a part of the fleet, and the cell that requests read it from.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;
use tollgate_domain::UnixMillis;

/// What an operator has said about a region, an upstream, a target or a model.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum OperatorState {
    /// Takes requests.
    #[default]
    Enabled = 0,
    /// Takes requests whatever its breaker and holds say.
    Forced = 1,
    /// No new requests; those in flight finish.
    Draining = 2,
    /// No new requests, until an operator enables it again.
    Disabled = 3,
}

impl OperatorState {
    /// The name used by the admin API and in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Forced => "forced",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }

    /// The state with a name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Forced, Self::Draining, Self::Disabled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// True while new requests may be sent there.
    #[must_use]
    pub const fn takes_requests(self) -> bool {
        matches!(self, Self::Enabled | Self::Forced)
    }

    const fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Forced,
            2 => Self::Draining,
            3 => Self::Disabled,
            _ => Self::Enabled,
        }
    }
}

/// An operator's word, with its story. Stands above the state in the file until it is cleared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// The state asked for.
    pub state: OperatorState,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Since when.
    pub since: UnixMillis,
    /// When it ends by itself.
    pub until: Option<UnixMillis>,
    /// When requests still in flight are ended.
    pub cut_at: Option<UnixMillis>,
}

/// Where an override is kept; reading the state is one atomic load.
#[derive(Default)]
pub struct OperatorCell {
    /// 0: no override; else the state's bits plus one.
    effective: AtomicU8,
    /// The deadline of what is in flight has come.
    cut: AtomicBool,
    word: Mutex<Option<Override>>,
}

impl OperatorCell {
    /// The override's state, or the configured one where there is no override.
    pub fn state(&self, configured: OperatorState) -> OperatorState {
        match self.effective.load(Ordering::Relaxed) {
            0 => configured,
            bits => OperatorState::from_bits(bits - 1),
        }
    }

    /// Puts an override in force, or clears it; for new requests at once.
    pub fn set(&self, word: Option<Override>) {
        let mut slot = self.word.lock();
        self.effective.store(word.as_ref().map_or(0, |word| word.state as u8 + 1), Ordering::Relaxed);
        self.cut.store(false, Ordering::Relaxed);
        *slot = word;
    }

    /// The override in force.
    pub fn word(&self) -> Option<Override> {
        self.word.lock().clone()
    }

    /// True when what is in flight is to end now, and not when it is done.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Clears the override if its time is over.
    pub(super) fn expire(&self, now: UnixMillis) -> bool {
        let ended = self.word().is_some_and(|word| word.until.is_some_and(|until| now >= until));
        if ended {
            self.set(None);
        }
        ended
    }

    /// True the first time that it is looked at after its deadline.
    pub(super) fn cut_overdue(&self, now: UnixMillis) -> bool {
        let word = self.word.lock();
        let is_over = word.as_ref().is_some_and(|word| word.cut_at.is_some_and(|at| now >= at));
        is_over && !self.cut.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_once_and_ends_with_the_word_that_set_it() {
        let cell = OperatorCell::default();
        let word = Override {
            state: OperatorState::Disabled,
            reason: "storm".into(),
            actor: "ops".into(),
            since: UnixMillis::new(0),
            until: None,
            cut_at: Some(UnixMillis::new(100)),
        };
        cell.set(Some(word));
        assert!(!cell.cut_overdue(UnixMillis::new(99)) && !cell.is_cut());
        assert!(cell.cut_overdue(UnixMillis::new(100)) && cell.is_cut());
        assert!(!cell.cut_overdue(UnixMillis::new(101)), "it is told once");
        cell.set(None);
        assert!(!cell.is_cut(), "what comes after it is not ended");
    }
}
