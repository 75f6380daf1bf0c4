//! What is promised, held against what a drill has measured.

use serde_json::{Value, json};
use tollgate_proxy::{DrillPlace, DrillPlan, DrillScope, Measured, Snapshot};

use super::report::millis;
use crate::config::file::{self, ConfigFile, Span};

/// The promises of the configuration that concern a drill.
pub(super) struct Objectives {
    /// How soon calls have to succeed again, in milliseconds.
    rto_ms: Option<u64>,
    /// For how long back what was recorded may be lost, in milliseconds.
    rpo_ms: Option<u64>,
    promises: Vec<Promise>,
}

/// What a model or a project is promised.
struct Promise {
    of: String,
    aim: Aim,
    /// The share that is to keep it, in millionths.
    goal: u64,
}

enum Aim {
    Success,
    /// The first content within so many milliseconds.
    FirstToken(u64),
}

impl Objectives {
    /// Those of recovery, those of projects whose calls may take part, and those of models that the
    /// drilled place serves.
    pub(super) fn of(file: &ConfigFile, plan: &DrillPlan, snapshot: &Snapshot) -> Self {
        let mut promises = Vec::new();
        for team in &file.teams {
            for project in &team.projects {
                let concerns = match &plan.scope {
                    DrillScope::All => true,
                    DrillScope::Projects(named) => named
                        .iter()
                        .any(|(of, name)| of.as_str() == team.name && name.as_str() == project.name),
                };
                if concerns {
                    promised(
                        &format!("project {}/{}", team.name, project.name),
                        &project.objectives,
                        &mut promises,
                    );
                }
            }
        }
        for model in file.models.iter().filter(|model| serves(&plan.place, &model.name, snapshot)) {
            promised(&format!("model {}", model.name), &model.objectives, &mut promises);
        }
        let millis = |span: Option<Span>| span.map(|span| millis(span.0));
        Self { rto_ms: millis(file.objectives.rto), rpo_ms: millis(file.objectives.rpo), promises }
    }

    /// Each promise with what was measured. `loss`: settled calls without a row, where that is known.
    pub(super) fn compared(&self, figures: &Measured, loss: Option<u64>) -> Value {
        let recovery = figures.recovery.map(millis);
        let promises = self.promises.iter().map(|promise| promise.compared(figures));
        json!({
            "rto": self.rto_ms.map(|goal| json!({
                "goal_ms": goal,
                "measured_ms": recovery,
                // Without a fault there was nothing to recover from, and nothing was shown.
                "met": figures.first_fault.map(|_| recovery.is_some_and(|took| took <= goal)),
            })),
            // Nothing lost keeps every promise; of what is lost, nobody knows for how long back.
            "rpo": self.rpo_ms.map(|goal| json!({
                "goal_ms": goal,
                "lost_rows": loss,
                "met": loss.map(|lost| lost == 0),
            })),
            "slo": promises.collect::<Vec<_>>(),
        })
    }
}

impl Promise {
    /// Measured over all drilled calls together.
    fn compared(&self, figures: &Measured) -> Value {
        let (aim, within, (kept, all)) = match self.aim {
            Aim::Success => ("success", None, (figures.succeeded, figures.succeeded + figures.failed)),
            Aim::FirstToken(within) => {
                let times = figures.answered_within.iter();
                let kept =
                    times.take_while(|(time, _)| *time <= within).last().map_or(0, |(_, count)| *count);
                let all = figures.answered_within.last().map_or(0, |(_, count)| *count);
                ("first_token", Some(within), (kept, all))
            }
        };
        let share = (kept * 1_000_000).checked_div(all);
        json!({
            "of": self.of,
            "aim": aim,
            "within_ms": within,
            "goal_ppm": self.goal,
            "measured_ppm": share,
            "met": share.map(|share| share >= self.goal),
        })
    }
}

fn promised(of: &str, objectives: &Option<file::Objectives>, promises: &mut Vec<Promise>) {
    let Some(objectives) = objectives else { return };
    let mut add = |aim, share: &file::Percent| {
        promises.push(Promise { of: of.to_owned(), aim, goal: share.millionths.into() });
    };
    if let Some(share) = &objectives.success {
        add(Aim::Success, share);
    }
    if let Some(in_time) = &objectives.first_token {
        add(Aim::FirstToken(millis(in_time.within.0)), &in_time.share);
    }
}

/// True where the drilled place has a target of the model.
fn serves(place: &DrillPlace, model: &str, snapshot: &Snapshot) -> bool {
    let Some(route) = snapshot.routes.by_alias.get(model) else { return false };
    let mut upstreams = route.levels.iter().flatten().map(|target| &target.upstream);
    upstreams.any(|upstream| match place {
        DrillPlace::Region(name) => upstream.region == *name,
        DrillPlace::Upstream(name) => upstream.name == *name,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_promise_is_kept_broken_or_not_put_to_the_test() {
        let success = Promise { of: "model m".into(), aim: Aim::Success, goal: 990_000 };
        let first = Promise { of: "model m".into(), aim: Aim::FirstToken(100), goal: 500_000 };
        let objectives = Objectives { rto_ms: Some(500), rpo_ms: Some(0), promises: vec![success, first] };
        let nothing = objectives.compared(&Measured::default(), None);
        for untested in [&nothing["rto"], &nothing["rpo"], &nothing["slo"][0], &nothing["slo"][1]] {
            assert_eq!(untested["met"], Value::Null, "{nothing:#}");
        }
        let mut figures = Measured {
            succeeded: 99,
            failed: 1,
            first_fault: Some(Duration::ZERO),
            recovery: Some(Duration::from_millis(500)),
            answered_within: vec![(50, 40), (100, 50), (200, 99)],
            ..Measured::default()
        };
        let kept = objectives.compared(&figures, Some(0));
        let met = |told: &Value| {
            [&told["rto"], &told["rpo"], &told["slo"][0], &told["slo"][1]].map(|one| one["met"].as_bool())
        };
        assert_eq!(met(&kept), [Some(true); 4], "{kept:#}");
        figures.failed = 2;
        figures.recovery = None;
        figures.answered_within = vec![(50, 40), (101, 99)];
        let broken = objectives.compared(&figures, Some(1));
        assert_eq!(met(&broken), [Some(false); 4], "{broken:#}");
    }
}
