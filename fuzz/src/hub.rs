//! Translation: what a dialect writes it can read again, and then it writes the same.

use serde_json::Value;
use tollgate_dialect::{
    Apis, Dialect, Framing, HubAsk, HubBlock, HubBody, HubCodec, HubReply, HubTold, Operation, SeenKind,
    Translation, Untranslatable,
};
use tollgate_domain::Usage;

use crate::{known, split::split};

const ASK: HubAsk<'_> =
    HubAsk { model: "theirs", output_cap: 500, insert_cap: false, ask_usage: true, may_drop: &[] };
const USAGE: Usage =
    Usage { input_uncached: 40, cache_read: 9, output_text: 20, output_reasoning: 3, ..Usage::NONE };

fn told(usage: Option<&Usage>) -> HubTold<'_> {
    HubTold { id: "7", model: "theirs", created: 1_700_000_000, usage, framing: Framing::Events, asked: None }
}

/// Every dialect that can be translated, one of each family.
fn hubs() -> impl Iterator<Item = (Dialect, &'static dyn HubCodec)> {
    let first = |dialect: &Dialect| {
        Dialect::ALL.into_iter().find(|other| other.family() == dialect.family()) == Some(*dialect)
    };
    Dialect::ALL.into_iter().filter(first).filter_map(|dialect| Some((dialect, dialect.codec().hub()?)))
}

fn reads(dialect: Dialect, hub: &'static dyn HubCodec) -> impl Iterator<Item = Operation> {
    known::operations(dialect).iter().copied().filter(|operation| hub.reads(*operation))
}

/// A client's request.
pub(crate) fn request(client: Dialect, bytes: &[u8]) {
    let Some(hub) = client.codec().hub() else { return };
    for operation in reads(client, hub) {
        // What the gateway refuses unread comes no further.
        if client.codec().peek(operation, bytes).is_err() {
            continue;
        }
        let request = match hub.read_request(operation, bytes) {
            Ok(request) => request,
            Err(fault) => {
                says_why(&fault);
                continue;
            }
        };
        for (target, writer) in hubs() {
            match writer.write_request(&request, &ASK) {
                Err(fault) => names_the_target(&fault, target),
                Ok(written) => is_stable(target, writer, &written),
            }
        }
    }
}

fn says_why(fault: &Untranslatable) {
    assert!(fault.to_string().contains(fault.param()), "{fault:?}");
    assert!(matches!(fault.code(), "invalid_request" | "unsupported_parameter"), "{fault:?}");
}

fn names_the_target(fault: &Untranslatable, writes: Dialect) {
    says_why(fault);
    if let Untranslatable::Unsupported { param, target, what } = fault {
        assert!(!param.is_empty() && !what.is_empty(), "{fault:?}");
        assert_eq!(target.family(), writes.family(), "{fault:?}");
    }
}

fn is_stable(target: Dialect, writer: &dyn HubCodec, written: &HubBody) {
    let text = || String::from_utf8_lossy(&written.body).into_owned();
    assert!(written.dropped.is_empty(), "nobody permitted it: {:?}", written.dropped);
    let value: Value = serde_json::from_slice(&written.body)
        .unwrap_or_else(|error| panic!("{target:?}: {error}: {}", text()));
    assert!(value.is_object(), "{target:?}: {value}");
    let operation = writer.operation();
    if let Err(fault) = target.codec().peek(operation, &written.body) {
        panic!("{target:?} does not take what was written for it: {fault}: {}", text());
    }
    let again = writer
        .read_request(operation, &written.body)
        .unwrap_or_else(|fault| panic!("{target:?} cannot read what it wrote: {fault}: {}", text()));
    let twice = writer
        .write_request(&again, &ASK)
        .unwrap_or_else(|fault| panic!("{target:?} does not write what it wrote: {fault}: {}", text()));
    let twice: Value = serde_json::from_slice(&twice.body).expect("JSON, as before");
    assert_eq!(twice, value, "{target:?}");
}

/// An upstream's whole answer.
pub(crate) fn reply(upstream: Dialect, bytes: &[u8]) {
    let Some(reply) = upstream.codec().hub().and_then(|hub| hub.read_reply(bytes)) else { return };
    for (client, hub) in hubs() {
        for operation in reads(client, hub) {
            let written = hub.write_reply(operation, &reply, &told(Some(&USAGE)));
            let text = || String::from_utf8_lossy(&written).into_owned();
            if let Err(error) = serde_json::from_slice::<Value>(&written) {
                panic!("{client:?}: {error}: {}", text());
            }
            let reported = client.codec().reply(operation, &written);
            assert_eq!(reported.fault, None, "{client:?}: {}", text());
            assert_same_figures(reported.usage, &text);
            if operation == hub.operation() {
                let again = hub
                    .read_reply(&written)
                    .unwrap_or_else(|| panic!("{client:?} cannot read what it wrote: {}", text()));
                assert_eq!(said(&again), said(&reply), "{client:?}: {}", text());
            }
        }
    }
}

/// What an answer says to everybody: its text, and each call with its arguments. Proofs of reasoning are for
/// their vendor, and arguments that are no object have another form in each dialect.
fn said(reply: &HubReply) -> (String, Vec<(String, String, Option<Value>)>) {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for block in &reply.blocks {
        match block {
            HubBlock::Text(more) | HubBlock::Refusal(more) => text.push_str(more),
            HubBlock::ToolUse { id, name, input } => {
                // A call without arguments has an object of none.
                let input = if input.trim().is_empty() { "{}" } else { input };
                let input = serde_json::from_str(input).ok().filter(Value::is_object);
                let is_whole = input.as_ref().is_some_and(|input| input.get("_raw").is_none());
                calls.push((id.clone(), name.clone(), input.filter(|_| is_whole)));
            }
            _ => {}
        }
    }
    (text, calls)
}

fn assert_same_figures(told: Option<Usage>, text: &impl Fn() -> String) {
    let figures = told.map(|usage| (usage.input_tokens(), usage.cache_read, usage.output_tokens()));
    let want = (USAGE.input_tokens(), USAGE.cache_read, USAGE.output_tokens());
    assert_eq!(figures, Some(want), "the client is told other figures: {}", text());
}

/// An upstream's stream.
pub(crate) fn stream(upstream: Dialect, bytes: &[u8]) {
    let events = split(known::framing_of(upstream), &[bytes]);
    for (client, hub) in hubs() {
        for operation in reads(client, hub).filter(|asked| known::streamed(client).contains(asked)) {
            let Some(way) = Translation::between(client, operation, upstream, Apis::Both) else { continue };
            let mut translation = way.stream(&told(None), true);
            let mut out: Vec<u8> = events.iter().flat_map(|event| translation.event(event)).collect();
            out.extend(translation.finish(Some(&USAGE)));
            is_a_whole_stream(client, operation, &out);
        }
    }
}

fn is_a_whole_stream(client: Dialect, operation: Operation, out: &[u8]) {
    let text = || String::from_utf8_lossy(out).into_owned();
    let framing = known::framing_of(client);
    let events = split(framing, &[out]);
    assert_eq!(events.last().map(|rest| rest.len()), Some(0), "half an event is left: {}", text());
    let mut reader = client.codec().reader(operation, false).framed(framing);
    for event in &events {
        let seen = reader.event(event);
        assert!(!matches!(seen.kind, SeenKind::Error(_)), "{client:?}: {event:?}");
    }
    assert!(reader.finished(), "{client:?}: {}", text());
    assert_same_figures(reader.reported().and_then(|reported| reported.usage), &text);
}
