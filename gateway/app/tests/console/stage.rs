//! What the browser meets: three regions, three teams, a history of two months, and traffic of today.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tollgate_domain::Money;
use tollgate_simulator::{Behaviour, Options, Simulator};
use tollgate_test_support::{Admin, Check, Gateway, Launch};

use crate::{
    browser, history,
    large::{self, Size},
};

const UPSTREAM_KEY: &str = "credential-of-the-upstreams";
/// The same that the test support's admin client shows.
const TOKEN: &str = "admin-token-for-tests";
const PATIENCE: Duration = Duration::from_secs(15);
/// What the cost page has columns for.
const TOKENS: [&str; 3] = ["input_tokens", "cached_input_tokens", "output_tokens"];

/// A gateway before simulated providers.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    // They answer as long as they are held.
    _providers: Vec<Simulator>,
}

impl Stage {
    /// With a history.
    pub(crate) fn set() -> Result<Self> {
        Self::start(true)
    }

    /// Nothing has ever happened.
    pub(crate) fn set_new() -> Result<Self> {
        Self::start(false)
    }

    fn start(with_history: bool) -> Result<Self> {
        let failing = Behaviour { error_permille: 250, ..calm(40) };
        let providers =
            vec![provider("eastus", failing)?, provider("sweden", calm(60))?, provider("global", calm(25))?];
        let addresses: Vec<String> = providers.iter().map(|provider| provider.addr().to_string()).collect();
        let config = CONFIG
            .replace("EASTUS", &addresses[0])
            .replace("SWEDEN", &addresses[1])
            .replace("GLOBAL", &addresses[2]);
        let launch = Launch {
            binary: env!("CARGO_BIN_EXE_tollgate").into(),
            config: config.replace("KEY_OF_UPSTREAMS", UPSTREAM_KEY).replace("TOKEN", TOKEN),
            files: vec![("prices.yaml".to_owned(), PRICES.to_owned())],
            environment: Vec::new(),
        };
        let mut gateway = Gateway::launch(launch)?;
        if with_history {
            gateway.kill()?;
            history::write(&gateway.folder().join("data").join("ledger.db"))?;
            gateway.restart()?;
        }
        Ok(Self { gateway, _providers: providers })
    }

    /// A large organisation with a long history.
    pub(crate) fn set_large() -> Result<Self> {
        let size = Size::of_this_run();
        let providers = vec![provider("everywhere", calm(20))?];
        let (head, _) = CONFIG.split_once("regions:").context("the configuration names regions")?;
        let config = format!(
            "{}{}",
            head.replace("TOKEN", TOKEN).replace("[retail]", "[team-00]"),
            large::config(size, &providers[0].addr().to_string())?
        );
        let launch = Launch {
            binary: env!("CARGO_BIN_EXE_tollgate").into(),
            config,
            files: vec![("prices.yaml".to_owned(), PRICES.to_owned())],
            environment: Vec::new(),
        };
        let mut gateway = Gateway::launch(launch)?;
        gateway.kill()?;
        history::write_large(&gateway.folder().join("data").join("ledger.db"), size)?;
        gateway.restart()?;
        Ok(Self { gateway, _providers: providers })
    }

