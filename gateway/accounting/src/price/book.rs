//! All prices, found by id, by upstream and model, or by model.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tollgate_domain::{Name, RegionName, UnixMillis, UpstreamModel, UpstreamName};

use super::{
    entry::{PriceEntry, PriceError, PriceFault},
    exchange::{Exchange, Rate},
    rates::Price,
};

/// The prices of a price file. Immutable.
#[derive(Debug, Default)]
pub struct PriceBook {
    by_id: HashMap<String, PriceLine>,
    by_model: HashMap<(Scope, UpstreamModel), PriceLine>,
}

/// The prices of one model through time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PriceLine(Arc<[Arc<Price>]>);

/// Where an entry counts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Scope {
    Everywhere,
    Region(RegionName),
    Upstream(UpstreamName),
}

impl PriceBook {
    /// Builds the book from entries in any order, each in its own currency.
    ///
    /// # Errors
    ///
    /// The first entry that is unsound in itself or says what an earlier one has said, by its
    /// position and model.
    pub fn build(entries: Vec<PriceEntry>) -> Result<Self, PriceError> {
        Self::build_from(entries, None)
    }

    /// Builds the book from entries in any order, in the currency of the exchange.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and an entry in a currency that has no rate on its date.
    pub fn build_in(exchange: &Exchange, entries: Vec<PriceEntry>) -> Result<Self, PriceError> {
        Self::build_from(entries, Some(exchange))
    }

    fn build_from(entries: Vec<PriceEntry>, exchange: Option<&Exchange>) -> Result<Self, PriceError> {
        let mut by_id: HashMap<String, Dated> = HashMap::new();
        let mut by_model: HashMap<_, Dated> = HashMap::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let entry = Arc::new(entry);
            let failed = |fault| PriceError { index, model: entry.model.clone(), fault };
            // Built once for its faults, in the order of the entries; for good when all dates are known.
            Price::build(&entry, entry.from, None, price_id(&entry, None)).map_err(failed)?;
            let key = (scope_of(&entry).map_err(failed)?, entry.model.clone());
            if let Some((other, _)) =
                by_model.entry(key).or_default().insert(entry.from, (index, entry.clone()))
            {
                return Err(failed(PriceFault::Duplicate { other }));
            }
            let Some(id) = entry.id.clone() else { continue };
            let dated = by_id.entry(id.clone()).or_default();
            if let Some((other, _)) = dated.insert(entry.from, (index, entry.clone())) {
                return Err(failed(PriceFault::DuplicateId { other, id }));
            }
        }
        let by_model = by_model.into_iter().map(|(key, dated)| Ok((key, line(dated, exchange)?)));
        let by_id = by_id.into_iter().map(|(id, dated)| Ok((id, line(dated, exchange)?)));
        Ok(Self { by_model: by_model.collect::<Result<_, _>>()?, by_id: by_id.collect::<Result<_, _>>()? })
    }

    /// The prices of a target, the nearest ones: those with the id that it asks for; else those of
    /// its upstream and model; else those of its region and model; else those of its model anywhere.
    ///
    /// `None` when there are none; an id that is asked for and unknown finds nothing else.
    #[must_use]
    pub fn line(
        &self,
        explicit: Option<&str>,
        upstream: &UpstreamName,
        region: &RegionName,
        model: &UpstreamModel,
    ) -> Option<PriceLine> {
        if let Some(id) = explicit {
            return self.by_id.get(id).cloned();
        }
        let scopes = [Scope::Upstream(upstream.clone()), Scope::Region(region.clone()), Scope::Everywhere];
        scopes.into_iter().find_map(|scope| self.by_model.get(&(scope, model.clone()))).cloned()
    }
}

impl PriceLine {
    /// The price of a call that started then: the newest that counted already. `None` before the
    /// first one.
    #[must_use]
    pub fn at(&self, started: UnixMillis) -> Option<&Arc<Price>> {
        self.0.iter().rev().find(|price| price.from <= started)
    }

    /// Every price of the line, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Price>> {
        self.0.iter()
    }
}

