//! A month of requests, and the invoice that an honest provider would write for it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};
use smallvec::smallvec;
use tempfile::TempDir;
use tollgate_accounting::{
    ledger::Entry,
    price::{Meter, MeterKind},
};
use tollgate_domain::{Money, RequestId, UnitPrice, UnixMillis, Usage};
use tollgate_stores::SqliteStore;

use crate::ground::{entry, store_of};

/// 2026-11-01T00:00:00Z.
pub(crate) const NOVEMBER: UnixMillis = UnixMillis::new(1_793_491_200_000);
pub(crate) const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
pub(crate) const MODELS: [&str; 5] = ["gpt-a", "gpt-b", "gpt-c", "gpt-d", "gpt-e"];

/// Pico-units of a token.
const INPUT: i64 = 2_500_000;
const OUTPUT: i64 = 10_000_000;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) model: &'static str,
    pub(crate) at: UnixMillis,
    input: u64,
    output: u64,
}

impl Use {
    pub(crate) fn day(&self) -> i8 {
        self.day_in(0)
    }

    fn day_in(&self, offset: i64) -> i8 {
        let day = (self.at.get() + offset * HOUR - NOVEMBER.get()).div_euclid(DAY) + 1;
        i8::try_from(day).expect("a day of a month or next to it")
    }

    pub(crate) fn cost(&self) -> Money {
        UnitPrice::from_pico(INPUT).times(self.input) + UnitPrice::from_pico(OUTPUT).times(self.output)
    }
}

/// A request of every model in each third hour of November, none like another.
pub(crate) fn uses() -> Vec<Use> {
    let of_hour = |hour: i64| {
        MODELS.into_iter().enumerate().map(move |(place, model)| {
            let odd = (hour * 7 + place as i64 * 13 + hour * hour % 11) as u64;
            let at = NOVEMBER.plus(hour * HOUR + 60_000);
            Use { model, at, input: 1_000_003 + odd * 1_117, output: 200_001 + odd * 331 }
        })
    };
    (0..30 * 24).step_by(3).flat_map(of_hour).collect()
}

pub(crate) fn stored(uses: &[Use]) -> (TempDir, SqliteStore) {
    let entries: Vec<Entry> = (1..).zip(uses).map(|(number, used)| row(number, used)).collect();
    store_of(&entries)
}

fn row(number: u64, used: &Use) -> Entry {
    let meter = |meter, quantity, pico| {
        let unit_price = UnitPrice::from_pico(pico);
        Meter {
            meter,
            quantity,
            unit_price,
            list_price: None,
            cost: unit_price.times(quantity),
            price_id: "p".into(),
        }
    };
    Entry {
        id: RequestId::new(used.at, number.into()),
        started_at: used.at,
        ended_at: used.at.plus(500),
        served_model: Some(format!("{}-2026-08-06", used.model).into()),
        usage: Usage { input_uncached: used.input, output_text: used.output, ..Usage::default() },
        meters: smallvec![
            meter(MeterKind::Input, used.input, INPUT),
            meter(MeterKind::Output, used.output, OUTPUT)
        ],
        cost: Some(used.cost()),
        ..entry(number)
    }
}

/// A line of an invoice: tokens of one sort.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    pub(crate) tokens: u64,
    pub(crate) cost: Money,
}

type Key = (i8, &'static str, &'static str);

/// What the provider says, before it is written in a form.
pub(crate) struct Bill {
    pub(crate) lines: BTreeMap<Key, Side>,
    /// Lines of another key.
    pub(crate) beside: Vec<(i8, &'static str, Side)>,
    pub(crate) currency: &'static str,
    pub(crate) tells_tokens: bool,
}

impl Bill {
    pub(crate) fn of(uses: &[Use]) -> Self {
        let mut bill =
            Self { lines: BTreeMap::new(), beside: Vec::new(), currency: "USD", tells_tokens: true };
        uses.iter().for_each(|used| bill.add(used, used.day()));
        bill
    }

    fn add(&mut self, used: &Use, day: i8) {
        for (side, tokens, price) in [("input", used.input, INPUT), ("output", used.output, OUTPUT)] {
            let line = self.lines.entry((day, used.model, side)).or_default();
            line.tokens += tokens;
            line.cost += UnitPrice::from_pico(price).times(tokens);
        }
    }

    /// The lines of a model, to be changed.
    pub(crate) fn sides(&mut self, model: &str) -> impl Iterator<Item = (&Key, &mut Side)> {
        self.lines.iter_mut().filter(move |((_, named, _), _)| *named == model)
    }

