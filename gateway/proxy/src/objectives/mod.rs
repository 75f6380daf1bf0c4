//! Objectives: how much of what routes and projects are promised is kept, measured on real traffic.
//!
//! Two views of each: the client's, of calls as they ended for whoever asked, and the upstream's, of
//! attempts, which tells what fail-over has hidden. What is the caller's own fault counts in neither.
//! A call adds to counters of its core's own; they are summed beside requests.

mod verdict;
mod window;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tollgate_accounting::ledger::Entry;
use tollgate_domain::{ModelAlias, ProjectName, TeamName, UnixMillis};

use window::Measured;
pub use window::{Counts, Window};

/// What is promised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Objective {
    /// To whom.
    pub subject: Subject,
    /// What.
    pub aim: Aim,
    /// For how many of a million.
    pub goal: u32,
}

/// To whom something is promised.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// To all who call a model.
    Model(ModelAlias),
    /// To a project.
    Project(TeamName, ProjectName),
}

/// What a call or an attempt is held against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Aim {
    /// It succeeds.
    Success,
    /// It succeeds, and its first content comes within this.
    FirstToken(Duration),
    /// It succeeds, and all of it comes within this.
    Total(Duration),
}

impl Objective {
    /// Its name, as metrics and answers have it, such as `model/gpt-5-mini/success`.
    #[must_use]
    pub fn name(&self) -> String {
        let aim = self.aim.as_str();
        match &self.subject {
            Subject::Model(model) => format!("model/{model}/{aim}"),
            Subject::Project(team, project) => format!("project/{team}/{project}/{aim}"),
        }
    }

    /// The pace at which what may fail is used up, in thousandths: 1,000 uses all of it in the time for which
    /// the objective is meant. `None` where nothing was measured, or where nothing may fail.
    #[must_use]
    pub fn burn_permille(&self, counts: Counts) -> Option<u64> {
        let may_fail = u128::from(1_000_000_u32.saturating_sub(self.goal));
        let failed = u128::from(counts.all.saturating_sub(counts.good));
        let pace = (failed * 1_000_000 * 1_000).checked_div(u128::from(counts.all) * may_fail)?;
        Some(u64::try_from(pace).unwrap_or(u64::MAX))
    }
}

impl Aim {
    /// The name used in configuration, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::FirstToken(_) => "first_token",
            Self::Total(_) => "total",
        }
    }

    /// How long it may take.
    #[must_use]
    pub const fn within(self) -> Option<Duration> {
        match self {
            Self::Success => None,
            Self::FirstToken(within) | Self::Total(within) => Some(within),
        }
    }
}

/// Who looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum View {
    /// The client, at calls.
    Client,
    /// The gateway, at attempts on upstreams.
    Upstream,
}

impl View {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Client, Self::Upstream];

    /// The name used in metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
        }
    }
}

/// An objective with what was measured.
struct Kept {
    objective: Objective,
    client: Measured,
    upstream: Measured,
}

/// The objectives in force.
#[derive(Default)]
pub struct Objectives(ArcSwap<InForce>);

#[derive(Default)]
struct InForce {
    all: Vec<Arc<Kept>>,
    models: HashMap<ModelAlias, Vec<Arc<Kept>>>,
    projects: HashMap<ProjectName, Vec<Arc<Kept>>>,
}

/// How an objective stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The objective.
    pub objective: Objective,
    /// What was measured, for each view and window.
    pub measured: Vec<(View, Window, Counts)>,
}

impl Objectives {
    /// Puts objectives in force. Those that were in force before keep what they have measured.
    pub fn follow(&self, objectives: &[Objective]) {
        let before = self.0.load_full();
        let mut now = InForce::default();
        for objective in objectives {
            let kept = before.all.iter().find(|kept| kept.objective == *objective).cloned();
            let kept = kept.unwrap_or_else(|| {
                let (client, upstream) = Default::default();
                Arc::new(Kept { objective: objective.clone(), client, upstream })
            });
            match &objective.subject {
                Subject::Model(model) => {
                    now.models.entry(model.clone()).or_default().push(Arc::clone(&kept));
                }
                Subject::Project(_, project) => {
                    now.projects.entry(project.clone()).or_default().push(Arc::clone(&kept));
                }
            }
            now.all.push(kept);
        }
        self.0.store(Arc::new(now));
    }

    /// Counts a call that has ended, and its attempts.
    pub(crate) fn record(&self, entry: &Entry) {
        let in_force = self.0.load();
        if in_force.all.is_empty() {
            return;
        }
        let of_model = in_force.models.get(&entry.model).into_iter().flatten();
        let of_project = in_force.projects.get(&entry.identity.project).into_iter().flatten();
        for kept in of_model.chain(of_project) {
            if kept.is_of(entry) {
                kept.record(entry);
            }
        }
    }

    /// How all stand at this time, the newest calls included.
    pub fn standings(&self, now: UnixMillis) -> Vec<Standing> {
        self.0.load().all.iter().map(|kept| kept.standing(now)).collect()
    }
}

impl Kept {
    fn is_of(&self, entry: &Entry) -> bool {
        match &self.objective.subject {
            Subject::Model(_) => true,
            Subject::Project(team, _) => *team == entry.identity.team,
        }
    }

    fn record(&self, entry: &Entry) {
        let aim = self.objective.aim;
        if let Some(is_good) = verdict::of_call(aim, entry) {
            self.client.count(is_good);
        }
        for is_good in verdict::of_attempts(aim, entry) {
            self.upstream.count(is_good);
        }
    }

    fn standing(&self, now: UnixMillis) -> Standing {
        let mut measured = Vec::with_capacity(View::ALL.len() * Window::ALL.len());
        for view in View::ALL {
            let of_view = match view {
                View::Client => &self.client,
                View::Upstream => &self.upstream,
            };
            measured.extend(of_view.take_in(now).map(|(window, counts)| (view, window, counts)));
        }
        Standing { objective: self.objective.clone(), measured }
    }
}

#[cfg(test)]
mod tests;
