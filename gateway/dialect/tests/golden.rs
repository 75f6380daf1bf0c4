//! Whole exchanges, one folder each under `golden/<dialect>/<operation>/<case>`: the client's
//! `request.json`, the `edits.json` that the gateway asks for, the `edited.json` that goes upstream
//! to the byte, the provider's `reply.json` (perhaps with `headers.json`), `stream.sse`, `stream.json` (an
//! array sent piecewise) or `messages.json` (of an AWS event stream), and what must be read in
//! `expected.json`.

mod aws;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::{Codec, Dialect, Edits, Framing, Operation, Reported, SeenKind, StreamReader};
use tollgate_domain::Usage;

/// Operations whose bodies and answers are read.
const OPERATIONS: [Operation; 23] = [
    Operation::ChatCompletions,
    Operation::Responses,
    Operation::CountResponseTokens,
    Operation::CompactResponse,
    Operation::Completions,
    Operation::Embeddings,
    Operation::Embed,
    Operation::Moderations,
    Operation::Rerank,
    Operation::ImageGenerations,
    Operation::ImageEdits,
    Operation::Speech,
    Operation::Transcriptions,
    Operation::Messages,
    Operation::CountTokens,
    Operation::GenerateContent,
    Operation::StreamGenerateContent,
    Operation::EmbedContent,
    Operation::BatchEmbedContents,
    Operation::Converse,
    Operation::ConverseStream,
    Operation::InvokeModel,
    Operation::InvokeModelStream,
];

/// Those that can be answered by a stream.
const STREAMED: [Operation; 11] = [
    Operation::ChatCompletions,
    Operation::Responses,
    Operation::Completions,
    Operation::ImageGenerations,
    Operation::ImageEdits,
    Operation::Speech,
    Operation::Transcriptions,
    Operation::Messages,
    Operation::StreamGenerateContent,
    Operation::ConverseStream,
    Operation::InvokeModelStream,
];

#[test]
fn every_operation_has_an_exchange_and_every_streamed_one_a_stream() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let cases = |operation: Operation| {
        let of_dialects = Dialect::ALL.map(|dialect| root.join(dialect.as_str()).join(operation.as_str()));
        of_dialects.into_iter().filter(|folder| folder.is_dir()).flat_map(|folder| folders(&folder))
    };
    for operation in OPERATIONS {
        assert!(cases(operation).next().is_some(), "{operation:?} has none");
    }
    for operation in STREAMED {
        let forms = ["stream.sse", "stream.json", "messages.json"];
        let is_stream = |case: PathBuf| forms.iter().any(|form| case.join(form).exists());
        assert!(cases(operation).any(is_stream), "{operation:?} has no stream");
    }
}

#[test]
fn every_exchange_is_edited_and_read_as_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases = 0;
    for dialect in Dialect::ALL {
        for operation_folder in folders(&root.join(dialect.as_str())) {
            let operation = operation(&operation_folder);
            for case in folders(&operation_folder) {
                check(dialect.codec(), operation, &case);
                cases += 1;
            }
        }
    }
    assert!(cases >= 32, "only {cases} cases were found");
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

fn operation(folder: &Path) -> Operation {
    let name = folder.file_name().and_then(|name| name.to_str());
    OPERATIONS
        .into_iter()
        .find(|operation| Some(operation.as_str()) == name)
        .unwrap_or_else(|| panic!("{} names no operation", folder.display()))
}

fn check(codec: &dyn Codec, operation: Operation, case: &Path) {
    let at = case.display();
    let read = |name: &str| fs::read(case.join(name)).ok();
    let must = |name: &str| read(name).unwrap_or_else(|| panic!("{at} has no {name}"));
    let parse = |name: &str| -> Value { serde_json::from_slice(&must(name)).expect(name) };

    let request = Bytes::from(must("request.json"));
    let head = codec.peek(operation, &request).unwrap_or_else(|fault| panic!("{at}: {fault}"));
    let edits = parse("edits.json");
    let edits = Edits {
        model: edits["model"].as_str(),
        include_usage: edits["include_usage"].as_bool().unwrap_or(false),
        output_cap: edits["output_cap"].as_u64(),
    };
    let edited = codec.request_body(operation, &head, &request, &edits);
    let (got, want) = (String::from_utf8_lossy(&edited), must("edited.json"));
    assert_eq!(got, String::from_utf8_lossy(&want), "{at}");

    let mut seen = json!({"head": {
        "model": head.model.map(|model| model.value),
        "stream": head.stream,
        "output_cap": head.output_cap.map(|cap| cap.value),
    }});
    let events = read("stream.sse").map(|stream| (stream, Framing::Events));
    let array = || Some((read("stream.json")?, Framing::JsonArray));
    let messages =
        || read("messages.json").map(|_| (messages_of(&parse("messages.json")), Framing::EventStream));
    match events.or_else(array).or_else(messages) {
        Some((stream, framing)) => {
            let asked = head.include_usage == Some(true);
            let reader = || codec.reader(operation, !asked).framed(framing);
            let stream = Bytes::from(stream);
            follow(reader(), framing, std::slice::from_ref(&stream), &mut seen);
            cut_anywhere(&at.to_string(), &reader, framing, &stream, &seen);
        }
        None => {
            let headers = read("headers.json").map_or(Value::Null, |_| parse("headers.json"));
            let reported =
                codec.reply_with(operation, &must("reply.json"), &|name| headers.get(name)?.as_str());
            report(&reported, &mut seen);
        }
    }
    if let Some(unread) = seen.as_object_mut().and_then(|seen| seen.remove("unread")) {
        assert_eq!(unread, 0, "{at}: the stream ends with a whole event");
    }
    assert_eq!(seen, parse("expected.json"), "{at}");
}

