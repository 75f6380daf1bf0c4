//! `budgets`: what may be spent and is spent, and more of it for a time. `alerts`: who was told.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    client::{Client, ServerArgs},
    output::{self, Format, OutputArgs},
};

const COLUMNS: [&str; 13] = [
    "scope",
    "team",
    "project",
    "key",
    "mode",
    "amount",
    "spent",
    "reserved",
    "remaining",
    "forecast",
    "currency",
    "period",
    "state",
];

#[derive(Args, Debug)]
pub(super) struct BudgetsArgs {
    #[command(subcommand)]
    command: BudgetsCommand,
}

#[derive(Debug, Subcommand)]
enum BudgetsCommand {
    /// Show every budget.
    List {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Let more be spent for a time.
    Raise {
        #[command(flatten)]
        scope: ScopeArgs,
        /// How much more, as a decimal number.
        #[arg(long, value_name = "AMOUNT")]
        amount: String,
        /// When the raise ends: a date or an RFC 3339 time.
        #[arg(long, value_name = "TIME", required_unless_present = "lasts", conflicts_with = "lasts")]
        until: Option<String>,
        /// After which time the raise ends, such as 2h.
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<String>,
        /// Why; kept with the raise and in the audit.
        #[arg(long)]
        reason: String,
    },
    /// End a raise before its time.
    Lower {
        #[command(flatten)]
        scope: ScopeArgs,
        /// Why; kept in the audit.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Args, Debug)]
struct ScopeArgs {
    /// Whose budget.
    kind: Kind,
    /// TEAM, TEAM/PROJECT or TEAM/PROJECT/KEY.
    name: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Team,
    Project,
    Key,
}

#[derive(Args, Debug)]
pub(super) struct AlertsArgs {
    /// Only those about this team.
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn budgets(args: &BudgetsArgs) -> Result<()> {
    match &args.command {
        BudgetsCommand::List { server, output } => {
            let answer = Client::new(server)?.get(&["budgets"], &[])?;
            output::rows(&answer, &COLUMNS, None, output.output)
        }
        BudgetsCommand::Raise { scope, amount, until, lasts, reason } => {
            let mut order = json!({ "amount": amount, "reason": reason });
            for (field, value) in [("until", until), ("for", lasts)] {
                if let Some(value) = value {
                    order[field] = value.as_str().into();
                }
            }
            change(scope, "raise", &order)
        }
        BudgetsCommand::Lower { scope, reason } => change(scope, "lower", &json!({ "reason": reason })),
    }
}

fn change(scope: &ScopeArgs, action: &str, order: &Value) -> Result<()> {
    let kind = match scope.kind {
        Kind::Team => "team",
        Kind::Project => "project",
        Kind::Key => "key",
    };
    let path: Vec<&str> =
        ["budgets", kind].into_iter().chain(scope.name.split('/')).chain([action]).collect();
    let budget = Client::new(&scope.server)?.post(&path, order)?;
    match scope.output.output {
        Format::Json => output::record(&budget, Format::Json),
        format => output::rows(&json!({ "items": [budget] }), &COLUMNS, None, format),
    }
}

pub(super) fn alerts(args: &AlertsArgs) -> Result<()> {
    let query: Vec<(&str, &str)> = args.team.iter().map(|team| ("team", team.as_str())).collect();
    let mut answer = Client::new(&args.server)?.get(&["alerts"], &query)?;
    if args.output.output != Format::Json {
        for item in answer["items"].as_array_mut().into_iter().flatten() {
            item["deliveries"] = told(&item["deliveries"]).into();
        }
    }
    output::rows(&answer, &["at", "kind", "text", "deliveries", "id"], None, args.output.output)
}

/// Deliveries in a few words.
fn told(deliveries: &Value) -> String {
    let told = |delivery: &Value| {
        let word = |field: &str| delivery[field].as_str().unwrap_or_default().to_owned();
        format!("{}: {} ({})", word("webhook"), word("state"), delivery["attempts"])
    };
    deliveries.as_array().into_iter().flatten().map(told).collect::<Vec<_>>().join(", ")
}
