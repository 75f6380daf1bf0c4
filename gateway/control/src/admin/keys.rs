//! Keys: who may call. Those of the configuration are shown; those made at run time are made, replaced
//! and withdrawn here too.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_accounting::ledger::rfc3339;
use tollgate_domain::{TeamName, UnixMillis, key_prefix};

use super::{
    AdminState,
    access::Caller,
    blocking,
    params::{Body, Params, Segment},
    problem::Problem,
};
use crate::{
    config::file::{Budget, Key, Limits, Priority},
    keys::{self, CreateOrder, Fresh, Issued, KeyError, RevokeOrder, RotateOrder},
    reload::Running,
};

const LONGEST_PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    team: Option<TeamName>,
    project: Option<String>,
    state: Option<String>,
    find: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// A key as it is shown: never its secret, nor what could be held against one.
#[derive(Serialize)]
struct View {
    /// `null` for a key of the configuration.
    id: Option<String>,
    prefix: Option<String>,
    team: String,
    project: String,
    name: String,
    /// `file` or `api`: who may change it.
    managed: &'static str,
    state: &'static str,
    created: Option<String>,
    created_by: Option<String>,
    expires: Option<String>,
    revoked: Option<String>,
    revoked_by: Option<String>,
    replaces: Option<String>,
    models: Option<Vec<String>>,
    limits: Limits,
    budget: Option<Budget>,
    priority: Option<Priority>,
    refusal_status: Option<u16>,
}

impl View {
    /// Where it stands in the list.
    fn position(&self) -> String {
        let id = self.id.as_deref().unwrap_or_default();
        format!("{}/{}/{}/{id}", self.team, self.project, self.name)
    }
}

/// `GET /keys`.
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
    let mut views = state.key_views();
    views.retain(|view| {
        (teams.is_empty() || teams.iter().any(|team| team.as_str() == view.team))
            && asked.project.as_ref().is_none_or(|project| view.project == *project)
            && asked.state.as_ref().is_none_or(|state| view.state == state)
            && (find.is_empty() || view.position().to_lowercase().contains(&find))
    });
    let count = views.len();
    views.sort_by_cached_key(View::position);
    if let Some(after) = &asked.after {
        views.retain(|view| view.position() > *after);
    }
    let next = (views.len() > limit).then(|| views[limit - 1].position());
    views.truncate(limit);
    Ok(Json(json!({ "items": views, "next": next, "count": count })))
}

/// `POST /keys`: the only answer that has the secret.
pub(super) async fn create(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Body(order): Body<CreateOrder>,
) -> Result<Response, Problem> {
    let now = state.now().wall;
    blocking(move || {
        let fresh = state.keys.create(&order, |team| caller.sees(team), &caller.name, now)?;
        Ok((StatusCode::CREATED, Json(with_secret(&state, &fresh, now))).into_response())
    })
    .await?
}

/// `POST /keys/{id}/rotate`: the answer has the secret of the new key.
pub(super) async fn rotate(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    Body(order): Body<RotateOrder>,
) -> Result<Response, Problem> {
    let now = state.now().wall;
    blocking(move || {
        state.seen_key(&id, &caller)?;
        let (fresh, former) = state.keys.rotate(&id, &order, &caller.name, now)?;
        let mut shown = with_secret(&state, &fresh, now);
        shown["former"] = json!(state.key_view(&state.reloader.running(), &former, now));
        Ok((StatusCode::CREATED, Json(shown)).into_response())
    })
    .await?
}

/// `POST /keys/{id}/revoke`.
pub(super) async fn revoke(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    Body(order): Body<RevokeOrder>,
) -> Result<Json<Value>, Problem> {
    let now = state.now().wall;
    blocking(move || {
        state.seen_key(&id, &caller)?;
        let key = state.keys.revoke(&id, &order, &caller.name, now)?;
        Ok(Json(json!(state.key_view(&state.reloader.running(), &key, now))))
    })
    .await?
}

