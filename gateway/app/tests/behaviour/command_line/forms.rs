//! `-o json` and `-o csv`: what programs read is JSON and CSV, of every command that has these forms.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::Behaviour;
use tollgate_test_support::ConfigText;

use super::{ESCAPE, all_commands, help};
use crate::stage::{Stage, chat, text, until};

/// Runs commands in a form, and remembers which have been run.
struct Forms<'a> {
    stage: &'a Stage,
    form: &'static str,
    seen: BTreeSet<String>,
}

impl Forms<'_> {
    /// `line` in words; its exit code may be 0, or 1 where that is an answer too. Gives what JSON says.
    fn ask(&mut self, command: &str, rest: &str) -> Result<Value> {
        let words = command.split_whitespace().chain(rest.split_whitespace()).chain(["-o", self.form]);
        let words: Vec<&str> = words.collect();
        let output = self.stage.gateway.command(&words)?;
        let (shown, told) = (text(&output.stdout), text(&output.stderr));
        let is_answer = matches!(command, "config diff" | "reconcile");
        let code = output.status.code();
        ensure!(code == Some(0) || (code == Some(1) && is_answer), "{words:?} ended with {code:?}: {told}");
        ensure!(!shown.contains(ESCAPE) && shown.ends_with('\n'), "{words:?}: {shown:?}");
        self.seen.insert(command.to_owned());
        if self.form == "json" {
            let value: Value = serde_json::from_str(&shown).with_context(|| format!("{words:?}: {shown}"))?;
            ensure!(value.is_object(), "{words:?}: {value}");
            return Ok(value);
        }
        // Two commands print what is no table: a patch, and an explanation.
        if !matches!(command, "config diff" | "explain" | "version" | "close") {
            let mut reader = csv::Reader::from_reader(shown.as_bytes());
            let columns = reader.headers()?.len();
            ensure!(columns > 1, "{words:?}: {shown}");
            for row in reader.records() {
                ensure!(row.with_context(|| shown.clone())?.len() == columns, "{words:?}: {shown}");
            }
        }
        Ok(Value::Null)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_programs_read_is_json_and_csv() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        let budget = "  - name: retail\n    budget: { amount: \"100\", period: month, mode: soft }\n";
        config.teams = config.teams.replace("  - name: retail\n", budget);
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let id = caller.chat(&chat("gpt-5-mini", false)).await?.request_id().to_owned();
    stage.gateway.admin().rows("", 1).await?;
    // A second version, so that there is something to compare and to go back to.
    stage.gateway.write_config(&format!("{}\n# changed\n", stage.config))?;
    until("the second version is in force", async || {
        Ok(stage.gateway.admin().get("/config").await?["version"] == 2)
    })
    .await?;
    std::fs::write(
        stage.gateway.folder().join("bill.csv"),
        "date,model,cost,currency\n2026-01-01,gpt-5-mini,1.00,USD\n",
    )?;

    let mut seen = BTreeSet::new();
    for form in ["json", "csv"] {
        let mut forms = Forms { stage: &stage, form, seen: std::mem::take(&mut seen) };
        reads(&mut forms, &id)?;
        if form == "json" {
            orders(&mut forms)?;
        }
        seen = forms.seen;
    }
    let has_forms: BTreeSet<String> = all_commands()?
        .into_iter()
        .filter_map(|path| help(&path).is_ok_and(|help| help.contains("--output ")).then(|| path.join(" ")))
        .collect();
    let missed: Vec<_> = has_forms.difference(&seen).collect();
    ensure!(missed.is_empty(), "nobody has looked at {missed:?}");
    stage.close().await
}

/// Commands that change nothing.
fn reads(forms: &mut Forms<'_>, id: &str) -> Result<()> {
    let usage = forms.ask("usage", "--by team,day")?;
    if forms.form == "json" {
        ensure!(usage["total"]["requests"] == 1, "{usage}");
    }
    forms.ask("usage", "--allocated")?;
    for command in [
        "version",
        "alerts",
        "budgets list",
        "config show",
        "config history",
        "config diff",
        "drill status",
        "keys list",
        "models list",
        "regions list",
        "targets list",
        "upstreams list",
    ] {
        forms.ask(command, "")?;
    }
    forms.ask("check", "-c tollgate.yaml")?;
    forms.ask("verify", "--dir data")?;
    forms.ask("explain", "budget_exceeded")?;
    let request = forms.ask("explain", id)?;
    ensure!(forms.form != "json" || request["id"] == id, "{request}");
    forms.ask("prices show", "prices.yaml")?;
    forms.ask("regions drain", "east --preview")?;
    forms.ask("failover", "--from east --to west --preview")?;
    forms.ask("reconcile", "--file bill.csv --from 2026-01-01 --to 2026-01-02")?;
    forms.ask("prices rerate", "--from 2026-01-01 --to 2026-01-02 --preview")?;
    forms.ask("close", "--verify --dir data")?;
    Ok(())
}

/// Commands that change something, each undone before the next.
fn orders(forms: &mut Forms<'_>) -> Result<()> {
    for (kind, name) in [
        ("regions", "east"),
        ("upstreams", "openai-east"),
        ("targets", "gpt-5-mini@openai-east"),
        ("models", "claude-sonnet-4-6"),
    ] {
        for action in ["drain", "disable", "force", "enable"] {
            forms.ask(&format!("{kind} {action}"), &format!("{name} --reason test --force"))?;
        }
    }
    forms.ask("failover", "--from east --to west --reason test --force")?;
    forms.ask("failback", "east --reason test")?;
    forms.ask("budgets raise", "team retail --amount 5 --for 1h --reason test")?;
    forms.ask("budgets lower", "team retail --reason test")?;
    let made = forms.ask("keys create", "--project retail/search --name ci")?;
    let made = made["id"].as_str().context("an id")?.to_owned();
    let rotated = forms.ask("keys rotate", &format!("{made} --overlap 0s"))?;
    forms.ask("keys revoke", rotated["id"].as_str().context("an id")?)?;
    forms.ask("drill start", "--region east --fault latency --all --for 1m --reason test")?;
    forms.ask("drill stop", "1 --reason test")?;
    forms.ask("drill report", "1")?;
    forms.ask("config reload", "")?;
    forms.ask("config rollback", "1 --reason test")?;
    Ok(())
}
