//! What a provider's answer says about itself: consumption, model, tier.

use tollgate_domain::Usage;

use crate::fault::Fault;

/// The self-report of an answer, whole or so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reported {
    /// What the call consumed; `None` when the provider states nothing, which is not zero.
    pub usage: Option<Usage>,
    /// Passes billed at another model's price, beside `usage`.
    pub beside: Vec<Beside>,
    /// The model that answered, in the provider's words.
    pub served_model: Option<Box<str>>,
    /// The price tier in effect, in the provider's words.
    pub service_tier: Option<Box<str>>,
    /// What was odd about the figures.
    pub flags: ReportFlags,
    /// The answer is a failure although its status says success.
    pub fault: Option<Fault>,
    /// Tokens of the visible output as the gateway counts them; only for a plain answer whose
    /// provider states no usage.
    pub counted_output: Option<u64>,
}

/// Consumption of a pass by another model than the one that answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Beside {
    /// That model, in the provider's words.
    pub model: Box<str>,
    /// What the pass consumed.
    pub usage: Usage,
}

/// A small set of oddities of a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportFlags(u8);

impl ReportFlags {
    /// The provider's own figures contradict each other.
    pub const USAGE_INCONSISTENT: Self = Self(1);
    /// Reasoning or audio was left out of the stated output and was added because the total proves it.
    pub const REASONING_OUTSIDE_TOTAL: Self = Self(2);
    /// Audio was cached, and the provider does not tell how much of it.
    pub const MODALITY_UNKNOWN: Self = Self(4);
    /// More than one model worked on the answer.
    pub const MULTI_MODEL: Self = Self(8);
    /// The provider re-prices parts of the call after the fact: the cost is approximate.
    pub const COST_APPROXIMATE: Self = Self(16);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::USAGE_INCONSISTENT, "usage_inconsistent"),
        (Self::REASONING_OUTSIDE_TOTAL, "reasoning_outside_total"),
        (Self::MODALITY_UNKNOWN, "modality_unknown"),
        (Self::MULTI_MODEL, "multi_model"),
        (Self::COST_APPROXIMATE, "cost_approximate"),
    ];

    /// True when every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when nothing is odd.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }

    pub(crate) fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }
}

/// A count in a provider's JSON: absent, `null`, negative or fractional figures state nothing.
pub(crate) fn count_at(value: &serde_json::Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}
