//! One dated price, with every unit price rounded and every fall-back decided.

use tollgate_domain::{Money, Name, UnitPrice, Units, UnixMillis, Usage};

use super::{
    bill::{Bill, MeterKind},
    class::{Class, classes},
    entry::{PriceEntry, PriceFault},
    exchange::Rate,
    scale::Scale,
};

/// What a model costs from a date on.
#[derive(Debug)]
pub struct Price {
    /// The entry's id, or `MODEL[@UPSTREAM]:DATE`; what ledger rows name.
    pub id: Name,
    /// The currency of all its amounts.
    pub currency: Name,
    /// The first instant at which it counts.
    pub from: UnixMillis,
    /// Factor on token prices for batch processing.
    pub batch_multiplier: Option<Money>,
    /// Fee of one call.
    pub per_request: Option<UnitPrice>,
    /// Fee of one image.
    pub per_image: Option<UnitPrice>,
    /// Fee of one server-side search.
    pub per_search: Option<UnitPrice>,
    /// Fee of one millisecond of audio that is listened to.
    pub per_audio_milli: Option<UnitPrice>,
    /// Fee of one hour of reserved capacity.
    pub per_hour: Option<UnitPrice>,
    /// By ascending threshold; the first is for every request.
    classes: Vec<Class>,
    /// The same without what was agreed to be taken off.
    list: Option<Box<Self>>,
}

impl Price {
    /// The bill of a call, exact. The whole call is billed in the class that its total input
    /// reaches, cached input included.
    #[must_use]
    pub fn bill(&self, usage: &Usage) -> Bill {
        let mut bill = self.bill_here(usage);
        if let Some(list) = &self.list {
            // The list prices the same dimensions, so its bill has the same meters.
            for (meter, listed) in bill.meters.iter_mut().zip(list.bill_here(usage).meters) {
                meter.list_price = Some(listed.unit_price);
            }
        }
        bill
    }

    fn bill_here(&self, usage: &Usage) -> Bill {
        let class = self.class(usage.input_tokens());
        let prices = [
            (MeterKind::Input, class.input),
            (MeterKind::CachedInput, class.cached_input),
            (MeterKind::CacheWrite5m, class.cache_write_5m),
            (MeterKind::CacheWrite1h, class.cache_write_1h),
            (MeterKind::CacheWrite, class.cache_write),
            (MeterKind::Output, class.output),
            (MeterKind::Reasoning, class.output),
            (MeterKind::AudioInput, class.audio_input),
            (MeterKind::AudioOutput, class.audio_output),
            (MeterKind::ImageInput, class.image_input),
            (MeterKind::ImageOutput, class.image_output),
            (MeterKind::Image, self.per_image),
            (MeterKind::AudioTime, self.per_audio_milli),
            (MeterKind::Character, class.characters),
            (MeterKind::SearchUnit, self.per_search),
            (MeterKind::Search, self.per_search),
        ];
        let mut bill = Bill { incomplete: class.cached_as_input && usage.cache_read > 0, ..Bill::default() };
        // What is paid by the hour costs nothing more by the token.
        let by_hour = self.per_hour.is_some() && class.is_empty();
        let counted = prices.map(|(meter, price)| (meter, meter.quantity(usage), price));
        let counted = counted.into_iter().filter(|(_, quantity, _)| *quantity > 0);
        // Tokens and images, minutes or characters measure the same thing twice: a price needs one of them.
        let by_unit = counted.clone().any(|(meter, _, price)| meter.is_beside_tokens() && price.is_some());
        let is_token = |meter: MeterKind| !meter.is_beside_tokens() && meter != MeterKind::Search;
        let by_token = counted.clone().any(|(meter, _, price)| is_token(meter) && price.is_some());
        for (meter, quantity, unit_price) in counted {
            match unit_price {
                Some(unit_price) => bill.add(meter, quantity, unit_price, &self.id),
                None if meter.is_beside_tokens() => bill.incomplete |= !by_token,
                None => bill.incomplete |= !by_hour && (meter == MeterKind::Search || !by_unit),
            }
        }
        if let Some(fee) = self.per_request {
            bill.add(MeterKind::Request, 1, fee, &self.id);
        }
        bill
    }

