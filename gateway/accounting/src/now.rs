//! Time as an argument: this crate reads no clock.

use std::time::Instant;

use tollgate_domain::UnixMillis;

/// One reading of both clocks, taken by the caller.
///
/// The wall clock decides calendar windows and dated prices, the monotonic one decides rates, so
/// that setting the clock back neither reopens a window nor refills a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What the wall clock says.
    pub wall: UnixMillis,
    /// The same instant on the monotonic clock.
    pub mono: Instant,
}