/// Entries by the date from which they count, each with its position.
type Dated = BTreeMap<UnixMillis, (usize, Arc<PriceEntry>)>;

/// The prices of entries, each until the next one begins: one per entry, or one for every rate of
/// exchange in its time.
fn line(dated: Dated, exchange: Option<&Exchange>) -> Result<PriceLine, PriceError> {
    let ends: Vec<_> = dated.keys().copied().skip(1).map(Some).chain([None]).collect();
    let mut prices = Vec::new();
    for ((from, (index, entry)), until) in dated.into_iter().zip(ends) {
        let failed = |fault| PriceError { index, model: entry.model.clone(), fault };
        let spans = match exchange {
            None => vec![(from, None)],
            Some(exchange) => exchange
                .spans(&entry.currency, from, until)
                .ok_or_else(|| failed(PriceFault::NoRate { currency: entry.currency.clone() }))?,
        };
        for (from, rate) in spans {
            let conversion = rate.zip(exchange.map(Exchange::currency));
            let price = Price::build(&entry, from, conversion, price_id(&entry, rate)).map_err(failed)?;
            prices.push(Arc::new(price));
        }
    }
    Ok(PriceLine(prices.into()))
}

fn scope_of(entry: &PriceEntry) -> Result<Scope, PriceFault> {
    match (&entry.upstream, &entry.region) {
        (None, None) => Ok(Scope::Everywhere),
        (Some(upstream), None) => Ok(Scope::Upstream(upstream.clone())),
        (None, Some(region)) => Ok(Scope::Region(region.clone())),
        (Some(_), Some(_)) => Err(PriceFault::UpstreamAndRegion),
    }
}

/// What rows call an entry: its own id, or one made of what it is for; with the rate by which it was
/// converted.
fn price_id(entry: &PriceEntry, rate: Option<Rate>) -> Name {
    let id = match &entry.id {
        Some(id) => id.clone(),
        None => made_id(entry),
    };
    match rate {
        Some(rate) => format!("{id};{}={}", entry.currency, rate.decimal()).into(),
        None => id.into(),
    }
}

