//! The names of what is spoken: dialects, their wire families, and operations.

use crate::{
    anthropic::Anthropic, azure_openai::AzureOpenAi, bedrock::Bedrock, codec::Codec, cohere::Cohere,
    gemini::Gemini, openai::OpenAi,
};

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
    /// Amazon Bedrock's runtime API.
    Bedrock,
    /// Cohere's own API: embeddings and reranks.
    Cohere,
}

impl Dialect {
    /// Every dialect that is built.
    pub const ALL: [Self; 6] =
        [Self::OpenAi, Self::AzureOpenAi, Self::Anthropic, Self::Gemini, Self::Bedrock, Self::Cohere];

    /// The name in configuration, rows and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
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
            Self::Bedrock => &Bedrock,
            Self::Cohere => &Cohere,
        }
    }

    /// The wire family: bodies pass unchanged between the dialects of one family.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::OpenAi | Self::AzureOpenAi => Family::OpenAi,
            Self::Anthropic => Family::Anthropic,
            Self::Gemini => Family::Gemini,
            Self::Bedrock => Family::Bedrock,
            Self::Cohere => Family::Cohere,
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
    /// Bedrock alone.
    Bedrock,
    /// Cohere alone.
    Cohere,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    /// OpenAI chat completions.
    ChatCompletions,
    /// OpenAI responses.
    Responses,
    /// How many input tokens a response would take; free.
    CountResponseTokens,
    /// A conversation made shorter.
    CompactResponse,
    /// A response that its provider keeps.
    GetResponse,
    /// The end of one.
    DeleteResponse,
    /// The end of one that is still being made.
    CancelResponse,
    /// What one was the answer to.
    ListResponseInput,
    /// A conversation that its provider keeps: made.
    CreateConversation,
    /// One that is kept.
    GetConversation,
    /// What is noted beside one, made anew.
    UpdateConversation,
    /// The end of one.
    DeleteConversation,
    /// What was said in one.
    ListConversationItems,
    /// More to be in one.
    CreateConversationItems,
    /// One thing that was said.
    GetConversationItem,
    /// The end of that.
    DeleteConversationItem,
    /// OpenAI's older text completions.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI moderations; free.
    Moderations,
    /// Cohere's embeddings.
    Embed,
    /// Documents in order of their relevance, as Cohere and Jina have it.
    Rerank,
    /// OpenAI images from a prompt.
    ImageGenerations,
    /// OpenAI images from images.
    ImageEdits,
    /// OpenAI images like an image.
    ImageVariations,
    /// OpenAI text to speech.
    Speech,
    /// OpenAI speech to text.
    Transcriptions,
    /// OpenAI speech of any language to English text.
    Translations,
    /// Anthropic messages.
    Messages,
    /// The free token count of Anthropic, Gemini and Bedrock.
    CountTokens,
    /// Gemini's answer in one piece.
    GenerateContent,
    /// Gemini's answer as a stream.
    StreamGenerateContent,
    /// Gemini's embedding of one content.
    EmbedContent,
    /// Gemini's embeddings of several contents.
    BatchEmbedContents,
    /// Bedrock's answer of any model in one shape.
    Converse,
    /// The same as a stream.
    ConverseStream,
    /// Bedrock's call of a model in its vendor's own words, embeddings among them.
    InvokeModel,
    /// The same as a stream.
    InvokeModelStream,
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
            Self::CountResponseTokens => "count_response_tokens",
            Self::CompactResponse => "compact_response",
            Self::GetResponse => "get_response",
            Self::DeleteResponse => "delete_response",
            Self::CancelResponse => "cancel_response",
            Self::ListResponseInput => "list_response_input",
            Self::CreateConversation => "create_conversation",
            Self::GetConversation => "get_conversation",
            Self::UpdateConversation => "update_conversation",
            Self::DeleteConversation => "delete_conversation",
            Self::ListConversationItems => "list_conversation_items",
            Self::CreateConversationItems => "create_conversation_items",
            Self::GetConversationItem => "get_conversation_item",
            Self::DeleteConversationItem => "delete_conversation_item",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbedContents => "batch_embed_contents",
            Self::Converse => "converse",
            Self::ConverseStream => "converse_stream",
            Self::InvokeModel => "invoke_model",
            Self::InvokeModelStream => "invoke_model_with_response_stream",
            Self::ListModels => "list_models",
            Self::GetModel => "get_model",
        }
    }

    /// True when a provider charges for the call.
    #[must_use]
    pub const fn is_billed(self) -> bool {
        match self {
            Self::ChatCompletions
            | Self::Responses
            | Self::CompactResponse
            | Self::Completions
            | Self::Embeddings
            | Self::Embed
            | Self::Rerank
            | Self::ImageGenerations
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::Messages
            | Self::GenerateContent
            | Self::StreamGenerateContent
            | Self::EmbedContent
            | Self::BatchEmbedContents
            | Self::Converse
            | Self::ConverseStream
            | Self::InvokeModel
            | Self::InvokeModelStream => true,
            Self::CountResponseTokens
            | Self::GetResponse
            | Self::DeleteResponse
            | Self::CancelResponse
            | Self::ListResponseInput
            | Self::CreateConversation
            | Self::GetConversation
            | Self::UpdateConversation
            | Self::DeleteConversation
            | Self::ListConversationItems
            | Self::CreateConversationItems
            | Self::GetConversationItem
            | Self::DeleteConversationItem
            | Self::Moderations
            | Self::CountTokens
            | Self::ListModels
            | Self::GetModel => false,
        }
    }

    /// True when the call generates text, so that an output cap means something.
    #[must_use]
    pub const fn generates(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Responses
                | Self::CompactResponse
                | Self::Completions
                | Self::Messages
                | Self::GenerateContent
                | Self::StreamGenerateContent
                | Self::Converse
                | Self::ConverseStream
                | Self::InvokeModel
                | Self::InvokeModelStream
        )
    }

    /// True when a stream tells its usage only to those who ask for it.
    #[must_use]
    pub const fn tells_usage_when_asked(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }

    /// The method of its request.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::GetResponse
            | Self::ListResponseInput
            | Self::GetConversation
            | Self::ListConversationItems
            | Self::GetConversationItem
            | Self::ListModels
            | Self::GetModel => "GET",
            Self::DeleteResponse | Self::DeleteConversation | Self::DeleteConversationItem => "DELETE",
            _ => "POST",
        }
    }

    /// True when the path names what a provider keeps: a response, or a conversation and what is in it.
    #[must_use]
    pub const fn is_of_stored(self) -> bool {
        self.is_of_conversation()
            || matches!(
                self,
                Self::GetResponse | Self::DeleteResponse | Self::CancelResponse | Self::ListResponseInput
            )
    }

    /// True when the path names a conversation, or one and something in it.
    #[must_use]
    pub const fn is_of_conversation(self) -> bool {
        matches!(
            self,
            Self::GetConversation
                | Self::UpdateConversation
                | Self::DeleteConversation
                | Self::ListConversationItems
                | Self::CreateConversationItems
                | Self::GetConversationItem
                | Self::DeleteConversationItem
        )
    }

    /// True when neither the path nor the body names a model.
    #[must_use]
    pub const fn names_no_model(self) -> bool {
        self.is_of_stored() || matches!(self, Self::CreateConversation)
    }

    /// True when what is kept ends with a success of this call.
    #[must_use]
    pub const fn ends_what_is_kept(self) -> bool {
        matches!(self, Self::DeleteResponse | Self::DeleteConversation)
    }

    /// True when the body is for the provider alone, and there may be one.
    #[must_use]
    pub const fn tells_provider_alone(self) -> bool {
        matches!(self, Self::CreateConversation | Self::UpdateConversation | Self::CreateConversationItems)
    }

    /// True when the body is a form with files (`multipart/form-data`) or may be one.
    #[must_use]
    pub const fn takes_form(self) -> bool {
        self.changes_images() || matches!(self, Self::Transcriptions | Self::Translations)
    }

    /// True when images are made of images.
    pub(crate) const fn changes_images(self) -> bool {
        matches!(self, Self::ImageEdits | Self::ImageVariations)
    }

    /// True when the answer is images.
    pub(crate) const fn makes_images(self) -> bool {
        self.changes_images() || matches!(self, Self::ImageGenerations)
    }

    /// True when the answer is sound or a picture or tells of one, and not a conversation.
    pub(crate) const fn is_media(self) -> bool {
        self.makes_images() || matches!(self, Self::Speech | Self::Transcriptions | Self::Translations)
    }
}

/// Which of the two ways to converse a server of OpenAI's family has; every other family has one way.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Apis {
    /// Both; translated calls become chat completions.
    #[default]
    Both,
    /// Chat completions.
    ChatCompletions,
    /// Responses.
    Responses,
}

impl Apis {
    /// True for an operation that belongs to no way to converse that the server lacks.
    #[must_use]
    pub const fn serve(self, operation: Operation) -> bool {
        match operation {
            Operation::ChatCompletions => !matches!(self, Self::Responses),
            Operation::Responses
            | Operation::CountResponseTokens
            | Operation::CompactResponse
            | Operation::GetResponse
            | Operation::DeleteResponse
            | Operation::CancelResponse
            | Operation::ListResponseInput
            | Operation::CreateConversation => !matches!(self, Self::ChatCompletions),
            operation => !operation.is_of_conversation() || !matches!(self, Self::ChatCompletions),
        }
    }

    /// What translated calls become.
    #[must_use]
    pub const fn preferred(self) -> Operation {
        match self {
            Self::Both | Self::ChatCompletions => Operation::ChatCompletions,
            Self::Responses => Operation::Responses,
        }
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
