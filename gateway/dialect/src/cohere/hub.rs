//! Embeddings of Cohere's models through the hub form.
//!
//! Its models stand behind two APIs, its own and Bedrock's, which differ in which members they take; the
//! words for what vectors are for, and the shape of the vectors, are the same.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::{
    hub::{
        EmbeddingClient, EmbeddingUpstream, Given, HubAsk, HubBody, HubEmbedded, HubEmbedding,
        HubEmbeddingTold, HubEncoding, HubPurpose, Misfits, Object, Untranslatable, as_text, from_base64,
        to_base64,
    },
    wire::{Dialect, Operation},
};

/// The embedding faces of the dialect.
pub(crate) struct CohereEmbeddings;

/// The models' words for what vectors are for. They have none for vectors that are compared with each other.
const PURPOSES: [(HubPurpose, &str); 4] = [
    (HubPurpose::Query, "search_query"),
    (HubPurpose::Document, "search_document"),
    (HubPurpose::Classification, "classification"),
    (HubPurpose::Clustering, "clustering"),
];

/// What such a word means.
pub(crate) fn purpose(word: &str) -> Option<HubPurpose> {
    PURPOSES.iter().find(|(_, known)| *known == word).map(|(purpose, _)| *purpose)
}

/// The word that the models must be given. Who does not say what vectors are for fills an index: that is
/// what most vectors are made for.
pub(crate) fn input_type(
    request: &HubEmbedding,
    misfits: &mut Misfits<'_>,
) -> Result<&'static str, Untranslatable> {
    const USUAL: &str = "search_document";
    let Some(given) = &request.purpose else { return Ok(USUAL) };
    let word = PURPOSES.iter().find(|(known, _)| *known == given.value);
    match word {
        Some((_, word)) => Ok(word),
        None => misfits.meet(&given.at, "its models know no such purpose").map(|()| USUAL),
    }
}

/// The vectors of an answer: a list, or lists by the kind of their numbers.
pub(crate) fn vectors(embeddings: &RawValue) -> Option<Vec<Box<RawValue>>> {
    let lists = |raw: &RawValue| -> Option<Vec<Box<RawValue>>> {
        let all: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).ok()?;
        all.iter().all(|one| one.get().starts_with('[')).then_some(all)
    };
    if embeddings.get().starts_with('[') {
        return lists(embeddings);
    }
    let by_kind: ByKind = serde_json::from_str(embeddings.get()).ok()?;
    match (by_kind.float, by_kind.base64) {
        (Some(float), _) => lists(&float),
        (None, Some(base64)) => base64.iter().map(|text| from_base64(text)).collect(),
        (None, None) => None,
    }
}

impl EmbeddingClient for CohereEmbeddings {
    fn reads(&self, operation: Operation) -> bool {
        operation == Operation::Embed
    }

    fn read_request(&self, _operation: Operation, bytes: &[u8]) -> Result<HubEmbedding, Untranslatable> {
        let mut body = Object::body(bytes)?;
        body.ignore(&["model"]);
        // To refuse texts that are too long is what all others do.
        body.take_if("truncate", |value| value == "\"NONE\"");
        let mut request = HubEmbedding {
            inputs_at: "texts",
            dimensions: body.count("output_dimension")?.map(|count| Given::new("output_dimension", count)),
            encoding: read_encoding(&mut body)?,
            ..HubEmbedding::default()
        };
        if let Some(word) = body.peek("input_type").and_then(as_text).as_deref().and_then(purpose) {
            request.purpose = Some(Given::new("input_type", word));
            body.ignore(&["input_type"]);
        }
        read_texts(&mut body, &mut request)?;
        request.leftover.extend(body.left());
        if request.inputs.is_empty() && request.leftover.is_empty() {
            return Err(Untranslatable::malformed("texts", "is missing"));
        }
        Ok(request)
    }

