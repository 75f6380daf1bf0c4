//! The shape of LiteLLM's `model_prices_and_context_window.json`: one object per model, flat members
//! named by what they price (<https://docs.litellm.ai/docs/provider_registration/add_model_pricing>).

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_accounting::price::{PriceEntry, Rates, TierEntry};
use tollgate_domain::Money;

use super::{ImportOptions, amount::times_ten_to};

/// Tokens that our prices are for, and its power of ten.
const PER: u64 = 1_000_000;
const PER_POWER: i32 = 6;

/// What one model of the list says, values as they are written.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Model<'a> {
    #[serde(borrow)]
    members: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// The models of a list by name.
pub(super) fn read(text: &[u8]) -> Result<BTreeMap<String, Model<'_>>, serde_json::Error> {
    serde_json::from_slice(text)
}

impl Model<'_> {
    /// The model's price; nothing where it is not chosen, not priced by tokens, or free.
    ///
    /// # Errors
    /// What is wrong with a member.
    pub(super) fn entry(&self, name: &str, options: &ImportOptions) -> Result<Option<PriceEntry>, String> {
        let generates = match self.text("mode").as_deref() {
            Some("chat" | "responses" | "completion") => true,
            Some("embedding") => false,
            _ => return Ok(None),
        };
        let provider = self.text("litellm_provider").unwrap_or_default();
        if !options.providers.is_empty() && !options.providers.contains(&provider) {
            return Ok(None);
        }
        let mut rates = self.rates("")?;
        if !generates {
            // The list says that vectors cost nothing, which is no price.
            rates.output = None;
        }
        let free = |price: Option<Money>| price.is_none_or(|price| price == Money::ZERO);
        if free(rates.input) && free(rates.output) {
            return Ok(None);
        }
        let model = name.strip_prefix(&format!("{provider}/")).unwrap_or(name);
        Ok(Some(PriceEntry {
            id: None,
            model: model.into(),
            upstream: options.upstream.clone(),
            region: None,
            from: options.from,
            currency: options.currency.clone(),
            per: PER,
            discount: 0,
            rates,
            tiers: self.tiers()?,
            batch_multiplier: self.batch_multiplier(&rates)?,
            per_request: None,
            per_image: None,
            per_search: self.per_search()?,
            per_audio_minute: None,
            per_hour: None,
        }))
    }

    /// The prices of tokens whose members end so.
    fn rates(&self, suffix: &str) -> Result<Rates, String> {
        let of = |member: &str| self.per_million(&format!("{member}{suffix}"));
        Ok(Rates {
            input: of("input_cost_per_token")?,
            cached_input: of("cache_read_input_token_cost")?,
            cache_write: of("cache_creation_input_token_cost")?,
            cache_write_5m: None,
            // The lifetime stands before the threshold.
            cache_write_1h: self
                .per_million(&format!("cache_creation_input_token_cost_above_1hr{suffix}"))?,
            output: of("output_cost_per_token")?,
            audio_input: of("input_cost_per_audio_token")?,
            audio_output: of("output_cost_per_audio_token")?,
            image_input: of("input_cost_per_image_token")?,
            image_output: of("output_cost_per_image_token")?,
            characters: None,
        })
    }

    /// Classes for long inputs, named `…_above_200k_tokens`.
    fn tiers(&self) -> Result<Vec<TierEntry>, String> {
        let thresholds = self.members.keys().filter_map(|member| {
            let thousands = member.strip_prefix("input_cost_per_token_above_")?.strip_suffix("k_tokens")?;
            Some((thousands.parse::<u64>().ok()?.checked_mul(1_000)?, thousands))
        });
        let tiers = thresholds.map(|(above_input_tokens, thousands)| {
            let rates = self.rates(&format!("_above_{thousands}k_tokens"))?;
            Ok(TierEntry { above_input_tokens, rates })
        });
        let mut tiers = tiers.collect::<Result<Vec<_>, String>>()?;
        tiers.sort_by_key(|tier| tier.above_input_tokens);
        Ok(tiers)
    }

    /// The factor of batch calls, where input and output have the same one.
    fn batch_multiplier(&self, rates: &Rates) -> Result<Option<Money>, String> {
        let batched = [
            (rates.input, self.per_million("input_cost_per_token_batches")?),
            (rates.output, self.per_million("output_cost_per_token_batches")?),
        ];
        let factors = batched.into_iter().map(|(usual, batched)| ratio(usual?, batched?));
        Ok(match factors.collect::<Vec<_>>()[..] {
            [Some(input), Some(output)] if input == output => Some(input),
            [Some(input), None] if rates.output.is_none() => Some(input),
            _ => None,
        })
    }

    /// The fee of a search of medium context, which is the providers' default.
    fn per_search(&self) -> Result<Option<Money>, String> {
        let Some(raw) = self.members.get("search_context_cost_per_query") else { return Ok(None) };
        let Ok(sizes) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(raw.get()) else {
            return Err("`search_context_cost_per_query` is no object".to_owned());
        };
        let medium = sizes.get("search_context_size_medium");
        medium.map(|raw| amount("search_context_size_medium", raw.get(), 0)).transpose()
    }

    fn per_million(&self, member: &str) -> Result<Option<Money>, String> {
        let present = self.members.get(member).filter(|raw| raw.get() != "null");
        present.map(|raw| amount(member, raw.get(), PER_POWER)).transpose()
    }

    fn text(&self, member: &str) -> Option<String> {
        serde_json::from_str(self.members.get(member)?.get()).ok()
    }
}

fn amount(member: &str, raw: &str, power: i32) -> Result<Money, String> {
    match times_ten_to(raw, power) {
        Some(amount) if amount < Money::ZERO => Err(format!("`{member}` is negative")),
        Some(amount) => Ok(amount),
        None => Err(format!("`{member}` is no price: {}", raw.chars().take(40).collect::<String>())),
    }
}

/// How many times `usual` goes into `part`, where twelve places tell it exactly.
fn ratio(usual: Money, part: Money) -> Option<Money> {
    let scaled = part.pico().checked_mul(1_000_000_000_000)?;
    let exact = usual > Money::ZERO && scaled % usual.pico() == 0;
    exact.then(|| Money::from_pico(scaled / usual.pico()))
}
