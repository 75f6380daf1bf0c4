//! What the clients of the matrix meet: a gateway before simulated providers, a project that may do
//! everything, and one whose budget is spent.

use std::{fmt::Write as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::{Incoming, Options, Script, Simulator, text_of};
use tollgate_test_support::{Admin, Check, ConfigText, Gateway, LedgerTally, Sdk, agents, assess};

use crate::{agents as agent, clients::Client, gemini};

/// Words of a simulated answer.
pub(crate) const TEXT_WORDS: u32 = 20;

/// Input and output tokens of the answers that are written out here.
pub(crate) const USAGE: (u64, u64) = (12, 7);

/// How clients come to the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Clear,
    /// With a certificate that only those trust who are told to.
    Tls,
}

/// Two simulated regions, and a provider whose every word is written out in these tests, behind a gateway.
pub(crate) struct Stage {
    providers: [Simulator; 2],
    scripted: Simulator,
    gateway: Gateway,
    transport: Transport,
}

impl Stage {
    /// Starts everything, with keys for so many clients, and spends the budget.
    pub(crate) async fn start(transport: Transport, clients: usize) -> Result<Self> {
        let simulated = |name: &'static str| Simulator::start(options(name, None));
        let providers = [simulated("east").await?, simulated("west").await?];
        let scripted = Simulator::start(options("scripted", Some(written_out))).await?;
        let mut config = ConfigText::two_regions(providers[0].addr(), providers[1].addr());
        config.upstreams.push_str(&scripted_upstreams(&scripted)?);
        writeln!(
            config.upstreams,
            "  - {{ name: bedrock-east, dialect: bedrock, region: east, base_url: \"http://{}\", allow_private: true, \
             credential: {} }}",
            providers[0].addr(),
            ConfigText::UPSTREAM_KEY
        )?;
        for name in ["gpt-5-mini", "azure-gpt-5-mini"] {
            let (plain, capped) =
                (format!("name: {name},"), format!("name: {name}, max_output_tokens: 256,"));
            config.models = config.models.replace(&plain, &capped);
        }
        config.models.push_str(MODELS);
        config.prices.push_str(PRICES);
        config.teams = teams(clients)?;
        let mut files = Vec::new();
        if transport == Transport::Tls {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
            files.push((CERTIFICATE.to_owned(), made.cert.pem()));
            files.push(("key.pem".to_owned(), made.signing_key.serialize_pem()));
            let address = "address: \"127.0.0.1:0\"";
            let with_tls = format!("{address}, tls: {{ cert: {CERTIFICATE}, key: key.pem }}");
            config.head = config.head.replacen(address, &with_tls, 1);
        }
        let mut launch = config.launch(env!("CARGO_BIN_EXE_tollgate"));
        launch.files.append(&mut files);
        let stage = Self { providers, scripted, gateway: Gateway::launch(launch)?, transport };
        let spent = stage.run(Sdk::PythonCurrent, "spend_the_budget", "key-of-the-spender", "", &[]).await?;
        assess(&spent, &["spent"])?;
        // So many clients see a stream die that no breaker would let the last ones in.
        for model in DYING {
            stage.gateway.admin().act("models", model, "force", "its streams die on purpose").await?;
        }
        Ok(stage)
    }

    /// Runs these checks of a client.
    pub(crate) async fn play(
        &self,
        number: usize,
        client: &'static Client,
        steps: &[&str],
    ) -> Result<Vec<Check>> {
        let only = ("ONLY", steps.join(","));
        let mut more =
            client.variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>();
        more.push(only);
        self.run(client.sdk, client.script, &spent_key(number), &spent_key_400(number), &more).await
    }

