//! `POST /keys/test`: tries a key out. Whoever holds its secret could do the same at the data port; here a
//! page that may speak to nobody else does it, and reads why the request went where it went.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tollgate_accounting::ledger::Entry;
use tollgate_domain::Secret;

use super::{AdminState, access::Caller, blocking, params::Body, problem::Problem, requests};
use crate::trial::{self, Asked, Trial, TrialError, Tried};

/// Tries at once: each holds a connection of the data port.
const AT_ONCE: usize = 8;
const LONGEST_PROMPT: usize = 4_000;
const USUAL_PROMPT: &str = "Say hello in one short sentence.";
/// A row shows in the ledger within a second; then the answer is given without its story.
const LOOKS: usize = 15;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Room for tries.
pub struct Trials(Arc<Semaphore>);

impl Default for Trials {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

pub(super) async fn run(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Problem> {
    caller.narrow(None)?;
    let trial = order(asked)?;
    let busy = |_| Problem::busy(format!("{AT_ONCE} keys are being tried already"));
    let turn = Arc::clone(&state.trials.0).try_acquire_owned().map_err(busy)?;
    let shared = Arc::clone(&state);
    let tried = blocking(move || {
        let _turn = turn;
        // Connections of the data plane stay on the thread that made them.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Problem::internal(&format!("no runtime: {error}")))?;
        Ok::<_, Problem>(runtime.block_on(trial::run(&trial, shared.data, &shared.reloader.running())))
    });
    let tried = match tried.await?? {
        Ok(tried) => tried,
        Err(error @ TrialError::NoKey) => return Err(Problem::invalid(error.to_string())),
        Err(error) => Tried::unanswered(&error),
    };
    let mut shown = json!(tried);
    shown["currency"] = json!(state.snapshot().currency);
    // A key of a team that the token does not see was tried by who holds it; its row stays unseen.
    if let Some(row) = row(&state, &tried).await?.filter(|row| caller.sees(row.identity.team.as_str())) {
        shown["explanation"] = json!(requests::explained(&row, &caller, &state));
    }
    Ok(Json(shown))
}

fn order(asked: Asked) -> Result<Trial, Problem> {
    let (secret, model) = (asked.secret.trim(), asked.model.trim());
    if secret.is_empty() || model.is_empty() {
        return Err(Problem::invalid("give `secret` (the key, as it was shown once) and `model`"));
    }
    let prompt = asked.prompt.filter(|prompt| !prompt.trim().is_empty());
    let prompt = prompt.unwrap_or_else(|| USUAL_PROMPT.to_owned());
    if prompt.chars().count() > LONGEST_PROMPT {
        return Err(Problem::invalid(format!("`prompt` has at most {LONGEST_PROMPT} characters")));
    }
    Ok(Trial { secret: Secret::new(secret.to_owned()), model: model.to_owned(), prompt })
}

/// The row of what was tried, once the ledger has it. A request of an unknown key has none.
async fn row(state: &Arc<AdminState>, tried: &Tried) -> Result<Option<Entry>, Problem> {
    let unknown = tried.error.as_ref().is_some_and(|error| {
        error.source.as_deref() == Some("gateway") && error.code.as_deref() == Some("invalid_api_key")
    });
    let Some(id) = tried.row().filter(|_| !unknown) else { return Ok(None) };
    for look in 0..LOOKS {
        let store = Arc::clone(&state.store);
        if let Some(row) = blocking(move || store.row(id)).await?? {
            return Ok(Some(row));
        }
        if look + 1 < LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
    Ok(None)
}
