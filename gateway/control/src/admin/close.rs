//! `POST /close` and `GET /statements`: the end of a month, and what was sealed then.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_finance::{
    FolderError, Month, Statement,
    close::{self, Books, CloseError, Order, Proof},
    reconcile::Reconciliation,
};

use super::{
    AdminState,
    access::Caller,
    answer, blocking,
    params::{Files, Segment},
    problem::Problem,
    reconcile::AskedInvoice,
};

/// Differences that a refusal names one by one.
const NAMED: usize = 20;

/// One close at a time: two would only find each other's papers.
static TURN: Mutex<()> = Mutex::new(());

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    month: String,
    invoices: Vec<AskedInvoice>,
    without_reconciliation: Option<String>,
    accept: Option<String>,
}

impl Asked {
    fn proof(&self, month: Month) -> Result<Proof, Problem> {
        let said = |reason: &Option<String>| reason.as_deref().map(str::trim).map(str::to_owned);
        let (without, accept) = (said(&self.without_reconciliation), said(&self.accept));
        if [&without, &accept].into_iter().flatten().any(String::is_empty) {
            return Err(Problem::invalid("a reason is needed, in words"));
        }
        match (without, self.invoices.is_empty()) {
            (Some(_), false) => Err(Problem::invalid(
                "`invoices` and `without_reconciliation` exclude each other: one of them speaks for the month",
            )),
            (None, true) => Err(Problem::invalid(
                "send `invoices` to hold against the month, or say why none is `without_reconciliation`",
            )),
            (Some(reason), true) => Ok(Proof::Without(reason)),
            (None, false) => {
                // Providers bill by days of UTC, whatever our calendar is.
                let (from, to) = month.window(&TimeZone::UTC);
                let invoices = self.invoices.iter().map(|invoice| invoice.read(from, to));
                Ok(Proof::Invoices { invoices: invoices.collect::<Result<_, _>>()?, accept })
            }
        }
    }
}

pub(super) async fn run(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Files(asked): Files<Asked>,
) -> Result<Response, Problem> {
    let month: Month = asked.month.parse().map_err(|error| Problem::invalid(format!("{error}")))?;
    let closed = blocking(move || {
        let proof = asked.proof(month)?;
        let running = state.reloader.running();
        let zone = state.time_zone();
        let books = Books {
            store: &*state.store,
            folder: &running.settings.data_dir.join("statements"),
            zone: &zone,
            time_zone: &running.settings.timezone,
        };
        let order = Order { month, now: state.now().wall, by: caller.name.to_string(), proof };
        let _turn = TURN.lock();
        Ok::<_, Problem>(books.close(&order)?)
    });
    Ok(answer(&closed.await??))
}

pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let statements = blocking(move || close::statements(&*state.store)).await??;
    let seen = statements.iter().filter(|statement| caller.sees(&statement.team));
    Ok(Json(json!({ "items": seen.map(summary).collect::<Vec<_>>(), "next": null })))
}

fn summary(statement: &Statement) -> Value {
    json!({
        "id": statement.id,
        "month": statement.month,
        "team": statement.team,
        "rows": statement.rows.rows,
        "totals": statement.totals,
        "closed_at": statement.closed_at,
        "previous": statement.previous,
        "hash": statement.hash,
    })
}

pub(super) async fn one(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let asked = id.clone();
    let found = blocking(move || close::statement_text(&*state.store, &asked)).await??;
    // A statement of a team that the token does not see is answered like one that does not exist.
    let (_, text) = found
        .filter(|(statement, _)| caller.sees(&statement.team))
        .ok_or_else(|| Problem::not_found(format!("no statement {id:?}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

impl From<CloseError> for Problem {
    fn from(error: CloseError) -> Self {
        match error {
            CloseError::Differs(ref reports) => Self::not_reconciled(error.to_string(), told(reports)),
            CloseError::NotEnded { .. }
            | CloseError::AlreadyClosed(_)
            | CloseError::Passed { .. }
            | CloseError::EarlierOpen { .. }
            | CloseError::Unfinished { .. }
            | CloseError::OtherRows { .. } => Self::conflict(error.to_string()),
            CloseError::Store(error) => error.into(),
            CloseError::Paper(error) => error.into(),
        }
    }
}

impl From<FolderError> for Problem {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Store(error) => error.into(),
            FolderError::Io { .. } => Self::ledger_unavailable(error.to_string()),
            FolderError::Changed { .. } => Self::conflict(error.to_string()),
        }
    }
}

/// The largest differences, one by one.
fn told(reports: &[Reconciliation]) -> Vec<String> {
    let mut items: Vec<_> =
        reports.iter().flat_map(|report| &report.items).filter(|item| item.material).collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.difference.pico().unsigned_abs()));
    let shown = items.iter().take(NAMED).map(|item| {
        let reason = item.reason.as_str();
        format!("{} {}: {reason}, {} {}", item.day, item.model, item.difference, item.currency)
    });
    shown.collect()
}
