//! `GET /budgets`: what each team, project and key may spend, has spent and holds reserved.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};
use tollgate_accounting::{
    ledger::rfc3339,
    quota::{BudgetStatus, Scope, ScopeId},
};
use tollgate_domain::Money;

use super::{AdminState, access::Caller, problem::Problem};

pub(super) async fn list(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    // A narrowed token without teams is refused, not answered with nothing.
    caller.narrow(None)?;
    let running = state.reloader.running();
    let mut seen: Vec<Arc<Scope>> = running.scopes.clone();
    seen.retain(|scope| caller.sees(Names::of(scope.id()).team));
    seen.sort_by(|a, b| a.id().cmp(b.id()));
    let items: Vec<Value> = state
        .live
        .quotas
        .statuses(&seen, state.now().wall)
        .iter()
        .map(|status| item(status, alerts(&seen, &status.scope)))
        .collect();
    Ok(Json(json!({ "items": items, "next": null })))
}

fn alerts<'a>(scopes: &'a [Arc<Scope>], id: &ScopeId) -> &'a [u16] {
    let scope = scopes.iter().find(|scope| scope.id() == id);
    scope.and_then(|scope| scope.rules().budget.as_ref()).map_or(&[], |budget| &budget.alerts)
}

fn item(status: &BudgetStatus, alerts: &[u16]) -> Value {
    let names = Names::of(&status.scope);
    json!({
        "scope": status.scope.kind.as_str(),
        "team": names.team,
        "project": names.project,
        "key": names.key,
        "mode": status.mode.as_str(),
        "currency": status.currency,
        "amount": status.amount,
        "spent": status.spent,
        "reserved": status.reserved,
        "remaining": status.remaining,
        "forecast": null,
        "period": status.period.as_str(),
        "period_start": rfc3339(status.start),
        "period_end": status.end.map(rfc3339),
        "state": state(status, alerts),
    })
}

/// `exceeded` when nothing is left, `alert` from the first alert threshold on, else `ok`.
fn state(status: &BudgetStatus, alerts: &[u16]) -> &'static str {
    let threshold = |percent: u16| Money::from_pico(status.amount.pico() / 100 * i128::from(percent));
    if status.spent >= status.amount {
        "exceeded"
    } else if alerts.iter().any(|percent| status.spent >= threshold(*percent)) {
        "alert"
    } else {
        "ok"
    }
}

/// The parts of a scope's name, which is `team`, `team/project` or `team/project/key`.
struct Names<'a> {
    team: &'a str,
    project: Option<&'a str>,
    key: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn of(id: &'a ScopeId) -> Self {
        let mut parts = id.name.splitn(3, '/');
        Self { team: parts.next().unwrap_or_default(), project: parts.next(), key: parts.next() }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::quota::{BudgetMode, Period, ScopeKind};
    use tollgate_domain::UnixMillis;

    use super::*;

    #[test]
    fn a_budget_says_how_near_its_end_it_is() {
        let status = |spent: &str| BudgetStatus {
            scope: ScopeId { kind: ScopeKind::Project, name: "retail/search".into() },
            mode: BudgetMode::Hard,
            currency: "USD".into(),
            amount: "500".parse().expect("an amount"),
            spent: spent.parse().expect("an amount"),
            reserved: Money::ZERO,
            remaining: Money::ZERO,
            period: Period::Month,
            start: UnixMillis::new(0),
            end: None,
        };
        let cases = [
            ("0", "ok"),
            ("249.999", "ok"),
            ("250", "alert"),
            ("499", "alert"),
            ("500", "exceeded"),
            ("501", "exceeded"),
        ];
        for (spent, want) in cases {
            assert_eq!(state(&status(spent), &[50, 80]), want, "{spent}");
        }
        let shown = item(&status("1.50"), &[]);
        assert_eq!(
            (&shown["team"], &shown["project"], &shown["key"]),
            (&json!("retail"), &json!("search"), &Value::Null)
        );
        assert_eq!(shown["spent"], "1.5");
    }
}
