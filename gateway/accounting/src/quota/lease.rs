//! Whose limit it is: all of this process, or a share that replicas have agreed on.

use super::{calendar::Window, limits::LimitKind, scope::ScopeId};

/// Tells how much of a calendar limit this process may spend and reserve.
///
/// Asked while a request is being admitted, under the scope's lock: the answer must come from
/// memory and at once. A share that shrinks takes effect for the next request.
pub trait LeaseSource: Send + Sync {
    /// The spendable part of `limit` in `window`: tokens, or pico-units of currency for a budget.
    fn share(&self, scope: &ScopeId, kind: LimitKind, window: Window, limit: i128) -> i128;
}

/// The local form: one process, one lease, the whole limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct WholeLimit;

impl LeaseSource for WholeLimit {
    fn share(&self, _: &ScopeId, _: LimitKind, _: Window, limit: i128) -> i128 {
        limit
    }
}