    /// Ends the gateway in order and starts it again.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.gateway.terminate()?;
        self.gateway.ended(PATIENCE).await?;
        self.gateway.restart()
    }

    /// Calls of three projects: answers, streams, failovers, refusals.
    pub(crate) async fn send_traffic(&self) -> Result<()> {
        let search = self.gateway.caller("key-of-retail-search");
        for number in 0..24 {
            search.chat(&chat("gpt-5-mini", number % 3 == 0)).await?;
        }
        let triage = self.gateway.caller("key-of-health-triage");
        for _ in 0..8 {
            triage.chat(&chat("gpt-5-mini", false)).await?;
        }
        let evals = self.gateway.caller("key-of-platform-evals");
        for _ in 0..6 {
            evals.messages(&json!({ "model": "claude-sonnet-4-6", "max_tokens": 64, "messages": [{ "role": "user", "content": "Hello" }] })).await?;
        }
        for model in ["gpt-9", "claude-sonnet-4-6"] {
            triage.chat(&chat(model, false)).await?;
        }
        self.gateway.admin().rows("from=-1h", 38).await.map(drop)
    }

    /// The rows of `export csv`, added up one by one, as JSON.
    pub(crate) fn exported_sums(&self) -> Result<String> {
        let export = self.gateway.command(&["export", "csv", "--from", "-1d", "--to", "2100-01-01"])?;
        ensure!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
        let (mut requests, mut refusals, mut cost) = (0_u64, 0_u64, Money::ZERO);
        let mut tokens = TOKENS.map(|name| (name, 0_u64));
        for row in csv::Reader::from_reader(&*export.stdout).deserialize::<BTreeMap<String, String>>() {
            let row = row?;
            if row["kind"] == "refusal" {
                refusals += 1;
                continue;
            }
            requests += 1;
            cost += row["cost"].parse()?;
            for (name, sum) in &mut tokens {
                *sum += row[*name].parse::<u64>()?;
            }
        }
        ensure!(requests > 30 && refusals > 0 && cost > Money::ZERO, "{requests} {refusals} {cost}");
        let mut sums = json!({ "requests": requests, "refusals": refusals, "cost": cost });
        for (name, sum) in tokens {
            sums[name] = sum.into();
        }
        Ok(sums.to_string())
    }

    /// The id of a request that was tried at more than one upstream.
    pub(crate) async fn request_with_failover(&self) -> Result<String> {
        let rows = self.gateway.admin().requests("from=-1h").await?;
        let row = rows.iter().find(|row| row["attempt_count"].as_u64().is_some_and(|count| count > 1));
        let id =
            row.context("an upstream fails one call in four")?["id"].as_str().context("a row has an id")?;
        Ok(id.to_owned())
    }

    /// Text of clients and operators that would run if anything took it for markup or a formula.
    pub(crate) async fn send_hostile_traffic(&self) -> Result<()> {
        let caller = self.gateway.caller("key-of-retail-search");
        for text in HOSTILE {
            caller.chat(&chat(text, false)).await?;
            let headers = [("x-tollgate-user", text), ("x-tollgate-session", text), ("user-agent", text)];
            let body = chat("gpt-5-mini", false).to_string();
            caller.post("/v1/chat/completions", &headers, body).await?;
        }
        self.gateway
            .admin()
            .post("/regions/global/drain", &json!({ "reason": HOSTILE.join(" "), "force": true }))
            .await?;
        let broken = format!("{}: {{}}\nversion: [\n", HOSTILE[0]);
        let admin = Admin::new(self.gateway.admin_url(), TOKEN);
        ensure!(admin.post("/config/validate", &json!(broken)).await.is_err(), "that is no configuration");
        until(async || Ok(admin.requests("kind=refusal&from=-1h").await?.len() == HOSTILE.len())).await
    }

    /// Runs a script of checks in the browser.
    pub(crate) async fn browse(&self, script: &'static str, more: &[(&str, &str)]) -> Result<Vec<Check>> {
        let hostile = serde_json::to_string(&HOSTILE)?;
        let own = [("ADMIN", self.gateway.admin_url()), ("TOKEN", TOKEN), ("HOSTILE", &hostile)];
        let variables: Vec<(String, String)> =
            own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        tokio::task::spawn_blocking(move || {
            let variables: Vec<(&str, &str)> =
                variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            browser::run(script, &variables)
        })
        .await?
    }
}

