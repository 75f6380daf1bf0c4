//! `GET /budgets`: what each team, project and key may spend, has spent, holds reserved and will have spent
//! at the end. All of them where nothing else is asked for; with thousands, a part that a reader can use.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::quota::{Scope, ScopeId, ScopeKind};
use tollgate_domain::TeamName;

use super::{
    AdminState,
    access::Caller,
    blocking,
    budgets::{Names, least_left},
    params::Params,
    problem::Problem,
};

const LONGEST_PAGE: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    scope: Option<String>,
    team: Option<TeamName>,
    project: Option<String>,
    find: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
    order: Option<String>,
}

/// In which order.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// By scope and name.
    Name,
    /// Those of which the smallest part is left first.
    Tightest,
}

/// What is wanted, once it is known to make sense.
struct Wanted {
    kind: Option<ScopeKind>,
    teams: Vec<TeamName>,
    project: Option<String>,
    find: String,
    limit: Option<usize>,
    after: Option<ScopeId>,
    order: Order,
}

pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let wanted = Wanted::of(asked, &caller)?;
    blocking(move || {
        let mut seen = state.reloader.running().scopes.clone();
        seen.retain(|scope| scope.rules().budget.is_some() && wanted.admits(scope.id()));
        let count = seen.len();
        let (page, next) = wanted.page(seen, &state);
        Json(json!({ "items": state.budgets(&page), "next": next, "count": count }))
    })
    .await
}

impl Wanted {
    fn of(asked: Asked, caller: &Caller) -> Result<Self, Problem> {
        if asked.limit.is_some_and(|limit| !(1..=LONGEST_PAGE).contains(&limit)) {
            return Err(Problem::invalid(format!("limit is 1 to {LONGEST_PAGE}")));
        }
        let order = match asked.order.as_deref() {
            None | Some("name") => Order::Name,
            Some("tightest") => Order::Tightest,
            Some(other) => {
                let told = format!("unknown order {other:?}; one of: name, tightest");
                return Err(Problem::invalid(told));
            }
        };
        if order == Order::Tightest && asked.after.is_some() {
            return Err(Problem::invalid("`after` goes on by name: the tightest change places all the time"));
        }
        let after = asked.after.map(|after| cursor(&after)).transpose()?;
        Ok(Self {
            kind: asked.scope.map(|scope| kind(&scope)).transpose()?,
            teams: caller.narrow(asked.team)?,
            project: asked.project,
            find: asked.find.unwrap_or_default().to_lowercase(),
            limit: asked.limit,
            after,
            order,
        })
    }

    fn admits(&self, id: &ScopeId) -> bool {
        let names = Names::of(id);
        self.kind.is_none_or(|kind| kind == id.kind)
            && (self.teams.is_empty() || self.teams.iter().any(|team| team.as_str() == names.team))
            && self.project.as_ref().is_none_or(|project| names.project == Some(project))
            && (self.find.is_empty() || id.name.to_lowercase().contains(&self.find))
    }

    /// The scopes of the page, and where the next one begins.
    fn page(&self, mut seen: Vec<Arc<Scope>>, state: &AdminState) -> (Vec<Arc<Scope>>, Option<String>) {
        match self.order {
            Order::Tightest => seen = tightest_first(&seen, state),
            Order::Name => {
                seen.sort_by(|a, b| a.id().cmp(b.id()));
                seen.retain(|scope| self.after.as_ref().is_none_or(|after| scope.id() > after));
            }
        }
        let limit = self.limit.unwrap_or(seen.len());
        let has_more = seen.len() > limit;
        seen.truncate(limit);
        let last = seen.last().filter(|_| has_more && self.order == Order::Name);
        let next = last.map(|last| format!("{}:{}", last.id().kind.as_str(), last.id().name));
        (seen, next)
    }
}

fn tightest_first(seen: &[Arc<Scope>], state: &AdminState) -> Vec<Arc<Scope>> {
    let mut statuses = state.live.quotas.statuses(seen, state.now().wall);
    // Of equal ones those first that have spent more.
    statuses.sort_by(|a, b| least_left(a, b).then_with(|| Reverse(a.spent).cmp(&Reverse(b.spent))));
    let by_id: HashMap<&ScopeId, &Arc<Scope>> = seen.iter().map(|scope| (scope.id(), scope)).collect();
    statuses.iter().filter_map(|status| by_id.get(&status.scope).map(|scope| Arc::clone(scope))).collect()
}

fn kind(text: &str) -> Result<ScopeKind, Problem> {
    let kinds = [ScopeKind::Team, ScopeKind::Project, ScopeKind::Key];
    let found = kinds.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| Problem::invalid(format!("unknown scope {text:?}; one of: team, project, key")))
}

fn cursor(text: &str) -> Result<ScopeId, Problem> {
    let not_one = || Problem::invalid(format!("not a cursor of this list: {text:?}"));
    let (scope, name) = text.split_once(':').ok_or_else(not_one)?;
    Ok(ScopeId { kind: kind(scope).map_err(|_| not_one())?, name: name.into() })
}
