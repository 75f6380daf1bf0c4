//! What must hold after a replay: at the client, at the provider, in the ledger.

use http::HeaderMap;
use serde_json::{Value, json};
use tollgate_test_support::{Event, Reply};

use super::{
    api::{Api, plain},
    expectation::Expectation,
    play::{CLIENT_KEY, PRIVATE_HEADERS, Play, UPSTREAM_KEY},
    provider::Received,
    recording::{Recording, Usage, header_pairs},
    stream,
};

/// Everything that is wrong with one replay.
#[derive(Default)]
pub(super) struct Complaints(Vec<String>);

impl Complaints {
    pub(super) fn add(&mut self, complaint: impl Into<String>) {
        self.0.push(complaint.into());
    }

    fn unless(&mut self, holds: bool, complaint: impl FnOnce() -> String) {
        if !holds {
            self.0.push(complaint());
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, wanted: T) {
        self.unless(got == wanted, || format!("{what}: {got:?}, wanted {wanted:?}"));
    }

    pub(super) fn into_inner(self) -> Vec<String> {
        self.0
    }
}

/// Was the answer a stream of events?
pub(super) fn is_event_stream(recording: &Recording) -> bool {
    header_pairs(&recording.response.headers)
        .iter()
        .any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"))
}

/// The client's side: status, bytes, headers.
pub(super) fn of_the_answer(play: &Play, reply: &Reply, complaints: &mut Complaints) {
    complaints.unless(reply.broken.is_none(), || format!("the body broke off: {:?}", reply.broken));
    complaints.unless(!reply.request_id().is_empty(), || "no x-request-id".to_owned());
    if play.api.dialect() == "anthropic" {
        complaints.same("request-id", reply.header("request-id"), reply.request_id());
    }
    match play.expectation {
        Expectation::PassedThrough => passed_through(play, reply, complaints),
        Expectation::Own { status, code } => own_error(play, reply, status, code, complaints),
        Expectation::Refused { status, code } => own_error(play, reply, status, code, complaints),
    }
}

fn passed_through(play: &Play, reply: &Reply, complaints: &mut Complaints) {
    complaints.same("status", reply.status.as_u16(), play.recording.response.status);
    let wanted = if loses_usage_chunk(play) {
        stream::without_usage_chunk(&play.answer)
    } else {
        play.answer.to_vec()
    };
    if reply.body != wanted {
        let same = reply.body.iter().zip(&wanted).take_while(|(got, wanted)| got == wanted).count();
        complaints.add(format!(
            "body differs at byte {same} ({} bytes, wanted {}): {:?}, wanted {:?}",
            reply.body.len(),
            wanted.len(),
            excerpt(&reply.body, same),
            excerpt(&wanted, same)
        ));
    }
    complaints.same("x-tollgate-upstream", reply.header("x-tollgate-upstream"), &play.slot);
    complaints.same("x-tollgate-region", reply.header("x-tollgate-region"), &play.slot);
    complaints.same("x-tollgate-attempts", reply.header("x-tollgate-attempts"), "1");
    headers_of_the_provider(play, &reply.headers, complaints);
}

/// The client did not ask for usage, the gateway did, so the chunk that tells it is taken out.
fn loses_usage_chunk(play: &Play) -> bool {
    play.api.must_ask_for_usage() && is_event_stream(&play.recording) && !asked_for_usage(&play.recording)
}

pub(super) fn asked_for_usage(recording: &Recording) -> bool {
    recording.request.body["stream_options"]["include_usage"] == Value::Bool(true)
}

fn excerpt(bytes: &[u8], at: usize) -> String {
    String::from_utf8_lossy(&bytes[at.saturating_sub(20)..bytes.len().min(at + 60)]).into_owned()
}

/// Headers that stay between provider and gateway: of one hop, of one account, or about its limits.
/// `date` is when a message was made, and the gateway makes its own.
fn stays_behind(name: &str) -> bool {
    const NAMES: [&str; 13] = [
        "alt-svc",
        "anthropic-organization-id",
        "date",
        "openai-organization",
        "openai-project",
        "retry-after",
        "retry-after-ms",
        "server",
        "set-cookie",
        "strict-transport-security",
        "via",
        "x-powered-by",
        "x-should-retry",
    ];
    NAMES.contains(&name) || name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
}

/// The names under which providers tell their own id of a request.
fn is_request_id(name: &str) -> bool {
    matches!(name, "x-request-id" | "request-id" | "apim-request-id" | "x-amzn-requestid")
}

fn headers_of_the_provider(play: &Play, got: &HeaderMap, complaints: &mut Complaints) {
    let sent = play.script().headers;
    for (name, value) in &sent {
        let at_client: Vec<&str> = got.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        match name.as_str() {
            name if is_request_id(name) => complaints.unless(!at_client.contains(&value.as_str()), || {
                format!("the provider's {name} came under its own name")
            }),
            name if stays_behind(name) => complaints.unless(!at_client.contains(&value.as_str()), || {
                format!("the provider's {name} reached the client")
            }),
            _ => complaints.unless(at_client.contains(&value.as_str()), || {
                format!("header {name}: {at_client:?}, wanted {value:?}")
            }),
        }
    }
    let ids: Vec<&str> =
        sent.iter().filter(|(name, _)| is_request_id(name)).map(|(_, value)| value.as_str()).collect();
    let told = got.get("x-upstream-request-id").and_then(|value| value.to_str().ok());
    complaints.unless(ids.is_empty() || told.is_some_and(|id| ids.contains(&id)), || {
        format!("x-upstream-request-id {told:?}, wanted one of {ids:?}")
    });
}

/// An error of the gateway's own, in the form of the API that was called.
fn own_error(play: &Play, reply: &Reply, status: u16, code: &str, complaints: &mut Complaints) {
    complaints.same("status", reply.status.as_u16(), status);
    complaints.same("x-tollgate-error", reply.error_code(), code);
    let body = reply.json();
    let error = if play.api.dialect() == "bedrock" { &body } else { &body["error"] };
    complaints.unless(!error["message"].as_str().unwrap_or_default().is_empty(), || {
        format!("no error message in {body}")
    });
    if play.api.dialect() == "anthropic" {
        complaints.same("type", body["type"].as_str(), Some("error"));
        complaints.unless(body["error"]["type"].is_string(), || format!("no error type in {body}"));
    } else if play.api.dialect() == "gemini" {
        complaints.same("error code", body["error"]["code"].as_u64(), Some(u64::from(status)));
        let reason = body["error"]["details"][0]["reason"].as_str();
        complaints.same("error reason", reason, Some(code.to_ascii_uppercase().as_str()));
    } else if play.api.dialect() == "bedrock" {
        complaints.unless(reply.header("x-amzn-errortype").ends_with("Exception"), || {
            "no exception is named".to_owned()
        });
    } else {
        complaints.same("error code", body["error"]["code"].as_str(), Some(code));
    }
    let told = String::from_utf8_lossy(&reply.body);
    for secret in [CLIENT_KEY, UPSTREAM_KEY] {
        complaints.unless(!told.contains(secret), || format!("the error tells a secret: {told}"));
    }
}

/// The provider's side: one request, the recorded bytes but for the listed edits, no private header.
pub(super) fn of_the_forwarded_request(play: &Play, received: &[Received], complaints: &mut Complaints) {
    let wanted = usize::from(!matches!(play.expectation, Expectation::Refused { .. }));
    complaints.same("requests at the provider", received.len(), wanted);
    for request in received {
        let url = &play.recording.request.url;
        complaints.same("path at the provider", plain(&request.path), plain(&url.path().replace("//", "/")));
        complaints.same(
            "query at the provider",
            request.query.as_deref(),
            forwarded_query(play, url.query()),
        );
        forwarded_headers(play, &request.headers, complaints);
        match play.body_with_model(&play.model) {
            Ok(recorded) => forwarded_body(play, &request.body, &recorded, complaints),
            Err(problem) => complaints.add(format!("{problem:#}")),
        }
    }
}

/// `api-version` is Azure's own: an upstream of another dialect is not shown it.
fn forwarded_query<'a>(play: &Play, recorded: Option<&'a str>) -> Option<&'a str> {
    recorded.filter(|query| play.api.dialect() == "azure-openai" || !query.starts_with("api-version="))
}

