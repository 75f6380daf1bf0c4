//! The hub form: what translation between wire families passes through.
//!
//! Each dialect reads its own bodies into this form and writes its own bodies from it, so that there
//! is one reader and one writer a dialect and none for each pair. A reader accounts for every member
//! of a body: it becomes a field here, or, where only its dialect knows it, a leftover. A writer
//! carries what its dialect can say and refuses the rest with the name that the client used:
//! nothing is left out in silence.

mod alphabet;
mod arguments;
mod codec;
mod content;
mod embedding;
mod event;
mod names;
mod object;
mod reply;
mod request;
mod seal;
mod translation;
mod waiting;

pub(crate) use alphabet::{into_standard_base64, standard_base64};
pub(crate) use arguments::{arguments, arguments_or_raw};
pub(crate) use embedding::{from_base64, to_base64};
pub(crate) use object::{Items, Object, Rules, as_text};
pub(crate) use request::Misfits;
pub(crate) use waiting::WaitingCalls;

pub use codec::HubCodec;
pub use embedding::{
    EmbeddingClient, EmbeddingTranslation, EmbeddingUpstream, HubEmbedded, HubEmbedding, HubEmbeddingTold,
    HubEncoding, HubPurpose,
};
pub use event::{HubEvent, HubEventReader, HubEventWriter};
pub use names::NameRule;
pub use reply::{HubReply, HubStop, HubTold};
pub use request::{
    Given, HubAsk, HubBlock, HubBody, HubChoice, HubEffort, HubFormat, HubMedia, HubRequest, HubRole,
    HubSource, HubThinking, HubTool, HubTurn, Sealed,
};
pub use translation::{StreamTranslation, Translation};

use crate::wire::Dialect;

/// Why a request cannot be carried into another dialect.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untranslatable {
    /// The body is not what its own dialect takes.
    #[error("`{param}` {what}")]
    Malformed {
        /// The member at fault, as a path in the client's body.
        param: String,
        /// What is wrong with it.
        what: String,
    },
    /// The body is right, but the other dialect has no place for a part of it.
    #[error("`{param}` cannot be sent to an upstream that speaks `{target}`: {what}", target = .target.as_str())]
    Unsupported {
        /// The member at fault, as a path in the client's body.
        param: String,
        /// The dialect that cannot say it.
        target: Dialect,
        /// Why, and what helps.
        what: String,
    },
}

impl Untranslatable {
    pub(crate) fn malformed(param: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed { param: param.into(), what: what.into() }
    }

    pub(crate) fn unsupported(param: impl Into<String>, target: Dialect, what: impl Into<String>) -> Self {
        Self::Unsupported { param: param.into(), target, what: what.into() }
    }

    /// The member at fault, as a path in the client's body.
    #[must_use]
    pub fn param(&self) -> &str {
        match self {
            Self::Malformed { param, .. } | Self::Unsupported { param, .. } => param,
        }
    }

    /// The gateway's error code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "invalid_request",
            Self::Unsupported { .. } => "unsupported_parameter",
        }
    }
}
