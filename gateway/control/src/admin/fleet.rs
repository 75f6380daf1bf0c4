//! Regions, upstreams, targets and models: their health, and the operator's word about them.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};
use tollgate_domain::RegionName;
use tollgate_proxy::Snapshot;

use super::{
    AdminState,
    access::Caller,
    blocking,
    params::{Body, Segment},
    problem::Problem,
};
use crate::operate::{
    self, Action, Failback, Failover, Kind, OperateError, Order, Scene, Subject, Traffic, View,
};

type Answer = Result<Json<Value>, Problem>;

/// Lists a kind.
pub(super) async fn list(kind: Kind, State(state): State<Arc<AdminState>>) -> Answer {
    Ok(Json(json!({ "items": views(kind, &state), "next": null })))
}

/// Shows one of a kind.
pub(super) async fn one(kind: Kind, State(state): State<Arc<AdminState>>, Segment(name): Segment) -> Answer {
    show(kind, &name, &state)
}

/// Does something to one of a kind, and shows it as it is then; or tells what it would do.
pub(super) async fn order(
    (kind, action): (Kind, Action),
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(name): Segment,
    Body(order): Body<Order>,
) -> Answer {
    let snapshot = state.snapshot();
    let subject = Subject::find(kind, &name, &snapshot)?;
    let shared = Arc::clone(&state);
    let preview = blocking(move || {
        let scene = Scene { snapshot: &snapshot, actor: &caller.name, now: shared.now().wall };
        if !order.preview {
            return shared.operators.apply(&subject, action, &order, &scene).map(|()| None);
        }
        order.check(action)?;
        let traffic = Traffic::read(&*shared.store, &snapshot, scene.now)?;
        Ok(Some(operate::preview_order(&subject, &scene, &traffic, capacities(&shared))))
    });
    match preview.await?? {
        Some(preview) => Ok(Json(json!(preview))),
        None => show(kind, &name, &state),
    }
}

/// Moves a region's requests to another one, and shows it as it is then; or tells what that would do.
pub(super) async fn fail_over(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(name): Segment,
    Body(order): Body<Failover>,
) -> Answer {
    let snapshot = state.snapshot();
    let from = region(&name, &snapshot)?;
    let shared = Arc::clone(&state);
    let preview = blocking(move || {
        let scene = Scene { snapshot: &snapshot, actor: &caller.name, now: shared.now().wall };
        if !order.preview {
            return shared.operators.fail_over(&from, &order, &scene).map(|()| None);
        }
        let to = shared.operators.check_failover(&from, &order, &scene)?;
        let traffic = Traffic::read(&*shared.store, &snapshot, scene.now)?;
        Ok(Some(operate::preview_failover(&from, &to, &scene, &traffic, capacities(&shared))))
    });
    match preview.await?? {
        Some(preview) => Ok(Json(json!(preview))),
        None => show(Kind::Region, &name, &state),
    }
}

/// Lets a region's requests come back, and shows it as it is then.
pub(super) async fn fail_back(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(name): Segment,
    Body(order): Body<Failback>,
) -> Answer {
    let snapshot = state.snapshot();
    let from = region(&name, &snapshot)?;
    let shared = Arc::clone(&state);
    blocking(move || {
        let scene = Scene { snapshot: &snapshot, actor: &caller.name, now: shared.now().wall };
        shared.operators.fail_back(&from, &order, &scene)
    })
    .await??;
    show(Kind::Region, &name, &state)
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
    blocking(move || {
        let scene = Scene { snapshot: &snapshot, actor: &caller.name, now: shared.now().wall };
        shared.operators.reset(&upstream, &order, &scene)
    })
    .await??;
    show(Kind::Upstream, &name, &state)
}

fn region(name: &str, snapshot: &Snapshot) -> Result<RegionName, Problem> {
    match Subject::find(Kind::Region, name, snapshot)? {
        Subject::Region(region) => Ok(region),
        _ => Err(Problem::internal("a region was looked for and something else was found")),
    }
}

/// What the configuration says that an upstream has, in tokens by the minute.
fn capacities(state: &AdminState) -> impl Fn(&str) -> Option<u64> {
    let running = state.reloader.running();
    move |name| {
        let upstreams = &running.document.file.upstreams;
        let capacity = upstreams.iter().find(|upstream| upstream.name == name)?.capacity?;
        Some(capacity.tokens_per_minute)
    }
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