fn forwarded_headers(play: &Play, headers: &HeaderMap, complaints: &mut Complaints) {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (name, credential) = play.api.credential(UPSTREAM_KEY);
    complaints.same("credential at the provider", value(name), &credential);
    complaints.same("accept-encoding at the provider", value("accept-encoding"), "identity");
    for (name, sent) in headers {
        let text = sent.to_str().unwrap_or_default();
        complaints.unless(!text.contains(CLIENT_KEY), || format!("{name} carries the client's key"));
    }
    for (private, _) in PRIVATE_HEADERS {
        complaints.unless(!headers.contains_key(private), || format!("{private} reached the provider"));
    }
    for (name, sent) in header_pairs(&play.recording.request.headers) {
        if matches!(name.as_str(), "anthropic-version" | "anthropic-beta" | "content-type") {
            complaints.same(&format!("{name} at the provider"), value(&name), &sent);
        }
    }
}

fn forwarded_body(play: &Play, got: &[u8], recorded: &[u8], complaints: &mut Complaints) {
    let asks_for_more = play.api.must_ask_for_usage()
        && play.recording.request.body["stream"] == Value::Bool(true)
        && !asked_for_usage(&play.recording);
    if !asks_for_more {
        complaints.unless(got == recorded, || {
            format!("the provider got another body: {}", String::from_utf8_lossy(got))
        });
        return;
    }
    let (Ok(got_value), Ok(mut wanted)) =
        (serde_json::from_slice::<Value>(got), serde_json::from_slice::<Value>(recorded))
    else {
        return complaints.add("the provider got something else than JSON");
    };
    let told_before = !wanted["stream_options"]["include_usage"].is_null();
    if wanted["stream_options"].is_object() {
        wanted["stream_options"]["include_usage"] = json!(true);
    } else {
        wanted["stream_options"] = json!({ "include_usage": true });
    }
    complaints.unless(got_value == wanted, || format!("the provider got {got_value}, wanted {wanted}"));
    complaints.unless(told_before || is_one_insertion(got, recorded), || {
        format!("more than one place of the body was edited: {}", String::from_utf8_lossy(got))
    });
}

