//! The fastest targets, and all that are about as fast.

use std::time::Duration;

use smallvec::SmallVec;

use super::Open;

/// Those whose mean time to the first content is at most `sensitivity` hundredths above the best one's.
/// One that has served nothing yet is among them, or nobody would ever learn how fast it is.
pub(super) fn within<'a>(open: &[Open<'a>], sensitivity: u32) -> SmallVec<[Open<'a>; 4]> {
    let best = open.iter().filter_map(|open| open.ewma).min().unwrap_or(Duration::MAX);
    let most = best.saturating_add(best.saturating_mul(sensitivity) / 100);
    open.iter().filter(|open| open.ewma.is_none_or(|ewma| ewma <= most)).copied().collect()
}
