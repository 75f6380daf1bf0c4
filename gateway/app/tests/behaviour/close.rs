//! Finance closes a month: it stays as it was sealed, whatever comes or is corrected later.

use std::{fs, path::Path, process::Output, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::Value;
use tollgate_accounting::{
    ledger::{End, Entry, Identity, Journal, JournalOptions, Kind, Place},
    price::{Meter, MeterKind},
};
use tollgate_domain::{Money, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};
use tollgate_simulator::Behaviour;

use crate::stage::{PATIENCE, Stage, text, until};

const DAY: i64 = 86_400_000;
/// What the price file says, in pico-units of a token.
const INPUT: i64 = 250_000;
const OUTPUT: i64 = 2_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_month_stays_as_it_was_whatever_comes_or_is_corrected_later() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let month = Months::ago(2);
    let in_time: Vec<Entry> = (1..=6).map(|number| row(number, month.begin.plus(number * DAY))).collect();
    write_while_stopped(&mut stage, &in_time).await?;
    let closed = run(&stage, &["close", &month.name, "--without-reconciliation", "a test", "-o", "json"], 0)?;
    let closed: Value = serde_json::from_slice(&closed.stdout).context("no JSON")?;
    ensure!(closed["close"]["rows"] == 6 && closed["items"][0]["team"] == "retail", "{closed}");
    let exports = exports(&stage, &month.name, &month.next)?;

    // Rows that another replica or a crash had kept back, and a price that was wrong.
    let late: Vec<Entry> = (7..=9).map(|number| row(number, month.begin.plus(number * DAY))).collect();
    write_while_stopped(&mut stage, &late).await?;
    let prices = stage.config.prices.replace("\"0.25\"", "\"0.5\"");
    ensure!(prices != stage.config.prices, "the price stands in the file");
    fs::write(stage.gateway.folder().join("prices.yaml"), prices)?;
    run(&stage, &["config", "reload"], 0)?;
    let rerate = ["prices", "rerate", "--from", &month.name, "--to", &month.next, "--reason", "credit note"];
    run(&stage, &rerate, 0)?;
    let expected = in_time.iter().map(|entry| cost(entry, 2 * INPUT)).sum::<Money>()
        + late.iter().map(|entry| cost(entry, INPUT)).sum();
    until("the corrections are in the ledger", async || {
        let usage = stage.gateway.admin().usage("team").await?;
        Ok(usage["total"]["cost"] == expected.to_string())
    })
    .await?;

    ensure!(self::exports(&stage, &month.name, &month.next)? == exports, "the closed month has other bytes");
    let adjusted = stage.gateway.admin().rows("kind=adjustment", 9).await?;
    let in_open_time = |row: &Value| row["started_at"].as_str() >= Some(month.next.as_str());
    ensure!(adjusted.len() == 9 && adjusted.iter().all(in_open_time), "{adjusted:?}");
    let again = run(&stage, &rerate, 0)?;
    ensure!(self::exports(&stage, &month.name, &month.next)? == exports, "{}", text(&again.stdout));

    let next = run(&stage, &["close", &month.next, "--without-reconciliation", "a test", "-o", "json"], 0)?;
    let next: Value = serde_json::from_slice(&next.stdout).context("no JSON")?;
    ensure!(next["close"]["previous"] == closed["close"]["hash"], "{next}");
    ensure!(next["close"]["rows"] == 3, "the late rows are the next month's: {next}");
    stage.close().await?;
    run(&stage, &["close", "--verify", "--dir", "data"], 0)?;
    let statement = stage.gateway.folder().join("data/statements").join(&month.name).join("team-retail.json");
    let sealed = fs::read_to_string(&statement)?;
    fs::write(&statement, sealed.replacen("\"rows\":6", "\"rows\":7", 1))?;
    let found = run(&stage, &["close", "--verify", "--dir", "data"], 1)?;
    ensure!(text(&found.stdout).contains("team-retail.json"), "{}", text(&found.stdout));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_closed_is_refused_with_the_reason() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let (this, last, before) = (Months::ago(0), Months::ago(1), Months::ago(2));
    write_while_stopped(&mut stage, &[row(1, before.begin.plus(DAY))]).await?;
    let without = |month: &str| ["close", month, "--without-reconciliation", "x"].map(str::to_owned);
    let refuse = |arguments: &[String], told: &str| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let refused = run(&stage, &arguments, 1)?;
        ensure!(text(&refused.stderr).contains(told), "{arguments:?}: {}", text(&refused.stderr));
        ensure!(refused.stdout.is_empty(), "{arguments:?}");
        Ok(())
    };
    refuse(&without(&this.name), "has not ended")?;
    refuse(&without(&last.name), &format!("{} has rows and is not closed", before.name))?;
    refuse(&["close".to_owned(), before.name.clone()], "name invoices with --reconcile")?;
    ensure!(!stage.gateway.folder().join("data/statements").exists(), "nothing was changed");

    let bill = bill(&before, "5.5");
    fs::write(stage.gateway.folder().join("bill.csv"), bill)?;
    let reconciled = ["close", &before.name, "--reconcile", "bill.csv"].map(str::to_owned);
    refuse(&reconciled, "beyond the tolerance")?;
    let accepted = [&reconciled[..], &["--accept".to_owned(), "they owe us".to_owned()]].concat();
    run(&stage, &accepted.iter().map(String::as_str).collect::<Vec<_>>(), 0)?;
    refuse(&without(&before.name), "is closed already")?;
    run(&stage, &["close", "June"], 2)?;
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_is_held_against_the_ledger() -> Result<()> {
    let mut stage = Stage::set(Behaviour::default())?;
    let month = Months::ago(1);
    let entry = row(1, month.begin.plus(DAY));
    write_while_stopped(&mut stage, std::slice::from_ref(&entry)).await?;
    let folder = stage.gateway.folder().to_owned();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text);
    let (from, to) = (format!("{}-01", month.name), format!("{}-01", month.next));
    let reconcile =
        |file: &'static str| ["reconcile", "--file", file, "--from", &from, "--to", &to, "-o", "csv"];

    write("honest.csv", &bill(&month, &cost(&entry, INPUT).to_string()))?;
    let agreed = run(&stage, &reconcile("honest.csv"), 0)?;
    ensure!(text(&agreed.stdout).lines().count() == 1, "{}", text(&agreed.stdout));
    write("dear.csv", &bill(&month, "9"))?;
    let differs = run(&stage, &reconcile("dear.csv"), 1)?;
    ensure!(text(&differs.stdout).contains(",gpt-5-mini,undecided,9,"), "{}", text(&differs.stdout));
    ensure!(text(&differs.stderr).contains("beyond tolerance"), "{}", text(&differs.stderr));
    write("lacking.csv", "date,model,price\n")?;
    let refused = run(&stage, &reconcile("lacking.csv"), 1)?;
    ensure!(text(&refused.stderr).contains("lacks `cost`, `currency`"), "{}", text(&refused.stderr));
    let backwards = ["reconcile", "--file", "honest.csv", "--from", &to, "--to", &from];
    let refused = run(&stage, &backwards, 1)?;
    ensure!(text(&refused.stderr).contains("ends at or before its begin"), "{}", text(&refused.stderr));
    run(&stage, &["reconcile", "--file", "absent.csv", "--from", &from, "--to", &to], 1)?;
    run(&stage, &["reconcile", "--provider", "aws", "--file", "f", "--from", &from, "--to", &to], 2)?;
    stage.close().await
}

