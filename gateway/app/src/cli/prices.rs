//! `prices`: price files checked, shown and made from lists of others, which needs no gateway; and rows
//! of the past charged by the prices in force now, which a gateway does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_control::config::{Document, Errors, PriceFile, PriceItem, Sources, file::Instant, is_currency};
use tollgate_domain::{Name, UnixMillis};
use tollgate_finance::price_list::{self, Import, ImportOptions};

use crate::say::say;

use super::{
    ConfigFile,
    client::{Client, ServerArgs},
    output::{self, OutputArgs},
};

const COLUMNS: [&str; 13] = [
    "model",
    "upstream",
    "region",
    "from",
    "until",
    "currency",
    "per",
    "discount",
    "input",
    "cached_input",
    "cache_write",
    "output",
    "tiers",
];

#[derive(Args, Debug)]
pub(super) struct PricesArgs {
    #[command(subcommand)]
    command: PricesCommand,
}

#[derive(Debug, Subcommand)]
enum PricesCommand {
    /// Judge price files, or those of a configuration.
    Check(CheckArgs),
    /// Show the prices of price files, or those of a configuration.
    Show(ShowArgs),
    /// Make price entries from the JSON price list of the LiteLLM project.
    Import(ImportArgs),
    /// Charge the rows of a period by the prices in force now: posts corrections, changes no row.
    Rerate(RerateArgs),
}

