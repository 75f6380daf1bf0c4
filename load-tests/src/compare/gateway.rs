//! The gateway with its whole path on: key, limits on three levels, hard budgets, prices, journal.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;

use super::scenario::{PASSED, TRANSLATED};
use crate::gateway::{self, ADMIN_TOKEN, CLIENT_KEY};
use crate::server::Server;

/// Starts it in a folder, with more sections at the end of its configuration.
pub(crate) fn start(program: &Path, folder: &Path, upstream: SocketAddr, more: &str) -> Result<Server> {
    let config = |folder: &Path, prices: &Path| config(folder, prices, upstream) + more;
    Ok(gateway::start(program, folder, PRICES, config)?.server)
}

const PRICES: &str = "prices:
  - { model: gpt-5-mini, from: 2025-01-01, currency: USD, per: 1000000, input: \"0.25\", cached_input: \"0.025\", output: \"2.00\" }
  - { model: claude-sonnet-4-5, from: 2025-01-01, currency: USD, per: 1000000, input: \"3\", cached_input: \"0.30\", output: \"15\" }
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
    - {{ name: ops, role: admin, token: \"{ADMIN_TOKEN}\" }}
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
  - name: other
    dialect: anthropic
    region: local
    base_url: http://{upstream}
    credential: \"load-test-upstream-0123456789\"
    allow_private: true
models:
  - name: {PASSED}
    targets:
      - {{ upstream: provider, model: gpt-5-mini }}
  - name: {TRANSLATED}
    targets:
      - {{ upstream: other, model: claude-sonnet-4-5 }}
teams:
  - name: load
    limits: {{ requests_per_minute: 4000000000, tokens_per_minute: 1000000000000 }}
    budget: {{ amount: \"1000000.00\", period: month, mode: hard }}
    projects:
      - name: compare
        models: [{PASSED}, {TRANSLATED}]
        limits: {{ requests_per_minute: 4000000000, tokens_per_minute: 1000000000000, concurrent_requests: 100000 }}
        budget: {{ amount: \"900000.00\", period: month, mode: hard }}
        keys:
          - name: prod
            secret: \"{CLIENT_KEY}\"
            limits: {{ requests_per_minute: 4000000000, tokens_per_minute: 1000000000000 }}
"
    )
}
