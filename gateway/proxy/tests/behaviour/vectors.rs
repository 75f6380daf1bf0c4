//! Embeddings and reranks: made by any target that can, whatever its dialect, and paid by what it states.

use serde_json::{Value, json};
use tollgate_accounting::ledger::End;
use tollgate_dialect::Dialect;
use tollgate_domain::{Units, Usage};
use tollgate_simulator::{Refusal, Script, Simulator};

use crate::harness::{Answer, Ask, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};

/// What a target speaks, the model that it has, and the path that it is asked for one text by.
#[derive(Clone, Copy, Debug)]
struct Speech {
    dialect: Dialect,
    model: Option<&'static str>,
    path: &'static str,
}

const OPENAI: Speech = Speech { dialect: Dialect::OpenAi, model: None, path: "/v1/embeddings" };
const GEMINI: Speech =
    Speech { dialect: Dialect::Gemini, model: None, path: "/v1beta/models/gemini-2.5-flash:embedContent" };
const COHERE: Speech = Speech { dialect: Dialect::Cohere, model: None, path: "/v2/embed" };
const TITAN: Speech = Speech {
    dialect: Dialect::Bedrock,
    model: Some("amazon.titan-embed-text-v2:0"),
    path: "/model/amazon.titan-embed-text-v2%3A0/invoke",
};
const COHERE_AT_BEDROCK: Speech = Speech {
    dialect: Dialect::Bedrock,
    model: Some("cohere.embed-v4:0"),
    path: "/model/cohere.embed-v4%3A0/invoke",
};

const TARGETS: [Speech; 5] = [OPENAI, GEMINI, COHERE, TITAN, COHERE_AT_BEDROCK];

fn speaking(speech: Speech, simulator: &Simulator) -> TargetSetup {
    TargetSetup { dialect: speech.dialect, other_model: speech.model, ..simulator.into() }
}

fn mixed(targets: Vec<TargetSetup>) -> Setup {
    Setup { mixed: true, ..Setup::new(targets) }
}

