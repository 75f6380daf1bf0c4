//! `kill -9` of the gateway at random moments under load: what a client received whole is in the
//! ledger once, with the provider's own numbers; what was open is there once too, marked `recovered`.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tollgate_simulator::{Call, Keep};
use tollgate_test_support::LedgerTally;

use crate::{
    ledger_file::{self, Row},
    mixed::{
        Ended, Mixed,
        scenario::{Dice, Scenario},
    },
    recompute,
    stage::short_or_long,
};

/// Requests a second, of every kind, with every fate.
const RATE: u32 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing_that_a_client_received() -> Result<()> {
    let mut mixed = Mixed::start(Keep::Bodies)?;
    let (mut dice, mut first, mut ended) = (Dice(0x5eed_0011), 0, Vec::new());
    let kills = short_or_long(3, 200);
    for kill in 0..kills {
        let moment = Duration::from_millis(300 + dice.below(900));
        // A few calls too many, so that the kill finds the load running.
        let last = first + u64::from(RATE) * (moment.as_millis() as u64 + 100) / 1_000;
        let load = mixed.run_open(first..last, RATE);
        tokio::time::sleep(moment).await;
        mixed.gateway.kill()?;
        ended.extend(load.all().await);
        first = last;
        // Between the processes, so that nobody writes while both sides are read.
        mixed.verify().with_context(|| format!("after kill {}", kill + 1))?;
        mixed.gateway.restart()?;
    }
    let received: Vec<&Ended> = ended.iter().filter(|call| call.whole).collect();
    let calls = calls(&mixed)?;
    let arrived: HashSet<u64> = calls.iter().map(|(number, _)| *number).collect();
    mixed.settle(arrived.len() as u64).await?;

    let books = [mixed.regions[0].book(), mixed.regions[1].book()];
    let tally = LedgerTally::read(&mixed.gateway.admin()).await?;
    tally.has_received(received.iter().map(|call| &*call.id), &books)?;

    let file = ledger_file::export(&mixed.gateway)?;
    let rows = one_row_each(&file)?;
    every_arrived_call_has_a_row(&arrived, &rows)?;
    told_costs_stand_in_rows(&received, &rows)?;
    let recovered = every_recovered_row_is_flagged(&rows)?;
    ensure!(recovered > 0, "{RATE} requests a second, and nothing was open at any kill");
    recompute::agrees(&file, &mixed.gateway.folder().join("prices.yaml"))?;
    println!(
        "{kills} kills, {} calls made, {} arrived at providers, {} answers whole at clients; \
         {} rows, {recovered} recovered; 0 lost, 0 doubled, 0 wrong",
        ended.len(),
        arrived.len(),
        received.len(),
        rows.len(),
    );
    mixed.close().await
}

/// What the providers got, by the number of the client's call.
fn calls(mixed: &Mixed) -> Result<Vec<(u64, Call)>> {
    let calls = mixed.regions.iter().flat_map(|region| region.book().calls());
    calls
        .map(|call| {
            let scenario = Scenario::received(&call.body).context("a call of nobody here")?;
            Ok((scenario.number, call))
        })
        .collect()
}

/// All rows by the number of their call; no call has two.
fn one_row_each(file: &std::path::PathBuf) -> Result<HashMap<u64, Row>> {
    let mut rows = HashMap::new();
    for row in ledger_file::rows(file)? {
        let row = row?;
        row.meters()?;
        row.attempts()?;
        if let Some(other) = rows.insert(row.session.parse()?, row) {
            let again = &rows[&other.session.parse()?];
            anyhow::bail!("two rows of one request: {other:?} and {again:?}");
        }
    }
    Ok(rows)
}

/// START is written before the first upstream byte: a call without a row would be money unaccounted for.
fn every_arrived_call_has_a_row(arrived: &HashSet<u64>, rows: &HashMap<u64, Row>) -> Result<()> {
    let lost: Vec<&u64> = arrived.iter().filter(|number| !rows.contains_key(number)).collect();
    ensure!(lost.is_empty(), "{} calls arrived at a provider and have no row: {lost:?}", lost.len());
    Ok(())
}

/// The cost that an answer's head told is the row's.
fn told_costs_stand_in_rows(received: &[&Ended], rows: &HashMap<u64, Row>) -> Result<()> {
    for call in received {
        let row = rows.get(&call.number).with_context(|| format!("no row of {}", call.number))?;
        if let Some(told) = &call.cost {
            ensure!(row.cost()? == Some(told.parse()?), "{told} was told: {row:?}");
        }
    }
    Ok(())
}

/// Counts what was open at a kill; nobody told its usage, and its row says so.
fn every_recovered_row_is_flagged(rows: &HashMap<u64, Row>) -> Result<usize> {
    let recovered: Vec<&Row> = rows.values().filter(|row| row.end == "recovered").collect();
    for row in &recovered {
        ensure!(row.usage_source != "reported", "nobody told the usage of an open request: {row:?}");
    }
    Ok(recovered.len())
}
