//! `GET /requests`: rows of the ledger.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_accounting::ledger::{End, Entry, Kind, Order, Row, RowQuery, UnknownName};
use tollgate_domain::{KeyName, ModelAlias, ProjectName, RequestId, TeamName};
use tollgate_finance::TimeRange;

use super::{
    AdminState,
    access::{Caller, Permission},
    answer, blocking,
    params::{Params, Segment},
    problem::Problem,
};
use crate::explain::{Explanation, Witness, explain};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    kind: Option<String>,
    team: Option<TeamName>,
    project: Option<ProjectName>,
    key: Option<KeyName>,
    model: Option<ModelAlias>,
    end: Option<String>,
    error_code: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
    order: Option<String>,
}

#[derive(Serialize)]
struct Rows<'a> {
    items: Vec<Row<'a>>,
    next: Option<&'a str>,
}

pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let query = query(asked, &caller, &state)?;
    let store = Arc::clone(&state.store);
    blocking(move || {
        let page = store.rows(&query)?;
        Ok(answer(&Rows { items: page.items.iter().map(Row).collect(), next: page.next.as_deref() }))
    })
    .await?
}

pub(super) async fn one(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let absent = || Problem::not_found(format!("no request {id:?} in the ledger"));
    let id: RequestId = id.parse().map_err(|_| absent())?;
    let store = Arc::clone(&state.store);
    let entry = blocking(move || store.row(id)).await??;
    // A row of a team that the token does not see is answered like one that does not exist.
    let entry = entry.filter(|entry| caller.sees(entry.identity.team.as_str())).ok_or_else(absent)?;
    let mut row = json!(Row(&entry));
    row["explanation"] = json!(explained(&entry, &caller, &state));
    Ok(answer(&row))
}

/// Why it went where it went, as far as the caller may know.
pub(super) fn explained(entry: &Entry, caller: &Caller, state: &AdminState) -> Explanation {
    let (running, snapshot) = (state.reloader.running(), state.snapshot());
    let witness = Witness {
        running: &running,
        snapshot: &snapshot,
        chronicle: &state.chronicle,
        // The row names where it went; where else it could have gone is the fleet's.
        tells_of_fleet: caller.may(Permission::ReadFleet).is_ok(),
    };
    explain(entry, &witness)
}

fn query(asked: Asked, caller: &Caller, state: &AdminState) -> Result<RowQuery, Problem> {
    let (from, to) = (asked.from.as_deref(), asked.to.as_deref());
    let range = TimeRange::parse(from, to, state.now().wall, &state.time_zone())?;
    let unknown = |error: UnknownName| Problem::invalid(error.to_string());
    let limit = asked.limit.unwrap_or(100);
    if !(1..=RowQuery::MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("limit is 1 to {}", RowQuery::MAX_LIMIT)));
    }
    Ok(RowQuery {
        kind: Some(asked.kind.map_or(Ok(Kind::Usage), |kind| kind.parse()).map_err(unknown)?),
        teams: caller.narrow(asked.team)?,
        project: asked.project,
        key: asked.key,
        model: asked.model,
        end: asked.end.map(|end| end.parse::<End>()).transpose().map_err(unknown)?,
        error_code: asked.error_code,
        from: range.from,
        to: range.to,
        limit,
        after: asked.after,
        order: match asked.order.as_deref() {
            None | Some("newest") => Order::Newest,
            Some("seq") => Order::Seq,
            Some(other) => {
                return Err(Problem::invalid(format!("unknown order {other:?}; one of: newest, seq")));
            }
        },
    })
}
