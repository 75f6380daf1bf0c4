//! What both stores do alike when they sum usage: groups are collected, and it is told whether rollups
//! can answer.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use tollgate_accounting::ledger::{Dimension, Entry, UsageGroup, UsageQuery};
use tollgate_domain::{Name, UnixMillis};

/// A range of time; none is open on that side.
pub(crate) type Range = (Option<UnixMillis>, Option<UnixMillis>);

/// What became of adding rollups.
#[derive(Eq, PartialEq)]
pub(crate) enum Rollups {
    Added,
    /// A day of the calendar does not begin with an hour of UTC.
    DoNotFit,
}

/// The groups of a question, while they are summed.
pub(crate) struct Sums<'a> {
    pub(crate) query: &'a UsageQuery,
    groups: BTreeMap<(Vec<String>, Name), UsageGroup>,
}

impl<'a> Sums<'a> {
    pub(crate) fn new(query: &'a UsageQuery) -> Self {
        Self { query, groups: BTreeMap::new() }
    }

    /// False when the question is about what rollups do not tell apart.
    pub(crate) fn can_use_rollups(&self) -> bool {
        !self.query.by.iter().any(|by| matches!(by, Dimension::EndUser | Dimension::Tag(_)))
    }

    /// Counts a row in its group.
    pub(crate) fn count(&mut self, entry: &Entry) {
        let zone = &self.query.time_zone;
        let values = self.query.by.iter().map(|by| by.value(entry, zone).into_owned()).collect();
        self.group(values, entry.currency.clone()).count(entry);
    }

    /// The group of these values, which are in the order of the question.
    pub(crate) fn group(&mut self, values: Vec<String>, currency: Name) -> &mut UsageGroup {
        let by = &self.query.by;
        self.groups.entry((values, currency)).or_insert_with_key(|(values, currency)| {
            UsageGroup::empty(by.iter().cloned().zip(values.iter().cloned()).collect(), currency.clone())
        })
    }

    /// Forgets what was added.
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
    }

    /// The groups, sorted.
    pub(crate) fn into_groups(self) -> Vec<UsageGroup> {
        self.groups.into_values().collect()
    }
}

/// The rollups' column of a dimension that is no time; all dimensions that need rows are excluded
/// before.
pub(crate) fn column(by: &Dimension) -> Option<&'static str> {
    Some(match by {
        Dimension::Team => "team",
        Dimension::Project => "project",
        Dimension::Key => "key",
        Dimension::Model => "model",
        Dimension::Upstream => "upstream",
        Dimension::Region => "region",
        Dimension::Zone => "zone",
        Dimension::EndUser | Dimension::Tag(_) | Dimension::Day | Dimension::Hour | Dimension::Month => {
            return None;
        }
    })
}

/// True when the calendar's hours begin with those of UTC at this instant.
pub(crate) fn is_whole_hours(at: UnixMillis, zone: &TimeZone) -> bool {
    Timestamp::from_millisecond(at.get()).is_ok_and(|at| zone.to_offset(at).seconds() % 3_600 == 0)
}
