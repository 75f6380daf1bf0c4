//! Answers: from a call, a script and a behaviour to the exact bytes that go out.
//!
//! `compose` decides what kind of answer it is; the dialects' modules write it; `plan` holds it and
//! works faults into it. Nothing here touches a socket.

mod anthropic;
mod azure;
mod bedrock;
mod cohere;
mod embeddings;
mod gemini;
mod invoke;
mod openai;
mod others;
mod plan;
mod refusal;
mod responses;
pub(crate) mod text;
mod turn;

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use plan::{How, Plan};
use turn::Turn;

use crate::book::{Usage, bare, is_credential};
use crate::request::Asked;
use crate::{Behaviour, Exact, Framing, Incoming, Operation, Refusal, Reply, Script};

/// Header names and values in order.
pub(crate) type Headers = Vec<(Cow<'static, str>, Cow<'static, str>)>;

/// What makes this answer different from all others.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// The `x-request-id` or `request-id` of the answer.
    pub(crate) request_id: String,
    /// Name and order number, as they end the ids in bodies.
    tail: String,
    /// Unix seconds.
    created: u64,
}

impl Stamp {
    pub(crate) fn new(name: &str, number: u64) -> Self {
        let tail = format!("{name}{number:020}");
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { request_id: format!("req_{tail}"), tail, created }
    }
}

/// The dialect in which a path is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    OpenAi,
    Azure,
    Anthropic,
    Gemini,
    Bedrock,
    Cohere,
}

impl Family {
    pub(crate) fn of(incoming: &Incoming) -> Self {
        match incoming.operation {
            Operation::Messages | Operation::CountTokens | Operation::Probe => Self::Anthropic,
            Operation::Generate
            | Operation::CountContents
            | Operation::EmbedContent
            | Operation::BatchEmbedContents => Self::Gemini,
            Operation::Converse | Operation::ConverseStream | Operation::Invoke | Operation::InvokeStream => {
                Self::Bedrock
            }
            Operation::Embed => Self::Cohere,
            Operation::Rerank if incoming.path.starts_with("/v2/") => Self::Cohere,
            _ if incoming.azure => Self::Azure,
            _ => Self::OpenAi,
        }
    }

    /// The headers that this provider sends with every answer.
    fn headers(self, stamp: &Stamp, name: &str, content_type: &'static str) -> Headers {
        let mut headers = match self {
            Self::OpenAi => openai::headers(stamp),
            Self::Azure => azure::headers(stamp, name),
            Self::Anthropic => anthropic::headers(stamp),
            Self::Gemini => gemini::headers(),
            Self::Bedrock => bedrock::headers(stamp),
            Self::Cohere => cohere::headers(),
        };
        headers.insert(0, ("content-type".into(), content_type.into()));
        headers
    }
}

/// Writes the answer to a call.
pub(crate) fn compose(
    name: &str,
    credential: Option<&str>,
    stamp: &Stamp,
    incoming: &Incoming,
    script: Script,
    usual: &Behaviour,
) -> Plan {
    let family = Family::of(incoming);
    let (behaviour, latency) = match &script.reply {
        Reply::As(behaviour) => (behaviour, behaviour.latency),
        Reply::Usual => (usual, usual.latency),
        Reply::Refusal(_) | Reply::Exact(_) => (usual, Duration::ZERO),
    };
    let mut plan = match &script.reply {
        Reply::Exact(exact) => exactly(exact),
        Reply::Refusal(refusal) => refusal::plan(*refusal, family, stamp, name, incoming),
        Reply::Usual | Reply::As(_) => {
            if credential.is_some_and(|wanted| !carries(incoming, wanted)) {
                refusal::plan(Refusal::Unauthorized, family, stamp, name, incoming)
            } else {
                realistic(name, family, stamp, incoming, behaviour)
            }
        }
    };
    plan.delay = latency + script.delay;
    if let Some(fault) = script.fault {
        plan.apply(fault, family, incoming, stamp);
    }
    plan
}

fn carries(incoming: &Incoming, credential: &str) -> bool {
    incoming.headers.iter().any(|(name, value)| is_credential(name) && bare(value) == credential)
}

fn exactly(exact: &Exact) -> Plan {
    let mut plan = Plan { status: exact.status, headers: exact.headers.clone(), ..Plan::default() };
    plan.framing = exact.framing;
    for piece in &exact.pieces {
        plan.push(piece.pause, |body| body.extend_from_slice(&piece.data));
    }
    plan.content = 0..plan.pieces.len();
    plan
}

