//! Embeddings of the models that Bedrock calls in their vendors' words, through the hub form.
//!
//! Which words they are, only the model's name tells; a model of no known kind is refused rather than
//! asked in words that it may not know.

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    cohere,
    hub::{EmbeddingUpstream, HubAsk, HubBody, HubEmbedded, HubEmbedding, Misfits, Untranslatable},
    wire::{Dialect, Operation},
};

/// The embedding faces of the dialect: an upstream's alone. A client that asks in a vendor's words is given
/// that vendor's model.
pub(crate) struct InvokeEmbeddings;

const TARGET: Dialect = Dialect::Bedrock;

/// In whose words a model is asked, and whether it makes vectors of a wanted length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Words {
    Titan { sized: bool },
    Cohere { sized: bool },
}

/// Models by a piece of their ids, which may stand behind the name of a region or in an ARN; the first one
/// that fits counts.
const MODELS: [(&str, Words); 6] = [
    ("amazon.titan-embed-text-v1", Words::Titan { sized: false }),
    ("amazon.titan-embed-g1-text", Words::Titan { sized: false }),
    ("amazon.titan-embed-text-v", Words::Titan { sized: true }),
    ("cohere.embed-english-v3", Words::Cohere { sized: false }),
    ("cohere.embed-multilingual-v3", Words::Cohere { sized: false }),
    ("cohere.embed-v", Words::Cohere { sized: true }),
];

fn words(model: &str) -> Option<Words> {
    MODELS.iter().find(|(piece, _)| model.contains(piece)).map(|(_, words)| *words)
}

impl EmbeddingUpstream for InvokeEmbeddings {
    fn operation(&self, _inputs: usize) -> Operation {
        Operation::InvokeModel
    }

    fn write_request(&self, request: &HubEmbedding, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        let mut misfits = Misfits::new(TARGET, ask);
        request.needs_texts(TARGET)?;
        misfits.meet_all(request.leftover.iter().map(|given| Some(&*given.at)))?;
        let words = words(ask.model).ok_or_else(|| {
            Untranslatable::unsupported("model", TARGET, "it is none of the models whose words are known")
        })?;
        let (mut body, length, sized) = match words {
            Words::Titan { sized } => (titan(request, &mut misfits)?, "dimensions", sized),
            Words::Cohere { sized } => {
                let input_type = cohere::hub::input_type(request, &mut misfits)?;
                (json!({"texts": request.inputs, "input_type": input_type}), "output_dimension", sized)
            }
        };
        match &request.dimensions {
            Some(dimensions) if sized => body[length] = json!(dimensions.value),
            Some(dimensions) => misfits.meet(&dimensions.at, "its vectors have one length")?,
            None => {}
        }
        Ok(HubBody { body: body.to_string().into_bytes(), dropped: misfits.dropped() })
    }

    fn read_reply(&self, body: &[u8]) -> Option<HubEmbedded> {
        let reply: Reply = serde_json::from_slice(body).ok()?;
        let vectors = match (reply.embedding, reply.embeddings) {
            (Some(one), _) if one.get().starts_with('[') => vec![one],
            (None, Some(several)) => cohere::hub::vectors(&several)?,
            _ => return None,
        };
        Some(HubEmbedded { model: None, vectors })
    }
}

/// One text a call, and the same vectors for every purpose.
fn titan(request: &HubEmbedding, misfits: &mut Misfits<'_>) -> Result<serde_json::Value, Untranslatable> {
    let [text] = &*request.inputs else {
        return Err(Untranslatable::unsupported(request.inputs_at, TARGET, "it takes one text in a call"));
    };
    misfits.meet_all([request.purpose.as_ref().map(|given| &*given.at)])?;
    Ok(json!({ "inputText": text }))
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    embedding: Option<Box<RawValue>>,
    #[serde(default)]
    embeddings: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_behind_regions_and_in_arns() {
        let cases = [
            ("amazon.titan-embed-text-v1", Some(Words::Titan { sized: false })),
            ("amazon.titan-embed-text-v1:2:8k", Some(Words::Titan { sized: false })),
            ("amazon.titan-embed-text-v2:0", Some(Words::Titan { sized: true })),
            ("cohere.embed-english-v3", Some(Words::Cohere { sized: false })),
            ("cohere.embed-multilingual-v3", Some(Words::Cohere { sized: false })),
            ("us.cohere.embed-v4:0", Some(Words::Cohere { sized: true })),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0",
                Some(Words::Titan { sized: true }),
            ),
            ("amazon.titan-embed-image-v1", None),
            ("amazon.titan-text-express-v1", None),
            ("amazon.nova-lite-v1:0", None),
        ];
        for (model, want) in cases {
            assert_eq!(words(model), want, "{model}");
        }
    }
}
