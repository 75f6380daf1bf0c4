//! `GET /alerts`: what people were told, and whether it reached them.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::ledger::rfc3339;
use tollgate_domain::TeamName;

use super::{AdminState, access::Caller, blocking, params::Params, problem::Problem};
use crate::alerts::{Alert, Delivery};

const LONGEST_PAGE: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    team: Option<TeamName>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let limit = asked.limit.unwrap_or(100);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {LONGEST_PAGE}")));
    }
    let teams = caller.narrow(asked.team)?;
    let alerts = blocking(move || state.alerts.list()).await??;
    // What is about no team is shown to those who see all of them.
    let seen = |alert: &Alert| match &alert.team {
        Some(team) => teams.is_empty() || teams.iter().any(|seen| seen.as_str() == team),
        None => teams.is_empty(),
    };
    let items: Vec<Value> = alerts.iter().filter(|alert| seen(alert)).take(limit).map(item).collect();
    Ok(Json(json!({ "items": items, "next": null })))
}

fn item(alert: &Alert) -> Value {
    let mut item = alert.body.clone();
    item["deliveries"] = alert.deliveries.iter().map(delivery).collect();
    item
}

fn delivery(delivery: &Delivery) -> Value {
    json!({
        "webhook": delivery.webhook,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "tried_at": delivery.tried_at.map(rfc3339),
        "status": delivery.status,
        "error": delivery.error,
    })
}
