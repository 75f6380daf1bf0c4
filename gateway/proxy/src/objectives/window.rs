//! Counts of the last minutes and hours, from counters that only grow.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tollgate_domain::UnixMillis;

const MINUTE: i64 = 60_000;
/// Cores that share a counter when there are more of them.
const SHARDS: usize = 16;

/// How far back is looked: a fast, a middle and a slow window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Window {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
    /// Six hours.
    SixHours,
}

impl Window {
    /// All, the shortest first.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::SixHours];

    /// The name used in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
        }
    }

    const fn minutes(self) -> i64 {
        match self {
            Self::FiveMinutes => 5,
            Self::Hour => 60,
            Self::SixHours => 360,
        }
    }
}

/// Calls or attempts, and how many of them were as promised.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// As promised.
    pub good: u64,
    /// All that count.
    pub all: u64,
}

impl Counts {
    const fn plus(self, other: Self) -> Self {
        Self { good: self.good + other.good, all: self.all + other.all }
    }
}

/// One view of one objective.
#[derive(Default)]
pub(super) struct Measured {
    shards: [Shard; SHARDS],
    history: Mutex<History>,
}

/// On lines of its own, so that no core waits for another's counter.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    good: AtomicU64,
    bad: AtomicU64,
}

/// What came in each of the last minutes.
#[derive(Default)]
struct History {
    seen: Counts,
    /// By minute, the oldest first; at most those of the longest window.
    minutes: VecDeque<(i64, Counts)>,
}

impl Measured {
    /// One more, from whichever core.
    pub(super) fn count(&self, is_good: bool) {
        let shard = &self.shards[shard()];
        let counter = if is_good { &shard.good } else { &shard.bad };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes in what the cores have counted since the last time, as of this minute. Gives the windows.
    pub(super) fn take_in(&self, now: UnixMillis) -> [(Window, Counts); 3] {
        // Read under the lock, so that no reader takes a sum in that is older than the last.
        let mut history = self.history.lock();
        let total = self.shards.iter().fold(Counts::default(), |sum, shard| {
            let (good, bad) = (shard.good.load(Ordering::Relaxed), shard.bad.load(Ordering::Relaxed));
            sum.plus(Counts { good, all: good + bad })
        });
        history.take_in(total, now.get().div_euclid(MINUTE));
        Window::ALL.map(|window| (window, history.sum(window, now.get().div_euclid(MINUTE))))
    }
}

impl History {
    fn take_in(&mut self, total: Counts, minute: i64) {
        let came = Counts { good: total.good - self.seen.good, all: total.all - self.seen.all };
        self.seen = total;
        match self.minutes.back_mut() {
            // A clock that is set back adds to the newest minute.
            Some((newest, counts)) if minute <= *newest => *counts = counts.plus(came),
            _ => self.minutes.push_back((minute, came)),
        }
        let oldest = minute - Window::SixHours.minutes();
        while self.minutes.front().is_some_and(|(minute, _)| *minute <= oldest) {
            self.minutes.pop_front();
        }
    }

    fn sum(&self, window: Window, minute: i64) -> Counts {
        let oldest = minute - window.minutes();
        let within = self.minutes.iter().rev().take_while(|(minute, _)| *minute > oldest);
        within.fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
    }
}

/// The counter of this thread.
fn shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
    }
    SHARD.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> UnixMillis {
        UnixMillis::new(minutes * MINUTE + 1)
    }

    fn counts(measured: &Measured, minutes: i64) -> [(u64, u64); 3] {
        measured.take_in(at(minutes)).map(|(_, counts)| (counts.good, counts.all))
    }

    #[test]
    fn windows_hold_what_came_in_their_minutes_and_forget_the_rest() {
        let measured = Measured::default();
        measured.count(true);
        measured.count(false);
        let steps = [
            (0, [(1, 2); 3]),
            (4, [(1, 2); 3]),
            (5, [(0, 0), (1, 2), (1, 2)]),
            (59, [(0, 0), (1, 2), (1, 2)]),
            (60, [(0, 0), (0, 0), (1, 2)]),
            (359, [(0, 0), (0, 0), (1, 2)]),
            (360, [(0, 0); 3]),
        ];
        for (minute, want) in steps {
            assert_eq!(counts(&measured, minute), want, "{minute}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_loses_and_doubles_nothing() {
        let measured = Measured::default();
        measured.count(true);
        assert_eq!(counts(&measured, 100)[2], (1, 1));
        measured.count(true);
        assert_eq!(counts(&measured, 50)[2], (2, 2));
        assert_eq!(counts(&measured, 101)[0], (2, 2));
    }

    #[test]
    fn memory_is_bounded_and_threads_lose_no_count() {
        let measured = Measured::default();
        for minute in 0..2_000 {
            measured.count(minute % 2 == 0);
            measured.take_in(at(minute));
        }
        assert_eq!(counts(&measured, 1_999)[2], (180, 360));
        assert!(measured.history.lock().minutes.len() <= 360);
        std::thread::scope(|scope| {
            for _ in 0..SHARDS + 3 {
                scope.spawn(|| (0..100).for_each(|_| measured.count(true)));
            }
        });
        assert_eq!(counts(&measured, 10_000)[0].1, 100 * (SHARDS as u64 + 3));
    }
}
