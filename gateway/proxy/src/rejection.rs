//! Every way the gateway says no, for the one who reads it: the client.
//!
//! A rejection is rendered once, at the edge, in the dialect of the caller.

use std::time::Duration;

use http::StatusCode;
use tollgate_accounting::quota::{LimitKind, Refused};
use tollgate_dialect::Dialect;
use tollgate_domain::ModelAlias;

use crate::overload::Shed;

/// A refusal or a final failure before the answer began.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejection {
    /// No credential in any of the places where clients put one.
    #[error("no API key: send it as `authorization: Bearer …`, `x-api-key`, `api-key` or `x-goog-api-key`")]
    MissingKey,
    /// A credential that no key has.
    #[error("unknown API key")]
    UnknownKey,
    /// It begins like a key of ours, and its checksum is wrong.
    #[error("this API key is mistyped or cut short: it does not end as a key that begins so must")]
    MistypedKey,
    /// A signature by a key that nobody has.
    #[error("unknown access key id")]
    UnknownKeyPair,
    /// A signature that is not taken.
    #[error("{0}")]
    Signature(tollgate_sigv4::Fault),
    /// Two places hold different credentials.
    #[error("two different API keys in `{0}` and `{1}`: send one")]
    DifferingKeys(&'static str, &'static str),
    /// The key's time is over.
    #[error("this API key has expired")]
    ExpiredKey,
    /// The key was withdrawn.
    #[error("this API key was revoked")]
    RevokedKey,
    /// The request is not what the API takes.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// The member at fault.
        param: Option<&'static str>,
    },
    /// No target can be asked for a part of the request.
    #[error("{0}")]
    Untranslatable(Box<tollgate_dialect::Untranslatable>),
    /// The body is larger than this gateway takes.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the request body did not arrive in time")]
    SlowBody,
    /// No such path.
    #[error("{message}")]
    UnknownPath {
        /// What would have worked.
        message: String,
    },
    /// The path exists for another method.
    #[error("this path takes {allow} requests")]
    WrongMethod {
        /// The method that works.
        allow: &'static str,
    },
    /// Known, but not built.
    #[error("{0} is not supported by this gateway yet")]
    Unsupported(String),
    /// No such response, or another project's.
    #[error("the response `{0}` does not exist here; one that says `store: false` is not kept")]
    UnknownResponse(String),
    /// No such conversation, or another project's.
    #[error("the conversation `{0}` does not exist here; only one that was made here does")]
    UnknownConversation(String),
    /// No such stored prompt, or none of this project's.
    #[error("the stored prompt `{0}` is not among the project's; its configuration lists them as `prompts`")]
    UnknownPrompt(String),
    /// The upstream that keeps what the request names cannot be asked.
    #[error("the upstream that keeps what this request names is not available for it; no other one has it")]
    PinnedUnavailable,
    /// No such model.
    #[error("the model `{0}` does not exist here")]
    UnknownModel(String),
    /// The project may not use the model.
    #[error("this API key may not use the model `{0}`")]
    ModelNotAllowed(ModelAlias),
    /// A hard budget needs a price.
    #[error("the model `{0}` has no price, and this key has a hard budget")]
    Unpriced(ModelAlias),
    /// No target of the model could ever be permitted.
    #[error("no target of the model `{0}` processes data in the zones that this project permits")]
    ZoneNotPermitted(ModelAlias),
    /// A limit or budget refuses.
    #[error("{refused}")]
    Quota {
        /// Which one and why.
        refused: Box<Refused>,
        /// Status of a budget refusal, as the key wants it.
        budget_status: u16,
    },
    /// This process has all the work that it takes, of this caller at least.
    #[error("{}", why.message())]
    Overloaded {
        /// What there is too much of.
        why: Shed,
        /// When to come back; not the same for everybody.
        wait: Duration,
    },
    /// The journal cannot take records, so nothing is served unmetered.
    #[error("requests cannot be metered at the moment")]
    MeterBackpressure,
    /// Every permitted target is held by throttles.
    #[error("every permitted upstream of the model `{alias}` is throttled at the moment")]
    AllHeld {
        /// The model.
        alias: ModelAlias,
        /// When the first hold ends.
        wait: Duration,
    },
    /// No permitted target takes requests.
    #[error("no permitted upstream of the model `{alias}` is healthy at the moment")]
    NoHealthyTarget {
        /// The model.
        alias: ModelAlias,
        /// When the first breaker lets a request try.
        wait: Option<Duration>,
    },
    /// An operator has taken the model out of service.
    #[error("the model `{0}` is out of service at the moment")]
    OutOfService(ModelAlias),
    /// The attempts failed; what the last word is stands in the cause.
    #[error("{message}")]
    Upstream {
        /// Which failure it is.
        code: UpstreamCode,
        /// For people; names no host, key or account.
        message: String,
        /// When trying again makes sense.
        wait: Option<Duration>,
    },
    /// A bug of ours.
    #[error("internal error")]
    Internal,
}

