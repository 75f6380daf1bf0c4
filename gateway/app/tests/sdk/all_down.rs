//! Every target is down, and the SDKs ask again as they do by default. Providers must not get a
//! storm for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tollgate_simulator::{Options, Refusal, Script, Simulator, Stop};
use tollgate_test_support::{Admin, Check, ConfigText, Gateway, Sdk, assess};

/// Calls of each run.
const CALLS: u64 = 36;

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
    attempts_stay_few("openai_checks").await
}

#[tokio::test]
async fn the_anthropic_sdk_causes_little_more_than_an_attempt_a_call() -> Result<()> {
    attempts_stay_few("anthropic_checks").await
}

/// Side by side, since most of the time is that of the SDK waiting as it was told.
async fn attempts_stay_few(script: &'static str) -> Result<()> {
    tokio::try_join!(attempts_of(script, Down::Failing), attempts_of(script, Down::Gone))?;
    Ok(())
}

async fn attempts_of(script: &'static str, down: Down) -> Result<()> {
    let mut providers =
        vec![Simulator::start(Options::default()).await?, Simulator::start(Options::default()).await?];
    let config = ConfigText::two_regions(providers[0].addr(), providers[1].addr());
    let gateway = Gateway::launch(config.launch(env!("CARGO_BIN_EXE_tollgate")))?;
    let books: Vec<_> = providers.iter().map(|provider| provider.book().clone()).collect();
    match down {
        Down::Failing => {
            providers
                .iter()
                .for_each(|provider| provider.always(Some(Script::refusal(Refusal::ServerError))));
        }
        Down::Gone => {
            for provider in std::mem::take(&mut providers) {
                provider.stop(Stop::Abrupt).await;
            }
        }
    }
    let checks = run(&gateway, script).await?;
    assess(&checks, &["all_down"]).with_context(|| format!("log:\n{}", gateway.log()))?;
    // Whoever is gone has no book; the ledger knows of attempts that never arrived.
    if let Down::Failing = down {
        few(books.iter().map(|book| book.totals().calls).sum(), down)?;
    }
    few(attempts(&gateway.admin()).await?, down)
}

fn few(attempts: u64, down: Down) -> Result<()> {
    ensure!(attempts > 0, "{down:?}: nobody was asked");
    ensure!(attempts * 10 <= CALLS * 13, "{down:?}: {attempts} attempts for {CALLS} calls");
    Ok(())
}

async fn run(gateway: &Gateway, script: &'static str) -> Result<Vec<Check>> {
    let (base, calls) = (gateway.data_url().to_owned(), CALLS.to_string());
    tokio::task::spawn_blocking(move || {
        let variables = [
            ("BASE_URL", base.as_str()),
            ("API_KEY", ConfigText::KEY),
            ("SPENT_KEY", ConfigText::KEY),
            ("CALLS", calls.as_str()),
            ("ONLY", "all_down"),
        ];
        Sdk::PythonCurrent.run(script, &variables)
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
