//! All prices, found by id, by upstream and model, or by model.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tollgate_domain::{Name, UnixMillis, UpstreamModel, UpstreamName};

use super::{
    entry::{PriceEntry, PriceError, PriceFault},
    rates::Price,
};

/// The prices of a price file. Immutable.
#[derive(Debug, Default)]
pub struct PriceBook {
    by_id: HashMap<String, PriceLine>,
    by_model: HashMap<(Option<UpstreamName>, UpstreamModel), PriceLine>,
}

/// The prices of one model through time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PriceLine(Arc<[Arc<Price>]>);

impl PriceBook {
    /// Builds the book from entries in any order.
    ///
    /// # Errors
    ///
    /// The first entry that is unsound in itself or says what an earlier one has said, by its
    /// position and model.
    pub fn build(entries: Vec<PriceEntry>) -> Result<Self, PriceError> {
        let mut by_id: HashMap<String, Dated> = HashMap::new();
        let mut by_model: HashMap<_, Dated> = HashMap::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let failed = |fault| PriceError { index, model: entry.model.clone(), fault };
            let price = Arc::new(Price::build(&entry, price_id(&entry)).map_err(failed)?);
            let key = (entry.upstream.clone(), entry.model.clone());
            if let Some((other, _)) =
                by_model.entry(key).or_default().insert(entry.from, (index, price.clone()))
            {
                return Err(failed(PriceFault::Duplicate { other }));
            }
            let Some(id) = entry.id.clone() else { continue };
            if let Some((other, _)) = by_id.entry(id.clone()).or_default().insert(entry.from, (index, price))
            {
                return Err(failed(PriceFault::DuplicateId { other, id }));
            }
        }
        Ok(Self {
            by_id: by_id.into_iter().map(|(id, dated)| (id, line(dated))).collect(),
            by_model: by_model.into_iter().map(|(key, dated)| (key, line(dated))).collect(),
        })
    }

    /// The prices of a target: those with the id that it asks for, else those of its upstream and
    /// model, else those of its model anywhere.
    ///
    /// `None` when there are none; an id that is asked for and unknown finds nothing else.
    #[must_use]
    pub fn line(
        &self,
        explicit: Option<&str>,
        upstream: &UpstreamName,
        model: &UpstreamModel,
    ) -> Option<PriceLine> {
        if let Some(id) = explicit {
            return self.by_id.get(id).cloned();
        }
        let find = |upstream| self.by_model.get(&(upstream, model.clone()));
        find(Some(upstream.clone())).or_else(|| find(None)).cloned()
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

/// Prices by the date from which they count, each with its entry's position.
type Dated = BTreeMap<UnixMillis, (usize, Arc<Price>)>;

fn line(dated: Dated) -> PriceLine {
    PriceLine(dated.into_values().map(|(_, price)| price).collect())
}

/// What rows call an entry: its own id, or one made of what it is for.
fn price_id(entry: &PriceEntry) -> Name {
    if let Some(id) = &entry.id {
        return id.as_str().into();
    }
    let from = match jiff::Timestamp::from_millisecond(entry.from.get()) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => entry.from.get().to_string(),
    };
    match &entry.upstream {
        Some(upstream) => format!("{}@{upstream}:{from}", entry.model).into(),
        None => format!("{}:{from}", entry.model).into(),
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
            from: UnixMillis::new(0),
            currency: "USD".into(),
            per: 1_000_000,
            rates,
            tiers: Vec::new(),
            batch_multiplier: None,
            per_request: None,
            per_image: None,
            per_search: None,
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
        ])
        .expect("sound");
        let cases = [
            (None, "elsewhere", "m", Some("m:1970-01-01")),
            (None, "here", "m", Some("m@here:1970-01-02")),
            (None, "there", "m", Some("deal")),
            (Some("deal"), "elsewhere", "other", Some("deal")),
            (Some("unknown"), "here", "m", None),
            (None, "here", "other", None),
        ];
        for (explicit, upstream, model, want) in cases {
            let line = book.line(explicit, &upstream.into(), &model.into());
            let id = line.and_then(|line| line.at(UnixMillis::new(i64::MAX)).map(|price| price.id.clone()));
            assert_eq!(id.as_deref(), want, "{explicit:?} {upstream} {model}");
        }
    }

    #[test]
    fn the_newest_price_that_counts_is_taken() {
        let book =
            PriceBook::build(vec![dated("m", Some("late"), None, 200), dated("m", Some("early"), None, 100)])
                .expect("sound");
        let line = book.line(None, &"any".into(), &"m".into()).expect("known");
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
        assert_eq!(error.to_string(), "price entry 2 (b): entry 1 has the same model, upstream and date");
        let ids = PriceBook::build(vec![dated("a", Some("x"), None, 0), dated("b", Some("x"), None, 0)]);
        let error = ids.expect_err("refused");
        assert_eq!(error.to_string(), "price entry 1 (b): entry 0 has the same id \"x\" and date");
        let unsound = PriceBook::build(vec![entry("c", Rates::default())]).expect_err("refused");
        assert_eq!(unsound.to_string(), "price entry 0 (c): no price at all");
    }
}
