//! From a request that is over to its spans: one of the gateway as a server, and below it one for each
//! attempt, in which it is a client. No word of a prompt or of an answer is in them.

use tollgate_accounting::ledger::{Attempt, End, Entry};
use tollgate_dialect::{Dialect, Operation, path_template};
use tollgate_domain::UsageSource;
use tollgate_proxy::{Traced, TracedLeg};
use tollgate_telemetry::otlp::{
    Attributes, Generation, Tokens, operation_name,
    proto::{Link, Span, SpanKind, Status, StatusCode},
};

use super::provider;

/// What spans tell beside the request.
pub(super) struct Surroundings {
    pub(super) generation: Generation,
    /// Clients speak TLS.
    pub(super) is_tls: bool,
}

/// What an attempt is called that gave the answer.
const ANSWERED: &str = "ok";
/// The trace is recorded; the other flags of the protocol say that it is known whether the parent is of
/// another process, and that it is.
const SAMPLED: u32 = 1;
const KNOWN_ORIGIN: u32 = 1 << 8;
const REMOTE: u32 = 1 << 9;

/// The spans of a request.
pub(super) fn of(traced: &Traced, surroundings: &Surroundings) -> Vec<Span> {
    let mut spans = Vec::with_capacity(1 + traced.legs.len());
    spans.push(server(traced, surroundings));
    spans.extend((0..traced.legs.len()).map(|at| client(traced, at, surroundings.generation)));
    spans
}

fn server(traced: &Traced, surroundings: &Surroundings) -> Span {
    let Traced { trace, entry, asked: (dialect, operation), .. } = traced;
    let route = path_template(*dialect, *operation);
    let method = operation.method();
    let mut to = Attributes::default();
    to.text("http.request.method", method);
    to.text("http.route", route.as_str());
    to.text("url.scheme", if surroundings.is_tls { "https" } else { "http" });
    to.number("http.response.status_code", entry.status.into());
    to.optional_text("user_agent.original", entry.client.as_deref());
    to.optional_text("gen_ai.conversation.id", entry.session.as_deref());
    own(&mut to, entry);
    let is_error = is_error(entry);
    if is_error {
        match entry.error_code.as_deref() {
            Some(code) => to.text("error.type", code),
            None => to.text("error.type", entry.status.to_string()),
        }
    }
    let (start, end) = times(traced, 0, traced.took.as_nanos());
    Span {
        trace_id: trace.id.to_bytes().to_vec(),
        span_id: trace.span.to_bytes().to_vec(),
        trace_state: state(traced),
        parent_span_id: trace.parent.map(|span| span.to_bytes().to_vec()).unwrap_or_default(),
        name: format!("{method} {route}"),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: to.into_list(),
        links: trace.link.iter().map(link).collect(),
        status: status(is_error),
        flags: SAMPLED | KNOWN_ORIGIN | if trace.parent.is_some() { REMOTE } else { 0 },
    }
}

/// What the gateway itself has to say of a request.
fn own(to: &mut Attributes, entry: &Entry) {
    to.text("tollgate.request.id", entry.id.to_string());
    to.text("tollgate.team", entry.identity.team.as_str());
    to.text("tollgate.project", entry.identity.project.as_str());
    to.text("tollgate.key", entry.identity.key.as_str());
    to.text("tollgate.model", entry.model.as_str());
    to.text("tollgate.end", entry.end.map_or("refused", End::as_str));
    to.optional_text("tollgate.error_code", entry.error_code.as_deref());
    to.number("tollgate.attempts", entry.attempts.len() as u64);
    to.number("tollgate.config.version", entry.config_version);
    if let Some(cost) = entry.cost.filter(|_| entry.place.is_some()) {
        to.text("tollgate.cost.amount", cost.to_string());
        to.text("tollgate.cost.currency", &*entry.currency);
        to.flag("tollgate.cost.estimated", entry.usage_source != UsageSource::Reported);
    }
}

/// Faults of the gateway or of those behind it. A client's own fault is none of the server's.
fn is_error(entry: &Entry) -> bool {
    entry.status >= 500 || entry.end.is_some_and(broke_off)
}

fn broke_off(end: End) -> bool {
    matches!(end, End::Truncated | End::Stalled | End::Internal)
}

