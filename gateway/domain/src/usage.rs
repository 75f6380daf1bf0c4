//! What a call consumed, in disjoint counts.

use serde::{Deserialize, Serialize};

/// The consumption of one call. All counts are disjoint: no token is in two of them, so that cost
/// is a plain sum of count times price and totals are plain sums.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a cache and have no modality price.
    pub input_uncached: u64,
    /// Audio input tokens, not cached.
    pub input_audio: u64,
    /// Image input tokens, not cached, where the provider tells them apart.
    pub input_image: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: u64,
    /// Cached tokens that the provider states beyond the input that it states. A contradiction of its
    /// own: it is shown as stated, and neither counted as input nor billed.
    pub cache_read_excess: u64,
    /// How many of the tokens in `cache_read` are audio, where the provider tells. A note beside them:
    /// they are counted and billed as cached input.
    pub cache_read_audio: u64,
    /// Input tokens written to a cache that lives five minutes, or whose lifetime is not told.
    pub cache_write_5m: u64,
    /// Input tokens written to a cache that lives one hour.
    pub cache_write_1h: u64,
    /// Input tokens written to a cache of another lifetime (OpenAI's 30 minutes).
    pub cache_write_other: u64,
    /// Visible output tokens, and all output without a price of its own.
    pub output_text: u64,
    /// Hidden reasoning tokens.
    pub output_reasoning: u64,
    /// Audio output tokens.
    pub output_audio: u64,
    /// Image output tokens.
    pub output_image: u64,
    /// Server-side web searches, billed by the call.
    pub web_searches: u64,
    /// What is measured in something else than tokens.
    #[serde(flatten)]
    pub units: Units,
}

/// The measures of calls that are not, or not only, counted in tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Units {
    /// Images made.
    pub images: u64,
    /// Audio listened to, in milliseconds.
    pub audio_millis: u64,
    /// Characters of text to be spoken.
    pub characters: u64,
    /// Search units of a rerank: at Cohere a query with up to a hundred documents.
    pub search_units: u64,
}

impl Units {
    /// Nothing at all.
    pub const NONE: Self = Self { images: 0, audio_millis: 0, characters: 0, search_units: 0 };

    /// The sum of each count with the other's.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            images: self.images.saturating_add(other.images),
            audio_millis: self.audio_millis.saturating_add(other.audio_millis),
            characters: self.characters.saturating_add(other.characters),
            search_units: self.search_units.saturating_add(other.search_units),
        }
    }
}

impl Usage {
    /// Nothing consumed.
    pub const NONE: Self = Self {
        input_uncached: 0,
        input_audio: 0,
        input_image: 0,
        cache_read: 0,
        cache_read_excess: 0,
        cache_read_audio: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
        cache_write_other: 0,
        output_text: 0,
        output_reasoning: 0,
        output_audio: 0,
        output_image: 0,
        web_searches: 0,
        units: Units::NONE,
    };

    /// All input tokens, cached ones included.
    #[must_use]
    pub const fn input_tokens(&self) -> u64 {
        self.input_uncached
            .saturating_add(self.input_audio)
            .saturating_add(self.input_image)
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_tokens())
    }

    /// All audio input tokens, cached ones included.
    #[must_use]
    pub const fn audio_input_tokens(&self) -> u64 {
        self.input_audio.saturating_add(self.cache_read_audio)
    }

    /// All input tokens read from a cache, as the provider states them.
    #[must_use]
    pub const fn cached_input_tokens(&self) -> u64 {
        self.cache_read.saturating_add(self.cache_read_excess)
    }

    /// All input tokens that were written to a cache.
    #[must_use]
    pub const fn cache_write_tokens(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h).saturating_add(self.cache_write_other)
    }

    /// All output tokens, reasoning included.
    #[must_use]
    pub const fn output_tokens(&self) -> u64 {
        self.output_text
            .saturating_add(self.output_reasoning)
            .saturating_add(self.output_audio)
            .saturating_add(self.output_image)
    }

    /// The sum of each count with the other's.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            input_uncached: self.input_uncached.saturating_add(other.input_uncached),
            input_audio: self.input_audio.saturating_add(other.input_audio),
            input_image: self.input_image.saturating_add(other.input_image),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_read_excess: self.cache_read_excess.saturating_add(other.cache_read_excess),
            cache_read_audio: self.cache_read_audio.saturating_add(other.cache_read_audio),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            cache_write_other: self.cache_write_other.saturating_add(other.cache_write_other),
            output_text: self.output_text.saturating_add(other.output_text),
            output_reasoning: self.output_reasoning.saturating_add(other.output_reasoning),
            output_audio: self.output_audio.saturating_add(other.output_audio),
            output_image: self.output_image.saturating_add(other.output_image),
            web_searches: self.web_searches.saturating_add(other.web_searches),
            units: self.units.plus(&other.units),
        }
    }
}

/// Where the figures of a row come from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageSource {
    /// The provider said so. A reported zero is a count, not an absence.
    Reported,
    /// The gateway counted what passed through it with a tokenizer.
    Counted,
    /// The gateway estimated it from the request alone.
    Estimated,
}

impl UsageSource {
    /// The name used in rows and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
        }
    }
}
