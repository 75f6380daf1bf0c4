//! `GET /audit`: who did what when.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::ledger::{AuditEntry, rfc3339};

use super::{AdminState, blocking, params::Params, problem::Problem};

const LONGEST_PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<usize>,
    after: Option<String>,
}

pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let limit = asked.limit.unwrap_or(100);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {LONGEST_PAGE}")));
    }
    let before = asked
        .after
        .map(|after| {
            after
                .parse::<u64>()
                .map_err(|_| Problem::invalid(format!("not a cursor of this list: {after:?}")))
        })
        .transpose()?;
    let store = Arc::clone(&state.store);
    let entries = blocking(move || store.audit(before, limit)).await??;
    // A full page may have a successor; an empty one then ends the list.
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.seq.to_string());
    Ok(Json(json!({ "items": entries.iter().map(item).collect::<Vec<_>>(), "next": next })))
}

fn item(entry: &AuditEntry) -> Value {
    let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_else(|_| json!(entry.detail));
    json!({
        "seq": entry.seq,
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": detail,
    })
}
