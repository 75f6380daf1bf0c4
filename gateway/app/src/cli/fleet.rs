//! `regions`, `upstreams`, `targets`, `models`: what is healthy, and the operator's word about it.

use anyhow::Result;
use clap::{Args, Subcommand};
use tollgate_control::operate::{Action, Kind, Order, Span};

use super::{
    client::{Client, ServerArgs},
    output::{self, OutputArgs},
    preview,
};

#[derive(Args, Debug)]
pub(super) struct FleetArgs {
    #[command(subcommand)]
    command: FleetCommand,
}

#[derive(Debug, Subcommand)]
enum FleetCommand {
    /// Show names, states and health.
    List {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Send no new requests there; those in flight finish.
    Drain(OrderArgs),
    /// Send no new requests there until it is enabled.
    Disable(OrderArgs),
    /// Clear the operator's state: what the configuration says holds again.
    Enable(OrderArgs),
    /// Send new requests there whatever its breakers and holds say.
    Force(OrderArgs),
}

#[derive(Args, Debug)]
struct OrderArgs {
    /// Its name; a target is MODEL@UPSTREAM.
    name: String,
    /// Why; kept with the state and in the audit.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// After which time the state ends by itself, such as 30m.
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<Span>,
    /// With `disable`: after which time requests in flight are ended, such as 5m.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
    /// With `drain` and `disable`: show what would move, and change nothing.
    #[arg(long)]
    preview: bool,
    /// Do it even if projects are left without a permitted target.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn fleet(kind: Kind, args: &FleetArgs) -> Result<()> {
    match &args.command {
        FleetCommand::List { server, output } => {
            let mut answer = Client::new(server)?.get(&[kind.plural()], &[])?;
            if output.output != output::Format::Json {
                answer["items"].as_array_mut().into_iter().flatten().for_each(tell_failover);
            }
            output::rows(&answer, columns(kind), None, output.output)
        }
        FleetCommand::Drain(args) => order(kind, Action::Drain, args),
        FleetCommand::Disable(args) => order(kind, Action::Disable, args),
        FleetCommand::Enable(args) => order(kind, Action::Enable, args),
        FleetCommand::Force(args) => order(kind, Action::Force, args),
    }
}

fn order(kind: Kind, action: Action, args: &OrderArgs) -> Result<()> {
    let order = Order {
        reason: args.reason.clone(),
        lasts: args.lasts,
        deadline: args.deadline,
        preview: args.preview,
        force: args.force,
    };
    let path = [kind.plural(), &args.name, action.as_str()];
    let answer = Client::new(&args.server)?.post(&path, &order)?;
    if order.preview { preview::show(&answer, args.output.output) } else { show(kind, &answer, args.output) }
}

/// Shows one of a kind as it is after an order.
pub(super) fn show(kind: Kind, view: &serde_json::Value, output: OutputArgs) -> Result<()> {
    match output.output {
        output::Format::Json => output::record(view, output.output),
        format => {
            let mut view = view.clone();
            tell_failover(&mut view);
            output::rows(&serde_json::json!({ "items": [view] }), columns(kind), None, format)
        }
    }
}

/// A region's failover in a few words: where to, and how many of a hundred requests.
fn tell_failover(view: &mut serde_json::Value) {
    let failover = &view["failover"];
    if let (Some(to), Some(permille)) = (failover["to"].as_str(), failover["share_permille"].as_u64()) {
        let told = format!("{to} {}.{}%", permille / 10, permille % 10);
        view["failover"] = told.into();
    }
}

const fn columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Region => &[
            "name",
            "zones",
            "state",
            "failover",
            "until",
            "reason",
            "in_flight",
            "breaker",
            "hold_until",
            "ewma_ttft_ms",
            "success_rate",
        ],
        Kind::Model => &[
            "name",
            "zones",
            "state",
            "until",
            "reason",
            "in_flight",
            "breaker",
            "hold_until",
            "ewma_ttft_ms",
            "success_rate",
        ],
        Kind::Upstream | Kind::Target => &[
            "name",
            "region",
            "state",
            "effective_state",
            "until",
            "reason",
            "in_flight",
            "breaker",
            "hold_until",
            "ewma_ttft_ms",
            "success_rate",
        ],
    }
}
