//! Which API a recording belongs to, and what follows for paths, credentials and configuration.

use std::ops::Range;

use super::recording::Recording;

/// The APIs that are replayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Api {
    Chat,
    Completions,
    Responses,
    CountResponseTokens,
    CompactResponse,
    /// Any call about a response that the provider keeps: its path tells which.
    KeptResponse,
    Embeddings,
    Moderations,
    Rerank,
    /// Generations and edits.
    Images,
    /// Speech, transcriptions and translations.
    Audio,
    AzureChat,
    AzureResponses,
    AzureEmbeddings,
    Messages,
    CountTokens,
    /// Cohere's embeddings.
    Embed,
    /// Any call of Gemini's: its path tells which.
    Gemini,
    /// Any call of Bedrock's: its path tells which.
    Bedrock,
}

impl Api {
    /// By the recording's `dialect`; none for those that the gateway does not serve yet.
    pub(super) fn of(dialect: &str) -> Option<Self> {
        Some(match dialect {
            "openai-chat" => Self::Chat,
            "openai-completions" => Self::Completions,
            "openai-responses" => Self::Responses,
            "openai-responses-input-tokens" => Self::CountResponseTokens,
            "openai-responses-compact" => Self::CompactResponse,
            "openai-responses-retrieve" => Self::KeptResponse,
            "openai-embeddings" => Self::Embeddings,
            "openai-moderations" => Self::Moderations,
            "openai-rerank" => Self::Rerank,
            "openai-images" => Self::Images,
            "openai-audio" => Self::Audio,
            "azure-openai-chat" => Self::AzureChat,
            "azure-openai-responses" => Self::AzureResponses,
            "azure-openai-embeddings" => Self::AzureEmbeddings,
            "anthropic-messages" => Self::Messages,
            "anthropic-count-tokens" => Self::CountTokens,
            "cohere-embed" => Self::Embed,
            "gemini" | "gemini-count-tokens" | "gemini-embeddings" => Self::Gemini,
            "bedrock-converse" | "bedrock-invoke" | "bedrock-count-tokens" => Self::Bedrock,
            _ => return None,
        })
    }

    /// The `dialect` of the upstream's configuration.
    pub(super) fn dialect(self) -> &'static str {
        match self {
            Self::Chat
            | Self::Completions
            | Self::Responses
            | Self::CountResponseTokens
            | Self::CompactResponse
            | Self::KeptResponse
            | Self::Embeddings
            | Self::Moderations
            | Self::Rerank
            | Self::Images
            | Self::Audio => "openai",
            Self::AzureChat | Self::AzureResponses | Self::AzureEmbeddings => "azure-openai",
            Self::Messages | Self::CountTokens => "anthropic",
            Self::Embed => "cohere",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    /// The end of the recorded path that the API itself brings; what stands before it belongs to
    /// the provider's base URL.
    fn own_path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Responses | Self::CountResponseTokens | Self::CompactResponse => "/responses",
            Self::KeptResponse => "/responses/",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Images => "/images/",
            Self::Audio => "/audio/",
            Self::AzureChat | Self::AzureResponses | Self::AzureEmbeddings => "/openai/",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Embed => "/v2/embed",
            Self::Gemini => "/models/",
            Self::Bedrock => "/model/",
        }
    }

    /// The path of the recorded base URL.
    pub(super) fn base_path(self, recorded: &str) -> String {
        recorded
            .rfind(self.own_path())
            .map_or_else(String::new, |at| recorded[..at].trim_end_matches('/').to_owned())
    }

    /// Where a client of the gateway sends the request.
    pub(super) fn client_path(self, recorded: &str, alias: &str) -> String {
        match self {
            Self::Messages | Self::CountTokens | Self::Embed => self.own_path().to_owned(),
            Self::Gemini => match gemini_model(recorded) {
                Some(name) => recorded.replacen(&format!("/models/{name}:"), &format!("/models/{alias}:"), 1),
                None => recorded.to_owned(),
            },
            Self::Bedrock => match bedrock_model(recorded) {
                Some(id) => recorded.replacen(&format!("/model/{id}/"), &format!("/model/{alias}/"), 1),
                None => recorded.to_owned(),
            },
            Self::AzureChat | Self::AzureResponses | Self::AzureEmbeddings => {
                let recorded = recorded.replace("//", "/");
                match deployment(&recorded) {
                    Some(name) => recorded.replacen(
                        &format!("/deployments/{name}/"),
                        &format!("/deployments/{alias}/"),
                        1,
                    ),
                    None => recorded,
                }
            }
            _ => {
                let own = recorded.rfind(self.own_path()).map_or(self.own_path(), |at| &recorded[at..]);
                format!("/v1{own}")
            }
        }
    }

    /// The header in which this API's own SDK shows its key.
    pub(super) fn credential(self, secret: &str) -> (&'static str, String) {
        match self.dialect() {
            "azure-openai" => ("api-key", secret.to_owned()),
            "anthropic" => ("x-api-key", secret.to_owned()),
            "gemini" => ("x-goog-api-key", secret.to_owned()),
            _ => ("authorization", format!("Bearer {secret}")),
        }
    }

    /// Streams of this API tell their usage only when asked to.
    pub(super) fn must_ask_for_usage(self) -> bool {
        matches!(self, Self::Chat | Self::AzureChat | Self::Completions)
    }

    /// Nobody is charged for it.
    pub(super) fn is_free(self) -> bool {
        matches!(self, Self::Moderations | Self::CountResponseTokens | Self::CountTokens | Self::KeptResponse)
    }

    /// The id in a recorded path of what the provider must keep before it can be asked for.
    pub(super) fn kept_id(self, recorded: &str) -> Option<&str> {
        let rest = recorded.rsplit_once(self.own_path()).filter(|_| self == Self::KeptResponse)?.1;
        rest.split('/').next()
    }
}

