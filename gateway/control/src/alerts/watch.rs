//! What budgets and the ledger show that people may want to be told.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tollgate_accounting::{
    ledger::{Dimension, LedgerStore, StoreError, UsageQuery},
    quota::{Budget, BudgetStatus, Calendar, Period, Quotas, Scope},
};
use tollgate_domain::UnixMillis;
use tollgate_finance::Forecast;
use tollgate_proxy::Findings;

use super::{
    event::{About, Event, day},
    foresight::Foresight,
};

/// What there is to tell of these budgets, in the order in which it came to be.
pub(super) fn budgets(
    scopes: &[Arc<Scope>],
    quotas: &Quotas,
    foresight: &Foresight,
    zone: &TimeZone,
    now: UnixMillis,
) -> Vec<Event> {
    let mut events = Vec::new();
    for scope in scopes {
        let Some(budget) = &scope.rules().budget else { continue };
        if budget.alerts.is_empty() && budget.forecast_alerts.is_empty() {
            continue;
        }
        let Some(status) = quotas.statuses(std::slice::from_ref(scope), now).pop() else { continue };
        let forecast = || foresight.of(&status, zone, now);
        let abouts = abouts(budget, &status, forecast);
        events.extend(
            abouts.into_iter().map(|about| Event::Budget { status: Box::new(status.clone()), about }),
        );
    }
    events
}

/// A forecast tells nothing where so much is spent already.
fn abouts(budget: &Budget, status: &BudgetStatus, forecast: impl FnOnce() -> Option<Forecast>) -> Vec<About> {
    let ascending = |thresholds: &[u16]| {
        let mut thresholds = thresholds.to_vec();
        thresholds.sort_unstable();
        thresholds
    };
    let mut abouts: Vec<About> =
        ascending(&budget.alerts).into_iter().filter(|at| status.has_spent(*at)).map(About::Spent).collect();
    if status.exhausted && !budget.alerts.is_empty() {
        abouts.push(About::Exhausted);
    }
    let mut ahead = ascending(&budget.forecast_alerts);
    ahead.retain(|at| !status.has_spent(*at));
    if !ahead.is_empty()
        && let Some(forecast) = forecast()
    {
        ahead.retain(|at| status.would_reach(forecast.p50, *at));
        abouts.extend(ahead.into_iter().map(|at| About::Forecast(at, forecast)));
    }
    abouts
}

/// What answers have shown since the last look.
pub(super) fn found(findings: &Findings, zone: &TimeZone) -> Vec<Event> {
    let event = |(finding, at)| day(at, zone).map(|day| Event::Found { finding, day });
    findings.take().into_iter().filter_map(event).collect()
}

/// Models that were used today without a price.
pub(super) fn unpriced(
    store: &dyn LedgerStore,
    zone: &TimeZone,
    now: UnixMillis,
) -> Result<Vec<Event>, StoreError> {
    let today = Calendar::of(zone.clone()).window_of(Period::Day, now);
    let query = UsageQuery {
        from: Some(today.start),
        to: Some(today.end),
        by: vec![Dimension::Model],
        time_zone: zone.clone(),
        ..UsageQuery::default()
    };
    let Some(day) = day(now, zone) else { return Ok(Vec::new()) };
    let groups = store.usage(&query)?;
    let models = groups.iter().filter(|group| group.unpriced_requests > 0);
    let names = models.filter_map(|group| group.group.first().map(|(_, model)| model.as_str().into()));
    Ok(names.map(|model| Event::Unpriced { model, day: day.clone() }).collect())
}
