//! What one core owns: its connections, its journal file, its buffers. Nothing here is shared, so
//! nothing here is locked.

mod deadlines;
mod turn;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio_util::task::TaskTracker;
use tollgate_accounting::ledger::{Appended, Entry, Journal, JournalError, Start, Writer};
use tollgate_accounting::stored::StoredResponses;
use tollgate_domain::{RequestId, UnixMillis};
use tollgate_telemetry::{AccessLine, AccessWriter, Outbox};

use crate::{
    live::Live,
    overload::{ProjectLoad, Shed},
    rejection::Rejection,
    series::{Nobody, SeriesCache},
    settle::Traced,
    snapshot::Snapshot,
    upstream::Pools,
};

use deadlines::Deadlines;
use turn::Turn;

pub(crate) use turn::Recorded;

/// When END must be on disk before an answer's last byte leaves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// In the page cache: survives the death of the process, not of the machine.
    #[default]
    Process,
    /// On disk: survives a loss of power.
    Power,
}

/// What the cores share.
pub struct Shared {
    /// The configuration in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What traffic and operators change.
    pub live: Arc<Live>,
    /// What providers keep, and for whom.
    pub responses: Arc<dyn StoredResponses>,
    /// The journal folder.
    pub journal: Arc<Journal>,
    /// When END must be on disk.
    pub durability: Durability,
    /// Answers of `/readyz`.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where requests of recorded traces are told, once they are over; nobody is told without it.
    pub spans: Option<Outbox<Box<Traced>>>,
    /// Called at named points of a request's way, so that tests can make a handler panic there.
    pub trap: Option<fn(&str)>,
}

pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pools: Pools,
    /// Connections and detached calls of this core; a drain waits for them.
    pub(crate) tasks: TaskTracker,
    pub(crate) series: RefCell<SeriesCache>,
    access: RefCell<Option<AccessWriter>>,
    pub(crate) nobody: Nobody,
    turn: Turn,
    random: RefCell<SmallRng>,
    leaving: Cell<bool>,
    cut: Cell<bool>,
    /// How often operators have told something to end, as far as this core has heard.
    cuts: Cell<u32>,
    streams: RefCell<Streams>,
    deadlines: RefCell<Deadlines>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, journal: Writer, access: Option<AccessWriter>) -> Self {
        Self {
            pools: Pools::default(),
            tasks: TaskTracker::new(),
            series: RefCell::default(),
            access: RefCell::new(access),
            nobody: Nobody::default(),
            turn: Turn::new(journal),
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            leaving: Cell::new(false),
            cut: Cell::new(false),
            cuts: Cell::new(shared.live.fleet.cuts()),
            streams: RefCell::default(),
            deadlines: RefCell::default(),
            shared,
        }
    }

    pub(crate) fn random(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    /// A number below `bound`, for jitter.
    pub(crate) fn jitter(&self, bound: u32) -> u32 {
        (self.random() % u64::from(bound.max(1))) as u32
    }

    /// Counts a request that there is no room for and gives its refusal: to come back in one to five seconds,
    /// not all at once.
    pub(crate) fn overloaded(&self, why: Shed) -> Rejection {
        self.series.borrow_mut().sheds().shed(why.as_str());
        Rejection::Overloaded { why, wait: self.come_back() }
    }

    /// When somebody who was refused for want of room is to come back: one to five seconds.
    pub(crate) fn come_back(&self) -> Duration {
        Duration::from_millis((1_000 + self.jitter(4_001)).into())
    }

    /// Nobody waits longer for a slot of an upstream.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.shared.snapshot.load().edge.longest_wait
    }

    pub(crate) fn new_id(&self, started: UnixMillis) -> RequestId {
        let random = u128::from(self.random()) << 64 | u128::from(self.random());
        RequestId::new(started, random)
    }

    /// Writes a START record by the end of the turn; refused when the journal is unwell or short of
    /// space. Nothing may go upstream before it is known to be written.
    pub(crate) fn record_start(&self, start: &Start<'_>) -> Recorded {
        self.turn.record_start(start)
    }

    /// Writes a row by the end of the turn. The client's last byte may not leave before it is known to be
    /// written.
    pub(crate) fn record_end(&self, entry: &Entry) -> Recorded {
        self.turn.record_end(entry)
    }

    /// Writes a row at once.
    pub(crate) fn write_end(&self, entry: &Entry) -> Result<Appended, JournalError> {
        self.turn.write_end(entry)
    }

    /// The task that writes what was gathered in a turn; it has no end of its own.
    pub(crate) async fn end_turns(self: Rc<Self>) {
        self.turn.end_each().await;
    }

    pub(crate) fn write_checkpoint(&self, id: RequestId, output_tokens: u64) {
        // Best effort: without it a crash charges by an older figure.
        let _ = self.turn.journal().checkpoint(id, output_tokens);
    }

    /// False while the journal is unwell, far behind, or short of space for what is in flight.
    pub(crate) fn can_record(&self) -> bool {
        self.turn.journal().admits(self.shared.live.gate.in_flight().into())
    }

    /// Ready once an END record is as durable as the configuration asks, or never will be.
    pub(crate) fn poll_durable(
        &self,
        appended: Appended,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NotDurable>> {
        if self.shared.durability == Durability::Process {
            return Poll::Ready(Ok(()));
        }
        let watch = self.turn.journal().durable();
        watch.register(appended, cx.waker());
        if watch.reached(appended) {
            Poll::Ready(Ok(()))
        } else if watch.failed() {
            Poll::Ready(Err(NotDurable))
        } else {
            Poll::Pending
        }
    }

    /// Writes an access line, where there is an access log.
    pub(crate) fn log_access(&self, line: &AccessLine<'_>) {
        if let Some(access) = self.access.borrow_mut().as_mut() {
            access.write(line);
        }
    }

    fn flush_access(&self) {
        if let Some(access) = self.access.borrow_mut().as_mut() {
            access.flush();
        }
    }

    /// The core has ended: what is gathered and buffered is written and handed on.
    pub(crate) fn finish(&self) {
        self.turn.end();
        self.flush_access();
    }

    /// A named point of a request's way, where a test may make the handler panic.
    pub(crate) fn trap(&self, point: &str) {
        if let Some(trap) = self.shared.trap {
            trap(point);
        }
    }

    /// True while a refusal of this project still gets a row of its own: not above a rate, and not
    /// from the space that rows of requests in flight may need.
    pub(crate) fn keeps_refusal(&self, project: &ProjectLoad, at: UnixMillis) -> bool {
        let second = at.get().div_euclid(1_000).unsigned_abs();
        self.turn.journal().has_room_to_spare() && project.keeps_refusal(second)
    }

    /// From now on every answer over HTTP/1.1 is the last of its connection.
    pub(crate) fn leave(&self) {
        self.leaving.set(true);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Ends every stream with an error event; at the end of a drain.
    pub(crate) fn cut_streams(&self) {
        self.cut.set(true);
        self.streams.borrow_mut().wake_all();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// How often operators have told something in flight to end.
    pub(crate) fn cuts(&self) -> u32 {
        self.cuts.get()
    }

    /// Wakes everything that waits once an operator has told something to end: each looks for itself.
    fn hear_of_cuts(&self) {
        let cuts = self.shared.live.fleet.cuts();
        if self.cuts.replace(cuts) != cuts {
            self.streams.borrow_mut().wake_all();
            self.deadlines.borrow_mut().wake_all();
        }
    }

    /// Remembers how to wake a stream that waits for its upstream.
    pub(crate) fn remember_stream(&self, place: &mut Option<usize>, waker: &Waker) {
        self.streams.borrow_mut().remember(place, waker);
    }

    pub(crate) fn forget_stream(&self, place: Option<usize>) {
        if let Some(place) = place {
            self.streams.borrow_mut().forget(place);
        }
    }

    /// What a core does now and then: old connections go, buffered lines are handed on, calls whose time is
    /// over are told.
    pub(crate) async fn housekeeping(self: Rc<Self>) {
        let mut ticks = 0u32;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.flush_access();
            self.deadlines.borrow_mut().look(Instant::now());
            self.hear_of_cuts();
            ticks = ticks.wrapping_add(1);
            if ticks.is_multiple_of(20) {
                self.pools.sweep(Instant::now(), self.shared.live.gate.memory.mark());
            }
        }
    }
}

/// A record that cannot be made durable any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotDurable;

/// Wakers of the streams of this core, by place.
#[derive(Default)]
struct Streams {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Streams {
    fn remember(&mut self, place: &mut Option<usize>, waker: &Waker) {
        let at = *place.get_or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.wakers.push(None);
                self.wakers.len() - 1
            })
        });
        match &mut self.wakers[at] {
            Some(known) => known.clone_from(waker),
            slot => *slot = Some(waker.clone()),
        }
    }

    fn forget(&mut self, place: usize) {
        self.wakers[place] = None;
        self.free.push(place);
    }

    fn wake_all(&mut self) {
        self.wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

/// The wall clock.
pub(crate) fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
