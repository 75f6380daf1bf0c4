//! How long a stream may be silent, towards whom.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use crate::snapshot::Timeouts;

/// How long an upstream may take to end its body after its end mark; some servers add an event.
const TAIL_PATIENCE: Duration = Duration::from_secs(1);

/// What it is time for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// The client has heard nothing for a while.
    Heartbeat,
    /// The stream has run out of time.
    End,
}

/// The silences of a stream. Each chunk only notes the time; the timer is looked at when it fires.
pub(super) struct StreamClock {
    timeouts: Timeouts,
    deadline: Instant,
    last_byte: Instant,
    last_content: Instant,
    /// The client got something.
    last_sent: Instant,
    tail_until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl StreamClock {
    pub(super) fn new(timeouts: Timeouts, began: Instant, now: Instant) -> Self {
        let deadline = began + timeouts.stream_total;
        Self {
            timeouts,
            deadline,
            last_byte: now,
            last_content: now,
            last_sent: now,
            tail_until: None,
            timer: None,
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.last_byte = now;
    }

    pub(super) fn said_something(&mut self, now: Instant) {
        self.last_content = now;
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// The end mark has come; whatever still follows may take so long.
    pub(super) fn waits_for_the_tail(&mut self, now: Instant) {
        self.tail_until = Some(now + TAIL_PATIENCE);
    }

    fn end(&self) -> Instant {
        let silence = self.last_byte + self.timeouts.byte_idle;
        let emptiness = self.last_content + self.timeouts.content_idle;
        self.tail_until.unwrap_or_else(|| silence.min(emptiness).min(self.deadline))
    }

    /// When the client is to hear something; not any more when only the upstream's last bytes are awaited.
    fn heartbeat(&self) -> Option<Instant> {
        let wanted = !self.timeouts.heartbeat.is_zero() && self.tail_until.is_none();
        wanted.then(|| self.last_sent + self.timeouts.heartbeat)
    }

    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let end = self.end();
        let due = self.heartbeat().map_or(end, |heartbeat| heartbeat.min(end));
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        // The timer may stand earlier than needed; it is moved only when it fires or must fire sooner.
        if timer.deadline().into_std() > due {
            timer.as_mut().reset(due.into());
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = tokio::time::Instant::now().into_std();
            if now >= due {
                return Poll::Ready(if now >= end { Due::End } else { Due::Heartbeat });
            }
            timer.as_mut().reset(due.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock of a stream that began now; only the heartbeat is other than usual.
    fn clock(heartbeat: Duration) -> StreamClock {
        let now = tokio::time::Instant::now().into_std();
        StreamClock::new(Timeouts { heartbeat, ..Timeouts::default() }, now, now)
    }

    /// What is due next, and after how many seconds from the beginning.
    async fn next(clock: &mut StreamClock, began: tokio::time::Instant) -> (Due, u64) {
        let due = std::future::poll_fn(|cx| clock.poll_due(cx)).await;
        clock.sent(tokio::time::Instant::now().into_std());
        (due, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_beats_until_it_has_stalled() {
        let began = tokio::time::Instant::now();
        let mut clock = clock(Duration::from_secs(15));
        for seconds in [15, 30, 45] {
            assert_eq!(next(&mut clock, began).await, (Due::Heartbeat, seconds));
        }
        assert_eq!(next(&mut clock, began).await, (Due::End, 60), "silence ends a stream as it always did");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_puts_the_next_heartbeat_off() {
        let began = tokio::time::Instant::now();
        let mut clock = clock(Duration::from_secs(15));
        tokio::time::advance(Duration::from_secs(10)).await;
        let now = tokio::time::Instant::now().into_std();
        clock.heard(now);
        clock.said_something(now);
        clock.sent(now);
        assert_eq!(next(&mut clock, began).await, (Due::Heartbeat, 25));
        // An upstream that says what the client does not hear keeps the stream, and no heartbeat back.
        clock.heard(tokio::time::Instant::now().into_std());
        assert_eq!(next(&mut clock, began).await, (Due::Heartbeat, 40));
    }

    #[tokio::test(start_paused = true)]
    async fn no_heartbeat_is_due_where_none_is_wanted_or_the_stream_is_said() {
        let began = tokio::time::Instant::now();
        assert_eq!(next(&mut clock(Duration::ZERO), began).await, (Due::End, 60));
        let mut ended = clock(Duration::from_millis(1));
        ended.waits_for_the_tail(tokio::time::Instant::now().into_std());
        assert_eq!(next(&mut ended, began).await, (Due::End, 61));
    }
}
