//! What monitoring expects of us, judged by its own tool: the exposition of a gateway that has worked,
//! and the rules that come with it.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tollgate_simulator::{Behaviour, Script};
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, text};

/// Runs Prometheus' own tool to its end, with `input` at its standard input, and gives what it said.
pub(crate) fn promtool(arguments: &[&str], input: &[u8]) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
    let mut tool = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run promtool; `cargo xtask setup` installs it (Debian: prometheus)")?;
    tool.stdin.take().context("it has an input")?.write_all(input)?;
    let output = tool.wait_with_output()?;
    let told = text(&output.stdout) + &text(&output.stderr);
    ensure!(output.status.success(), "promtool {}: {}\n{told}", arguments.join(" "), output.status);
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exposition_has_no_fault() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    stage.east.script(Script::unavailable(30));
    for stream in [false, true] {
        let reply = caller.post("/v1/chat/completions", &[], chat("gpt-5-mini", stream).to_string()).await?;
        ensure!(reply.status.is_success(), "{}", text(&reply.body));
    }
    caller.with_key("nobody's key").chat(&chat("gpt-5-mini", false)).await?;
    stage.gateway.admin().rows("", 2).await?;
    let shown = stage.gateway.admin().root("/metrics").await?.body;
    // The first region failed, so that requests moved; the overhead of both was measured.
    for sample in [
        "tollgate_failovers_total{from_region=\"east\",to_region=\"west\",",
        "tollgate_usage_records_total{source=\"reported\"} 2",
        "tollgate_overhead_seconds_count 2",
        "tollgate_data_free_bytes ",
    ] {
        ensure!(
            text(&shown).lines().any(|line| line.starts_with(sample)),
            "no {sample} in\n{}",
            text(&shown)
        );
    }
    promtool(&["check", "metrics"], &shown)?;
    stage.close().await
}

#[test]
fn rules_are_sound_and_do_what_their_tests_say() -> Result<()> {
    let told = promtool(&["check", "rules", "rules.yaml"], b"")?;
    ensure!(told.contains("SUCCESS"), "{told}");
    let told = promtool(&["test", "rules", "rules_test.yaml"], b"")?;
    ensure!(told.contains("SUCCESS"), "{told}");
    Ok(())
}
