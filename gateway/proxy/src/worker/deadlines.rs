//! Deadlines that are far away.
//!
//! Nearly every request ends long before its time is over, so that a timer of its own would only be set
//! and taken back. Here a request leaves its deadline in a list, which is looked through when the
//! earliest of them may have come; that it is met a little late does not matter to minutes.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::Worker;

/// A deadline nearer than this has a timer of its own.
const NEAR: Duration = Duration::from_secs(5);

/// The deadlines of one core, by place.
#[derive(Default)]
pub(super) struct Deadlines {
    places: Vec<Option<Deadline>>,
    free: Vec<usize>,
    /// No deadline is earlier; `None` while there is none.
    earliest: Option<Instant>,
}

struct Deadline {
    at: Instant,
    waker: Waker,
    over: bool,
}

impl Deadlines {
    fn leave(&mut self, at: Instant, waker: Waker) -> usize {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        let deadline = Some(Deadline { at, waker, over: false });
        match self.free.pop() {
            Some(place) => {
                self.places[place] = deadline;
                place
            }
            None => {
                self.places.push(deadline);
                self.places.len() - 1
            }
        }
    }

    /// True once the deadline was met; else `waker` is who waits for it.
    fn is_over(&mut self, place: usize, waker: &Waker) -> bool {
        let deadline = self.places[place].as_mut().expect("a place is asked until it is left");
        deadline.waker.clone_from(waker);
        deadline.over
    }

    fn forget(&mut self, place: usize) {
        self.places[place] = None;
        self.free.push(place);
    }

    /// Wakes everybody, to look at something else than the time.
    pub(super) fn wake_all(&self) {
        self.places.iter().flatten().for_each(|deadline| deadline.waker.wake_by_ref());
    }

    /// Wakes those whose time is over.
    pub(super) fn look(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        self.earliest = None;
        for deadline in self.places.iter_mut().flatten().filter(|deadline| !deadline.over) {
            if deadline.at <= now {
                deadline.over = true;
                deadline.waker.wake_by_ref();
            } else {
                self.earliest = Some(self.earliest.map_or(deadline.at, |earliest| earliest.min(deadline.at)));
            }
        }
    }
}

impl Worker {
    /// What the future gives before the deadline; `None` when that comes first. A deadline that is far
    /// away may be met by as much late as the core's housekeeping takes a rest.
    ///
    /// # Cancel safety
    /// As safe as the future.
    pub(crate) async fn within<F: Future>(
        &self,
        deadline: Instant,
        now: Instant,
        future: Pin<&mut F>,
    ) -> Option<F::Output> {
        if deadline.saturating_duration_since(now) < NEAR {
            // Boxed: whoever has minutes does not carry the room of a timer.
            return Box::pin(tokio::time::timeout_at(deadline.into(), future)).await.ok();
        }
        Within { worker: self, deadline, place: None, future }.await
    }
}

/// A future with a deadline in the list of its core.
struct Within<'a, F> {
    worker: &'a Worker,
    deadline: Instant,
    place: Option<usize>,
    future: Pin<&'a mut F>,
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let mut deadlines = self.worker.deadlines.borrow_mut();
        match self.place {
            None => {
                let place = deadlines.leave(self.deadline, cx.waker().clone());
                drop(deadlines);
                self.place = Some(place);
                Poll::Pending
            }
            Some(place) if deadlines.is_over(place, cx.waker()) => Poll::Ready(None),
            Some(_) => Poll::Pending,
        }
    }
}

impl<F> Drop for Within<'_, F> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.worker.deadlines.borrow_mut().forget(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_is_woken_once_when_its_time_is_over_and_not_before() {
        let (mut deadlines, now) = (Deadlines::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let woken: Vec<_> = (0..3).map(|_| Arc::<Woken>::default()).collect();
        let waker = |at: usize| Waker::from(Arc::clone(&woken[at]));
        let places: Vec<_> =
            (0..3).map(|at| deadlines.leave(after(10 * (at as u64 + 1)), waker(at))).collect();
        let counts = || woken.iter().map(|woken| woken.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
        deadlines.look(after(9));
        assert_eq!(counts(), [0, 0, 0]);
        deadlines.look(after(10));
        deadlines.look(after(11));
        assert_eq!(counts(), [1, 0, 0]);
        assert!(deadlines.is_over(places[0], &waker(0)) && !deadlines.is_over(places[1], &waker(1)));
        deadlines.forget(places[1]);
        deadlines.look(after(100));
        assert_eq!(counts(), [1, 0, 1], "who has left is not woken");
    }

    #[test]
    fn a_place_that_was_left_is_given_again() {
        let (mut deadlines, now) = (Deadlines::default(), Instant::now());
        let first = deadlines.leave(now, Waker::noop().clone());
        deadlines.look(now);
        deadlines.forget(first);
        let second = deadlines.leave(now + NEAR, Waker::noop().clone());
        assert_eq!(first, second);
        assert!(!deadlines.is_over(second, Waker::noop()), "another's end is not its own");
    }
}