/// Is `longer` the same bytes with one piece put in?
fn is_one_insertion(longer: &[u8], shorter: &[u8]) -> bool {
    let ahead = longer.iter().zip(shorter).take_while(|(a, b)| a == b).count();
    let behind = longer.iter().rev().zip(shorter.iter().rev()).take_while(|(a, b)| a == b).count();
    longer.len() > shorter.len() && ahead + behind >= shorter.len()
}

/// The ledger's side: who, where, how it ended, and every token.
pub(super) fn of_the_row(play: &Play, reply: &Reply, row: &Value, complaints: &mut Complaints) {
    complaints.same("row: id", row["id"].as_str(), Some(reply.request_id()));
    complaints.same("row: model", row["model"].as_str(), Some(play.slot.as_str()));
    complaints.same("row: status", row["status"].as_u64(), Some(u64::from(reply.status.as_u16())));
    if matches!(play.expectation, Expectation::Refused { .. }) {
        return complaints.same("row: kind", row["kind"].as_str(), Some("refusal"));
    }
    complaints.same("row: kind", row["kind"].as_str(), Some("usage"));
    complaints.same("row: upstream", row["upstream"].as_str(), Some(play.slot.as_str()));
    complaints.same("row: upstream_model", row["upstream_model"].as_str(), Some(play.model.as_str()));
    complaints.same("row: attempt_count", row["attempt_count"].as_u64(), Some(1));
    let is_success = play.recording.response.status == 200;
    if is_success && play.expectation == Expectation::PassedThrough {
        let end = if tells_failure(play, reply) { "upstream_failed" } else { "completed" };
        complaints.same("row: end", row["end"].as_str(), Some(end));
    } else if play.expectation == Expectation::PassedThrough {
        complaints.same("row: end", row["end"].as_str(), Some("refused_upstream"));
    }
    tokens_of_the_row(play, row, is_success, complaints);
}

/// Does the stream end with an error of the provider's?
fn tells_failure(play: &Play, reply: &Reply) -> bool {
    match play.api {
        // The name of the header stands in no message but an exception.
        Api::Bedrock => {
            let name = b":exception-type";
            reply.body.windows(name.len()).any(|bytes| bytes == name)
        }
        _ => is_event_stream(&play.recording) && reply.events().iter().any(Event::is_error),
    }
}

