//! Laws that hold for any input, hostile input first. `TOLLGATE_FUZZ_CASES` sets how many cases
//! each law is tried with (default 256).

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use tollgate_dialect::{Codec, Dialect, Edits, Framing, Operation, SeenKind, recognise};

const OPERATIONS: [Operation; 12] = [
    Operation::ChatCompletions,
    Operation::Responses,
    Operation::Embeddings,
    Operation::Embed,
    Operation::Messages,
    Operation::CountTokens,
    Operation::GenerateContent,
    Operation::StreamGenerateContent,
    Operation::EmbedContent,
    Operation::BatchEmbedContents,
    Operation::ListModels,
    Operation::GetModel,
];

const FRAMINGS: [Framing; 2] = [Framing::Events, Framing::JsonArray];

fn config() -> ProptestConfig {
    let cases = std::env::var("TOLLGATE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn codecs() -> impl Iterator<Item = (&'static dyn Codec, Operation)> {
    Dialect::ALL
        .into_iter()
        .flat_map(|dialect| OPERATIONS.into_iter().map(move |operation| (dialect.codec(), operation)))
}

/// Bytes that look like the wire: pieces of JSON and SSE in any order, and noise.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 47] = [
        "data: ",
        "event: ",
        ": ping",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "[DONE]",
        "\u{feff}",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud83d",
        "\"choices\":",
        "\"delta\":",
        "\"content\":",
        "\"usage\":",
        "\"error\":",
        "\"type\":",
        "\"index\":",
        "\"finish_reason\":\"stop\"",
        "\"model\":\"m\"",
        "\"message_start\"",
        "\"message_delta\"",
        "\"response.completed\"",
        "\"response\":",
        "\"x_groq\":",
        "\"prompt_tokens\":18446744073709551615",
        "\"candidates\":",
        "\"parts\":",
        "\"text\":\"a\"",
        "\"finishReason\":\"STOP\"",
        "\"usageMetadata\":",
        "\"modality\":\"AUDIO\"",
        "\"tokenCount\":7",
        "\"promptTokenCount\":3",
        "\"requests\":",
        "\"generationConfig\":",
        "\"functionCall\":",
        "null",
        "-1e9",
    ];
    let piece = prop_oneof![
        4 => any::<Index>().prop_map(|index| index.get(&PIECES).as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A stream of events with one kind of line end, perhaps cut off at the end.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof!["data: [a-z{}\":é ]{0,12}", "event: [a-z_.]{1,9}", ": [a-z]{0,5}", "id: [0-9]"];
    let event = prop::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n"));
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (prop::collection::vec(event, 0..8), end, any::<bool>(), any::<bool>()).prop_map(
        |(events, end, bom, cut)| {
            let mut text: String = events.iter().map(|event| format!("{event}\n\n")).collect();
            if cut {
                text.push_str("data: unfinished");
            }
            format!("{}{}", if bom { "\u{feff}" } else { "" }, text.replace('\n', end)).into_bytes()
        },
    )
}

/// A stream that is one JSON array, perhaps cut off, with whatever may stand between its elements.
fn array() -> impl Strategy<Value = Vec<u8>> {
    let element = (any::<String>(), 0..4_usize).prop_map(|(text, depth)| {
        (0..depth).fold(json!({ "text": text }), |inner, _| json!({ "a": [inner, "]}\\\""] })).to_string()
    });
    let between = prop_oneof![Just(","), Just(",\r\n"), Just("\n,\n")];
    (prop::collection::vec(element, 0..6), between, any::<bool>()).prop_map(|(elements, between, cut)| {
        let text = format!("[{}{}", elements.join(between), if cut { ",{\"torn" } else { "\n]" });
        text.into_bytes()
    })
}

/// Pieces of a stream, cut at the given places.
fn chunks<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.sort_unstable();
    let mut chunks = Vec::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([stream.len()]) {
        chunks.push(&stream[from..cut]);
        from = cut;
    }
    chunks
}

fn split(framing: Framing, chunks: &[&[u8]]) -> Vec<Bytes> {
    let mut splitter = framing.splitter();
    let mut events = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        events.extend(splitter.by_ref());
    }
    events.push(splitter.rest());
    events
}

/// A request with the members that the gateway interprets among others.
fn request() -> impl Strategy<Value = (String, Value)> {
    let text = any::<String>().prop_map(Value::from);
    let options = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"include_obfuscation": false})),
        any::<bool>().prop_map(|asked| json!({"x": [1], "include_usage": asked})),
    ];
    let member = prop_oneof![
        text.prop_map(|model| ("model".to_owned(), model)),
        any::<bool>().prop_map(|stream| ("stream".to_owned(), stream.into())),
        any::<u32>().prop_map(|cap| ("max_completion_tokens".to_owned(), cap.into())),
        Just(("max_completion_tokens".to_owned(), Value::Null)),
        options.prop_map(|options| ("stream_options".to_owned(), options)),
        (any::<String>(), any::<String>())
            .prop_map(|(name, text)| (format!("x{name}"), json!([{"model": text}]))),
    ];
    (prop::collection::btree_map(any::<u8>(), member, 0..8), any::<bool>()).prop_map(|(members, pretty)| {
        let object: Value = Value::Object(members.into_values().collect());
        let text =
            if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
        (text.expect("a value is always written"), object)
    })
}

