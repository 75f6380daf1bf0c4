//! The ways to converse, and what an upstream of each is called.

use tollgate_dialect::{Apis, Dialect, Operation, Recognised, Translation, recognise};

use crate::cassettes::recording::Recording;

/// A way to converse.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Party {
    Chat,
    Responses,
    Messages,
    Gemini,
    Converse,
}

impl Party {
    pub(super) const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::Gemini, Self::Converse];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "openai chat",
            Self::Responses => "openai responses",
            Self::Messages => "anthropic messages",
            Self::Gemini => "gemini",
            Self::Converse => "bedrock converse",
        }
    }

    /// Who asked, by a recording's `dialect`; none for those that are no conversation.
    pub(super) fn recorded(dialect: &str) -> Option<Self> {
        Some(match dialect {
            "openai-chat" | "azure-openai-chat" => Self::Chat,
            "openai-responses" | "azure-openai-responses" => Self::Responses,
            "anthropic-messages" => Self::Messages,
            "gemini" => Self::Gemini,
            "bedrock-converse" => Self::Converse,
            _ => return None,
        })
    }

    const fn dialect_name(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "openai",
            Self::Messages => "anthropic",
            Self::Gemini => "gemini",
            Self::Converse => "bedrock",
        }
    }

    const fn apis(self) -> Apis {
        match self {
            Self::Chat => Apis::ChatCompletions,
            Self::Responses => Apis::Responses,
            _ => Apis::Both,
        }
    }

    /// What a client of this party speaks and asks for; none while its dialect is not built.
    fn client(self) -> Option<(Dialect, Operation)> {
        let path = match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::Gemini => "/v1beta/models/m:generateContent",
            Self::Converse => "/model/m/converse",
        };
        match recognise("POST", path, |_| false) {
            Recognised::Call(call) => Some((call.dialect, call.operation)),
            _ => None,
        }
    }

    /// True when the gateway has a way from clients of this party to targets of the other.
    pub(super) fn reaches(self, target: Self) -> bool {
        let (Some((client, operation)), Some(upstream)) =
            (self.client(), Dialect::from_name(target.dialect_name()))
        else {
            return false;
        };
        self != target && Translation::between(client, operation, upstream, target.apis()).is_some()
    }

    /// Whether a recorded caller of this party wants a stream.
    pub(super) fn streams(self, recording: &Recording) -> bool {
        let path = recording.request.url.path();
        match self {
            Self::Chat | Self::Responses | Self::Messages => recording.request.body["stream"] == true,
            Self::Gemini => path.ends_with(":streamGenerateContent"),
            Self::Converse => path.ends_with("/converse-stream"),
        }
    }

    /// The part of an upstream's configuration that tells what it speaks.
    pub(super) fn speaks(self) -> String {
        let apis = match self {
            Self::Chat => ", apis: [chat_completions]",
            Self::Responses => ", apis: [responses]",
            _ => "",
        };
        format!("dialect: {}{apis}", self.dialect_name())
    }

    /// The path of an upstream's address.
    pub(super) const fn base_path(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "/v1",
            Self::Messages | Self::Gemini | Self::Converse => "",
        }
    }

    /// The model that a target serves.
    pub(super) const fn model(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "gpt-5-mini",
            Self::Messages => "claude-sonnet-4-6",
            Self::Gemini => "gemini-2.5-flash",
            Self::Converse => "anthropic.claude-sonnet-4-5",
        }
    }

    /// The end of the path by which a target of this party is asked.
    pub(super) const fn asked_path(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions",
            (Self::Responses, _) => "/v1/responses",
            (Self::Messages, _) => "/v1/messages",
            (Self::Gemini, false) => ":generateContent",
            (Self::Gemini, true) => ":streamGenerateContent",
            (Self::Converse, false) => "/converse",
            (Self::Converse, true) => "/converse-stream",
        }
    }
}
