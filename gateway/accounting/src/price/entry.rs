//! A price as it is written down, and what can be wrong with it.

use tollgate_domain::{Money, Name, RegionName, UnixMillis, UpstreamModel, UpstreamName};

/// One entry of a price file: what a model costs from a day on.
#[derive(Clone, Debug)]
pub struct PriceEntry {
    /// A name that targets can ask for with `price:`. Entries that share it are one dated line.
    pub id: Option<String>,
    /// The model, as its provider calls it.
    pub model: UpstreamModel,
    /// The only upstream that the entry is for; `None` is every upstream.
    pub upstream: Option<UpstreamName>,
    /// The only region that the entry is for; `None` is every region. Not beside an upstream, which
    /// has a region of its own.
    pub region: Option<RegionName>,
    /// The first instant at which it counts: 00:00 UTC of its date.
    pub from: UnixMillis,
    /// The currency of all its amounts.
    pub currency: Name,
    /// How many tokens the rates are for, usually 1,000,000. The fees `per_…` are for one each.
    pub per: u64,
    /// What was agreed to be taken off every amount, in millionths; 0 is nothing.
    pub discount: u32,
    /// Prices of tokens.
    pub rates: Rates,
    /// Dearer classes for long inputs. The whole request is billed at the highest one that it reaches.
    pub tiers: Vec<TierEntry>,
    /// Factor on token prices for batch processing.
    pub batch_multiplier: Option<Money>,
    /// Fee of one call.
    pub per_request: Option<Money>,
    /// Fee of one image.
    pub per_image: Option<Money>,
    /// Fee of one server-side search, or of one search unit of a rerank.
    pub per_search: Option<Money>,
    /// Fee of one minute of audio that is listened to.
    pub per_audio_minute: Option<Money>,
    /// Fee of one hour of reserved capacity.
    pub per_hour: Option<Money>,
}

/// Prices of tokens by dimension, each for as many tokens as the entry's `per` says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// Input that no other dimension covers.
    pub input: Option<Money>,
    /// Input read from the provider's prompt cache.
    pub cached_input: Option<Money>,
    /// Input written to a cache, whatever its lifetime.
    pub cache_write: Option<Money>,
    /// Input written to a cache that lives five minutes.
    pub cache_write_5m: Option<Money>,
    /// Input written to a cache that lives one hour.
    pub cache_write_1h: Option<Money>,
    /// Output, reasoning included.
    pub output: Option<Money>,
    /// Audio input.
    pub audio_input: Option<Money>,
    /// Audio output.
    pub audio_output: Option<Money>,
    /// Image input.
    pub image_input: Option<Money>,
    /// Image output.
    pub image_output: Option<Money>,
    /// Characters of text to be spoken, each for as many as `per` says.
    pub characters: Option<Money>,
}

impl Rates {
    /// These rates, with those of `base` wherever they say nothing.
    pub(super) fn over(self, base: &Self) -> Self {
        Self {
            input: self.input.or(base.input),
            cached_input: self.cached_input.or(base.cached_input),
            cache_write: self.cache_write.or(base.cache_write),
            cache_write_5m: self.cache_write_5m.or(base.cache_write_5m),
            cache_write_1h: self.cache_write_1h.or(base.cache_write_1h),
            output: self.output.or(base.output),
            audio_input: self.audio_input.or(base.audio_input),
            audio_output: self.audio_output.or(base.audio_output),
            image_input: self.image_input.or(base.image_input),
            image_output: self.image_output.or(base.image_output),
            characters: self.characters.or(base.characters),
        }
    }

    /// Every dimension by the name that the price file uses.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<Money>); 11] {
        [
            ("input", self.input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_5m", self.cache_write_5m),
            ("cache_write_1h", self.cache_write_1h),
            ("output", self.output),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
            ("image_input", self.image_input),
            ("image_output", self.image_output),
            ("characters", self.characters),
        ]
    }
}

/// A class of prices for requests with long inputs.
#[derive(Clone, Copy, Debug)]
pub struct TierEntry {
    /// The class begins strictly above this many input tokens, cached ones included.
    pub above_input_tokens: u64,
    /// Its prices; a dimension that it does not name keeps the price of the class below.
    pub rates: Rates,
}

/// A price entry that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("price entry {index} ({model}): {fault}")]
pub struct PriceError {
    /// Position of the entry among those given, from 0.
    pub index: usize,
    /// The entry's model.
    pub model: UpstreamModel,
    /// What is wrong with it.
    pub fault: PriceFault,
}

/// What is wrong with a price entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PriceFault {
    /// Another entry says the same for the same date.
    #[error("entry {other} has the same model, upstream, region and date")]
    Duplicate {
        /// Position of the earlier entry.
        other: usize,
    },
    /// Another entry has the same id and the same date.
    #[error("entry {other} has the same id {id:?} and date")]
    DuplicateId {
        /// Position of the earlier entry.
        other: usize,
        /// The id of both.
        id: String,
    },
    /// A rate for no tokens at all.
    #[error("`per` must be at least 1")]
    PerZero,
    /// Nothing has a price.
    #[error("no price at all")]
    Empty,
    /// An amount below zero.
    #[error("`{field}` is negative")]
    Negative {
        /// The dimension at fault.
        field: &'static str,
    },
    /// A price that is something but becomes nothing in whole pico-units.
    #[error("`{field}` is less than half a pico-unit (10⁻¹²) of currency each and would round to zero")]
    RoundsToZero {
        /// The dimension at fault.
        field: &'static str,
    },
    /// A price above what one unit can cost.
    #[error("`{field}` is above 9 million units of currency each")]
    TooLarge {
        /// The dimension at fault.
        field: &'static str,
    },
    /// Two tiers begin at the same threshold.
    #[error("two tiers begin above {above_input_tokens} input tokens")]
    DuplicateTier {
        /// The threshold of both.
        above_input_tokens: u64,
    },
    /// A region beside an upstream.
    #[error("`region` beside `upstream`: an upstream has its own region, so give one of them")]
    UpstreamAndRegion,
    /// A discount of everything, or more.
    #[error("`discount` must be below 100%")]
    Discount,
    /// A price in another currency without a rate.
    #[error("there is no rate of {currency} that counts on the price's date")]
    NoRate {
        /// The currency of the price.
        currency: Name,
    },
    /// A factor of zero or less.
    #[error("`batch_multiplier` must be above zero")]
    BatchMultiplier,
}