/// All messages of a list of lines.
fn messages_of(lines: &Value) -> Vec<u8> {
    lines.as_array().into_iter().flatten().flat_map(aws::written).collect()
}

fn follow(mut reader: StreamReader, framing: Framing, pieces: &[Bytes], seen: &mut Value) {
    let mut splitter = framing.splitter();
    let mut events: Vec<String> = Vec::new();
    for piece in pieces {
        splitter.push(piece.clone());
        for event in splitter.by_ref() {
            let seen = reader.event(&event);
            let kind = match seen.kind {
                SeenKind::Prelude => "prelude".to_owned(),
                SeenKind::Content => "content".to_owned(),
                SeenKind::Finish => "finish".to_owned(),
                SeenKind::End => "end".to_owned(),
                SeenKind::Error(fault) => format!("error {fault:?}"),
                SeenKind::Broken => "broken".to_owned(),
            };
            events.push(if seen.hide { format!("{kind} hidden") } else { kind });
        }
    }
    seen["unread"] = splitter.buffered().into();
    seen["events"] = events.into();
    seen["finished"] = reader.finished().into();
    seen["output_bytes"] = reader.output_bytes().into();
    report(reader.reported().unwrap_or(&Reported::default()), seen);
}

/// At each byte the stream may come in two pieces, which changes nothing, or break, which leaves what its
/// whole events said: never more than all of it says, and never an end that has not come.
fn cut_anywhere(
    at: &str,
    reader: &dyn Fn() -> StreamReader,
    framing: Framing,
    stream: &Bytes,
    whole: &Value,
) {
    let (mut heard, mut spoken) = (0, 0);
    for place in 0..=stream.len() {
        let (first, second) = (stream.slice(..place), stream.slice(place..));
        let mut seen = json!({"head": whole["head"]});
        follow(reader(), framing, &[first.clone(), second], &mut seen);
        assert_eq!(&seen, whole, "{at} in two at byte {place}");

        let mut broken = json!({});
        follow(reader(), framing, &[first], &mut broken);
        let events = broken["events"].as_array().map_or(0, Vec::len);
        let said = broken["output_bytes"].as_u64().unwrap_or(0);
        assert!(events >= heard && said >= spoken, "{at} broken at byte {place}: {broken}");
        assert_eq!(
            broken["events"].as_array().map(Vec::as_slice),
            whole["events"].as_array().map(|events_of_all| &events_of_all[..events]),
            "{at} broken at byte {place}"
        );
        let is_over = events == whole["events"].as_array().map_or(0, Vec::len);
        assert!(!is_over || broken["usage"] == whole["usage"], "{at} broken at byte {place}: {broken}");
        (heard, spoken) = (events, said);
    }
    assert_eq!(
        (heard, spoken),
        (whole["events"].as_array().map_or(0, Vec::len), whole["output_bytes"].as_u64().unwrap_or(0))
    );
}

fn report(reported: &Reported, seen: &mut Value) {
    seen["usage"] = reported.usage.map_or(Value::Null, counts);
    seen["served_model"] = reported.served_model.as_deref().into();
    seen["service_tier"] = reported.service_tier.as_deref().into();
    seen["flags"] = reported.flags.names().collect::<Vec<_>>().into();
}

/// The counts above zero, so that a case names only what it is about.
fn counts(usage: Usage) -> Value {
    let mut value = serde_json::to_value(usage).expect("plain numbers");
    value.as_object_mut().expect("an object").retain(|_, count| count != 0);
    value
}
