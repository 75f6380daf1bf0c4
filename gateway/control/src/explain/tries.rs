//! What was tried, and what came of it.

use tollgate_accounting::ledger::{Attempt, Entry};

use super::Explanation;

/// What an attempt's outcome means.
const OUTCOMES: &[(&str, &str)] = &[
    ("ok", "it answered"),
    ("connect", "no connection could be made"),
    ("untranslatable", "it cannot be asked what the request asks for"),
    ("saturated", "all of its slots were taken"),
    ("no_credential", "the gateway had no credential for it"),
    ("unprocessed", "it said that it had not begun with the request"),
    ("reset", "it closed the connection before it answered"),
    ("timeout", "no answer began in time"),
    ("ttft", "it accepted the request, but no content came in time"),
    ("protocol", "it sent what its API does not allow"),
    ("truncated", "its answer broke off"),
    ("stalled", "its answer fell silent"),
    ("error_event", "it sent an error in the middle of the answer"),
    ("deadline", "the time for the whole request was over"),
    ("cut", "an operator's deadline for requests in flight had come"),
    ("cancelled", "the client left"),
    ("request", "it refused the request for a fault of its own"),
    ("context_length", "the input is longer than the model takes"),
    ("content_filter", "its content filter refused it"),
    ("request_timeout", "it said that the request did not arrive in time"),
    ("conflict", "it said that something else was under way"),
    ("throttled", "it said that it was being called too often"),
    ("account_exhausted", "it said that the account's quota or credit is used up"),
    ("overloaded", "it said that it had too much to do"),
    ("server_error", "it answered with a server error"),
    ("credential", "it refused the gateway's credential"),
    ("model_missing", "it does not know the model"),
    ("not_found", "it does not know what the request names"),
    ("unsupported", "it does not offer the operation"),
    ("redirect", "it pointed elsewhere, and the gateway goes nowhere else with a credential"),
];

/// The meaning of an outcome, if there is a word for it.
pub(super) fn meaning(outcome: &str) -> Option<&'static str> {
    OUTCOMES.iter().find(|(known, _)| *known == outcome).map(|(_, meaning)| *meaning)
}

pub(super) fn tell(row: &Entry, said: &mut Explanation) {
    let last = row.attempts.len();
    for (index, attempt) in row.attempts.iter().enumerate() {
        said.story.push(sentence(attempt, index + 1 < last));
    }
}

fn sentence(attempt: &Attempt, goes_on: bool) -> String {
    let status = attempt.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let meaning = meaning(&attempt.outcome).map_or_else(|| attempt.outcome.to_string(), str::to_owned);
    let next = if goes_on { "; the next target was tried" } else { "" };
    let waste = if attempt.waste == tollgate_domain::Money::ZERO {
        String::new()
    } else {
        format!(", and cost {} without giving the answer", attempt.waste)
    };
    format!(
        "Attempt {} went to {} in {}: {meaning}{status} after {} ms{waste}{next}.",
        attempt.n, attempt.upstream, attempt.region, attempt.duration_ms
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_outcome_of_failover_has_a_meaning() {
        // The words stand in the code that gives them, and nowhere else.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proxy/src");
        let source = fs::read_to_string(folder.join("failover/failure.rs")).expect("the source");
        let body = source.split_once("fn outcome(&self)").expect("the function").1;
        let body = body.split_once("\n    }\n").expect("its end").0;
        let mut words: Vec<&str> =
            body.split("=> \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert!(words.len() > 20, "the words are not found: {words:?}");
        words.extend(["ok", "cut", "cancelled", "error_event", "truncated", "stalled"]);
        for word in words {
            assert!(meaning(word).is_some(), "{word} has no meaning");
        }
    }
}
