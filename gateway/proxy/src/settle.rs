//! Station 7: an exchange is accounted for, exactly once.
//!
//! A [`Trip`] is what an admitted request owns: its permits, its reservations, the story of its
//! attempts. Whichever way it ends (finished, upstream failed, client left, handler panicked,
//! process stopping) it is settled once: END in the journal, balances corrected, metrics and one
//! access line. Dropping a trip that nobody settled settles it too.

mod progress;
mod row;
mod shown;
mod spans;

use std::{rc::Rc, sync::Arc, time::Instant};

use smallvec::SmallVec;
use tollgate_accounting::{
    ledger::{Appended, Attempt, End, Entry, JournalError},
    price::Price,
    quota::{Actual, Headroom, Reservation},
};
use tollgate_dialect::{Dialect, Operation, Reported};
use tollgate_domain::{ModelAlias, Money, Name, Units, UnixMillis};

use crate::{
    caller::Caller,
    drill::Enlisted,
    edge::{Exchange, Fate, Tried, row_millis},
    intake::Prompt,
    overload::Presence,
    rejection::Rejection,
    snapshot::{Principal, Target, Waste},
    worker::{Recorded, Worker},
};

pub(crate) use progress::Progress;
pub(crate) use row::{refused, unknown_caller};
pub use spans::{Traced, TracedLeg};

use spans::Spans;

/// What every row of one configuration has in common.
#[derive(Clone)]
pub(crate) struct Stamp {
    pub(crate) currency: Name,
    pub(crate) config_version: u64,
    pub(crate) waste: Waste,
    /// Somebody is told of the spans of recorded traces.
    pub(crate) tells_spans: bool,
}

/// What is asked, as far as rows tell it.
pub(crate) struct Asked {
    pub(crate) alias: ModelAlias,
    /// The model that a budget put in its place.
    pub(crate) instead: Option<ModelAlias>,
    /// The model that it went to since it was too long for the other.
    pub(crate) larger: Option<ModelAlias>,
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    /// What the request asks for that is not counted in tokens.
    pub(crate) units: Units,
    /// The provider keeps the answer.
    pub(crate) stores: bool,
}

/// What an exchange brings to its admission.
pub(crate) struct Ticket {
    pub(crate) exchange: Exchange,
    pub(crate) caller: Caller,
    pub(crate) asked: Asked,
    pub(crate) stamp: Stamp,
    /// The prompt of a stream, kept to be counted if its provider never gets to state its figures.
    pub(crate) prompt: Option<Prompt>,
    pub(crate) fate: Rc<Fate>,
    /// Its part in a drill.
    pub(crate) drill: Option<Enlisted>,
}