/// A request of Gemini's with a configuration of some kind, or without.
fn generation() -> impl Strategy<Value = (String, Value)> {
    let cap = prop_oneof![Just(None), Just(Some(Value::Null)), any::<u32>().prop_map(|cap| Some(cap.into()))];
    let config = (cap, any::<Option<String>>()).prop_map(|(cap, text)| {
        let cap = cap.map(|cap| ("maxOutputTokens".to_owned(), cap));
        let other = text.map(|text| (format!("x{text}"), json!([{ "maxOutputTokens": text }])));
        Value::Object(cap.into_iter().chain(other).collect())
    });
    let name = prop_oneof![Just("generationConfig"), Just("generation_config")];
    let config = prop::option::of((name, prop_oneof![Just(Value::Null), config]));
    (config, any::<Option<String>>(), any::<bool>()).prop_map(|(config, text, pretty)| {
        let config = config.map(|(name, config)| (name.to_owned(), config));
        let other = text.map(|text| ("contents".to_owned(), json!([{ "parts": [{ "text": text }] }])));
        let object = Value::Object(config.into_iter().chain(other).collect());
        let text = if pretty { format!("{object:#}") } else { object.to_string() };
        (text, object)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn cutting_a_stream_anywhere_changes_nothing(stream in stream(), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        let framing = Framing::Events;
        prop_assert_eq!(split(framing, &chunks(&stream, &cuts)), split(framing, &[&stream]));
    }

    #[test]
    fn cutting_an_array_anywhere_changes_nothing(stream in array(), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        let framing = Framing::JsonArray;
        let whole = split(framing, &[&stream]);
        prop_assert_eq!(&split(framing, &chunks(&stream, &cuts)), &whole);
        // Each event but the last two, bracket and tail, is one element.
        for event in &whole[..whole.len().saturating_sub(2)] {
            let element = event.iter().position(|byte| *byte == b'{').map(|at| &event[at..]);
            let parsed = element.map(serde_json::from_slice::<Value>);
            prop_assert!(matches!(parsed, Some(Ok(_))), "{:?}", event);
        }
    }

    #[test]
    fn splitting_loses_no_byte(bytes in wire(), cut in any::<Index>()) {
        let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
        for framing in FRAMINGS {
            prop_assert_eq!(split(framing, &[head, tail]).concat(), bytes.clone());
            prop_assert_eq!(split(framing, &[head, tail]), split(framing, &[&bytes]));
        }
    }

    #[test]
    fn no_answer_makes_a_reader_panic(bytes in wire()) {
        for ((codec, operation), framing) in codecs().flat_map(|codec| FRAMINGS.map(|framing| (codec, framing))) {
            codec.reply(operation, &bytes);
            codec.fault(429, &bytes);
            codec.wait(&bytes);
            let mut reader = codec.reader(operation, true).framed(framing);
            let mut ended = false;
            for event in split(framing, &[&bytes]) {
                ended |= reader.event(&event).kind == SeenKind::End;
            }
            prop_assert!(!ended || reader.finished());
            reader.count_output();
        }
    }

    #[test]
    fn no_request_makes_a_scanner_panic(bytes in wire()) {
        for (codec, operation) in codecs() {
            if let Ok(head) = codec.peek(operation, &bytes) {
                prop_assert_eq!(bytes[head.body_end], b'}');
                codec.estimate_input(operation, &bytes, &head);
                let edits = Edits { model: Some("m"), include_usage: true, output_cap: Some(1) };
                codec.request_body(operation, &head, &Bytes::from(bytes.clone()), &edits);
            }
        }
    }

    #[test]
    fn no_path_makes_the_recogniser_panic(path in "(/|%2[eEfF]|%5c|%00|%|\\.\\.|v1|v1beta|openai|azure|gemini|projects|publishers|google|deployments|models|messages|:generateContent|:|é|[a-z:]{0,4}){0,9}") {
        for method in ["GET", "POST", "HEAD"] {
            recognise(method, &path, |_| false);
            recognise(method, &path, |_| true);
        }
    }

    #[test]
    fn an_edited_request_says_the_same_but_for_the_edits((text, object) in request()) {
        let codec = Dialect::OpenAi.codec();
        let body = Bytes::from(text);
        let head = codec.peek(Operation::ChatCompletions, &body).expect("a fair request");
        let edits = Edits { model: Some("new \"model\""), include_usage: true, output_cap: Some(77) };
        let edited = codec.request_body(Operation::ChatCompletions, &head, &body, &edits);
        let edited: Value = serde_json::from_slice(&edited).expect("still JSON");

        let mut want = object;
        want["model"] = "new \"model\"".into();
        if want.get("stream") == Some(&Value::Bool(true)) {
            if !want["stream_options"].is_object() {
                want["stream_options"] = json!({});
            }
            want["stream_options"]["include_usage"] = true.into();
        }
        if want.get("max_completion_tokens").is_none_or(Value::is_null) {
            want["max_completion_tokens"] = 77.into();
        }
        prop_assert_eq!(edited, want);
    }

    #[test]
    fn an_edited_generation_says_the_same_but_for_its_cap((text, object) in generation()) {
        let codec = Dialect::Gemini.codec();
        let body = Bytes::from(text);
        let head = codec.peek(Operation::GenerateContent, &body).expect("a fair request");
        let edits = Edits { model: Some("g"), include_usage: true, output_cap: Some(77) };
        let edited = codec.request_body(Operation::GenerateContent, &head, &body, &edits);
        let edited: Value = serde_json::from_slice(&edited).expect("still JSON");

        let mut want = object;
        let config = if want.get("generation_config").is_some() { "generation_config" } else { "generationConfig" };
        if want.get(config).is_none_or(Value::is_null) {
            want[config] = json!({});
        }
        if want[config].get("maxOutputTokens").is_none_or(Value::is_null) {
            want[config]["maxOutputTokens"] = 77.into();
        }
        prop_assert_eq!(edited, want);
    }
}
