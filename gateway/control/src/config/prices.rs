//! Price files: dated prices per model, as decimal texts.

use std::{path::PathBuf, sync::Arc};

use serde::Deserialize;
use tollgate_accounting::price::{PriceBook, PriceEntry, PriceError, PriceFault, Rates, TierEntry};
use tollgate_domain::{Money, Name, RegionName, UnixMillis, UpstreamName};

use super::{
    currency::is_currency,
    document,
    file::{Instant, Percent},
    problem::{Errors, Path, Place, Problem},
    sources::Sources,
    tree::Node,
    typed,
};

/// The entries of all price files, with the place of each.
#[derive(Clone, Debug, Default)]
pub struct PriceFile {
    /// Entries in the order of the files.
    pub items: Vec<PriceItem>,
    /// Where each of them stands.
    pub(super) spots: Vec<Spot>,
}

/// Where an entry stands in its own file.
#[derive(Clone)]
pub(super) struct Spot {
    tree: Arc<Node>,
    path: Path,
}

impl Spot {
    /// An error at one of its fields, or at the entry where it has no such field.
    pub(super) fn problem(&self, field: &str, message: impl Into<String>) -> Problem {
        let path = self.path.field(field);
        let place = self.tree.place_of(&path).clone();
        Problem { path, ..Problem::at(Some(place), message) }
    }

    fn place(&self) -> &Place {
        self.tree.place_of(&self.path)
    }
}

impl std::fmt::Debug for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place(), self.path)
    }
}

/// What one file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneFile {
    prices: Vec<PriceItem>,
}

/// The price of a model from a date on. Prices are for `per` units.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceItem {
    /// Name that a target's `price:` may use, and that rows carry. Default: made from the rest.
    pub id: Option<String>,
    /// What the provider calls the model.
    pub model: String,
    /// Only at this upstream. Default: at all.
    pub upstream: Option<String>,
    /// Only in this region; not beside an upstream. Default: in all.
    pub region: Option<String>,
    /// From when on, at midnight UTC.
    pub from: Instant,
    /// Currency, an ISO 4217 code. Default: the configuration's.
    pub currency: Option<String>,
    /// Units that the prices are for. Default: 1000000.
    #[serde(default = "million")]
    pub per: u64,
    /// What was agreed to be taken off every amount of the entry. Example: `"12.5%"`.
    pub discount: Option<Percent>,
    /// Input tokens.
    pub input: Option<Money>,
    /// Input tokens read from a cache.
    pub cached_input: Option<Money>,
    /// Input tokens written to a cache.
    pub cache_write: Option<Money>,
    /// Input tokens written to a cache for five minutes.
    pub cache_write_5m: Option<Money>,
    /// Input tokens written to a cache for an hour.
    pub cache_write_1h: Option<Money>,
    /// Output tokens, reasoning included.
    pub output: Option<Money>,
    /// Input tokens of audio.
    pub audio_input: Option<Money>,
    /// Output tokens of audio.
    pub audio_output: Option<Money>,
    /// Input tokens of images.
    pub image_input: Option<Money>,
    /// Output tokens of images.
    pub image_output: Option<Money>,
    /// Characters of text to be spoken.
    pub characters: Option<Money>,
    /// Factor of batch calls. Example: `"0.5"`.
    pub batch_multiplier: Option<Money>,
    /// Other prices of the whole request above a number of input tokens.
    #[serde(default)]
    pub tiers: Vec<TierItem>,
    /// One request.
    pub per_request: Option<Money>,
    /// One image.
    pub per_image: Option<Money>,
    /// One search, or one search unit of a rerank.
    pub per_search: Option<Money>,
    /// One minute of audio that is listened to.
    pub per_audio_minute: Option<Money>,
    /// One hour.
    pub per_hour: Option<Money>,
}

/// Prices of the whole request above a number of input tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierItem {
    /// Strictly above this many.
    pub above_input_tokens: u64,
    /// Input tokens.
    pub input: Option<Money>,
    /// Input tokens read from a cache.
    pub cached_input: Option<Money>,
    /// Input tokens written to a cache.
    pub cache_write: Option<Money>,
    /// Input tokens written to a cache for five minutes.
    pub cache_write_5m: Option<Money>,
    /// Input tokens written to a cache for an hour.
    pub cache_write_1h: Option<Money>,
    /// Output tokens, reasoning included.
    pub output: Option<Money>,
    /// Input tokens of audio.
    pub audio_input: Option<Money>,
    /// Output tokens of audio.
    pub audio_output: Option<Money>,
    /// Input tokens of images.
    pub image_input: Option<Money>,
    /// Output tokens of images.
    pub image_output: Option<Money>,
    /// Characters of text to be spoken.
    pub characters: Option<Money>,
}

impl PriceItem {
    fn entry(&self, currency: &Name) -> PriceEntry {
        PriceEntry {
            id: self.id.clone(),
            model: self.model.as_str().into(),
            upstream: self.upstream.as_deref().map(UpstreamName::from),
            region: self.region.as_deref().map(RegionName::from),
            from: UnixMillis::new(self.from.millis),
            currency: self.currency.as_deref().map_or_else(|| currency.clone(), Name::from),
            per: self.per,
            discount: self.discount.map_or(0, |discount| discount.millionths),
            rates: Rates {
                input: self.input,
                cached_input: self.cached_input,
                cache_write: self.cache_write,
                cache_write_5m: self.cache_write_5m,
                cache_write_1h: self.cache_write_1h,
                output: self.output,
                audio_input: self.audio_input,
                audio_output: self.audio_output,
                image_input: self.image_input,
                image_output: self.image_output,
                characters: self.characters,
            },
            tiers: self.tiers.iter().map(TierItem::entry).collect(),
            batch_multiplier: self.batch_multiplier,
            per_request: self.per_request,
            per_image: self.per_image,
            per_search: self.per_search,
            per_audio_minute: self.per_audio_minute,
            per_hour: self.per_hour,
        }
    }

