//! A refusal, told so that a person knows what to do about it.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use tollgate_domain::{Money, Name, UnixMillis};

use super::{
    admit::Ask,
    calendar::Period,
    limits::LimitKind,
    scope::{ScopeId, ScopeKind},
};

/// Why a request may not pass. Its text is a whole sentence for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The scope that refused.
    pub scope: ScopeId,
    /// Its limit that refused.
    pub limit: LimitKind,
    /// When the request would pass if nothing else happened; `None` where waiting does not help
    /// or only the end of a calendar window does.
    pub retry_after: Option<Duration>,
    /// The request is larger than the limit: no waiting will help it.
    pub never_fits: bool,
    /// The figures.
    pub detail: Box<RefusedDetail>,
}

/// The figures of a refusal, by what refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RefusedDetail {
    /// Requests per second or minute.
    Requests {
        /// How many are allowed.
        limit: u32,
    },
    /// Requests open at the same time.
    Concurrency {
        /// How many are allowed.
        limit: u32,
        /// How many there are.
        open: u32,
    },
    /// Tokens per minute.
    TokenRate {
        /// How many are allowed.
        limit: u64,
        /// How many could be taken now.
        free: u64,
        /// How many of the limit's kind the request needs.
        asked: u64,
        /// The request.
        ask: Ask,
    },
    /// Tokens per calendar day or month.
    TokenQuota {
        /// The quota's period.
        period: Period,
        /// How many are allowed.
        limit: u64,
        /// How many are used up.
        spent: u64,
        /// How many open requests hold reserved.
        reserved: u64,
        /// How many open requests those are.
        holders: u32,
        /// The request.
        ask: Ask,
        /// When the window ends.
        resets_at: UnixMillis,
    },
    /// Money per calendar period.
    Budget {
        /// The budget's period.
        period: Period,
        /// How much may be spent.
        amount: Money,
        /// The currency of all amounts.
        currency: Name,
        /// What is spent.
        spent: Money,
        /// What open requests hold reserved.
        reserved: Money,
        /// How many open requests those are.
        holders: u32,
        /// What the request needs reserved.
        asked: Money,
        /// The request.
        ask: Ask,
        /// When the window ends, if ever.
        resets_at: Option<UnixMillis>,
    },
    /// A hard budget was asked to let a model without a price pass.
    Unpriced,
}

impl Refused {
    /// The kind of scope that refused.
    #[must_use]
    pub const fn scope_kind(&self) -> ScopeKind {
        self.scope.kind
    }

    /// When the calendar window of the limit ends, if it has one that does.
    #[must_use]
    pub fn resets_at(&self) -> Option<UnixMillis> {
        match *self.detail {
            RefusedDetail::TokenQuota { resets_at, .. } => Some(resets_at),
            RefusedDetail::Budget { resets_at, .. } => resets_at,
            _ => None,
        }
    }

    /// True when a hard budget refused a model that has no price.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        matches!(*self.detail, RefusedDetail::Unpriced)
    }
}

/// A refusal as the limit tells it, which does not know whose limit it is.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) limit: LimitKind,
    pub(super) retry_after: Option<Duration>,
    pub(super) never_fits: bool,
    pub(super) detail: Box<RefusedDetail>,
}

impl Refusal {
    pub(super) fn by(self, scope: &ScopeId) -> Refused {
        let Self { limit, retry_after, never_fits, detail } = self;
        Refused { scope: scope.clone(), limit, retry_after, never_fits, detail }
    }
}

impl std::error::Error for Refused {}

impl Display for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scope = &self.scope;
        match &*self.detail {
            RefusedDetail::Requests { limit } => {
                let unit = if self.limit == LimitKind::RequestsPerSecond { "second" } else { "minute" };
                write!(f, "{scope} allows {} per {unit}", Count(u64::from(*limit), "request"))?;
                self.write_wait(f)
            }
            RefusedDetail::Concurrency { limit, open } => write!(
                f,
                "{scope} allows {} at the same time and has {} open",
                Count(u64::from(*limit), "request"),
                Grouped(u64::from(*open)),
            ),
            RefusedDetail::TokenRate { .. } => self.write_token_rate(f),
            RefusedDetail::TokenQuota { .. } => self.write_token_quota(f),
            RefusedDetail::Budget { .. } => self.write_budget(f),
            RefusedDetail::Unpriced => {
                write!(
                    f,
                    "{scope} has a hard budget and the model has no price, so its cost cannot be bounded"
                )
            }
        }
    }
}

