//! Regions, upstreams, targets and models: their health, and the operator's word about them.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};

use super::{
    AdminState,
    access::Caller,
    blocking,
    params::{Body, Segment},
    problem::Problem,
};
use crate::operate::{self, Action, Kind, OperateError, Order, Subject, View};

type Answer = Result<Json<Value>, Problem>;

/// Lists a kind.
pub(super) async fn list(kind: Kind, State(state): State<Arc<AdminState>>) -> Answer {
    Ok(Json(json!({ "items": views(kind, &state), "next": null })))
}

/// Shows one of a kind.
pub(super) async fn one(kind: Kind, State(state): State<Arc<AdminState>>, Segment(name): Segment) -> Answer {
    show(kind, &name, &state)
}

/// Does something to one of a kind, and shows it as it is then.
pub(super) async fn order(
    (kind, action): (Kind, Action),
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(name): Segment,
    Body(order): Body<Order>,
) -> Answer {
    let subject = Subject::find(kind, &name, &state.snapshot())?;
    let shared = Arc::clone(&state);
    blocking(move || shared.operators.apply(&subject, action, &order, &caller.name, shared.now().wall))
        .await??;
    show(kind, &name, &state)
}

/// Clears breakers and holds of an upstream.
pub(super) async fn reset(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(name): Segment,
    Body(order): Body<Order>,
) -> Answer {
    let snapshot = state.snapshot();
    let Subject::Upstream(upstream) = Subject::find(Kind::Upstream, &name, &snapshot)? else {
        return Err(Problem::internal("an upstream was looked for and something else was found"));
    };
    let shared = Arc::clone(&state);
    blocking(move || shared.operators.reset(&upstream, &snapshot, &order, &caller.name, shared.now().wall))
        .await??;
    show(Kind::Upstream, &name, &state)
}

fn show(kind: Kind, name: &str, state: &AdminState) -> Answer {
    let found = views(kind, state).into_iter().find(|view| view.name == name);
    match found {
        Some(view) => Ok(Json(json!(view))),
        // The list knows no near name; the search for a subject does.
        None => Err(match Subject::find(kind, name, &state.snapshot()) {
            Err(error) => error.into(),
            Ok(_) => OperateError::Unknown { kind, name: name.to_owned(), nearest: None }.into(),
        }),
    }
}

fn views(kind: Kind, state: &AdminState) -> Vec<View> {
    let snapshot = state.snapshot();
    let now = state.now();
    match kind {
        Kind::Region => operate::regions(&snapshot, now),
        Kind::Upstream => operate::upstreams(&snapshot, now),
        Kind::Target => operate::targets(&snapshot, now),
        Kind::Model => operate::models(&snapshot, now),
    }
}
