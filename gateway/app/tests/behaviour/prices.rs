//! `tollgate prices`: judged with places, imported from a list of others, shown through time, and rows
//! of the past charged by what they say now.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_domain::Money;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, text, until};

const LIST: &str = r#"{
    "gpt-a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06},
    "openai/gpt-b": {"litellm_provider": "openai", "mode": "responses", "input_cost_per_token": 2.9999999999999997e-07,
        "output_cost_per_token": 1.2e-06},
    "gpt-c": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1, "output_cost_per_token": 1},
    "claude-d": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05}
}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_others_becomes_a_sound_price_file_and_nothing_twice() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let folder = stage.gateway.folder().to_owned();
    std::fs::write(folder.join("list.json"), LIST)?;
    let import = ["prices", "import", "list.json", "--provider", "openai", "--from", "2026-11-01"];
    let imported = stage.gateway.command(&import)?;
    ensure!(imported.status.success(), "{}", text(&imported.stderr));
    ensure!(text(&imported.stderr).contains("gpt-c"), "{}", text(&imported.stderr));
    std::fs::write(folder.join("imported.yaml"), &imported.stdout)?;

    let checked = stage.gateway.command(&["prices", "check", "imported.yaml"])?;
    ensure!(checked.status.success(), "{}\n{}", text(&checked.stderr), text(&imported.stdout));

    let again = stage.gateway.command(&[&import[..], &["--against", "imported.yaml"]].concat())?;
    ensure!(again.status.success() && again.stdout.is_empty(), "{}", text(&again.stdout));
    ensure!(text(&again.stderr).contains("2 unchanged"), "{}", text(&again.stderr));

    let shown = stage.gateway.command(&["prices", "show", "imported.yaml", "-o", "json"])?;
    let shown: Value = serde_json::from_slice(&shown.stdout).context("no JSON")?;
    ensure!(shown["items"][0]["model"] == "gpt-a" && shown["items"][0]["cached_input"] == "1.25", "{shown}");
    ensure!(shown["items"][1]["model"] == "gpt-b" && shown["items"][1]["input"] == "0.3", "{shown}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_shown_as_they_count_through_time() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let two = "prices:
  - { model: m, from: 2026-01-01, input: \"2\", output: \"8\" }
  - { model: m, from: 2026-07-01, input: \"1\", output: \"4\" }
  - { model: n, from: 2026-01-01, input: \"3\" }
";
    std::fs::write(stage.gateway.folder().join("two.yaml"), two)?;
    let cases = [("2025-12-31", None), ("2026-06-30", Some("2")), ("2026-07-01", Some("1"))];
    for (at, input) in cases {
        let shown = ["prices", "show", "two.yaml", "--model", "m", "--at", at, "-o", "json"];
        let shown = stage.gateway.command(&shown)?;
        let shown: Value = serde_json::from_slice(&shown.stdout).context("no JSON")?;
        ensure!(shown["items"][0]["input"].as_str() == input, "{at}: {shown}");
        ensure!(shown["items"].as_array().map(Vec::len) == Some(input.iter().count()), "{at}: {shown}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_file_is_refused_at_the_place_of_its_fault() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let cases = [
        ("input: \"-1\"", "negative"),
        ("input: 2.5e-6", "input"),
        ("input: \"1\", currency: DEM", "currency"),
        ("input: \"1\", per: 0", "per"),
        ("input: \"1\", putput: \"2\"", "output"),
        (
            "input: \"1\" }\n  - { model: m, from: 2026-01-01, input: \"2\"",
            "same model, upstream, region and date",
        ),
    ];
    for (members, told) in cases {
        let file = format!("prices:\n  - {{ model: m, from: 2026-01-01, {members} }}\n");
        std::fs::write(stage.gateway.folder().join("bad.yaml"), file)?;
        let refused = stage.gateway.command(&["prices", "check", "bad.yaml"])?;
        let stderr = text(&refused.stderr);
        ensure!(refused.status.code() == Some(1), "{members}: {stderr}");
        ensure!(stderr.contains("bad.yaml:") && stderr.contains(told), "{members}: {stderr}");
    }
    let misused = stage.gateway.command(&["prices", "import", "list.json", "--currency", "DEM"])?;
    ensure!(misused.status.code() == Some(2), "{}", text(&misused.stderr));
    for arguments in [&["prices", "import", "absent.json"][..], &["prices", "check", "absent.yaml"]] {
        let refused = stage.gateway.command(arguments)?;
        ensure!(refused.status.code() == Some(1) && refused.stdout.is_empty(), "{arguments:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrected_price_is_charged_by_corrections_and_counts_in_budgets() -> Result<()> {
    let budget = "    budget: { amount: \"100\", period: month, mode: hard }\n    projects:";
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.teams = config.teams.replacen("    projects:", budget, 1);
    })?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    for _ in 0..5 {
        caller.chat(&chat("gpt-5-mini", false)).await?;
    }
    admin.rows("", 5).await?;
    let before: Money = cost(&admin.usage("team").await?)?;

    let dearer = stage.config.prices.replace("\"0.25\"", "\"0.50\"").replace("\"2.00\"", "\"4.00\"");
    std::fs::write(stage.gateway.folder().join("prices.yaml"), dearer)?;
    ensure!(admin.reload().await?.status.is_success(), "{}", stage.gateway.log());
    let rerate = ["prices", "rerate", "--from", "-1d", "--to", "now", "-o", "json"];
    let preview = stage.gateway.command(&[&rerate[..], &["--preview"]].concat())?;
    ensure!(preview.status.success(), "{}", text(&preview.stderr));
    let preview: Value = serde_json::from_slice(&preview.stdout).context("no JSON")?;
    ensure!(preview["items"][0]["delta"].as_str() == Some(&before.to_string()), "{preview}");
    ensure!(preview["posted"] == 0 && cost(&admin.usage("team").await?)? == before, "{preview}");

    for posted in [5, 0] {
        let found = stage.gateway.command(&[&rerate[..], &["--reason", "list was wrong"]].concat())?;
        ensure!(found.status.success(), "{}", text(&found.stderr));
        let found: Value = serde_json::from_slice(&found.stdout).context("no JSON")?;
        ensure!(found["posted"] == posted, "{found}");
        let doubled = before + before;
        until(
            "the corrections are in the ledger",
            async || Ok(cost(&admin.usage("team").await?)? == doubled),
        )
        .await?;
        let budgets = admin.budgets().await?;
        ensure!(budgets[0]["spent"].as_str() == Some(&doubled.to_string()), "{budgets:?}");
    }
    let audit = admin.get("/audit").await?;
    ensure!(audit["items"][0]["action"] == "prices.rerated", "{audit}");
    let backwards = stage.gateway.command(&["prices", "rerate", "--from", "now", "--to", "-1d"])?;
    ensure!(!backwards.status.success(), "{}", text(&backwards.stdout));

    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let spent = stage.gateway.admin().budgets().await?;
    ensure!(spent[0]["spent"].as_str() == Some(&(before + before).to_string()), "{spent:?}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_without_a_price_is_told_at_once_and_is_never_free() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.prices = config
            .prices
            .lines()
            .filter(|line| !line.contains("gpt-5-mini"))
            .fold(String::new(), |text, line| text + line + "\n");
    })?;
    let (caller, admin) = (stage.gateway.caller(ConfigText::KEY), stage.gateway.admin());
    for _ in 0..3 {
        ensure!(caller.chat(&chat("gpt-5-mini", false)).await?.status.is_success(), "it is served");
    }
    for row in admin.rows("", 3).await? {
        ensure!(row["cost"].is_null() && row["flags"].to_string().contains("unpriced"), "{row}");
    }
    let usage = admin.usage("model").await?;
    ensure!(usage["items"][0]["unpriced_requests"] == 3, "{usage}");
    let metrics = text(&admin.root("/metrics").await?.body);
    let counted = "tollgate_unpriced_requests_total{model=\"gpt-5-mini\",upstream=\"openai-east\"} 3";
    ensure!(metrics.contains(counted), "{metrics}");
    let told = stage.gateway.log().matches("a model without a price is used").count();
    // The minute may turn between the calls.
    ensure!((1..=2).contains(&told), "told {told} times:\n{}", stage.gateway.log());
    stage.close().await
}

fn cost(usage: &Value) -> Result<Money> {
    Ok(usage["total"]["cost"].as_str().context("no cost")?.parse()?)
}
