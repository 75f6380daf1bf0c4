//! `kill -9` of the gateway at random moments under load: what a client received whole is in the
//! ledger once, with the provider's own numbers; what was open is there too, marked `recovered`.

use std::time::Duration;

use anyhow::{Result, ensure};
use tollgate_simulator::Behaviour;
use tollgate_test_support::{ConfigText, LedgerTally};

use crate::{
    load::{Call, Load},
    stage::{Stage, short_or_long, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing_that_a_client_received() -> Result<()> {
    let behaviour = Behaviour { chunks: 12, chunk_pause: Duration::from_millis(5), ..Behaviour::default() };
    let mut stage = Stage::set(behaviour)?;
    let mut moments = Moments(0x5eed_0011);
    let mut received = Vec::new();
    for _ in 0..short_or_long(3, 20) {
        let load = Load::start(&stage.gateway.caller(ConfigText::KEY), 16);
        until("calls are answered", async || Ok(load.answered() >= 16)).await?;
        tokio::time::sleep(moments.next()).await;
        stage.gateway.kill()?;
        received.extend(load.finish().await.into_iter().filter(Call::is_whole).map(|call| call.id));
        stage.gateway.restart()?;
    }
    let admin = stage.gateway.admin();
    let tally = LedgerTally::read(&admin).await?;
    let books = [stage.east.book(), stage.west.book()];
    tally.has_received(received.iter().map(String::as_str), &books)?;
    every_call_of_a_provider_has_a_row(&tally, &stage)?;
    let recovered = admin.requests("end=recovered").await?;
    ensure!(!recovered.is_empty(), "sixteen busy clients, and nothing was open at any kill");
    for row in &recovered {
        ensure!(row["usage_source"] != "reported", "nobody told the usage of an open request: {row}");
    }
    stage.close().await
}

/// START is written before the first upstream byte: a call without a row would be money unaccounted for.
fn every_call_of_a_provider_has_a_row(tally: &LedgerTally, stage: &Stage) -> Result<()> {
    let calls = stage.east.book().totals().calls + stage.west.book().totals().calls;
    let rows = tally.rows();
    let attempts: u64 = rows.iter().map(|row| row["attempt_count"].as_u64().unwrap_or_default().max(1)).sum();
    ensure!(attempts >= calls, "{calls} calls arrived, {} rows tell of {attempts}", rows.len());
    let mut ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == rows.len(), "{} rows share their ids with others", rows.len() - ids.len());
    Ok(())
}

/// Pauses below half a second, the same ones in every run.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        // xorshift64: enough to hit different places of a request.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(self.0 % 500)
    }
}
