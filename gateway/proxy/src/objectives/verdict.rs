//! Whether a call, or an attempt, was as promised; nothing for what counts neither way.

use std::time::Duration;

use tollgate_accounting::ledger::{Attempt, End, Entry, Kind};

use super::Aim;

/// Refusals below 500 that are the upstreams' doing: every permitted target is held.
const UPSTREAMS_DOING: &str = "upstream_rate_limited";
/// Outcomes of attempts that are the request's own fault, or where the upstream was not even asked.
const NOT_THE_UPSTREAMS: [&str; 9] = [
    "request",
    "context_length",
    "content_filter",
    "conflict",
    "not_found",
    "unsupported",
    "untranslatable",
    "saturated",
    "no_credential",
];

/// The client's view.
pub(super) fn of_call(aim: Aim, entry: &Entry) -> Option<bool> {
    let succeeded = success(entry)?;
    match aim {
        Aim::Success => Some(succeeded),
        Aim::FirstToken(within) => in_time(succeeded, entry.ttft_ms, within),
        Aim::Total(within) => in_time(succeeded, Some(entry.duration_ms), within),
    }
}

fn success(entry: &Entry) -> Option<bool> {
    match entry.kind {
        Kind::Usage => match entry.end? {
            End::Completed => Some(true),
            // Who left has not waited for what would have come.
            End::ClientAbort => None,
            End::RefusedUpstream => (entry.status >= 500).then_some(false),
            End::UpstreamFailed | End::Truncated | End::Stalled | End::Recovered | End::Internal => {
                Some(false)
            }
        },
        Kind::Refusal => {
            let is_ours = entry.status >= 500 && entry.status != 501;
            (is_ours || entry.error_code.as_deref() == Some(UPSTREAMS_DOING)).then_some(false)
        }
        _ => None,
    }
}

/// What has failed came at no time at all: it counts where success is promised, and not twice.
fn in_time(succeeded: bool, took_ms: Option<u32>, within: Duration) -> Option<bool> {
    let took = took_ms.filter(|_| succeeded)?;
    Some(u128::from(took) <= within.as_millis())
}

/// The upstreams' view, one verdict for each attempt that counts.
pub(super) fn of_attempts(aim: Aim, entry: &Entry) -> impl Iterator<Item = bool> {
    let last = entry.attempts.len().saturating_sub(1);
    entry.attempts.iter().enumerate().filter_map(move |(place, attempt)| {
        // What broke after its first content was an answer at first.
        let is_broken = place == last && matches!(entry.end, Some(End::Truncated | End::Stalled));
        let succeeded = attempt_succeeded(attempt)? && !is_broken;
        match aim {
            Aim::Success => Some(succeeded),
            Aim::FirstToken(within) => in_time(succeeded, attempt.ttft_ms, within),
            Aim::Total(within) => in_time(succeeded, whole(entry, place), within),
        }
    })
}

fn attempt_succeeded(attempt: &Attempt) -> Option<bool> {
    let outcome = &*attempt.outcome;
    (!NOT_THE_UPSTREAMS.contains(&outcome)).then_some(outcome == "ok")
}

/// How long the attempt that answered took to its last byte: of the call's time what was left by those before it.
/// A client who left has not seen the end of it.
fn whole(entry: &Entry, place: usize) -> Option<u32> {
    let before = entry.attempts.iter().take(place).map(|attempt| attempt.duration_ms);
    let spent = before.fold(0_u32, u32::saturating_add);
    (entry.end == Some(End::Completed)).then(|| entry.duration_ms.saturating_sub(spent))
}