    /// The most that a call with up to this many tokens can cost: all input in its dearest
    /// dimension (a cache write costs more than plain input at some providers), all output
    /// likewise, all units that the request asks for. Server-side searches come on top; nobody can
    /// tell their number before.
    #[must_use]
    pub fn worst_case(&self, input_tokens: u64, output_tokens: u64, units: &Units) -> Money {
        let (input, output) = self.unit_prices(input_tokens);
        let fees = [
            (self.per_request, 1),
            (self.per_image, units.images),
            (self.per_audio_milli, units.audio_millis),
            (self.class(input_tokens).characters, units.characters),
            (self.per_search, units.search_units),
        ];
        let fees: Money = fees.into_iter().filter_map(|(fee, quantity)| Some(fee?.times(quantity))).sum();
        input.times(input_tokens) + output.times(output_tokens) + fees
    }

    /// The dearest price of an input token and of an output token in a call with this much input.
    #[must_use]
    pub fn unit_prices(&self, input_tokens: u64) -> (UnitPrice, UnitPrice) {
        let class = self.class(input_tokens);
        (class.dearest_input, class.dearest_output)
    }

    fn class(&self, input_tokens: u64) -> &Class {
        let reached = |class: &&Class| class.above.is_none_or(|above| input_tokens > above);
        self.classes.iter().rev().find(reached).expect("the first class is for every request")
    }

    /// Rounds an entry's amounts, as agreed and converted, and decides its fall-backs. The price
    /// counts from `from` on, in the currency of the conversion if there is one.
    pub(super) fn build(
        entry: &PriceEntry,
        from: UnixMillis,
        conversion: Option<(Rate, &Name)>,
        id: Name,
    ) -> Result<Self, PriceFault> {
        let scale = Scale::of(entry.discount, conversion.map(|(rate, _)| rate))?;
        let currency = conversion.map_or(&entry.currency, |(_, currency)| currency).clone();
        let mut price = Self::scaled(entry, from, currency.clone(), id.clone(), scale)?;
        if entry.discount > 0 {
            let list = Scale::of(0, conversion.map(|(rate, _)| rate))?;
            price.list = Some(Box::new(Self::scaled(entry, from, currency, id, list)?));
        }
        Ok(price)
    }

