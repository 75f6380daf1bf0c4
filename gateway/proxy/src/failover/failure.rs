//! Why an attempt gave no answer, and what follows from it.
//!
//! One row a class: whether the request may go on to another target, what the failure says about
//! this one, how long it waits, and what the client is told when nothing is left.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tollgate_dialect::Fault;

use crate::{
    health::{Defect, Sample},
    rejection::{Rejection, UpstreamCode},
    upstream::ConnectError,
};

/// How long a target whose credential or model is refused is left alone, unless configuration changes.
const MISCONFIGURED: Duration = Duration::from_secs(60);
/// How long an exhausted account is left alone.
const EXHAUSTED: Duration = Duration::from_secs(600);

/// A failed attempt.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// The status that the upstream sent, if it sent one.
    pub(crate) status: Option<u16>,
    /// How long the upstream asks to wait.
    pub(crate) hint: Option<Duration>,
    /// The upstream's own answer, where the client is to have it.
    pub(crate) answer: Option<Box<Passed>>,
}

/// An upstream's error answer, kept for passing on.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The kinds of failure that lead to different decisions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// Name, connection or TLS: nothing was sent.
    Connect(ConnectError),
    /// The target's dialect has no place for a part of the request: nothing was sent.
    Untranslatable,
    /// The target is at its configured concurrency: nothing was sent.
    Saturated,
    /// There is no credential to show it: nothing was sent.
    NoCredential,
    /// The connection was dead before a byte was processed.
    Unprocessed,
    /// Broken before the response head; it may have been billed.
    Reset,
    /// No response head in time.
    HeadTimeout,
    /// No content in time.
    NoContent,
    /// Not what HTTP or the API allows.
    Protocol,
    /// The body ended early.
    CutShort,
    /// The upstream said so, by status or by an error in its stream.
    Said(Fault),
    /// The whole call took too long.
    Deadline,
    /// An operator ends what is in flight there.
    Cut,
}

/// May the same request be sent again?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Retry {
    /// No: it is the request's own fault, or the time is over.
    Never,
    /// Yes, and it multiplies nothing, since nothing was processed.
    Free,
    /// Yes, once per request: it may have been processed.
    Once,
    /// Yes, for a token of the retry budget.
    Charged,
    /// Yes, for a token, or for nothing where others have found its target dead meanwhile.
    Late,
    /// Yes, also on the same target, after a pause.
    SameTarget,
    /// Yes, and it costs no retry: what is paid for is full, and the rest goes where it can.
    Overflow,
}

/// What a throttle holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HoldScope {
    Target,
    FateGroup,
    Account,
}

impl Failure {
    pub(crate) fn of(class: Class) -> Self {
        Self { class, status: None, hint: None, answer: None }
    }

    pub(crate) fn retry(&self) -> Retry {
        match self.class {
            Class::Connect(_)
            | Class::Untranslatable
            | Class::Saturated
            | Class::NoCredential
            | Class::Unprocessed => Retry::Free,
            Class::Reset | Class::Cut => Retry::Once,
            Class::HeadTimeout | Class::NoContent => Retry::Late,
            Class::Protocol | Class::CutShort => Retry::Charged,
            Class::Deadline => Retry::Never,
            Class::Said(fault) => match fault {
                Fault::RequestTimeout | Fault::Conflict => Retry::SameTarget,
                Fault::Throttled
                | Fault::AccountExhausted
                | Fault::Overloaded
                | Fault::Server
                | Fault::Credential
                | Fault::ModelMissing
                | Fault::NotFound => Retry::Charged,
                Fault::Request
                | Fault::ContextLength
                | Fault::ContentFilter
                | Fault::ServerFinal
                | Fault::Unsupported
                | Fault::Redirect => Retry::Never,
            },
        }
    }

    /// What it says about the target's health.
    pub(crate) fn sample(&self) -> Option<Sample> {
        match self.class {
            Class::Connect(_)
            | Class::Reset
            | Class::HeadTimeout
            | Class::NoContent
            | Class::Protocol
            | Class::CutShort => Some(Sample::Fault),
            Class::Untranslatable
            | Class::Saturated
            | Class::NoCredential
            | Class::Unprocessed
            | Class::Deadline
            | Class::Cut => None,
            Class::Said(fault) => match fault {
                Fault::Request | Fault::ContextLength | Fault::ContentFilter => Some(Sample::Success),
                Fault::RequestTimeout | Fault::Server | Fault::ServerFinal | Fault::Redirect => {
                    Some(Sample::Fault)
                }
                Fault::Overloaded => Some(Sample::Overloaded),
                Fault::Conflict
                | Fault::Throttled
                | Fault::AccountExhausted
                | Fault::Credential
                | Fault::ModelMissing
                | Fault::NotFound
                | Fault::Unsupported => None,
            },
        }
    }

