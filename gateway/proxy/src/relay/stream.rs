//! A committed stream: events pass as the bytes that came, a meter reads along, and whichever way it
//! ends it ends in the open.
//!
//! The unit is a whole event. What one read brought leaves in one write; only the unfinished tail of
//! an event waits for its rest, so that a stream which breaks never ends in half a sentence of JSON.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::body::Incoming;
use tokio::time::Sleep;
use tollgate_accounting::ledger::{Appended, End};
use tollgate_dialect::{
    ErrorFace, Fault, Frames, SeenKind, StreamReader, StreamTranslation, error_message_of_event,
};
use tollgate_domain::{RequestId, Usage};

use crate::{
    failover::{Stream, Visit},
    settle::{Exit, Reading, Trip},
    snapshot::Timeouts,
    upstream::Exchange,
    worker::Worker,
};

/// How long an upstream may take to end its body after its end mark; some servers add an event.
const TAIL_PATIENCE: Duration = Duration::from_secs(1);
/// A crash loses no more of a stream's count than this.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
const CHECKPOINT_TOKENS: u64 = 256;
/// Bytes of text per token, for checkpoints only; settlement counts with the tokenizer.
const BYTES_PER_TOKEN: u64 = 4;

pub(super) struct StreamBody {
    trip: Trip,
    id: RequestId,
    worker: Rc<Worker>,
    visit: Visit,
    upstream: Option<(Exchange, Incoming)>,
    splitter: Frames,
    reader: StreamReader,
    /// Into the client's dialect, where the target speaks another.
    translation: Option<StreamTranslation>,
    out: Outgoing,
    phase: Phase,
    clock: StreamClock,
    /// What a client of this dialect steps over.
    heartbeat: Option<&'static [u8]>,
    checkpoint: (Instant, u64),
    /// Where this stream's waker is kept.
    place: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Flowing,
    /// Settled; END is on its way to the disk, and the end mark waits for it.
    Syncing(Appended),
    /// Settled; whatever the upstream still adds passes.
    Tail,
    Over,
}

impl StreamBody {
    pub(super) fn new(trip: Trip, stream: Stream, visit: Visit) -> Self {
        let now = Instant::now();
        let worker = Rc::clone(trip.worker());
        let timeouts = visit.target().upstream.timeouts;
        let mut body = Self {
            id: trip.exchange().id,
            clock: StreamClock::new(timeouts, trip.exchange().began, now),
            heartbeat: trip.asked().dialect.codec().heartbeat(),
            trip,
            worker,
            visit,
            upstream: Some((stream.exchange, stream.body)),
            splitter: stream.splitter,
            reader: stream.reader,
            translation: stream.translation,
            out: Outgoing::default(),
            phase: Phase::Flowing,
            checkpoint: (now, 0),
            place: None,
        };
        for event in stream.held {
            body.send(event);
        }
        if let Some((kind, event)) = stream.last {
            body.pass(kind, event, now);
        }
        body.read_events(now);
        body
    }