fn tokens_of_the_row(play: &Play, row: &Value, is_success: bool, complaints: &mut Complaints) {
    let got = match serde_json::from_value::<Usage>(row.clone()) {
        Ok(usage) => usage,
        Err(problem) => return complaints.add(format!("row without counts: {problem}")),
    };
    let source = row["usage_source"].as_str();
    if play.api == Api::KeptResponse {
        // Whatever it tells of was settled when it was made.
        return complaints.same("usage of a call about what is kept", got, Usage::default());
    }
    match (play.recording.usage_expected, play.recording.usage_alternative) {
        (Some(expected), alternative) => {
            complaints
                .unless(got == expected || alternative.is_some_and(|stated| stated.is_told_by(&got)), || {
                    format!("usage {got:?}, wanted {expected:?} or {alternative:?}")
                });
            complaints.same("row: usage_source", source, Some("reported"));
        }
        (None, _)
            if is_success && (play.api.is_free() || play.recording.dialect.ends_with("-count-tokens")) =>
        {
            complaints.same("usage of a free call", got, Usage::default());
        }
        (None, _) if is_success => complaints.unless(matches!(source, Some("counted" | "estimated")), || {
            format!("the answer states no usage, yet usage_source is {source:?}")
        }),
        (None, _) => complaints.same("usage of a failed request", got, Usage::default()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::cassettes::play::plan;

    const ANSWER: &str = r#"{"object":"chat.completion","usage":{"prompt_tokens":9,"completion_tokens":3}}"#;

    fn play() -> Play {
        let recording = json!({
            "dialect": "openai-chat",
            "request": { "method": "POST", "url": "https://example.com/v1/chat/completions",
                         "headers": {}, "body": { "model": "m", "messages": [] } },
            "response": { "status": 200, "headers": { "content-type": "application/json", "x-request-id": "theirs" },
                          "body": ANSWER },
            "usage_expected": { "input_tokens": 9, "output_tokens": 3, "reasoning_tokens": null },
            "usage_alternative": null,
        });
        let recording: Recording = serde_json::from_value(recording).unwrap();
        plan([Arc::new(recording)]).unwrap().remove(0)
    }

    fn reply(body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-request-id", "ours"),
            ("x-upstream-request-id", "theirs"),
            ("x-tollgate-upstream", "replay-0"),
            ("x-tollgate-region", "replay-0"),
            ("x-tollgate-attempts", "1"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Reply { status: StatusCode::OK, headers, body: Bytes::from(body.to_owned()), broken: None }
    }

    fn row() -> Value {
        json!({ "id": "ours", "kind": "usage", "model": "replay-0", "upstream": "replay-0", "upstream_model": "m",
                "status": 200, "end": "completed", "attempt_count": 1, "usage_source": "reported",
                "input_tokens": 9, "cached_input_tokens": 0, "cache_write_tokens": 0, "output_tokens": 3,
                "reasoning_tokens": 0, "audio_input_tokens": 0, "audio_output_tokens": 0 })
    }

    fn complaints(look: impl FnOnce(&Play, &mut Complaints)) -> Vec<String> {
        let mut complaints = Complaints::default();
        look(&play(), &mut complaints);
        complaints.into_inner()
    }

    #[test]
    fn an_answer_as_recorded_is_green_and_any_other_byte_is_red() {
        let of = |body: &str| complaints(|play, complaints| of_the_answer(play, &reply(body), complaints));
        assert_eq!(of(ANSWER), Vec::<String>::new());
        assert_eq!(of(&ANSWER.replace(":9", ": 9")).len(), 1);
        assert_eq!(of(&ANSWER[..ANSWER.len() - 1]).len(), 1);
    }

    #[test]
    fn a_row_with_any_other_fact_is_red() {
        let of =
            |row: &Value| complaints(|play, complaints| of_the_row(play, &reply(ANSWER), row, complaints));
        assert_eq!(of(&row()), Vec::<String>::new());
        let wrong = [
            ("input_tokens", json!(10)),
            ("reasoning_tokens", json!(1)),
            ("usage_source", json!("counted")),
            ("end", json!("truncated")),
            ("status", json!(502)),
            ("upstream_model", json!("another")),
        ];
        for (member, value) in wrong {
            let mut row = row();
            row[member] = value;
            assert_eq!(of(&row).len(), 1, "{member}");
        }
    }

    #[test]
    fn one_insertion_is_told_from_other_edits() {
        let cases = [
            ("{\"a\":1,\"b\":2}", "{\"a\":1}", true),
            ("{\"b\":2,\"a\":1}", "{\"a\":1}", true),
            ("{\"a\":1}", "{\"a\":1}", false),
            ("{ \"a\":1,\"b\":2}", "{\"a\":1}", false),
        ];
        for (longer, shorter, wanted) in cases {
            assert_eq!(is_one_insertion(longer.as_bytes(), shorter.as_bytes()), wanted, "{longer}");
        }
    }
}
