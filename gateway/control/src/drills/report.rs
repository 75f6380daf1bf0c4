//! The content of a drill's paper: what was asked, what was measured, and what was promised.

use serde_json::{Map, Value, json};
use tollgate_accounting::{Now, ledger::rfc3339};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{Drill, DrillEnd, DrillFault, DrillPlace, DrillPlan, DrillScope, Measured, Quantiles};

use super::{evidence::Evidence, objectives::Objectives, order::Order};
use crate::reload::Running;

const FORMAT: &str = "tollgate-drill/1";

/// What is written down before a drill begins.
pub(super) fn begun(
    plan: &DrillPlan,
    order: &Order,
    actor: &str,
    configuration: &Running,
    now: UnixMillis,
) -> Value {
    let until = now.plus(i64::try_from(plan.lasts.as_millis()).unwrap_or(i64::MAX));
    json!({
        "format": FORMAT,
        "id": &*plan.id,
        "state": "running",
        "actor": actor,
        "reason": order.reason,
        "instance": &*configuration.settings.instance,
        "config": { "version": configuration.version.number, "sha256": configuration.version.hash },
        "plan": planned(plan),
        "started_at": rfc3339(now),
        "until": rfc3339(until),
    })
}

fn planned(plan: &DrillPlan) -> Value {
    let (region, upstream) = match &plan.place {
        DrillPlace::Region(name) => (Some(name.as_str()), None),
        DrillPlace::Upstream(name) => (None, Some(name.as_str())),
    };
    let projects = match &plan.scope {
        DrillScope::All => Value::Null,
        DrillScope::Projects(named) => {
            named.iter().map(|(team, project)| format!("{team}/{project}")).collect()
        }
    };
    json!({
        "region": region,
        "upstream": upstream,
        "fault": fault(plan.fault),
        "projects": projects,
        "all": plan.scope == DrillScope::All,
        "percent": plan.percent,
        "for_ms": millis(plan.lasts),
        "stop_when_success_below": plan.stop_below,
        "seed": plan.seed,
    })
}

fn fault(fault: DrillFault) -> Value {
    let mut told = Map::new();
    told.insert("kind".into(), fault.as_str().into());
    let (name, value) = match fault {
        DrillFault::Down | DrillFault::Dns => return told.into(),
        DrillFault::Latency { added } => ("latency_ms", millis(added)),
        DrillFault::Throttle { retry_after } => ("retry_after_ms", millis(retry_after)),
        DrillFault::Error { status } => ("status", status.into()),
        DrillFault::Cut { after } => ("after", after.into()),
        DrillFault::Trickle { every } => ("every_ms", millis(every)),
    };
    told.insert(name.into(), value.into());
    told.into()
}

/// How a drill ended.
pub(super) struct Ended {
    pub(super) why: DrillEnd,
    pub(super) at: UnixMillis,
    /// Settled calls without a row, where that is known.
    pub(super) loss: Option<u64>,
    pub(super) objectives: Objectives,
    pub(super) currency: String,
}

/// The report of a drill that is over.
pub(super) fn ended(mut begun: Value, drill: &Drill, began: Now, ended: &Ended) -> Value {
    let figures = drill.measured();
    begun["state"] = match ended.why {
        DrillEnd::Time => "completed",
        DrillEnd::Stopped | DrillEnd::Budget => "stopped",
        DrillEnd::Shutdown => "aborted",
    }
    .into();
    begun["ended_by"] = ended.why.as_str().into();
    begun["ended_at"] = rfc3339(ended.at).into();
    begun["measured"] = measured(drill, began, &ended.currency);
    begun["measured"]["lost_rows"] = ended.loss.into();
    begun["residency"] = residency(&figures);
    begun["objectives"] = ended.objectives.compared(&figures, ended.loss);
    begun
}

/// The report of a drill whose process ended without a word.
pub(super) fn lost(mut begun: Value, now: UnixMillis) -> Value {
    begun["state"] = "aborted".into();
    begun["ended_by"] = "restart".into();
    // Its faults ended with the process, at a time that nobody has seen.
    begun["ended_at"] = Value::Null;
    begun["found_at"] = rfc3339(now).into();
    begun["measured"] = Value::Null;
    begun["residency"] = Value::Null;
    begun["objectives"] = Value::Null;
    begun
}

/// What was measured so far.
pub(super) fn measured(drill: &Drill, began: Now, currency: &str) -> Value {
    let figures = drill.measured();
    let at = |after| rfc3339(began.wall.plus(signed(millis(after))));
    json!({
        "requests": figures.requests,
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "failed_by_code": figures.failed_by_code,
        "in_flight": drill.in_flight(),
        "spared": figures.spared,
        "attempts": figures.attempts,
        "injected_faults": figures.injected,
        "first_fault_at": figures.first_fault.map(at),
        "first_failure_at": figures.first_failure.map(at),
        "recovery_ms": figures.recovery.map(millis),
        "avoidance_ms": figures.avoidance.map(millis),
        "answer_ms": figures.answer.map(quantiles),
        "added_ms": figures.added.map(quantiles),
        "cost_pico": figures.cost.pico().to_string(),
        "waste_pico": figures.waste.pico().to_string(),
        "currency": currency,
        "unpriced_requests": figures.unpriced,
    })
}

fn quantiles(times: Quantiles) -> Value {
    json!({ "p50": times.p50, "p95": times.p95, "p99": times.p99, "max": times.most })
}

fn residency(figures: &Measured) -> Value {
    let calls = figures.misplaced_calls.iter();
    let calls =
        calls.map(|call| json!({ "id": call.id.to_string(), "project": call.project, "zone": call.zone }));
    json!({
        "checked_requests": figures.requests,
        "violations": figures.misplaced,
        "calls": calls.collect::<Vec<_>>(),
    })
}

/// A drill in a list.
pub(super) fn summary(kept: &Evidence) -> Value {
    let content = &kept.content;
    let mut item = Map::new();
    for name in ["id", "state", "ended_by", "actor", "reason", "started_at", "until", "ended_at"] {
        item.insert(name.into(), content[name].clone());
    }
    for name in ["region", "upstream", "projects", "all", "percent"] {
        item.insert(name.into(), content["plan"][name].clone());
    }
    item.insert("fault".into(), content["plan"]["fault"]["kind"].clone());
    for name in ["requests", "failed", "recovery_ms"] {
        item.insert(name.into(), content["measured"][name].clone());
    }
    item.insert("sha256".into(), kept.sha256.clone().into());
    item.into()
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
