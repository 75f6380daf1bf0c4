//! What monitoring sees: every metric of the catalogue, health on all listeners, the access log.

use std::{fs, net::TcpListener, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::{Behaviour, Script};
use tollgate_test_support::{Caller, ConfigText};

use crate::stage::{Stage, chat, text, until};

/// The names that dashboards and alerts are built on.
const METRICS: [&str; 20] = [
    "requests_total",
    "request_duration_seconds",
    "time_to_first_token_seconds",
    "tokens_total",
    "cost_total",
    "attempts_total",
    "retries_total",
    "breaker_state",
    "hold_seconds_total",
    "region_state",
    "inflight_requests",
    "quota_refusals_total",
    "reservations_open",
    "journal_append_seconds",
    "journal_sync_seconds",
    "ledger_lag_seconds",
    "recovered_requests_total",
    "config_version",
    "config_last_reload_success",
    "build_info",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_has_a_sample_after_a_few_calls() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.teams.push_str(
            "          - { name: slow, secret: key-of-one-a-minute, limits: { requests_per_minute: 1 } }\n",
        );
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    // The first region asks to be left alone, so that there is a hold and a retry.
    stage.east.script(Script::unavailable(30));
    for stream in [false, true] {
        let path = "/v1/chat/completions";
        let reply = caller.post(path, &[], chat("gpt-5-mini", stream).to_string()).await?;
        ensure!(reply.status.is_success(), "{}", text(&reply.body));
    }
    let slow = caller.with_key("key-of-one-a-minute");
    slow.chat(&chat("gpt-5-mini", false)).await?;
    let refused = slow.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(refused.error_code() == "rate_limit_exceeded", "{}", text(&refused.body));

    let admin = stage.gateway.admin();
    let mut missing = Vec::new();
    // Some are looked at once a second.
    let seen = until("every metric has a sample", async || {
        let shown = text(&admin.root("/metrics").await?.body);
        missing = METRICS.into_iter().filter(|name| !has_sample(&shown, name)).collect();
        Ok(missing.is_empty())
    });
    let seen = seen.await;
    seen.with_context(|| format!("without a sample: {missing:?}"))?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_on_all_listeners_and_metrics_on_two() -> Result<()> {
    let status = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut stage = Stage::with(Behaviour::default(), |config| {
        let line = format!("  status: {{ address: \"{status}\" }}\ndata_dir:");
        config.head = config.head.replace("data_dir:", &line);
    })?;
    let bases = [stage.gateway.data_url(), stage.gateway.admin_url(), &format!("http://{status}")];
    for (base, metrics) in bases.into_iter().zip([404, 200, 200]) {
        let nobody = Caller::new(base, "");
        for (path, wanted) in [("/livez", 200), ("/readyz", 200), ("/metrics", metrics)] {
            let reply = nobody.get(path).await?;
            // What the data port says to `/metrics` is its refusal of any unknown path or caller.
            let fits = if wanted == 404 { reply.status.is_client_error() } else { reply.status == wanted };
            ensure!(fits, "{base}{path}: {} {}", reply.status, text(&reply.body));
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_one_line_of_json() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    let id = reply.request_id().to_owned();
    stage.close().await?;
    let log = stage.gateway.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.contains(&id))
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
        .collect::<Result<_>>()?;
    ensure!(lines.len() == 1, "{} lines for one request:\n{log}", lines.len());
    ensure!(lines[0].to_string().contains("gpt-5-mini"), "the model is not told: {}", lines[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_moved_away_is_begun_anew_at_a_signal() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.head.push_str("\naccess_log: { to: access.log, rotate: { size: 1MiB, keep: 1 } }");
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let (log, moved) = (stage.gateway.folder().join("access.log"), stage.gateway.folder().join("moved.log"));
    let has = |file: &Path, id: &str| fs::read_to_string(file).is_ok_and(|text| text.contains(id));
    let first = caller.chat(&chat("gpt-5-mini", false)).await?;
    until("the first line is written", async || Ok(has(&log, first.request_id()))).await?;
    fs::rename(&log, &moved)?;
    stage.gateway.reopen_logs()?;
    // Lines go on into the old file until the signal has been heard.
    until("lines go to a new file", async || {
        let next = caller.chat(&chat("gpt-5-mini", false)).await?;
        until("it is written", async || Ok(has(&log, next.request_id()) || has(&moved, next.request_id())))
            .await?;
        Ok(has(&log, next.request_id()))
    })
    .await?;
    stage.close().await
}

/// A line of the exposition that is no comment and belongs to the metric.
fn has_sample(shown: &str, name: &str) -> bool {
    let name = format!("tollgate_{name}");
    shown
        .lines()
        .filter_map(|line| line.strip_prefix(&name))
        .any(|rest| [" ", "{", "_bucket", "_count", "_sum"].iter().any(|next| rest.starts_with(next)))
}
