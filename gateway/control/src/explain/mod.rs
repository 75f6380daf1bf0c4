//! Why a request went where it went, in sentences for people, and what it cost, line by line.
//!
//! Made of the row, of the configuration and of what this process remembers of its targets. What none of
//! them tells is said to be unknown; nothing is guessed.

mod bill;
mod tries;
mod way;

use serde::Serialize;
use tollgate_accounting::ledger::{End, Entry, Flags, Kind, rfc3339};
use tollgate_proxy::Snapshot;

use crate::{chronicle::Chronicle, codes, reload::Running};

/// What is said about a request.
#[derive(Debug, Default, Serialize)]
pub struct Explanation {
    /// What happened, in order.
    pub story: Vec<String>,
    /// Targets of the model that did not serve it, each with why; `None` for who may not see the fleet.
    pub passed_over: Option<Vec<PassedOver>>,
    /// What it cost, one line for each meter.
    pub costs: Vec<String>,
    /// What is not known.
    pub unknown: Vec<String>,
}

/// A target that did not serve the request.
#[derive(Debug, Serialize)]
pub struct PassedOver {
    /// `MODEL@UPSTREAM`.
    pub target: String,
    /// Its region.
    pub region: String,
    /// Its level in the route, from 1.
    pub level: usize,
    /// Why.
    pub why: String,
}

/// What an explanation is made of, beside the row.
pub struct Witness<'a> {
    /// What is running.
    pub running: &'a Running,
    /// Its routes.
    pub snapshot: &'a Snapshot,
    /// What was seen of targets.
    pub chronicle: &'a Chronicle,
    /// Whether the reader may know where else it could have gone.
    pub tells_of_fleet: bool,
}

/// Explains a row.
#[must_use]
pub fn explain(row: &Entry, witness: &Witness<'_>) -> Explanation {
    let passed_over = witness.tells_of_fleet.then(Vec::new);
    let mut said = Explanation { passed_over, ..Explanation::default() };
    begin(row, &mut said);
    if matches!(row.kind, Kind::Usage | Kind::Refusal) {
        way::tell(row, witness, &mut said);
        tries::tell(row, &mut said);
        end(row, &mut said);
    }
    bill::tell(row, &mut said);
    said
}

fn begin(row: &Entry, said: &mut Explanation) {
    let identity = &row.identity;
    let (at, who) =
        (rfc3339(row.started_at), format!("{}/{}/{}", identity.team, identity.project, identity.key));
    said.story.push(match row.kind {
        Kind::Usage | Kind::Refusal => {
            let form = if row.stream { ", as a stream" } else { "" };
            let model = if row.model.as_str().is_empty() { "no model" } else { row.model.as_str() };
            format!(
                "At {at} the key {who} asked for {model} ({}, in the dialect {}{form}).",
                row.operation, row.dialect
            )
        }
        Kind::Adjustment => {
            let other = row.adjusts.map_or_else(|| "an earlier row".to_owned(), |id| format!("the row {id}"));
            format!("This row corrects {other} of {who}; it was posted at {at}.")
        }
        Kind::Fixed => format!("This row charges capacity that is paid by the hour, for {at}."),
        Kind::Probe => format!("At {at} the gateway looked at an upstream by itself."),
    });
    if row.flags.contains(Flags::DOWNGRADED) {
        said.story.push("A budget put a cheaper model in the place of the one asked for.".to_owned());
    }
}

fn end(row: &Entry, said: &mut Explanation) {
    let took = format!("after {} ms", row.duration_ms);
    let place = row.place.as_deref().map(|place| {
        format!("{} in {} (processed in the zone {})", place.upstream, place.region, place.zone)
    });
    let by = place.as_deref().unwrap_or("nobody");
    let code = row.error_code.as_deref();
    let sentence = match (row.kind, row.end) {
        (Kind::Refusal, _) => format!(
            "It was refused with HTTP {} {took}, before anything was sent to an upstream.",
            row.status
        ),
        (_, Some(End::Completed)) => {
            let first = row.ttft_ms.map(|ttft| format!(", with the first content after {ttft} ms"));
            format!("{by} answered, whole {took}{}.", first.unwrap_or_default())
        }
        (_, Some(End::ClientAbort)) => {
            format!("The client left {took}, while {by} was answering; what had come until then is charged.")
        }
        (_, Some(End::UpstreamFailed)) => match code {
            Some(_) => {
                format!("No upstream gave an answer; the client was told so with HTTP {} {took}.", row.status)
            }
            None => format!("The answer of {by} failed in the middle {took}."),
        },
        (_, Some(End::Truncated)) => format!("The answer of {by} broke off in the middle {took}."),
        (_, Some(End::Stalled)) => format!("The answer of {by} fell silent in the middle {took}."),
        (_, Some(End::RefusedUpstream)) => {
            format!(
                "{by} refused it for a fault of its own (HTTP {}), and the client was told so.",
                row.status
            )
        }
        (_, Some(End::Recovered)) => {
            said.unknown.push("how it ended for the client: the gateway died meanwhile".to_owned());
            "The gateway died while it was open; the row was made at the next start, at its worst case."
                .to_owned()
        }
        (_, Some(End::Internal)) => format!("A fault of the gateway ended it {took}."),
        (_, None) => format!("It ended {took}."),
    };
    said.story.push(sentence);
    if let Some(code) = code.and_then(codes::find) {
        said.story.push(format!("{}: {} {}", code.code, code.meaning, code.remedy));
    }
    if let Some(served) =
        row.served_model.as_deref().filter(|_| row.flags.contains(Flags::SERVED_MODEL_DIFFERS))
    {
        said.story
            .push(format!("The upstream says that {served} served it, which is not what was asked for."));
    }
}