    async fn run(
        &self,
        sdk: Sdk,
        script: &'static str,
        spent: &str,
        spent_400: &str,
        more: &[(&'static str, String)],
    ) -> Result<Vec<Check>> {
        let mut variables = vec![
            ("BASE_URL", self.gateway.data_url().to_owned()),
            ("API_KEY", ConfigText::KEY.to_owned()),
            ("SPENT_KEY", spent.to_owned()),
            ("SPENT_KEY_400", spent_400.to_owned()),
            ("TEXT", text_of(TEXT_WORDS)),
            ("AGENTS", shown(agents()?)?),
        ];
        if self.transport == Transport::Tls {
            variables.push(("CA_FILE", shown(self.gateway.folder().join(CERTIFICATE))?));
        }
        variables.extend_from_slice(more);
        tokio::task::spawn_blocking(move || {
            let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            sdk.run(script, &variables)
        })
        .await?
    }

    /// What the gateway's log tells of trouble.
    pub(crate) fn log(&self) -> String {
        let log = self.gateway.log();
        log.lines().filter(|line| line.contains("\"level\":\"error\"")).collect::<Vec<_>>().join("\n")
    }

    /// The rows of all calls that the spent budget refused: as many as the gateway has counted.
    pub(crate) async fn refusals(&self) -> Result<Vec<Value>> {
        let admin = self.gateway.admin();
        let metrics = admin.root("/metrics").await?;
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        let counted = metrics.lines().filter_map(|line| {
            let sample = line.strip_prefix("tollgate_quota_refusals_total{")?;
            let (labels, count) = sample.rsplit_once(' ')?;
            labels.contains("project=\"frugal\"").then(|| count.parse::<usize>().ok())?
        });
        admin.rows("kind=refusal&error_code=budget_exceeded", counted.sum()).await
    }

    /// Waits until every row tells what its provider told.
    pub(crate) async fn check_the_ledger(&self) -> Result<()> {
        let admin = self.gateway.admin();
        let mut patience = 50;
        while let Err(problem) = self.ledger_agrees(&admin).await {
            patience -= 1;
            ensure!(patience > 0, "{problem:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn ledger_agrees(&self, admin: &Admin) -> Result<()> {
        let books = self.providers.each_ref().map(Simulator::book);
        let tally = LedgerTally::read(admin).await?;
        let written_out =
            |row: &&Value| row["upstream"].as_str().is_some_and(|name| name.starts_with("scripted"));
        let (input, output) = USAGE;
        let completed: Vec<_> =
            tally.rows().iter().filter(written_out).filter(|row| row["end"] == "completed").collect();
        let whole = self.scripted.book().totals().whole;
        ensure!(completed.len() as u64 == whole, "{} rows for {whole} whole answers", completed.len());
        for row in completed {
            ensure!(
                row["usage_source"] == "reported"
                    && row["input_tokens"] == input
                    && row["output_tokens"] == output,
                "not the numbers that the provider told: {row}"
            );
        }
        tally.without_upstreams("scripted").agrees_with(&books)
    }
}

fn options(name: &str, decide: Option<fn(&Incoming) -> Option<Script>>) -> Options {
    Options {
        name: name.to_owned(),
        credential: Some(ConfigText::UPSTREAM_KEY.to_owned()),
        decide: decide.map(|decide| Arc::new(decide) as _),
        ..Options::default()
    }
}

fn written_out(call: &Incoming) -> Option<Script> {
    gemini::script(call).or_else(|| agent::script(call))
}

/// One provider, which answers in the name of three.
fn scripted_upstreams(provider: &Simulator) -> Result<String> {
    let (addr, credential) = (provider.addr(), ConfigText::UPSTREAM_KEY);
    let mut text = String::new();
    for (dialect, path) in [("openai", "/v1"), ("anthropic", ""), ("gemini", "")] {
        writeln!(
            text,
            "  - {{ name: scripted-{dialect}, dialect: {dialect}, region: east, base_url: \"http://{addr}{path}\", \
             allow_private: true, credential: {credential} }}"
        )?;
    }
    Ok(text)
}

fn shown(path: PathBuf) -> Result<String> {
    path.into_os_string().into_string().ok().context("a path that is no text")
}

/// The secret of a client's key of the project whose budget is spent.
pub(crate) fn spent_key(number: usize) -> String {
    format!("key-of-spent-budget-{number}")
}

/// The same for the key whose refusals have status 400.
pub(crate) fn spent_key_400(number: usize) -> String {
    format!("key-of-spent-budget-{number}-as-400")
}

/// The name of the key with this secret.
pub(crate) fn key_name(secret: &str) -> &str {
    secret.trim_start_matches("key-of-")
}

/// What makes a pair of the key with this secret; clients that sign know the rule too.
fn access_key_id(secret: &str) -> String {
    let letters = secret.chars().filter(char::is_ascii_alphanumeric);
    format!("TLG{}", letters.collect::<String>().to_ascii_uppercase())
}

/// The file of the certificate, in the gateway's folder.
const CERTIFICATE: &str = "cert.pem";

/// Models of which every stream dies.
const DYING: [&str; 7] = [
    "bedrock-dies",
    "gpt-dies",
    "azure-dies",
    "claude-dies",
    "gemini-dies",
    "gpt-agent-dies",
    "claude-agent-dies",
];

const MODELS: &str = "
  - { name: anthropic.claude-sonnet-4-6, max_output_tokens: 64, targets: [{ upstream: bedrock-east, model: claude-sonnet-4-6 }] }
  - { name: bedrock-dies, targets: [{ upstream: bedrock-east, model: claude-sonnet-4-6--reset }] }
  - { name: gpt-dies, targets: [{ upstream: openai-east, model: gpt-5-mini--reset }] }
  - { name: azure-dies, targets: [{ upstream: azure-east, model: gpt-5-mini--reset }] }
  - { name: claude-dies, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6--reset }] }
  - { name: gemini-2.5-flash, max_output_tokens: 256, targets: [{ upstream: scripted-gemini, model: gemini-2.5-flash }] }
  - { name: gemini-dies, targets: [{ upstream: scripted-gemini, model: gemini-2.5-dies }] }
  - { name: gpt-agent, targets: [{ upstream: scripted-openai, model: agent }] }
  - { name: gpt-agent-dies, targets: [{ upstream: scripted-openai, model: agent-dies }] }
  - { name: claude-agent, targets: [{ upstream: scripted-anthropic, model: agent }] }
  - { name: claude-agent-dies, targets: [{ upstream: scripted-anthropic, model: agent-dies }] }
";

/// So that the worst case of a call of any model is more than what is left of the spent budget, and less
/// than the whole of it. Agents ask for up to 32,000 tokens of output.
const PRICES: &str = r#"
  - { model: gemini-2.5-flash, from: 2020-01-01, currency: USD, per: 1000000, input: "0.30", output: "2.50" }
  - { model: agent, from: 2020-01-01, currency: USD, per: 1000000, input: "0.01", output: "0.05" }
"#;

/// One team: a project that may do everything, and one whose budget is soon spent, with two keys for each client.
fn teams(clients: usize) -> Result<String> {
    let mut text = TEAMS.replace("KEY", ConfigText::KEY).replace("ID", &access_key_id(ConfigText::KEY));
    for number in 0..clients {
        for (secret, status) in [(spent_key(number), 429), (spent_key_400(number), 400)] {
            let name = key_name(&secret);
            let id = access_key_id(&secret);
            writeln!(
                text,
                "          - {{ name: {name}, secret: {secret}, access_key_id: {id}, refusal_status: {status} }}"
            )?;
        }
    }
    Ok(text)
}

const TEAMS: &str = "teams:
  - name: retail
    projects:
      - name: search
        models: [gpt-5-mini, azure-gpt-5-mini, claude-sonnet-4-6, gemini-2.5-flash, gpt-agent, claude-agent, gpt-dies, azure-dies, claude-dies, gemini-dies, gpt-agent-dies, claude-agent-dies, anthropic.claude-sonnet-4-6, bedrock-dies]
        keys:
          - { name: prod, secret: KEY, access_key_id: ID }
      - name: frugal
        models: [gpt-5-mini, azure-gpt-5-mini, claude-sonnet-4-6, gemini-2.5-flash, gpt-agent, claude-agent, anthropic.claude-sonnet-4-6]
        budget: { amount: \"0.003\", period: total, mode: hard }
        keys:
          - { name: spender, secret: key-of-the-spender }
";
