//! The unit prices of calls by the length of their input, every fall-back decided.

use tollgate_domain::{Money, UnitPrice};

use super::{
    entry::{PriceEntry, PriceFault, Rates},
    scale::Scale,
};

/// Unit prices of requests whose input is longer than a threshold.
#[derive(Debug)]
pub(super) struct Class {
    /// The class is for requests with strictly more input than this; the first has none.
    pub(super) above: Option<u64>,
    pub(super) input: Option<UnitPrice>,
    pub(super) cached_input: Option<UnitPrice>,
    /// Cached input had no price of its own and is billed as input.
    pub(super) cached_as_input: bool,
    pub(super) cache_write: Option<UnitPrice>,
    pub(super) cache_write_5m: Option<UnitPrice>,
    pub(super) cache_write_1h: Option<UnitPrice>,
    pub(super) output: Option<UnitPrice>,
    pub(super) audio_input: Option<UnitPrice>,
    pub(super) audio_output: Option<UnitPrice>,
    pub(super) image_input: Option<UnitPrice>,
    pub(super) image_output: Option<UnitPrice>,
    pub(super) characters: Option<UnitPrice>,
    /// The dearest that one input token can cost in this class or one below.
    pub(super) dearest_input: UnitPrice,
    /// The same for output.
    pub(super) dearest_output: UnitPrice,
}

/// The entry's classes from the base upwards, each with what it does not name filled in from the
/// one below.
pub(super) fn classes(entry: &PriceEntry, scale: Scale) -> Result<Vec<Class>, PriceFault> {
    let mut tiers = entry.tiers.clone();
    tiers.sort_by_key(|tier| tier.above_input_tokens);
    let mut rates = entry.rates;
    let mut classes = vec![Class::build(None, &rates, entry.per, scale)?];
    for tier in tiers {
        let above = Some(tier.above_input_tokens);
        let below = classes.last().expect("the base class is there");
        if below.above == above {
            return Err(PriceFault::DuplicateTier { above_input_tokens: tier.above_input_tokens });
        }
        let (dearest_input, dearest_output) = (below.dearest_input, below.dearest_output);
        rates = tier.rates.over(&rates);
        let mut class = Class::build(above, &rates, entry.per, scale)?;
        class.dearest_input = class.dearest_input.max(dearest_input);
        class.dearest_output = class.dearest_output.max(dearest_output);
        classes.push(class);
    }
    Ok(classes)
}

impl Class {
    /// True when no token has a price.
    pub(super) fn is_empty(&self) -> bool {
        let own = [self.input, self.cached_input, self.cache_write, self.cache_write_5m, self.cache_write_1h];
        let more = [self.output, self.audio_input, self.audio_output, self.image_input, self.image_output];
        own.into_iter().chain(more).all(|price| price.is_none())
    }

    fn build(above: Option<u64>, rates: &Rates, per: u64, scale: Scale) -> Result<Self, PriceFault> {
        let price = |field, amount| scale.unit_price(field, amount, per);
        let input = price("input", rates.input)?;
        let cached_input = price("cached_input", rates.cached_input)?;
        let write = price("cache_write", rates.cache_write)?;
        let write_5m = price("cache_write_5m", rates.cache_write_5m)?;
        let write_1h = price("cache_write_1h", rates.cache_write_1h)?;
        let output = price("output", rates.output)?;
        let audio_input = price("audio_input", rates.audio_input)?;
        let audio_output = price("audio_output", rates.audio_output)?;
        let image_input = price("image_input", rates.image_input)?;
        let image_output = price("image_output", rates.image_output)?;
        let one_hour_of_five_minutes = match rates.cache_write_5m {
            // Anthropic and Bedrock price an hour at 1.6 times the five-minute write: 2 against
            // 1.25 times the input.
            Some(amount) => {
                scale.apply(Money::from_pico(amount.pico().saturating_mul(8)), per.saturating_mul(5))
            }
            None => None,
        };
        let mut class = Self {
            above,
            input,
            cached_input: cached_input.or(input),
            cached_as_input: cached_input.is_none() && input.is_some(),
            cache_write: write.or(write_5m).or(input),
            cache_write_5m: write_5m.or(write).or(input),
            cache_write_1h: write_1h.or(one_hour_of_five_minutes).or(write).or(input),
            output,
            audio_input: audio_input.or(input),
            audio_output: audio_output.or(output),
            image_input: image_input.or(input),
            image_output: image_output.or(output),
            characters: price("characters", rates.characters)?,
            dearest_input: UnitPrice::default(),
            dearest_output: UnitPrice::default(),
        };
        class.dearest_input = dearest(&[
            class.input,
            class.cached_input,
            class.cache_write,
            class.cache_write_5m,
            class.cache_write_1h,
            class.audio_input,
            class.image_input,
        ]);
        class.dearest_output = dearest(&[class.output, class.audio_output, class.image_output]);
        Ok(class)
    }
}

fn dearest(prices: &[Option<UnitPrice>]) -> UnitPrice {
    prices.iter().flatten().copied().max().unwrap_or_default()
}