/// How an exchange ended.
pub(crate) enum Exit {
    /// The whole answer is in hand, or its end mark has come.
    Completed(Reading),
    /// An upstream refused the request itself, and its words are passed on.
    RefusedUpstream { status: u16 },
    /// No attempt gave an answer.
    Failed { status: u16, code: &'static str },
    /// The answer broke after its first content.
    Broken { end: End, code: &'static str, reading: Reading },
    /// The client left.
    ClientGone(Reading),
    /// The process is stopping and cannot wait any longer, or a handler panicked.
    Internal(Reading),
}

/// What is known of the consumption.
#[derive(Default)]
pub(crate) struct Reading {
    /// The provider's own words, whole or so far.
    pub(crate) reported: Option<Reported>,
    /// Output tokens that passed, by the tokenizer; only where the provider did not have the last word.
    pub(crate) counted_output: Option<u64>,
}

/// What settlement gives back whose END is written with those of others.
pub(crate) struct Settling {
    /// END on its way into the journal.
    pub(crate) recorded: Recorded,
    /// What the call cost; `None` when unpriced.
    pub(crate) cost: Option<Money>,
}

/// The target that a call is with, or that has answered it.
pub(crate) struct Server {
    pub(crate) target: Arc<Target>,
    pub(crate) price: Option<Arc<Price>>,
    pub(crate) upstream_request_id: Option<Box<str>>,
}

/// An admitted request: owns its permits and reservations to the last byte.
pub(crate) struct Trip(Option<Box<Open>>);

struct Open {
    worker: Rc<Worker>,
    principal: Arc<Principal>,
    ticket: Ticket,
    reservation: Reservation,
    input_estimate: u64,
    input_is_lower_bound: bool,
    attempts: SmallVec<[Attempt; 1]>,
    /// The target that the call is, or was last, with.
    server: Option<Server>,
    /// How far that target has come with it, and so what it may bill.
    progress: Rc<Progress>,
    /// Another copy of the call that is on its way too.
    beside: Option<Box<Beside>>,
    /// Admission reserved for two copies.
    may_hedge: bool,
    /// The answer's status, once it is known.
    status: Option<u16>,
    ttft_ms: Option<u32>,
    /// Of a request whose trace is recorded.
    spans: Option<Box<Spans>>,
    _presence: Presence,
}

/// A copy of a call that is on its way beside the one that the trip is with.
struct Beside {
    server: Option<Server>,
    progress: Rc<Progress>,
    /// What is told of the one that began first, if nobody waits for an answer any more.
    story: Attempt,
    began: Instant,
}

impl Beside {
    fn cancelled(&self, now: Instant) -> Attempt {
        Attempt { duration_ms: row_millis(now.duration_since(self.began)), ..self.story.clone() }
    }
}

impl Trip {
    /// START is on its way into the journal: from here on exactly one settlement is owed.
    pub(crate) fn begin(
        worker: &Rc<Worker>,
        principal: &Arc<Principal>,
        ticket: Ticket,
        reservation: Reservation,
        (input_estimate, input_is_lower_bound): (u64, bool),
        presence: Presence,
    ) -> Self {
        let spans = Spans::of(ticket.caller.trace.as_ref(), ticket.stamp.tells_spans);
        Self(Some(Box::new(Open {
            worker: Rc::clone(worker),
            principal: Arc::clone(principal),
            ticket,
            reservation,
            input_estimate,
            input_is_lower_bound,
            attempts: SmallVec::new(),
            server: None,
            progress: Rc::default(),
            beside: None,
            may_hedge: false,
            status: None,
            ttft_ms: None,
            spans,
            _presence: presence,
        })))
    }

    fn open(&self) -> &Open {
        self.0.as_deref().expect("a trip is used only before it is settled")
    }

    fn open_mut(&mut self) -> &mut Open {
        self.0.as_deref_mut().expect("a trip is used only before it is settled")
    }

    pub(crate) fn exchange(&self) -> Exchange {
        self.open().ticket.exchange
    }

    pub(crate) fn worker(&self) -> &Rc<Worker> {
        &self.open().worker
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.open().ticket.asked
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.open().principal
    }

    /// Until the guard is dropped, the call ends when its client leaves.
    pub(crate) fn stays_with_its_client(&self) -> Attached {
        Attached::to(&self.open().ticket.fate)
    }

    /// The tightest limits, for the client's headers.
    pub(crate) fn headroom(&self) -> Headroom {
        self.open().reservation.headroom()
    }

    /// The answer is another model's, since the request was too long for the one that was asked for.
    pub(crate) fn went_over_to(&mut self, larger: &ModelAlias) {
        self.open_mut().ticket.asked.larger = Some(larger.clone());
    }

    /// This target is tried now, as the `n`th. Whoever sends it the request says so: from then on it may bill.
    pub(crate) fn tries(&mut self, server: Server, n: u16, now: Instant) -> Rc<Progress> {
        let open = self.open_mut();
        let after = now.duration_since(open.ticket.exchange.began);
        if let Some(spans) = &mut open.spans {
            spans.begins(n, &server.target, open.beside.is_some(), after);
        }
        open.server = Some(server);
        open.progress = Rc::default();
        Rc::clone(&open.progress)
    }

    /// True when what was reserved is enough for two copies of the call.
    pub(crate) fn may_hedge(&self) -> bool {
        self.open().may_hedge
    }

    /// Two copies of the call were reserved for.
    pub(crate) fn reserved_for_two(&mut self) {
        self.open_mut().may_hedge = true;
    }

    pub(crate) fn principal_for_good(&self) -> Arc<Principal> {
        Arc::clone(&self.open().principal)
    }

    /// The attempt that the trip is with, which began then, stays on its way while another begins.
    pub(crate) fn keeps_beside(&mut self, story: Attempt, began: Instant) {
        let open = self.open_mut();
        let (server, progress) = (open.server.take(), std::mem::take(&mut open.progress));
        open.beside = Some(Box::new(Beside { server, progress, story, began }));
    }

    /// The trip is with the other copy now, and this one beside it.
    pub(crate) fn turns_to_the_other(&mut self) {
        self.open_mut().turn();
    }

    /// The copy that the trip was with is over; it is with the other one, and none is beside it.
    pub(crate) fn turns_back(&mut self) {
        let open = self.open_mut();
        open.turn();
        open.beside = None;
    }

    /// The copy beside the one that the trip is with is given up, and this is its story; what it has cost
    /// is waste.
    pub(crate) fn loses_the_other(&mut self, story: Attempt) {
        self.open_mut().lose_beside(|_| story);
    }

    /// How often the call was tried, and where last.
    pub(crate) fn tried(&self) -> Tried {
        let open = self.open();
        let target = open.server.as_ref().map(|server| Arc::clone(&server.target));
        Tried { attempts: open.attempts.len(), target }
    }

    /// Writes the attempt that gave the answer into the story.
    pub(crate) fn attempted(&mut self, attempt: Attempt) {
        self.open_mut().attempts.push(attempt);
    }

    /// Writes an attempt that gave none into the story, with what it cost all the same: a target
    /// that broke off or fell silent may bill what it had read, unless no provider bills such a
    /// failure. What stands there as waste is not charged a second time, whatever follows.
    pub(crate) fn wasted(&mut self, attempt: Attempt, is_unbilled: bool) {
        self.open_mut().waste(attempt, is_unbilled);
    }

    /// The target has answered, with this status and its own id of the answer.
    pub(crate) fn answered(&mut self, status: u16, upstream_request_id: Option<Box<str>>) {
        let open = self.open_mut();
        open.status = Some(status);
        if let Some(server) = &mut open.server {
            server.upstream_request_id = upstream_request_id;
        }
    }

    /// The first content came at `now`.
    pub(crate) fn first_content(&mut self, now: Instant) {
        let open = self.open_mut();
        open.ttft_ms = Some(row_millis(now.duration_since(open.ticket.exchange.began)));
    }

    /// True once this trip was settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.0.is_none()
    }

    /// Settles a call that no attempt answered.
    pub(crate) fn fail(&mut self, rejection: &Rejection) {
        // The client is refused either way; a row that cannot be written is made by recovery.
        let _ = self.settle(Exit::Failed { status: rejection.status().as_u16(), code: rejection.code() });
    }

    /// Takes back what [`begin`](Self::begin) has begun, since START could not be written: nothing is
    /// reserved any more, and no settlement is owed.
    pub(crate) fn call_off(&mut self) {
        if let Some(open) = self.0.take() {
            let now = open.ticket.exchange.now();
            open.reservation.release(now);
        }
    }

    /// Settles the exchange and gives the place of its END, for those who must wait until it is on disk;
    /// a second call does nothing and is answered `None`.
    ///
    /// # Errors
    /// END could not be written. Balances are corrected all the same; the answer's last byte must
    /// not be released, and recovery makes the row.
    pub(crate) fn settle(&mut self, exit: Exit) -> Option<Result<Appended, JournalError>> {
        self.0.take().map(|open| open.settle(exit, Worker::write_end).0)
    }

    /// As [`settle`](Self::settle), but END is written by the end of the turn, with the records of other
    /// requests. The answer's last byte must wait for it.
    pub(crate) fn settle_with_others(&mut self, exit: Exit) -> Option<Settling> {
        let (recorded, cost) = self.0.take()?.settle(exit, Worker::record_end);
        Some(Settling { recorded, cost })
    }
}

/// A call that is not finished without its client for a while.
pub(crate) struct Attached {
    fate: Rc<Fate>,
    before: bool,
}

impl Attached {
    fn to(fate: &Rc<Fate>) -> Self {
        Self { fate: Rc::clone(fate), before: fate.detachable.replace(false) }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.fate.detachable.set(self.before);
    }
}

impl Drop for Trip {
    /// Nobody settled: the client left, or a handler panicked.
    fn drop(&mut self) {
        let Some(open) = &mut self.0 else { return };
        // Whatever the upstream answered, no client got it.
        open.status = None;
        let ours = std::thread::panicking() || open.worker.is_cut();
        let exit =
            if ours { Exit::Internal(Reading::default()) } else { Exit::ClientGone(Reading::default()) };
        // There is nobody left to tell an error to; recovery makes the row that could not be written.
        let _ = self.settle(exit);
    }
}

impl Open {
    /// Accounts for the exchange; `write` brings its row into the journal.
    fn settle<W>(
        mut self: Box<Self>,
        exit: Exit,
        write: impl FnOnce(&Worker, &Entry) -> W,
    ) -> (W, Option<Money>) {
        let now = self.ticket.exchange.now();
        self.lose_beside(|beside| beside.cancelled(now.mono));
        let trace = self.ticket.caller.trace.clone();
        let (entry, named) = row::entry(&mut self, exit, now.wall);
        let written = write(&self.worker, &entry);
        if let Some(drill) = self.ticket.drill.take() {
            drill.tell(&entry, &self.principal, self.ticket.exchange.began, now.mono);
        }
        let actual = Actual {
            input_tokens: entry.usage.input_tokens(),
            cached_input_tokens: entry.usage.cache_read,
            output_tokens: entry.usage.output_tokens(),
            cost: entry.cost.unwrap_or_default(),
        };
        self.reservation.settle(&actual, now);
        let told = (self.ticket.asked.operation.method(), trace.as_deref());
        row::publish(&self.worker, &entry, self.ticket.exchange, told);
        self.worker.shared.live.objectives.record(&entry);
        if let Some(server) = &self.server {
            shown::tell(&self.worker, &server.target, &entry, named.as_deref());
        }
        let cost = entry.cost;
        if let Some(spans) = self.spans.take() {
            let asked = (self.ticket.asked.dialect, self.ticket.asked.operation);
            spans.tell(&self.worker, entry, asked, self.ticket.exchange, now.mono);
        }
        (written, cost)
    }

