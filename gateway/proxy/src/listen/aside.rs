//! What stands beside the main future of a task and hardly ever has something to say.
//!
//! A task polls all that it waits for whenever anything wakes it. Timers and watches that fire once in a
//! connection's life need not be asked for every request: they ring when they want to be.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::Mutex;

/// A future that is polled only after it was woken itself.
pub(super) struct Aside<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// What the future is polled with: the bell.
    ring: Waker,
    /// The task that the bell wakes, as it was last seen.
    task: Option<Waker>,
}

struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl<F: Future> Aside<F> {
    pub(super) fn new(future: F) -> Self {
        // Rung, since a future has to be polled once to know what it waits for.
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: Mutex::new(None) });
        let ring = Waker::from(Arc::clone(&bell));
        Self { future: Box::pin(future), bell, ring, task: None }
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            // Before the bell is looked at: whoever rings from now on wakes this task.
            *this.bell.task.lock() = Some(cx.waker().clone());
            this.task = Some(cx.waker().clone());
        }
        // A plain read first, as it is all that most polls come to.
        if !this.bell.rung.load(Ordering::Acquire) || !this.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.future.as_mut().poll(&mut Context::from_waker(&this.ring))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_asked_once_and_then_only_when_it_rings() {
        let (send, mut receive) = oneshot::channel();
        let asked = Cell::new(0);
        let mut aside = Aside::new(poll_fn(|cx| {
            asked.set(asked.get() + 1);
            receive.poll_unpin(cx)
        }));
        for _ in 0..3 {
            assert!((&mut aside).now_or_never().is_none());
        }
        assert_eq!(asked.get(), 1);
        send.send(7).expect("it is awaited");
        assert_eq!(aside.await, Ok(7));
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test]
    async fn it_wakes_the_task_that_waits_for_it() {
        let (send, receive) = oneshot::channel::<()>();
        let aside = Aside::new(receive);
        let waiting = tokio::spawn(aside);
        tokio::task::yield_now().await;
        send.send(()).expect("it is awaited");
        waiting.await.expect("the task ends").expect("it was sent");
    }
}