    fn scaled(
        entry: &PriceEntry,
        from: UnixMillis,
        currency: Name,
        id: Name,
        scale: Scale,
    ) -> Result<Self, PriceFault> {
        if entry.per == 0 {
            return Err(PriceFault::PerZero);
        }
        if entry.batch_multiplier.is_some_and(|factor| factor <= Money::ZERO) {
            return Err(PriceFault::BatchMultiplier);
        }
        let price = Self {
            id,
            currency,
            from,
            batch_multiplier: entry.batch_multiplier,
            per_request: scale.unit_price("per_request", entry.per_request, 1)?,
            per_image: scale.unit_price("per_image", entry.per_image, 1)?,
            per_search: scale.unit_price("per_search", entry.per_search, 1)?,
            per_audio_milli: scale.unit_price("per_audio_minute", entry.per_audio_minute, 60_000)?,
            per_hour: scale.unit_price("per_hour", entry.per_hour, 1)?,
            classes: classes(entry, scale)?,
            list: None,
        };
        let fees =
            [price.per_request, price.per_image, price.per_search, price.per_audio_milli, price.per_hour];
        let tokens = entry.rates.named().into_iter().any(|(_, rate)| rate.is_some());
        if !tokens && fees.iter().all(Option::is_none) {
            return Err(PriceFault::Empty);
        }
        Ok(price)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::price::{Rates, TierEntry, book::tests::entry};

    fn money(text: &str) -> Money {
        text.parse().expect("a decimal")
    }

    fn rates(input: &str, output: &str) -> Rates {
        Rates { input: Some(money(input)), output: Some(money(output)), ..Rates::default() }
    }

    fn build(entry: &PriceEntry) -> Price {
        Price::build(entry, entry.from, None, "test".into()).expect("a sound entry")
    }

    /// What each meter of a bill costs, as text.
    fn shown(bill: &Bill) -> Vec<(&'static str, u64, String)> {
        bill.meters.iter().map(|m| (m.meter.as_str(), m.quantity, m.cost.to_string())).collect()
    }

    #[test]
    fn every_dimension_is_billed_at_its_own_price() {
        let full = Rates {
            cached_input: Some(money("0.30")),
            cache_write: Some(money("3.50")),
            cache_write_5m: Some(money("3.75")),
            cache_write_1h: Some(money("6.00")),
            audio_input: Some(money("32")),
            audio_output: Some(money("64")),
            ..rates("3.00", "15.00")
        };
        let price = build(&PriceEntry {
            per_request: Some(money("0.01")),
            per_search: Some(money("0.02")),
            ..entry("m", full)
        });
        let usage = Usage {
            input_uncached: 1_000,
            input_audio: 10,
            cache_read: 2_000,
            cache_read_excess: 0,
            cache_read_audio: 0,
            cache_write_5m: 300,
            cache_write_1h: 40,
            cache_write_other: 5,
            output_text: 100,
            output_reasoning: 200,
            output_audio: 7,
            web_searches: 3,
            ..Usage::default()
        };
        let bill = price.bill(&usage);
        let want = [
            ("input", 1_000, "0.003"),
            ("cached_input", 2_000, "0.0006"),
            ("cache_write_5m", 300, "0.001125"),
            ("cache_write_1h", 40, "0.00024"),
            ("cache_write", 5, "0.0000175"),
            ("output", 100, "0.0015"),
            ("reasoning", 200, "0.003"),
            ("audio_input", 10, "0.00032"),
            ("audio_output", 7, "0.000448"),
            ("search", 3, "0.06"),
            ("request", 1, "0.01"),
        ];
        let shown = shown(&bill);
        assert_eq!(shown.iter().map(|(m, q, c)| (*m, *q, c.as_str())).collect::<Vec<_>>(), want);
        assert!(!bill.incomplete);
    }

    #[test]
    fn what_is_not_counted_in_tokens_has_a_price_of_its_own() {
        let price = build(&PriceEntry {
            per_image: Some(money("0.04")),
            per_audio_minute: Some(money("0.006")),
            per_search: Some(money("0.002")),
            ..entry("m", Rates { characters: Some(money("15")), ..Rates::default() })
        });
        let units = Units { images: 2, audio_millis: 90_500, characters: 1_000, search_units: 3 };
        let tokens = Usage { input_uncached: 10, output_image: 5, units, ..Usage::default() };
        let bill = price.bill(&tokens);
        let want = [
            ("image", 2, "0.08"),
            ("audio_time", 90_500, "0.00905"),
            ("character", 1_000, "0.015"),
            ("search_unit", 3, "0.006"),
        ];
        assert_eq!(shown(&bill).iter().map(|(m, q, c)| (*m, *q, c.as_str())).collect::<Vec<_>>(), want);
        assert!(!bill.incomplete, "tokens are another measure of the same");
        assert_eq!(price.worst_case(0, 0, &units), bill.cost);
        let by_token = build(&entry("m", Rates { image_output: Some(money("40")), ..rates("5", "10") }));
        let bill = by_token.bill(&tokens);
        assert_eq!((bill.cost.to_string().as_str(), bill.incomplete), ("0.00025", false));
        let only_units = Usage { units, ..Usage::default() };
        assert!(by_token.bill(&only_units).incomplete, "no token was counted that could stand for them");
        let neither = build(&PriceEntry { per_request: Some(money("1")), ..entry("m", Rates::default()) });
        assert!(neither.bill(&only_units).incomplete);
    }

    #[test]
    fn a_dimension_without_a_price_falls_back_along_its_chain() {
        let write = |w: Option<&str>, five: Option<&str>, hour: Option<&str>| Rates {
            cache_write: w.map(money),
            cache_write_5m: five.map(money),
            cache_write_1h: hour.map(money),
            ..rates("2", "10")
        };
        // rates, then what a million tokens of 5m, 1h and other writes cost
        let cases = [
            ("nothing", write(None, None, None), ["2", "2", "2"]),
            ("any lifetime", write(Some("2.2"), None, None), ["2.2", "2.2", "2.2"]),
            ("five minutes", write(None, Some("2.5"), None), ["2.5", "4", "2.5"]),
            ("both", write(Some("2.2"), Some("2.5"), None), ["2.5", "4", "2.2"]),
            ("one hour", write(None, None, Some("4.1")), ["2", "4.1", "2"]),
        ];
        for (name, rates, want) in cases {
            let price = build(&entry("m", rates));
            let cost = |usage: Usage| {
                let bill = price.bill(&usage);
                assert!(!bill.incomplete, "{name}: a defined fall-back is no gap");
                bill.cost.to_string()
            };
            let million = 1_000_000;
            assert_eq!(cost(Usage { cache_write_5m: million, ..Usage::default() }), want[0], "{name}, 5m");
            assert_eq!(cost(Usage { cache_write_1h: million, ..Usage::default() }), want[1], "{name}, 1h");
            assert_eq!(
                cost(Usage { cache_write_other: million, ..Usage::default() }),
                want[2],
                "{name}, other"
            );
        }
    }

    #[test]
    fn a_bill_with_a_gap_says_so() {
        let cases = [
            ("cached input billed as input", Usage { cache_read: 1_000_000, ..Usage::default() }, "2", true),
            ("a search nobody priced", Usage { web_searches: 1, ..Usage::default() }, "0", true),
            ("audio billed as text", Usage { input_audio: 1_000_000, ..Usage::default() }, "2", false),
            ("nothing used", Usage::default(), "0", false),
        ];
        let price = build(&entry("m", rates("2", "10")));
        for (name, usage, cost, incomplete) in cases {
            let bill = price.bill(&usage);
            assert_eq!((bill.cost.to_string().as_str(), bill.incomplete), (cost, incomplete), "{name}");
        }
        let embedding = build(&entry("m", Rates { input: Some(money("0.02")), ..Rates::default() }));
        assert!(embedding.bill(&Usage { output_text: 1, ..Usage::default() }).incomplete);
    }

    #[test]
    fn a_long_request_is_billed_whole_at_its_class() {
        let base = Rates { cache_write: Some(money("6.25")), ..rates("5", "30") };
        let long = TierEntry { above_input_tokens: 272_000, rates: rates("10", "45") };
        let price = build(&PriceEntry { tiers: vec![long], ..entry("m", base) });
        let usage = |uncached, read| Usage {
            input_uncached: uncached,
            cache_write_other: read,
            output_text: 1_000,
            ..Usage::default()
        };
        assert_eq!(price.bill(&usage(272_000, 0)).cost.to_string(), "1.39", "at the threshold: still short");
        assert_eq!(price.bill(&usage(272_001, 0)).cost.to_string(), "2.76501", "one above: all of it");
        let mixed = price.bill(&usage(272_000, 1_000));
        assert_eq!(mixed.cost.to_string(), "2.77125", "written input counts; its price is inherited");
    }

    #[test]
    fn what_cannot_be_a_price_is_refused() {
        let one = |rates: Rates, per| PriceEntry { per, ..entry("m", rates) };
        let tier = |above| TierEntry { above_input_tokens: above, rates: rates("3", "3") };
        let cases = [
            (one(rates("1", "1"), 0), PriceFault::PerZero),
            (one(Rates::default(), 1), PriceFault::Empty),
            (one(rates("-1", "1"), 1), PriceFault::Negative { field: "input" }),
            (one(rates("1", "0.0000001"), 1_000_000), PriceFault::RoundsToZero { field: "output" }),
            (one(rates("10000000", "1"), 1), PriceFault::TooLarge { field: "input" }),
            (
                PriceEntry { tiers: vec![tier(5), tier(5)], ..entry("m", rates("1", "1")) },
                PriceFault::DuplicateTier { above_input_tokens: 5 },
            ),
            (
                PriceEntry { batch_multiplier: Some(Money::ZERO), ..entry("m", rates("1", "1")) },
                PriceFault::BatchMultiplier,
            ),
        ];
        for (entry, fault) in cases {
            assert_eq!(Price::build(&entry, entry.from, None, "test".into()).expect_err("refused"), fault);
        }
        let free = one(rates("0", "0"), 1);
        assert!(Price::build(&free, free.from, None, "free".into()).is_ok());
    }

    #[test]
    fn capacity_by_the_hour_is_free_by_the_token() {
        let hourly = PriceEntry { per_hour: Some(money("36")), ..entry("m", Rates::default()) };
        let usage = Usage { input_uncached: 10, cache_read: 5, output_text: 3, ..Usage::default() };
        let bill = build(&hourly).bill(&usage);
        assert_eq!((bill.cost, bill.meters.len(), bill.incomplete), (Money::ZERO, 0, false));
        let mixed = PriceEntry { rates: rates("1", "2"), ..hourly };
        assert_eq!(build(&mixed).bill(&usage).cost.to_string(), "0.000021", "unless it is priced too");
    }

    #[test]
    fn an_agreed_price_is_charged_and_the_list_price_kept() {
        let agreed = PriceEntry {
            discount: 125_000,
            per_request: Some(money("0.01")),
            ..entry("m", rates("3.00", "0.000007"))
        };
        let bill = build(&agreed).bill(&Usage { input_uncached: 1_000, output_text: 10, ..Usage::default() });
        let shown: Vec<_> = bill
            .meters
            .iter()
            .map(|m| (m.meter.as_str(), m.unit_price.pico(), m.list_price.map(UnitPrice::pico)))
            .collect();
        let want = [
            ("input", 2_625_000, Some(3_000_000)),
            ("output", 6, Some(7)),
            ("request", 8_750_000_000, Some(10_000_000_000)),
        ];
        assert_eq!(shown, want, "6.125 is rounded once");
        assert_eq!(bill.cost, bill.meters.iter().map(|m| m.unit_price.times(m.quantity)).sum());
        for discount in [1_000_000, 1_000_001] {
            let all = PriceEntry { discount, ..agreed.clone() };
            let fault = Price::build(&all, all.from, None, "test".into()).expect_err("refused");
            assert_eq!(fault, PriceFault::Discount);
        }
    }

    fn any_rate() -> impl Strategy<Value = Option<Money>> {
        proptest::option::of((1_i64..100_000_000_000_000).prop_map(|pico| Money::from_pico(i128::from(pico))))
    }

    fn any_rates() -> impl Strategy<Value = Rates> {
        let more = (any_rate(), any_rate(), any_rate(), any_rate());
        (any_rate(), any_rate(), any_rate(), any_rate(), more).prop_map(
            |(input, cached, write, output, more)| Rates {
                input,
                cached_input: cached,
                cache_write: write,
                cache_write_5m: more.0,
                cache_write_1h: more.1,
                output,
                audio_input: more.2,
                audio_output: more.3,
                ..Rates::default()
            },
        )
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        proptest::array::uniform10(0_u64..1_000_000).prop_map(|n| Usage {
            input_uncached: n[0],
            input_audio: n[1],
            cache_read: n[2],
            cache_read_excess: 0,
            cache_read_audio: 0,
            cache_write_5m: n[3],
            cache_write_1h: n[4],
            cache_write_other: n[5],
            output_text: n[6],
            output_reasoning: n[7],
            output_audio: n[8],
            web_searches: n[9] % 5,
            input_image: n[0] / 3,
            output_image: n[1] / 3,
            units: Units { images: n[2] % 7, audio_millis: n[3], characters: n[4], search_units: n[5] % 9 },
        })
    }

    proptest! {
        #[test]
        fn meters_sum_to_the_cost_and_the_worst_case_bounds_it(
            base in any_rates(), tier in any_rates(), above in 0_u64..3_000_000,
            usage in any_usage(), fee in any_rate(), slack in 0_u64..1_000_000,
        ) {
            let tiers = vec![TierEntry { above_input_tokens: above, rates: tier }];
            let priced = PriceEntry { per: 7, tiers, per_request: fee, per_search: Some(money("0.01")), ..entry("m", base) };
            let price = Price::build(&priced, priced.from, None, "test".into()).expect("sound");
            let bill = price.bill(&usage);
            prop_assert_eq!(bill.meters.iter().map(|meter| meter.cost).sum::<Money>(), bill.cost);
            for meter in &bill.meters {
                prop_assert!(meter.quantity > 0);
                prop_assert_eq!(meter.cost, meter.unit_price.times(meter.quantity));
            }
            let worst = price.worst_case(usage.input_tokens() + slack, usage.output_tokens(), &usage.units);
            let searches = money("0.01").pico() * i128::from(usage.web_searches);
            prop_assert!(bill.cost <= worst + Money::from_pico(searches));
        }
    }
}
