//! The gateway with its whole path on: key, limits on three levels, hard budgets, prices, journal.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};

use super::server::{PATIENCE, Server, quiet, spawn};

/// The key of the one client. No secret: it opens a gateway that lives for minutes on loopback.
pub(super) const CLIENT_KEY: &str = "load-test-key-0123456789abcdef";

pub(super) fn start(program: &Path, folder: &Path, upstream: SocketAddr) -> Result<Server> {
    let folder = folder.join("gateway");
    // The log grows in a folder of its own: that of the configuration is watched for changes.
    fs::create_dir_all(folder.join("log"))?;
    let prices = folder.join("prices.yaml");
    fs::write(&prices, PRICES)?;
    let file = folder.join("tollgate.yaml");
    fs::write(&file, config(&folder, &prices, upstream))?;
    let mut command = quiet(program);
    command.arg("serve").arg("-c").arg(&file).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let stderr = child.stderr.take().context("the gateway's stderr is a pipe")?;
    // From here on an error ends the process: the server owns it.
    let mut server = Server::new("tollgate", SocketAddr::from(([127, 0, 0, 1], 0)), child);
    server.addr = ready(stderr)?;
    server.accepting()
}

/// Waits for the line `ready data=http://ADDR admin=http://ADDR`; the pipe is kept empty after it.
fn ready(stderr: ChildStderr) -> Result<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stderr = BufReader::new(stderr);
        let _ = sender.send(read_to_ready(&mut stderr));
        std::io::copy(&mut stderr, &mut std::io::sink())
    });
    receiver.recv_timeout(PATIENCE).context("the gateway does not get ready")?
}

fn read_to_ready(stderr: &mut impl BufRead) -> Result<SocketAddr> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if stderr.read_line(&mut line)? == 0 {
            bail!("the gateway ended before it was ready:\n{said}");
        }
        if let Some((_, rest)) = line.split_once("ready data=http://") {
            let addr = rest.split_ascii_whitespace().next().unwrap_or_default();
            return addr.parse().with_context(|| format!("ready line {line:?}"));
        }
        said.push_str(&line);
    }
}

const PRICES: &str = "prices:
  - { model: gpt-5-mini, from: 2025-01-01, currency: USD, per: 1000000, input: \"0.25\", cached_input: \"0.025\", output: \"2.00\" }
";

fn config(folder: &Path, prices: &Path, upstream: SocketAddr) -> String {
    let (folder, prices) = (folder.display(), prices.display());
    format!(
        "version: 1
organization: load
instance: load
currency: USD
listen:
  data:  {{ address: \"127.0.0.1:0\" }}
  admin: {{ address: \"127.0.0.1:0\" }}
data_dir: {folder}/data
access_log: {{ to: {folder}/log/access.log }}
admin:
  tokens:
    - {{ name: ops, role: admin, token: \"load-test-admin-token-0123456789\" }}
ledger: {{ durability: process, store: sqlite }}
prices: [ {prices} ]
regions:
  - {{ name: local, zone: us }}
upstreams:
  - name: provider
    dialect: openai
    region: local
    base_url: http://{upstream}/v1
    credential: \"load-test-upstream-0123456789\"
    allow_private: true
models:
  - name: gpt-5-mini
    targets:
      - {{ upstream: provider, model: gpt-5-mini }}
teams:
  - name: load
    limits: {{ requests_per_minute: 4000000000, tokens_per_minute: 1000000000000 }}
    budget: {{ amount: \"1000000.00\", period: month, mode: hard }}
    projects:
      - name: compare
        models: [gpt-5-mini]
        limits: {{ requests_per_minute: 4000000000, tokens_per_minute: 1000000000000, concurrent_requests: 100000 }}
        budget: {{ amount: \"900000.00\", period: month, mode: hard }}
        keys:
          - name: prod
            secret: \"{CLIENT_KEY}\"
            limits: {{ requests_per_minute: 4000000000, tokens_per_minute: 1000000000000 }}
"
    )
}
