//! Providers, perhaps behind a wire that can fail, and a gateway before them. All of it ends with its value.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_simulator::Totals;

use super::namespace::Namespace;
use super::relay::Relay;
use crate::gateway::{self, ADMIN_TOKEN, CLIENT_KEY, Gateway};
use crate::inquire;
use crate::process::resident;
use crate::server::{Server, quiet};
use crate::simulator;

/// The alias that clients ask for, and the model that serves it.
pub(super) const MODEL: &str = "gpt-5-mini";
/// Words of an answer.
pub(super) const WORDS: u32 = 8;

/// `connect` is the default; the others are short, so that a run sees them.
pub(super) const TIMEOUTS: &str = "{ connect: 1s, head: 2s, stream_head: 2s, ttft: 2s, byte_idle: 5s, content_idle: 5s, \
                        total: 30s, stream_total: 30s }";

/// A simulated provider in a process of its own.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) server: Server,
    /// The wire to it, where it can fail.
    pub(super) relay: Option<Relay>,
    /// Its network, where packets can be lost.
    pub(super) namespace: Option<Namespace>,
}

impl Provider {
    /// One that answers after so many milliseconds.
    pub(super) fn start(latency_ms: u64) -> Result<Self> {
        let provider = Self { server: simulator::start(None, 1)?, relay: None, namespace: None };
        provider.behave(&json!({ "latency_ms": latency_ms }))?;
        Ok(provider)
    }

    /// The same behind a relay.
    pub(super) fn behind_relay(latency_ms: u64) -> Result<Self> {
        let mut provider = Self::start(latency_ms)?;
        provider.relay = Some(Relay::start(provider.server.addr)?);
        Ok(provider)
    }

    /// The same in a network of its own.
    pub(super) fn in_namespace(latency_ms: u64) -> Result<Self> {
        let namespace = Namespace::make()?;
        let mut command = namespace.inside(&std::env::current_exe()?);
        command.args(["simulator", "--threads", "1", "--listen", &format!("{}:0", namespace.inside)]);
        let server = simulator::started(&mut command)?.accepting()?;
        let provider = Self { server, relay: None, namespace: Some(namespace) };
        provider.behave(&json!({ "latency_ms": latency_ms }))?;
        Ok(provider)
    }

    /// Where the gateway finds it.
    pub(super) fn addr(&self) -> SocketAddr {
        self.relay.as_ref().map_or(self.server.addr, |relay| relay.addr)
    }

    /// How it answers from now on; what is not said is as usual here.
    pub(super) fn behave(&self, how: &Value) -> Result<()> {
        let mut behaviour = json!({ "chunks": WORDS, "input_tokens": 50 });
        for (name, value) in how.as_object().context("a behaviour is an object")? {
            behaviour[name] = value.clone();
        }
        simulator::steer(self.server.addr, "behaviour", &behaviour)
    }

    /// What each call gets from now on.
    pub(super) fn always(&self, script: &Value) -> Result<()> {
        simulator::steer(self.server.addr, "always", script)
    }

    /// The sums in its own book.
    pub(super) fn totals(&self) -> Result<Totals> {
        simulator::totals(self.server.addr)
    }

    /// Calls that reached it, or were lost on a silent wire to it.
    pub(super) fn calls(&self) -> Result<u64> {
        let lost = self.relay.as_ref().map_or(0, Relay::swallowed);
        Ok(self.totals()?.calls + lost)
    }
}

/// A provider as the gateway is told of it.
#[derive(Debug)]
pub(super) struct Upstream<'a> {
    pub(super) name: &'a str,
    pub(super) zone: &'a str,
    pub(super) addr: SocketAddr,
    /// How long its steps may take, in YAML's short form.
    pub(super) timeouts: &'a str,
    /// More fields of that form, each with a comma before it.
    pub(super) more: &'a str,
}

impl<'a> Upstream<'a> {
    pub(super) fn new(name: &'a str, provider: &Provider) -> Self {
        Self { name, zone: "here", addr: provider.addr(), timeouts: TIMEOUTS, more: "" }
    }
}

/// How upstreams stand to each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    /// The first as long as it can, then the next.
    Levels,
    /// All alike.
    OneLevel,
}

/// What a gateway is configured with.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) upstreams: Vec<Upstream<'a>>,
    /// Lines under `models:`.
    pub(super) models: String,
    /// Lines under `projects:` of the one team.
    pub(super) projects: String,
    /// Lines under `prices:`.
    pub(super) prices: String,
}

