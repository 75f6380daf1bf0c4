//! Embeddings of models that must be told what their vectors are for: Cohere's by its own API, and those
//! that Bedrock calls in their vendors' words.

use serde_json::{Value, json};
use tollgate_dialect::{Apis, Dialect, EmbeddingTranslation, HubEncoding, Operation, Translation};

use crate::embeddings::{BATCH, ONE, OPENAI, carried_to, reply};

const COHERE: (Dialect, Operation) = (Dialect::Cohere, Operation::Embed);
const OWN: (Dialect, &str) = (Dialect::Cohere, "embed-v4.0");
const TITAN_1: (Dialect, &str) = (Dialect::Bedrock, "amazon.titan-embed-text-v1");
const TITAN_2: (Dialect, &str) = (Dialect::Bedrock, "amazon.titan-embed-text-v2:0");
const COHERE_3: (Dialect, &str) = (Dialect::Bedrock, "cohere.embed-multilingual-v3");
const COHERE_4: (Dialect, &str) = (Dialect::Bedrock, "us.cohere.embed-v4:0");
const GEMINI: (Dialect, &str) = (Dialect::Gemini, "theirs");
const GPT: (Dialect, &str) = (Dialect::OpenAi, "theirs");

fn content(text: &str, more: Value) -> Value {
    let mut body = json!({"content": {"parts": [{"text": text}]}});
    body.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    body
}