    /// What is held, and for how long when the upstream gave no hint.
    pub(crate) fn hold(&self) -> Option<(HoldScope, Option<Duration>)> {
        match self.class {
            Class::Said(Fault::Throttled) => Some((HoldScope::Target, self.hint)),
            Class::Said(Fault::Overloaded) => Some((HoldScope::FateGroup, self.hint)),
            Class::Said(Fault::AccountExhausted) => Some((HoldScope::Account, Some(EXHAUSTED))),
            Class::Said(Fault::Credential | Fault::ModelMissing) => {
                Some((HoldScope::Target, Some(MISCONFIGURED)))
            }
            _ => None,
        }
    }

    /// True when no provider bills the attempt, so that the reservation is simply given back.
    pub(crate) fn is_unbilled(&self) -> bool {
        !matches!(
            self.class,
            Class::Reset
                | Class::HeadTimeout
                | Class::NoContent
                | Class::Protocol
                | Class::CutShort
                | Class::Deadline
                | Class::Cut
        )
    }

    /// True when the target throttles.
    pub(crate) fn is_throttle(&self) -> bool {
        self.class == Class::Said(Fault::Throttled)
    }

    /// What an operator has to mend: it will not pass by itself.
    pub(crate) fn defect(&self) -> Option<Defect> {
        match self.class {
            Class::Said(Fault::AccountExhausted) => Some(Defect::Account),
            Class::Said(Fault::Credential) => Some(Defect::Credential),
            Class::Said(Fault::ModelMissing) => Some(Defect::Model),
            _ => None,
        }
    }

