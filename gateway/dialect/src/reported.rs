//! What a provider's answer says about itself: consumption, model, tier.

use tollgate_domain::{Units, Usage};

use crate::{codec::HeaderOf, fault::Fault, walk::whole_number, wire::Dialect};

/// The self-report of an answer, whole or so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reported {
    /// What the call consumed; `None` when the provider states nothing, which is not zero.
    pub usage: Option<Usage>,
    /// Passes billed at another model's price, beside `usage`.
    pub beside: Vec<Beside>,
    /// The id by which a provider keeps the response.
    pub response_id: Option<Box<str>>,
    /// The model that answered, in the provider's words.
    pub served_model: Option<Box<str>>,
    /// The price tier in effect, in the provider's words.
    pub service_tier: Option<Box<str>>,
    /// Where the answer was made, in the provider's words: a region or an area.
    pub place: Option<Box<str>>,
    /// What was odd about the figures.
    pub flags: ReportFlags,
    /// The answer is a failure although its status says success.
    pub fault: Option<Fault>,
    /// Tokens of the visible output as the gateway counts them; only for a plain answer whose
    /// provider states no usage.
    pub counted_output: Option<u64>,
    /// What the gateway counted in the answer itself, where its provider states no usage.
    pub counted_units: Option<Units>,
}

/// The header by which servers of OpenAI's family at Azure tell their region.
const REGION_HEADER: &str = "x-ms-region";

impl Reported {
    /// Takes what the head of an answer says of where it was made.
    pub(crate) fn take_head(&mut self, dialect: Dialect, header: &HeaderOf<'_>) {
        // A server of Azure is asked in either dialect of the family.
        if matches!(dialect, Dialect::OpenAi | Dialect::AzureOpenAi)
            && let Some(region) = header(REGION_HEADER).filter(|region| !region.is_empty())
        {
            self.place = Some(region.into());
        }
    }
}

/// Consumption of a pass by another model than the one that answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Beside {
    /// That model, in the provider's words.
    pub model: Box<str>,
    /// What the pass consumed.
    pub usage: Usage,
}

/// Oddities of a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportFlags {
    /// The provider's own figures contradict each other.
    pub usage_inconsistent: bool,
    /// Reasoning or audio was left out of the stated output and was added, as the total proves it.
    pub reasoning_outside_total: bool,
    /// Audio was cached, and the provider does not tell how much of it.
    pub modality_unknown: bool,
    /// More than one model worked on the answer.
    pub multi_model: bool,
    /// The provider re-prices parts of the call after the fact: the cost is approximate.
    pub cost_approximate: bool,
}

impl ReportFlags {
    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.usage_inconsistent, "usage_inconsistent"),
            (self.reasoning_outside_total, "reasoning_outside_total"),
            (self.modality_unknown, "modality_unknown"),
            (self.multi_model, "multi_model"),
            (self.cost_approximate, "cost_approximate"),
        ];
        all.into_iter().filter(|(set, _)| *set).map(|(_, name)| name)
    }
}

/// A count in a provider's JSON: absent, `null`, negative, fractional or absurd figures state nothing.
pub(crate) fn count_at(value: &serde_json::Value, pointer: &str) -> Option<u64> {
    // `Value::pointer` undoes escapes that none of our names has, at twenty times the cost.
    let found = pointer.split('/').skip(1).try_fold(value, |value, name| value.get(name))?;
    found.as_u64().filter(|count| *count <= MOST)
}

/// The same for a raw scalar.
pub(crate) fn count_of(scalar: &[u8]) -> Option<u64> {
    whole_number(scalar).filter(|count| *count <= MOST)
}

/// A million times the longest context of today. A larger figure is a defect of the provider and
/// states nothing: it would outweigh every sum that it enters, and 64 bits hold few of them.
const MOST: u64 = 1_000_000_000_000;
