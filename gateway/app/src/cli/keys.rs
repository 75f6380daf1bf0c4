//! `keys`: who may call; made, replaced and withdrawn.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::say::say;

use super::{
    client::{Client, ServerArgs},
    output::{self, Format, OutputArgs},
};

const COLUMNS: [&str; 9] =
    ["id", "team", "project", "name", "state", "managed", "created", "expires", "revoked"];
/// The longest page that the API gives.
const PAGE: &str = "1000";

#[derive(Args, Debug)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Show the keys of the configuration and those made at run time.
    List {
        /// Only those of this team.
        #[arg(long, value_name = "TEAM")]
        team: Option<String>,
        /// Only those of this project.
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
        /// Only those in this state: active, expired, revoked, stray, sealed_elsewhere.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Make a key; its secret is printed once and kept nowhere.
    Create(CreateArgs),
    /// Make a key in place of another one, which goes on for a while.
    Rotate {
        /// The id of the key, as the list shows it.
        id: String,
        /// How long the former key goes on, such as 1h or 7d; 0s ends it at once.
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: String,
        /// When the new key ends: a date, an RFC 3339 time, or a length of time such as 90d.
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// Why; kept in the audit.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Withdraw a key: the next request by it is refused.
    Revoke {
        /// The id of the key, as the list shows it.
        id: String,
        /// Why; kept in the audit.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// The project, as TEAM/PROJECT, or PROJECT where one team alone has it.
    #[arg(long, value_name = "PROJECT")]
    project: String,
    /// Its name within the project; rows carry it.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// When it ends: a date, an RFC 3339 time, or a length of time such as 90d.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// A model that it may call, among the project's; may be given several times. Default: all of them.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// A limit, such as requests_per_minute=60; may be given several times.
    #[arg(long = "limit", value_name = "LIMIT=NUMBER")]
    limits: Vec<String>,
    /// A hard budget, such as 500.00/month.
    #[arg(long, value_name = "AMOUNT/PERIOD")]
    budget: Option<String>,
    /// Status of a refusal by a budget.
    #[arg(long, value_name = "STATUS")]
    refusal_status: Option<u16>,
    /// Why; kept in the audit.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn keys(args: &KeysArgs) -> Result<()> {
    match &args.command {
        KeysCommand::List { team, project, state, server, output } => {
            let filters = [("team", team), ("project", project), ("state", state)];
            let filters: Vec<(&str, &str)> =
                filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
            output::rows(&all(&Client::new(server)?, &filters)?, &COLUMNS, None, output.output)
        }
        KeysCommand::Create(args) => {
            let order = order(args)?;
            fresh(&Client::new(&args.server)?.post(&["keys"], &order)?, args.output.output)
        }
        KeysCommand::Rotate { id, overlap, expires, reason, server, output } => {
            let mut order = json!({ "overlap": overlap, "reason": reason });
            end(&mut order, expires.as_deref());
            fresh(&Client::new(server)?.post(&["keys", id, "rotate"], &order)?, output.output)
        }
        KeysCommand::Revoke { id, reason, server, output } => {
            let order = json!({ "reason": reason });
            output::record(&Client::new(server)?.post(&["keys", id, "revoke"], &order)?, output.output)
        }
    }
}

/// Every page as one answer.
fn all(client: &Client, filters: &[(&str, &str)]) -> Result<Value> {
    let (mut items, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut query = filters.to_vec();
        query.push(("limit", PAGE));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let mut page = client.get(&["keys"], &query)?;
        if let Some(found) = page["items"].as_array_mut() {
            items.append(found);
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(json!({ "items": items, "next": null })),
        }
    }
}

/// Shows a key with its secret, and says that nobody will see it again.
fn fresh(key: &Value, format: Format) -> Result<()> {
    say!("the secret is shown this once: keep it now");
    output::record(key, format)
}

fn order(args: &CreateArgs) -> Result<Value> {
    let mut order = json!({ "project": args.project, "reason": args.reason });
    if let Some(name) = &args.name {
        order["name"] = json!(name);
    }
    if let Some(status) = args.refusal_status {
        order["refusal_status"] = json!(status);
    }
    if !args.models.is_empty() {
        order["models"] = json!(args.models);
    }
    if !args.limits.is_empty() {
        order["limits"] = args.limits.iter().map(|limit| named(limit)).collect::<Result<Map<_, _>>>()?.into();
    }
    if let Some(budget) = &args.budget {
        let Some((amount, period)) = budget.split_once('/') else {
            bail!("--budget is AMOUNT/PERIOD, such as 500.00/month, not {budget:?}");
        };
        order["budget"] = json!({ "amount": amount, "period": period });
    }
    end(&mut order, args.expires.as_deref());
    Ok(order)
}

fn named(limit: &str) -> Result<(String, Value)> {
    let found = limit.split_once('=').and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)));
    match found {
        Some((name, number)) => Ok((name.to_owned(), json!(number))),
        None => bail!("--limit is LIMIT=NUMBER, such as requests_per_minute=60, not {limit:?}"),
    }
}

/// A length of time has neither the dashes of a date nor the colons of a time.
fn end(order: &mut Value, expires: Option<&str>) {
    let Some(expires) = expires else { return };
    let is_length = !expires.is_empty() && !expires.contains(['-', ':', 'T']);
    order[if is_length { "for" } else { "expires" }] = json!(expires);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_or_a_length_of_time() {
        for (given, field) in
            [("90d", "for"), ("1h30m", "for"), ("2027-01-31", "expires"), ("2027-01-31T12:00:00Z", "expires")]
        {
            let mut order = json!({});
            end(&mut order, Some(given));
            assert_eq!(order, json!({ field: given }), "{given}");
        }
    }

    #[test]
    fn limits_are_named_numbers() {
        assert_eq!(
            named("requests_per_minute=60").expect("it is"),
            ("requests_per_minute".into(), json!(60))
        );
        for wrong in ["60", "requests_per_minute", "requests_per_minute=many", "=x"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
