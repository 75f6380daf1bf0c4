//! Whether a client uses its connection: one that holds it open for nothing gives it back.
//!
//! hyper could bound the time to the next head by itself, with a timer per request. Here a connection
//! has one timer for its whole life, and a request only counts.

use std::{cell::Cell, rc::Rc, time::Duration};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(15);
/// Looks in a row without any use after which the connection is closed: 75 to 90 seconds without a
/// request begun, a byte written, or an answer on its way. Bytes of a head that never gets whole are
/// no use.
const UNUSED_LOOKS: u32 = 5;

/// What a client does with one connection.
#[derive(Default)]
pub(crate) struct Activity {
    /// Grows with every request and every write.
    moved: Cell<u64>,
    /// Requests whose answers have not been handed over whole.
    in_flight: Cell<u32>,
    /// The last answer has been given while the client was still sending.
    parting: Cell<bool>,
}

/// A request in flight on a connection; dropped with the last of its answer.
pub(crate) struct InFlight(Rc<Activity>);

impl Activity {
    /// A request begins.
    pub(super) fn begin(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        self.wrote();
        InFlight(Rc::clone(self))
    }

    /// The client took bytes.
    pub(super) fn wrote(&self) {
        self.moved.set(self.moved.get().wrapping_add(1));
    }

    /// The next answer is the last, and its client still sends.
    pub(super) fn part(&self) {
        self.parting.set(true);
    }

    /// True when the client may still send although it has had its last answer.
    pub(super) fn is_parting(&self) -> bool {
        self.parting.get()
    }

    /// Ready when the connection was not used for too long.
    pub(super) async fn unused(&self) {
        let (mut seen, mut looks) = (self.moved.get(), 0);
        while looks < UNUSED_LOOKS {
            tokio::time::sleep(LOOK).await;
            let moved = self.moved.get();
            looks = if moved == seen && self.in_flight.get() == 0 { looks + 1 } else { 0 };
            seen = moved;
        }
    }

    /// Ready when nothing was in flight and nothing was said for so long, once or twice as long at most.
    pub(super) async fn silent_for(&self, long: Duration) {
        loop {
            let before = self.moved.get();
            tokio::time::sleep(long).await;
            if self.in_flight.get() == 0 && self.moved.get() == before {
                return;
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    async fn after(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_not_used_is_given_up() {
        let activity = Rc::<Activity>::default();
        let started = tokio::time::Instant::now();
        activity.unused().await;
        assert_eq!(started.elapsed(), Duration::from_secs(75));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_neither_an_answer_on_its_way_nor_a_request_just_now() {
        let activity = Rc::<Activity>::default();
        let mut silent = std::pin::pin!(activity.silent_for(Duration::from_secs(1)));
        let answer = activity.begin();
        after(10).await;
        assert!(silent.as_mut().now_or_never().is_none(), "the answer is on its way");
        drop(answer);
        let last = tokio::time::Instant::now();
        silent.await;
        assert!(last.elapsed() <= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_and_a_slow_reader_are_use() {
        let activity = Rc::<Activity>::default();
        let mut unused = std::pin::pin!(activity.unused());
        let answer = activity.begin();
        for _ in 0..20 {
            after(60).await;
            assert!(unused.as_mut().now_or_never().is_none(), "the answer is on its way");
        }
        drop(answer);
        for _ in 0..20 {
            after(60).await;
            activity.wrote();
            assert!(unused.as_mut().now_or_never().is_none(), "the client takes what it can");
        }
        let last = tokio::time::Instant::now();
        unused.await;
        assert!(last.elapsed() <= Duration::from_secs(90));
    }
}
