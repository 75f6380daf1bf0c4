//! What a key may do and what is left for it: for whoever holds the key, from memory.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_accounting::{
    Now,
    ledger::rfc3339,
    quota::{BudgetStatus, Scope},
};

use crate::snapshot::{Principal, Routes};

/// The answer to `GET /tollgate/v1/me`, as JSON. Takes nothing from any limit.
pub(crate) fn about(principal: &Principal, routes: &Routes, now: Now) -> Bytes {
    let identity = &*principal.identity;
    let limits: Vec<Value> = principal.scopes.iter().flat_map(|scope| limits(scope, now)).collect();
    let budgets = principal.scopes.iter().filter_map(|scope| scope.status(now.wall));
    let about = json!({
        "organization": &*identity.organization,
        "team": identity.team.as_str(),
        "project": identity.project.as_str(),
        "key": identity.key.as_str(),
        "expires": principal.expires.map(rfc3339),
        "models": models(principal, routes),
        "zones": principal.zones.as_ref().map(|zones| zones.iter().map(|zone| zone.as_str()).collect::<Vec<_>>()),
        "request_tags": principal.request_tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        "limits": limits,
        "budgets": budgets.map(|status| budget(&status)).collect::<Vec<_>>(),
    });
    about.to_string().into()
}

/// The names that it may call and that lead somewhere, sorted.
pub(crate) fn models<'a>(principal: &'a Principal, routes: &Routes) -> Vec<&'a str> {
    let names = principal.models.iter().map(|model| model.as_str());
    let mut names: Vec<&str> = names.filter(|name| routes.by_alias.contains_key(*name)).collect();
    names.sort_unstable();
    names
}

fn limits(scope: &Scope, now: Now) -> impl Iterator<Item = Value> {
    let id = scope.id().clone();
    scope.limits_left(now).into_iter().map(move |(kind, left)| {
        json!({
            "scope": id.kind.as_str(),
            "name": &*id.name,
            "limit": kind.as_str(),
            "amount": left.limit,
            "remaining": left.remaining,
            "reset_after_ms": millis(left.reset_after),
        })
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn budget(status: &BudgetStatus) -> Value {
    json!({
        "scope": status.scope.kind.as_str(),
        "name": &*status.scope.name,
        "mode": status.mode.as_str(),
        "currency": &*status.currency,
        "amount": status.amount,
        "spent": status.spent,
        "reserved": status.reserved,
        "remaining": status.remaining,
        "period": status.period.as_str(),
        "period_start": rfc3339(status.start),
        "period_end": status.end.map(rfc3339),
    })
}
