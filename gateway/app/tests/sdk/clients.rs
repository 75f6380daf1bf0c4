//! Every client that the README names, in the things that matter to it: a matrix of client and step, which
//! is run, printed, and compared with the table that stands there.
//!
//! All clients share one gateway, or its like under TLS. Each has keys of its own, so that the ledger tells
//! how often it called.

use std::{
    env,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tollgate_test_support::{Check, Sdk, assess};

use crate::{
    stage::{Stage, Transport, key_name, spent_key, spent_key_400},
    table::{self, Line},
};

/// A client: what it is called, where its script runs and by what it comes, and what else the script
/// wants to know.
pub(crate) struct Client {
    title: &'static str,
    pub(crate) sdk: Sdk,
    pub(crate) script: &'static str,
    transport: Transport,
    pub(crate) variables: &'static [(&'static str, &'static str)],
}

impl Client {
    const fn new(title: &'static str, sdk: Sdk, script: &'static str) -> Self {
        Self { title, sdk, script, transport: Transport::Clear, variables: &[] }
    }

    const fn over_tls(self) -> Self {
        Self { transport: Transport::Tls, ..self }
    }

    const fn with(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }
}

const CLIENTS: &[Client] = &[
    Client::new("OpenAI for Python 3", Sdk::PythonCurrent, "openai_checks"),
    Client::new("OpenAI for Python 1", Sdk::PythonOlder, "openai_checks"),
    Client::new("AzureOpenAI, deployments in the path", Sdk::PythonCurrent, "azure_checks")
        .with(&[("URL_FORM", "deployments")]),
    Client::new("OpenAI on Azure's v1 form", Sdk::PythonCurrent, "azure_checks").with(&[("URL_FORM", "v1")]),
    Client::new("OpenAI for Node 6", Sdk::Node, "openai_checks"),
    Client::new("Anthropic for Python 2", Sdk::PythonCurrent, "anthropic_checks"),
    Client::new("Anthropic for Python 0", Sdk::PythonOlder, "anthropic_checks"),
    Client::new("Anthropic for TypeScript 1", Sdk::Node, "anthropic_checks"),
    Client::new("google-genai 3", Sdk::PythonFrameworks, "google_genai_checks"),
    Client::new("boto3 bedrock-runtime, signed", Sdk::PythonFrameworksOlder, "bedrock_checks")
        .with(&[("AUTH", "signature")]),
    Client::new("boto3 bedrock-runtime, bearer over TLS", Sdk::PythonFrameworksOlder, "bedrock_checks")
        .over_tls()
        .with(&[("AUTH", "bearer")]),
    Client::new("LangChain (langchain-openai 1)", Sdk::PythonFrameworks, "langchain_checks"),
    Client::new("LlamaIndex (OpenAILike)", Sdk::PythonFrameworksOlder, "llama_index_checks"),
    Client::new("Vercel AI SDK 6, responses", Sdk::Node, "vercel_checks").with(&[("API", "responses")]),
    Client::new("Vercel AI SDK 6, chat", Sdk::Node, "vercel_checks").with(&[("API", "chat")]),
    Client::new("LiteLLM 1", Sdk::PythonFrameworksOlder, "litellm_checks")
        .with(&[("LITELLM_LOCAL_MODEL_COST_MAP", "True")]),
    Client::new("Pydantic AI 2", Sdk::PythonFrameworks, "pydantic_ai_checks"),
    Client::new("curl", Sdk::PythonCurrent, "curl_checks"),
    Client::new("curl over TLS, HTTP/2", Sdk::PythonCurrent, "curl_checks").over_tls(),
    Client::new("Codex CLI", Sdk::PythonCurrent, "codex_checks"),
    Client::new("Claude Code 2", Sdk::PythonCurrent, "claude_code_checks"),
];

/// The checks of every script, and the columns of the table.
const STEPS: [(&str, &str); 7] = [
    ("chat", "chat"),
    ("stream", "stream"),
    ("tools", "tools"),
    ("wrong_key", "wrong key"),
    ("stream_dies", "stream that dies"),
    ("budget_spent", "spent budget"),
    ("budget_spent_as_400", "with `refusal_status: 400`"),
];

/// Clients at one time: starting them is work for the machine, waiting between retries is none.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_gets_its_answers_and_raises_its_own_exceptions() -> Result<()> {
    let stages = [Stage::start(Transport::Clear, CLIENTS.len()), Stage::start(Transport::Tls, CLIENTS.len())];
    let [clear, tls] = stages.map(tokio::spawn);
    let (clear, tls) = (clear.await??, tls.await??);
    let stage = |client: &Client| match client.transport {
        Transport::Clear => &clear,
        Transport::Tls => &tls,
    };

    let play = async |(number, client): (usize, &'static Client)| {
        let steps = STEPS.map(|(name, _)| name);
        Report { number, client, checks: stage(client).play(number, client, &steps).await }
    };
    // The last ones first: agents wait long between their tries.
    let mut reports: Vec<Report> =
        stream::iter(chosen().rev()).map(play).buffer_unordered(AT_ONCE).collect().await;
    reports.sort_by_key(|report| report.number);

    let refusals = [clear.refusals().await?, tls.refusals().await?].concat();
    let mut complaints = Vec::new();
    let mut lines = Vec::new();
    for report in &reports {
        match report.line(&refusals) {
            Ok(line) => lines.push(line),
            Err(problem) => complaints.push(format!("{}: {problem:#}", report.client.title)),
        }
    }
    let logs = || [clear.log(), tls.log()].join("\n");
    ensure!(complaints.is_empty(), "{}\nlogs:\n{}", complaints.join("\n"), logs());
    let head: Vec<_> = ["client"].into_iter().chain(STEPS.map(|(_, title)| title)).collect();
    let table = table::render(&head, &lines);
    // Past the test runner, which keeps what a green test prints to itself.
    io::stderr().write_all(table.as_bytes())?;
    clear.check_the_ledger().await?;
    tls.check_the_ledger().await?;
    if lines.len() == CLIENTS.len() { table::compare_with_readme(&table) } else { Ok(()) }
}

