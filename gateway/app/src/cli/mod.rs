//! The command line: one binary that serves, checks, and is the client of its own admin API.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 success, 1 failure, 2 usage, and
//! for `serve` 78 for a bad configuration. A reader who closes the pipe ends a command quietly.

mod backup;
mod budgets;
mod client;
mod close;
mod config;
mod drill;
mod explain;
mod export;
mod failover;
mod fleet;
mod health;
mod import;
mod keys;
mod local;
mod output;
mod preview;
mod prices;
mod reconcile;
#[cfg(test)]
mod runbooks;
mod usage;
mod verify;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use tollgate_control::operate::Kind;

use crate::{demo, run, say::say};

/// An AI gateway: authenticates, limits, routes, meters and prices calls to model providers.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, propagate_version = false, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ConfigFile),
    /// Run a gateway with simulated providers; needs no keys and no network.
    Demo(DemoArgs),
    /// Validate a configuration without starting anything.
    Check(local::CheckArgs),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Show usage and cost from the ledger.
    Usage(usage::UsageArgs),
    /// Write finance files.
    Export(export::ExportArgs),
    /// Audit the journal against the ledger, offline.
    Verify(verify::VerifyArgs),
    /// List budgets, raise them for a time and lower them again.
    Budgets(budgets::BudgetsArgs),
    /// Show who was told what about budgets and prices.
    Alerts(budgets::AlertsArgs),
    /// List, drain, disable, force and enable regions.
    Regions(fleet::FleetArgs),
    /// List, drain, disable, force and enable upstreams.
    Upstreams(fleet::FleetArgs),
    /// List, drain, disable, force and enable targets, named MODEL@UPSTREAM.
    Targets(fleet::FleetArgs),
    /// List, drain, disable, force and enable models, by the names that clients send.
    Models(fleet::FleetArgs),
    /// Move a region's new requests to another region.
    Failover(failover::FailoverArgs),
    /// Let the requests of a region that was failed over come back.
    Failback(failover::FailbackArgs),
    /// Show the running configuration, its versions and what differs; reload it or return to a version.
    Config(config::ConfigArgs),
    /// Explain an error code or a request.
    Explain(explain::ExplainArgs),
    /// Ask whether a gateway is ready; exit code 1 when it is not.
    Health(health::HealthArgs),
    /// Print the version.
    Version(output::OutputArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Create, list, revoke and rotate keys.
    Keys(keys::KeysArgs),
    /// Back up ledger, journal, history and configuration, also of a gateway that runs.
    Backup(backup::BackupArgs),
    /// Make a data folder of a backup, and prove that it is good.
    Restore(backup::RestoreArgs),
    /// Rehearse failures on live traffic of named projects.
    Drill(drill::DrillArgs),
    /// Check, show and import price lists.
    Prices(prices::PricesArgs),
    /// Close a month: final rows, and a sealed statement for each team.
    Close(close::CloseArgs),
    /// Turn the configuration of another gateway into ours.
    Import(import::ImportArgs),
    /// Compare the ledger with a provider's invoice.
    Reconcile(reconcile::ReconcileArgs),
}

/// Which configuration file.
#[derive(Args, Debug)]
struct ConfigFile {
    /// The configuration file [default: config/tollgate.yaml, then /etc/tollgate/tollgate.yaml]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigFile {
    const PLACES: [&str; 2] = ["config/tollgate.yaml", "/etc/tollgate/tollgate.yaml"];

    /// The file that was named, else the first default that exists, else the first default: its
    /// absence is then the reader's error.
    fn path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| {
            let found = Self::PLACES.into_iter().find(|place| Path::new(place).exists());
            found.unwrap_or(Self::PLACES[0]).into()
        })
    }
}

