//! `GET /allocation`: what each team bears, its part of shared costs included.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use serde_json::json;
use tollgate_finance::{
    TimeRange,
    allocation::{Allocation, Method, Rules},
};

use super::{AdminState, answer, blocking, params::Params, problem::Problem};
use crate::config::file::{AllocationMethod, AllocationRule, ConfigFile};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
}

pub(super) async fn allocation(
    State(state): State<Arc<AdminState>>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let (now, zone) = (state.now().wall, state.time_zone());
    let range = TimeRange::parse(asked.from.as_deref(), asked.to.as_deref(), now, &zone)?;
    let rules = rules(&state.reloader.running().document.file);
    let allocation =
        blocking(move || Allocation::ask(&*state.store, (range.from, range.to), &rules)).await??;
    Ok(answer(&json!({ "items": allocation.items, "shares": allocation.shares, "next": null })))
}

fn rules(file: &ConfigFile) -> Rules {
    Rules {
        used: method(&file.allocation.used),
        idle: method(&file.allocation.idle),
        teams: file.teams.iter().map(|team| team.name.clone()).collect(),
    }
}

fn method(rule: &AllocationRule) -> Method {
    match rule.method {
        AllocationMethod::None => Method::None,
        AllocationMethod::Even => Method::Even,
        AllocationMethod::Tokens => Method::Tokens,
        AllocationMethod::Cost => Method::Cost,
        AllocationMethod::Shares => {
            Method::Shares(rule.shares.iter().map(|(team, share)| (team.clone(), share.millionths)).collect())
        }
    }
}