fn made_id(entry: &PriceEntry) -> String {
    let from = match jiff::Timestamp::from_millisecond(entry.from.get()) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => entry.from.get().to_string(),
    };
    let model = &entry.model;
    match (&entry.upstream, &entry.region) {
        (Some(upstream), _) => format!("{model}@{upstream}:{from}"),
        (None, Some(region)) => format!("{model}@region={region}:{from}"),
        (None, None) => format!("{model}:{from}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::price::Rates;

    /// An entry of USD per million, from the epoch on.
    pub(in crate::price) fn entry(model: &str, rates: Rates) -> PriceEntry {
        PriceEntry {
            id: None,
            model: model.into(),
            upstream: None,
            region: None,
            from: UnixMillis::new(0),
            currency: "USD".into(),
            per: 1_000_000,
            discount: 0,
            rates,
            tiers: Vec::new(),
            batch_multiplier: None,
            per_request: None,
            per_image: None,
            per_search: None,
            per_audio_minute: None,
            per_hour: None,
        }
    }

    fn dated(model: &str, id: Option<&str>, upstream: Option<&str>, from: i64) -> PriceEntry {
        let rates = Rates { input: "1".parse().ok(), ..Rates::default() };
        PriceEntry {
            id: id.map(str::to_owned),
            upstream: upstream.map(UpstreamName::from),
            from: UnixMillis::new(from),
            ..entry(model, rates)
        }
    }

    #[test]
    fn the_nearest_line_is_found() {
        let book = PriceBook::build(vec![
            dated("m", None, None, 0),
            dated("m", None, Some("here"), 86_400_000),
            dated("m", Some("deal"), Some("there"), 0),
            PriceEntry { region: Some("south".into()), ..dated("m", None, None, 0) },
        ])
        .expect("sound");
        let cases = [
            (None, "elsewhere", "north", "m", Some("m:1970-01-01")),
            (None, "elsewhere", "south", "m", Some("m@region=south:1970-01-01")),
            (None, "here", "south", "m", Some("m@here:1970-01-02")),
            (None, "there", "north", "m", Some("deal")),
            (Some("deal"), "elsewhere", "south", "other", Some("deal")),
            (Some("unknown"), "here", "north", "m", None),
            (None, "here", "south", "other", None),
        ];
        for (explicit, upstream, region, model, want) in cases {
            let line = book.line(explicit, &upstream.into(), &region.into(), &model.into());
            let id = line.and_then(|line| line.at(UnixMillis::new(i64::MAX)).map(|price| price.id.clone()));
            assert_eq!(id.as_deref(), want, "{explicit:?} {upstream} {region} {model}");
        }
    }

    #[test]
    fn the_newest_price_that_counts_is_taken() {
        let book =
            PriceBook::build(vec![dated("m", Some("late"), None, 200), dated("m", Some("early"), None, 100)])
                .expect("sound");
        let line = book.line(None, &"any".into(), &"north".into(), &"m".into()).expect("known");
        let at = |millis| line.at(UnixMillis::new(millis)).map(|price| price.id.to_string());
        assert_eq!(at(99), None);
        assert_eq!(at(100).as_deref(), Some("early"));
        assert_eq!(at(199).as_deref(), Some("early"));
        assert_eq!(at(200).as_deref(), Some("late"));
    }

    #[test]
    fn errors_name_the_entry() {
        let twice = PriceBook::build(vec![
            dated("a", None, None, 0),
            dated("b", None, None, 0),
            dated("b", None, None, 0),
        ]);
        let error = twice.expect_err("refused");
        assert_eq!(
            error.to_string(),
            "price entry 2 (b): entry 1 has the same model, upstream, region and date"
        );
        let ids = PriceBook::build(vec![dated("a", Some("x"), None, 0), dated("b", Some("x"), None, 0)]);
        let error = ids.expect_err("refused");
        assert_eq!(error.to_string(), "price entry 1 (b): entry 0 has the same id \"x\" and date");
        let both = PriceEntry { region: Some("south".into()), ..dated("a", None, Some("here"), 0) };
        assert!(PriceBook::build(vec![both]).expect_err("refused").to_string().contains("`region` beside"));
        let unsound = PriceBook::build(vec![entry("c", Rates::default())]).expect_err("refused");
        assert_eq!(unsound.to_string(), "price entry 0 (c): no price at all");
    }

    #[test]
    fn another_currency_is_converted_once_at_the_rate_of_its_date() {
        let at = UnixMillis::new;
        let rate = |text: &str| Rate::from_decimal(text.parse().expect(text)).expect(text);
        let mut exchange = Exchange::new("USD".into());
        exchange.add("EUR".into(), at(0), rate("1.1")).expect("new");
        exchange.add("EUR".into(), at(200), rate("1.234567")).expect("new");
        let euro = |from: i64| PriceEntry { currency: "EUR".into(), ..dated("m", None, None, from) };
        let entries = vec![euro(100), PriceEntry { currency: "USD".into(), ..euro(300) }];
        let book = PriceBook::build_in(&exchange, entries).expect("sound");
        let line = book.line(None, &"any".into(), &"north".into(), &"m".into()).expect("known");
        let shown = |millis| {
            line.at(at(millis)).map(|price| {
                let input = price.unit_prices(0).0;
                (price.id.to_string(), price.currency.to_string(), input.pico())
            })
        };
        let expected = |id: &str, pico| Some((id.to_owned(), "USD".to_owned(), pico));
        assert_eq!(shown(99), None);
        assert_eq!(shown(150), expected("m:1970-01-01;EUR=1.1", 1_100_000));
        assert_eq!(shown(200), expected("m:1970-01-01;EUR=1.234567", 1_234_567));
        assert_eq!(shown(300), expected("m:1970-01-01", 1_000_000), "the newer price ends the older");
        let yen = PriceEntry { currency: "JPY".into(), ..euro(100) };
        let error = PriceBook::build_in(&exchange, vec![euro(0), yen]).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "price entry 1 (m): there is no rate of JPY that counts on the price's date"
        );
    }
}