    /// Every amount by the name that the file uses.
    #[must_use]
    pub fn amounts(&self) -> [(&'static str, Option<Money>); 17] {
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
            ("batch_multiplier", self.batch_multiplier),
            ("per_request", self.per_request),
            ("per_image", self.per_image),
            ("per_search", self.per_search),
            ("per_audio_minute", self.per_audio_minute),
            ("per_hour", self.per_hour),
        ]
    }
}

impl TierItem {
    fn entry(&self) -> TierEntry {
        TierEntry {
            above_input_tokens: self.above_input_tokens,
            rates: Rates {
                input: self.input,
                cached_input: self.cached_input,
                cache_write: self.cache_write,
                cache_write_5m: self.cache_write_5m,
                cache_write_1h: self.cache_write_1h,
                output: self.output,
                audio_input: self.audio_input,
                audio_output: self.audio_output,
                image_input: self.image_input,
                image_output: self.image_output,
                characters: self.characters,
            },
        }
    }
}

impl PriceFile {
    /// True when a target has a price, by its own choice or by the entries' upstream or region and
    /// model.
    #[must_use]
    pub fn has(&self, explicit: Option<&str>, upstream: &str, region: &str, model: &str) -> bool {
        match explicit {
            Some(id) => self.items.iter().any(|item| item.id.as_deref() == Some(id)),
            None => self.items.iter().any(|item| {
                item.model == model
                    && item.upstream.as_deref().is_none_or(|only| only == upstream)
                    && item.region.as_deref().is_none_or(|only| only == region)
            }),
        }
    }
}

impl PriceFile {
    /// Reads price files alone, without a configuration that names them. Entries without a currency
    /// are in the given one.
    ///
    /// # Errors
    /// Everything that is wrong with them, at its place.
    pub fn load(paths: &[PathBuf], currency: &Name, sources: &Sources) -> Result<Self, Errors> {
        let (mut prices, mut problems) = (Self::default(), Vec::new());
        for path in paths {
            match document::read_text(path, sources) {
                Ok(text) => read(&document::shown(path), &text, &mut prices, &mut problems),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty()
            && let Err(error) = PriceBook::build(prices.entries(currency))
        {
            problems.push(prices.problem(&error));
        }
        if problems.is_empty() { Ok(prices) } else { Err(Errors(problems)) }
    }

    /// An entry that the price book refuses, at its place.
    pub(super) fn problem(&self, error: &PriceError) -> Problem {
        let spot = &self.spots[error.index];
        let message = match &error.fault {
            PriceFault::Duplicate { other } => format!(
                "the entry at {} has the same model, upstream, region and date: give one a later `from`, or an `upstream`",
                self.spots[*other].place()
            ),
            PriceFault::DuplicateId { other, id } => format!(
                "the entry at {} has the same id `{id}` and date: change one's `id` or `from`",
                self.spots[*other].place()
            ),
            PriceFault::Empty => {
                "no price at all: give `input` and `output`, or one such as `per_request`".to_owned()
            }
            fault => fault.to_string(),
        };
        Problem { path: spot.path.clone(), ..Problem::at(Some(spot.place().clone()), message) }
    }

    /// The entries as the price book takes them, in the same order. Those without a currency are in the
    /// given one.
    #[must_use]
    pub fn entries(&self, currency: &Name) -> Vec<PriceEntry> {
        self.items.iter().map(|item| item.entry(currency)).collect()
    }
}

/// Adds the entries of one file; what is wrong with it is reported.
pub(super) fn read(file: &Arc<str>, text: &str, into: &mut PriceFile, problems: &mut Vec<Problem>) {
    let tree = match Node::parse(file, text) {
        Ok(tree) => Arc::new(tree),
        Err(problem) => return problems.push(problem),
    };
    let items = match typed::read::<OneFile>(&mut (*tree).clone()) {
        Ok(one) => one.prices,
        Err(more) => return problems.extend(more),
    };
    for (index, item) in items.into_iter().enumerate() {
        let here = Path::default().field("prices").index(index);
        let mut refuse = |path: Path, message: &str| {
            let place = Some(tree.place_of(&path).clone());
            problems.push(Problem { path, ..Problem::at(place, message) });
        };
        for (name, _) in
            item.amounts().iter().filter(|(_, amount)| amount.is_some_and(|amount| amount < Money::ZERO))
        {
            refuse(here.field(name), "a price cannot be negative: expected 0 or more");
        }
        if item.discount.is_some_and(|discount| discount.millionths >= 1_000_000) {
            refuse(here.field("discount"), "must be below 100%");
        }
        if item.upstream.is_some() && item.region.is_some() {
            refuse(here.field("region"), "an upstream has its own region: give one of them");
        }
        if item.per == 0 {
            refuse(here.field("per"), "must be at least 1");
        }
        if item.currency.as_deref().is_some_and(|code| !is_currency(code)) {
            refuse(here.field("currency"), "not a currency: use a code of ISO 4217, such as USD");
        }
        into.spots.push(Spot { tree: Arc::clone(&tree), path: here });
        into.items.push(item);
    }
}

fn million() -> u64 {
    1_000_000
}
