//! Between stations 2 and 3: whose is what a provider keeps?
//!
//! A request that names a kept answer, a conversation or a stored prompt goes to the upstream that has it
//! and nowhere else, and only for the project whose it is. Calls that name none and keep none never come
//! here.

use std::sync::Arc;

use tollgate_accounting::{
    ledger::StoreError,
    stored::{Keeper, Lasting, StoredResponses},
};
use tollgate_domain::UnixMillis;

use crate::{
    intake::{Envelope, Kept},
    rejection::Rejection,
    snapshot::Principal,
    worker::{Worker, wall_clock},
};

/// Finds who keeps what this caller's project has made.
///
/// # Errors
/// It is not known, or is another project's: to a caller these are the same.
pub(crate) async fn find(
    worker: &Worker,
    principal: &Principal,
    kept: Kept<'_>,
    now: UnixMillis,
) -> Result<Keeper, Rejection> {
    let wanted: Box<str> = kept.id().into();
    let found = beside(worker, move |responses| responses.find(&wanted, now)).await;
    let keeper = found.ok_or(Rejection::Internal)?.ok_or_else(|| kept.unknown())?;
    let identity = &principal.identity;
    let is_theirs = keeper.team == identity.team && keeper.project == identity.project;
    is_theirs.then_some(keeper).ok_or_else(|| kept.unknown())
}

/// Who has the stored prompt that a request fills in. No call makes a prompt, so that nobody but the operator
/// can tell whose it is.
///
/// # Errors
/// It is not among the project's, or another upstream keeps what else the request names.
pub(crate) fn of_prompt(principal: &Principal, envelope: &Envelope, id: &str) -> Result<Keeper, Rejection> {
    let known = principal.prompts.iter().find(|(known, _)| **known == *id);
    let (_, upstream) = known.ok_or_else(|| Rejection::UnknownPrompt(id.to_owned()))?;
    if envelope.pin.as_ref().is_some_and(|keeper| keeper.upstream != *upstream) {
        return Err(Rejection::PinnedUnavailable);
    }
    let identity = &principal.identity;
    Ok(Keeper {
        team: identity.team.clone(),
        project: identity.project.clone(),
        model: envelope.model().into(),
        upstream: upstream.clone(),
    })
}

/// Remembers what a trip brings home, before its client can know its id. A memory that cannot be
/// written costs the client its way back to it, and not the answer.
pub(crate) async fn keep(worker: &Worker, id: Box<str>, keeper: Keeper, lasting: Lasting) {
    let now = wall_clock();
    let _ = beside(worker, move |responses| responses.keep(&id, &keeper, lasting, now)).await;
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
            tracing::error!(%error, "the memory of what providers keep cannot be used");
            None
        }
        // The process is going down.
        Err(_) => None,
    }
}
