//! `tollgate prices`: judged with places, imported from a list of others, shown through time.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::Behaviour;

use crate::stage::{Stage, text};

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
        ("input: \"1\" }\n  - { model: m, from: 2026-01-01, input: \"2\"", "same model, upstream and date"),
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
