//! Which API a recording belongs to, and what follows for paths, credentials and configuration.

use super::recording::Recording;

/// The APIs that are replayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Api {
    Chat,
    Responses,
    Embeddings,
    AzureChat,
    AzureResponses,
    AzureEmbeddings,
    Messages,
    CountTokens,
    /// Any call of Gemini's: its path tells which.
    Gemini,
}

impl Api {
    /// By the recording's `dialect`; none for those that the gateway does not serve yet.
    pub(super) fn of(dialect: &str) -> Option<Self> {
        Some(match dialect {
            "openai-chat" => Self::Chat,
            "openai-responses" => Self::Responses,
            "openai-embeddings" => Self::Embeddings,
            "azure-openai-chat" => Self::AzureChat,
            "azure-openai-responses" => Self::AzureResponses,
            "azure-openai-embeddings" => Self::AzureEmbeddings,
            "anthropic-messages" => Self::Messages,
            "anthropic-count-tokens" => Self::CountTokens,
            "gemini" | "gemini-count-tokens" | "gemini-embeddings" => Self::Gemini,
            _ => return None,
        })
    }

    /// The `dialect` of the upstream's configuration.
    pub(super) fn dialect(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => "openai",
            Self::AzureChat | Self::AzureResponses | Self::AzureEmbeddings => "azure-openai",
            Self::Messages | Self::CountTokens => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// The end of the recorded path that the API itself brings; what stands before it belongs to
    /// the provider's base URL.
    fn own_path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::AzureChat | Self::AzureResponses | Self::AzureEmbeddings => "/openai/",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Gemini => "/models/",
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
            Self::Chat | Self::Responses | Self::Embeddings => format!("/v1{}", self.own_path()),
            Self::Messages | Self::CountTokens => self.own_path().to_owned(),
            Self::Gemini => match gemini_model(recorded) {
                Some(name) => recorded.replacen(&format!("/models/{name}:"), &format!("/models/{alias}:"), 1),
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
        matches!(self, Self::Chat | Self::AzureChat)
    }
}

/// The model that the provider was asked for: one in the path wins over the body.
pub(super) fn asked_model(recording: &Recording) -> Option<String> {
    deployment(recording.request.url.path())
        .or_else(|| gemini_model(recording.request.url.path()))
        .or_else(|| recording.request.body["model"].as_str())
        .map(str::to_owned)
}

fn deployment(path: &str) -> Option<&str> {
    path.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next())
}

/// The model before the verb, which only Gemini has in its paths.
fn gemini_model(path: &str) -> Option<&str> {
    path.rsplit_once("/models/").and_then(|(_, rest)| rest.rsplit_once(':')).map(|(model, _)| model)
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
        ];
        for (api, recorded, base, path) in cases {
            assert_eq!(api.base_path(recorded), base, "{recorded}");
            assert_eq!(api.client_path(recorded, "a"), path, "{recorded}");
        }
    }
}