fn with_secret(state: &AdminState, fresh: &Fresh, now: UnixMillis) -> Value {
    let mut shown = json!(state.key_view(&state.reloader.running(), &fresh.key, now));
    shown["secret"] = json!(fresh.secret.expose());
    shown["usable_models"] = json!(usable_models(&state.reloader.running(), &fresh.key));
    shown
}

/// What may be asked with a key: the models of its project, or those of them that it is narrowed to.
fn usable_models<'r>(running: &'r Running, key: &Issued) -> Vec<&'r str> {
    let project = keys::owner(running, key).map(|(_, project)| project);
    let of_project = project.into_iter().flat_map(|project| &project.models);
    let own = key.policy.models.as_ref();
    of_project.filter(|model| own.is_none_or(|own| own.contains(model))).map(String::as_str).collect()
}

impl AdminState {
    /// Every key of the configuration and of the run time.
    fn key_views(&self) -> Vec<View> {
        let (now, running) = (self.now().wall, self.reloader.running());
        let teams = running.document.file.teams.iter();
        let owners = teams.flat_map(|team| team.projects.iter().map(move |project| (team, project)));
        let configured = owners.flat_map(|(team, project)| {
            project.keys.iter().map(|key| configured((&team.name, &project.name), key, now))
        });
        let issued = self.keys.list();
        let issued = issued.iter().map(|key| self.key_view(&running, key, now));
        configured.chain(issued).collect()
    }

    fn key_view(&self, running: &Running, key: &Issued, now: UnixMillis) -> View {
        let owner = keys::owner(running, key);
        let state = match owner {
            _ if key.revoked.is_some() => "revoked",
            _ if !key.is_usable(now) => "expired",
            None => "stray",
            Some(_) if !self.keys.knows(key) => "sealed_elsewhere",
            Some(_) => "active",
        };
        let (team, project) = match owner {
            Some((team, project)) => (team.name.clone(), project.name.clone()),
            None => (key.team.clone(), key.project.clone()),
        };
        View {
            id: Some(key.id.clone()),
            prefix: Some(key_prefix(&key.id)),
            team,
            project,
            name: key.name.clone(),
            managed: "api",
            state,
            created: Some(rfc3339(key.created)),
            created_by: Some(key.created_by.clone()),
            expires: key.expires.map(rfc3339),
            revoked: key.revoked.map(rfc3339),
            revoked_by: key.revoked_by.clone(),
            replaces: key.replaces.clone(),
            models: key.policy.models.clone(),
            limits: key.policy.limits.clone(),
            budget: key.policy.budget.clone(),
            priority: key.policy.priority,
            refusal_status: key.policy.refusal_status,
        }
    }

    /// A key of a team that the token does not see is answered like one that does not exist.
    fn seen_key(&self, id: &str, caller: &Caller) -> Result<(), Problem> {
        let key = self.keys.one(id)?;
        let running = self.reloader.running();
        let team = keys::owner(&running, &key).map_or(key.team.as_str(), |(team, _)| &team.name);
        if caller.sees(team) { Ok(()) } else { Err(KeyError::Unknown(id.to_owned()).into()) }
    }
}

fn configured((team, project): (&str, &str), key: &Key, now: UnixMillis) -> View {
    let expires = key.expires.map(|expires| UnixMillis::new(expires.millis));
    View {
        id: None,
        prefix: None,
        team: team.to_owned(),
        project: project.to_owned(),
        name: key.name.clone(),
        managed: "file",
        state: if expires.is_some_and(|expires| now >= expires) { "expired" } else { "active" },
        created: None,
        created_by: None,
        expires: expires.map(rfc3339),
        revoked: None,
        revoked_by: None,
        replaces: None,
        models: key.models.clone(),
        limits: key.limits.clone(),
        budget: key.budget.clone(),
        priority: key.priority,
        refusal_status: key.refusal_status,
    }
}