async fn until(mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so().await? {
        if start.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn calm(millis: u64) -> Behaviour {
    Behaviour { latency: Duration::from_millis(millis), chunks: 24, ..Behaviour::default() }
}

fn provider(name: &str, behaviour: Behaviour) -> Result<Simulator> {
    let options = Options {
        name: name.to_owned(),
        behaviour,
        credential: Some(UPSTREAM_KEY.to_owned()),
        ..Options::default()
    };
    Ok(Simulator::spawn_thread(options)?)
}

fn chat(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Say hello to everybody in the room." }] })
}

const HOSTILE: [&str; 6] = [
    "<img src=x onerror=window.ran=1>",
    "<script>window.ran=2</script>",
    "\"><svg onload=window.ran=3>",
    "javascript:window.ran=4",
    "{{constructor.constructor('window.ran=5')()}}",
    "=HYPERLINK(\"http://evil.example\")",
];

const CONFIG: &str = r#"version: 1
organization: contoso
instance: gw-1
currency: USD
listen:
  data: { address: "127.0.0.1:0" }
  admin: { address: "127.0.0.1:0" }
data_dir: data
shutdown: { delay: 0s }
admin:
  tokens:
    - { name: root, role: admin, token: TOKEN }
    - { name: oncall, role: operator, token: token-of-the-operator }
    - { name: controller, role: finance, token: token-of-finance-desk }
    - { name: guest, role: viewer, token: token-of-the-viewer }
    - { name: retail-lead, role: finance, token: token-of-retail-lead, scope: { teams: [retail] } }
prices: [prices.yaml]
regions:
  - { name: eastus, zone: us }
  - { name: swedencentral, zone: eu }
  - { name: global, zone: global }
upstreams:
  - { name: aoai-eastus, dialect: azure-openai, region: eastus, base_url: "http://EASTUS", allow_private: true, credential: KEY_OF_UPSTREAMS, capacity: { tokens_per_minute: 240000 } }
  - { name: aoai-sweden, dialect: azure-openai, region: swedencentral, base_url: "http://SWEDEN", allow_private: true, credential: KEY_OF_UPSTREAMS, capacity: { tokens_per_minute: 120000 } }
  - { name: openai, dialect: openai, region: global, base_url: "http://GLOBAL/v1", allow_private: true, credential: KEY_OF_UPSTREAMS }
  - { name: anthropic, dialect: anthropic, region: global, base_url: "http://GLOBAL", allow_private: true, credential: KEY_OF_UPSTREAMS }
models:
  - name: gpt-5-mini
    objectives: { success: 99.9%, first_token: { within: 2s, share: 95% } }
    targets:
      - { upstream: aoai-eastus, model: gpt-5-mini, priority: 1 }
      - { upstream: aoai-sweden, model: gpt-5-mini, priority: 2 }
      - { upstream: openai, model: gpt-5-mini, priority: 3 }
  - { name: claude-sonnet-4-6, objectives: { success: 99.5% }, targets: [{ upstream: anthropic, model: claude-sonnet-4-6 }] }
  - { name: text-embedding-3-small, targets: [{ upstream: openai, model: text-embedding-3-small }] }
teams:
  - name: retail
    cost_center: CC-104
    budget: { amount: "900.00", period: month, mode: soft, alerts: [50, 80, 100] }
    projects:
      - name: search-assistant
        models: [gpt-5-mini, text-embedding-3-small]
        budget: { amount: "500.00", period: month, mode: hard, alerts: [50, 80, 100] }
        keys: [{ name: prod, secret: key-of-retail-search }]
      - name: checkout
        models: [gpt-5-mini]
        keys: [{ name: prod, secret: key-of-retail-checkout }]
  - name: health
    cost_center: CC-207
    projects:
      - name: triage
        zones: [eu]
        models: [gpt-5-mini]
        budget: { amount: "40.00", period: day, mode: hard, alerts: [80] }
        keys: [{ name: prod, secret: key-of-health-triage }]
  - name: platform
    projects:
      - name: evals
        models: [gpt-5-mini, claude-sonnet-4-6]
        budget: { amount: "300.00", period: month, mode: observe }
        keys: [{ name: nightly, secret: key-of-platform-evals }]
"#;

const PRICES: &str = r#"prices:
  - { model: gpt-5-mini, from: 2020-01-01, currency: USD, per: 1000000, input: "0.25", cached_input: "0.025", output: "2.00" }
  - { model: text-embedding-3-small, from: 2020-01-01, currency: USD, per: 1000000, input: "0.02", output: "0" }
  - { model: claude-sonnet-4-6, from: 2020-01-01, currency: USD, per: 1000000, input: "3", cached_input: "0.30", output: "15" }
"#;
