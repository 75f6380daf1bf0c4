//! Every target is down, and the SDKs ask again as they do by default. Providers must not get a
//! storm for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tollgate_simulator::{Refusal, Script, Simulator, Stop};
use tollgate_test_support::{Admin, Check, ConfigText, Gateway, Sdk, assess};

/// Calls of each run.
const CALLS: u64 = 40;

/// How targets are down.
#[derive(Clone, Copy, Debug)]
enum Down {
    /// They answer 500.
    Failing,
    /// Nothing listens there.
    Gone,
}

#[tokio::test]
async fn the_openai_sdk_causes_little_more_than_an_attempt_a_call() -> Result<()> {
    for down in [Down::Failing, Down::Gone] {
        attempts_stay_few(Sdk::PythonCurrent, "openai_checks", down).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_anthropic_sdk_causes_little_more_than_an_attempt_a_call() -> Result<()> {
    for down in [Down::Failing, Down::Gone] {
        attempts_stay_few(Sdk::PythonCurrent, "anthropic_checks", down).await?;
    }
    Ok(())
}

async fn attempts_stay_few(sdk: Sdk, script: &'static str, down: Down) -> Result<()> {
    let providers =
        [Simulator::start(Default::default()).await?, Simulator::start(Default::default()).await?];
    let config = ConfigText::two_regions(providers[0].addr(), providers[1].addr());
    let gateway = Gateway::launch(config.launch(env!("CARGO_BIN_EXE_tollgate")))?;
    let books = providers.each_ref().map(|provider| provider.book().clone());
    match down {
        Down::Failing => {
            for provider in &providers {
                provider.always(Some(Script::refusal(Refusal::ServerError)));
            }
            let checks = run(&gateway, sdk, script).await?;
            assess(&checks, &["all_down"]).with_context(|| format!("log:\n{}", gateway.log()))?;
            let calls: u64 = books.iter().map(|book| book.totals().calls).sum();
            few(calls, down)?;
        }
        Down::Gone => {
            for provider in providers {
                provider.stop(Stop::Abrupt).await;
            }
            let checks = run(&gateway, sdk, script).await?;
            assess(&checks, &["all_down"]).with_context(|| format!("log:\n{}", gateway.log()))?;
        }
    }
    few(attempts(&gateway.admin()).await?, down)
}

fn few(attempts: u64, down: Down) -> Result<()> {
    ensure!(attempts > 0, "{down:?}: nobody was asked");
    ensure!(attempts * 10 <= CALLS * 13, "{down:?}: {attempts} attempts for {CALLS} calls");
    Ok(())
}

async fn run(gateway: &Gateway, sdk: Sdk, script: &'static str) -> Result<Vec<Check>> {
    let (base, calls) = (gateway.data_url().to_owned(), CALLS.to_string());
    tokio::task::spawn_blocking(move || {
        let variables = [
            ("BASE_URL", base.as_str()),
            ("API_KEY", ConfigText::KEY),
            ("SPENT_KEY", ConfigText::KEY),
            ("CALLS", calls.as_str()),
            ("ONLY", "all_down"),
        ];
        sdk.run(script, &variables)
    })
    .await?
}

/// Attempts that the ledger knows of, when it knows every request.
async fn attempts(admin: &Admin) -> Result<u64> {
    let mut before = None;
    loop {
        let mut rows = admin.requests("kind=usage").await?;
        rows.extend(admin.requests("kind=refusal").await?);
        if before == Some(rows.len()) && rows.len() as u64 >= CALLS {
            return Ok(rows.iter().filter_map(|row| row["attempt_count"].as_u64()).sum());
        }
        before = Some(rows.len());
        // A row is there a second after its answer at the latest.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
}
