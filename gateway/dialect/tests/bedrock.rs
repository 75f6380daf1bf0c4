//! Laws of Bedrock's requests and answers that hold for any input, hostile input first.

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use tollgate_dialect::{Dialect, Edits, Operation};

const OPERATIONS: [Operation; 5] = [
    Operation::Converse,
    Operation::ConverseStream,
    Operation::InvokeModel,
    Operation::InvokeModelStream,
    Operation::CountTokens,
];

/// Models whose vendors have their caps in different places, and one that tells no vendor.
const MODELS: [&str; 5] = [
    "us.anthropic.claude-sonnet-5",
    "amazon.nova-lite-v1:0",
    "amazon.titan-text-express-v1",
    "meta.llama3-3-70b-instruct-v1:0",
    "arn:aws:bedrock:eu-central-1:1:application-inference-profile/x",
];

fn config() -> ProptestConfig {
    let cases = std::env::var("TOLLGATE_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Bytes that look like the wire, in any order, and noise.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 28] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\u",
        "\"inferenceConfig\":",
        "\"maxTokens\":",
        "\"max_tokens\":7",
        "\"additionalModelRequestFields\":",
        "\"textGenerationConfig\":",
        "\"anthropic_version\":\"x\"",
        "\"model\":\"m\"",
        "\"usage\":",
        "\"inputTokens\":18446744073709551615",
        "\"cacheDetails\":",
        "\"ttl\":\"1h\"",
        "\"results\":",
        "\"tokenCount\":3",
        "\"amazon-bedrock-invocationMetrics\":",
        "\"inputTokenCount\":5",
        "\"output\":",
        "\"message\":\"a\"",
        "null",
        "-1e9",
        "1",
    ];
    let piece = prop_oneof![
        4 => any::<Index>().prop_map(|index| index.get(&PIECES).as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A conversation with a configuration of some kind, or without.
fn conversation() -> impl Strategy<Value = (String, Value)> {
    let cap = prop_oneof![Just(None), Just(Some(Value::Null)), any::<u32>().prop_map(|cap| Some(cap.into()))];
    let config = (cap, any::<Option<String>>()).prop_map(|(cap, text)| {
        let cap = cap.map(|cap| ("maxTokens".to_owned(), cap));
        let other = text.map(|text| (format!("x{text}"), json!([{ "maxTokens": text }])));
        Value::Object(cap.into_iter().chain(other).collect())
    });
    let config = prop::option::of(prop_oneof![Just(Value::Null), config]);
    (config, any::<Option<String>>(), any::<bool>()).prop_map(|(config, text, pretty)| {
        let config = config.map(|config| ("inferenceConfig".to_owned(), config));
        let other = text.map(|text| ("messages".to_owned(), json!([{ "content": [{ "text": text }] }])));
        let object = Value::Object(config.into_iter().chain(other).collect());
        let text = if pretty { format!("{object:#}") } else { object.to_string() };
        (text, object)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_make_a_scanner_panic(bytes in wire(), header in any::<String>()) {
        let codec = Dialect::Bedrock.codec();
        for operation in OPERATIONS {
            if let Ok(head) = codec.peek(operation, &bytes) {
                prop_assert_eq!(bytes.get(head.body_end), (!bytes.is_empty()).then_some(&b'}'));
                codec.estimate_input(operation, &bytes, &head);
                for model in MODELS {
                    let edits = Edits { model: Some(model), include_usage: true, output_cap: Some(1) };
                    codec.request_body(operation, &head, &Bytes::from(bytes.clone()), &edits);
                }
            }
            codec.reply_with(operation, &bytes, &|_| Some(&header));
            codec.fault_with(429, &bytes, &|_| Some(&header));
        }
    }

    #[test]
    fn an_edited_conversation_says_the_same_but_for_its_cap((text, object) in conversation()) {
        let codec = Dialect::Bedrock.codec();
        let body = Bytes::from(text);
        let head = codec.peek(Operation::Converse, &body).expect("a fair request");
        let edits = Edits { model: Some("m"), include_usage: true, output_cap: Some(77) };
        let edited = codec.request_body(Operation::Converse, &head, &body, &edits);
        let edited: Value = serde_json::from_slice(&edited).expect("still JSON");

        let mut want = object;
        if want.get("inferenceConfig").is_none_or(Value::is_null) {
            want["inferenceConfig"] = json!({});
        }
        if want["inferenceConfig"].get("maxTokens").is_none_or(Value::is_null) {
            want["inferenceConfig"]["maxTokens"] = 77.into();
        }
        prop_assert_eq!(edited, want);
    }

    #[test]
    fn a_vendors_request_keeps_every_member_and_is_capped_for_every_known_vendor(text in any::<String>(), which in 0..MODELS.len()) {
        let codec = Dialect::Bedrock.codec();
        let object = json!({"prompt": text, "x": [{"max_tokens": text}]});
        let body = Bytes::from(object.to_string());
        let head = codec.peek(Operation::InvokeModel, &body).expect("a fair request");
        let edits = Edits { model: Some(MODELS[which]), include_usage: false, output_cap: Some(77) };
        let edited = codec.request_body(Operation::InvokeModel, &head, &body, &edits);
        let again = codec.peek(Operation::InvokeModel, &edited).expect("still a fair request");
        let is_known = !MODELS[which].starts_with("arn:");
        prop_assert_eq!(again.output_cap.map(|cap| cap.value), is_known.then_some(77));
        let edited: Value = serde_json::from_slice(&edited).expect("still JSON");
        for (name, value) in object.as_object().expect("an object") {
            prop_assert_eq!(&edited[name], value);
        }
    }

    #[test]
    fn paths_of_bedrock_never_make_the_recogniser_panic(path in "(/|%2[eEfF]|%5c|%00|%|\\.\\.|v1|bedrock|model|models|foundation-models|converse|invoke|count-tokens|:|é|[a-z:]{0,4}){0,9}") {
        for method in ["GET", "POST"] {
            tollgate_dialect::recognise(method, &path, |_| false);
            tollgate_dialect::recognise(method, &path, |_| true);
        }
    }
}
