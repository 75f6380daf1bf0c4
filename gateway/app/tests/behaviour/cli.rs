//! The command line: exit codes, places of errors, and data that other programs read.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use crate::stage::{Stage, chat, text};

/// How an export's lines begin; what follows may grow.
const FIRST_COLUMNS: &str = "id,seq,kind,started_at,ended_at,organization,team,project,key,cost_center,\
    tags,end_user,session,client,model,provider,account,upstream,upstream_model,served_model,region,zone,\
    dialect,operation,stream,status,error_code,end,served_by,input_tokens,cached_input_tokens,\
    cache_write_tokens,output_tokens,reasoning_tokens,audio_input_tokens,audio_output_tokens,usage_source,\
    meters,service_tier,cost,currency,reserved_cost,waste_cost,attempt_count,attempts,\
    upstream_request_id,trace_id,ttft_ms,duration_ms,instance,config_version,adjusts";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_is_judged_with_the_place_of_each_error() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let good = stage.gateway.command(&["check", "-c", "tollgate.yaml"])?;
    ensure!(good.status.code() == Some(0), "{}", text(&good.stderr));

    let mut broken = stage.config.to_string().replace("currency: USD", "curency: USD");
    let line = broken.lines().position(|line| line.starts_with("curency")).context("it stands there")? + 1;
    broken.push_str("teems: []\n");
    let last = broken.lines().count();
    std::fs::write(stage.gateway.folder().join("broken.yaml"), &broken)?;
    for (command, code) in [("check", 1), ("serve", 78)] {
        let refused = stage.gateway.command(&[command, "-c", "broken.yaml"])?;
        let told = text(&refused.stderr) + &text(&refused.stdout);
        ensure!(refused.status.code() == Some(code), "{command} ended with {}: {told}", refused.status);
        for part in [format!("broken.yaml:{line}:1"), format!("broken.yaml:{last}:1"), "currency".to_owned()]
        {
            ensure!(told.contains(&part), "{command} does not tell `{part}`: {told}");
        }
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_and_export_tell_what_was_served() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    for _ in 0..3 {
        caller.chat(&chat("gpt-5-mini", false)).await?;
    }
    stage.gateway.admin().rows("", 3).await?;
    let usage = stage.gateway.command(&["usage", "--by", "team,model", "-o", "json"])?;
    ensure!(usage.status.success(), "{}", text(&usage.stderr));
    let told: Value = serde_json::from_slice(&usage.stdout).context("no JSON")?;
    let served = stage.east.book().totals().told;
    ensure!(told["total"]["requests"] == 3, "{told}");
    ensure!(told["total"]["output_tokens"] == served.output_tokens, "{told}");
    ensure!(told["items"][0]["team"] == "retail" && told["items"][0]["model"] == "gpt-5-mini", "{told}");

    let export = ["export", "csv", "--from", "2020-01-01", "--to", "2100-01-01"];
    let export = stage.gateway.command(&export)?;
    ensure!(export.status.success(), "{}", text(&export.stderr));
    let file = text(&export.stdout);
    let header = file.lines().next().unwrap_or_default().trim_start_matches('\u{feff}');
    ensure!(header.starts_with(FIRST_COLUMNS), "the columns are {header}");
    ensure!(file.lines().count() == 4, "three rows and a header: {file}");

    let focus = ["export", "focus", "--from", "2020-01-01", "--to", "2100-01-01", "--focus-version"];
    for (version, column) in [("1.2", "PublisherName"), ("1.4", "HostProviderName")] {
        let export = stage.gateway.command(&[&focus[..], &[version]].concat())?;
        ensure!(export.status.success(), "{}", text(&export.stderr));
        let file = text(&export.stdout);
        let header = file.lines().next().unwrap_or_default();
        ensure!(header.starts_with("BilledCost,EffectiveCost,") && header.contains(column), "{header}");
        ensure!(file.lines().count() > 2 && file.contains("Output Tokens of gpt-5-mini"), "{file}");
    }
    let refused = stage.gateway.command(&[&focus[..], &["2.0"]].concat())?;
    ensure!(refused.status.code() == Some(1), "{}", text(&refused.stderr));
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_stands_under_its_name_only_when_it_is_whole() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    stage.gateway.caller(ConfigText::KEY).chat(&chat("gpt-5-mini", false)).await?;
    stage.gateway.admin().rows("", 1).await?;
    let folder = stage.gateway.folder().join("exports");
    std::fs::create_dir(&folder)?;
    let export = |kind: &str, from: &str, more: &[&str]| {
        let file = folder.join(kind).display().to_string();
        let line = ["export", kind, "--from", from, "--to", "2100-01-01", "--out", &file];
        stage.gateway.command(&[&line[..], more].concat())
    };
    let forms: [(&str, &[u8], &[&str]); 4] = [
        ("parquet", b"PAR1", &[]),
        ("xlsx", b"PK", &["--detail"]),
        ("focus", b"PAR1", &["--format", "parquet"]),
        ("csv", b"id,", &[]),
    ];
    for (kind, begin, more) in forms {
        let done = export(kind, "2020-01-01", more)?;
        ensure!(done.status.success() && done.stdout.is_empty(), "{kind}: {}", text(&done.stderr));
        let whole = std::fs::read(folder.join(kind))?;
        ensure!(whole.starts_with(begin), "{kind}");
        // What fails leaves the old file, and nothing beside it.
        let refused = export(kind, "2101-01-01", more)?;
        ensure!(refused.status.code() == Some(1), "{kind}: {}", text(&refused.stderr));
        ensure!(std::fs::read(folder.join(kind))? == whole, "{kind}");
    }
    let names = std::fs::read_dir(&folder)?.count();
    ensure!(names == forms.len(), "{names} files");
    for misuse in [["csv", "--detail"], ["xlsx", "--format=csv"], ["parquet", "--focus-version=1.4"]] {
        let refused = export(misuse[0], "2020-01-01", &misuse[1..])?;
        ensure!(refused.status.code() == Some(1) && text(&refused.stderr).contains("--"), "{misuse:?}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_tell_success_failure_and_misuse() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let cases: [(&[&str], i32); 6] = [
        (&["version"], 0),
        (&["health"], 0),
        (&["schema"], 0),
        (&["health", "--server", "http://127.0.0.1:1"], 1),
        (&["usage", "-o", "xml"], 2),
        (&["srve"], 2),
    ];
    for (command, code) in cases {
        let output = stage.gateway.command(command)?;
        ensure!(
            output.status.code() == Some(code),
            "{command:?}: {} {}",
            output.status,
            text(&output.stderr)
        );
        // Data on stdout, everything else on stderr.
        ensure!(output.stdout.is_empty() == (code != 0) || command[0] == "health", "{command:?}");
    }
    stage.close().await
}
