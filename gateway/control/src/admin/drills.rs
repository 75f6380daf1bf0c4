//! Drills: begin, watch, stop, and read what came of them.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AdminState,
    access::Caller,
    blocking,
    params::{Body, Segment},
    problem::Problem,
};
use crate::drills::{DrillError, Drills, Order};

type Answer = Result<Json<Value>, Problem>;

/// Why a drill is stopped.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StopOrder {
    reason: String,
}

/// All of them, the newest first.
pub(super) async fn list(State(state): State<Arc<AdminState>>) -> Answer {
    let items = on_disk(&state, Drills::list).await?;
    Ok(Json(json!({ "items": items, "next": null })))
}

/// One of them.
pub(super) async fn one(State(state): State<Arc<AdminState>>, Segment(id): Segment) -> Answer {
    on_disk(&state, move |drills| drills.one(&id)).await.map(Json)
}

/// Begins one.
pub(super) async fn begin(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Body(order): Body<Order>,
) -> Answer {
    let now = state.now();
    on_disk(&state, move |drills| drills.begin(&order, &caller.name, now)).await.map(Json)
}

/// Ends one.
pub(super) async fn stop(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    Body(order): Body<StopOrder>,
) -> Answer {
    let now = state.now();
    on_disk(&state, move |drills| drills.stop(&id, &caller.name, &order.reason, now)).await.map(Json)
}

async fn on_disk<T: Send + 'static>(
    state: &AdminState,
    work: impl FnOnce(&Drills) -> Result<T, DrillError> + Send + 'static,
) -> Result<T, Problem> {
    let drills = Arc::clone(&state.drills);
    Ok(blocking(move || work(&drills)).await??)
}