/// All clients with their numbers; for work on one of them, `TOLLGATE_ONLY_CLIENT` is a part of its title
/// or script.
fn chosen() -> impl DoubleEndedIterator<Item = (usize, &'static Client)> {
    let wanted = env::var("TOLLGATE_ONLY_CLIENT").unwrap_or_default().to_lowercase();
    CLIENTS.iter().enumerate().filter(move |(_, client)| {
        [client.title, client.script].iter().any(|name| name.to_lowercase().contains(&wanted))
    })
}

/// What a client's script told.
struct Report {
    number: usize,
    client: &'static Client,
    checks: Result<Vec<Check>>,
}

impl Report {
    /// Its line of the table.
    fn line(&self, refusals: &[Value]) -> Result<Line> {
        let checks = self.checks.as_ref().map_err(|problem| anyhow::anyhow!("{problem:#}"))?;
        assess(checks, &STEPS.map(|(name, _)| name))?;
        let cell = |(name, _): (&str, &str)| {
            let check = checks.iter().find(|check| check.name == name).context("no such check")?;
            if check.not_applicable.is_some() {
                return Ok("n/a".to_owned());
            }
            let ids = match name {
                "budget_spent" => calls(refusals, &spent_key(self.number)),
                "budget_spent_as_400" => calls(refusals, &spent_key_400(self.number)),
                _ => return Ok("yes".to_owned()),
            };
            refusal_cell(&check.detail, &ids)
        };
        let cells = STEPS.map(cell).into_iter().collect::<Result<Vec<_>>>()?;
        Ok([self.client.title.to_owned()].into_iter().chain(cells).collect())
    }
}

/// How often a refused client called, and whether it shows why, and which request of ours that was.
fn refusal_cell(shown: &str, ids: &[&str]) -> Result<String> {
    ensure!(!ids.is_empty(), "no refused call of it is in the ledger; it showed: {shown}");
    let calls = if ids.len() == 1 { "1 call".to_owned() } else { format!("{} calls", ids.len()) };
    let says_why = shown.contains("hard budget");
    let says_which = ids.iter().any(|id| shown.contains(id));
    Ok(match (says_why, says_which) {
        (true, true) => calls,
        (true, false) => format!("{calls}, request id hidden"),
        (false, _) => format!("{calls}, reason hidden"),
    })
}

/// The ids of the refused calls of a key.
fn calls<'a>(refusals: &'a [Value], secret: &str) -> Vec<&'a str> {
    let of_key = refusals.iter().filter(|row| row["key"] == key_name(secret));
    of_key.filter_map(|row| row["id"].as_str()).collect()
}
