//! What did not come over as it was.

use std::fmt;

use crate::config::Place;

/// One thing that needs somebody's attention.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Where it stands.
    pub place: Place,
    /// Its path in the other configuration, such as `router_settings.redis_host`.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, and what to do about it.
    pub why: String,
}

/// What became of a part of the other configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is there, and does not mean quite the same.
    Changed,
    /// Somebody has to do something before it works.
    ToDo,
    /// It is left out.
    NotMapped,
}

impl Outcome {
    /// The name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::ToDo => "to do",
            Self::NotMapped => "not mapped",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}: {}", self.place, self.outcome.as_str(), self.what, self.why)
    }
}