impl Refused {
    fn write_token_rate(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let RefusedDetail::TokenRate { limit, free, asked, ask } = &*self.detail else { return Ok(()) };
        let kind = match self.limit {
            LimitKind::InputTokensPerMinute => "input token",
            LimitKind::OutputTokensPerMinute => "output token",
            _ => "token",
        };
        let scope = &self.scope;
        write!(f, "{scope} allows {} per minute", Count(*limit, kind))?;
        if !self.never_fits {
            write!(f, " and has {} free now", Grouped(*free))?;
        }
        write!(f, "; this request needs {} reserved ({})", Grouped(*asked), Parts(ask))?;
        self.write_wait(f)
    }

    fn write_token_quota(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let RefusedDetail::TokenQuota { period, limit, spent, reserved, holders, ask, resets_at } =
            &*self.detail
        else {
            return Ok(());
        };
        let scope = &self.scope;
        write!(
            f,
            "{scope} has used {} of its {}{}",
            Grouped(*spent),
            Count(*limit, "token"),
            During(*period)
        )?;
        write!(f, ", {}", Held(Grouped(*reserved), *holders))?;
        write!(f, "; this request needs {} reserved ({})", Grouped(ask.tokens()), Parts(ask))?;
        self.write_reset(f, Some(*resets_at))
    }

    fn write_budget(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let RefusedDetail::Budget {
            period,
            amount,
            currency,
            spent,
            reserved,
            holders,
            asked,
            ask,
            resets_at,
        } = &*self.detail
        else {
            return Ok(());
        };
        let scope = &self.scope;
        write!(f, "{scope} has spent {spent} of its hard budget of {amount} {currency}{}", During(*period))?;
        write!(f, ", {}; this request needs {asked} reserved ({})", Held(reserved, *holders), Parts(ask))?;
        self.write_reset(f, *resets_at)
    }

    fn write_wait(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.retry_after {
            // Rounded up: who waits as long as told must not come too early.
            Some(wait) => {
                let millis = wait.as_nanos().div_ceil(1_000_000);
                write!(f, "; it fits in {}.{:03} s", millis / 1_000, millis % 1_000)
            }
            None if self.never_fits => f.write_str(", which can never fit"),
            None => Ok(()),
        }
    }

    fn write_reset(&self, f: &mut Formatter<'_>, resets_at: Option<UnixMillis>) -> fmt::Result {
        if self.never_fits {
            return f.write_str(", which can never fit");
        }
        match resets_at.and_then(|at| jiff::Timestamp::from_millisecond(at.get()).ok()) {
            Some(at) => write!(f, "; it resets at {at}"),
            None => f.write_str("; it does not reset"),
        }
    }
}

/// What a request reserves, by its parts.
struct Parts<'a>(&'a Ask);

impl Display for Parts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Ask { input_tokens, output_tokens, .. } = *self.0;
        write!(
            f,
            "{} estimated and up to {}",
            Count(input_tokens, "input token"),
            Count(output_tokens, "output token"),
        )
    }
}

/// What open requests hold.
struct Held<T>(T, u32);

impl<T: Display> Display for Held<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(amount, holders) = self;
        match holders {
            0 => f.write_str("nothing is reserved"),
            _ => write!(f, "{amount} is reserved by {}", Count(u64::from(*holders), "open request")),
        }
    }
}

/// The period that an amount is for.
struct During(Period);

impl Display for During {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Period::Total => f.write_str(" in total"),
            period => write!(f, " for this {}", period.as_str()),
        }
    }
}

/// A number and what it counts.
struct Count(u64, &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", Grouped(self.0), self.1)
    }
}

