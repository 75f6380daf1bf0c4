//! What people add up: the same few figures, wherever they come from.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tollgate_domain::Money;

use crate::ledger_file::Row;

/// Requests, tokens and money, added up.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) refusals: u64,
    pub(crate) unpriced: u64,
    /// In the order of [`Figures::TOKENS`].
    pub(crate) tokens: [u64; 5],
    pub(crate) cost: Money,
}

impl Figures {
    pub(crate) const TOKENS: [&str; 5] =
        ["input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"];

    /// Counts a row of an export.
    pub(crate) fn add(&mut self, row: &Row) -> Result<()> {
        if row.kind == "refusal" {
            self.refusals += 1;
            return Ok(());
        }
        let cost = row.cost()?;
        self.join(&Self {
            requests: 1,
            refusals: 0,
            unpriced: u64::from(cost.is_none()),
            tokens: [
                row.input_tokens,
                row.cached_input_tokens,
                row.cache_write_tokens,
                row.output_tokens,
                row.reasoning_tokens,
            ],
            cost: cost.unwrap_or_default(),
        });
        Ok(())
    }

    /// Adds another time's or group's.
    pub(crate) fn join(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refusals += other.refusals;
        self.unpriced += other.unpriced;
        for (sum, tokens) in self.tokens.iter_mut().zip(other.tokens) {
            *sum += tokens;
        }
        self.cost += other.cost;
    }

    /// A group or a total of `GET /usage`.
    pub(crate) fn read(item: &Value) -> Result<Self> {
        let count = |name: &str| item[name].as_u64().with_context(|| format!("no {name} in {item}"));
        Ok(Self {
            requests: count("requests")?,
            refusals: count("refusals")?,
            unpriced: count("unpriced_requests")?,
            tokens: [
                count(Self::TOKENS[0])?,
                count(Self::TOKENS[1])?,
                count(Self::TOKENS[2])?,
                count(Self::TOKENS[3])?,
                count(Self::TOKENS[4])?,
            ],
            cost: item["cost"].as_str().context("no cost")?.parse()?,
        })
    }
}
