//! Not a token and not a pico-dollar is lost between the providers' books and the ledger: what is
//! billed and what was wasted is what the providers charge, whichever way each request ended, and of
//! what was reserved nothing stays.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, ensure};
use tollgate_domain::Money;
use tollgate_simulator::{Keep, Simulator, Usage};

use crate::{
    ledger_file::{self, Meter, Row},
    mixed::{Ended, Mixed, scenario::Scenario},
    recompute,
    stage::short_or_long,
};

/// Clients side by side.
const CLIENTS: usize = 128;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_billed_and_wasted_is_what_the_providers_charge() -> Result<()> {
    // A million calls leave only their sums in memory; a few thousand can be compared one by one.
    let (requests, keep) = short_or_long((5_000, Keep::Bodies), (1_000_000, Keep::Totals));
    let mut mixed = Mixed::start(keep)?;
    let ended = mixed.run(0..requests, CLIENTS).await;
    mixed.settle(requests).await?;

    let file = ledger_file::export(&mixed.gateway)?;
    let mut sums = Sums::default();
    let mut calls = ByCall::of(&mixed.regions);
    let mut seen = vec![None; ended.len()];
    for row in ledger_file::rows(&file)? {
        let row = row?;
        let place: usize = row.session.parse().with_context(|| format!("not of this load: {row:?}"))?;
        let cell = seen.get_mut(place).with_context(|| format!("not of this load: {row:?}"))?;
        ensure!(cell.is_none(), "a second row of request {place}: {row:?}");
        sums.add(&row)?;
        calls.add(&row)?;
        *cell = Some((row.end.clone(), row.cost()?));
    }
    agrees_with_clients(&ended, &seen)?;
    println!("{sums}");
    sums.covers_every_end(requests)?;
    calls.agree()?;
    sums.equals(&mixed.regions)?;
    sums.equals_budgets(&mixed.gateway.admin().budgets().await?)?;
    recompute::agrees(&file, &mixed.gateway.folder().join("prices.yaml"))?;
    mixed.close().await
}

/// Every request has its row; who got a whole answer has a completed one, at the cost that it told.
fn agrees_with_clients(ended: &[Ended], seen: &[Option<(String, Option<Money>)>]) -> Result<()> {
    for call in ended {
        ensure!(!call.unreachable, "no answer to request {}", call.number);
        let row = seen[usize::try_from(call.number)?].as_ref();
        let (end, cost) = row.with_context(|| format!("no row of request {}", call.number))?;
        if call.whole {
            ensure!(end == "completed", "request {} came whole and ends {end}", call.number);
        }
        if let Some(told) = &call.cost {
            ensure!(*cost == Some(told.parse()?), "request {} was told {told}: {cost:?}", call.number);
        }
    }
    Ok(())
}

/// What each call took, by the providers and by its row; empty where the providers keep only sums.
struct ByCall {
    consumed: HashMap<u64, Usage>,
    differences: Vec<String>,
}

impl ByCall {
    fn of(regions: &[Simulator; 2]) -> Self {
        let mut consumed: HashMap<u64, Usage> = HashMap::new();
        for call in regions.iter().flat_map(|region| region.book().calls()) {
            if let Some(scenario) = Scenario::received(&call.body) {
                *consumed.entry(scenario.number).or_default() += call.consumed;
            }
        }
        Self { consumed, differences: Vec::new() }
    }

    fn add(&mut self, row: &Row) -> Result<()> {
        let number = row.session.parse()?;
        let Some(consumed) = self.consumed.get(&number) else { return Ok(()) };
        let mut counted = row.usage();
        row.attempts()?.iter().flat_map(|attempt| &attempt.meters).for_each(|m| add_meter(&mut counted, m));
        if counted != *consumed {
            let scenario = Scenario::of(number);
            self.differences
                .push(format!("{scenario:?} took {consumed:?}, counted are {counted:?}: {row:?}"));
        }
        Ok(())
    }

    fn agree(&self) -> Result<()> {
        let shown = self.differences.len().min(20);
        let all = self.differences.len();
        ensure!(all == 0, "{all} calls differ:\n{}", self.differences[..shown].join("\n"));
        Ok(())
    }
}

/// What the rows say, added up.
#[derive(Default)]
struct Sums {
    rows: u64,
    by_end: BTreeMap<String, u64>,
    by_source: BTreeMap<String, u64>,
    unpriced: u64,
    with_waste: u64,
    billed: Usage,
    wasted: Usage,
    cost: Money,
    waste: Money,
    released: Money,
    beyond: Money,
    by_scope: BTreeMap<String, Money>,
}

