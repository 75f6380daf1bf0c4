//! `drill`: rehearse a failure on live traffic of named projects, and keep the evidence.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use tollgate_control::{
    drills::{Evidence, FaultKind, Order},
    operate::Span,
};

use crate::say::say;

use super::{
    client::{Client, ServerArgs},
    output::{self, OutputArgs},
};

#[derive(Args, Debug)]
pub(super) struct DrillArgs {
    #[command(subcommand)]
    command: DrillCommand,
}

#[derive(Debug, Subcommand)]
enum DrillCommand {
    /// Inject faults into the calls of the named projects, for a time.
    Start(Box<StartArgs>),
    /// Show drills, the newest first.
    Status {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// End a drill now.
    Stop {
        /// Its number.
        id: String,
        /// Why; kept in the audit.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show the report of a drill, and check that it is what was sealed.
    Report {
        /// Its number.
        #[arg(required_unless_present = "file")]
        id: Option<String>,
        /// Write the evidence here.
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        out: Option<PathBuf>,
        /// Check evidence that was written before, without a gateway.
        #[arg(long, value_name = "FILE", conflicts_with = "id")]
        file: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("place").required(true), group = ArgGroup::new("scope").required(true))]
struct StartArgs {
    /// The region where the fault is.
    #[arg(long, value_name = "NAME", group = "place")]
    region: Option<String>,
    /// The upstream where the fault is.
    #[arg(long, value_name = "NAME", group = "place")]
    upstream: Option<String>,
    /// What fails: down, dns, latency, throttle, error, cut or trickle.
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    fault: FaultKind,
    /// Whose calls may meet it, as TEAM/PROJECT or PROJECT.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', group = "scope")]
    projects: Vec<String>,
    /// Everybody's calls may meet it.
    #[arg(long, group = "scope")]
    all: bool,
    /// How many in a hundred of these calls.
    #[arg(long, value_name = "N", default_value_t = 100)]
    percent: u32,
    /// When it ends by itself, such as 2m; at most 1h.
    #[arg(long = "for", value_name = "TIME")]
    lasts: Span,
    /// Why; kept with the report and in the audit.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// End at once when fewer in a hundred of its latest calls succeed [default: 50].
    #[arg(long, value_name = "N")]
    stop_when_success_below: Option<u32>,
    /// What `latency` adds, such as 250ms [default: 2s].
    #[arg(long, value_name = "TIME", value_parser = millis)]
    latency: Option<u64>,
    /// What `throttle` asks to wait [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = millis)]
    retry_after: Option<u64>,
    /// What `error` answers: 500, 502, 503 or 504 [default: 503].
    #[arg(long, value_name = "STATUS")]
    status: Option<u16>,
    /// Pieces of the answer that `cut` lets through after the first content [default: 3].
    #[arg(long, value_name = "N")]
    after: Option<u32>,
    /// How late each piece of a `trickle` comes [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = millis)]
    every: Option<u64>,
    /// Where the drawing of calls begins [default: the drill's number].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn fault(text: &str) -> Result<FaultKind, String> {
    let found = FaultKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| format!("one of {}", FaultKind::ALL.map(FaultKind::as_str).join(", ")))
}

/// A length of time, in milliseconds.
fn millis(text: &str) -> Result<u64, String> {
    let time: jiff::SignedDuration = text.parse().map_err(|_| "a time such as 250ms or 2s".to_owned())?;
    u64::try_from(time.as_millis()).map_err(|_| "a time that is not negative".to_owned())
}

pub(super) fn drill(args: DrillArgs) -> Result<()> {
    match args.command {
        DrillCommand::Start(args) => {
            let (server, output) = (args.server.clone(), args.output);
            let begun = Client::new(&server)?.post(&["drills"], &order(*args))?;
            show(&begun, output)
        }
        DrillCommand::Status { server, output } => {
            let answer = Client::new(&server)?.get(&["drills"], &[])?;
            output::rows(&answer, COLUMNS, None, output.output)
        }
        DrillCommand::Stop { id, reason, server, output } => {
            let report =
                Client::new(&server)?.post(&["drills", &id, "stop"], &json!({ "reason": reason }))?;
            show(&report, output)
        }
        DrillCommand::Report { id, out, file, server, output } => {
            let document = match (id, file) {
                (_, Some(file)) => read(&file)?,
                (Some(id), None) => Client::new(&server)?.get(&["drills", &id], &[])?,
                (None, None) => bail!("name a drill, or a --file"),
            };
            report(&document, out, output)
        }
    }
}

const COLUMNS: &[&str] = &[
    "id",
    "state",
    "region",
    "upstream",
    "fault",
    "projects",
    "percent",
    "started_at",
    "ended_at",
    "ended_by",
    "requests",
    "failed",
    "recovery_ms",
];

fn order(args: StartArgs) -> Order {
    Order {
        reason: args.reason,
        region: args.region,
        upstream: args.upstream,
        fault: Some(args.fault),
        projects: args.projects,
        all: args.all,
        percent: Some(args.percent),
        lasts: Some(args.lasts),
        stop_when_success_below: args.stop_when_success_below,
        latency_ms: args.latency,
        retry_after_ms: args.retry_after,
        status: args.status,
        after: args.after,
        every_ms: args.every,
        seed: args.seed,
    }
}

fn read(file: &PathBuf) -> Result<Value> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no evidence of a drill", file.display()))
}

/// Shows evidence, and fails where it is not what was sealed.
fn report(document: &Value, out: Option<PathBuf>, output: OutputArgs) -> Result<()> {
    let evidence: Evidence =
        serde_json::from_value(document.clone()).context("this is no report of a drill")?;
    let is_over = !evidence.is_open();
    if is_over || out.is_some() {
        evidence.verify()?;
    }
    if let Some(out) = out {
        fs::write(&out, format!("{document:#}\n"))
            .with_context(|| format!("cannot write {}", out.display()))?;
    }
    show(document, output)?;
    if is_over {
        say!("the content is what was sealed: sha256 {}", evidence.sha256.unwrap_or_default());
    }
    Ok(())
}

/// Objects of the content by their parts' names, for people.
fn show(document: &Value, output: OutputArgs) -> Result<()> {
    match output.output {
        output::Format::Json => output::record(document, output.output),
        format => {
            let mut rows = Vec::new();
            flatten("", &document["content"], &mut rows);
            rows.push(json!({ "field": "sha256", "value": document["sha256"] }));
            output::rows(&json!({ "items": rows }), &["field", "value"], None, format)
        }
    }
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, rows);
            }
        }
        value => rows.push(json!({ "field": path, "value": value })),
    }
}
