//! What is asked of a drill, and whether it can be.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_domain::{ProjectName, TeamName};
use tollgate_proxy::{DrillFault, DrillPlace, DrillPlan, DrillScope, Snapshot};

use crate::{config::file::ConfigFile, operate::Span};

/// The longest drill.
pub const LONGEST: Duration = Duration::from_secs(3_600);
/// The longest wait that a fault may cause, in milliseconds.
const LONGEST_WAIT: u64 = 60_000;
/// A drill ends when fewer in a hundred of its calls succeed, unless its order says otherwise.
const STOP_BELOW: u32 = 50;

/// The order for a drill: the body of `POST /drills`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// Why; kept with the report and in the audit.
    pub reason: String,
    /// The region where the fault is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The upstream where the fault is, in place of a region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// Whose calls may meet it: `TEAM/PROJECT`, or a project's name alone where only one team has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// Everybody's calls may meet it.
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// How many in a hundred of these calls, 1 to 100. Without it, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// When it ends by itself: at most an hour.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// It ends at once when fewer in a hundred of its latest hundred calls succeed. Without it, 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_when_success_below: Option<u32>,
    /// What `latency` adds. Without it, 2000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// What `throttle` asks to wait. Without it, 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What `error` answers: 500, 502, 503 or 504. Without it, 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Pieces of the answer that `cut` lets through after the first content. Without it, 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// How late each piece of a `trickle` comes. Without it, 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// Where the drawing of calls begins; the drill's number without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Connections are refused.
    Down,
    /// Names are not resolved.
    Dns,
    /// Calls wait before they are sent.
    Latency,
    /// Calls are answered 429.
    Throttle,
    /// Calls are answered with an error of the server.
    Error,
    /// Streams end in the middle.
    Cut,
    /// Streams come slowly.
    Trickle,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Down, Self::Dns, Self::Latency, Self::Throttle, Self::Error, Self::Cut, Self::Trickle];

    /// The name in orders and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Dns => "dns",
            Self::Latency => "latency",
            Self::Throttle => "throttle",
            Self::Error => "error",
            Self::Cut => "cut",
            Self::Trickle => "trickle",
        }
    }
}

/// Why an order cannot be carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsound {
    /// The order contradicts itself, or a part of it is missing or out of bounds.
    #[error("{0}")]
    Order(String),
    /// It names what is not configured.
    #[error("no {kind} is called {name:?}{}", nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// By which name.
        name: String,
        /// A configured name that is like it.
        nearest: Option<String>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Unsound> {
    Err(Unsound::Order(why.into()))
}

impl Order {
    /// The drill that is asked for.
    ///
    /// # Errors
    /// It is not sound, or names what this configuration does not have.
    pub(super) fn plan(
        &self,
        number: u64,
        file: &ConfigFile,
        snapshot: &Snapshot,
    ) -> Result<DrillPlan, Unsound> {
        let fault = self.fault()?;
        let place = self.place(snapshot)?;
        let scope = self.scope(file)?;
        let percent = self.percent.unwrap_or(100);
        if !(1..=100).contains(&percent) {
            return refuse(format!("`percent` is 1 to 100, not {percent}"));
        }
        let stop_below = self.stop_when_success_below.unwrap_or(STOP_BELOW);
        if stop_below > 100 {
            return refuse(format!("`stop_when_success_below` is at most 100, not {stop_below}"));
        }
        Ok(DrillPlan {
            id: number.to_string().into(),
            place,
            fault,
            scope,
            percent,
            lasts: self.lasts()?,
            stop_below,
            seed: self.seed.unwrap_or(number),
        })
    }

    fn lasts(&self) -> Result<Duration, Unsound> {
        let Some(span) = self.lasts else {
            return refuse("say when it ends by itself: `for`, such as \"2m\", at most 1h");
        };
        let lasts = Duration::from_millis(span.millis().unsigned_abs());
        if lasts > LONGEST { refuse(format!("`for` is at most 1h, not {span}")) } else { Ok(lasts) }
    }

    fn place(&self, snapshot: &Snapshot) -> Result<DrillPlace, Unsound> {
        let targets = || snapshot.targets().map(|target| &target.upstream);
        match (&self.region, &self.upstream) {
            (Some(name), None) => {
                let known = snapshot.regions.iter().map(|region| region.name.to_string());
                find("region", name, known)?;
                if !targets().any(|upstream| upstream.region.as_str() == name) {
                    return refuse(format!("no model has a target in the region {name:?}"));
                }
                Ok(DrillPlace::Region(name.as_str().into()))
            }
            (None, Some(name)) => {
                find("upstream", name, snapshot.upstreams.iter().map(|upstream| upstream.name.to_string()))?;
                if !targets().any(|upstream| upstream.name.as_str() == name) {
                    return refuse(format!("no model has a target on the upstream {name:?}"));
                }
                Ok(DrillPlace::Upstream(name.as_str().into()))
            }
            _ => refuse("name one `region` or one `upstream` where the fault is"),
        }
    }

