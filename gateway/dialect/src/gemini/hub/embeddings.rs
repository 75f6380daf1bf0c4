//! `embedContent` and `batchEmbedContents` through the hub form.
//!
//! The two differ in how many texts they take: a batch is a list of requests of the first form.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::write_request::TARGET;
use crate::{
    gemini::request,
    hub::{
        EmbeddingClient, EmbeddingUpstream, Given, HubAsk, HubBody, HubEmbedded, HubEmbedding,
        HubEmbeddingTold, HubPurpose, Misfits, Object, Rules, Untranslatable,
    },
    wire::Operation,
};

/// The embedding faces of the dialect.
pub(crate) struct GeminiEmbeddings;

/// The API's words for what vectors are for. Others of its own (answers to questions, facts, code) mean
/// nothing elsewhere.
const PURPOSES: [(HubPurpose, &str); 5] = [
    (HubPurpose::Query, "RETRIEVAL_QUERY"),
    (HubPurpose::Document, "RETRIEVAL_DOCUMENT"),
    (HubPurpose::Similarity, "SEMANTIC_SIMILARITY"),
    (HubPurpose::Classification, "CLASSIFICATION"),
    (HubPurpose::Clustering, "CLUSTERING"),
];

impl EmbeddingClient for GeminiEmbeddings {
    fn reads(&self, operation: Operation) -> bool {
        matches!(operation, Operation::EmbedContent | Operation::BatchEmbedContents)
    }

    fn read_request(&self, operation: Operation, bytes: &[u8]) -> Result<HubEmbedding, Untranslatable> {
        let mut body = Object::body_by(Rules::Proto, bytes)?;
        let mut request = HubEmbedding { inputs_at: "requests", ..HubEmbedding::default() };
        if operation == Operation::EmbedContent {
            read_one(body, &mut request)?;
            return Ok(request);
        }
        let missing = || Untranslatable::malformed("requests", "is missing");
        for one in body.items("requests")?.ok_or_else(missing)? {
            read_one(one?, &mut request)?;
        }
        if request.inputs.is_empty() {
            return Err(Untranslatable::malformed("requests", "must not be empty"));
        }
        request.leftover.extend(body.left());
        Ok(request)
    }

    fn write_reply(&self, operation: Operation, reply: &HubEmbedded, told: &HubEmbeddingTold<'_>) -> Vec<u8> {
        let mut all = reply.vectors.iter().map(|values| Vector { values });
        let tokens = told.usage.input_tokens();
        let mut written = Written {
            embedding: None,
            embeddings: None,
            usage_metadata: json!({"promptTokenCount": tokens}),
        };
        if operation == Operation::EmbedContent {
            written.embedding = all.next();
        } else {
            written.embeddings = Some(all.collect());
        }
        serde_json::to_vec(&written).expect("texts and numbers are always written")
    }
}

impl EmbeddingUpstream for GeminiEmbeddings {
    fn operation(&self, inputs: usize) -> Operation {
        if inputs == 1 { Operation::EmbedContent } else { Operation::BatchEmbedContents }
    }

    fn write_request(&self, request: &HubEmbedding, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        let mut misfits = Misfits::new(TARGET, ask);
        request.needs_texts(TARGET)?;
        misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
        let one = |text: &str, model: Option<&str>| {
            let mut one = json!({"content": {"parts": [{"text": text}]}});
            if let Some(model) = model {
                one["model"] = json!(format!("models/{}", request::bare(model)));
            }
            if let Some(purpose) = &request.purpose {
                let word = PURPOSES.iter().find(|(known, _)| *known == purpose.value);
                one["taskType"] = json!(word.map(|(_, word)| word));
            }
            if let Some(dimensions) = &request.dimensions {
                one["outputDimensionality"] = json!(dimensions.value);
            }
            one
        };
        let body = match &*request.inputs {
            [only] => one(only, None),
            // Here each request names the model that the path names.
            several => {
                let all: Vec<Value> = several.iter().map(|text| one(text, Some(ask.model))).collect();
                json!({ "requests": all })
            }
        };
        Ok(HubBody { body: body.to_string().into_bytes(), dropped: misfits.dropped() })
    }

    fn read_reply(&self, body: &[u8]) -> Option<HubEmbedded> {
        let reply: Reply = serde_json::from_slice(body).ok()?;
        let all = reply.embedding.into_iter().chain(reply.embeddings.unwrap_or_default());
        let vectors: Vec<Box<RawValue>> =
            all.map(|one| one.values).filter(|values| values.get().starts_with('[')).collect();
        (!vectors.is_empty()).then_some(HubEmbedded { model: None, vectors })
    }
}

/// Reads one request. All of a batch must want the same of their vectors.
fn read_one(mut one: Object<'_>, request: &mut HubEmbedding) -> Result<(), Untranslatable> {
    one.ignore(&["model"]);
    let is_first = request.inputs.is_empty();
    let missing = Untranslatable::malformed(one.path("content"), "is missing");
    let mut content = one.object("content")?.ok_or(missing)?;
    content.ignore(&["role"]);
    let at = content.path("parts");
    let mut texts = Vec::new();
    for part in content.items("parts")?.into_iter().flatten() {
        let mut part = part?;
        texts.extend(part.text("text")?);
        request.leftover.extend(part.left());
    }
    request.leftover.extend(content.left());
    // Several parts are one vector here, which no other dialect can ask for.
    match texts.len() {
        1 => request.inputs.extend(texts),
        0 if !request.leftover.is_empty() => request.inputs.push(String::new()),
        0 => return Err(Untranslatable::malformed(at, "hold no text")),
        _ => request.leftover.push(Given::new(at, RawValue::NULL.to_owned())),
    }
    let at = one.path("outputDimensionality");
    let dimensions = one.count("outputDimensionality")?.map(|count| Given::new(at, count));
    let purpose = read_purpose(&mut one, request)?;
    if is_first {
        (request.dimensions, request.purpose) = (dimensions, purpose);
    } else {
        let value = |given: &Option<Given<u64>>| given.as_ref().map(|given| given.value);
        let word = |given: &Option<Given<HubPurpose>>| given.as_ref().map(|given| given.value);
        if value(&dimensions) != value(&request.dimensions) {
            request.leftover.push(Given::new(one.path("outputDimensionality"), RawValue::NULL.to_owned()));
        }
        if word(&purpose) != word(&request.purpose) {
            request.leftover.push(Given::new(one.path("taskType"), RawValue::NULL.to_owned()));
        }
    }
    request.leftover.extend(one.left());
    Ok(())
}

fn read_purpose(
    one: &mut Object<'_>,
    request: &mut HubEmbedding,
) -> Result<Option<Given<HubPurpose>>, Untranslatable> {
    let at = one.path("taskType");
    let Some(word) = one.text("taskType")?.filter(|word| !matches!(&**word, "" | "TASK_TYPE_UNSPECIFIED"))
    else {
        return Ok(None);
    };
    let known = PURPOSES.iter().find(|(_, known)| *known == word);
    if known.is_none() {
        request.leftover.push(Given::new(&*at, RawValue::NULL.to_owned()));
    }
    Ok(known.map(|(purpose, _)| Given::new(at, *purpose)))
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    embedding: Option<Values>,
    #[serde(default)]
    embeddings: Option<Vec<Values>>,
}

#[derive(Deserialize)]
struct Values {
    values: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Vector<'a>>>,
    usage_metadata: Value,
}

#[derive(Serialize)]
struct Vector<'a> {
    values: &'a RawValue,
}
