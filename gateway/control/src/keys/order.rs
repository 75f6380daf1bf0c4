//! What callers ask about keys.

use serde::Deserialize;
use tollgate_domain::UnixMillis;

use super::{KeyError, Policy};
use crate::config::file::{Budget, Instant, Limits, Priority, Span};

/// How long a key that was replaced goes on, unless the caller says otherwise.
const OVERLAP_MILLIS: i64 = 24 * 3_600_000;
/// Longest life and longest overlap: what is meant to last longer has no end.
const LONGEST_MILLIS: i64 = 10 * 366 * 24 * 3_600_000;
const LONGEST_REASON: usize = 500;

/// What `POST /keys` takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateOrder {
    /// The project, as `team/project`, or by its own name where one team alone has it.
    pub project: String,
    /// The team of the project.
    pub team: Option<String>,
    /// The key's name within the project; by default one that is made of its id.
    pub name: Option<String>,
    /// From when on it is refused.
    pub expires: Option<Instant>,
    /// The same, as a length of time from now on.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// Models that it may call, among the project's.
    pub models: Option<Vec<String>>,
    /// Its limits.
    pub limits: Limits,
    /// Its money.
    pub budget: Option<Budget>,
    /// How urgent its requests are.
    pub priority: Option<Priority>,
    /// Status of a refusal by a budget.
    pub refusal_status: Option<u16>,
    /// Why.
    pub reason: String,
}

impl CreateOrder {
    pub(super) fn policy(&self) -> Policy {
        Policy {
            models: self.models.clone(),
            limits: self.limits.clone(),
            budget: self.budget.clone(),
            priority: self.priority,
            refusal_status: self.refusal_status,
        }
    }
}

/// What `POST /keys/{id}/rotate` takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotateOrder {
    /// How long the former key goes on beside the new one; by default a day, `0s` ends it at once.
    pub overlap: Option<Span>,
    /// From when on the new key is refused; by default as the former one.
    pub expires: Option<Instant>,
    /// The same, as a length of time from now on.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// Why.
    pub reason: String,
}

impl RotateOrder {
    pub(super) fn overlap_millis(&self) -> Result<i64, KeyError> {
        self.overlap.map_or(Ok(OVERLAP_MILLIS), length)
    }
}

/// What `POST /keys/{id}/revoke` takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RevokeOrder {
    /// Why.
    pub reason: String,
}

/// The end that was asked for, if one was.
pub(super) fn end(
    expires: Option<Instant>,
    lasts: Option<Span>,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, KeyError> {
    let end = match (expires, lasts) {
        (None, None) => return Ok(None),
        (Some(expires), None) => UnixMillis::new(expires.millis),
        (None, Some(span)) => now.plus(length(span)?),
        (Some(_), Some(_)) => {
            return Err(KeyError::Unsound("give `expires` (a time) or `for` (a length of time)".to_owned()));
        }
    };
    if end <= now {
        return Err(KeyError::Unsound("its end has passed already".to_owned()));
    }
    Ok(Some(end))
}

pub(super) fn reason(text: &str) -> Result<&str, KeyError> {
    match text.trim() {
        text if text.len() > LONGEST_REASON => {
            Err(KeyError::Unsound(format!("the reason is longer than {LONGEST_REASON} bytes")))
        }
        text => Ok(text),
    }
}

fn length(span: Span) -> Result<i64, KeyError> {
    i64::try_from(span.0.as_millis())
        .ok()
        .filter(|millis| *millis <= LONGEST_MILLIS)
        .ok_or_else(|| KeyError::Unsound("a length of time is at most ten years".to_owned()))
}
