//! A committed stream: events pass as the bytes that came, a meter reads along, and whichever way it
//! ends it ends in the open.
//!
//! The unit is a whole event. What one read brought leaves in one write; only the unfinished tail of
//! an event waits for its rest, so that a stream which breaks never ends in half a sentence of JSON.

mod clock;
mod outgoing;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::body::Incoming;
use tollgate_accounting::ledger::{Appended, End};
use tollgate_dialect::{
    ErrorFace, Fault, Frames, SeenKind, StreamReader, StreamTranslation, error_message_of_event,
};
use tollgate_domain::{RequestId, Usage};

use crate::{
    failover::{Stream, Visit},
    settle::{Exit, Reading, Trip},
    upstream::Exchange,
    worker::Worker,
};

use clock::{Due, StreamClock};
use outgoing::Outgoing;

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
        self.visit.finished(Instant::now());
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
            self.clock.waits_for_the_tail(Instant::now());
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
        self.visit.said(fault, now);
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
        match how {
            Breakage::Cut => self.visit.was_cut(),
            Breakage::Truncated | Breakage::Damaged | Breakage::Stalled => {
                self.visit.broke(outcome, Instant::now());
            }
        }
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
        if self.visit.is_cut() {
            self.broke(Breakage::Cut);
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
    /// An operator ends what is in flight there.
    Cut,
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
            Self::Cut => (
                End::UpstreamFailed,
                "upstream_truncated",
                "cut",
                "an operator took the upstream out of service in the middle of its answer",
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
