//! What became of a crossing: carried, refused by name, or neither.

use http::StatusCode;
use serde_json::Value;
use tollgate_test_support::Reply;

use super::{
    Crossing,
    answer::{self, Said},
    party::Party,
    script::{ARGUMENTS, TEXT, TOOL, USAGE},
};
use crate::cassettes::{expectation::Expectation, provider::Received};

pub(super) enum Fate {
    /// It came back as an answer of the caller's dialect that says what the target said.
    Carried,
    /// It was refused before anything was sent, with the name of a member that it has.
    Refused,
    Failed(String),
}

pub(super) fn of(crossing: &Crossing, reply: &Reply, received: &[Received]) -> Fate {
    let judged = match reply.status {
        StatusCode::OK => carried(crossing, reply, received).map(|()| Fate::Carried),
        _ => refused(crossing, reply, received).map(|()| Fate::Refused),
    };
    judged.unwrap_or_else(Fate::Failed)
}

fn carried(crossing: &Crossing, reply: &Reply, received: &[Received]) -> Result<(), String> {
    if let Some(broken) = &reply.broken {
        return Err(format!("the body broke off: {broken}"));
    }
    let [asked] = received else { return Err(format!("the target was asked {} times", received.len())) };
    if !asked.path.ends_with(crossing.target.asked_path(crossing.stream)) {
        return Err(format!("the target was asked at {}", asked.path));
    }
    let body: Value =
        serde_json::from_slice(&asked.body).map_err(|_| "the target was sent no JSON".to_owned())?;
    let conversation = match crossing.target {
        Party::Responses => &body["input"],
        Party::Gemini => &body["contents"],
        Party::Chat | Party::Messages | Party::Converse => &body["messages"],
    };
    if conversation.as_array().is_none_or(Vec::is_empty) {
        return Err(format!("the target was sent no conversation: {body}"));
    }
    let said =
        answer::read(crossing.caller, crossing.stream, reply).map_err(|problem| format!("{problem:#}"))?;
    says_the_same(crossing, &said)
}

/// The caller must read what the target said, in whatever words.
fn says_the_same(crossing: &Crossing, said: &Said) -> Result<(), String> {
    if said.text != TEXT.concat() {
        return Err(format!("the text came as {:?}", said.text));
    }
    let calls = super::offers_tools(&crossing.play.recording);
    let same_arguments = |arguments: &str| {
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        value(arguments).is_some() && value(arguments) == value(&ARGUMENTS.concat())
    };
    let calls_come = match &said.calls[..] {
        [] => !calls,
        [(name, arguments)] => calls && name == TOOL && same_arguments(arguments),
        _ => false,
    };
    if !calls_come {
        return Err(format!("the calls came as {:?}", said.calls));
    }
    let stop = match (crossing.caller, calls) {
        (Party::Chat, true) => "tool_calls",
        (Party::Chat, false) => "stop",
        (Party::Responses, _) => "completed",
        (Party::Messages | Party::Converse, true) => "tool_use",
        (Party::Messages | Party::Converse, false) => "end_turn",
        (Party::Gemini, _) => "STOP",
    };
    if said.stop != stop {
        return Err(format!("it ended by {:?}, wanted {stop:?}", said.stop));
    }
    let [input, _, output] = USAGE;
    let body = &crossing.play.recording.request.body;
    let untold = crossing.caller == Party::Chat
        && crossing.stream
        && body.pointer("/stream_options/include_usage") != Some(&Value::Bool(true));
    match said.usage {
        None if untold => Ok(()),
        Some(usage) if !untold && usage == (input, output) => Ok(()),
        usage => Err(format!("the usage came as {usage:?}")),
    }
}

fn refused(crossing: &Crossing, reply: &Reply, received: &[Received]) -> Result<(), String> {
    let told = String::from_utf8_lossy(&reply.body);
    let (status, code) = (reply.status.as_u16(), reply.error_code());
    if !received.is_empty() {
        return Err(format!("{status} {code} after the target was asked: {told}"));
    }
    // State that only one provider account keeps is refused whatever the target speaks.
    if crossing.play.expectation == (Expectation::Refused { status, code: known(code) }) {
        return Ok(());
    }
    // What its own provider found wrong with a request may be found here too.
    let is_wrong = matches!(crossing.play.recording.response.status, 400 | 422);
    match (status, code) {
        (400, "unsupported_parameter") => {}
        (400, "invalid_request") if is_wrong => return Ok(()),
        _ => return Err(format!("{status} {code}: {told}")),
    }
    let Some(param) = told.split('`').nth(1) else { return Err(format!("no member is named: {told}")) };
    match is_member(&crossing.play.recording.request.body, param) {
        true => Ok(()),
        false => Err(format!("`{param}` is no member of the request: {told}")),
    }
}

/// The codes of refusals that any target would meet.
fn known(code: &str) -> &'static str {
    ["response_not_found", "unsupported_operation"].into_iter().find(|known| *known == code).unwrap_or("")
}

/// Does a path such as `messages[2].content[0]` lead anywhere in the body? Names may be written in either
/// of the two ways that Gemini takes, and its lists of one also without their brackets.
fn is_member(body: &Value, path: &str) -> bool {
    let mut at = body;
    for name in path.split(['.', '[']).filter(|name| !name.is_empty()) {
        let next = match name.strip_suffix(']').map(str::parse::<usize>) {
            Some(Ok(place)) => at.get(place).or_else(|| (place == 0 && at.is_object()).then_some(at)),
            Some(Err(_)) => None,
            None => member(at, name),
        };
        let Some(next) = next else { return false };
        at = next;
    }
    !path.is_empty()
}

fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let mut members = object.as_object()?.iter();
    members.find(|(known, _)| plain(known) == plain(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_to_a_member_or_not() {
        let body = json!({"messages": [{"content": [{"type": "x"}]}], "text": {"verbosity": "low"},
            "tools": {"url_context": {}}});
        let there = ["messages", "messages[0].content[0]", "text.verbosity", "messages[0].content[0].type"];
        for path in there.into_iter().chain(["tools[0].urlContext"]) {
            assert!(is_member(&body, path), "{path}");
        }
        for path in ["", "message", "messages[1]", "messages.content", "text[1]", "messages[x]"] {
            assert!(!is_member(&body, path), "{path}");
        }
    }
}
