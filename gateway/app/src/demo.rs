//! `tollgate demo`: the main job on a machine without a key or a network.
//!
//! Simulated providers stand in three regions, two teams call them through a real gateway on the
//! embedded ledger. What it prints can be pasted into a terminal; Ctrl-C leaves nothing behind.

mod paste;

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use tollgate_control::config::{Document, Sources};
use tollgate_simulator::{Behaviour, Options, Simulator, Stop};
use tollgate_telemetry::LogFormat;

use crate::{
    cli::DemoArgs,
    run::{Gateway, Signals},
    say::say,
};

const CONFIG: &str = include_str!("demo/tollgate.yaml");
const PRICES: &str = include_str!("demo/prices.yaml");
const DEFAULT_DATA: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
const DEFAULT_ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 9090);

/// Runs the demo until Ctrl-C.
pub(crate) fn demo(args: DemoArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("tollgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: DemoArgs) -> anyhow::Result<()> {
    tollgate_telemetry::init_process_log(LogFormat::Auto, "warn")?;
    let signals = Signals::install().context("signals")?;
    let place = Place::new(args.dir)?;
    let providers = Providers::start()?;
    let document = document(place.path(), &providers, args.data, args.admin)?;
    let gateway = Gateway::start(document)?;
    let (data, admin) = (gateway.data_url(), gateway.admin_url());
    let console = gateway.first_sign_in().unwrap_or_else(|| admin.clone());
    say!("ready data={data} admin={admin}");
    // A reader who closes the pipe does not end the demo.
    let _ = std::io::stdout().write_all(paste::lines(&data, &admin, &console).as_bytes());
    gateway.run(&signals);
    providers.stop();
    Ok(())
}

/// Where journal and ledger go: the folder that was named, else one that is removed at the end.
enum Place {
    Named(PathBuf),
    Passing(tempfile::TempDir),
}

impl Place {
    fn new(named: Option<PathBuf>) -> anyhow::Result<Self> {
        match named {
            Some(folder) => {
                std::fs::create_dir_all(&folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
                Ok(Self::Named(folder))
            }
            None => Ok(Self::Passing(tempfile::tempdir().context("no temporary folder")?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

/// One simulated provider per endpoint of the configuration.
struct Providers {
    all: Vec<(&'static str, Simulator)>,
}

impl Providers {
    /// Their addresses, by the variable that the configuration knows them by.
    const ALL: [(&'static str, &'static str); 4] = [
        ("DEMO_EASTUS", "eastus"),
        ("DEMO_SWEDEN", "swedencentral"),
        ("DEMO_OPENAI", "openai-global"),
        ("DEMO_ANTHROPIC", "anthropic-global"),
    ];

    fn start() -> anyhow::Result<Self> {
        let behaviour = Behaviour {
            latency: Duration::from_millis(120),
            chunks: 24,
            chunk_pause: Duration::from_millis(40),
            ..Behaviour::default()
        };
        let start = |(variable, name): (&'static str, &str)| {
            let options =
                Options { name: name.to_owned(), behaviour: behaviour.clone(), ..Options::default() };
            Simulator::spawn_thread(options).map(|simulator| (variable, simulator))
        };
        let all: std::io::Result<Vec<_>> = Self::ALL.into_iter().map(start).collect();
        Ok(Self { all: all.context("a simulated provider cannot start")? })
    }

    fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.all.iter().map(|(variable, simulator)| ((*variable).to_owned(), simulator.base_url()))
    }

    fn stop(self) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        for (_, simulator) in self.all {
            runtime.block_on(simulator.stop(Stop::Abrupt));
        }
    }
}

fn document(
    folder: &Path,
    providers: &Providers,
    data: Option<SocketAddr>,
    admin: Option<SocketAddr>,
) -> anyhow::Result<Document> {
    std::fs::write(folder.join("tollgate.yaml"), CONFIG).context("cannot write the demo's configuration")?;
    std::fs::write(folder.join("prices.yaml"), PRICES).context("cannot write the demo's prices")?;
    let mut variables: Vec<(String, String)> = providers.variables().collect();
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    variables.extend([
        text("DEMO_DATA", &listen(data, DEFAULT_DATA.into()).to_string()),
        text("DEMO_ADMIN", &listen(admin, DEFAULT_ADMIN.into()).to_string()),
        text("DEMO_RETAIL_KEY", paste::RETAIL_KEY),
        text("DEMO_HEALTH_KEY", paste::HEALTH_KEY),
        text("DEMO_ADMIN_TOKEN", paste::ADMIN_TOKEN),
        text("DEMO_PROVIDER_KEY", "simulated-provider-credential"),
    ]);
    let sources = Sources::fixed(folder, variables);
    Document::load(Path::new("tollgate.yaml"), &sources).map_err(|errors| anyhow::anyhow!("{errors}"))
}

/// The address asked for; else the usual one, or any free port where that is taken.
fn listen(asked: Option<SocketAddr>, usual: SocketAddr) -> SocketAddr {
    asked.unwrap_or_else(|| match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::new(usual.ip(), 0),
    })
}
