//! Embeddings of the family through the hub form.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::{
    cohere,
    hub::{
        EmbeddingClient, EmbeddingUpstream, Given, HubAsk, HubBody, HubEmbedded, HubEmbedding,
        HubEmbeddingTold, HubEncoding, HubPurpose, Misfits, Object, Untranslatable, as_text, from_base64,
        to_base64,
    },
    wire::{Dialect, Operation},
};

/// The embedding faces of the family.
pub(crate) struct OpenAiEmbeddings;

impl EmbeddingClient for OpenAiEmbeddings {
    fn reads(&self, operation: Operation) -> bool {
        operation == Operation::Embeddings
    }

    fn read_request(&self, _operation: Operation, bytes: &[u8]) -> Result<HubEmbedding, Untranslatable> {
        let mut body = Object::body(bytes)?;
        // Whom the client serves changes no vector.
        body.ignore(&["model", "user"]);
        let mut request = HubEmbedding {
            inputs_at: "input",
            dimensions: body.count("dimensions")?.map(|count| Given::new("dimensions", count)),
            encoding: match body.text("encoding_format")?.as_deref() {
                None | Some("float") => HubEncoding::Numbers,
                Some("base64") => HubEncoding::Base64,
                Some(_) => return Err(Untranslatable::malformed("encoding_format", "is not known")),
            },
            ..HubEmbedding::default()
        };
        // Several servers of the family take it, for models that make other vectors for each purpose.
        if let Some(purpose) = body.peek("input_type").and_then(as_text).as_deref().and_then(purpose) {
            request.purpose = Some(Given::new("input_type", purpose));
            body.ignore(&["input_type"]);
        }
        read_input(&mut body, &mut request)?;
        request.leftover.extend(body.left());
        Ok(request)
    }

    fn write_reply(
        &self,
        _operation: Operation,
        reply: &HubEmbedded,
        told: &HubEmbeddingTold<'_>,
    ) -> Vec<u8> {
        let items: Vec<Written<'_>> = reply
            .vectors
            .iter()
            .enumerate()
            .map(|(index, vector)| {
                let text = to_base64(vector).filter(|_| told.encoding == HubEncoding::Base64);
                let embedding = text.map_or(Embedding::Numbers(vector), Embedding::Base64);
                Written { object: "embedding", index, embedding }
            })
            .collect();
        let tokens = told.usage.input_tokens();
        let written = WrittenReply {
            object: "list",
            data: items,
            model: reply.model.as_deref().unwrap_or(told.model),
            usage: json!({"prompt_tokens": tokens, "total_tokens": tokens}),
        };
        serde_json::to_vec(&written).expect("texts and numbers are always written")
    }
}

impl EmbeddingUpstream for OpenAiEmbeddings {
    fn operation(&self, _inputs: usize) -> Operation {
        Operation::Embeddings
    }

    fn write_request(&self, request: &HubEmbedding, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        let mut misfits = Misfits::new(Dialect::OpenAi, ask);
        request.needs_texts(Dialect::OpenAi)?;
        misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
        misfits.meet_all([request.purpose.as_ref().map(|given| &*given.at)])?;
        let mut body = json!({"model": ask.model, "encoding_format": "float"});
        body["input"] = match &*request.inputs {
            [only] => json!(only),
            several => json!(several),
        };
        if let Some(dimensions) = &request.dimensions {
            body["dimensions"] = json!(dimensions.value);
        }
        Ok(HubBody { body: body.to_string().into_bytes(), dropped: misfits.dropped() })
    }

    fn read_reply(&self, body: &[u8]) -> Option<HubEmbedded> {
        let mut reply: Reply = serde_json::from_slice(body).ok()?;
        reply.data.sort_by_key(|item| item.index);
        // Some servers answer in base64 whatever was asked.
        let vector = |item: Item| match as_text(&item.embedding) {
            Some(text) => from_base64(&text),
            None => item.embedding.get().starts_with('[').then_some(item.embedding),
        };
        let vectors = reply.data.into_iter().map(vector).collect::<Option<_>>()?;
        Some(HubEmbedded { model: reply.model, vectors })
    }
}

/// What a word of such servers means, each of which has taken over those of a vendor.
fn purpose(word: &str) -> Option<HubPurpose> {
    match word {
        "query" => Some(HubPurpose::Query),
        "document" | "passage" => Some(HubPurpose::Document),
        word => cohere::hub::purpose(word),
    }
}

/// A text or several. Tokens are numbers of one vendor's vocabulary and mean nothing to another.
fn read_input(body: &mut Object<'_>, request: &mut HubEmbedding) -> Result<(), Untranslatable> {
    const AT: &str = "input";
    let raw = body.take(AT).ok_or_else(|| Untranslatable::malformed(AT, "is missing"))?;
    if let Some(text) = as_text(raw) {
        request.inputs.push(text);
        return Ok(());
    }
    let malformed = || Untranslatable::malformed(AT, "must be a text or an array of texts");
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| malformed())?;
    let is_token =
        |item: &&RawValue| item.get().starts_with(|first: char| first == '[' || first.is_ascii_digit());
    if items.is_empty() {
        return Err(malformed());
    }
    if items.iter().any(is_token) {
        request.tokens = Some(Given::new(AT, ()));
        return Ok(());
    }
    request.inputs = items.into_iter().map(as_text).collect::<Option<_>>().ok_or_else(malformed)?;
    Ok(())
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    model: Option<String>,
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: u64,
    embedding: Box<RawValue>,
}

#[derive(Serialize)]
struct WrittenReply<'a> {
    object: &'static str,
    data: Vec<Written<'a>>,
    model: &'a str,
    usage: Value,
}

#[derive(Serialize)]
struct Written<'a> {
    object: &'static str,
    index: usize,
    embedding: Embedding<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Embedding<'a> {
    Numbers(&'a RawValue),
    Base64(String),
}
