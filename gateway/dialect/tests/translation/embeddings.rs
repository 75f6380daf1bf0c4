//! Embeddings between dialects: texts there, vectors back.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::{
    Dialect, EmbeddingTranslation, HubAsk, HubEmbeddingTold, HubEncoding, Operation, Untranslatable,
};
use tollgate_domain::Usage;

pub(crate) const OPENAI: (Dialect, Operation) = (Dialect::OpenAi, Operation::Embeddings);
pub(crate) const ONE: (Dialect, Operation) = (Dialect::Gemini, Operation::EmbedContent);
pub(crate) const BATCH: (Dialect, Operation) = (Dialect::Gemini, Operation::BatchEmbedContents);

fn way(from: (Dialect, Operation), to: Dialect) -> EmbeddingTranslation {
    EmbeddingTranslation::between(from.0, from.1, to).expect("there is a way")
}

fn carried(
    from: (Dialect, Operation),
    to: Dialect,
    body: &Value,
    may_drop: &[Box<str>],
) -> Result<(Operation, Value), Untranslatable> {
    carried_to(from, (to, "theirs"), body, may_drop)
}

/// The same to a model of a name that matters.
pub(crate) fn carried_to(
    from: (Dialect, Operation),
    (to, model): (Dialect, &str),
    body: &Value,
    may_drop: &[Box<str>],
) -> Result<(Operation, Value), Untranslatable> {
    let way = way(from, to);
    let asked = way.read(body.to_string().as_bytes())?;
    let ask = HubAsk { model, output_cap: 0, insert_cap: false, ask_usage: true, may_drop };
    let written = way.request(&asked, &ask)?;
    Ok((way.upstream_operation(&asked), serde_json::from_slice(&written.body).expect("JSON")))
}

pub(crate) fn reply(
    from: (Dialect, Operation),
    to: Dialect,
    body: &Value,
    encoding: HubEncoding,
) -> Option<Value> {
    let usage = Usage { input_uncached: 7, ..Usage::default() };
    let told = HubEmbeddingTold { id: "r-1", model: "theirs", usage: &usage, encoding };
    let written = way(from, to).reply(body.to_string().as_bytes(), &told)?;
    Some(serde_json::from_slice(&written).expect("JSON"))
}

#[test]
fn requests_are_carried_by_the_operation_that_fits_their_texts() {
    let part = |text: &str| json!({"content": {"parts": [{"text": text}]}});
    let of_batch = |text: &str, more: Value| {
        let mut one = part(text);
        one["model"] = json!("models/theirs");
        one.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        one
    };
    let cases = [
        ("a text", OPENAI, json!({"input": "a"}), ONE.1, part("a")),
        (
            "a list of one",
            OPENAI,
            json!({"input": ["a"], "user": "u", "encoding_format": "base64"}),
            ONE.1,
            part("a"),
        ),
        (
            "several, with dimensions",
            OPENAI,
            json!({"input": ["a", "b"], "dimensions": 3}),
            BATCH.1,
            json!({"requests": [of_batch("a", json!({"outputDimensionality": 3})), of_batch("b", json!({"outputDimensionality": 3}))]}),
        ),
        (
            "one content",
            ONE,
            part("a"),
            OPENAI.1,
            json!({"model": "theirs", "encoding_format": "float", "input": "a"}),
        ),
        (
            "a batch",
            BATCH,
            json!({"requests": [
                {"model": "models/x", "content": {"parts": [{"text": "a"}]}, "output_dimensionality": 3},
                {"content": {"role": "user", "parts": {"text": "b"}}, "outputDimensionality": "3", "taskType": "TASK_TYPE_UNSPECIFIED"}]}),
            OPENAI.1,
            json!({"model": "theirs", "encoding_format": "float", "input": ["a", "b"], "dimensions": 3}),
        ),
    ];
    for (feature, from, body, operation, want) in cases {
        let to = if from == OPENAI { Dialect::Gemini } else { Dialect::OpenAi };
        assert_eq!(carried(from, to, &body, &[]), Ok((operation, want)), "{feature}");
    }
}

