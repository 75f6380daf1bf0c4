//! A ledger that is loaded from the journal by processes that are killed at it: every row arrives
//! once, and the totals are the sums of the rows.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tollgate_domain::Money;
use tollgate_simulator::{Keep, Usage};

use crate::{
    ledger_file,
    mixed::{Mixed, scenario::Dice},
    stage::{short_or_long, text},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_is_killed_loads_every_row_once() -> Result<()> {
    let requests = short_or_long(1_500, 20_000);
    let mut mixed = Mixed::start(Keep::Totals)?;
    mixed.run(0..requests, 64).await;
    mixed.settle(requests).await?;
    let before = fs::read(ledger_file::export(&mixed.gateway)?)?;
    mixed.gateway.kill()?;
    ensure!(to_be_loaded(&mixed)? == Some(0), "the ledger is not whole");

    let mut dice = Dice(0x5eed_10ad);
    let mut half_loaded = 0;
    for _ in 0..short_or_long(3, 20) {
        forget_ledger(&mixed)?;
        // Each start goes on where the one before was killed.
        for _ in 0..short_or_long(4, 8) {
            mixed.gateway.restart_and_kill(Duration::from_millis(20 + dice.below(400)))?;
            let Some(waiting) = to_be_loaded(&mixed)? else { continue };
            half_loaded += usize::from(waiting > 0 && waiting < requests);
        }
    }
    println!("{half_loaded} kills found the journal partly loaded");
    mixed.gateway.restart()?;
    mixed.settle(requests).await?;
    totals_are_sums_of_rows(&mixed).await?;
    let after = fs::read(ledger_file::export(&mixed.gateway)?)?;
    ensure!(without_seq(&before) == without_seq(&after), "the rebuilt ledger exports other rows");
    mixed.close().await
}

/// Takes the store away, where the process before had come to make one; the journal stays and is
/// the truth.
fn forget_ledger(mixed: &Mixed) -> Result<()> {
    for file in fs::read_dir(mixed.gateway.folder().join("data"))? {
        let path = file?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("ledger.") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// What the offline audit says is still to be loaded; anything else must be in order. None when the
/// process died before it had made a ledger.
fn to_be_loaded(mixed: &Mixed) -> Result<Option<u64>> {
    if !mixed.gateway.folder().join("data").join("ledger.db").exists() {
        return Ok(None);
    }
    let output = mixed.gateway.command(&["verify", "--dir", "data"])?;
    ensure!(output.status.success(), "verify: {}{}", text(&output.stdout), text(&output.stderr));
    let report = text(&output.stdout);
    let told = report.split_once("to be loaded: ").and_then(|(_, rest)| rest.split_once(','));
    let (count, _) = told.with_context(|| format!("no count in {report}"))?;
    Ok(Some(count.parse()?))
}

async fn totals_are_sums_of_rows(mixed: &Mixed) -> Result<()> {
    let (mut usage, mut cost) = (Usage::default(), Money::ZERO);
    for row in ledger_file::rows(&ledger_file::export(&mixed.gateway)?)? {
        let row = row?;
        usage += row.usage();
        cost += row.cost()?.unwrap_or_default();
    }
    let total = &mixed.gateway.admin().usage("").await?["total"];
    let told = |name: &str| total[name].as_u64().unwrap_or_default();
    let totals = Usage {
        input_tokens: told("input_tokens"),
        cached_input_tokens: told("cached_input_tokens"),
        cache_write_tokens: told("cache_write_tokens"),
        output_tokens: told("output_tokens"),
        reasoning_tokens: told("reasoning_tokens"),
    };
    ensure!(totals == usage, "totals {totals:?}, rows {usage:?}");
    ensure!(total["cost"] == cost.to_string(), "totals {}, rows {cost}", total["cost"]);
    Ok(())
}

/// The lines of an export without the numbers of loading, which may differ.
fn without_seq(file: &[u8]) -> Vec<String> {
    let lines = text(file);
    let lines = lines.lines().map(|line| {
        let mut fields = line.splitn(3, ',');
        let (id, _seq, rest) = (fields.next(), fields.next(), fields.next());
        format!("{} {}", id.unwrap_or_default(), rest.unwrap_or_default())
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    lines
}
