//! An hour of everything (three projects, every dialect's calls, streams, failovers with waste, clients that
//! leave, refusals) and everybody who looks at it: the files of finance, the API, the command line, what the
//! console shows, budgets and metrics. All tell the same whole numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_domain::Money;
use tollgate_simulator::Keep;
use tollgate_test_support::Gateway;

use crate::{
    figures::Figures,
    ledger_file,
    mixed::{KEYS, Mixed},
    stage::{chat, short_or_long, text, until},
};

/// Groups that the console asks for.
const SHOWN: [&str; 5] = ["day,team", "hour", "team,project", "model,region", "key,upstream"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_looks_at_a_mixed_hour_sees_the_same_sums() -> Result<()> {
    let (requests, refused) = (short_or_long(600, 20_000), 24);
    let mut mixed = Mixed::start(Keep::Totals)?;
    mixed.run(0..requests, 64).await;
    refuse(&mixed.gateway, refused).await?;
    mixed.settle(requests + refused).await?;

    let wanted = of_the_rows(&mixed.gateway, refused)?;
    println!("{wanted:?}");
    let mut told = vec![("metrics", of_metrics(&mixed.gateway).await?)];
    told.extend(of_the_api(&mixed.gateway).await?);
    told.extend(of_the_command_line(&mixed.gateway)?);
    told.extend(of_the_console(&mixed.gateway).await?);
    for (who, figures) in &told {
        ensure!(*figures == wanted, "{who} tells {figures:?}, the rows are {wanted:?}");
    }
    of_the_overview(&mixed.gateway, &wanted).await?;
    for (who, cost) in [("FOCUS", of_focus(&mixed.gateway)?), ("budgets", of_budgets(&mixed.gateway).await?)]
    {
        ensure!(cost == wanted.cost, "{who} tells {cost}, the rows are {}", wanted.cost);
    }
    mixed.close().await
}

/// Calls that are refused before anybody has them: of known keys for a model that nobody has, which are
/// rows, and of unknown keys, which are nobody's.
async fn refuse(gateway: &Gateway, count: u64) -> Result<()> {
    for number in 0..count {
        let caller = gateway.caller(KEYS[(number % 4) as usize]);
        let reply = caller.chat(&chat("a-model-of-nobody", number % 2 == 0)).await?;
        ensure!(reply.error_code() == "model_not_found", "{}", text(&reply.body));
        let reply = caller.with_key("a-key-of-nobody").chat(&chat("gpt-5-mini", false)).await?;
        ensure!(reply.error_code() == "invalid_api_key", "{}", text(&reply.body));
    }
    Ok(())
}

/// The rows of `export csv`, added up one by one. They must be of every kind, or they prove nothing.
fn of_the_rows(gateway: &Gateway, refused: u64) -> Result<Figures> {
    let (mut figures, mut waste) = (Figures::default(), Money::ZERO);
    let (mut ends, mut projects, mut models) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for row in ledger_file::rows(&ledger_file::export(gateway)?)? {
        let row = row?;
        figures.add(&row)?;
        waste += row.waste_cost;
        ends.insert(row.end);
        projects.insert(row.project);
        models.insert(row.model);
    }
    ensure!(waste > Money::ZERO && figures.unpriced > 0 && figures.refusals >= refused, "{figures:?}");
    for end in ["completed", "client_abort", "truncated", "refused_upstream"] {
        ensure!(ends.contains(end), "no row ends {end}: {ends:?}");
    }
    ensure!(projects.len() == 3 && models.len() > 5, "{projects:?} {models:?}");
    Ok(figures)
}

async fn of_the_api(gateway: &Gateway) -> Result<Vec<(&'static str, Figures)>> {
    let admin = gateway.admin();
    let mut rows = Figures::default();
    for row in admin.requests("kind=usage").await? {
        let cost = row["cost"].as_str().map(str::parse).transpose()?;
        rows.join(&Figures {
            requests: 1,
            refusals: 0,
            unpriced: u64::from(cost.is_none()),
            tokens: Figures::TOKENS.map(|name| row[name].as_u64().unwrap_or_default()),
            cost: cost.unwrap_or_default(),
        });
    }
    rows.refusals = admin.requests("kind=refusal").await?.len() as u64;
    let answer = admin.usage("team,project,key,model,upstream,region,zone,tag:feature").await?;
    Ok(vec![
        ("GET /requests", rows),
        ("the groups of GET /usage", groups(&answer)?),
        ("the total of GET /usage", Figures::read(&answer["total"])?),
    ])
}

fn groups(answer: &Value) -> Result<Figures> {
    let mut sum = Figures::default();
    for item in answer["items"].as_array().context("no items")? {
        sum.join(&Figures::read(item)?);
    }
    Ok(sum)
}

fn of_the_command_line(gateway: &Gateway) -> Result<Vec<(&'static str, Figures)>> {
    let ask = |form: &str| -> Result<String> {
        let output = gateway.command(&["usage", "--by", "team,project,model", "-o", form])?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        Ok(text(&output.stdout))
    };
    let json: Value = serde_json::from_str(&ask("json")?)?;
    let mut csv = Figures::default();
    for row in csv::Reader::from_reader(ask("csv")?.as_bytes()).deserialize::<BTreeMap<String, String>>() {
        csv.join(&named(&row?)?);
    }
    // People see the total in the last line, under the same heads.
    let table = ask("table")?;
    let words = |line: Option<&str>| -> Vec<String> {
        line.unwrap_or_default().split_whitespace().map(str::to_lowercase).collect()
    };
    let (heads, last) = (words(table.lines().next()), words(table.lines().last()));
    ensure!(heads.len() == last.len() && last[0] == "total", "{table}");
    let total = named(&heads.into_iter().zip(last).collect())?;
    Ok(vec![
        ("tollgate usage -o json, groups", groups(&json)?),
        ("tollgate usage -o json, total", Figures::read(&json["total"])?),
        ("tollgate usage -o csv", csv),
        ("tollgate usage", total),
    ])
}

/// Figures of a line of texts.
fn named(line: &BTreeMap<String, String>) -> Result<Figures> {
    let count = |name: &str| -> Result<u64> {
        line.get(name).with_context(|| format!("no {name}"))?.parse().with_context(|| name.to_owned())
    };
    let [input, cached, written, output, reasoning] = Figures::TOKENS.map(count);
    Ok(Figures {
        requests: count("requests")?,
        refusals: count("refusals")?,
        unpriced: count("unpriced_requests")?,
        tokens: [input?, cached?, written?, output?, reasoning?],
        cost: line.get("cost").context("no cost")?.parse()?,
    })
}

/// What the console asks for, added up by its own arithmetic.
async fn of_the_console(gateway: &Gateway) -> Result<Vec<(&'static str, Figures)>> {
    let mut answers = Vec::new();
    for by in SHOWN {
        answers.push(gateway.admin().get(&format!("/usage?by={by}&from=-24h")).await?);
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let money = Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/console/money.js");
    let mut node = Command::new("node")
        .arg(tests.join("console_sums.mjs"))
        .arg(money)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run node")?;
    node.stdin.take().context("it has an input")?.write_all(&serde_json::to_vec(&answers)?)?;
    let output = node.wait_with_output()?;
    ensure!(output.status.success(), "node ended with {}", output.status);
    let sums: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    SHOWN.into_iter().zip(&sums).map(|(by, sums)| Ok((by, Figures::read(sums)?))).collect()
}

/// The console's first page tells the last hour, from memory.
async fn of_the_overview(gateway: &Gateway, wanted: &Figures) -> Result<()> {
    let wanted = serde_json::json!({
        "requests": wanted.requests,
        "refusals": wanted.refusals,
        "input_tokens": wanted.tokens[0],
        "output_tokens": wanted.tokens[3],
        "cost": wanted.cost,
    });
    let mut hour = Value::Null;
    let seen = until("the overview tells the hour", async || {
        hour = gateway.admin().get("/overview").await?["last_hour"].take();
        hour.as_object_mut().context("an hour")?.remove("failed");
        Ok(hour == wanted)
    });
    let seen = seen.await;
    seen.with_context(|| format!("it tells {hour}, the rows are {wanted}"))?;
    Ok(())
}

/// `BilledCost` is zero there, since nobody but the provider bills.
fn of_focus(gateway: &Gateway) -> Result<Money> {
    let export = ["export", "focus", "--from", "2020-01-01", "--to", "2100-01-01"];
    let output = gateway.command(&export)?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let mut sum = Money::ZERO;
    for row in csv::Reader::from_reader(&*output.stdout).deserialize::<BTreeMap<String, String>>() {
        sum += row?["EffectiveCost"].parse()?;
    }
    Ok(sum)
}

async fn of_budgets(gateway: &Gateway) -> Result<Money> {
    let budgets = gateway.admin().budgets().await?;
    let teams = budgets.iter().filter(|budget| budget["scope"] == "team");
    teams.map(|budget| Ok(budget["spent"].as_str().context("an amount")?.parse::<Money>()?)).sum()
}

async fn of_metrics(gateway: &Gateway) -> Result<Figures> {
    let shown = text(&gateway.admin().root("/metrics").await?.body);
    let mut figures = Figures::default();
    for line in shown.lines().filter(|line| !line.contains("team=\"\"")) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let (labels, value) = rest.rsplit_once("} ").context("a sample")?;
        match name {
            "tollgate_requests_total" if labels.contains("end=\"refused\"") => {
                figures.refusals += value.parse::<u64>()?;
            }
            "tollgate_requests_total" => figures.requests += value.parse::<u64>()?,
            "tollgate_unpriced_requests_total" => figures.unpriced += value.parse::<u64>()?,
            "tollgate_tokens_total" => {
                let kind = labels.split_once("type=\"").context("a type")?.1.trim_end_matches('"');
                let place =
                    Figures::TOKENS.iter().position(|name| name.strip_suffix("_tokens") == Some(kind));
                figures.tokens[place.with_context(|| line.to_owned())?] += value.parse::<u64>()?;
            }
            // The text of a float that names one whole number of parts.
            "tollgate_cost_total" => figures.cost += value.parse::<Money>()?,
            _ => {}
        }
    }
    Ok(figures)
}