#[test]
fn what_cannot_be_carried_is_refused_with_its_name() {
    let (unsupported, invalid) = ("unsupported_parameter", "invalid_request");
    let with = |more: Value| {
        let mut body = json!({"content": {"parts": [{"text": "a"}]}});
        body.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        body
    };
    let cases = [
        ("tokens", OPENAI, json!({"input": [1, 2]}), unsupported, "input"),
        ("lists of tokens", OPENAI, json!({"input": [[1], [2]]}), unsupported, "input"),
        ("unknown member", OPENAI, json!({"input": "a", "truncate": true}), unsupported, "truncate"),
        ("a purpose", OPENAI, json!({"input": "a", "input_type": "image"}), unsupported, "input_type"),
        ("no input", OPENAI, json!({}), invalid, "input"),
        ("nothing in it", OPENAI, json!({"input": []}), invalid, "input"),
        ("what is no text", OPENAI, json!({"input": ["a", {}]}), invalid, "input"),
        (
            "another encoding",
            OPENAI,
            json!({"input": "a", "encoding_format": "hex"}),
            invalid,
            "encoding_format",
        ),
        ("dimensions that are none", OPENAI, json!({"input": "a", "dimensions": -1}), invalid, "dimensions"),
        ("a purpose", ONE, with(json!({"taskType": "RETRIEVAL_QUERY"})), unsupported, "taskType"),
        (
            "a purpose of its own",
            ONE,
            with(json!({"task_type": "FACT_VERIFICATION"})),
            unsupported,
            "task_type",
        ),
        ("a title", ONE, with(json!({"title": "t"})), unsupported, "title"),
        (
            "a picture",
            ONE,
            json!({"content": {"parts": [{"inlineData": {}}]}}),
            unsupported,
            "content.parts[0].inlineData",
        ),
        (
            "several parts",
            ONE,
            json!({"content": {"parts": [{"text": "a"}, {"text": "b"}]}}),
            unsupported,
            "content.parts",
        ),
        ("no content", ONE, json!({}), invalid, "content"),
        ("no parts", ONE, json!({"content": {}}), invalid, "content.parts"),
        ("an empty batch", BATCH, json!({"requests": []}), invalid, "requests"),
        (
            "a batch of two minds",
            BATCH,
            json!({"requests": [with(json!({"outputDimensionality": 3})), with(json!({}))]}),
            unsupported,
            "requests[1].outputDimensionality",
        ),
    ];
    for (feature, from, body, code, param) in cases {
        let to = if from == OPENAI { Dialect::Gemini } else { Dialect::OpenAi };
        let why = carried(from, to, &body, &[]).expect_err(feature);
        assert_eq!((why.code(), why.param()), (code, param), "{feature}: {why}");
    }
    let dropped =
        carried(ONE, Dialect::OpenAi, &with(json!({"taskType": "CLUSTERING"})), &["taskType".into()]);
    assert!(dropped.is_ok(), "a route may permit it");
}

#[test]
fn vectors_keep_their_numbers() {
    let one = json!({"embedding": {"values": [0.5, -1.25]}});
    let several = json!({"embeddings": [{"values": [0.5]}, {"values": [4.623822e-05]}]});
    let openai = json!({"object": "list", "model": "m", "data": [
        {"object": "embedding", "index": 1, "embedding": [4.623822e-05]}, {"object": "embedding", "index": 0, "embedding": "AAAAPw=="}]});
    let usage = json!({"prompt_tokens": 7, "total_tokens": 7});
    assert_eq!(
        reply(OPENAI, Dialect::Gemini, &one, HubEncoding::Numbers),
        Some(
            json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.25]}],
            "model": "theirs", "usage": usage})
        )
    );
    let base64 = reply(OPENAI, Dialect::Gemini, &several, HubEncoding::Base64).expect("an answer");
    assert_eq!(
        (&base64["data"][0]["embedding"], &base64["data"][1]["index"]),
        (&json!("AAAAPw=="), &json!(1))
    );
    assert_eq!(
        reply(BATCH, Dialect::OpenAi, &openai, HubEncoding::Numbers),
        Some(
            json!({"embeddings": [{"values": [0.5]}, {"values": [4.623822e-05]}], "usageMetadata": {"promptTokenCount": 7}})
        )
    );
    let first = json!({"data": [{"embedding": [1.0]}]});
    assert_eq!(
        reply(ONE, Dialect::OpenAi, &first, HubEncoding::Numbers).map(|reply| reply["embedding"].clone()),
        Some(json!({"values": [1.0]}))
    );
    for nonsense in
        [json!({}), json!(null), json!({"data": [{"embedding": 7}]}), json!({"embedding": {"values": "x"}})]
    {
        assert_eq!(reply(ONE, Dialect::OpenAi, &nonsense, HubEncoding::Numbers), None, "{nonsense}");
        assert_eq!(reply(OPENAI, Dialect::Gemini, &nonsense, HubEncoding::Numbers), None, "{nonsense}");
    }
}

#[test]
fn numbers_keep_their_spelling() {
    let usage = Usage::default();
    let told = HubEmbeddingTold { id: "r-1", model: "m", usage: &usage, encoding: HubEncoding::Numbers };
    let body = br#"{"embedding":{"values":[1.50,4.623822e-05,0.1234567890123456789]}}"#;
    let written = way(OPENAI, Dialect::Gemini).reply(body, &told).expect("an answer");
    let written = String::from_utf8(written).expect("text");
    assert!(written.contains("[1.50,4.623822e-05,0.1234567890123456789]"), "{written}");
}

proptest! {
    #[test]
    fn texts_are_the_same_there_and_back_again(texts in prop::collection::vec(".{0,20}", 1..4), dimensions in prop::option::of(1_u64..3_000)) {
        let mut body = json!({"input": texts});
        if let Some(dimensions) = dimensions {
            body["dimensions"] = json!(dimensions);
        }
        let (operation, there) = carried(OPENAI, Dialect::Gemini, &body, &[]).expect("both can say it");
        let (_, back) = carried((Dialect::Gemini, operation), Dialect::OpenAi, &there, &[]).expect("both can say it");
        let input = if texts.len() == 1 { json!(texts[0]) } else { json!(texts) };
        prop_assert_eq!(&back["input"], &input);
        prop_assert_eq!(back.get("dimensions"), body.get("dimensions"));
    }

    #[test]
    fn no_body_makes_a_reader_panic(body in ".{0,100}", name in "[a-zA-Z]{1,12}") {
        for from in [OPENAI, ONE, BATCH] {
            let to = if from == OPENAI { Dialect::Gemini } else { Dialect::OpenAi };
            let _ = way(from, to).read(body.as_bytes());
            let nested = json!({"input": [body], "content": {name.clone(): body}, "requests": [{"content": {"parts": [{name.clone(): body}]}}]});
            let _ = carried(from, to, &nested, &[]);
            let _ = reply(from, to, &nested, HubEncoding::Base64);
        }
    }
}
