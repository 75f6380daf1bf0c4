//! Questions to a ledger and the shape of their answers.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::{Timestamp, tz::TimeZone};
use tollgate_domain::{KeyName, ModelAlias, Money, Name, ProjectName, TeamName, UnixMillis};

use super::entry::{End, Entry, Flags, Kind};

/// Which rows, in which order.
#[derive(Clone, Debug)]
pub struct RowQuery {
    /// Rows of this kind; none: of all kinds.
    pub kind: Option<Kind>,
    /// Rows of any of these teams; empty: of all teams.
    pub teams: Vec<TeamName>,
    /// Rows of this project.
    pub project: Option<ProjectName>,
    /// Rows of this key.
    pub key: Option<KeyName>,
    /// Rows that asked for this model.
    pub model: Option<ModelAlias>,
    /// Rows that ended so.
    pub end: Option<End>,
    /// Rows with this code.
    pub error_code: Option<String>,
    /// Rows that started at this instant or later.
    pub from: Option<UnixMillis>,
    /// Rows that started before this instant.
    pub to: Option<UnixMillis>,
    /// How many at most; a store gives at most [`RowQuery::MAX_LIMIT`].
    pub limit: usize,
    /// Where the former page ended: its [`Page::next`].
    pub after: Option<String>,
    /// The order.
    pub order: Order,
}

impl RowQuery {
    /// The longest page.
    pub const MAX_LIMIT: usize = 1_000;

    /// True when the row belongs into the answer; what `after` and `limit` say aside.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        let identity = &entry.identity;
        self.kind.is_none_or(|kind| kind == entry.kind)
            && (self.teams.is_empty() || self.teams.contains(&identity.team))
            && self.project.as_ref().is_none_or(|project| *project == identity.project)
            && self.key.as_ref().is_none_or(|key| *key == identity.key)
            && self.model.as_ref().is_none_or(|model| *model == entry.model)
            && self.end.is_none_or(|end| Some(end) == entry.end)
            && self.error_code.as_deref().is_none_or(|code| Some(code) == entry.error_code.as_deref())
            && self.from.is_none_or(|from| entry.started_at >= from)
            && self.to.is_none_or(|to| entry.started_at < to)
    }
}

impl Default for RowQuery {
    /// The newest hundred rows of kind `usage`.
    fn default() -> Self {
        Self {
            kind: Some(Kind::Usage),
            teams: Vec::new(),
            project: None,
            key: None,
            model: None,
            end: None,
            error_code: None,
            from: None,
            to: None,
            limit: 100,
            after: None,
            order: Order::Newest,
        }
    }
}

/// The order of rows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// By start time, newest first.
    #[default]
    Newest,
    /// By the number that the store gave, oldest first: a reader that goes on from the last `next`
    /// misses no row, whatever its start time.
    Seq,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Opaque; give it as `after` to go on. In the order of `seq` every page with rows has one, so
    /// that a follower can ask again later; an empty page ends the list for now.
    pub next: Option<String>,
}

/// How much was used, over which time, in which groups.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// What started at this instant or later.
    pub from: Option<UnixMillis>,
    /// What started before this instant.
    pub to: Option<UnixMillis>,
    /// The groups; empty: one group for all.
    pub by: Vec<Dimension>,
    /// What is counted.
    pub filter: UsageFilter,
    /// The calendar of `day`, `hour` and `month`.
    pub time_zone: TimeZone,
}

impl Default for UsageQuery {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            by: Vec::new(),
            filter: UsageFilter::default(),
            time_zone: TimeZone::UTC,
        }
    }
}

/// What a usage question counts; the default is everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageFilter {
    /// Any of these teams; empty: all teams.
    pub teams: Vec<TeamName>,
    /// This project.
    pub project: Option<ProjectName>,
    /// This key.
    pub key: Option<KeyName>,
}

impl UsageFilter {
    /// True when what this team, project and key used is counted.
    #[must_use]
    pub fn admits(&self, team: &str, project: &str, key: &str) -> bool {
        (self.teams.is_empty() || self.teams.iter().any(|wanted| wanted.as_str() == team))
            && self.project.as_ref().is_none_or(|wanted| wanted.as_str() == project)
            && self.key.as_ref().is_none_or(|wanted| wanted.as_str() == key)
    }
}

/// What usage can be grouped by.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Dimension {
    /// The team.
    Team,
    /// The project.
    Project,
    /// The key.
    Key,
    /// The model, as clients call it.
    Model,
    /// The upstream that answered.
    Upstream,
    /// Its region.
    Region,
    /// The zone of processing.
    Zone,
    /// The end user that the request named.
    EndUser,
    /// The calendar day.
    Day,
    /// The hour.
    Hour,
    /// The calendar month.
    Month,
    /// The value of a tag.
    Tag(String),
}