    /// The name in rows and metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.class {
            Class::Connect(_) => "connect",
            Class::Untranslatable => "untranslatable",
            Class::Saturated => "saturated",
            Class::NoCredential => "no_credential",
            Class::Unprocessed => "unprocessed",
            Class::Reset => "reset",
            Class::HeadTimeout => "timeout",
            Class::NoContent => "ttft",
            Class::Protocol => "protocol",
            Class::CutShort => "truncated",
            Class::Deadline => "deadline",
            Class::Cut => "cut",
            Class::Said(fault) => match fault {
                Fault::Request => "request",
                Fault::ContextLength => "context_length",
                Fault::ContentFilter => "content_filter",
                Fault::RequestTimeout => "request_timeout",
                Fault::Conflict => "conflict",
                Fault::Throttled => "throttled",
                Fault::AccountExhausted => "account_exhausted",
                Fault::Overloaded => "overloaded",
                Fault::Server | Fault::ServerFinal => "server_error",
                Fault::Credential => "credential",
                Fault::ModelMissing => "model_missing",
                Fault::NotFound => "not_found",
                Fault::Unsupported => "unsupported",
                Fault::Redirect => "redirect",
            },
        }
    }

    /// Which of several failures a client is told: the one that tells it most.
    pub(crate) fn rank(&self) -> u8 {
        match self.class {
            Class::Said(
                Fault::Request
                | Fault::ContextLength
                | Fault::ContentFilter
                | Fault::RequestTimeout
                | Fault::Conflict
                | Fault::NotFound,
            ) => 7,
            Class::Said(Fault::Throttled | Fault::Overloaded) => 6,
            Class::Said(Fault::AccountExhausted | Fault::Credential | Fault::ModelMissing)
            | Class::NoCredential => 5,
            Class::HeadTimeout | Class::NoContent | Class::Deadline => 4,
            Class::Said(_) => 3,
            Class::Reset | Class::Protocol | Class::CutShort | Class::Cut => 2,
            Class::Connect(_) | Class::Saturated | Class::Unprocessed => 1,
            Class::Untranslatable => 0,
        }
    }

    /// What the client is told when this is the last word. Names no host, account or key.
    pub(crate) fn rejection(&self) -> Rejection {
        let upstream =
            |code, message: &str| Rejection::Upstream { code, message: message.to_owned(), wait: self.hint };
        match self.class {
            Class::Connect(why) => {
                upstream(UpstreamCode::Connect, &format!("the upstream could not be reached: {why}"))
            }
            // Those that could be asked are out, and this one cannot: the same as no healthy target.
            Class::Untranslatable => {
                upstream(UpstreamCode::Overloaded, "no target that can be asked is healthy")
            }
            Class::Saturated => Rejection::Upstream {
                code: UpstreamCode::Saturated,
                message: "the upstream is at its limit of concurrent requests".to_owned(),
                wait: Some(self.hint.unwrap_or(Duration::from_secs(1))),
            },
            Class::NoCredential => {
                upstream(UpstreamCode::Auth, "the gateway has no credential for the upstream at the moment")
            }
            Class::Unprocessed | Class::Reset => {
                upstream(UpstreamCode::Reset, "the upstream closed the connection before it had answered")
            }
            Class::CutShort => {
                upstream(UpstreamCode::Reset, "the upstream ended its answer before it was complete")
            }
            Class::Cut => upstream(
                UpstreamCode::Reset,
                "an operator took the upstream out of service before it had answered",
            ),
            Class::HeadTimeout | Class::Deadline => {
                upstream(UpstreamCode::Timeout, "the upstream did not answer in time")
            }
            Class::NoContent => upstream(UpstreamCode::Ttft, "the upstream sent no content in time"),
            Class::Protocol => {
                upstream(UpstreamCode::Protocol, "the upstream sent an answer that cannot be read")
            }
            Class::Said(fault) => self.said(fault),
        }
    }

    fn said(&self, fault: Fault) -> Rejection {
        let upstream =
            |code, message: &str| Rejection::Upstream { code, message: message.to_owned(), wait: self.hint };
        // Whatever the upstream says about waiting: only an operator can help.
        let lasting =
            |code, message: &str| Rejection::Upstream { code, message: message.to_owned(), wait: None };
        match fault {
            Fault::Throttled => Rejection::Upstream {
                code: UpstreamCode::Saturated,
                message: "the upstream is throttling".to_owned(),
                wait: Some(self.hint.unwrap_or(Duration::from_secs(1))),
            },
            Fault::Overloaded => Rejection::Upstream {
                code: UpstreamCode::Overloaded,
                message: "the upstream is overloaded".to_owned(),
                wait: Some(self.hint.unwrap_or(Duration::from_secs(1))),
            },
            Fault::AccountExhausted => {
                lasting(UpstreamCode::AccountExhausted, "the upstream account has no quota left")
            }
            Fault::Credential => lasting(UpstreamCode::Auth, "the upstream refused the gateway's credential"),
            Fault::ModelMissing => lasting(
                UpstreamCode::Misconfigured,
                "the upstream does not know the model that the gateway asked for",
            ),
            Fault::Unsupported => {
                upstream(UpstreamCode::Error, "the upstream does not support what was asked (status 501)")
            }
            Fault::Server if self.status == Some(503) => {
                upstream(UpstreamCode::Overloaded, "the upstream is unavailable (status 503)")
            }
            Fault::Server if self.status == Some(504) => {
                upstream(UpstreamCode::Timeout, "the upstream timed out (status 504)")
            }
            _ => {
                let status = self.status.map_or_else(String::new, |status| format!(" (status {status})"));
                upstream(UpstreamCode::Error, &format!("the upstream failed{status}"))
            }
        }
    }

    /// True when the upstream's own words are what the client should read: the request's own fault,
    /// in the dialect that the client speaks.
    pub(crate) fn passes_through(&self) -> bool {
        let own_fault = matches!(
            self.class,
            Class::Said(
                Fault::Request
                    | Fault::ContextLength
                    | Fault::ContentFilter
                    | Fault::RequestTimeout
                    | Fault::Conflict
                    | Fault::NotFound
            )
        );
        own_fault && self.answer.is_some()
    }
}

/// How long an upstream asks to wait: milliseconds before seconds before a date; what is negative,
/// unreadable or above an hour is no hint.
pub(crate) fn wait_hint(headers: &HeaderMap, now_millis: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = ["retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after"]
        .into_iter()
        .find_map(|name| decimal(text(name)?, 0));
    let hint = millis.or_else(|| {
        let value = text("retry-after")?;
        decimal(value, 3).or_else(|| date(value, now_millis))
    })?;
    (hint <= 3_600_000).then(|| Duration::from_millis(hint))
}

/// A decimal number times ten to the power of `scale`, cut to a whole number.
fn decimal(text: &str, scale: usize) -> Option<u64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(places.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let places: String = places.chars().chain(std::iter::repeat('0')).take(scale).collect();
    format!("{whole}{places}").parse().ok()
}