impl Sums {
    fn add(&mut self, row: &Row) -> Result<()> {
        self.rows += 1;
        let end = if row.kind == "refusal" { "refusal" } else { &row.end };
        *self.by_end.entry(end.to_owned()).or_default() += 1;
        *self.by_source.entry(row.usage_source.clone()).or_default() += 1;
        row.meters()?;
        for meter in row.attempts()?.iter().flat_map(|attempt| &attempt.meters) {
            add_meter(&mut self.wasted, meter);
        }
        let cost = row.cost()?;
        self.unpriced += u64::from(cost.is_none());
        self.with_waste += u64::from(!row.waste_cost.is_zero());
        let cost = cost.unwrap_or_default();
        self.billed += row.usage();
        self.cost += cost;
        self.waste += row.waste_cost;
        let left = row.reserved_cost - cost;
        self.released += left.or_zero();
        self.beyond += (-left).or_zero();
        for scope in [row.team.clone(), format!("{}/{}", row.team, row.project)] {
            *self.by_scope.entry(scope).or_default() += cost;
        }
        Ok(())
    }

    /// A load that misses a way to end proves nothing about it.
    fn covers_every_end(&self, requests: u64) -> Result<()> {
        ensure!(self.rows == requests, "{} rows of {requests} requests", self.rows);
        let least = [
            ("completed", requests / 2),
            ("client_abort", requests / 100),
            ("refused_upstream", requests / 100),
            ("upstream_failed", requests / 1_000),
            ("truncated", requests / 200),
            ("stalled", 1),
            ("refusal", 1),
        ];
        for (end, least) in least {
            let count = self.by_end.get(end).copied().unwrap_or(0);
            ensure!(count >= least, "only {count} rows end {end}: {:?}", self.by_end);
        }
        ensure!(self.unpriced > 0 && self.with_waste >= requests / 200, "{self}");
        Ok(())
    }

    /// Billed and wasted together are what the providers' own books say, to the last unit.
    fn equals(&self, regions: &[Simulator; 2]) -> Result<()> {
        let (mut consumed, mut charged) = (Usage::default(), 0);
        for totals in regions.iter().map(|region| region.book().totals()) {
            consumed += totals.consumed;
            charged += totals.charged;
        }
        let mut counted = self.billed;
        counted += self.wasted;
        let ours = (self.cost + self.waste).pico();
        println!("providers: {consumed:?}, {} USD; difference {}", Money::from_pico(charged), ours - charged);
        ensure!(counted == consumed, "the rows count {counted:?}, the providers {consumed:?}");
        ensure!(ours == charged, "the rows differ by {} pico-USD", ours - charged);
        Ok(())
    }

    /// Nothing is left reserved, and every scope has spent what its rows say.
    fn equals_budgets(&self, budgets: &[serde_json::Value]) -> Result<()> {
        ensure!(budgets.len() == self.by_scope.len(), "{} budgets: {budgets:?}", self.by_scope.len());
        for budget in budgets {
            let text = |name: &str| budget[name].as_str().unwrap_or_default();
            let scope = match text("project") {
                "" => text("team").to_owned(),
                project => format!("{}/{project}", text("team")),
            };
            let cost = self.by_scope.get(&scope).copied().unwrap_or_default();
            ensure!(text("spent").parse() == Ok(cost), "rows of {scope} cost {cost}: {budget}");
            ensure!(text("reserved") == "0", "still reserved: {budget}");
        }
        Ok(())
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} rows, {} unpriced, {} with waste", self.rows, self.unpriced, self.with_waste)?;
        writeln!(f, "ends: {:?}; figures: {:?}", self.by_end, self.by_source)?;
        writeln!(f, "billed: {:?}, {} USD", self.billed, self.cost)?;
        writeln!(f, "wasted: {:?}, {} USD", self.wasted, self.waste)?;
        write!(f, "released of reservations: {} USD; billed beyond them: {} USD", self.released, self.beyond)
    }
}

/// A meter of an attempt as tokens of the kinds that books count.
fn add_meter(usage: &mut Usage, meter: &Meter) {
    let quantity = meter.quantity;
    match &*meter.meter {
        "input" | "audio_input" => usage.input_tokens += quantity,
        "cached_input" => {
            usage.input_tokens += quantity;
            usage.cached_input_tokens += quantity;
        }
        "cache_write" | "cache_write_5m" | "cache_write_1h" => {
            usage.input_tokens += quantity;
            usage.cache_write_tokens += quantity;
        }
        "output" | "audio_output" => usage.output_tokens += quantity,
        "reasoning" => {
            usage.output_tokens += quantity;
            usage.reasoning_tokens += quantity;
        }
        _ => {}
    }
}