fn realistic(name: &str, family: Family, stamp: &Stamp, incoming: &Incoming, behaviour: &Behaviour) -> Plan {
    match incoming.operation {
        Operation::Models => return json(family, stamp, name, embeddings::models(stamp)),
        Operation::Probe => return json(family, stamp, name, Vec::new()),
        Operation::Unknown => {
            return refusal::plain(404, "unknown path", family, stamp, name);
        }
        // Its body is a form, of which nothing matters.
        Operation::Transcriptions => {
            let (body, usage) = others::transcript();
            let mut plan = json(family, stamp, name, body);
            (plan.usage, plan.tells_usage) = (usage, true);
            return plan;
        }
        _ => {}
    }
    let asked: Asked<'_> = match serde_json::from_slice(&incoming.body) {
        Ok(asked) => asked,
        Err(error) => return refusal::plain(400, &format!("body: {error}"), family, stamp, name),
    };
    let Some(model) = &incoming.model else {
        return refusal::plain(400, "you must provide a model parameter", family, stamp, name);
    };
    let model = behaviour.served_model.as_ref().unwrap_or(model);
    match incoming.operation {
        Operation::CountTokens => {
            let body = format!("{{\"input_tokens\":{}}}", asked.input_tokens());
            return json(family, stamp, name, body.into_bytes());
        }
        Operation::Embeddings => {
            let input_tokens = behaviour.input_tokens.unwrap_or_else(|| asked.input_tokens());
            let mut plan = json(family, stamp, name, embeddings::body(&asked, model, input_tokens));
            plan.usage = Usage { input_tokens, ..Usage::default() };
            plan.tells_usage = true;
            return plan;
        }
        Operation::Embed => {
            let input_tokens = behaviour.input_tokens.unwrap_or_else(|| asked.input_tokens());
            let mut plan = json(family, stamp, name, cohere::embeddings(&asked, stamp, input_tokens));
            plan.usage = Usage { input_tokens, ..Usage::default() };
            plan.tells_usage = true;
            return plan;
        }
        Operation::Invoke if invoke::embeds(model) => {
            let input_tokens = behaviour.input_tokens.unwrap_or_else(|| asked.input_tokens());
            let mut plan = json(family, stamp, name, invoke::embeddings(model, &asked, stamp, input_tokens));
            plan.usage = Usage { input_tokens, ..Usage::default() };
            plan.headers.extend(invoke::counts(&plan.usage));
            plan.tells_usage = true;
            return plan;
        }
        Operation::InvokeStream if invoke::embeds(model) => {
            let message = "The model is unsupported for streaming.";
            return refusal::plain(400, message, family, stamp, name);
        }
        Operation::CountContents => return json(family, stamp, name, gemini::count(&asked)),
        operation @ (Operation::EmbedContent | Operation::BatchEmbedContents) => {
            let input_tokens = behaviour.input_tokens.unwrap_or_else(|| asked.input_tokens());
            let body = gemini::embeddings(operation, &asked, input_tokens);
            let mut plan = json(family, stamp, name, body);
            plan.usage = Usage { input_tokens, ..Usage::default() };
            plan.tells_usage = true;
            return plan;
        }
        Operation::Speech => {
            let mut plan = json(family, stamp, name, others::SOUND.to_vec());
            plan.headers[0].1 = "audio/mpeg".into();
            return plan;
        }
        operation @ (Operation::Moderations | Operation::Rerank | Operation::Images) => {
            let input_tokens = behaviour.input_tokens.unwrap_or_else(|| asked.input_tokens());
            let written = others::body(operation, &asked, model, stamp, input_tokens);
            let (body, usage) = written.expect("each of these has a body");
            let mut plan = json(family, stamp, name, body);
            plan.tells_usage = usage.is_some();
            plan.usage = usage.unwrap_or_default();
            return plan;
        }
        Operation::Messages | Operation::Invoke | Operation::InvokeStream if asked.output_cap().is_none() => {
            return refusal::plain(400, "max_tokens: Field required", family, stamp, name);
        }
        _ => {}
    }
    let turn = Turn::new(stamp, family, model, &asked, behaviour);
    converse(name, &turn, incoming)
}

/// The answer of a model, in the dialect that was spoken.
fn converse(name: &str, turn: &Turn<'_>, incoming: &Incoming) -> Plan {
    let mut plan = if incoming.stream {
        let as_array = turn.family == Family::Gemini && !gemini::wants_events(incoming);
        let mut plan = Plan {
            headers: turn.family.headers(turn.stamp, name, stream_type(turn.family, as_array)),
            framing: Framing::Chunked,
            ..Plan::default()
        };
        match incoming.operation {
            Operation::Responses => responses::stream(turn, &mut plan),
            Operation::Messages => anthropic::stream(turn, &mut plan),
            Operation::Generate => gemini::stream(turn, !as_array, &mut plan),
            Operation::ConverseStream => bedrock::stream(turn, &mut plan),
            Operation::InvokeStream => invoke::stream(turn, &mut plan),
            Operation::Completions => others::completion_stream(turn, &mut plan),
            _ => openai::stream(turn, &mut plan),
        }
        let must_ask = matches!(incoming.operation, Operation::Chat | Operation::Completions);
        plan.tells_usage = !must_ask || turn.include_usage;
        plan
    } else {
        let body = match incoming.operation {
            Operation::Responses => responses::body(turn),
            Operation::Messages => anthropic::body(turn),
            Operation::Generate => gemini::body(turn),
            Operation::Converse => bedrock::body(turn),
            Operation::Invoke => anthropic::body(turn),
            Operation::Completions => others::completion(turn),
            _ => openai::body(turn),
        };
        let mut plan = json(turn.family, turn.stamp, name, body);
        if incoming.operation == Operation::Invoke {
            plan.headers.extend(invoke::counts(&turn.usage));
        }
        plan.tells_usage = true;
        plan
    };
    plan.usage = turn.usage;
    plan
}

fn stream_type(family: Family, as_array: bool) -> &'static str {
    match family {
        Family::Bedrock => bedrock::EVENT_STREAM,
        Family::Gemini if as_array => "application/json; charset=UTF-8",
        _ => "text/event-stream; charset=utf-8",
    }
}

fn json(family: Family, stamp: &Stamp, name: &str, body: Vec<u8>) -> Plan {
    let headers = family.headers(stamp, name, "application/json");
    let mut plan = Plan { headers, ..Plan::default() };
    plan.push(Duration::ZERO, |whole| *whole = body);
    plan.is_plain = true;
    plan
}
