//! Names that clients make up, as models and as paths: they are refused, and monitoring does not grow by
//! them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{Caller, ConfigText, Gateway};

use crate::{
    mixed::scenario::Dice,
    monitoring::promtool,
    stage::{Stage, chat, short_or_long, text, until},
};

const CLIENTS: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_names_of_models_add_a_series_to_a_metric_at_most() -> Result<()> {
    let names = short_or_long(5_000, 100_000);
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let reply = caller.chat(&chat("gpt-5-mini", false)).await?;
    ensure!(reply.status.is_success(), "{}", text(&reply.body));
    let before = settled(&stage.gateway).await?;

    call_all(&caller, names).await?;

    let after = series(&stage.gateway).await?;
    let mut grown = Vec::new();
    for (metric, labels) in &after {
        let new: Vec<_> =
            labels.difference(before.get(metric).unwrap_or(&BTreeSet::new())).cloned().collect();
        if new.len() > 1 {
            grown.push(format!("{} new series of {metric}: {:?}", new.len(), &new[..new.len().min(5)]));
        }
    }
    ensure!(grown.is_empty(), "{}", grown.join("\n"));
    let shown = stage.gateway.admin().root("/metrics").await?.body;
    ensure!(!text(&shown).contains("made-up-"), "a made-up name is a label");
    ensure!(!text(&shown).contains("tollgate_metrics_overflow_total{"), "labels had to be folded");
    println!("{names} names: {} series in {} KiB", count(&after), shown.len() / 1_024);
    promtool(&["check", "metrics"], &shown)?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_names_in_paths_headers_and_keys() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let ask = async |number: u64| -> Result<()> {
        let name = name(number);
        let body = chat("gpt-5-mini", false).to_string();
        for path in [
            format!("/openai/deployments/{name}/chat/completions?api-version=2024-10-21"),
            format!("/v1beta/models/{name}:generateContent"),
            format!("/model/{name}/converse"),
            format!("/v1/{name}"),
            format!("/{name}"),
        ] {
            ensure!(!caller.post(&path, &[], body.clone()).await?.status.is_success(), "{path}");
        }
        let unknown = caller.with_key(&*name).post("/v1/chat/completions", &[], body.clone()).await?;
        ensure!(unknown.error_code() == "invalid_api_key", "{}", text(&unknown.body));
        let (tags, zone) = (format!("{name}={name}"), [("x-tollgate-zone", &*name)]);
        let headers =
            [("x-tollgate-user", &*name), ("x-tollgate-session", &*name), ("x-tollgate-tags", &*tags)];
        caller.post("/v1/chat/completions", &headers, body.clone()).await?;
        caller.post("/v1/chat/completions", &zone, body).await?;
        Ok(())
    };
    ask(0).await?;
    let before = settled(&stage.gateway).await?;
    for number in 1..short_or_long(50, 1_000) {
        ask(number).await?;
    }
    let after = series(&stage.gateway).await?;
    ensure!(before == after, "{} series became {}", count(&before), count(&after));
    stage.close().await
}

/// Asks for so many models that nobody has, some clients side by side.
async fn call_all(caller: &Caller, names: u64) -> Result<()> {
    let caller = Arc::new(caller.clone());
    let mut running = JoinSet::new();
    for client in 0..CLIENTS {
        let caller = Arc::clone(&caller);
        running.spawn(async move {
            for number in (client..names).step_by(CLIENTS as usize) {
                let ask =
                    json!({ "model": name(number), "messages": [{ "role": "user", "content": "Hi." }] });
                let reply = caller.chat(&ask).await?;
                ensure!(reply.error_code() == "model_not_found", "{}", text(&reply.body));
            }
            Ok(())
        });
    }
    running.join_all().await.into_iter().collect()
}

/// A name that the same number always gives.
fn name(number: u64) -> String {
    let mut dice = Dice(0x6e61_6d65 ^ number);
    let letters: String = (0..12).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
    format!("made-up-{letters}-{number}")
}

/// The same, once those are there that are looked at once a second.
async fn settled(gateway: &Gateway) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let is_there = async || Ok(series(gateway).await?.contains_key("tollgate_breaker_state"));
    until("breakers are looked at", is_there).await?;
    series(gateway).await
}

/// The label sets of each metric, buckets of a histogram taken as one.
async fn series(gateway: &Gateway) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let shown = text(&gateway.admin().root("/metrics").await?.body);
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in shown.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (sample, _) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let labels = labels.split_once("le=\"").map_or(labels, |(before, _)| before);
        series.entry(name.to_owned()).or_default().insert(labels.to_owned());
    }
    Ok(series)
}

fn count(series: &BTreeMap<String, BTreeSet<String>>) -> usize {
    series.values().map(BTreeSet::len).sum()
}
