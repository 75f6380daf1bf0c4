//! `failover`, `failback`: a region's requests go to another one, and come back.

use anyhow::Result;
use clap::Args;
use tollgate_control::operate::{Failback, Failover, Kind, Span};

use super::{
    client::{Client, ServerArgs},
    fleet,
    output::OutputArgs,
    preview,
};

#[derive(Args, Debug)]
pub(super) struct FailoverArgs {
    /// The region that new requests leave.
    #[arg(long, value_name = "REGION")]
    from: String,
    /// The region where they go.
    #[arg(long, value_name = "REGION")]
    to: String,
    /// How long until all of them do, such as 5m; all at once without it.
    #[arg(long, value_name = "TIME")]
    ramp: Option<Span>,
    /// Why; kept with it and in the audit.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// After which time they begin to come back by themselves, such as 2h.
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<Span>,
    /// Show what would move, and change nothing.
    #[arg(long)]
    preview: bool,
    /// Do it even if projects have no permitted target outside the region, and stay there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
pub(super) struct FailbackArgs {
    /// The region whose requests come back.
    region: String,
    /// How long until all are back, such as 5m; as long as they took to leave without it.
    #[arg(long, value_name = "TIME")]
    ramp: Option<Span>,
    /// Why; kept in the audit.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn failover(args: &FailoverArgs) -> Result<()> {
    let order = Failover {
        to: args.to.clone(),
        ramp: args.ramp,
        reason: args.reason.clone(),
        lasts: args.lasts,
        preview: args.preview,
        force: args.force,
    };
    let path = [Kind::Region.plural(), &args.from, "failover"];
    let answer = Client::new(&args.server)?.post(&path, &order)?;
    if args.preview {
        return preview::show(&answer, args.output.output);
    }
    fleet::show(Kind::Region, &answer, args.output)
}

pub(super) fn failback(args: &FailbackArgs) -> Result<()> {
    let order = Failback { ramp: args.ramp, reason: args.reason.clone() };
    let path = [Kind::Region.plural(), &args.region, "failback"];
    let view = Client::new(&args.server)?.post(&path, &order)?;
    fleet::show(Kind::Region, &view, args.output)
}
