//! What answers show that people must hear of, beside requests.
//!
//! Each is counted; the log tells once a minute and finding, over all cores. Whoever sends alerts takes
//! what has come since. When nobody does, the oldest are lost.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tollgate_domain::{Name, UnixMillis, UpstreamName, ZoneName};

const MINUTE: i64 = 60_000;
/// Findings that wait to be taken.
const MOST_WAITING: usize = 256;
/// Findings of which it is known when they were told; beyond, all are news once more.
const MOST_TOLD: usize = 1_024;

/// Something that an answer shows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Finding {
    /// An answer names a place outside the zones in which its upstream is declared to process.
    Elsewhere {
        /// The upstream.
        upstream: UpstreamName,
        /// Where it is declared to process.
        declared: ZoneName,
        /// The place, in the provider's words.
        place: Box<str>,
        /// The zone that this place means.
        zone: ZoneName,
    },
    /// The model that a target's upstream says it serves has changed, and no configuration with it.
    ModelChanged {
        /// `MODEL@UPSTREAM`.
        target: Name,
        /// What it was before.
        from: Box<str>,
        /// What it is now.
        to: Box<str>,
    },
}

/// Findings that wait to be taken.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    told: HashMap<Finding, i64>,
    queue: VecDeque<(Finding, UnixMillis)>,
}

impl Findings {
    /// Takes a finding in. True when it was not met before in this minute.
    pub(crate) fn is_news(&self, finding: &Finding, at: UnixMillis) -> bool {
        let minute = at.get().div_euclid(MINUTE);
        let mut waiting = self.0.lock();
        if waiting.told.get(finding) == Some(&minute) {
            return false;
        }
        if waiting.told.len() >= MOST_TOLD {
            waiting.told.clear();
        }
        waiting.told.insert(finding.clone(), minute);
        if waiting.queue.len() == MOST_WAITING {
            waiting.queue.pop_front();
        }
        waiting.queue.push_back((finding.clone(), at));
        true
    }

    /// What has come since it was last asked, with its time; the oldest first.
    pub fn take(&self) -> Vec<(Finding, UnixMillis)> {
        self.0.lock().queue.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(n: usize) -> Finding {
        Finding::ModelChanged { target: "m@u".into(), from: "a".into(), to: n.to_string().into() }
    }

    #[test]
    fn a_finding_is_news_once_a_minute_and_is_taken_once() {
        let findings = Findings::default();
        let met = |n, at| findings.is_news(&changed(n), UnixMillis::new(at));
        assert_eq!([met(1, 0), met(1, 59_999), met(2, 1), met(1, 60_000)], [true, false, true, true]);
        let taken: Vec<_> = findings.take().into_iter().map(|(finding, _)| finding).collect();
        assert_eq!(taken, [changed(1), changed(2), changed(1)]);
        assert_eq!(findings.take(), []);
    }

    #[test]
    fn nobody_who_takes_them_costs_no_memory() {
        let findings = Findings::default();
        for n in 0..5_000 {
            findings.is_news(&changed(n), UnixMillis::new(0));
        }
        assert!(findings.0.lock().told.len() <= MOST_TOLD);
        assert_eq!(findings.take().len(), MOST_WAITING);
    }
}