/// A month, and the one after it, as the clock of the machine has them.
struct Months {
    name: String,
    next: String,
    begin: UnixMillis,
}

impl Months {
    fn ago(months: i32) -> Self {
        let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
        let first = today.first_of_month().checked_sub(months.months()).expect("a month of our time");
        let next = first.checked_add(1.month()).expect("a month of our time");
        let name = |date: Date| date.strftime("%Y-%m").to_string();
        let begin = first.to_zoned_datetime(TimeZone::UTC).expect("midnight").timestamp();
        Self { name: name(first), next: name(next), begin: UnixMillis::new(begin.as_millisecond()) }
    }
}

/// An invoice for the second day of a month.
fn bill(month: &Months, cost: &str) -> String {
    format!("date,model,cost,currency\n{}-02,gpt-5-mini,{cost},USD\n", month.name)
}

/// Runs a command, which must end with this code.
fn run(stage: &Stage, arguments: &[&str], code: i32) -> Result<Output> {
    let output = stage.gateway.command(arguments)?;
    ensure!(
        output.status.code() == Some(code),
        "{arguments:?} ended with {}: {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(output)
}

/// The files of a month: rows, and charges in both versions of FOCUS.
fn exports(stage: &Stage, from: &str, to: &str) -> Result<Vec<Vec<u8>>> {
    let forms: [&[&str]; 3] = [&["csv"], &["focus", "--focus-version", "1.2"], &["focus"]];
    let export = |form: &&[&str]| {
        let arguments = [&["export", form[0], "--from", from, "--to", to], &form[1..]].concat();
        Ok(run(stage, &arguments, 0)?.stdout)
    };
    forms.iter().map(export).collect()
}

/// Stops the gateway, puts rows into its journal as one of its processes would have, and starts it again.
async fn write_while_stopped(stage: &mut Stage, entries: &[Entry]) -> Result<()> {
    stage.gateway.terminate()?;
    stage.gateway.ended(PATIENCE).await?;
    append(&stage.gateway.folder().join("data/journal/gw-test"), entries)?;
    stage.gateway.restart()
}

fn append(folder: &Path, entries: &[Entry]) -> Result<()> {
    let journal = Journal::open(folder, JournalOptions::default())?;
    let mut writer = journal.writer(0)?;
    for entry in entries {
        writer.end(entry)?;
    }
    journal.sync()?;
    drop(writer);
    Ok(())
}

fn cost(entry: &Entry, input: i64) -> Money {
    UnitPrice::from_pico(input).times(entry.usage.input_uncached)
        + UnitPrice::from_pico(OUTPUT).times(entry.usage.output_text)
}

/// A request to the preferred provider, charged by the price file.
fn row(number: i64, at: UnixMillis) -> Entry {
    let number = number.unsigned_abs();
    let (input, output) = (1_000_003 * number, 20_001 * number);
    let meter = |meter, quantity, pico| {
        let unit_price = UnitPrice::from_pico(pico);
        let price_id = "gpt-5-mini@2020-01-01".into();
        Meter { meter, quantity, unit_price, list_price: None, cost: unit_price.times(quantity), price_id }
    };
    let meters = [meter(MeterKind::Input, input, INPUT), meter(MeterKind::Output, output, OUTPUT)];
    Entry {
        ended_at: at.plus(900),
        place: Some(Arc::new(Place {
            provider: "openai".into(),
            account: None,
            upstream: "openai-east".into(),
            upstream_model: "gpt-5-mini".into(),
            region: "east".into(),
            zone: "us".into(),
        })),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        status: 200,
        end: Some(End::Completed),
        usage: Usage { input_uncached: input, output_text: output, ..Usage::default() },
        usage_source: UsageSource::Reported,
        cost: Some(meters.iter().map(|meter| meter.cost).sum()),
        meters: meters.into_iter().collect(),
        duration_ms: 900,
        config_version: 1,
        ..Entry::new(
            Kind::Usage,
            RequestId::new(at, u128::from(number)),
            Arc::new(Identity {
                organization: "contoso".into(),
                instance: "gw-test".into(),
                team: "retail".into(),
                project: "search".into(),
                key: "prod".into(),
                cost_center: None,
                tags: Vec::new(),
            }),
            "gpt-5-mini".into(),
            "USD".into(),
        )
    }
}