    fn scope(&self, file: &ConfigFile) -> Result<DrillScope, Unsound> {
        match (self.projects.is_empty(), self.all) {
            (true, false) => refuse(
                "a drill touches live traffic and has no scope: name the `projects` that it may touch, or say `all`: true",
            ),
            (false, true) => refuse("either `projects` or `all`, not both"),
            (true, true) => Ok(DrillScope::All),
            (false, false) => {
                let named = self.projects.iter().map(|name| project(name, file));
                named.collect::<Result<_, _>>().map(DrillScope::Projects)
            }
        }
    }

    fn fault(&self) -> Result<DrillFault, Unsound> {
        let Some(kind) = self.fault else {
            let kinds = FaultKind::ALL.map(FaultKind::as_str).join(", ");
            return refuse(format!("say what fails: `fault` is one of {kinds}"));
        };
        let given = [
            ("latency_ms", FaultKind::Latency, self.latency_ms.is_some()),
            ("retry_after_ms", FaultKind::Throttle, self.retry_after_ms.is_some()),
            ("status", FaultKind::Error, self.status.is_some()),
            ("after", FaultKind::Cut, self.after.is_some()),
            ("every_ms", FaultKind::Trickle, self.every_ms.is_some()),
        ];
        if let Some((name, of, _)) = given.iter().find(|(_, of, is_given)| *is_given && *of != kind) {
            return refuse(format!(
                "`{name}` belongs to the fault `{}`, not to `{}`",
                of.as_str(),
                kind.as_str()
            ));
        }
        Ok(match kind {
            FaultKind::Down => DrillFault::Down,
            FaultKind::Dns => DrillFault::Dns,
            FaultKind::Latency => DrillFault::Latency { added: wait("latency_ms", self.latency_ms, 2_000)? },
            FaultKind::Throttle => {
                DrillFault::Throttle { retry_after: wait("retry_after_ms", self.retry_after_ms, 1_000)? }
            }
            FaultKind::Error => match self.status.unwrap_or(503) {
                status @ (500 | 502 | 503 | 504) => DrillFault::Error { status },
                status => return refuse(format!("`status` is 500, 502, 503 or 504, not {status}")),
            },
            FaultKind::Cut => DrillFault::Cut { after: self.after.unwrap_or(3) },
            FaultKind::Trickle => DrillFault::Trickle { every: wait("every_ms", self.every_ms, 1_000)? },
        })
    }
}

fn wait(name: &str, given: Option<u64>, usual: u64) -> Result<Duration, Unsound> {
    match given.unwrap_or(usual) {
        millis @ 1..=LONGEST_WAIT => Ok(Duration::from_millis(millis)),
        millis => refuse(format!("`{name}` is 1 to {LONGEST_WAIT}, not {millis}")),
    }
}

fn project(name: &str, file: &ConfigFile) -> Result<(TeamName, ProjectName), Unsound> {
    let known = || {
        file.teams
            .iter()
            .flat_map(|team| team.projects.iter().map(move |project| (&*team.name, &*project.name)))
    };
    let found: Vec<(&str, &str)> = match name.split_once('/') {
        Some(whole) => known().filter(|one| *one == whole).collect(),
        None => known().filter(|(_, project)| *project == name).collect(),
    };
    match found[..] {
        [(team, project)] => Ok((team.into(), project.into())),
        [] => Err(unknown("project", name, known().map(|(team, project)| format!("{team}/{project}")))),
        _ => refuse(format!("several teams have a project {name:?}: write TEAM/{name}")),
    }
}

fn find(kind: &'static str, name: &str, known: impl Iterator<Item = String> + Clone) -> Result<(), Unsound> {
    if known.clone().any(|known| known == name) { Ok(()) } else { Err(unknown(kind, name, known)) }
}

fn unknown(kind: &'static str, name: &str, known: impl Iterator<Item = String>) -> Unsound {
    let nearest = known
        .map(|known| (strsim::jaro_winkler(&known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known);
    Unsound::Unknown { kind, name: name.to_owned(), nearest }
}
