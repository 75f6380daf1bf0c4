//! `GET /changes`: what has changed lately: what people did, configurations that came into force, and
//! what targets have done by themselves.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::ledger::rfc3339;
use tollgate_domain::UnixMillis;

use super::{AdminState, blocking, params::Params, problem::Problem};
use crate::chronicle::Change;

const LONGEST_PAGE: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<usize>,
}

/// The newest first. Older ones are in the audit and in the configuration's history, page by page.
pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let limit = asked.limit.unwrap_or(100);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {LONGEST_PAGE}")));
    }
    let mut all: Vec<(UnixMillis, Value)> =
        state.chronicle.changes(limit).iter().map(|change| (change.at, health(change))).collect();
    let shared = Arc::clone(&state);
    let (audit, running) =
        blocking(move || shared.store.audit(None, limit).map(|entries| (entries, shared.reloader.running())))
            .await??;
    all.extend(audit.iter().map(|entry| {
        let detail: Value = serde_json::from_str(&entry.detail).unwrap_or(Value::Null);
        let item = json!({
            "at": rfc3339(entry.at),
            "kind": "audit",
            "actor": entry.actor,
            "what": entry.action,
            "subject": entry.subject,
            "why": detail["reason"],
        });
        (entry.at, item)
    }));
    let version = &running.version;
    let item = json!({
        "at": rfc3339(version.at),
        "kind": "config",
        "actor": version.author,
        "what": "config.applied",
        "subject": version.number.to_string(),
        "why": Value::Null,
    });
    all.push((version.at, item));
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all.truncate(limit);
    let items: Vec<Value> = all.into_iter().map(|(_, item)| item).collect();
    Ok(Json(json!({ "items": items, "next": null })))
}

/// What a target has done by itself, or an operator has done to it.
pub(super) fn health(change: &Change) -> Value {
    json!({
        "at": rfc3339(change.at),
        "kind": "health",
        "actor": "gateway",
        "what": if change.standing.words().is_some() { "target.troubled" } else { "target.well" },
        "subject": &*change.target,
        "why": change.standing.words(),
    })
}
