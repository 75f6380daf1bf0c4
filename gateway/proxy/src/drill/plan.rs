//! What is drilled: where, what, whose calls, how many, and how long.

use std::time::Duration;

use tollgate_accounting::ledger::Identity;
use tollgate_domain::{Name, ProjectName, RegionName, TeamName, UpstreamName};

use super::fault::DrillFault;

/// Where a drill takes place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DrillPlace {
    /// Every upstream of a region.
    Region(RegionName),
    /// One upstream.
    Upstream(UpstreamName),
}

impl DrillPlace {
    pub(super) fn covers(&self, upstream: &UpstreamName, region: &RegionName) -> bool {
        match self {
            Self::Region(name) => name == region,
            Self::Upstream(name) => name == upstream,
        }
    }
}

/// Whose calls a drill may touch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DrillScope {
    /// Everybody's.
    All,
    /// Those of these projects.
    Projects(Vec<(TeamName, ProjectName)>),
}

impl DrillScope {
    pub(super) fn names(&self, identity: &Identity) -> bool {
        match self {
            Self::All => true,
            Self::Projects(named) => {
                named.iter().any(|(team, project)| *team == identity.team && *project == identity.project)
            }
        }
    }
}

/// What is drilled.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// Its name.
    pub id: Name,
    /// Where the fault is.
    pub place: DrillPlace,
    /// What it is.
    pub fault: DrillFault,
    /// Whose calls may meet it.
    pub scope: DrillScope,
    /// How many in a hundred of these calls take part, 1 to 100.
    pub percent: u32,
    /// When it ends by itself.
    pub lasts: Duration,
    /// It ends at once when fewer in a hundred of its latest calls succeed.
    pub stop_below: u32,
    /// Where the drawing of calls begins: the same seed draws the same places of the order of calls.
    pub seed: u64,
}

/// Why a drill is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrillEnd {
    /// Its time was over.
    Time,
    /// Somebody stopped it.
    Stopped,
    /// Too few of its calls succeeded.
    Budget,
    /// The process stopped.
    Shutdown,
}

impl DrillEnd {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Stopped => "stopped",
            Self::Budget => "budget",
            Self::Shutdown => "shutdown",
        }
    }
}
