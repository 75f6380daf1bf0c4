//! `usage`: what was used and what it cost.

use anyhow::Result;
use clap::Args;

use super::{
    client::{Client, ServerArgs},
    output::{self, OutputArgs},
};

const FIGURES: [&str; 10] = [
    "requests",
    "refusals",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost",
    "currency",
    "unpriced_requests",
];

const BEARERS: [&str; 6] = ["team", "currency", "direct", "used_capacity", "idle_capacity", "total"];

#[derive(Args, Debug)]
pub(super) struct UsageArgs {
    /// Groups: team, project, key, model, upstream, region, zone, end_user, day, hour, month, tag:NAME.
    #[arg(long, default_value = "team", value_name = "GROUP,…", conflicts_with = "allocated")]
    by: String,
    /// What each team bears, its part of shared costs included.
    #[arg(long)]
    allocated: bool,
    /// From this time on: RFC 3339, a date, a month, or relative (-7d, today, this-month).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Up to but without this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn usage(args: &UsageArgs) -> Result<()> {
    if args.allocated {
        return allocated(args);
    }
    let query: Vec<(&str, &str)> =
        [("by", Some(&args.by)), ("from", args.from.as_ref()), ("to", args.to.as_ref())]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.as_str())))
            .collect();
    let answer = Client::new(&args.server)?.get(&["usage"], &query)?;
    let groups: Vec<&str> = args.by.split(',').map(str::trim).filter(|group| !group.is_empty()).collect();
    let mut total = answer["total"].clone();
    if let (Some(first), Some(total)) = (groups.first(), total.as_object_mut()) {
        total.insert((*first).to_owned(), "total".into());
    }
    let columns: Vec<&str> = groups.iter().copied().chain(FIGURES).collect();
    output::rows(&answer, &columns, Some(&total), args.output.output)
}

fn allocated(args: &UsageArgs) -> Result<()> {
    let query: Vec<(&str, &str)> = [("from", args.from.as_ref()), ("to", args.to.as_ref())]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.as_str())))
        .collect();
    let answer = Client::new(&args.server)?.get(&["allocation"], &query)?;
    output::rows(&answer, &BEARERS, None, args.output.output)
}