impl Dimension {
    /// The row's value; empty when it has none.
    #[must_use]
    pub fn value<'a>(&self, entry: &'a Entry, zone: &TimeZone) -> Cow<'a, str> {
        let place = entry.place.as_deref();
        let text = match self {
            Self::Team => entry.identity.team.as_str(),
            Self::Project => entry.identity.project.as_str(),
            Self::Key => entry.identity.key.as_str(),
            Self::Model => entry.model.as_str(),
            Self::Upstream => place.map_or("", |place| place.upstream.as_str()),
            Self::Region => place.map_or("", |place| place.region.as_str()),
            Self::Zone => place.map_or("", |place| place.zone.as_str()),
            Self::EndUser => entry.end_user.as_deref().unwrap_or_default(),
            Self::Tag(name) => entry.tag(name).unwrap_or_default(),
            Self::Day | Self::Hour | Self::Month => {
                return Cow::Owned(self.period(entry.started_at, zone).unwrap_or_default());
            }
        };
        Cow::Borrowed(text)
    }

    /// The calendar period that holds `at`, for the dimensions of time: `2026-11-05`, `2026-11`, or
    /// the begin of the hour with its offset.
    #[must_use]
    pub fn period(&self, at: UnixMillis, zone: &TimeZone) -> Option<String> {
        let format = match self {
            Self::Day => "%Y-%m-%d",
            Self::Month => "%Y-%m",
            Self::Hour => "%Y-%m-%dT%H:00:00%:z",
            _ => return None,
        };
        let local = Timestamp::from_millisecond(at.get()).ok()?.to_zoned_datetime(zone.clone());
        Some(local.strftime(format).to_string())
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Team => "team",
            Self::Project => "project",
            Self::Key => "key",
            Self::Model => "model",
            Self::Upstream => "upstream",
            Self::Region => "region",
            Self::Zone => "zone",
            Self::EndUser => "end_user",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Month => "month",
            Self::Tag(name) => return write!(f, "tag:{name}"),
        })
    }
}

/// A text that names nothing to group by.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "cannot group by {0:?}; one of: team, project, key, model, upstream, region, zone, end_user, day, hour, month, tag:NAME"
)]
pub struct UnknownDimension(pub String);

impl FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(text: &str) -> Result<Self, UnknownDimension> {
        Ok(match text {
            "team" => Self::Team,
            "project" => Self::Project,
            "key" => Self::Key,
            "model" => Self::Model,
            "upstream" => Self::Upstream,
            "region" => Self::Region,
            "zone" => Self::Zone,
            "end_user" => Self::EndUser,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "month" => Self::Month,
            _ => match text.strip_prefix("tag:") {
                Some(name) if !name.is_empty() => Self::Tag(name.to_owned()),
                _ => return Err(UnknownDimension(text.to_owned())),
            },
        })
    }
}

/// What a group of rows used. Amounts of different currencies are never in one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageGroup {
    /// The group: a value for each dimension that was asked for, empty where rows have none.
    pub group: Vec<(Dimension, String)>,
    /// Requests that were let in.
    pub requests: u64,
    /// Requests that were not.
    pub refusals: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// Of them, read from a cache.
    pub cached_input_tokens: u64,
    /// Of them, written to a cache.
    pub cache_write_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Of them, reasoning.
    pub reasoning_tokens: u64,
    /// What it cost; unpriced requests add nothing.
    pub cost: Money,
    /// The currency of `cost`.
    pub currency: Name,
    /// Requests of models without a price.
    pub unpriced_requests: u64,
}

impl UsageGroup {
    /// A group in which nothing has been counted yet.
    #[must_use]
    pub fn empty(group: Vec<(Dimension, String)>, currency: Name) -> Self {
        Self {
            group,
            requests: 0,
            refusals: 0,
            input_tokens: 0,
            cached_input_tokens: 0,
            cache_write_tokens: 0,
            output_tokens: 0,
            reasoning_tokens: 0,
            cost: Money::ZERO,
            currency,
            unpriced_requests: 0,
        }
    }

    /// Counts a row. A refusal is only counted; corrections, fixed costs and what the gateway asks by
    /// itself add their amounts but are no requests.
    pub fn count(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Refusal => {
                self.refusals += 1;
                return;
            }
            Kind::Usage => {
                self.requests += 1;
                self.unpriced_requests += u64::from(entry.flags.contains(Flags::UNPRICED));
            }
            Kind::Adjustment | Kind::Fixed | Kind::Probe => {}
        }
        let usage = &entry.usage;
        self.input_tokens = self.input_tokens.saturating_add(usage.input_tokens());
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(usage.cached_input_tokens());
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(usage.cache_write_tokens());
        self.output_tokens = self.output_tokens.saturating_add(usage.output_tokens());
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(usage.output_reasoning);
        self.cost += entry.cost.unwrap_or_default();
    }

    /// Adds the counts of another group of the same currency.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refusals += other.refusals;
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(other.cached_input_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
        self.cost += other.cost;
        self.unpriced_requests += other.unpriced_requests;
    }
}
