//! `GET /projects`: who may use the gateway, as the running configuration has it.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_domain::TeamName;

use super::{AdminState, access::Caller, params::Params, problem::Problem};
use crate::config::file::{Project, Team};

const LONGEST_PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    team: Option<TeamName>,
    find: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
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
    let find = asked.find.unwrap_or_default().to_lowercase();
    let running = state.reloader.running();
    let seen = running
        .document
        .file
        .teams
        .iter()
        .filter(|team| teams.is_empty() || teams.iter().any(|seen| seen.as_str() == team.name));
    let mut found: Vec<(String, &Team, &Project)> = seen
        .flat_map(|team| team.projects.iter().map(move |project| (name(team, project), team, project)))
        .filter(|(name, ..)| find.is_empty() || name.to_lowercase().contains(&find))
        .collect();
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let count = found.len();
    if let Some(after) = &asked.after {
        found.retain(|(name, ..)| name > after);
    }
    let next = (found.len() > limit).then(|| found[limit - 1].0.clone());
    found.truncate(limit);
    let items: Vec<Value> = found.iter().map(|(_, team, project)| item(team, project)).collect();
    Ok(Json(json!({ "items": items, "next": next, "count": count })))
}

fn name(team: &Team, project: &Project) -> String {
    format!("{}/{}", team.name, project.name)
}

fn item(team: &Team, project: &Project) -> Value {
    json!({
        "team": team.name,
        "project": project.name,
        "title": project.title,
        "cost_center": team.cost_center,
        "zones": project.zones,
        "models": project.models,
    })
}
