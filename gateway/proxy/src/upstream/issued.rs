//! Credentials that end: what was issued last, and whether more comes.
//!
//! Whoever keeps a credential fresh does so beside requests and puts it here; a request only takes what
//! is there. Only a request that finds nothing at all waits, and only while the first answer is still
//! on its way: all of them wait for the same one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};
use tollgate_domain::Secret;
use tollgate_sigv4::KeyPair;

use super::credential::{UnsendableCredential, bearer};

/// A credential that somebody has issued, for a time.
pub struct Issued {
    pub(super) what: What,
    /// From when on it is of no use; `None` while nobody knows an end.
    until: Option<Instant>,
}

#[derive(Clone)]
pub(super) enum What {
    /// Shown as `authorization: Bearer …`.
    Token(HeaderValue),
    /// Signed with.
    Keys(Arc<KeyPair>),
}

impl Issued {
    /// A token that is shown as it is.
    ///
    /// # Errors
    /// It has bytes that a header may not carry.
    pub fn token(token: &Secret, until: Option<Instant>) -> Result<Self, UnsendableCredential> {
        Ok(Self { what: What::Token(bearer(token)?), until })
    }

    /// Keys that requests are signed with.
    #[must_use]
    pub fn keys(keys: KeyPair, until: Option<Instant>) -> Self {
        Self { what: What::Keys(Arc::new(keys)), until }
    }

    /// When it ends.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(…)")
    }
}

/// How asking for a credential stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asking {
    /// No answer yet.
    First,
    /// The last answer brought one.
    Answered,
    /// The last attempt failed; the next one follows at this time.
    Failed { again: Instant },
}

/// Where the credential of one upstream is kept while it lives. It is never inside a snapshot: a reload
/// that changes nothing about it leaves it alone.
pub struct CredentialCell {
    current: ArcSwapOption<Issued>,
    asking: watch::Sender<Asking>,
    /// Why the last attempt failed, for people; without secrets.
    trouble: Mutex<Option<Box<str>>>,
    /// The upstream has refused it.
    doubted: AtomicBool,
}

impl Default for CredentialCell {
    fn default() -> Self {
        let (asking, _) = watch::channel(Asking::First);
        Self {
            current: ArcSwapOption::empty(),
            asking,
            trouble: Mutex::default(),
            doubted: AtomicBool::new(false),
        }
    }
}

impl CredentialCell {
    /// Puts a new credential in force; whoever waits for one goes on.
    pub fn issue(&self, issued: Issued) {
        self.current.store(Some(Arc::new(issued)));
        *self.trouble.lock() = None;
        self.asking.send_replace(Asking::Answered);
    }

    /// Nothing new could be had. What is there stays until its end; without anything, requests go
    /// elsewhere until `again`, and longer if it fails again. `why` is shown to operators: it names no
    /// secret.
    pub fn failed(&self, why: impl Into<Box<str>>, again: Instant) {
        *self.trouble.lock() = Some(why.into());
        self.asking.send_replace(Asking::Failed { again });
    }

    /// True once after the upstream has refused what is in force: it may have been withdrawn before its
    /// end, and a new one would help.
    pub fn take_doubt(&self) -> bool {
        self.doubted.load(Ordering::Relaxed) && self.doubted.swap(false, Ordering::Relaxed)
    }

    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// What operators are shown.
    #[must_use]
    pub fn view(&self, now: Instant) -> CredentialView {
        let issued = self.current.load_full();
        let usable = issued.as_ref().is_some_and(|issued| is_usable(issued, now));
        let failed = matches!(*self.asking.borrow(), Asking::Failed { .. });
        CredentialView {
            state: match (usable, failed) {
                (true, false) => CredentialState::Fresh,
                (true, true) => CredentialState::Ageing,
                (false, _) => CredentialState::Missing,
            },
            left: issued.and_then(|issued| Some(issued.until?.saturating_duration_since(now))),
            trouble: self.trouble.lock().clone(),
        }
    }

    pub(super) fn current(&self, now: Instant) -> Option<Arc<Issued>> {
        self.current.load_full().filter(|issued| is_usable(issued, now))
    }

