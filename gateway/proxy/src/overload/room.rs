//! The waiting room of an upstream: who finds all its slots taken waits a little for the next one.
//!
//! An upstream never has more requests in flight than its `max_concurrency`. Two can wait for each slot,
//! for half a second at most; who finds no place, or waits in vain, is refused. Whoever ends hands its
//! slot to the next in the [line](super::line), so that nobody overtakes; and a slot belongs to a value,
//! so that one handed to somebody who has just left goes on to the next.
//!
//! Nobody waits longer than a call there usually takes: in that time every slot changes hands once, so
//! that whoever has its share is served, and what is served late in an overload takes twice as long as
//! usual and not longer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    Shed,
    law::{Pool, Priority},
    line::{Line, Next, Place},
    project::Standing,
};
use crate::{live::UpstreamLive, snapshot::Upstream};

/// The slots of an upstream with a bound. The lock is held for some dozens of nanoseconds, longer only
/// where many wait.
#[derive(Default)]
pub(crate) struct Room {
    line: Mutex<Line<oneshot::Sender<Seat>>>,
    usual: Usual,
}

/// How long a slot is usually held: a running mean in µs, zero before the first was given back.
#[derive(Default)]
struct Usual(AtomicU64);

/// Each call counts an eighth.
const WEIGHT: u64 = 8;
/// Below this, waiting is no matter of how long calls take but of how late timers are.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

impl Usual {
    /// Two cores may lose one of two samples, which a mean can bear.
    fn took(&self, held: Duration) {
        let held = u64::try_from(held.as_micros()).unwrap_or(u64::MAX / WEIGHT).clamp(1, u64::MAX / WEIGHT);
        let mean = match self.0.load(Ordering::Relaxed) {
            0 => held,
            mean => mean - mean / WEIGHT + held / WEIGHT,
        };
        self.0.store(mean, Ordering::Relaxed);
    }

    /// How long a wait for a slot may last; no bound before anything is known.
    fn wait(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => Duration::MAX,
            mean => Duration::from_micros(mean).max(SHORTEST_WAIT),
        }
    }
}

impl Room {
    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.line.lock().waiting()
    }

    /// How long somebody who lines up now may wait.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.usual.wait()
    }

    /// Slots that are taken.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u32 {
        self.line.lock().taken()
    }
}

/// One of an upstream's slots; dropped, it goes to the next who waits.
pub(crate) struct Seat {
    upstream: Arc<UpstreamLive>,
    pools: Pools,
    project: u32,
    priority: Priority,
    since: Instant,
}

/// The slots of an upstream, and the places to wait for them.
#[derive(Clone, Copy, Debug)]
struct Pools {
    slots: Pool,
    places: Pool,
}

impl Pools {
    fn of(slots: u32, standing: &Standing) -> Self {
        Self {
            slots: Pool::with_queue(slots, standing.crowd),
            places: Pool::with_queue(slots.saturating_mul(2), standing.crowd),
        }
    }
}

impl Seat {
    /// Takes a slot at once, of an upstream that has a bound; nothing where there is none.
    ///
    /// # Errors
    /// There is no slot for this request now.
    pub(crate) fn find(upstream: &Upstream, standing: &Standing) -> Result<Option<Self>, Shed> {
        Self::at(&upstream.live, upstream.max_concurrency, standing)
    }

    /// Takes one of so many slots at once; nothing where there is no bound.
    ///
    /// # Errors
    /// There is no slot for this request now.
    pub(crate) fn at(
        upstream: &Arc<UpstreamLive>,
        slots: Option<u32>,
        standing: &Standing,
    ) -> Result<Option<Self>, Shed> {
        let Some(slots) = slots else { return Ok(None) };
        let pools = Pools::of(slots, standing);
        let (project, priority) = (standing.project.number, standing.priority);
        upstream.room.line.lock().enter(pools.slots, project, priority)?;
        Ok(Some(Self::taken(Arc::clone(upstream), pools, project, priority)))
    }

