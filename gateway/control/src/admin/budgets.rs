//! Budgets: how each is shown, and a raise for a time.

use std::{cmp::Ordering, sync::Arc};

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::{
    ledger::rfc3339,
    quota::{BudgetStatus, Scope, ScopeId, ScopeKind},
};
use tollgate_domain::{Money, UnixMillis};
use tollgate_finance::Forecast;

use super::{
    AdminState,
    access::Caller,
    blocking,
    params::{Body, Segments},
    problem::Problem,
};
use crate::{config::file::Instant, operate::Span, raises::Raise};

/// What `POST /budgets/…/raise` takes.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RaiseOrder {
    amount: Option<Money>,
    until: Option<Instant>,
    #[serde(rename = "for")]
    lasts: Option<Span>,
    #[serde(default)]
    reason: String,
}

/// `POST /budgets/{kind}/{name…}/raise`: more may be spent for a time.
pub(super) async fn raise(
    kind: ScopeKind,
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segments(name): Segments,
    Body(order): Body<RaiseOrder>,
) -> Result<Json<Value>, Problem> {
    let scope = state.scope(kind, &name)?;
    let now = state.now().wall;
    let amount = order.amount.ok_or_else(|| Problem::invalid("`amount` is missing: a decimal text"))?;
    let until = match (order.until, order.lasts) {
        (Some(until), None) => UnixMillis::new(until.millis),
        (None, Some(span)) => now.plus(span.millis()),
        _ => return Err(Problem::invalid("give `until` (a time) or `for` (a length of time)")),
    };
    let author = caller.name.to_string();
    let raise = Raise { amount, until, reason: order.reason, author, since: now };
    let changed = blocking(move || {
        state.raises.raise(&scope, raise, now).map(|()| state.budgets(std::slice::from_ref(&scope)))
    });
    one(changed.await??)
}

/// What `POST /budgets/…/lower` takes.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LowerOrder {
    #[serde(default)]
    reason: String,
}

/// `POST /budgets/{kind}/{name…}/lower`: ends a raise before its time.
pub(super) async fn lower(
    kind: ScopeKind,
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Segments(name): Segments,
    Body(order): Body<LowerOrder>,
) -> Result<Json<Value>, Problem> {
    let scope = state.scope(kind, &name)?;
    let now = state.now().wall;
    let changed = blocking(move || {
        let lowered = state.raises.lower(scope.id(), &order.reason, &caller.name, now);
        lowered.map(|()| state.budgets(std::slice::from_ref(&scope)))
    });
    one(changed.await??)
}

fn one(mut items: Vec<Value>) -> Result<Json<Value>, Problem> {
    // A configuration without the budget may have come into force meanwhile.
    items.pop().map(Json).ok_or_else(|| Problem::not_found("the budget is gone"))
}

impl AdminState {
    fn scope(&self, kind: ScopeKind, name: &[String]) -> Result<Arc<Scope>, Problem> {
        let id = ScopeId { kind, name: name.join("/").into() };
        let running = self.reloader.running();
        let found = running.scopes.iter().find(|scope| *scope.id() == id);
        found.cloned().ok_or_else(|| Problem::not_found(format!("there is no {id}")))
    }

    /// The budgets of these scopes as they are shown. Blocks on the store where days are to be read.
    pub(super) fn budgets(&self, scopes: &[Arc<Scope>]) -> Vec<Value> {
        let (now, zone, running) = (self.now().wall, self.time_zone(), self.reloader.running());
        let currency = &running.document.file.currency;
        if let Err(error) = self.foresight.refresh(&*self.store, currency, &zone, now) {
            tracing::warn!(%error, "forecasts are made of what was known before");
        }
        let shown = scopes.iter().filter_map(|scope| {
            let status = self.live.quotas.statuses(std::slice::from_ref(scope), now).pop()?;
            let budget = scope.rules().budget.as_ref()?;
            let forecast = self.foresight.of(&status, &zone, now);
            let raise = self.raises.of(scope.id(), now).filter(|_| status.raise.is_some());
            Some(item(&status, &budget.alerts, forecast.as_ref(), raise.as_ref()))
        });
        shown.collect()
    }
}

/// The one first of which the smaller part is left, compared without dividing: a/b < c/d where a·d < c·b.
pub(super) fn least_left(one: &BudgetStatus, other: &BudgetStatus) -> Ordering {
    let share = |one: &BudgetStatus, other: &BudgetStatus| {
        one.remaining.pico().saturating_mul(other.amount.pico().max(1))
    };
    share(one, other).cmp(&share(other, one))
}

fn item(status: &BudgetStatus, alerts: &[u16], forecast: Option<&Forecast>, raise: Option<&Raise>) -> Value {
    let names = Names::of(&status.scope);
    let raise = raise.map(|raise| {
        json!({
            "amount": raise.amount,
            "until": rfc3339(raise.until),
            "reason": raise.reason,
            "by": raise.author,
            "since": rfc3339(raise.since),
        })
    });
    json!({
        "scope": status.scope.kind.as_str(),
        "team": names.team,
        "project": names.project,
        "key": names.key,
        "mode": status.mode.as_str(),
        "reserve": status.reserve.as_str(),
        "currency": status.currency,
        "amount": status.amount,
        "raise": raise,
        "refuses_at": status.ceiling,
        "spent": status.spent,
        "reserved": status.reserved,
        "remaining": status.remaining,
        "worst_overspend": status.ceiling.map(|_| status.at_risk),
        "forecast": forecast.map(|forecast| forecast.p50),
        "forecast_p90": forecast.map(|forecast| forecast.p90),
        "forecast_method": forecast.map(|forecast| forecast.method.as_str()),
        "data_through": forecast.map(|forecast| forecast.last_day.to_string()),
        "period": status.period.as_str(),
        "period_start": rfc3339(status.start),
        "period_end": status.end.map(rfc3339),
        "state": state(status, alerts),
    })
}

/// `exceeded` when nothing is left, `alert` from the first alert threshold on, else `ok`.
fn state(status: &BudgetStatus, alerts: &[u16]) -> &'static str {
    if status.spent >= status.amount {
        "exceeded"
    } else if alerts.iter().any(|percent| status.has_spent(*percent)) {
        "alert"
    } else {
        "ok"
    }
}

/// The parts of a scope's name, which is `team`, `team/project` or `team/project/key`.
pub(super) struct Names<'a> {
    pub(super) team: &'a str,
    pub(super) project: Option<&'a str>,
    key: Option<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(id: &'a ScopeId) -> Self {
        let mut parts = id.name.splitn(3, '/');
        Self { team: parts.next().unwrap_or_default(), project: parts.next(), key: parts.next() }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_accounting::quota::{BudgetMode, Period, Reserve};

    use super::*;

    #[test]
    fn a_budget_says_how_near_its_end_it_is() {
        let status = |spent: &str| BudgetStatus {
            scope: ScopeId { kind: ScopeKind::Project, name: "retail/search".into() },
            mode: BudgetMode::Hard,
            reserve: Reserve::Full,
            currency: "USD".into(),
            amount: "500".parse().expect("an amount"),
            raise: None,
            ceiling: None,
            exhausted: false,
            spent: spent.parse().expect("an amount"),
            reserved: Money::ZERO,
            remaining: Money::ZERO,
            at_risk: Money::ZERO,
            spent_today: Money::ZERO,
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
        let shown = item(&status("1.50"), &[], None, None);
        assert_eq!(
            (&shown["team"], &shown["project"], &shown["key"]),
            (&json!("retail"), &json!("search"), &Value::Null)
        );
        assert_eq!(shown["spent"], "1.5");
    }
}