/// Where a demo listens and what it leaves behind.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DemoArgs {
    /// Address of the data port.
    #[arg(long, value_name = "ADDR")]
    pub(crate) data: Option<SocketAddr>,
    /// Address of the admin port.
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Keep journal and ledger here; without it nothing stays.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Runs the command that the process was started with.
pub(crate) fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => finish(execute(cli.command)),
        Err(usage) => {
            // Help asked for goes to stdout with 0, mistakes to stderr with 2. A closed pipe is no
            // one's concern here.
            let _ = usage.print();
            u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(config) => return Ok(run::serve(&config.path())),
        Command::Demo(args) => return Ok(demo::demo(args)),
        Command::Check(args) => return local::check(&args),
        Command::Verify(args) => return verify::verify(&args),
        Command::Config(args) => return config::config(&args),
        Command::Health(args) => return health::health(&args),
        Command::Prices(args) => return prices::prices(args),
        Command::Close(args) => return close::close(&args),
        Command::Reconcile(args) => return reconcile::reconcile(&args),
        Command::Schema => local::schema()?,
        Command::Version(output) => local::version(output)?,
        Command::Completions { shell } => local::completions(shell)?,
        Command::Usage(args) => usage::usage(&args)?,
        Command::Export(args) => export::export(&args)?,
        Command::Budgets(args) => budgets::budgets(&args)?,
        Command::Alerts(args) => budgets::alerts(&args)?,
        Command::Regions(args) => fleet::fleet(Kind::Region, &args)?,
        Command::Upstreams(args) => fleet::fleet(Kind::Upstream, &args)?,
        Command::Targets(args) => fleet::fleet(Kind::Target, &args)?,
        Command::Models(args) => fleet::fleet(Kind::Model, &args)?,
        Command::Failover(args) => failover::failover(&args)?,
        Command::Failback(args) => failover::failback(&args)?,
        Command::Import(args) => import::import(&args)?,
        Command::Keys(args) => keys::keys(&args)?,
        Command::Drill(args) => drill::drill(args)?,
        Command::Explain(args) => explain::explain(&args)?,
        Command::Backup(args) => backup::backup(&args)?,
        Command::Restore(args) => backup::restore(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) if error.is::<output::ReaderLeft>() => ExitCode::SUCCESS,
        Err(error) => {
            say!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_contract_is_known() {
        let lines = [
            "serve",
            "serve -c a.yaml",
            "demo --data 127.0.0.1:1 --admin 127.0.0.1:2 --dir d",
            "check -c a.yaml",
            "schema",
            "usage --by team,tag:feature --from 2026-11-01 --to 2026-12-01 -o csv",
            "export csv --from 2026-11-01 --to 2026-12-01 --out f.csv",
            "verify --dir data",
            "budgets list -o json",
            "budgets raise project retail/search --amount 50 --until 2026-12-01 --reason launch",
            "budgets raise team retail --amount 50 --for 2h --reason launch",
            "budgets lower key retail/search/prod --reason over",
            "alerts --team retail",
            "regions list",
            "regions drain eastus --reason storm --for 30m",
            "upstreams disable aoai --reason x --server http://10.0.0.1:9090",
            "targets enable gpt@aoai -o json",
            "targets drain gpt@aoai --deadline 10m --preview --force",
            "failover --from east --to west --ramp 5m --for 2h --reason storm --force",
            "failover --from east --to west --preview -o json",
            "failback east --ramp 5m --reason over",
            "models list",
            "models drain gpt --reason storm",
            "upstreams force aoai --for 10m",
            "keys create --project p --name n --expires 90d --model gpt --limit requests_per_minute=60 --budget 5/month",
            "import litellm config.yaml --teams t.json --keys k.json --out o.yaml --prices-out p.yaml --report r.json",
            "keys list --team retail -o json",
            "keys rotate k --overlap 7d --reason x",
            "keys revoke k --reason leaked",
            "config show",
            "config history -o json",
            "config reload",
            "config diff",
            "config diff 3 4",
            "config diff next.yaml -o json",
            "config rollback 4 --reason x",
            "backup --out f -c a.yaml",
            "backup --out f --dir d",
            "restore f --dir d",
            "drill start --region eu --fault down --projects a,b --percent 50 --for 2m --reason x",
            "drill start --upstream u --fault latency --latency 250ms --all --for 30s",
            "drill status",
            "drill stop 3",
            "drill report 3 --out f.json",
            "drill report --file f.json",
            "explain budget_exceeded",
            "prices check",
            "close 2026-11 --reconcile a.json --reconcile csv=b.csv --accept x --tolerance 1",
            "close 2026-11 --without-reconciliation x",
            "close --verify --dir data -o json",
            "reconcile --provider openai --file a.json --file b.json --from 2026-11-01 --to 2026-12-01 --tolerance 0.5%,1",
            "health",
            "version",
            "completions bash",
        ];
        for line in lines {
            assert!(parse(&format!("tollgate {line}")).is_ok(), "{line}");
        }
    }

    #[test]
    fn mistakes_are_usage_errors_with_exit_code_2() {
        let cases = [
            ("tollgate", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("tollgate srve", ErrorKind::InvalidSubcommand),
            ("tollgate serve --port 1", ErrorKind::UnknownArgument),
            ("tollgate regions drain", ErrorKind::MissingRequiredArgument),
            ("tollgate regions drain eu --for soon", ErrorKind::ValueValidation),
            ("tollgate regions drain eu --for 0s", ErrorKind::ValueValidation),
            ("tollgate regions disable eu --deadline -5m", ErrorKind::UnknownArgument),
            ("tollgate failover --from east", ErrorKind::MissingRequiredArgument),
            ("tollgate failover --from east --to west --ramp 0s", ErrorKind::ValueValidation),
            ("tollgate failback", ErrorKind::MissingRequiredArgument),
            ("tollgate drill start --region eu --fault down --for 2m", ErrorKind::MissingRequiredArgument),
            ("tollgate drill start --all --fault down --for 2m", ErrorKind::MissingRequiredArgument),
            ("tollgate drill start --region eu --all --fault flood --for 2m", ErrorKind::ValueValidation),
            (
                "tollgate drill start --region eu --all --projects a --fault down --for 2m",
                ErrorKind::ArgumentConflict,
            ),
            ("tollgate drill report", ErrorKind::MissingRequiredArgument),
            ("tollgate config rollback last", ErrorKind::ValueValidation),
            ("tollgate usage -o xml", ErrorKind::InvalidValue),
            ("tollgate usage --token abc", ErrorKind::UnknownArgument),
            ("tollgate export pdf --from -1d --to now", ErrorKind::InvalidValue),
            ("tollgate export focus --from -1d --to now --format xlsx", ErrorKind::InvalidValue),
            ("tollgate demo --data nowhere", ErrorKind::ValueValidation),
            ("tollgate backup --out f --dir d -c a", ErrorKind::ArgumentConflict),
            ("tollgate restore f", ErrorKind::MissingRequiredArgument),
            ("tollgate close", ErrorKind::MissingRequiredArgument),
            ("tollgate close June --without-reconciliation x", ErrorKind::ValueValidation),
            ("tollgate close 2026-11 --accept x", ErrorKind::MissingRequiredArgument),
            ("tollgate reconcile --from a --to b", ErrorKind::MissingRequiredArgument),
            ("tollgate reconcile --file f --from a --to b --tolerance half", ErrorKind::ValueValidation),
        ];
        for (line, kind) in cases {
            let error = parse(line).expect_err(line);
            assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
        }
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure_but_a_broken_connection_is() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(finish(Err(output::write_error(broken()))), ExitCode::SUCCESS);
        assert_eq!(finish(Err(broken().into())), ExitCode::FAILURE);
        assert_eq!(finish(Err(output::write_error(io::Error::other("disk full")))), ExitCode::FAILURE);
    }
}
