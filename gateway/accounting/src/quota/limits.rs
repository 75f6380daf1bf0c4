//! The rules of a scope, as configured.

use tollgate_domain::Money;

use super::budget::Budget;

/// What a scope allows. The default allows everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScopeRules {
    /// Rates, quotas and concurrency.
    pub limits: Limits,
    /// Money per period.
    pub budget: Option<Budget>,
}

/// Limits on requests and tokens; `None` is no limit, zero lets nothing pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Requests in a second, all of which may come at once.
    pub requests_per_second: Option<u32>,
    /// Requests in a minute, all of which may come at once.
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Input tokens in a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens in a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Input and output tokens in a calendar day.
    pub tokens_per_day: Option<u64>,
    /// Input and output tokens in a calendar month.
    pub tokens_per_month: Option<u64>,
    /// Requests open at the same time, streams to their last byte.
    pub concurrent_requests: Option<u32>,
    /// The share of cached input that counts against token limits.
    pub cached_input_weight: Weight,
}

/// A share between nothing and all, in millionths. The default is all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Weight(u32);

impl Weight {
    const ALL: u32 = 1_000_000;

    /// A share from millionths; `None` above all of it.
    #[must_use]
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        if millionths <= Self::ALL { Some(Self(millionths)) } else { None }
    }

    /// A share from a decimal between 0 and 1 with at most six places; `None` for any other.
    #[must_use]
    pub fn from_decimal(share: Money) -> Option<Self> {
        let millionths = share.pico() / 1_000_000;
        if millionths * 1_000_000 != share.pico() {
            return None;
        }
        u32::try_from(millionths).ok().and_then(Self::from_millionths)
    }

    /// This share of so many tokens, rounded up.
    #[must_use]
    pub fn of(self, tokens: u64) -> u64 {
        if self.0 == Self::ALL {
            return tokens;
        }
        let share = (u128::from(tokens) * u128::from(self.0)).div_ceil(u128::from(Self::ALL));
        u64::try_from(share).expect("a share is not larger than the whole")
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(Self::ALL)
    }
}

/// Which limit spoke.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LimitKind {
    /// [`Limits::requests_per_second`].
    RequestsPerSecond,
    /// [`Limits::requests_per_minute`].
    RequestsPerMinute,
    /// [`Limits::tokens_per_minute`].
    TokensPerMinute,
    /// [`Limits::input_tokens_per_minute`].
    InputTokensPerMinute,
    /// [`Limits::output_tokens_per_minute`].
    OutputTokensPerMinute,
    /// [`Limits::tokens_per_day`].
    TokensPerDay,
    /// [`Limits::tokens_per_month`].
    TokensPerMonth,
    /// [`Limits::concurrent_requests`].
    ConcurrentRequests,
    /// [`ScopeRules::budget`].
    Budget,
}

impl LimitKind {
    /// The name used in configuration and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests_per_second",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::InputTokensPerMinute => "input_tokens_per_minute",
            Self::OutputTokensPerMinute => "output_tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::TokensPerMonth => "tokens_per_month",
            Self::ConcurrentRequests => "concurrent_requests",
            Self::Budget => "budget",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_rounded_up() {
        let weight = |text: &str| Weight::from_decimal(text.parse().expect("a decimal"));
        assert_eq!(weight("0.1").map(|weight| weight.of(1_001)), Some(101));
        assert_eq!(weight("0").map(|weight| weight.of(u64::MAX)), Some(0));
        assert_eq!(weight("1").map(|weight| weight.of(u64::MAX)), Some(u64::MAX));
        assert_eq!(weight("0.999999").map(|weight| weight.of(u64::MAX) < u64::MAX), Some(true));
        for text in ["1.000001", "-0.1", "0.0000001"] {
            assert_eq!(weight(text), None, "{text}");
        }
    }
}