    /// Counts a model by the days of a zone `offset` hours ahead.
    pub(crate) fn shift(&mut self, uses: &[Use], model: &str, offset: i64) {
        self.lines.retain(|(_, named, _), _| *named != model);
        uses.iter().filter(|used| used.model == model).for_each(|used| self.add(used, used.day_in(offset)));
    }

    pub(crate) fn openai(&self) -> String {
        let own =
            self.lines.iter().map(|((day, model, side), line)| (*day, *model, *side, line, "key_gateway"));
        let beside = self.beside.iter().map(|(day, model, line)| (*day, *model, "input", line, "key_beside"));
        let mut buckets: BTreeMap<i8, Vec<String>> = BTreeMap::new();
        for (day, model, side, line, key) in own.chain(beside) {
            let quantity = match self.tells_tokens {
                true => format!(r#","quantity":{},"quantity_unit":"tokens""#, line.tokens),
                false => String::new(),
            };
            buckets.entry(day).or_default().push(format!(
                r#"{{"object":"organization.costs.result","amount":{{"value":{},"currency":"{}"}},"line_item":"{model}-2026-08-06, {side}","api_key_id":"{key}"{quantity}}}"#,
                line.cost,
                self.currency.to_lowercase(),
            ));
        }
        let start = |day: i8| NOVEMBER.get() / 1_000 + (i64::from(day) - 1) * 86_400;
        let buckets: Vec<String> = buckets
            .iter()
            .map(|(day, lines)| {
                format!(
                    r#"{{"object":"bucket","start_time":{},"results":[{}]}}"#,
                    start(*day),
                    lines.join(",")
                )
            })
            .collect();
        format!(r#"{{"object":"page","data":[{}],"has_more":false}}"#, buckets.join(","))
    }

    pub(crate) fn anthropic(&self) -> String {
        self.anthropic_pages(|model, side, line| {
            let token_type = if side == "input" { "uncached_input_tokens" } else { "output_tokens" };
            let cents = Money::from_pico(line.cost.pico() * 100).to_string();
            json!({
                "currency": self.currency, "amount": cents, "cost_type": "tokens", "token_type": token_type,
                "model": format!("{model}-20260806"),
            })
        })
    }

    pub(crate) fn anthropic_usage(&self) -> String {
        self.anthropic_pages(|model, side, line| {
            let (input, output) = if side == "input" { (line.tokens, 0) } else { (0, line.tokens) };
            json!({ "uncached_input_tokens": input, "output_tokens": output, "model": model })
        })
    }

    fn anthropic_pages(&self, line_of: impl Fn(&str, &str, &Side) -> Value) -> String {
        let buckets: Vec<Value> = self
            .lines
            .iter()
            .map(|((day, model, side), line)| {
                json!({ "starting_at": format!("2026-11-{day:02}T00:00:00Z"), "results": [line_of(model, side, line)] })
            })
            .collect();
        json!({ "data": buckets, "has_more": false, "next_page": null }).to_string()
    }

    pub(crate) fn azure(&self) -> String {
        let mut file = "\u{feff}Date,MeterCategory,MeterSubCategory,MeterName,Quantity,UnitOfMeasure,\
            CostInBillingCurrency,BillingCurrencyCode,ResourceId\r\n11/01/2026,Storage,Files,LRS,1,1 GB,9,USD,/x\r\n"
            .to_owned();
        for ((day, model, side), line) in &self.lines {
            let word = if *side == "input" { "Inp" } else { "Outp" };
            let name = model.replace('-', " ");
            let thousands = Money::from_pico(i128::from(line.tokens) * 1_000_000_000);
            let _ = write!(
                file,
                "11/{day:02}/2026,Foundry Models,Azure OpenAI,{name} 0806 {word} glbl Tokens,{thousands},1K,{},{},/oai\r\n",
                line.cost, self.currency
            );
        }
        file
    }

    pub(crate) fn csv(&self) -> String {
        let mut file = "date,model,cost,currency,input_tokens,output_tokens\n".to_owned();
        for ((day, model, side), line) in &self.lines {
            let (input, output) = if *side == "input" { (line.tokens, 0) } else { (0, line.tokens) };
            let _ =
                writeln!(file, "2026-11-{day:02},{model},{},{},{input},{output}", line.cost, self.currency);
        }
        file
    }
}
