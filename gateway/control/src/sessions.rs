//! Who has signed in to the console, and the link that signs in once.
//!
//! A session stands for one admin token and holds only the token's hash: a token that leaves the
//! configuration takes its sessions with it, and a changed role changes theirs. Sessions live in
//! memory; a restart ends them all. Secrets are kept as hashes and compared in constant time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A session that nobody uses ends after this time.
pub const IDLE: Duration = Duration::from_secs(60 * 60);
/// And every session after this one.
pub const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a sign-in link is good.
pub const LINK: Duration = Duration::from_secs(15 * 60);

/// More at once end the one that was idle for longest: a bound for memory, not for people.
const MOST: usize = 1_000;
/// So many failed sign-ins are kept in the audit one by one within [`FAILURE_WINDOW`]; the others are
/// counted, so that nobody fills the disk by guessing.
const TOLD_FAILURES: u32 = 20;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// SHA-256 of a secret.
pub(crate) type Hash = [u8; 32];

pub(crate) fn hash(secret: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(secret.as_ref()).into()
}

/// Everybody who has signed in.
#[derive(Default)]
pub struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: HashMap<Hash, Session>,
    link: Option<Link>,
    failures: Failures,
}

struct Session {
    token: Hash,
    csrf: String,
    begun: Instant,
    seen: Instant,
}

struct Link {
    hash: Hash,
    until: Instant,
}

/// What a browser gets when a session begins.
pub(crate) struct Begun {
    /// The secret of its cookie.
    pub(crate) id: String,
}

/// A session that goes on.
#[derive(Clone)]
pub(crate) struct Resumed {
    /// The hash of the token that it stands for.
    pub(crate) token: Hash,
    /// What a change must bring in a header.
    pub(crate) csrf: String,
    /// How long until it ends, used or not.
    pub(crate) left: Duration,
}

impl Resumed {
    /// True when this is the session's own proof against forged requests.
    pub(crate) fn is_proof(&self, presented: &[u8]) -> bool {
        hash(presented).ct_eq(&hash(self.csrf.as_bytes())).into()
    }
}

/// What is to be kept of a failed sign-in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// An audit entry, which also tells of so many that had none.
    Told {
        /// Failures since the last entry.
        untold: u64,
    },
    /// Nothing: there were many of them within a minute.
    Counted,
}

#[derive(Default)]
struct Failures {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Sessions {
    /// Begins a session for the token with this hash.
    pub(crate) fn begin(&self, token: Hash, now: Instant) -> Begun {
        let id = secret();
        let session = Session { token, csrf: secret(), begun: now, seen: now };
        let mut inner = self.inner.lock();
        inner.open.retain(|_, session| session.is_alive(now));
        while inner.open.len() >= MOST {
            let idle = inner.open.iter().min_by_key(|(_, session)| session.seen).map(|(id, _)| *id);
            let Some(idle) = idle else { break };
            inner.open.remove(&idle);
        }
        inner.open.insert(hash(id.as_bytes()), session);
        Begun { id }
    }

    /// The session of a cookie. `by_hand` tells whether a person did something: what a page asks by
    /// itself keeps nobody signed in.
    pub(crate) fn resume(&self, id: &[u8], by_hand: bool, now: Instant) -> Option<Resumed> {
        // Found by the hash of a random secret: how long the search takes tells nothing of a secret.
        let key = hash(id);
        let mut inner = self.inner.lock();
        let session = inner.open.get_mut(&key)?;
        if !session.is_alive(now) {
            inner.open.remove(&key);
            return None;
        }
        if by_hand {
            session.seen = now;
        }
        let left = LONGEST.saturating_sub(now.saturating_duration_since(session.begun));
        Some(Resumed { token: session.token, csrf: session.csrf.clone(), left })
    }

    /// Ends the session of a cookie.
    pub(crate) fn end(&self, id: &[u8]) {
        self.inner.lock().open.remove(&hash(id));
    }

    /// Makes the secret of a link that signs in once, within [`LINK`]. A former link is void.
    pub fn issue_link(&self, now: Instant) -> String {
        let code = secret();
        self.inner.lock().link = Some(Link { hash: hash(code.as_bytes()), until: now + LINK });
        code
    }