/// Asks for a vector of five numbers; `more` are members with a comma before each.
fn embed(client: Speech, more: &str) -> Ask {
    match client.dialect {
        Dialect::Gemini => Ask::post(
            "/v1beta/models/gemini:embedContent",
            format!(r#"{{"content":{{"parts":[{{"text":"some words"}}]}},"outputDimensionality":5{more}}}"#),
        ),
        Dialect::Cohere => Ask::post(
            "/v2/embed",
            format!(r#"{{"model":"chat","texts":["some words"],"output_dimension":5{more}}}"#),
        ),
        _ => Ask::post(
            "/v1/embeddings",
            format!(r#"{{"model":"chat","input":["some words"],"dimensions":5{more}}}"#),
        ),
    }
}

/// The length of the first vector and the tokens that the client is told.
fn embedded(client: Speech, answer: &Answer) -> (usize, u64) {
    let body = answer.json();
    let (vector, tokens) = match client.dialect {
        Dialect::Gemini => ("/embedding/values", "/usageMetadata/promptTokenCount"),
        Dialect::Cohere => ("/embeddings/float/0", "/meta/billed_units/input_tokens"),
        _ => ("/data/0/embedding", "/usage/prompt_tokens"),
    };
    let length = body.pointer(vector).and_then(Value::as_array).expect("a vector").len();
    (length, body.pointer(tokens).and_then(Value::as_u64).expect("a count"))
}

#[tokio::test]
async fn embeddings_cross_dialects_and_failover_does_too() {
    for client in [OPENAI, GEMINI, COHERE] {
        for target in TARGETS.into_iter().filter(|target| target.dialect != client.dialect) {
            let case = format!("{client:?} to {target:?}");
            let failing = scripted(Script::refusal(Refusal::ServerError)).await;
            let answering = provider().await;
            let targets = vec![speaking(client, &failing), speaking(target, &answering)];
            let gateway = Gateway::start(mixed(targets));
            let answer = gateway.send(&embed(client, "")).await;
            assert_eq!(answer.status, 200, "{case}: {}", answer.text());
            let told = answering.book().totals().told;
            assert!(told.input_tokens > 0);
            assert_eq!(embedded(client, &answer), (5, told.input_tokens), "{case}");
            let ledger = gateway.stop().await;
            let row = ledger.only(End::Completed);
            assert_eq!(outcomes(row), ["server_error", "ok"], "{case}");
            assert_eq!(
                (row.usage.input_tokens(), row.usage.output_tokens()),
                (told.input_tokens, 0),
                "{case}"
            );
            assert_eq!(&*row.dialect, client.dialect.as_str());
            assert_eq!(answering.book().calls()[0].path, target.path, "{case}");
        }
    }
}

#[tokio::test]
async fn coheres_own_calls_pass_byte_for_byte_and_are_billed_by_its_units() {
    let none = Usage::default();
    let cases = [
        (
            "/v2/embed",
            r#"{ "model":"chat", "texts":["a"],"input_type":"search_query","truncate":"END"}"#,
            r#"{"id":"1","embeddings":{"float":[[0.10]]},"meta":{"tokens":{"input_tokens":91},"billed_units":{"input_tokens":25}}}"#,
            Usage { input_uncached: 25, ..none },
            ("cohere", "embed", "/v2/embed"),
        ),
        (
            "/v2/rerank",
            r#"{"model":"chat","query":"q","documents":["a"],"top_n":1}"#,
            r#"{"id":"1","results":[{"index":0,"relevance_score":0.90}],"meta":{"billed_units":{"search_units":1}}}"#,
            Usage { units: Units { search_units: 1, ..Units::NONE }, ..none },
            ("cohere", "rerank", "/v2/rerank"),
        ),
        (
            "/v1/rerank",
            r#"{"model":"chat","query":"q","documents":["a"]}"#,
            r#"{"results":[],"meta":{"billed_units":{"search_units":1}}}"#,
            Usage { units: Units { search_units: 1, ..Units::NONE }, ..none },
            ("openai", "rerank", "/v2/rerank"),
        ),
    ];
    for (path, body, reply, usage, (dialect, operation, upstream_path)) in cases {
        let cohere = scripted(Script::json(200, reply)).await;
        let gateway = Gateway::start(mixed(vec![speaking(COHERE, &cohere)]));
        let ask = Ask::post(path, body).with("x-client-name", "mine").with("x-api-key-of-mine", "secret");
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.text()), (200, reply), "{path}");
        let call = cohere.book().calls().remove(0);
        assert_eq!(call.path, upstream_path);
        assert_eq!(call.body, body.replace(r#""chat""#, r#""embed-v4.0""#), "{path}");
        assert_eq!(call.header("x-client-name"), Some("mine"));
        assert_eq!(call.header("x-api-key-of-mine"), None);
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, &*row.dialect, &*row.operation), (usage, dialect, operation), "{path}");
    }
}

#[tokio::test]
async fn a_rerank_of_a_server_of_openais_family_serves_coheres_clients() {
    let server = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(OPENAI, &server)]));
    let ask = Ask::post("/v2/rerank", r#"{"model":"chat","query":"q","documents":["a","b"]}"#);
    let answer = gateway.send(&ask).await;
    assert_eq!((answer.status, answer.json()["results"].as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(server.book().calls()[0].path, "/v1/rerank");
    gateway.stop().await;
}

#[tokio::test]
async fn what_coheres_api_has_no_place_for_here_is_not_served_by_it() {
    let cohere = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(COHERE, &cohere)]));
    let cases = [
        Ask::chat(),
        Ask::messages(),
        Ask::post("/v2/chat", r#"{"model":"chat","messages":[]}"#),
        Ask::post("/v1/moderations", r#"{"model":"chat","input":"a"}"#),
    ];
    for ask in cases {
        let answer = gateway.send(&ask).await;
        let told = (answer.status, answer.header("x-tollgate-error"));
        assert_eq!(told, (501, "unsupported_operation"), "{}", ask.path);
    }
    assert!(cohere.book().calls().is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_model_cannot_be_asked_is_refused_in_the_clients_dialect() {
    let unsupported = "unsupported_parameter";
    let several = r#"{"model":"chat","input":["a","b"]}"#;
    let cases = [
        (Ask::post("/v1/embeddings", several), TITAN, unsupported, "/error/param", "input"),
        (embed(OPENAI, r#","truncate":"END""#), COHERE, unsupported, "/error/param", "truncate"),
        (embed(OPENAI, r#","input_type":"image""#), COHERE, unsupported, "/error/param", "input_type"),
        (
            embed(COHERE, r#","embedding_types":["int8"]"#),
            GEMINI,
            unsupported,
            "/message",
            "`embedding_types`",
        ),
        (embed(COHERE, r#","texts":[]"#), GEMINI, "invalid_request", "/message", "texts"),
    ];
    for (ask, target, code, at, name) in cases {
        let provider = provider().await;
        let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
        let answer = gateway.send(&ask).await;
        let told = (answer.status, answer.header("x-tollgate-error"));
        assert_eq!(told, (400, code), "{}", answer.text());
        let body = answer.json();
        let said = body.pointer(at).and_then(Value::as_str).expect("words");
        assert!(said.contains(name), "{said}");
        assert!(provider.book().calls().is_empty());
        gateway.stop().await;
    }
}

#[tokio::test]
async fn coheres_refusal_of_a_request_keeps_its_words() {
    let too_long = "too many tokens: size limit exceeded by 25836 tokens.";
    for client in [OPENAI, GEMINI, COHERE] {
        let refusing = scripted(Script::refusal(Refusal::ContextLength)).await;
        let gateway = Gateway::start(mixed(vec![speaking(COHERE, &refusing)]));
        let answer = gateway.send(&embed(client, "")).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error-source")), (400, "upstream"));
        let body = answer.json();
        let error = if client.dialect == Dialect::Cohere { &body } else { &body["error"] };
        assert!(error["message"].as_str().is_some_and(|said| said.contains(too_long)), "{body}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_a_client_says_its_vectors_are_for_reaches_the_model() {
    let cases = [
        (embed(OPENAI, ""), json!("search_document")),
        (embed(OPENAI, r#","input_type":"query""#), json!("search_query")),
        (embed(GEMINI, r#","taskType":"CLUSTERING""#), json!("clustering")),
    ];
    for (ask, want) in cases {
        for target in [COHERE, COHERE_AT_BEDROCK] {
            let provider = provider().await;
            let gateway = Gateway::start(mixed(vec![speaking(target, &provider)]));
            assert_eq!(gateway.send(&ask).await.status, 200);
            let body: Value = serde_json::from_slice(&provider.book().calls()[0].body).expect("JSON");
            assert_eq!(body["input_type"], want, "{target:?}");
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn embeddings_without_figures_tell_the_estimate_that_is_charged() {
    let silent = scripted(Script::json(200, r#"{"embedding":{"values":[0.5]}}"#)).await;
    let gateway = Gateway::start(mixed(vec![speaking(GEMINI, &silent)]));
    let answer = gateway.send(&embed(OPENAI, r#","encoding_format":"base64""#)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"][0]["embedding"], "AAAAPw==");
    let told = answer.json()["usage"]["prompt_tokens"].as_u64().expect("a count");
    let ledger = gateway.stop().await;
    assert_eq!(ledger.only(End::Completed).usage.input_tokens(), told);
}

#[tokio::test]
async fn embeddings_of_tokens_are_refused_where_another_vendor_would_make_them() {
    let provider = provider().await;
    let gateway = Gateway::start(mixed(vec![speaking(GEMINI, &provider)]));
    let answer = gateway.send(&Ask::post("/v1/embeddings", r#"{"model":"chat","input":[1,2]}"#)).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (400, "unsupported_parameter"));
    assert_eq!(answer.json()["error"]["param"], "input");
    assert!(provider.book().calls().is_empty());
    gateway.stop().await;
}
