//! The names of what is spoken: dialects, their wire families, and operations.

use crate::{anthropic::Anthropic, azure_openai::AzureOpenAi, codec::Codec, gemini::Gemini, openai::OpenAi};

/// An API as its vendor defined it: paths, credential header, body and error shapes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Dialect {
    /// The API of api.openai.com and of the many servers that follow it.
    OpenAi,
    /// The same bodies under Azure's paths and credential header.
    AzureOpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API, the developer's and Vertex AI's.
    Gemini,
}

impl Dialect {
    /// Every dialect that is built.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::AzureOpenAi, Self::Anthropic, Self::Gemini];

    /// The name in configuration, rows and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }

    /// The functions that read and write this dialect: the one place that chooses among them.
    #[must_use]
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::OpenAi => &OpenAi,
            Self::AzureOpenAi => &AzureOpenAi,
            Self::Anthropic => &Anthropic,
            Self::Gemini => &Gemini,
        }
    }

    /// The wire family: bodies pass unchanged between the dialects of one family.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::OpenAi | Self::AzureOpenAi => Family::OpenAi,
            Self::Anthropic => Family::Anthropic,
            Self::Gemini => Family::Gemini,
        }
    }
}

/// Dialects whose bodies are the same; only URL, credential header and model name differ within.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// OpenAI and Azure OpenAI.
    OpenAi,
    /// Anthropic alone.
    Anthropic,
    /// Gemini alone.
    Gemini,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    /// OpenAI chat completions.
    ChatCompletions,
    /// OpenAI responses, without state kept at the provider.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// Anthropic messages.
    Messages,
    /// The free token count of Anthropic and Gemini.
    CountTokens,
    /// Gemini's answer in one piece.
    GenerateContent,
    /// Gemini's answer as a stream.
    StreamGenerateContent,
    /// Gemini's embedding of one content.
    EmbedContent,
    /// Gemini's embeddings of several contents.
    BatchEmbedContents,
    /// The models that a key may use.
    ListModels,
    /// One of those models.
    GetModel,
}

impl Operation {
    /// The name in rows and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbedContents => "batch_embed_contents",
            Self::ListModels => "list_models",
            Self::GetModel => "get_model",
        }
    }

    /// True when a provider charges for the call.
    #[must_use]
    pub const fn is_billed(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Embeddings | Self::Messages => true,
            Self::GenerateContent
            | Self::StreamGenerateContent
            | Self::EmbedContent
            | Self::BatchEmbedContents => true,
            Self::CountTokens | Self::ListModels | Self::GetModel => false,
        }
    }

    /// True when the call generates text, so that an output cap means something.
    #[must_use]
    pub const fn generates(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Responses
                | Self::Messages
                | Self::GenerateContent
                | Self::StreamGenerateContent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_back_to_its_dialect_and_codec() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
            assert_eq!(dialect.codec().dialect(), dialect);
        }
        assert_eq!(Dialect::from_name("telepathy"), None);
    }
}