fn date(text: &str, now_millis: i64) -> Option<u64> {
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(i64::try_from(at).ok()?.checked_sub(now_millis)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_decided_as_the_table_says() {
        use Fault as F;
        let said = Class::Said;
        let cases = [
            (
                Class::Connect(ConnectError::Refused),
                Retry::Free,
                Some(Sample::Fault),
                None,
                "upstream_connect",
            ),
            (Class::Saturated, Retry::Free, None, None, "upstream_saturated"),
            (Class::NoCredential, Retry::Free, None, None, "upstream_auth"),
            (Class::Unprocessed, Retry::Free, None, None, "upstream_reset"),
            (Class::Reset, Retry::Once, Some(Sample::Fault), None, "upstream_reset"),
            (Class::HeadTimeout, Retry::Late, Some(Sample::Fault), None, "upstream_timeout"),
            (Class::NoContent, Retry::Late, Some(Sample::Fault), None, "upstream_ttft"),
            (Class::Protocol, Retry::Charged, Some(Sample::Fault), None, "upstream_protocol"),
            (Class::CutShort, Retry::Charged, Some(Sample::Fault), None, "upstream_reset"),
            (Class::Deadline, Retry::Never, None, None, "upstream_timeout"),
            (Class::Cut, Retry::Once, None, None, "upstream_reset"),
            (said(F::RequestTimeout), Retry::SameTarget, Some(Sample::Fault), None, "upstream_error"),
            (said(F::Conflict), Retry::SameTarget, None, None, "upstream_error"),
            (said(F::Throttled), Retry::Charged, None, Some(HoldScope::Target), "upstream_saturated"),
            (
                said(F::AccountExhausted),
                Retry::Charged,
                None,
                Some(HoldScope::Account),
                "upstream_account_exhausted",
            ),
            (
                said(F::Overloaded),
                Retry::Charged,
                Some(Sample::Overloaded),
                Some(HoldScope::FateGroup),
                "upstream_error",
            ),
            (said(F::Server), Retry::Charged, Some(Sample::Fault), None, "upstream_error"),
            (said(F::ServerFinal), Retry::Never, Some(Sample::Fault), None, "upstream_error"),
            (said(F::Unsupported), Retry::Never, None, None, "upstream_error"),
            (said(F::NotFound), Retry::Charged, None, None, "upstream_error"),
            (said(F::Credential), Retry::Charged, None, Some(HoldScope::Target), "upstream_auth"),
            (said(F::ModelMissing), Retry::Charged, None, Some(HoldScope::Target), "upstream_misconfigured"),
            (said(F::Request), Retry::Never, Some(Sample::Success), None, "upstream_error"),
            (said(F::ContextLength), Retry::Never, Some(Sample::Success), None, "upstream_error"),
            (said(F::ContentFilter), Retry::Never, Some(Sample::Success), None, "upstream_error"),
            (said(F::Redirect), Retry::Never, Some(Sample::Fault), None, "upstream_error"),
        ];
        for (class, retry, sample, hold, code) in cases {
            let failure = Failure::of(class);
            assert_eq!(failure.retry(), retry, "{class:?}");
            assert_eq!(failure.sample(), sample, "{class:?}");
            assert_eq!(failure.hold().map(|(scope, _)| scope), hold, "{class:?}");
            assert_eq!(failure.rejection().code(), code, "{class:?}");
        }
    }

    /// Whatever an upstream says about waiting: a client that comes back finds the same.
    #[test]
    fn what_only_an_operator_can_mend_is_not_worth_a_retry() {
        for fault in [Fault::AccountExhausted, Fault::Credential, Fault::ModelMissing] {
            let hint = Some(Duration::from_secs(5));
            let failure = Failure { hint, ..Failure::of(Class::Said(fault)) };
            assert_eq!(failure.rejection().advice(), crate::rejection::Advice::GiveUp, "{fault:?}");
        }
    }

    #[test]
    fn hints_are_read_in_order_and_nonsense_is_none() {
        let now = 784_111_777_000;
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: [(Pairs, Option<u64>); 10] = [
            (&[("x-amz-retry-after", "1500")], Some(1_500)),
            (&[("retry-after-ms", "120"), ("retry-after", "9")], Some(120)),
            (&[("x-ms-retry-after-ms", "20.7")], Some(20)),
            (&[("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "0.25")], Some(250)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], Some(10_000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "7200")], None),
        ];
        for (pairs, want) in cases {
            let headers: HeaderMap =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(wait_hint(&headers, now), want.map(Duration::from_millis), "{pairs:?}");
        }
    }
}