#[test]
fn each_model_is_asked_in_its_own_words() {
    let own = |texts: Value, input_type: &str| json!({"model": "embed-v4.0", "texts": texts, "input_type": input_type, "embedding_types": ["float"]});
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let cases = [
        ("a text", OPENAI, OWN, json!({"input": "a"}), own(json!(["a"]), "search_document")),
        (
            "texts of a length",
            OPENAI,
            OWN,
            json!({"input": ["a", "b"], "dimensions": 256, "encoding_format": "base64"}),
            with(own(json!(["a", "b"]), "search_document"), "output_dimension", json!(256)),
        ),
        (
            "a purpose in the vendor's word",
            OPENAI,
            OWN,
            json!({"input": "a", "input_type": "search_query"}),
            own(json!(["a"]), "search_query"),
        ),
        (
            "a purpose in another server's word",
            OPENAI,
            OWN,
            json!({"input": "a", "input_type": "passage"}),
            own(json!(["a"]), "search_document"),
        ),
        (
            "Gemini's purpose",
            ONE,
            OWN,
            content("a", json!({"taskType": "CLUSTERING"})),
            own(json!(["a"]), "clustering"),
        ),
        (
            "Titan 2",
            OPENAI,
            TITAN_2,
            json!({"input": "a", "dimensions": 512}),
            json!({"inputText": "a", "dimensions": 512}),
        ),
        ("Titan 1", OPENAI, TITAN_1, json!({"input": ["a"]}), json!({"inputText": "a"})),
        ("Titan for Gemini's client", ONE, TITAN_1, content("a", json!({})), json!({"inputText": "a"})),
        (
            "Cohere at Bedrock",
            OPENAI,
            COHERE_3,
            json!({"input": ["a", "b"]}),
            json!({"texts": ["a", "b"], "input_type": "search_document"}),
        ),
        (
            "a newer one",
            BATCH,
            COHERE_4,
            json!({"requests": [content("a", json!({"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 5}))]}),
            json!({"texts": ["a"], "input_type": "search_query", "output_dimension": 5}),
        ),
        (
            "Cohere's client",
            COHERE,
            GEMINI,
            json!({"model": "x", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 5, "truncate": "NONE"}),
            content("a", json!({"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 5})),
        ),
        (
            "Cohere's client with inputs",
            COHERE,
            GPT,
            json!({"model": "x", "inputs": [{"content": [{"type": "text", "text": "a"}]}, {"content": [{"type": "text", "text": "b"}]}]}),
            json!({"model": "theirs", "input": ["a", "b"], "encoding_format": "float"}),
        ),
        (
            "the same model behind Bedrock",
            COHERE,
            COHERE_3,
            json!({"model": "x", "texts": ["a"], "input_type": "classification"}),
            json!({"texts": ["a"], "input_type": "classification"}),
        ),
    ];
    for (feature, from, to, body, want) in cases {
        let operation = match to.0 {
            Dialect::Cohere => Operation::Embed,
            Dialect::Bedrock => Operation::InvokeModel,
            Dialect::Gemini => Operation::EmbedContent,
            _ => Operation::Embeddings,
        };
        assert_eq!(carried_to(from, to, &body, &[]), Ok((operation, want)), "{feature}");
    }
}

#[test]
fn what_a_model_does_not_take_is_refused_with_its_name() {
    let (unsupported, invalid) = ("unsupported_parameter", "invalid_request");
    let texts = |more: Value| {
        let mut body = json!({"model": "x", "texts": ["a"]});
        body.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        body
    };
    let similar = content("a", json!({"taskType": "SEMANTIC_SIMILARITY"}));
    let cases = [
        ("tokens", OPENAI, OWN, json!({"input": [1, 2]}), unsupported, "input"),
        ("tokens at Bedrock", OPENAI, TITAN_2, json!({"input": [[1]]}), unsupported, "input"),
        ("several texts in one call", OPENAI, TITAN_2, json!({"input": ["a", "b"]}), unsupported, "input"),
        (
            "a batch in one call",
            BATCH,
            TITAN_2,
            json!({"requests": [content("a", json!({})), content("b", json!({}))]}),
            unsupported,
            "requests",
        ),
        (
            "a length that is fixed",
            OPENAI,
            TITAN_1,
            json!({"input": "a", "dimensions": 5}),
            unsupported,
            "dimensions",
        ),
        (
            "a length of an older model",
            COHERE,
            COHERE_3,
            texts(json!({"output_dimension": 5})),
            unsupported,
            "output_dimension",
        ),
        (
            "a purpose of one model for all",
            COHERE,
            TITAN_2,
            texts(json!({"input_type": "search_query"})),
            unsupported,
            "input_type",
        ),
        ("a purpose that the models do not know", ONE, OWN, similar.clone(), unsupported, "taskType"),
        ("nor behind Bedrock", ONE, COHERE_4, similar, unsupported, "taskType"),
        (
            "a model of no known words",
            OPENAI,
            (Dialect::Bedrock, "amazon.nova-lite-v1:0"),
            json!({"input": "a"}),
            unsupported,
            "model",
        ),
        (
            "a purpose that nobody else has",
            COHERE,
            GPT,
            texts(json!({"input_type": "search_document"})),
            unsupported,
            "input_type",
        ),
        (
            "pictures",
            COHERE,
            GEMINI,
            json!({"model": "x", "images": ["data:image/png;base64,AA=="], "input_type": "image"}),
            unsupported,
            "images",
        ),
        (
            "a picture among inputs",
            COHERE,
            GPT,
            json!({"inputs": [{"content": [{"type": "image_url", "image_url": {}}]}]}),
            unsupported,
            "inputs[0].content[0].type",
        ),
        (
            "several parts for a vector",
            COHERE,
            GPT,
            json!({"inputs": [{"content": [{"text": "a"}, {"text": "b"}]}]}),
            unsupported,
            "inputs[0].content",
        ),
        (
            "rounded numbers",
            COHERE,
            GPT,
            texts(json!({"embedding_types": ["int8"]})),
            unsupported,
            "embedding_types",
        ),
        (
            "two kinds of numbers",
            COHERE,
            GPT,
            texts(json!({"embedding_types": ["float", "base64"]})),
            unsupported,
            "embedding_types",
        ),
        ("texts cut short", COHERE, GPT, texts(json!({"truncate": "END"})), unsupported, "truncate"),
        ("no texts", COHERE, GPT, json!({"model": "x"}), invalid, "texts"),
        ("texts that are none", COHERE, GPT, json!({"texts": "a"}), invalid, "texts"),
        ("an input without content", COHERE, GPT, json!({"inputs": [{}]}), invalid, "inputs[0]"),
        (
            "kinds that are no list",
            COHERE,
            GPT,
            texts(json!({"embedding_types": "float"})),
            invalid,
            "embedding_types",
        ),
    ];
    for (feature, from, to, body, code, param) in cases {
        let why = carried_to(from, to, &body, &[]).expect_err(feature);
        assert_eq!((why.code(), why.param()), (code, param), "{feature}: {why}");
    }
    let body = texts(json!({"input_type": "search_document"}));
    let dropped = carried_to(COHERE, GPT, &body, &["input_type".into()]);
    assert!(dropped.is_ok(), "a route may permit it: {dropped:?}");
}

#[test]
fn vectors_come_back_whatever_they_stand_in() {
    let openai = |vectors: &[Value]| {
        let item = |(index, vector): (usize, &Value)| json!({"object": "embedding", "index": index, "embedding": vector});
        let data: Vec<Value> = vectors.iter().enumerate().map(item).collect();
        json!({"object": "list", "data": data, "model": "theirs", "usage": {"prompt_tokens": 7, "total_tokens": 7}})
    };
    let (one, two) = (json!([0.5, -1.25]), json!([4.623822e-05]));
    let cases = [
        (
            Dialect::Cohere,
            json!({"id": "1", "embeddings": {"float": [one, two]}}),
            vec![one.clone(), two.clone()],
        ),
        (Dialect::Cohere, json!({"embeddings": {"base64": ["AAAAPw=="]}}), vec![json!([0.5])]),
        (
            Dialect::Bedrock,
            json!({"embedding": one, "inputTextTokenCount": 7, "embeddingsByType": {"float": one}}),
            vec![one.clone()],
        ),
        (
            Dialect::Bedrock,
            json!({"embeddings": [one, two], "response_type": "embeddings_floats"}),
            vec![one.clone(), two.clone()],
        ),
        (
            Dialect::Bedrock,
            json!({"embeddings": {"float": [two]}, "response_type": "embeddings_by_type"}),
            vec![two.clone()],
        ),
    ];
    for (from, body, vectors) in cases {
        assert_eq!(reply(OPENAI, from, &body, HubEncoding::Numbers), Some(openai(&vectors)), "{body}");
    }
    let nothing = [
        json!({}),
        json!({"embedding": 7}),
        json!({"embeddings": [7]}),
        json!({"embeddings": {"int8": [[1]]}}),
    ];
    for body in nothing {
        for from in [Dialect::Cohere, Dialect::Bedrock] {
            assert_eq!(reply(OPENAI, from, &body, HubEncoding::Numbers), None, "{body}");
        }
    }
}

#[test]
fn coheres_clients_get_vectors_by_kind_and_what_is_billed() {
    let theirs = json!({"data": [{"index": 0, "embedding": [0.5]}]});
    let want = |embeddings: Value| {
        json!({"id": "r-1", "embeddings": embeddings, "response_type": "embeddings_by_type",
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}}})
    };
    let numbers = reply(COHERE, Dialect::OpenAi, &theirs, HubEncoding::Numbers);
    assert_eq!(numbers, Some(want(json!({"float": [[0.5]]}))));
    let base64 = reply(COHERE, Dialect::OpenAi, &theirs, HubEncoding::Base64);
    assert_eq!(base64, Some(want(json!({"base64": ["AAAAPw=="]}))));
}

#[test]
fn there_is_a_way_wherever_vectors_are_made_and_none_elsewhere() {
    let leads =
        |(client, operation), upstream| EmbeddingTranslation::between(client, operation, upstream).is_some();
    for client in [OPENAI, ONE, BATCH, COHERE] {
        for upstream in Dialect::ALL {
            let want = client.0.family() != upstream.family() && upstream != Dialect::Anthropic;
            assert_eq!(leads(client, upstream), want, "{client:?} to {upstream:?}");
        }
    }
    assert!(!leads((Dialect::Bedrock, Operation::InvokeModel), Dialect::OpenAi), "its words are a vendor's");
}

#[test]
fn reranks_have_one_shape_and_chats_are_not_coheres() {
    use Dialect::{Anthropic, AzureOpenAi, Bedrock, Cohere, OpenAi};
    let is_needless =
        |client, operation, upstream| Translation::is_needless(client, operation, upstream, Apis::Both);
    for (client, upstream) in [(Cohere, OpenAi), (OpenAi, Cohere), (Cohere, Cohere), (OpenAi, AzureOpenAi)] {
        assert!(is_needless(client, Operation::Rerank, upstream), "{client:?} to {upstream:?}");
    }
    for (client, upstream) in [(Cohere, Bedrock), (OpenAi, Anthropic)] {
        assert!(!is_needless(client, Operation::Rerank, upstream), "{client:?} to {upstream:?}");
    }
    for (client, operation) in [(OpenAi, Operation::ChatCompletions), (Anthropic, Operation::Messages)] {
        assert!(!is_needless(client, operation, Cohere));
        assert!(Translation::between(client, operation, Cohere, Apis::Both).is_none());
    }
}