/// Which prices.
#[derive(Args, Debug)]
struct From {
    /// Price files; those of the configuration without any
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Args, Debug)]
struct CheckArgs {
    #[command(flatten)]
    from: From,
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    from: From,
    /// Only models whose names contain this.
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// Only the price of each model that counts at this time.
    #[arg(long, value_name = "DATE")]
    at: Option<Instant>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
struct ImportArgs {
    /// The list, a file such as `model_prices_and_context_window.json`.
    #[arg(value_name = "LIST")]
    list: PathBuf,
    /// From when on the prices count [default: today]
    #[arg(long, value_name = "DATE")]
    from: Option<Instant>,
    /// The currency of the list.
    #[arg(long, value_name = "CODE", default_value = "USD", value_parser = currency)]
    currency: String,
    /// Only models of this provider, as the list names it; repeatable.
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// Make the entries for this upstream alone.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Leave out what these price files say already; repeatable.
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// Take prices that changed by more than a factor of ten.
    #[arg(long)]
    allow_large_changes: bool,
}

#[derive(Args, Debug)]
struct RerateArgs {
    /// From this time on: RFC 3339, a date, a month, or relative (-7d, today, this-month).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: String,
    /// Up to but without this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: String,
    /// Only tell what would change.
    #[arg(long)]
    preview: bool,
    /// Why; it stands in the audit.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn currency(code: &str) -> Result<String, &'static str> {
    is_currency(code).then(|| code.to_owned()).ok_or("not a currency of ISO 4217")
}

pub(super) fn prices(args: PricesArgs) -> Result<ExitCode> {
    match args.command {
        PricesCommand::Check(args) => Ok(check(args)),
        PricesCommand::Show(args) => show(args),
        PricesCommand::Import(args) => import(&args),
        PricesCommand::Rerate(args) => rerate(&args),
    }
}

/// Reads the prices, or tells what is wrong with them as compilers do.
fn read(from: From) -> Option<(PriceFile, Name)> {
    let currency: Name = "USD".into();
    let read = if from.files.is_empty() {
        Document::load(&from.config.path(), &Sources::process())
            .map(|document| (document.prices, Name::from(document.file.currency.as_str())))
    } else {
        PriceFile::load(&from.files, &currency, &Sources::process()).map(|prices| (prices, currency))
    };
    read.map_err(tell).ok()
}

fn tell(errors: Errors) {
    errors.0.iter().for_each(|problem| say!("{problem}"));
}

fn check(args: CheckArgs) -> ExitCode {
    let Some((prices, _)) = read(args.from) else {
        say!("the prices are refused");
        return ExitCode::FAILURE;
    };
    let models: BTreeSet<&str> = prices.items.iter().map(|item| item.model.as_str()).collect();
    say!("{} prices of {} models: fine", prices.items.len(), models.len());
    ExitCode::SUCCESS
}

fn show(args: ShowArgs) -> Result<ExitCode> {
    let Some((prices, currency)) = read(args.from) else { return Ok(ExitCode::FAILURE) };
    let wanted = |item: &&PriceItem| args.model.as_ref().is_none_or(|text| item.model.contains(text));
    let mut lines: BTreeMap<_, Vec<&PriceItem>> = BTreeMap::new();
    for item in prices.items.iter().filter(wanted) {
        lines.entry((&item.model, &item.upstream, &item.region)).or_default().push(item);
    }
    let mut items = Vec::new();
    for line in lines.values_mut() {
        line.sort_by_key(|item| item.from);
        for (place, item) in line.iter().enumerate() {
            let until = line.get(place + 1).map(|next| next.from);
            let counts = |at: Instant| item.from <= at && until.is_none_or(|until| at < until);
            if args.at.is_none_or(counts) {
                items.push(row(item, until, &currency));
            }
        }
    }
    output::rows(&json!({ "items": items }), &COLUMNS, None, args.output.output)?;
    Ok(ExitCode::SUCCESS)
}

fn row(item: &PriceItem, until: Option<Instant>, currency: &Name) -> Value {
    let day = |at: Instant| {
        let time = jiff::Timestamp::from_millisecond(at.millis).unwrap_or_default();
        time.strftime("%Y-%m-%d").to_string()
    };
    let mut row = json!({
        "id": item.id,
        "model": item.model,
        "upstream": item.upstream,
        "region": item.region,
        "from": day(item.from),
        "until": until.map(day),
        "currency": item.currency.as_deref().unwrap_or(currency),
        "per": item.per,
        "discount": item.discount.map(|discount| discount.to_string()),
        "tiers": item.tiers.iter().map(|tier| tier.above_input_tokens).collect::<Vec<_>>(),
    });
    for (name, amount) in item.amounts() {
        row[name] = amount.map(|amount| amount.to_string()).into();
    }
    row
}

/// Prints a price file with what is new; what was left out is told on stderr.
fn import(args: &ImportArgs) -> Result<ExitCode> {
    let currency: Name = args.currency.as_str().into();
    let present = match PriceFile::load(&args.against, &currency, &Sources::process()) {
        Ok(prices) => prices.entries(&currency),
        Err(errors) => {
            tell(errors);
            return Ok(ExitCode::FAILURE);
        }
    };
    let now = jiff::Timestamp::now();
    let today = now.as_millisecond().div_euclid(86_400_000) * 86_400_000;
    let options = ImportOptions {
        from: UnixMillis::new(args.from.map_or(today, |from| from.millis)),
        currency,
        providers: args.provider.clone(),
        upstream: args.upstream.as_deref().map(Into::into),
        allow_large_changes: args.allow_large_changes,
    };
    let text = std::fs::read(&args.list).with_context(|| format!("cannot read {}", args.list.display()))?;
    let import =
        price_list::import(&text, &present, &options).with_context(|| args.list.display().to_string())?;
    import.refused.iter().for_each(|refusal| say!("left out: {refusal}"));
    let Import { entries, unchanged, skipped, refused } = &import;
    say!(
        "{} prices to add, {unchanged} unchanged, {} left out, {skipped} models not priced by tokens or not asked for",
        entries.len(),
        refused.len()
    );
    if !entries.is_empty() {
        let list = args.list.file_name().unwrap_or_default().to_string_lossy();
        let head = format!("# From {list}, read on {}.\nprices:\n", now.strftime("%Y-%m-%d"));
        output::write((head + &price_list::write_entries(entries)).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

const CHANGES: [&str; 7] = ["team", "model", "currency", "rows", "before", "after", "delta"];

/// The sums by team and model on stdout, the counts on stderr.
fn rerate(args: &RerateArgs) -> Result<ExitCode> {
    let asked = json!({ "from": args.from, "to": args.to, "preview": args.preview, "reason": args.reason });
    let found = Client::new(&args.server)?.post(&["prices", "rerate"], &asked)?;
    output::rows(&found, &CHANGES, None, args.output.output)?;
    let count = |name: &str| found[name].as_u64().unwrap_or_default();
    say!(
        "{} rows looked at, {} cost something else, {} corrections posted, {} without a price, {} left as they are",
        count("rows"),
        count("differing"),
        count("posted"),
        count("unpriced"),
        count("left")
    );
    Ok(ExitCode::SUCCESS)
}
