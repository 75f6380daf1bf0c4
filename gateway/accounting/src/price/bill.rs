//! The bill of one call: priced quantities and their sum.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tollgate_domain::{Money, Name, UnitPrice, Usage};

/// What a call costs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bill {
    /// Every quantity above zero that has a price.
    pub meters: SmallVec<[Meter; 4]>,
    /// The sum of the meters' costs, exactly.
    pub cost: Money,
    /// A quantity had no price of its own and none that is defined to stand in for it: cached input
    /// was billed as input, or something was not billed at all.
    pub incomplete: bool,
}

impl Bill {
    /// Adds what `quantity` of `meter` costs.
    pub(super) fn add(&mut self, meter: MeterKind, quantity: u64, unit_price: UnitPrice, price_id: &Name) {
        let cost = unit_price.times(quantity);
        self.cost += cost;
        self.meters.push(Meter {
            meter,
            quantity,
            unit_price,
            list_price: None,
            cost,
            price_id: price_id.clone(),
        });
    }
}

/// One priced quantity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meter {
    /// What was counted; its [unit](MeterKind::unit) follows from it.
    pub meter: MeterKind,
    /// How much of it.
    pub quantity: u64,
    /// What one of it costs.
    pub unit_price: UnitPrice,
    /// What one of it costs by the provider's list, where something else was agreed.
    pub list_price: Option<UnitPrice>,
    /// Quantity times unit price.
    pub cost: Money,
    /// The price entry that was applied.
    pub price_id: Name,
}

/// What a meter counts. All kinds are disjoint: a cached token is not also an input token here.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterKind {
    /// Input tokens that no other kind covers.
    Input,
    /// Input tokens read from a prompt cache.
    CachedInput,
    /// Input tokens written to a cache that lives five minutes.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Input tokens written to a cache that lives one hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Input tokens written to a cache of another lifetime.
    CacheWrite,
    /// Visible output tokens.
    Output,
    /// Hidden reasoning tokens.
    Reasoning,
    /// Audio input tokens.
    AudioInput,
    /// Audio output tokens.
    AudioOutput,
    /// Image input tokens.
    ImageInput,
    /// Image output tokens.
    ImageOutput,
    /// Images made.
    Image,
    /// Audio listened to.
    AudioTime,
    /// Characters to be spoken.
    Character,
    /// Search units of a rerank.
    SearchUnit,
    /// The call itself.
    Request,
    /// Server-side searches.
    Search,
    /// The part of an hour of reserved capacity that was used.
    CapacityUsed,
    /// The part of it that was paid for and not used.
    CapacityIdle,
}

impl MeterKind {
    /// Every kind, in the order in which a bill lists them.
    pub const ALL: [Self; 19] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::CacheWrite,
        Self::Output,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::ImageInput,
        Self::ImageOutput,
        Self::Image,
        Self::AudioTime,
        Self::Character,
        Self::SearchUnit,
        Self::Request,
        Self::Search,
        Self::CapacityUsed,
        Self::CapacityIdle,
    ];

    /// The name used in rows and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::CacheWrite => "cache_write",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::ImageInput => "image_input",
            Self::ImageOutput => "image_output",
            Self::Image => "image",
            Self::AudioTime => "audio_time",
            Self::Character => "character",
            Self::SearchUnit => "search_unit",
            Self::Request => "request",
            Self::Search => "search",
            Self::CapacityUsed => "capacity_used",
            Self::CapacityIdle => "capacity_idle",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// How much of it a call with this usage has.
    #[must_use]
    pub const fn quantity(self, usage: &Usage) -> u64 {
        match self {
            Self::Input => usage.input_uncached,
            Self::CachedInput => usage.cache_read,
            Self::CacheWrite5m => usage.cache_write_5m,
            Self::CacheWrite1h => usage.cache_write_1h,
            Self::CacheWrite => usage.cache_write_other,
            Self::Output => usage.output_text,
            Self::Reasoning => usage.output_reasoning,
            Self::AudioInput => usage.input_audio,
            Self::AudioOutput => usage.output_audio,
            Self::ImageInput => usage.input_image,
            Self::ImageOutput => usage.output_image,
            Self::Image => usage.units.images,
            Self::AudioTime => usage.units.audio_millis,
            Self::Character => usage.units.characters,
            Self::SearchUnit => usage.units.search_units,
            Self::Request => 1,
            Self::Search => usage.web_searches,
            // Capacity is no call's.
            Self::CapacityUsed | Self::CapacityIdle => 0,
        }
    }

    /// True for a measure that stands beside tokens: of one call a provider bills the one or the other.
    #[must_use]
    pub const fn is_beside_tokens(self) -> bool {
        matches!(self, Self::Image | Self::AudioTime | Self::Character | Self::SearchUnit)
    }

    /// What one of it is called.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Search => "search",
            Self::Image => "image",
            Self::AudioTime => "millisecond",
            Self::Character => "character",
            Self::SearchUnit => "search_unit",
            Self::CapacityUsed | Self::CapacityIdle => "hour",
            _ => "token",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in MeterKind::ALL {
            assert_eq!(MeterKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(MeterKind::from_name("picture"), None);
    }
}