/// A number with its thousands set apart.
struct Grouped(u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{}", self.0),
            number => write!(f, "{},{:03}", Grouped(number / 1_000), number % 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask { input_tokens: 1_200, output_tokens: 32_000, cost: None };

    fn told(
        limit: LimitKind,
        retry_after: Option<Duration>,
        never_fits: bool,
        detail: RefusedDetail,
    ) -> String {
        let scope = ScopeId { kind: ScopeKind::Project, name: "retail/search".into() };
        Refusal { limit, retry_after, never_fits, detail: Box::new(detail) }.by(&scope).to_string()
    }

    fn money(text: &str) -> Money {
        text.parse().expect("a decimal")
    }

    fn budget(period: Period, holders: u32, resets_at: Option<i64>) -> RefusedDetail {
        RefusedDetail::Budget {
            period,
            amount: money("20"),
            currency: "USD".into(),
            spent: money("19.71"),
            reserved: money("0.28"),
            holders,
            asked: money("0.32"),
            ask: ASK,
            resets_at: resets_at.map(UnixMillis::new),
        }
    }

    #[test]
    fn a_budget_tells_what_is_spent_reserved_and_asked() {
        let december = Some(1_796_083_200_000);
        assert_eq!(
            told(LimitKind::Budget, None, false, budget(Period::Month, 3, december)),
            "project retail/search has spent 19.71 of its hard budget of 20 USD for this month, 0.28 is reserved by \
             3 open requests; this request needs 0.32 reserved (1,200 input tokens estimated and up to 32,000 output \
             tokens); it resets at 2026-12-01T00:00:00Z"
        );
        assert_eq!(
            told(LimitKind::Budget, None, false, budget(Period::Total, 0, None)),
            "project retail/search has spent 19.71 of its hard budget of 20 USD in total, nothing is reserved; this \
             request needs 0.32 reserved (1,200 input tokens estimated and up to 32,000 output tokens); it does not \
             reset"
        );
    }

    #[test]
    fn rates_tell_how_long_to_wait() {
        let wait = Some(Duration::from_nanos(6_400_000_001));
        assert_eq!(
            told(LimitKind::RequestsPerMinute, wait, false, RefusedDetail::Requests { limit: 1 }),
            "project retail/search allows 1 request per minute; it fits in 6.401 s"
        );
        let rate = |limit| RefusedDetail::TokenRate { limit, free: 12_000, asked: 33_200, ask: ASK };
        assert_eq!(
            told(LimitKind::TokensPerMinute, wait, false, rate(200_000)),
            "project retail/search allows 200,000 tokens per minute and has 12,000 free now; this request needs \
             33,200 reserved (1,200 input tokens estimated and up to 32,000 output tokens); it fits in 6.401 s"
        );
        assert_eq!(
            told(LimitKind::OutputTokensPerMinute, None, true, rate(20_000)),
            "project retail/search allows 20,000 output tokens per minute; this request needs 33,200 reserved (1,200 \
             input tokens estimated and up to 32,000 output tokens), which can never fit"
        );
        assert_eq!(
            told(
                LimitKind::ConcurrentRequests,
                None,
                false,
                RefusedDetail::Concurrency { limit: 50, open: 50 }
            ),
            "project retail/search allows 50 requests at the same time and has 50 open"
        );
    }

    #[test]
    fn a_token_quota_tells_when_it_resets() {
        let detail = RefusedDetail::TokenQuota {
            period: Period::Day,
            limit: 1_000_000,
            spent: 990_000,
            reserved: 1_000,
            holders: 1,
            ask: ASK,
            resets_at: UnixMillis::new(1_796_083_200_000),
        };
        assert_eq!(
            told(LimitKind::TokensPerDay, None, false, detail),
            "project retail/search has used 990,000 of its 1,000,000 tokens for this day, 1,000 is reserved by 1 open \
             request; this request needs 33,200 reserved (1,200 input tokens estimated and up to 32,000 output \
             tokens); it resets at 2026-12-01T00:00:00Z"
        );
    }
}