    /// True for the secret of the link that stands, which is void afterwards.
    pub(crate) fn redeem(&self, code: &[u8], now: Instant) -> bool {
        let mut inner = self.inner.lock();
        let good =
            inner.link.as_ref().is_some_and(|link| now < link.until && link.hash.ct_eq(&hash(code)).into());
        if good {
            inner.link = None;
        }
        good
    }

    /// Takes note of a sign-in that failed.
    pub(crate) fn failed(&self, now: Instant) -> Failure {
        let failures = &mut self.inner.lock().failures;
        if failures.since.is_none_or(|since| now.saturating_duration_since(since) >= FAILURE_WINDOW) {
            (failures.since, failures.told) = (Some(now), 0);
        }
        if failures.told == TOLD_FAILURES {
            failures.untold += 1;
            return Failure::Counted;
        }
        failures.told += 1;
        Failure::Told { untold: std::mem::take(&mut failures.untold) }
    }
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) < IDLE && now.saturating_duration_since(self.begun) < LONGEST
    }
}

/// 256 random bits as text.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_some_day_in_any_case() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let id = sessions.begin([7; 32], start).id;
        let alive = |at, by_hand| sessions.resume(id.as_bytes(), by_hand, at).is_some();
        assert!(alive(start + IDLE - SECOND, true));
        assert!(alive(start + IDLE + IDLE - SECOND * 2, false), "it was used meanwhile");
        assert!(!alive(start + IDLE + IDLE, false), "a page that asks by itself is no use of it");

        let id = sessions.begin([7; 32], start).id;
        let mut at = start;
        while at + IDLE / 2 < start + LONGEST {
            at += IDLE / 2;
            assert!(sessions.resume(id.as_bytes(), true, at).is_some());
        }
        assert!(sessions.resume(id.as_bytes(), true, start + LONGEST).is_none());
    }

    #[test]
    fn a_session_that_was_ended_or_never_begun_is_none() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let id = sessions.begin([7; 32], now).id;
        let resumed = sessions.resume(id.as_bytes(), true, now).expect("it goes on");
        assert_eq!(resumed.token, [7; 32]);
        assert!(
            resumed.is_proof(resumed.csrf.as_bytes())
                && !resumed.is_proof(b"")
                && !resumed.is_proof(id.as_bytes())
        );
        assert!(sessions.resume(b"made up", true, now).is_none());
        sessions.end(id.as_bytes());
        assert!(sessions.resume(id.as_bytes(), true, now).is_none());
    }

    #[test]
    fn a_link_signs_in_once_and_in_time() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        assert!(!sessions.redeem(b"", now), "there is no link");
        let code = sessions.issue_link(now);
        assert!(!sessions.redeem(b"guessed", now));
        assert!(sessions.redeem(code.as_bytes(), now + LINK - SECOND), "a wrong guess voids nothing");
        assert!(!sessions.redeem(code.as_bytes(), now + LINK - SECOND), "once");
        let (former, late) = (sessions.issue_link(now), sessions.issue_link(now));
        assert!(!sessions.redeem(former.as_bytes(), now), "only the latest stands");
        assert!(!sessions.redeem(late.as_bytes(), now + LINK));
    }

    #[test]
    fn sessions_and_told_failures_are_bounded() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let first = sessions.begin([0; 32], start).id;
        for second in 1..=MOST as u64 {
            sessions.begin([1; 32], start + Duration::from_millis(second));
        }
        assert_eq!(sessions.inner.lock().open.len(), MOST);
        assert!(
            sessions.resume(first.as_bytes(), true, start + SECOND).is_none(),
            "the one idle for longest went"
        );

        let told = (0..TOLD_FAILURES + 5).filter(|_| sessions.failed(start) != Failure::Counted).count();
        assert_eq!(told, TOLD_FAILURES as usize);
        assert_eq!(sessions.failed(start + FAILURE_WINDOW), Failure::Told { untold: 5 });
        assert_eq!(sessions.failed(start + FAILURE_WINDOW), Failure::Told { untold: 0 });
    }
}