    fn write_reply(
        &self,
        _operation: Operation,
        reply: &HubEmbedded,
        told: &HubEmbeddingTold<'_>,
    ) -> Vec<u8> {
        let base64 = match told.encoding {
            HubEncoding::Numbers => None,
            HubEncoding::Base64 => reply.vectors.iter().map(|vector| to_base64(vector)).collect(),
        };
        let embeddings = match base64 {
            Some(base64) => WrittenVectors { float: None, base64: Some(base64) },
            None => WrittenVectors { float: Some(&reply.vectors), base64: None },
        };
        let written = Written {
            id: told.id,
            embeddings,
            meta: json!({
                "api_version": {"version": "2"},
                "billed_units": {"input_tokens": told.usage.input_tokens()},
            }),
            response_type: "embeddings_by_type",
        };
        serde_json::to_vec(&written).expect("texts and numbers are always written")
    }
}

impl EmbeddingUpstream for CohereEmbeddings {
    fn operation(&self, _inputs: usize) -> Operation {
        Operation::Embed
    }

    fn write_request(&self, request: &HubEmbedding, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        let mut misfits = Misfits::new(Dialect::Cohere, ask);
        request.needs_texts(Dialect::Cohere)?;
        misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
        let input_type = input_type(request, &mut misfits)?;
        let mut body = json!({
            "model": ask.model, "texts": request.inputs, "input_type": input_type, "embedding_types": ["float"],
        });
        if let Some(dimensions) = &request.dimensions {
            body["output_dimension"] = json!(dimensions.value);
        }
        Ok(HubBody { body: body.to_string().into_bytes(), dropped: misfits.dropped() })
    }

    fn read_reply(&self, body: &[u8]) -> Option<HubEmbedded> {
        let reply: Reply = serde_json::from_slice(body).ok()?;
        Some(HubEmbedded { model: None, vectors: vectors(&reply.embeddings)? })
    }
}

/// How the client wants its numbers: one kind, and one that is not rounded.
fn read_encoding(body: &mut Object<'_>) -> Result<HubEncoding, Untranslatable> {
    const AT: &str = "embedding_types";
    let Some(raw) = body.peek(AT) else { return Ok(HubEncoding::Numbers) };
    let kinds: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| Untranslatable::malformed(AT, "must be an array of strings"))?;
    let encoding = match &*kinds {
        [] => HubEncoding::Numbers,
        [kind] if kind == "float" => HubEncoding::Numbers,
        [kind] if kind == "base64" => HubEncoding::Base64,
        // Left where it is: no other dialect makes several kinds, or rounds its numbers.
        _ => return Ok(HubEncoding::Numbers),
    };
    body.ignore(&[AT]);
    Ok(encoding)
}

/// `texts`, or `inputs` that hold one text each; pictures are left over.
fn read_texts(body: &mut Object<'_>, request: &mut HubEmbedding) -> Result<(), Untranslatable> {
    if let Some(raw) = body.take("texts") {
        request.inputs = serde_json::from_str(raw.get())
            .map_err(|_| Untranslatable::malformed("texts", "must be an array of texts"))?;
    }
    if body.peek("inputs").is_some() {
        request.inputs_at = "inputs";
    }
    for (place, input) in body.items("inputs")?.into_iter().flatten().enumerate() {
        let mut input = input?;
        let at = input.path("content");
        let mut texts = Vec::new();
        for part in input.items("content")?.into_iter().flatten() {
            let mut part = part?;
            part.take_if("type", |kind| kind == "\"text\"");
            texts.extend(part.text("text")?);
            request.leftover.extend(part.left());
        }
        request.leftover.extend(input.left());
        match texts.len() {
            1 => request.inputs.extend(texts),
            0 if !request.leftover.is_empty() => {}
            0 => return Err(Untranslatable::malformed(format!("inputs[{place}]"), "holds no text")),
            // Several parts are one vector here, which no other dialect can ask for.
            _ => request.leftover.push(Given::new(at, RawValue::NULL.to_owned())),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Reply {
    embeddings: Box<RawValue>,
}

#[derive(Deserialize)]
struct ByKind {
    #[serde(default)]
    float: Option<Box<RawValue>>,
    #[serde(default)]
    base64: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    embeddings: WrittenVectors<'a>,
    meta: Value,
    response_type: &'static str,
}

#[derive(Serialize)]
struct WrittenVectors<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<&'a [Box<RawValue>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<Vec<String>>,
}