    fn waste(&mut self, mut attempt: Attempt, is_unbilled: bool) {
        if !is_unbilled {
            let bill = row::waste(self);
            attempt.waste = bill.cost;
            attempt.meters = bill.meters.into_iter().collect();
        }
        self.progress = Rc::default();
        self.attempts.push(attempt);
    }

    /// Changes places with the copy beside.
    fn turn(&mut self) {
        if let Some(beside) = &mut self.beside {
            std::mem::swap(&mut self.server, &mut beside.server);
            std::mem::swap(&mut self.progress, &mut beside.progress);
        }
    }

    /// The copy beside, if there is one, is waste from now on.
    fn lose_beside(&mut self, story: impl FnOnce(&Beside) -> Attempt) {
        self.turn();
        // What the trip was with stands there now, for as long as the other one's figures are taken.
        let Some(mut mine) = self.beside.take() else { return };
        self.waste(story(&mine), false);
        std::mem::swap(&mut self.server, &mut mine.server);
        std::mem::swap(&mut self.progress, &mut mine.progress);
    }

    /// The consumption that is charged, and where its figures come from.
    fn consumption(&self, reading: &Reading, whole: bool) -> row::Consumption {
        let input = || match &self.ticket.prompt {
            Some(prompt) => tollgate_dialect::count_input(&prompt.bytes).min(self.input_estimate),
            None => self.input_estimate,
        };
        row::Consumption::of(reading, whole, &self.ticket.asked, &self.progress, input)
    }
}

/// Everything that a refusal's row tells.
pub(crate) struct RefusedCall<'a> {
    pub(crate) exchange: Exchange,
    pub(crate) principal: &'a Principal,
    pub(crate) caller: Caller,
    pub(crate) model: ModelAlias,
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    pub(crate) stamp: Stamp,
    pub(crate) rejection: &'a Rejection,
    /// As the caller's dialect has it.
    pub(crate) status: u16,
    pub(crate) at: UnixMillis,
}
