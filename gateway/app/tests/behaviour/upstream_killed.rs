//! The preferred provider dies under load. Clients whose answer had not begun notice nothing;
//! streams that had begun say that they failed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::task::JoinSet;
use tollgate_simulator::{Behaviour, Options, Simulator};
use tollgate_test_support::{Caller, ConfigText, Gateway};

use crate::{
    load::{Call, one},
    stage::{PATIENCE, TOLLGATE, short_or_long},
};

const ADDRESS_MARK: &str = "provider-listens-at ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_provider_costs_no_request_that_had_not_begun_to_answer() -> Result<()> {
    let mut east = ProviderProcess::start()?;
    let west = Simulator::spawn_thread(Options { behaviour: behaviour(), ..Options::default() })?;
    let mut config = ConfigText::two_regions(east.address, west.addr());
    config.head.push_str("\nshutdown: { delay: 100ms }");
    let gateway = Gateway::launch(config.launch(TOLLGATE))?;
    let caller = gateway.caller(ConfigText::KEY);

    let calls =
        open_loop(&caller, short_or_long(150, 400), short_or_long(3, 20), async || east.kill()).await?;

    let mut cut_streams = 0;
    for call in &calls {
        let reply = match &call.answer {
            Ok(reply) => reply,
            Err(_) => bail!("no answer: {}", call.told()),
        };
        ensure!(reply.status.is_success(), "an error before any content: {}", call.told());
        ensure!(reply.broken.is_none(), "a body that does not end properly: {}", call.told());
        if call.stream && !reply.is_complete_stream() {
            cut_streams += 1;
            failed_visibly(call)?;
        }
    }
    ensure!(cut_streams > 0, "no stream was open when the provider died");
    ensure!(west.book().totals().whole > 0, "nothing moved to the other region");
    let rows = gateway.admin().rows("", calls.len()).await?;
    let failed = rows.iter().filter(|row| row["end"] != "completed").count();
    ensure!(failed == cut_streams, "{cut_streams} streams were cut, {failed} rows say so");
    Ok(())
}

/// It had content, ends with an error event of its dialect, and does not look complete.
fn failed_visibly(call: &Call) -> Result<()> {
    let reply = call.answer.as_ref().ok().context("it has an answer")?;
    let events = reply.events();
    let last = events.last().context("a stream without events")?;
    ensure!(events.len() > 1, "an error event before any content: {}", call.told());
    ensure!(last.is_error(), "the last event is no error: {}", call.told());
    ensure!(
        !events.iter().any(tollgate_test_support::Event::is_end_mark),
        "it looks complete: {}",
        call.told()
    );
    if call.anthropic {
        ensure!(last.name == "error" && last.json()["type"] == "error", "{}", call.told());
    } else {
        ensure!(last.json()["error"]["code"].is_string(), "{}", call.told());
    }
    Ok(())
}

/// `rate` calls a second for so many seconds, whether answered or not; in the middle something happens.
async fn open_loop(
    caller: &Caller,
    rate: u32,
    seconds: u32,
    in_the_middle: impl AsyncFnOnce() -> Result<()>,
) -> Result<Vec<Call>> {
    let total = rate * seconds;
    let start = Instant::now();
    let mut calls = JoinSet::new();
    let mut in_the_middle = Some(in_the_middle);
    for number in 0..total {
        tokio::time::sleep_until((start + Duration::from_secs(1) * number / rate).into()).await;
        let caller = caller.clone();
        calls.spawn(async move { one(&caller, number % 2 == 1, number % 3 == 2).await });
        if number >= total / 2
            && let Some(happens) = in_the_middle.take()
        {
            happens().await?;
        }
    }
    tokio::time::timeout(PATIENCE * 2, calls.join_all()).await.context("calls hang")
}

fn behaviour() -> Behaviour {
    Behaviour { chunks: 15, chunk_pause: Duration::from_millis(20), ..Behaviour::default() }
}

/// A provider that can be killed as only a process can: this test binary, started again.
struct ProviderProcess {
    process: Child,
    address: SocketAddr,
}

impl ProviderProcess {
    fn start() -> Result<Self> {
        let name = "upstream_killed::a_provider_in_a_process_of_its_own";
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--exact", name, "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the provider")?;
        let mut lines = BufReader::new(process.stdout.take().context("stdout is piped")?).lines();
        let address = lines.find_map(|line| {
            let line = line.ok()?;
            line.split_once(ADDRESS_MARK)?.1.trim().parse().ok()
        });
        // libtest writes nothing more while the test runs, so the pipe may be left unread.
        let address = address.context("the provider did not tell its address")?;
        Ok(Self { process, address })
    }

    fn kill(&mut self) -> Result<()> {
        self.process.kill().context("cannot kill the provider")?;
        self.process.wait().context("cannot wait for the provider")?;
        Ok(())
    }
}

impl Drop for ProviderProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "not a check: it is the provider that the test above starts and kills"]
fn a_provider_in_a_process_of_its_own() -> Result<()> {
    let options = Options { behaviour: behaviour(), name: "east".to_owned(), ..Options::default() };
    let provider = Simulator::spawn_thread(options)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ADDRESS_MARK}{}", provider.addr())?;
    stdout.flush()?;
    // Until it is killed, or the test that started it is gone and its end of the pipe with it.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
