//! `POST /prices/rerate`: the rows of a period at the prices in force now. It moves money, so it is
//! for finance, and stands in the audit before the first correction does.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::{
    ledger::{AuditEntry, Entry, closed_until, rfc3339},
    price::{Price, PriceBook, PriceLine},
};
use tollgate_domain::UnixMillis;
use tollgate_finance::{
    TimeRange,
    rerate::{Mode, RerateError, Rerated, Rerating},
};
use tollgate_proxy::Snapshot;

use super::{AdminState, access::Caller, blocking, params::Body, problem::Problem};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    preview: bool,
    #[serde(default)]
    reason: String,
}

/// # Cancel safety
/// A caller that leaves does not stop the run; asking again while it goes on is a conflict, and
/// afterwards posts nothing.
pub(super) async fn rerate(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Problem> {
    let (Some(from), Some(to)) = (&asked.from, &asked.to) else {
        return Err(Problem::invalid("the period is missing: give `from` and `to`"));
    };
    let range = TimeRange::parse(Some(from), Some(to), state.now().wall, &state.time_zone())?;
    let (Some(from), Some(to)) = (range.from, range.to) else {
        return Err(Problem::invalid("the period has no end"));
    };
    let mode = if asked.preview { Mode::Preview } else { Mode::Post };
    let found = blocking(move || run(&state, &caller, (from, to), mode, &asked.reason)).await??;
    let mut answer = json!(found);
    answer["from"] = rfc3339(from).into();
    answer["to"] = rfc3339(to).into();
    answer["preview"] = (mode == Mode::Preview).into();
    answer["next"] = Value::Null;
    Ok(Json(answer))
}

fn run(
    state: &AdminState,
    caller: &Caller,
    (from, to): (UnixMillis, UnixMillis),
    mode: Mode,
    reason: &str,
) -> Result<Rerated, Problem> {
    let (running, snapshot, now) = (state.reloader.running(), state.snapshot(), state.now().wall);
    let rating = Rerating {
        store: &*state.store,
        postings: &state.postings,
        price_of: &|entry, began| price_of(&snapshot, &running.prices, entry, began),
        closed_until: closed_until(&state.store.closings()?),
        now,
        config_version: running.version.number,
    };
    if mode == Mode::Preview {
        return Ok(rating.run(from, to, mode)?);
    }
    let tell = |action: &str, detail: &Value| {
        state.store.append_audit(&AuditEntry {
            seq: 0,
            at: state.now().wall,
            actor: caller.name.to_string(),
            action: action.to_owned(),
            subject: format!("{} to {}", rfc3339(from), rfc3339(to)),
            detail: detail.to_string(),
        })
    };
    tell("prices.rerate", &json!({ "reason": reason, "config_version": running.version.number }))?;
    let found = rating.run(from, to, mode)?;
    tell("prices.rerated", &json!({ "reason": reason, "found": &found }))?;
    Ok(found)
}

/// The price of the target that has served a row. A target that is configured no more is found by
/// what the row was charged by, else by its upstream and model.
fn price_of(snapshot: &Snapshot, prices: &PriceBook, entry: &Entry, began: UnixMillis) -> Option<Arc<Price>> {
    let place = entry.place.as_deref()?;
    let route = snapshot.routes.by_alias.get(&entry.model);
    let mut targets = route.iter().flat_map(|route| route.levels.iter().flatten());
    let target =
        targets.find(|target| target.upstream.name == place.upstream && target.model == place.upstream_model);
    let line = match target {
        Some(target) => target.price.clone(),
        None => charged_by(prices, entry)
            .or_else(|| prices.line(None, &place.upstream, &place.region, &place.upstream_model)),
    };
    line?.at(began).cloned()
}

/// The prices that share their id with what the row was charged by.
fn charged_by(prices: &PriceBook, entry: &Entry) -> Option<PriceLine> {
    let place = entry.place.as_deref()?;
    let id = &*entry.meters.first()?.price_id;
    prices.line(Some(id), &place.upstream, &place.region, &place.upstream_model)
}

impl From<RerateError> for Problem {
    fn from(error: RerateError) -> Self {
        match error {
            RerateError::Busy => Self::busy(error.to_string()),
            RerateError::Behind | RerateError::Store(_) | RerateError::Post(_) => {
                Self::ledger_unavailable(error.to_string())
            }
        }
    }
}