    /// How long no request need try: there is none, and the last attempt to have one failed.
    pub(super) fn is_missing_for(&self, now: Instant) -> Option<Duration> {
        if self.current.load().as_ref().is_some_and(|issued| is_usable(issued, now)) {
            return None;
        }
        match *self.asking.borrow() {
            Asking::Failed { again } => Some(again.saturating_duration_since(now)),
            Asking::First | Asking::Answered => None,
        }
    }

    /// Waits for a credential where none is there, and no longer than the first attempt to have one.
    pub(super) async fn arrival(&self, patience: Duration) -> Option<Arc<Issued>> {
        let mut changes = self.asking.subscribe();
        let waiting = async {
            loop {
                // Read before looking: what is issued in between wakes us.
                let asking = *changes.borrow_and_update();
                if let Some(issued) = self.current(Instant::now()) {
                    return Some(issued);
                }
                if matches!(asking, Asking::Failed { .. }) {
                    return None;
                }
                changes.changed().await.ok()?;
            }
        };
        timeout(patience, waiting).await.ok().flatten()
    }
}

fn is_usable(issued: &Issued, now: Instant) -> bool {
    issued.until.is_none_or(|until| until > now)
}

impl fmt::Debug for CredentialCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialCell(…)")
    }
}

/// How it stands with a credential that is kept fresh.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialView {
    /// Whether there is one.
    pub state: CredentialState,
    /// How much longer the last one is good; `None` while nobody knows an end.
    pub left: Option<Duration>,
    /// Why nothing new could be had, if so.
    pub trouble: Option<Box<str>>,
}

/// Whether requests can be sent with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CredentialState {
    /// It is there, and the last attempt to renew it succeeded.
    Fresh,
    /// It is there; the last attempt to renew it failed.
    Ageing,
    /// There is none: requests go elsewhere.
    Missing,
}

impl CredentialState {
    /// The name by which operators know it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Ageing => "ageing",
            Self::Missing => "missing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(until: Option<Instant>) -> Issued {
        Issued::token(&Secret::new("a-token".into()), until).expect("a sendable token")
    }

    #[test]
    fn a_failed_renewal_keeps_the_old_one_until_its_end() {
        let (cell, now) = (CredentialCell::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(cell.is_missing_for(now), None, "nobody has failed yet");
        cell.issue(token(Some(now + second * 10)));
        assert_eq!(cell.view(now).state, CredentialState::Fresh);
        cell.failed("no answer", now + second * 30);
        assert_eq!((cell.view(now).state, cell.view(now).left), (CredentialState::Ageing, Some(second * 10)));
        assert!(cell.current(now + second * 9).is_some());
        assert!(cell.current(now + second * 10).is_none());
        assert_eq!(cell.is_missing_for(now + second * 10), Some(second * 20));
        let view = cell.view(now + second * 10);
        assert_eq!((view.state, view.trouble.as_deref()), (CredentialState::Missing, Some("no answer")));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_gets_what_is_issued_or_hears_that_it_failed() {
        let cell = Arc::new(CredentialCell::default());
        let wait = |cell: &Arc<CredentialCell>| {
            let cell = Arc::clone(cell);
            tokio::spawn(async move { cell.arrival(Duration::from_secs(3)).await.is_some() })
        };
        assert!(!wait(&cell).await.expect("no panic"), "patience has an end");
        let waiting = [wait(&cell), wait(&cell)];
        tokio::task::yield_now().await;
        cell.issue(token(None));
        for waiting in waiting {
            assert!(waiting.await.expect("no panic"));
        }
        let failing = Arc::new(CredentialCell::default());
        let waiting = wait(&failing);
        tokio::task::yield_now().await;
        let began = tokio::time::Instant::now();
        failing.failed("refused", Instant::now() + Duration::from_secs(9));
        assert!(!waiting.await.expect("no panic"));
        assert_eq!(began.elapsed(), Duration::ZERO, "a failure is not waited out");
    }

    #[test]
    fn nothing_shows_what_was_issued() {
        let cell = CredentialCell::default();
        cell.issue(token(None));
        assert!(!format!("{cell:?} {:?}", cell.current(Instant::now())).contains("a-token"));
    }
}
