//! A queue with a bound between the cores and whoever tells others of what they did.
//!
//! Cores never wait: what finds no room is dropped and counted. Nobody sleeps on the other end, so that
//! nobody has to be woken by a request either: it is emptied now and then.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use metrics::{Counter, Label};

use crate::catalogue::DROPPED;

/// The cores' end.
pub struct Outbox<T> {
    queue: SyncSender<T>,
    dropped: Losses,
}

/// The other end.
pub struct Inbox<T> {
    queue: Receiver<T>,
    dropped: Losses,
}

/// Counts what could not be told, under the name of its signal.
#[derive(Clone)]
pub struct Losses(Counter);

/// A queue with room for so many things of this signal.
#[must_use]
pub fn outbox<T>(signal: &'static str, room: usize) -> (Outbox<T>, Inbox<T>) {
    let (sender, receiver) = sync_channel(room);
    let dropped = Losses::of(signal);
    (Outbox { queue: sender, dropped: dropped.clone() }, Inbox { queue: receiver, dropped })
}

impl<T> Outbox<T> {
    /// Puts something into the queue that stands for so many records; without room they are lost.
    pub fn offer(&self, item: T, records: u64) {
        if self.queue.try_send(item).is_err() {
            self.dropped.count(records);
        }
    }
}

impl<T> Inbox<T> {
    /// The oldest thing in the queue, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// What is lost on the way from here.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.dropped
    }
}

impl Losses {
    /// The counter of a signal, which is seen from now on.
    #[must_use]
    pub fn of(signal: &'static str) -> Self {
        Self(DROPPED.counter(vec![Label::from_static_parts("signal", signal)]))
    }

    /// So many records are lost.
    pub fn count(&self, records: u64) {
        self.0.increment(records);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exposition;

    #[test]
    fn what_finds_no_room_is_counted_and_what_found_some_is_kept() {
        let exposition = Exposition::new();
        let (outbox, inbox) = exposition.scope(|| outbox("traces", 2));
        (1..=5).for_each(|number| outbox.offer(number, 10));
        assert_eq!([inbox.take(), inbox.take(), inbox.take()], [Some(1), Some(2), None]);
        outbox.offer(6, 10);
        assert_eq!(inbox.take(), Some(6), "there is room again");
        inbox.losses().count(3);
        let text = exposition.render();
        assert!(text.contains("tollgate_telemetry_dropped_total{signal=\"traces\"} 33\n"), "{text}");
    }
}
