//! `GET /usage`: what was used and what it cost, in groups and in total.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;
use tollgate_accounting::ledger::{UsageFilter, UsageQuery};
use tollgate_domain::{KeyName, ProjectName, TeamName};
use tollgate_finance::{TimeRange, UsageReport, groups_of};

use super::{AdminState, access::Caller, answer, blocking, params::Params, problem::Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    team: Option<TeamName>,
    project: Option<ProjectName>,
    key: Option<KeyName>,
}

pub(super) async fn usage(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let query = query(asked, &caller, &state)?;
    let currency = state.snapshot().currency.clone();
    let report = blocking(move || UsageReport::ask(&*state.store, &query, currency)).await??;
    Ok(answer(&report))
}

fn query(asked: Asked, caller: &Caller, state: &AdminState) -> Result<UsageQuery, Problem> {
    let time_zone = state.time_zone();
    let range = TimeRange::parse(asked.from.as_deref(), asked.to.as_deref(), state.now().wall, &time_zone)?;
    Ok(UsageQuery {
        from: range.from,
        to: range.to,
        by: groups_of(asked.by.as_deref().unwrap_or_default())
            .map_err(|error| Problem::invalid(error.to_string()))?,
        filter: UsageFilter { teams: caller.narrow(asked.team)?, project: asked.project, key: asked.key },
        time_zone,
    })
}