    /// Waits for a slot, so long and not longer than a call there usually takes.
    ///
    /// # Errors
    /// There is no place to wait, or no slot became free in time.
    ///
    /// # Cancel safety
    /// Dropping the future gives the place up, and a slot that it was given on its way out too.
    pub(crate) async fn wait(
        upstream: &Upstream,
        standing: &Standing,
        patience: Duration,
    ) -> Result<Option<Self>, Shed> {
        let mut turn = match Self::line_up(upstream, standing)? {
            InLine::Served(seat) => return Ok(seat),
            InLine::Waits(turn) => turn,
        };
        let patience = patience.min(upstream.live.room.longest_wait());
        match timeout(patience, &mut turn.slot).await {
            Ok(Ok(seat)) => Ok(Some(seat)),
            Ok(Err(_)) | Err(_) => Err(Shed::WaitedInVain),
        }
    }

    /// Takes a slot at once, or a place to wait for the next one.
    ///
    /// # Errors
    /// There is no place to wait.
    pub(crate) fn line_up(upstream: &Upstream, standing: &Standing) -> Result<InLine, Shed> {
        let Some(slots) = upstream.max_concurrency else { return Ok(InLine::Served(None)) };
        let pools = Pools::of(slots, standing);
        let (project, priority) = (standing.project.number, standing.priority);
        let (sender, slot) = oneshot::channel();
        let upstream = Arc::clone(&upstream.live);
        let mut line = upstream.room.line.lock();
        // One may have become free since it was looked for.
        if line.enter(pools.slots, project, priority).is_ok() {
            drop(line);
            return Ok(InLine::Served(Some(Self::taken(upstream, pools, project, priority))));
        }
        let place = line.wait(pools.places, project, priority, sender).map_err(|_| Shed::NoPlaceToWait)?;
        drop(line);
        Ok(InLine::Waits(Turn { upstream, place, slot }))
    }

    fn of(upstream: &Arc<UpstreamLive>, pools: Pools, next: &Next<oneshot::Sender<Self>>) -> Self {
        let (project, priority) = (next.project, next.priority);
        Self::taken(Arc::clone(upstream), pools, project, priority)
    }

    fn taken(upstream: Arc<UpstreamLive>, pools: Pools, project: u32, priority: Priority) -> Self {
        Self { upstream, pools, project, priority, since: Instant::now() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Pools { slots, places } = self.pools;
        self.upstream.room.usual.took(self.since.elapsed());
        let room = &self.upstream.room.line;
        // Under one lock with the leaving, so that nobody who comes now overtakes those who wait.
        let mut next = {
            let mut line = room.lock();
            line.leave(self.project, self.priority);
            line.next(slots, places)
        };
        while let Some(called) = next {
            let seat = Self::of(&self.upstream, self.pools, &called);
            // Somebody who has left meanwhile gives the slot back at once, outside of the lock.
            drop(called.handle.send(seat));
            next = room.lock().next(slots, places);
        }
    }
}

/// What a request gets that would wait.
pub(crate) enum InLine {
    /// There is nothing to wait for: a slot, or no bound.
    Served(Option<Seat>),
    /// The next slot that is its own.
    Waits(Turn),
}

/// Somebody in the line; whoever leaves it is not called any more.
pub(crate) struct Turn {
    upstream: Arc<UpstreamLive>,
    place: Place,
    slot: oneshot::Receiver<Seat>,
}

#[cfg(test)]
impl Turn {
    /// Its slot, once it was called.
    pub(crate) fn called(&mut self) -> Option<Seat> {
        self.slot.try_recv().ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.upstream.room.line.lock().cancel(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_what_calls_take() {
        let (usual, ms) = (Usual::default(), Duration::from_millis);
        assert_eq!(usual.wait(), Duration::MAX, "nothing is known");
        usual.took(ms(800));
        assert_eq!(usual.wait(), ms(800), "the first is all that is known");
        usual.took(ms(1_600));
        assert_eq!(usual.wait(), ms(900));
        (0..100).for_each(|_| usual.took(ms(40)));
        assert_eq!(usual.wait().as_millis(), 40);
        (0..100).for_each(|_| usual.took(Duration::ZERO));
        assert_eq!(usual.wait(), SHORTEST_WAIT);
        usual.took(Duration::MAX);
        assert!(usual.wait() > ms(1_000_000), "no overflow");
    }
}
