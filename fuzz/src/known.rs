//! What the targets run through: the framings, and the operations that each family reads.

use tollgate_dialect::{Dialect, Family, Framing, Operation};

/// Every framing.
pub(crate) const FRAMINGS: [Framing; 3] = [Framing::Events, Framing::JsonArray, Framing::EventStream];

pub(crate) fn framing_name(framing: Framing) -> &'static str {
    match framing {
        Framing::Events => "events",
        Framing::JsonArray => "json-array",
        Framing::EventStream => "event-stream",
    }
}

/// How the streams of a dialect are framed where it is translated.
pub(crate) fn framing_of(dialect: Dialect) -> Framing {
    match dialect {
        Dialect::OpenAi | Dialect::AzureOpenAi | Dialect::Anthropic | Dialect::Gemini | Dialect::Cohere => {
            Framing::Events
        }
        Dialect::Bedrock => Framing::EventStream,
    }
}

/// The operations of a family that have a body or an answer to be read.
pub(crate) fn operations(dialect: Dialect) -> &'static [Operation] {
    use Operation::{
        BatchEmbedContents, ChatCompletions, CompactResponse, Completions, Converse, ConverseStream,
        CountResponseTokens, CountTokens, Embed, EmbedContent, Embeddings, GenerateContent, ImageEdits,
        ImageGenerations, ImageVariations, InvokeModel, InvokeModelStream, Messages, Moderations, Rerank,
        Responses, Speech, StreamGenerateContent, Transcriptions,
    };
    match dialect.family() {
        Family::OpenAi => &[
            ChatCompletions,
            Responses,
            CountResponseTokens,
            CompactResponse,
            Completions,
            Embeddings,
            Moderations,
            Rerank,
            ImageGenerations,
            ImageEdits,
            ImageVariations,
            Speech,
            Transcriptions,
        ],
        Family::Anthropic => &[Messages, CountTokens],
        Family::Gemini => {
            &[GenerateContent, StreamGenerateContent, CountTokens, EmbedContent, BatchEmbedContents]
        }
        Family::Bedrock => &[Converse, ConverseStream, InvokeModel, InvokeModelStream, CountTokens],
        Family::Cohere => &[Embed, Rerank],
    }
}

/// Those whose name alone asks for a stream.
pub(crate) const STREAMS_BY_NAME: [Operation; 3] =
    [Operation::StreamGenerateContent, Operation::ConverseStream, Operation::InvokeModelStream];

/// Those of them that can be answered by a stream.
pub(crate) fn streamed(dialect: Dialect) -> &'static [Operation] {
    use Operation::{
        ChatCompletions, Completions, ConverseStream, ImageGenerations, InvokeModelStream, Messages,
        Responses, Speech, StreamGenerateContent, Transcriptions,
    };
    match dialect.family() {
        Family::OpenAi => {
            &[ChatCompletions, Completions, Responses, ImageGenerations, Speech, Transcriptions]
        }
        Family::Anthropic => &[Messages],
        Family::Gemini => &[StreamGenerateContent],
        Family::Bedrock => &[ConverseStream, InvokeModelStream],
        Family::Cohere => &[],
    }
}
