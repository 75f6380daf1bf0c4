//! What the calls cost: as the gateway reads it in its price file, and as the providers charge it,
//! worked out by hand so that no code of the gateway stands on both sides.

use std::sync::Arc;

use tollgate_simulator::{Incoming, Operation, Tariff, Usage};

/// Every way a price is looked up: by model, by upstream, by date, by the class of the input, with
/// a dimension that falls back, with a fee, rounded from an odd quantity.
pub(crate) const PRICES: &str = r#"prices:
  - { model: gpt-5-mini, from: 2020-01-01, currency: USD, per: 1000000, input: "0.25", cached_input: "0.025",
      cache_write: "0.3125", output: "2.00",
      tiers: [{ above_input_tokens: 200, input: "0.50", cached_input: "0.05", output: "3.00" }] }
  - { model: gpt-5-mini, upstream: azure-west, from: 2020-01-01, currency: USD, per: 7, input: "0.000001",
      output: "0.000009", per_request: "0.000003" }
  - { model: text-embedding-3-small, from: 2020-01-01, currency: USD, input: "0.02", output: "0",
      per_request: "0.0001" }
  - { model: claude-sonnet-4-6, from: 2010-01-01, currency: USD, input: "30", output: "150" }
  - { model: claude-sonnet-4-6, from: 2020-01-01, currency: USD, per: 1000000, input: "3",
      cached_input: "0.30", cache_write_5m: "3.75", cache_write_1h: "6", output: "15" }
  - { model: claude-sonnet-4-6, from: 2090-01-01, currency: USD, input: "0.003", output: "0.015" }
"#;

/// The price list of a region's providers, in pico-USD a token.
pub(crate) fn of_region(name: &'static str) -> Tariff {
    Arc::new(move |call, usage| charge(name, call, usage))
}

fn charge(region: &str, call: &Incoming, usage: &Usage) -> i128 {
    if *usage == Usage::default() {
        return 0;
    }
    let [input, cached, written, output] =
        [usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.output_tokens]
            .map(i128::from);
    let fresh = input - cached - written;
    match (call.operation, call.model.as_deref()) {
        (_, Some("house-model")) => 0,
        (Operation::Embeddings, _) => input * 20_000 + 100_000_000,
        (Operation::Messages, _) => {
            fresh * 3_000_000 + cached * 300_000 + written * 3_750_000 + output * 15_000_000
        }
        // A millionth of a dollar for seven tokens is 142857.14 pico-dollars for one.
        _ if call.azure && region == "west" => input * 142_857 + output * 1_285_714 + 3_000_000,
        _ if input > 200 => fresh * 500_000 + cached * 50_000 + written * 312_500 + output * 3_000_000,
        _ => fresh * 250_000 + cached * 25_000 + written * 312_500 + output * 2_000_000,
    }
}
