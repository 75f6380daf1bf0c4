//! Embeddings, as all dialects can ask for them and answer: texts in, vectors out.
//!
//! Beside the form of conversations, since the two share nothing but that a reader accounts for every
//! member and a writer refuses what it cannot say. A dialect takes part with an [`EmbeddingClient`], an
//! [`EmbeddingUpstream`] or both.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;
use tollgate_domain::Usage;

use super::{Given, HubAsk, HubBody, Untranslatable};
use crate::wire::{Dialect, Operation};

/// A request for one vector of each text.
#[derive(Clone, Debug, Default)]
pub struct HubEmbedding {
    /// The texts, in order.
    pub inputs: Vec<String>,
    /// The member of the client's body that holds them.
    pub inputs_at: &'static str,
    /// The client gave tokens in place of texts.
    pub tokens: Option<Given<()>>,
    /// How many numbers a vector is to have.
    pub dimensions: Option<Given<u64>>,
    /// What the vectors are for.
    pub purpose: Option<Given<HubPurpose>>,
    /// How the client wants the numbers to be written.
    pub encoding: HubEncoding,
    /// Members that only the client's dialect knows.
    pub leftover: Vec<Given<Box<RawValue>>>,
}

impl HubEmbedding {
    /// Refuses tokens: they are numbers of one vendor's vocabulary.
    pub(crate) fn needs_texts(&self, target: Dialect) -> Result<(), Untranslatable> {
        let why = "tokens of one vendor mean nothing to another; send the texts";
        self.tokens.as_ref().map_or(Ok(()), |given| Err(Untranslatable::unsupported(&*given.at, target, why)))
    }
}

/// What vectors are for, where a model makes other ones for each purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HubPurpose {
    /// To look for documents with.
    Query,
    /// To be found.
    Document,
    /// To be compared with each other.
    Similarity,
    /// To be told apart by kind.
    Classification,
    /// To be put into groups.
    Clustering,
}

/// How the numbers of a vector are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HubEncoding {
    /// As JSON numbers.
    #[default]
    Numbers,
    /// As little-endian 32-bit floats in base64.
    Base64,
}

/// The vectors of an answer.
#[derive(Clone, Debug)]
pub struct HubEmbedded {
    /// The model that made them, where the provider tells.
    pub model: Option<String>,
    /// JSON arrays of numbers as the provider wrote them, in the order of the texts.
    pub vectors: Vec<Box<RawValue>>,
}

/// What the gateway itself knows of an answer with vectors.
#[derive(Clone, Copy, Debug)]
pub struct HubEmbeddingTold<'a> {
    /// The id of the call, for a dialect whose answers have one.
    pub id: &'a str,
    /// The model that was asked, for an answer that does not name it.
    pub model: &'a str,
    /// What the call consumed.
    pub usage: &'a Usage,
    /// How the client wants the numbers to be written.
    pub encoding: HubEncoding,
}

/// Embeddings as clients of one dialect ask for them.
pub trait EmbeddingClient: Send + Sync {
    /// True when calls of this operation can be read.
    fn reads(&self, operation: Operation) -> bool;

    /// Reads a client's request.
    ///
    /// # Errors
    /// The body is not what this dialect takes.
    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<HubEmbedding, Untranslatable>;

    /// Writes an answer for a client.
    fn write_reply(&self, operation: Operation, reply: &HubEmbedded, told: &HubEmbeddingTold<'_>) -> Vec<u8>;
}

/// Embeddings as upstreams of one dialect are asked for them.
pub trait EmbeddingUpstream: Send + Sync {
    /// The operation that an upstream is asked for so many texts by.
    fn operation(&self, inputs: usize) -> Operation;

    /// Writes a request for an upstream.
    ///
    /// # Errors
    /// A part of the request has no place in this dialect, and the route does not permit to drop it.
    fn write_request(&self, request: &HubEmbedding, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable>;

    /// Reads an upstream's answer; `None` when it is none of this dialect.
    fn read_reply(&self, body: &[u8]) -> Option<HubEmbedded>;
}

/// How embeddings of a client's dialect are made at an upstream of another family.
#[derive(Clone, Copy)]
pub struct EmbeddingTranslation {
    client: &'static dyn EmbeddingClient,
    /// What the client asks for.
    operation: Operation,
    upstream: &'static dyn EmbeddingUpstream,
}

impl EmbeddingTranslation {
    /// The way from an operation of one dialect to an upstream of another family, where there is one.
    #[must_use]
    pub fn between(client: Dialect, operation: Operation, upstream: Dialect) -> Option<Self> {
        let (from, to) = (client.codec().embedding_client()?, upstream.codec().embedding_upstream()?);
        let leads = client.family() != upstream.family() && from.reads(operation);
        leads.then_some(Self { client: from, operation, upstream: to })
    }

    /// What the upstream is asked for.
    #[must_use]
    pub fn upstream_operation(&self, request: &HubEmbedding) -> Operation {
        self.upstream.operation(request.inputs.len())
    }

    /// Reads the client's body; the result serves every upstream.
    ///
    /// # Errors
    /// The body is not what the client's dialect takes.
    pub fn read(&self, body: &[u8]) -> Result<HubEmbedding, Untranslatable> {
        self.client.read_request(self.operation, body)
    }

    /// Writes the upstream's body.
    ///
    /// # Errors
    /// A part of the request has no place in the upstream's dialect.
    pub fn request(&self, request: &HubEmbedding, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        self.upstream.write_request(request, ask)
    }

    /// Turns an answer into the client's dialect; `None` when it is none.
    #[must_use]
    pub fn reply(&self, body: &[u8], told: &HubEmbeddingTold<'_>) -> Option<Vec<u8>> {
        let reply = self.upstream.read_reply(body)?;
        Some(self.client.write_reply(self.operation, &reply, told))
    }
}

/// The numbers of a vector in base64; `None` for what is no vector.
pub(crate) fn to_base64(vector: &RawValue) -> Option<String> {
    let numbers: Vec<f32> = serde_json::from_str(vector.get()).ok()?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Some(STANDARD.encode(bytes))
}

/// The reverse of [`to_base64`].
pub(crate) fn from_base64(text: &str) -> Option<Box<RawValue>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if !rest.is_empty() || !numbers.iter().all(|number| number.is_finite()) {
        return None;
    }
    serde_json::value::to_raw_value(&numbers).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_holds_the_same_numbers() {
        let vector = RawValue::from_string("[0.5,-1.25,4.623822e-5]".to_owned()).expect("JSON");
        let text = to_base64(&vector).expect("a vector");
        let back: Vec<f32> =
            serde_json::from_str(from_base64(&text).expect("a vector").get()).expect("numbers");
        assert_eq!(back, [0.5, -1.25, 4.623_822e-5]);
        for nonsense in ["%", "AAA=", "AADAfw=="] {
            assert!(from_base64(nonsense).is_none(), "{nonsense}");
        }
        assert_eq!(to_base64(RawValue::NULL), None);
    }
}
