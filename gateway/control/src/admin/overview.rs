//! `GET /overview`: how things stand, in one call from memory; no store is asked.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};
use tollgate_accounting::ledger::rfc3339;
use tollgate_domain::{TeamName, UnixMillis};
use tollgate_proxy::OperatorState;

use super::{
    AdminState,
    access::{Caller, Permission},
    budgets::least_left,
    problem::Problem,
};
use crate::{config::LedgerPlace, feed::Sums};

/// Minutes that are shown one by one.
const MINUTES: usize = 60;
/// Whole minutes that are summed as what was lately, beside the one that runs.
const LATELY: usize = 15;
/// Budgets that are shown: those of which least is left.
const TIGHTEST: usize = 5;

pub(super) async fn overview(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    state.overview(&caller).map(Json)
}

impl AdminState {
    /// What the caller may see of how things stand.
    pub(super) fn overview(&self, caller: &Caller) -> Result<Value, Problem> {
        let (now, running) = (self.now().wall, self.reloader.running());
        let teams = caller.narrow(None)?;
        let minutes = self.feed.minutes(&teams, MINUTES, now);
        let (mut hour, mut shown) = (Sums::default(), Vec::new());
        for (at, sums) in &minutes {
            hour.add(sums);
            shown.push(json!({ "at": rfc3339(*at), "sums": sums }));
        }
        // The minute that runs is not whole.
        let last_minute = minutes.iter().rev().nth(1).map(|(_, sums)| *sums).unwrap_or_default();
        let sees_fleet = caller.may(Permission::ReadFleet).is_ok();
        Ok(json!({
            "at": rfc3339(now),
            "organization": &*running.settings.organization,
            "instance": &*running.settings.instance,
            "currency": running.document.file.currency,
            // Of this process alone: others on the same ledger have their own.
            "partial": matches!(running.settings.ledger, LedgerPlace::Server { .. }),
            "last_minute": last_minute,
            "last_hour": hour,
            "lately": self.lately(&teams, &minutes, now),
            "since": rfc3339(self.feed.since()),
            "minutes": shown,
            "budgets": self.budgets_at_a_glance(caller),
            "fleet": sees_fleet.then(|| self.fleet_at_a_glance()),
            "config": caller.may(Permission::ReadConfig).is_ok().then(|| json!({
                "version": running.version.number,
                "hash": running.version.hash,
                "since": rfc3339(running.version.at),
                "refused": self.reloader.last_error().is_some(),
                "warnings": running.warnings.len() + running.strays.len(),
            })),
            "not_ready": (self.readiness)()
                .into_iter()
                .filter_map(|check| Some(json!({ "check": check.name, "problem": check.problem? })))
                .collect::<Vec<_>>(),
        }))
    }

    /// The last quarter of an hour, or as much of it as is known.
    fn lately(&self, teams: &[TeamName], minutes: &[(UnixMillis, Sums)], now: UnixMillis) -> Value {
        let mut sums = Sums::default();
        let last = &minutes[minutes.len().saturating_sub(LATELY + 1)..];
        last.iter().for_each(|(_, minute)| sums.add(minute));
        let begin = last.first().map_or(now, |(at, _)| *at).max(self.feed.since());
        let lately = self.feed.lately(teams, now);
        json!({
            "seconds": (now.since(begin) / 1_000).max(1),
            "sums": sums,
            "ttft_p95_ms": lately.ttft_p95_ms,
            "failures": lately.failures,
        })
    }

    fn budgets_at_a_glance(&self, caller: &Caller) -> Value {
        let scopes: Vec<_> = self.reloader.running().scopes.clone();
        let team_of = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        let seen: Vec<_> =
            scopes.into_iter().filter(|scope| caller.sees(&team_of(&scope.id().name))).collect();
        let mut statuses = self.live.quotas.statuses(&seen, self.now().wall);
        let exceeded = statuses.iter().filter(|status| status.spent >= status.amount).count();
        let count = statuses.len();
        statuses.sort_by(least_left);
        let tightest: Vec<Value> = statuses
            .iter()
            .take(TIGHTEST)
            .map(|status| {
                json!({
                    "scope": status.scope.kind.as_str(),
                    "name": &*status.scope.name,
                    "amount": status.amount,
                    "spent": status.spent,
                    "remaining": status.remaining,
                    "mode": status.mode.as_str(),
                    "period": status.period.as_str(),
                })
            })
            .collect();
        json!({ "count": count, "exceeded": exceeded, "tightest": tightest })
    }

    fn fleet_at_a_glance(&self) -> Value {
        let (snapshot, now) = (self.snapshot(), self.now());
        let in_flight: u64 = snapshot
            .upstreams
            .iter()
            .map(|upstream| u64::from(upstream.live.in_flight.load(std::sync::atomic::Ordering::Relaxed)))
            .sum();
        let regions: Vec<Value> = snapshot
            .regions
            .iter()
            .map(|region| {
                let state = region.operator.state(OperatorState::default());
                let in_flight = region.in_flight.load(std::sync::atomic::Ordering::Relaxed);
                json!({ "name": region.name, "state": state.as_str(), "in_flight": in_flight })
            })
            .collect();
        let mut troubled = Vec::new();
        let mut targets = 0_usize;
        for target in snapshot.targets() {
            targets += 1;
            let standing = crate::chronicle::Standing::of(target, now.mono);
            if let Some(why) = standing.words() {
                troubled.push(json!({
                    "target": &*target.live.name,
                    "region": target.upstream.region,
                    "why": why,
                }));
            }
        }
        json!({ "in_flight": in_flight, "regions": regions, "targets": targets, "troubled": troubled })
    }
}