/// How upstreams fail, as clients are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamCode {
    /// Could not be reached.
    Connect,
    /// Closed the connection before it answered.
    Reset,
    /// Answered with a server error.
    Error,
    /// Answered 503 and is overloaded.
    Overloaded,
    /// Refused the gateway's credential.
    Auth,
    /// Does not know the model.
    Misconfigured,
    /// Sent what HTTP or its API does not allow.
    Protocol,
    /// Sent no response head in time.
    Timeout,
    /// Sent no content in time.
    Ttft,
    /// Its account is exhausted.
    AccountExhausted,
    /// Is at the concurrency that it is configured for.
    Saturated,
}

impl Rejection {
    /// The HTTP status. No `_` arm: a new refusal does not compile until someone has chosen one.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingKey
            | Self::UnknownKey
            | Self::MistypedKey
            | Self::UnknownKeyPair
            | Self::Signature(_)
            | Self::DifferingKeys(..)
            | Self::ExpiredKey
            | Self::RevokedKey => StatusCode::UNAUTHORIZED,
            Self::Invalid { .. } | Self::Untranslatable(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownPath { .. }
            | Self::UnknownModel(_)
            | Self::UnknownResponse(_)
            | Self::UnknownConversation(_)
            | Self::UnknownPrompt(_) => StatusCode::NOT_FOUND,
            Self::PinnedUnavailable => StatusCode::CONFLICT,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::ModelNotAllowed(_) | Self::Unpriced(_) | Self::ZoneNotPermitted(_) => StatusCode::FORBIDDEN,
            Self::Quota { refused, budget_status } => match refused.limit {
                _ if refused.never_fits => StatusCode::BAD_REQUEST,
                LimitKind::Budget => {
                    StatusCode::from_u16(*budget_status).unwrap_or(StatusCode::TOO_MANY_REQUESTS)
                }
                _ => StatusCode::TOO_MANY_REQUESTS,
            },
            Self::AllHeld { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded { .. }
            | Self::MeterBackpressure
            | Self::NoHealthyTarget { .. }
            | Self::OutOfService(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream { code, .. } => code.status(),
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The status as the caller's dialect has it.
    #[must_use]
    pub fn status_for(&self, dialect: Dialect) -> StatusCode {
        let usual = self.status();
        StatusCode::from_u16(dialect.codec().refusal_status(usual.as_u16(), self.code())).unwrap_or(usual)
    }

    /// The code of the contract, the same in every dialect.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingKey | Self::UnknownKey | Self::MistypedKey | Self::DifferingKeys(..) => {
                "invalid_api_key"
            }
            Self::UnknownKeyPair => "unknown_access_key",
            Self::Signature(_) => "invalid_signature",
            Self::ExpiredKey => "key_expired",
            Self::RevokedKey => "key_revoked",
            Self::Invalid { .. } | Self::SlowBody | Self::UnknownPath { .. } | Self::WrongMethod { .. } => {
                "invalid_request"
            }
            Self::Untranslatable(why) => why.code(),
            Self::TooLarge { .. } => "request_too_large",
            Self::Unsupported(_) => "unsupported_operation",
            Self::UnknownModel(_) => "model_not_found",
            Self::UnknownResponse(_) => "response_not_found",
            Self::UnknownConversation(_) => "conversation_not_found",
            Self::UnknownPrompt(_) => "prompt_not_found",
            Self::PinnedUnavailable => "pinned_upstream_unavailable",
            Self::ModelNotAllowed(_) => "model_not_allowed",
            Self::Unpriced(_) => "model_unpriced",
            Self::ZoneNotPermitted(_) => "zone_not_permitted",
            Self::Quota { refused, .. } if refused.never_fits => "request_exceeds_limit",
            Self::Quota { refused, .. } => match refused.limit {
                LimitKind::RequestsPerSecond | LimitKind::RequestsPerMinute => "rate_limit_exceeded",
                LimitKind::TokensPerMinute
                | LimitKind::InputTokensPerMinute
                | LimitKind::OutputTokensPerMinute => "token_rate_limit_exceeded",
                LimitKind::TokensPerDay | LimitKind::TokensPerMonth => "token_quota_exceeded",
                LimitKind::ConcurrentRequests => "concurrency_limit_exceeded",
                LimitKind::Budget => "budget_exceeded",
            },
            Self::Overloaded { .. } => "overloaded",
            Self::MeterBackpressure => "meter_backpressure",
            Self::AllHeld { .. } => "upstream_rate_limited",
            Self::NoHealthyTarget { .. } | Self::OutOfService(_) => "no_healthy_upstream",
            Self::Upstream { code, .. } => code.as_str(),
            Self::Internal => "internal",
        }
    }

