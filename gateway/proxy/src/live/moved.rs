//! Requests of a region that an operator sends to another one, more and more of them.

use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;
use tollgate_domain::{RegionName, UnixMillis};

/// All of a region's requests.
const WHOLE: u16 = 1_000;

/// An operator's order to move a region's new requests. The share that moves goes from one figure to
/// another in a straight line; the way back is the same thing with the figures changed over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Move {
    /// Where they go.
    pub to: RegionName,
    /// The share in thousandths when the order began.
    pub from_permille: u16,
    /// The share when the ramp is over; nothing is the way back, and ends with it.
    pub to_permille: u16,
    /// How long the share changes, in milliseconds.
    pub ramp_millis: i64,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Since when.
    pub since: UnixMillis,
    /// When the way back begins by itself.
    pub until: Option<UnixMillis>,
}

impl Move {
    /// The share that moves at a time, in thousandths.
    #[must_use]
    pub fn permille(&self, now: UnixMillis) -> u16 {
        let passed = now.get().saturating_sub(self.since.get()).max(0);
        if passed >= self.ramp_millis {
            return self.to_permille;
        }
        let (from, to) = (i64::from(self.from_permille), i64::from(self.to_permille));
        let share = from + (to - from) * passed / self.ramp_millis;
        u16::try_from(share).unwrap_or(WHOLE).min(WHOLE)
    }

    /// True once its way back has ended.
    #[must_use]
    pub fn is_over(&self, now: UnixMillis) -> bool {
        self.to_permille == 0 && now.get().saturating_sub(self.since.get()) >= self.ramp_millis
    }

    /// The way back from where it stands now.
    #[must_use]
    pub fn back(&self, ramp_millis: i64, reason: String, actor: String, now: UnixMillis) -> Self {
        Self {
            to: self.to.clone(),
            from_permille: self.permille(now),
            to_permille: 0,
            ramp_millis,
            reason,
            actor,
            since: now,
            until: None,
        }
    }
}

/// Where a move is kept. That there is none costs a request one atomic load.
#[derive(Default)]
pub struct MoveCell {
    permille: AtomicU16,
    order: Mutex<Option<Move>>,
}

impl MoveCell {
    /// Puts a move in force, or ends it.
    pub fn set(&self, order: Option<Move>, now: UnixMillis) {
        let mut slot = self.order.lock();
        let permille = order.as_ref().map_or(0, |order| order.permille(now));
        self.permille.store(permille, Ordering::Relaxed);
        *slot = order;
    }

    /// The move in force.
    pub fn order(&self) -> Option<Move> {
        self.order.lock().clone()
    }

    /// The share that moves, in thousandths.
    pub fn permille(&self) -> u16 {
        self.permille.load(Ordering::Relaxed)
    }

    /// Makes the share that of this moment, and gives the move in force.
    pub(super) fn follow(&self, now: UnixMillis) -> Option<Move> {
        let slot = self.order.lock();
        let order = slot.as_ref()?;
        self.permille.store(order.permille(now), Ordering::Relaxed);
        Some(order.clone())
    }

    /// Where a request goes instead; `random` decides by the share.
    pub(crate) fn destination(&self, random: impl FnOnce() -> u64) -> Option<RegionName> {
        let permille = self.permille.load(Ordering::Relaxed);
        if permille == 0 || random() % u64::from(WHOLE) >= u64::from(permille) {
            return None;
        }
        self.order.lock().as_ref().map(|order| order.to.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(ramp_millis: i64) -> Move {
        Move {
            to: "west".into(),
            from_permille: 0,
            to_permille: WHOLE,
            ramp_millis,
            reason: "storm".into(),
            actor: "ops".into(),
            since: UnixMillis::new(1_000),
            until: None,
        }
    }

    #[test]
    fn the_share_grows_in_a_straight_line_and_shrinks_from_where_it_stands() {
        let order = order(10_000);
        for (at, share) in [(0, 0), (1_000, 0), (3_500, 250), (6_000, 500), (11_000, 1_000), (99_000, 1_000)]
        {
            assert_eq!(order.permille(UnixMillis::new(at)), share, "at {at}");
        }
        let back = order.back(4_000, String::new(), "ops".into(), UnixMillis::new(6_000));
        for (at, share) in [(6_000, 500), (8_000, 250), (9_999, 1), (10_000, 0)] {
            assert_eq!(back.permille(UnixMillis::new(at)), share, "at {at}");
            assert_eq!(back.is_over(UnixMillis::new(at)), share == 0, "at {at}");
        }
        assert!(!order.is_over(UnixMillis::new(99_000)), "it stands until somebody ends it");
    }

    #[test]
    fn without_a_ramp_all_move_at_once() {
        let order = order(0);
        assert_eq!(order.permille(UnixMillis::new(1_000)), 1_000);
        assert!(
            order
                .back(0, String::new(), "ops".into(), UnixMillis::new(5_000))
                .is_over(UnixMillis::new(5_000))
        );
    }

    #[test]
    fn the_share_decides_who_moves() {
        let cell = MoveCell::default();
        let moved =
            |cell: &MoveCell| (0..1_000).filter(|random| cell.destination(|| *random).is_some()).count();
        assert_eq!(moved(&cell), 0);
        cell.set(Some(order(10_000)), UnixMillis::new(3_500));
        assert_eq!(moved(&cell), 250);
        cell.follow(UnixMillis::new(6_000));
        assert_eq!(moved(&cell), 500);
        cell.set(None, UnixMillis::new(6_000));
        assert_eq!(moved(&cell), 0);
    }
}
