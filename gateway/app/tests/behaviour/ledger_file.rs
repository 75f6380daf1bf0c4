//! The ledger as finance gets it: the rows of `tollgate export csv`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tollgate_domain::Money;
use tollgate_simulator::Usage;
use tollgate_test_support::Gateway;

use crate::stage::text;

/// One line of the file, as far as tests look at it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) started_at: String,
    pub(crate) team: String,
    pub(crate) project: String,
    pub(crate) key: String,
    pub(crate) tags: String,
    pub(crate) session: String,
    pub(crate) model: String,
    pub(crate) upstream: String,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) end: String,
    pub(crate) input_tokens: u64,
    pub(crate) cached_input_tokens: u64,
    pub(crate) cache_write_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) reasoning_tokens: u64,
    pub(crate) usage_source: String,
    meters: String,
    cost: String,
    pub(crate) reserved_cost: Money,
    pub(crate) waste_cost: Money,
    attempts: String,
}

/// One priced quantity.
#[derive(Debug, Deserialize)]
pub(crate) struct Meter {
    pub(crate) meter: String,
    pub(crate) quantity: u64,
    pub(crate) cost: Money,
}

/// One try.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) meters: Vec<Meter>,
    pub(crate) waste: Money,
}

impl Row {
    /// What it cost; none without a price.
    pub(crate) fn cost(&self) -> Result<Option<Money>> {
        Ok(if self.cost.is_empty() { None } else { Some(self.cost.parse()?) })
    }

    /// Its tokens.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input_tokens,
            cached_input_tokens: self.cached_input_tokens,
            cache_write_tokens: self.cache_write_tokens,
            output_tokens: self.output_tokens,
            reasoning_tokens: self.reasoning_tokens,
        }
    }

    /// The priced quantities; their costs must sum to the row's.
    pub(crate) fn meters(&self) -> Result<Vec<Meter>> {
        let meters: Vec<Meter> = serde_json::from_str(&self.meters)?;
        let sum = meters.iter().map(|meter| meter.cost).sum::<Money>();
        ensure!(self.cost()?.unwrap_or_default() == sum, "meters of {} sum to {sum}: {self:?}", self.id);
        Ok(meters)
    }

    /// The tries; their waste must sum to the row's, and each one's meters to its waste.
    pub(crate) fn attempts(&self) -> Result<Vec<Attempt>> {
        let attempts: Vec<Attempt> = serde_json::from_str(&self.attempts)?;
        for attempt in &attempts {
            let sum = attempt.meters.iter().map(|meter| meter.cost).sum::<Money>();
            ensure!(attempt.waste == sum, "a try of {} sums to {sum}: {attempt:?}", self.id);
        }
        let sum = attempts.iter().map(|attempt| attempt.waste).sum::<Money>();
        ensure!(self.waste_cost == sum, "tries of {} waste {sum}: {self:?}", self.id);
        Ok(attempts)
    }
}

/// Has the running gateway write its whole ledger into a file of its folder.
pub(crate) fn export(gateway: &Gateway) -> Result<PathBuf> {
    let arguments = ["export", "csv", "--from", "2020-01-01", "--to", "2100-01-01", "--out", "ledger.csv"];
    let output = gateway.command(&arguments)?;
    ensure!(output.status.success(), "export: {}{}", text(&output.stdout), text(&output.stderr));
    Ok(gateway.folder().join("ledger.csv"))
}

/// The rows of a file, one after the other.
pub(crate) fn rows(file: &PathBuf) -> Result<impl Iterator<Item = Result<Row>> + use<>> {
    let reader = csv::Reader::from_path(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(reader.into_deserialize().map(|row| Ok(row?)))
}