    /// The request member at fault, where there is one.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid { param, .. } => *param,
            Self::Untranslatable(why) => Some(why.param()),
            Self::UnknownModel(_)
            | Self::ModelNotAllowed(_)
            | Self::Unpriced(_)
            | Self::ZoneNotPermitted(_) => Some("model"),
            _ => None,
        }
    }

    /// What the client should do next.
    #[must_use]
    pub fn advice(&self) -> Advice {
        let after = |wait: Duration| if wait > LONGEST_WAIT { Advice::GiveUp } else { Advice::After(wait) };
        match self {
            Self::Quota { refused, .. } if refused.never_fits || refused.limit == LimitKind::Budget => {
                Advice::GiveUp
            }
            Self::Quota { refused, .. } => refused.retry_after.map_or(Advice::GiveUp, after),
            Self::MeterBackpressure => Advice::After(Duration::from_secs(1)),
            Self::Overloaded { wait, .. } | Self::AllHeld { wait, .. } => after(*wait),
            Self::NoHealthyTarget { wait, .. } | Self::Upstream { wait, .. } => {
                wait.map_or(Advice::GiveUp, after)
            }
            Self::SlowBody => Advice::Nothing,
            _ => Advice::GiveUp,
        }
    }

    /// True when the failure lies with an upstream and not with the gateway or the client.
    #[must_use]
    pub fn is_upstreams(&self) -> bool {
        matches!(
            self,
            Self::Upstream { .. }
                | Self::AllHeld { .. }
                | Self::NoHealthyTarget { .. }
                | Self::PinnedUnavailable
        )
    }
}

/// The longest wait that a client is told; SDKs sleep through whatever they are given.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a client should do after a rejection; SDKs act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Advice {
    /// Its own rules decide.
    Nothing,
    /// Waiting this long helps.
    After(Duration),
    /// Trying again does not help: `x-should-retry: false`.
    GiveUp,
}

impl UpstreamCode {
    /// The code of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "upstream_connect",
            Self::Reset => "upstream_reset",
            Self::Error | Self::Overloaded => "upstream_error",
            Self::Auth => "upstream_auth",
            Self::Misconfigured => "upstream_misconfigured",
            Self::Protocol => "upstream_protocol",
            Self::Timeout => "upstream_timeout",
            Self::Ttft => "upstream_ttft",
            Self::AccountExhausted => "upstream_account_exhausted",
            Self::Saturated => "upstream_saturated",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Connect | Self::Reset | Self::Error | Self::Auth | Self::Misconfigured | Self::Protocol => {
                StatusCode::BAD_GATEWAY
            }
            Self::Timeout | Self::Ttft => StatusCode::GATEWAY_TIMEOUT,
            Self::AccountExhausted | Self::Saturated | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