/// The model that the provider was asked for: one in the path wins over the body.
pub(super) fn asked_model(recording: &Recording) -> Option<String> {
    let path = recording.request.url.path();
    let in_path = deployment(path).or_else(|| gemini_model(path)).map(str::to_owned);
    let in_path = in_path.or_else(|| bedrock_model(path).map(plain));
    in_path.or_else(|| match recording.request.form() {
        Some(form) => form_field(&form, "model").map(|span| text(&form[span])),
        None => recording.request.body["model"].as_str().map(str::to_owned),
    })
}

/// Where the value of a plain field of a form stands.
pub(super) fn form_field(form: &[u8], name: &str) -> Option<Range<usize>> {
    let find = |from: usize, text: &[u8]| {
        form.get(from..)?.windows(text.len()).position(|part| part == text).map(|at| from + at)
    };
    let named = find(0, format!("name=\"{name}\"").as_bytes())?;
    let start = find(named, b"\r\n\r\n")? + 4;
    Some(start..find(start, b"\r\n--")?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn deployment(path: &str) -> Option<&str> {
    path.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next())
}

/// The model before the verb, which only Gemini has in its paths.
fn gemini_model(path: &str) -> Option<&str> {
    path.rsplit_once("/models/").and_then(|(_, rest)| rest.rsplit_once(':')).map(|(model, _)| model)
}

/// The model between `/model/` and the verb, as it was sent.
fn bedrock_model(path: &str) -> Option<&str> {
    path.split_once("/model/").and_then(|(_, rest)| rest.rsplit_once('/')).map(|(id, _)| id)
}

/// A path, or a piece of one, with what ids of models have encoded as it is meant: some clients encode
/// it, others do not.
pub(super) fn plain(path: &str) -> String {
    path.replace("%3A", ":").replace("%2F", "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_paths_become_a_base_and_a_path_at_the_gateway() {
        let cases = [
            (Api::Chat, "/openai/v1/chat/completions", "/openai/v1", "/v1/chat/completions"),
            (Api::Chat, "/chat/completions", "", "/v1/chat/completions"),
            (Api::Embeddings, "/api/embeddings", "/api", "/v1/embeddings"),
            (
                Api::AzureChat,
                "//openai/deployments/d/chat/completions",
                "",
                "/openai/deployments/a/chat/completions",
            ),
            (Api::AzureResponses, "/openai/v1/responses", "", "/openai/v1/responses"),
            (Api::Messages, "/v1/messages", "", "/v1/messages"),
            (Api::Gemini, "/v1beta/models/g:countTokens", "/v1beta", "/v1beta/models/a:countTokens"),
            (Api::Bedrock, "/model/a.b-v1%3A0/converse", "", "/model/a/converse"),
            (Api::Embed, "/v2/embed", "", "/v2/embed"),
            (Api::CompactResponse, "/v1/responses/compact", "/v1", "/v1/responses/compact"),
            (Api::KeptResponse, "/v1/responses/resp_1/cancel", "/v1", "/v1/responses/resp_1/cancel"),
            (Api::Images, "/v1/images/edits", "/v1", "/v1/images/edits"),
            (Api::Audio, "/api/v1/audio/speech", "/api/v1", "/v1/audio/speech"),
        ];
        for (api, recorded, base, path) in cases {
            assert_eq!(api.base_path(recorded), base, "{recorded}");
            assert_eq!(api.client_path(recorded, "a"), path, "{recorded}");
        }
        assert_eq!(Api::KeptResponse.kept_id("/v1/responses/resp_1/cancel"), Some("resp_1"));
        assert_eq!(Api::Responses.kept_id("/v1/responses"), None);
    }
}