    /// The next bytes for the client; `None` at the end of the body.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match catch_unwind(AssertUnwindSafe(|| self.step(cx))) {
            Ok(next) => next,
            Err(_) => {
                tracing::error!(request_id = %self.id, "a stream's relay panicked");
                let reading = self.partial();
                self.fail(Exit::Internal(reading), "internal", "internal error");
                Poll::Ready(self.out.pop())
            }
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.out.pop() {
                return Poll::Ready(Some(bytes));
            }
            match self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Syncing(appended) => {
                    let synced = ready!(self.worker.poll_durable(appended, cx));
                    self.synced(synced.is_ok());
                    continue;
                }
                Phase::Flowing | Phase::Tail => {}
            }
            match self.poll_upstream(cx) {
                Poll::Ready(Some(Ok(chunk))) => self.take(chunk),
                Poll::Ready(Some(Err(_))) => self.broke(Breakage::Truncated),
                Poll::Ready(None) => self.upstream_ended(cx),
                Poll::Pending if self.is_overdue(cx) => {}
                Poll::Pending => {
                    self.worker.remember_stream(&mut self.place, cx.waker());
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        let Some((exchange, body)) = &mut self.upstream else { return Poll::Ready(None) };
        loop {
            match ready!(exchange.poll_frame(body, cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    fn take(&mut self, chunk: Bytes) {
        let now = Instant::now();
        self.clock.heard(now);
        self.out.began(chunk.clone());
        self.splitter.push(chunk);
        self.worker.trap("relayed");
        self.read_events(now);
        if self.out.has_more() {
            self.clock.sent(now);
        }
        self.write_checkpoint(now);
    }

    fn read_events(&mut self, now: Instant) {
        while self.phase != Phase::Over
            && let Some(event) = self.splitter.next()
        {
            if self.splitter.is_raw() || self.phase != Phase::Flowing {
                self.pass_unread(event);
                continue;
            }
            let seen = self.reader.event(&event);
            if !seen.hide {
                self.pass(seen.kind, event, now);
            }
        }
    }

    fn pass(&mut self, kind: SeenKind, event: Bytes, now: Instant) {
        match kind {
            SeenKind::Prelude | SeenKind::Finish => self.send(event),
            SeenKind::Content => {
                self.clock.said_something(now);
                self.send(event);
            }
            SeenKind::End => {
                if self.complete() {
                    self.send(event);
                    self.send_end();
                }
            }
            SeenKind::Error(fault) => self.upstream_said(fault, event, now),
            SeenKind::Broken => self.broke(Breakage::Damaged),
        }
    }

    /// Sends an event as it came, or what it is in the client's dialect.
    fn send(&mut self, event: Bytes) {
        match &mut self.translation {
            None => self.out.push(event),
            Some(translation) => self.out.push(translation.event(&event).into()),
        }
    }

    /// Sends the end of a translated stream; otherwise the upstream's own end mark is the end.
    fn send_end(&mut self) {
        let Some(translation) = &mut self.translation else { return };
        let stated = self.reader.reported().and_then(|reported| reported.usage);
        let usage =
            stated.unwrap_or_else(|| Usage { output_text: self.reader.count_output(), ..Usage::default() });
        self.out.push(translation.finish(Some(&usage)).into());
    }

    /// What is not read cannot be translated: behind the end it means nothing, before it the answer
    /// would have a hole.
    fn pass_unread(&mut self, piece: Bytes) {
        match (&self.translation, self.phase) {
            _ if piece.is_empty() => {}
            (None, _) => self.out.push(piece),
            (Some(_), Phase::Flowing) => self.broke(Breakage::Truncated),
            (Some(_), _) => {}
        }
    }

    /// Settles a whole stream. Only then may its end mark leave; false when it may not.
    fn complete(&mut self) -> bool {
        let reported = self.reader.reported().cloned();
        let states_usage = reported.as_ref().is_some_and(|reported| reported.usage.is_some());
        let counted_output = if states_usage { None } else { Some(self.reader.count_output()) };
        let exit = Exit::Completed(Reading { reported, counted_output });
        match self.trip.settle(exit) {
            Some(Ok(appended)) => {
                self.out.hold_back();
                self.phase = Phase::Syncing(appended);
                true
            }
            Some(Err(_)) => {
                self.end_with_error("meter_backpressure", "the request could not be metered");
                false
            }
            None => true,
        }
    }

    /// END is on disk, or cannot be.
    fn synced(&mut self, ok: bool) {
        if ok {
            self.out.release();
            self.clock.tail_until = Some(Instant::now() + TAIL_PATIENCE);
            self.phase = Phase::Tail;
        } else {
            self.out.drop_held();
            self.end_with_error("meter_backpressure", "the request could not be metered");
        }
    }

    fn upstream_said(&mut self, fault: Fault, event: Bytes, now: Instant) {
        match self.translation {
            // The upstream's own words keep their bytes in its own dialect.
            None => {
                self.out.push(event);
                self.out.push(Bytes::from_static(self.reader.closing()));
            }
            Some(_) => {
                let said = error_message_of_event(&event);
                let ours = "the upstream failed in the middle of its answer";
                self.write_error("upstream_error", said.as_deref().unwrap_or(ours));
            }
        }
        if !matches!(fault, Fault::Request | Fault::ContextLength | Fault::ContentFilter) {
            self.visit.broke("error_event", now);
        }
        let exit = Exit::Broken { end: End::UpstreamFailed, code: "upstream_error", reading: self.partial() };
        let _ = self.trip.settle(exit);
        self.close();
    }

    fn upstream_ended(&mut self, cx: &mut Context<'_>) {
        let rest = self.splitter.rest();
        if self.phase == Phase::Flowing && !rest.is_empty() {
            // Some servers leave the last blank line out.
            let seen = self.reader.event(&rest);
            match seen.kind {
                // A frame that states its length was torn, whatever stood before it.
                SeenKind::Broken => return self.broke(Breakage::Truncated),
                SeenKind::Prelude => {}
                _ if seen.hide => {}
                kind => self.pass(kind, rest, Instant::now()),
            }
        } else {
            self.pass_unread(rest);
        }
        if self.phase == Phase::Flowing {
            if !self.reader.finished() {
                return self.broke(Breakage::Truncated);
            }
            if !self.complete() {
                return;
            }
            self.send_end();
        }
        if let Some((exchange, _)) = self.upstream.take()
            && let Some(connection) = exchange.poll_release(cx)
        {
            self.worker.pools.put(&self.visit.target().upstream, connection);
        }
        if self.phase == Phase::Tail {
            self.phase = Phase::Over;
        }
    }

    /// The stream broke after its first content: it says so, and never looks complete.
    fn broke(&mut self, how: Breakage) {
        if self.phase != Phase::Flowing {
            return self.close();
        }
        let (end, code, outcome, message) = how.told();
        self.visit.broke(outcome, Instant::now());
        let reading = self.partial();
        self.fail(Exit::Broken { end, code, reading }, code, message);
    }

    fn fail(&mut self, exit: Exit, code: &str, message: &str) {
        if !self.trip.is_settled() {
            // If its row cannot be written, recovery makes it; the client is told either way.
            let _ = self.trip.settle(exit);
            self.end_with_error(code, message);
        } else {
            self.close();
        }
    }

    fn end_with_error(&mut self, code: &str, message: &str) {
        self.write_error(code, message);
        self.close();
    }

    fn write_error(&mut self, code: &str, message: &str) {
        let id = self.id.to_string();
        let face = ErrorFace { status: 502, code, message, param: None, request_id: &id };
        let event = match &mut self.translation {
            None => self.reader.error_event(&face),
            Some(translation) => translation.error(&face),
        };
        self.out.push(event.into());
    }

    fn close(&mut self) {
        self.upstream = None;
        self.phase = Phase::Over;
    }

    /// What is known of an answer that did not end well.
    fn partial(&mut self) -> Reading {
        Reading {
            reported: self.reader.reported().cloned(),
            counted_output: Some(self.reader.count_output()),
        }
    }

    /// Acts on whatever time has run out; true when something changed.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        if self.worker.is_cut() {
            let reading = self.partial();
            self.fail(Exit::Internal(reading), "internal", "the gateway is shutting down");
            return true;
        }
        match self.clock.poll_due(cx) {
            Poll::Pending => return false,
            Poll::Ready(Due::Heartbeat) => self.beat(),
            Poll::Ready(Due::End) => self.broke(Breakage::Stalled),
        }
        true
    }

    /// Tells the client that its stream is alive. Inside an event that passes in pieces nothing can be said.
    fn beat(&mut self) {
        self.clock.sent(tokio::time::Instant::now().into_std());
        if let Some(heartbeat) = self.heartbeat.filter(|_| !self.splitter.is_raw()) {
            self.out.push(Bytes::from_static(heartbeat));
        }
    }

    fn write_checkpoint(&mut self, now: Instant) {
        let tokens = self.reader.output_bytes() / BYTES_PER_TOKEN;
        let (at, before) = self.checkpoint;
        if tokens >= before + CHECKPOINT_TOKENS && now.duration_since(at) >= CHECKPOINT_EVERY {
            self.worker.write_checkpoint(self.id, tokens);
            self.checkpoint = (now, tokens);
        }
    }
}

/// How a stream breaks without a word from its upstream.
#[derive(Clone, Copy)]
enum Breakage {
    /// It ended before its end.
    Truncated,
    /// Bytes came that are no event.
    Damaged,
    /// Nothing came any more.
    Stalled,
}

impl Breakage {
    /// How its row ends, the code, the outcome of the attempt, and the words for the client.
    const fn told(self) -> (End, &'static str, &'static str, &'static str) {
        match self {
            Self::Truncated => (
                End::Truncated,
                "upstream_truncated",
                "truncated",
                "the upstream closed the connection in the middle of its answer",
            ),
            Self::Damaged => (
                End::Truncated,
                "upstream_truncated",
                "damaged",
                "the upstream's answer was damaged on its way and cannot be read further",
            ),
            Self::Stalled => (
                End::Stalled,
                "upstream_stalled",
                "stalled",
                "the upstream stopped sending in the middle of its answer",
            ),
        }
    }
}

impl Drop for StreamBody {
    /// The client left, or its connection's task panicked.
    fn drop(&mut self) {
        self.worker.forget_stream(self.place);
        if self.trip.is_settled() {
            return;
        }
        let reading = self.partial();
        let exit = if std::thread::panicking() { Exit::Internal(reading) } else { Exit::ClientGone(reading) };
        // There is nobody left to tell an error to.
        let _ = self.trip.settle(exit);
    }
}

/// What waits to be sent. Neighbouring events of one chunk are sent as one piece.
#[derive(Default)]
struct Outgoing {
    queue: VecDeque<Bytes>,
    /// From the end mark on, until the record is durable.
    held: Option<VecDeque<Bytes>>,
    /// The chunk that the splitter cuts events from.
    chunk: Bytes,
    /// The part of it that is passed on next.
    run: Option<(usize, usize)>,
}

impl Outgoing {
    fn began(&mut self, chunk: Bytes) {
        self.end_run();
        self.chunk = chunk;
    }

    fn push(&mut self, event: Bytes) {
        if event.is_empty() {
            return;
        }
        match (self.place_in_chunk(&event), self.run) {
            (Some((start, end)), Some((first, last))) if start == last => self.run = Some((first, end)),
            (Some(place), _) => {
                self.end_run();
                self.run = Some(place);
            }
            (None, _) => {
                self.end_run();
                self.target().push_back(event);
            }
        }
    }

    /// Where an event lies in the chunk, if it is a slice of it and not a copy.
    fn place_in_chunk(&self, event: &Bytes) -> Option<(usize, usize)> {
        let start = event.as_ptr().addr().checked_sub(self.chunk.as_ptr().addr())?;
        let end = start.checked_add(event.len())?;
        (end <= self.chunk.len()).then_some((start, end))
    }

    fn end_run(&mut self) {
        if let Some((start, end)) = self.run.take() {
            let piece = self.chunk.slice(start..end);
            self.target().push_back(piece);
        }
    }

    fn target(&mut self) -> &mut VecDeque<Bytes> {
        self.held.as_mut().unwrap_or(&mut self.queue)
    }

    /// From now on, nothing leaves until [`release`](Self::release).
    fn hold_back(&mut self) {
        self.end_run();
        self.held = Some(VecDeque::new());
    }

    fn release(&mut self) {
        self.end_run();
        if let Some(held) = self.held.take() {
            self.queue.extend(held);
        }
    }

    fn drop_held(&mut self) {
        self.run = None;
        self.held = None;
    }

    /// True when something waits that may leave.
    fn has_more(&self) -> bool {
        !self.queue.is_empty() || (self.held.is_none() && self.run.is_some())
    }

    fn pop(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.queue.pop_front() {
            return Some(bytes);
        }
        if self.held.is_some() {
            return None;
        }
        let (start, end) = self.run.take()?;
        Some(self.chunk.slice(start..end))
    }
}

/// What it is time for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Due {
    /// The client has heard nothing for a while.
    Heartbeat,
    /// The stream has run out of time.
    End,
}

/// The silences of a stream. Each chunk only notes the time; the timer is looked at when it fires.
struct StreamClock {
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
    fn new(timeouts: Timeouts, began: Instant, now: Instant) -> Self {
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

    fn heard(&mut self, now: Instant) {
        self.last_byte = now;
    }

    fn said_something(&mut self, now: Instant) {
        self.last_content = now;
    }

    fn sent(&mut self, now: Instant) {
        self.last_sent = now;
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

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
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

    fn outgoing(chunk: &'static [u8]) -> (Outgoing, Bytes) {
        let chunk = Bytes::from_static(chunk);
        let mut out = Outgoing::default();
        out.began(chunk.clone());
        (out, chunk)
    }

    #[test]
    fn neighbouring_events_of_one_chunk_leave_in_one_piece() {
        let (mut out, chunk) = outgoing(b"aabbcc");
        out.push(chunk.slice(0..2));
        out.push(chunk.slice(2..4));
        out.push(chunk.slice(4..6));
        assert_eq!(out.pop().as_deref(), Some(&b"aabbcc"[..]));
        assert_eq!(out.pop(), None);
    }

    #[test]
    fn a_hidden_event_splits_the_piece() {
        let (mut out, chunk) = outgoing(b"aabbcc");
        out.push(chunk.slice(0..2));
        out.push(chunk.slice(4..6));
        out.push(Bytes::from_static(b"elsewhere"));
        let pieces: Vec<_> = std::iter::from_fn(|| out.pop()).collect();
        assert_eq!(pieces, [&b"aa"[..], b"cc", b"elsewhere"]);
    }

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
        ended.tail_until = Some(tokio::time::Instant::now().into_std() + TAIL_PATIENCE);
        assert_eq!(next(&mut ended, began).await, (Due::End, 61));
    }

    #[test]
    fn what_is_held_back_leaves_only_when_released() {
        let (mut out, chunk) = outgoing(b"aabb");
        out.push(chunk.slice(0..2));
        out.hold_back();
        out.push(chunk.slice(2..4));
        assert_eq!(out.pop().as_deref(), Some(&b"aa"[..]));
        assert_eq!(out.pop(), None);
        out.release();
        assert_eq!(out.pop().as_deref(), Some(&b"bb"[..]));
    }
}
