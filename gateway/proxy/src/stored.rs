//! Between stations 2 and 3: whose is what a provider keeps?
//!
//! A request that names a kept answer goes to the upstream that keeps it and nowhere else, and only
//! for the project that made it. Calls that name none and keep none never come here.

use std::sync::Arc;

use tollgate_accounting::{
    ledger::StoreError,
    stored::{Keeper, StoredResponses},
};
use tollgate_domain::UnixMillis;

use crate::{
    rejection::Rejection,
    snapshot::Principal,
    worker::{Worker, wall_clock},
};

/// Finds who keeps an answer of this caller's project.
///
/// # Errors
/// The answer is not known, or is another project's: to a caller these are the same.
pub(crate) async fn find(
    worker: &Worker,
    principal: &Principal,
    id: &str,
    now: UnixMillis,
) -> Result<Keeper, Rejection> {
    let unknown = || Rejection::UnknownResponse(id.to_owned());
    let wanted: Box<str> = id.into();
    let found = beside(worker, move |responses| responses.find(&wanted, now)).await;
    let keeper = found.ok_or(Rejection::Internal)?.ok_or_else(unknown)?;
    let identity = &principal.identity;
    let is_theirs = keeper.team == identity.team && keeper.project == identity.project;
    is_theirs.then_some(keeper).ok_or_else(unknown)
}

/// Remembers the answer that a trip brings home, before its client can know its id. A memory that
/// cannot be written costs the client its way back to the answer, and not the answer.
pub(crate) async fn keep(worker: &Worker, id: Box<str>, keeper: Keeper) {
    let now = wall_clock();
    let _ = beside(worker, move |responses| responses.keep(&id, &keeper, now)).await;
}

/// Forgets what its provider has deleted.
pub(crate) async fn forget(worker: &Worker, id: &str) {
    let id: Box<str> = id.into();
    let _ = beside(worker, move |responses| responses.forget(&id)).await;
}

/// Who is sent to one upstream alone is told that this one is lost, where others are told to wait for
/// any; a throttle passes by itself and stays what it is.
pub(crate) fn lost(rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::NoHealthyTarget { .. } | Rejection::OutOfService(_) | Rejection::Upstream { .. } => {
            Rejection::PinnedUnavailable
        }
        other => other,
    }
}

/// Touches the file on a thread of its own, so that the core goes on with others meanwhile.
async fn beside<T: Send + 'static>(
    worker: &Worker,
    touch: impl FnOnce(&dyn StoredResponses) -> Result<T, StoreError> + Send + 'static,
) -> Option<T> {
    let responses = Arc::clone(&worker.shared.responses);
    match tokio::task::spawn_blocking(move || touch(&*responses)).await {
        Ok(Ok(touched)) => Some(touched),
        Ok(Err(error)) => {
            tracing::error!(%error, "the memory of kept responses cannot be used");
            None
        }
        // The process is going down.
        Err(_) => None,
    }
}