impl<'a> Setting<'a> {
    /// One model served by all, and one project that may do everything.
    pub(super) fn new(layout: Layout, upstreams: Vec<Upstream<'a>>) -> Self {
        let targets: Vec<_> = (1..)
            .zip(&upstreams)
            .map(|(place, upstream)| {
                let priority = if layout == Layout::Levels { place } else { 1 };
                format!("{{ upstream: {}, model: {MODEL}, priority: {priority} }}", upstream.name)
            })
            .collect();
        let models = format!("  - {{ name: {MODEL}, targets: [{}] }}\n", targets.join(", "));
        let projects = project("load", MODEL, "", CLIENT_KEY);
        Self { upstreams, models, projects, prices: PRICE.to_owned() }
    }

    fn prices(&self) -> String {
        format!("prices:\n{}", self.prices)
    }

    fn to_yaml(&self, folder: &Path, prices: &Path) -> String {
        let (folder, prices) = (folder.display(), prices.display());
        let (mut regions, mut upstreams) = (String::new(), String::new());
        for Upstream { name, zone, addr, timeouts, more } in &self.upstreams {
            let _ = writeln!(regions, "  - {{ name: {name}, zone: {zone} }}");
            let _ = writeln!(
                upstreams,
                "  - {{ name: {name}, dialect: openai, region: {name}, base_url: \"http://{addr}/v1\", \
                 credential: load-test-upstream-0123456789, allow_private: true, timeouts: {timeouts}{more} }}"
            );
        }
        format!(
            "version: 1
organization: load
instance: outage
currency: USD
listen:
  data:  {{ address: \"127.0.0.1:0\" }}
  admin: {{ address: \"127.0.0.1:0\" }}
data_dir: {folder}/data
access_log: {{ to: {folder}/log/access.log }}
admin:
  tokens:
    - {{ name: ops, role: admin, token: {ADMIN_TOKEN} }}
prices: [ {prices} ]
regions:
{regions}upstreams:
{upstreams}models:
{}teams:
  - name: load
    projects:
{}",
            self.models, self.projects
        )
    }
}

/// A project with one key, as a line under `projects:`.
pub(super) fn project(name: &str, models: &str, more: &str, key: &str) -> String {
    format!("      - {{ name: {name}, models: [{models}]{more}, keys: [{{ name: prod, secret: {key} }}] }}\n")
}

/// A gateway that serves.
#[derive(Debug)]
pub(super) struct Stage {
    gateway: Gateway,
    _folder: TempDir,
}

impl Stage {
    pub(super) fn set(program: &Path, setting: &Setting<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        check(program, setting, folder.path())?;
        let gateway = gateway::start(program, folder.path(), &setting.prices(), |folder, prices| {
            setting.to_yaml(folder, prices)
        })?;
        Ok(Self { gateway, _folder: folder })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.gateway.server.addr
    }

    /// What the admin API says of the model's target at this upstream.
    pub(super) fn target(&self, upstream: &str) -> Result<Value> {
        let path = format!("/api/v1/targets/{MODEL}@{upstream}");
        let (status, told) =
            inquire::get(self.gateway.admin, &path, &[("authorization", &bearer(ADMIN_TOKEN))])?;
        ensure!(status == 200, "{path}: {status} {told}");
        Ok(told)
    }

    /// Clears breakers and holds of an upstream.
    pub(super) fn reset(&self, upstream: &str) -> Result<()> {
        self.post(&format!("/api/v1/upstreams/{upstream}/reset"), &json!({})).map(drop)
    }

    /// An operator's order to the admin API, and its answer.
    pub(super) fn post(&self, path: &str, order: &Value) -> Result<Value> {
        let (status, told) =
            inquire::post(self.gateway.admin, path, &[("authorization", &bearer(ADMIN_TOKEN))], order)?;
        ensure!((200..300).contains(&status), "{path}: {status} {told}");
        Ok(told)
    }

    /// Memory that the gateway has resident, in bytes.
    pub(super) fn resident(&self) -> Result<u64> {
        resident(self.gateway.server.pid)
    }
}

/// The value of the header that shows a secret.
pub(super) fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// A configuration that the gateway refuses is a fault of this program: its words say which.
fn check(program: &Path, setting: &Setting<'_>, folder: &Path) -> Result<()> {
    let prices = folder.join("prices.yaml");
    let file = folder.join("check.yaml");
    std::fs::write(&prices, setting.prices())?;
    std::fs::write(&file, setting.to_yaml(folder, &prices))?;
    let output = quiet(program).arg("check").arg("-c").arg(&file).output()?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the gateway refuses its configuration:\n{said}{complained}");
    Ok(())
}

/// Of the model, at every upstream.
const PRICE: &str = "  - { model: gpt-5-mini, from: 2025-01-01, currency: USD, per: 1000000, input: \"0.25\", output: \"2.00\" }
";