fn client(traced: &Traced, at: usize, generation: Generation) -> Span {
    let Traced { trace, entry, asked: (_, operation), legs, .. } = traced;
    let leg = &legs[at];
    let story = entry.attempts.iter().find(|attempt| attempt.n == leg.n);
    let named = operation_name(operation.as_str());
    let mut to = Attributes::default();
    to.text("gen_ai.operation.name", named);
    to.text("gen_ai.provider.name", provider::name(&leg.target));
    to.text("gen_ai.request.model", leg.target.model.as_str());
    if entry.stream {
        to.flag("gen_ai.request.stream", true);
    }
    to.text("server.address", leg.target.upstream.origin.host.as_str());
    to.number("server.port", leg.target.upstream.origin.port.into());
    to.text("tollgate.upstream", leg.target.upstream.name.as_str());
    to.text("tollgate.region", leg.target.upstream.region.as_str());
    to.number("tollgate.attempt", leg.n.into());
    to.text("tollgate.attempt.reason", reason(legs, at));
    let failure = told(&mut to, entry, story);
    if let Some(failure) = failure {
        to.text("error.type", failure);
    }
    let gave_the_answer = story.is_some_and(|story| story.outcome == ANSWERED);
    if gave_the_answer {
        answer(&mut to, traced, leg, generation);
    }
    let begin = leg.after.as_nanos();
    // An answer goes on after the attempt's own story, and what has none was given up at the end.
    let end = match story.filter(|_| !gave_the_answer) {
        Some(story) => begin + u128::from(story.duration_ms) * 1_000_000,
        None => traced.took.as_nanos(),
    };
    let (start, end) = times(traced, begin, end.min(traced.took.as_nanos()));
    Span {
        trace_id: trace.id.to_bytes().to_vec(),
        span_id: trace.attempt(leg.n).to_bytes().to_vec(),
        trace_state: state(traced),
        parent_span_id: trace.span.to_bytes().to_vec(),
        name: format!("{named} {}", leg.target.model.as_str()),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: to.into_list(),
        links: Vec::new(),
        status: status(failure.is_some()),
        flags: SAMPLED | KNOWN_ORIGIN,
    }
}

/// Adds what came of an attempt; gives what went wrong with it.
fn told<'a>(to: &mut Attributes, entry: &'a Entry, story: Option<&'a Attempt>) -> Option<&'a str> {
    let Some(story) = story else {
        // Nobody waited for its end.
        to.text("tollgate.attempt.outcome", "cancelled");
        return None;
    };
    to.text("tollgate.attempt.outcome", &*story.outcome);
    to.optional_text("tollgate.upstream.request_id", story.upstream_request_id.as_deref());
    if let Some(status) = story.status {
        to.number("http.response.status_code", status.into());
    }
    match &*story.outcome {
        // The answer began well and broke off later.
        ANSWERED => entry.error_code.as_deref().filter(|_| entry.end.is_some_and(broke_off)),
        "cancelled" | "outrun" => None,
        outcome => Some(outcome),
    }
}

/// Adds what the answer says of itself.
fn answer(to: &mut Attributes, traced: &Traced, leg: &TracedLeg, generation: Generation) {
    let Traced { entry, asked: (_, operation), .. } = traced;
    to.optional_text("gen_ai.response.model", entry.served_model.as_deref());
    if entry.stream
        && let Some(millis) =
            entry.attempts.iter().find_map(|story| story.ttft_ms.filter(|_| story.n == leg.n))
    {
        to.seconds("gen_ai.response.time_to_first_chunk", millis);
    }
    let usage = &entry.usage;
    generation.tokens(
        to,
        &Tokens {
            input: usage.input_tokens(),
            cache_read: usage.cache_read,
            cache_write: usage.cache_write_tokens(),
            output: usage.output_tokens(),
            reasoning: usage.output_reasoning,
        },
    );
    to.positive("gen_ai.usage.audio.input_tokens", usage.input_audio);
    to.positive("gen_ai.usage.audio.output_tokens", usage.output_audio);
    if leg.target.upstream.dialect == Dialect::OpenAi && provider::name(&leg.target) == "openai" {
        to.optional_text("openai.response.service_tier", entry.service_tier.as_deref());
        match operation {
            Operation::ChatCompletions => to.text("openai.api.type", "chat_completions"),
            Operation::Responses => to.text("openai.api.type", "responses"),
            _ => {}
        }
    }
}

/// Why an attempt was made.
fn reason(legs: &[TracedLeg], at: usize) -> &'static str {
    let Some(before) = at.checked_sub(1).map(|before| &legs[before]) else { return "first" };
    match &legs[at] {
        leg if leg.is_copy => "hedge",
        leg if leg.target.upstream.name == before.target.upstream.name => "retry",
        _ => "failover",
    }
}

fn status(is_error: bool) -> Option<Status> {
    is_error.then(|| Status { message: String::new(), code: StatusCode::Error.into() })
}

fn state(traced: &Traced) -> String {
    traced.trace.state.as_ref().map(|state| state.as_str().to_owned()).unwrap_or_default()
}

fn link(to: &tollgate_domain::TraceParent) -> Link {
    Link { trace_id: to.trace_id.to_bytes().to_vec(), span_id: to.span_id.to_bytes().to_vec() }
}

/// From an offset to another one, in nanoseconds after the request's begin, to nanoseconds since 1970.
fn times(traced: &Traced, from: u128, to: u128) -> (u64, u64) {
    let began = u64::try_from(traced.entry.started_at.get()).unwrap_or(0).saturating_mul(1_000_000);
    let at = |offset: u128| began.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX));
    (at(from), at(to.max(from)))
}
