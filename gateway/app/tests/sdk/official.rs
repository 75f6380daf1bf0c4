//! The official SDKs, unchanged, through the real binary: they get their answers, and raise their
//! own exception classes when something goes wrong. Afterwards the ledger must agree with what the
//! providers served.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tollgate_simulator::{Behaviour, Incoming, Options, Script, Simulator};
use tollgate_test_support::{ConfigText, Gateway, LedgerTally, Sdk, assess};

const OPENAI_PYTHON: &[&str] = &[
    "models",
    "chat",
    "request_id",
    "trailing_slash",
    "stream",
    "stream_with_usage",
    "tools",
    "tools_stream",
    "embeddings",
    "responses",
    "responses_stream",
    "stored_state",
    "azure",
    "azure_stream",
    "azure_v1",
    "wrong_key",
    "unknown_model",
    "bad_request",
    "rate_limit",
    "rate_limit_is_waited_for",
    "budget_spent",
    "out_of_service",
    "failover",
    "stream_dies",
    "responses_stream_dies",
    "client_leaves",
];

const ANTHROPIC_PYTHON: &[&str] = &[
    "chat",
    "request_id",
    "beta_messages",
    "stream",
    "tools",
    "tools_stream",
    "count_tokens",
    "models",
    "wrong_key",
    "unknown_model",
    "rate_limit",
    "budget_spent",
    "out_of_service",
    "stream_dies",
    "client_leaves",
];

const OPENAI_NODE: &[&str] = &[
    "models",
    "chat",
    "request_id",
    "stream",
    "stream_with_usage",
    "tools",
    "embeddings",
    "responses",
    "responses_stream",
    "azure",
    "wrong_key",
    "unknown_model",
    "rate_limit",
    "budget_spent",
    "out_of_service",
    "stream_dies",
    "client_leaves",
];

const ANTHROPIC_NODE: &[&str] = &[
    "chat",
    "request_id",
    "stream",
    "tools",
    "count_tokens",
    "models",
    "wrong_key",
    "unknown_model",
    "rate_limit",
    "budget_spent",
    "out_of_service",
    "stream_dies",
    "client_leaves",
];

/// What an SDK of OpenAI's meets alike when its models are served by Anthropic's API.
const OPENAI_TRANSLATED: &[&str] = &[
    "chat",
    "stream",
    "stream_with_usage",
    "tools",
    "tools_stream",
    "wrong_key",
    "unknown_model",
    "bad_request",
    "rate_limit",
    "budget_spent",
    "out_of_service",
    "failover",
    "stream_dies",
    "client_leaves",
];

/// What an SDK of Anthropic's meets alike when its models are served by OpenAI's API.
const ANTHROPIC_TRANSLATED: &[&str] = &[
    "chat",
    "beta_messages",
    "stream",
    "tools",
    "tools_stream",
    "wrong_key",
    "unknown_model",
    "rate_limit",
    "budget_spent",
    "out_of_service",
    "stream_dies",
    "client_leaves",
];

#[tokio::test]
async fn the_openai_sdks_do_not_notice_that_another_dialect_serves_them() -> Result<()> {
    for sdk in [Sdk::PythonCurrent, Sdk::PythonOlder] {
        Setting::openai().crossed().start().await?.play(sdk, OPENAI_TRANSLATED).await?;
    }
    let known_to_node = |name: &&&str| OPENAI_NODE.contains(*name);
    let checks: Vec<_> = OPENAI_TRANSLATED.iter().filter(known_to_node).copied().collect();
    Setting::openai().crossed().start().await?.play(Sdk::Node, &checks).await
}

#[tokio::test]
async fn the_anthropic_sdks_do_not_notice_that_another_dialect_serves_them() -> Result<()> {
    for sdk in [Sdk::PythonCurrent, Sdk::PythonOlder] {
        Setting::anthropic().crossed().start().await?.play(sdk, ANTHROPIC_TRANSLATED).await?;
    }
    let known_to_node = |name: &&&str| ANTHROPIC_NODE.contains(*name);
    let checks: Vec<_> = ANTHROPIC_TRANSLATED.iter().filter(known_to_node).copied().collect();
    Setting::anthropic().crossed().start().await?.play(Sdk::Node, &checks).await
}

#[tokio::test]
async fn the_current_openai_sdk_for_python_notices_nothing_but_failures() -> Result<()> {
    Setting::openai().start().await?.play(Sdk::PythonCurrent, OPENAI_PYTHON).await
}

#[tokio::test]
async fn the_older_openai_sdk_for_python_notices_nothing_but_failures() -> Result<()> {
    Setting::openai().start().await?.play(Sdk::PythonOlder, OPENAI_PYTHON).await
}

#[tokio::test]
async fn the_openai_sdk_for_node_notices_nothing_but_failures() -> Result<()> {
    Setting::openai().start().await?.play(Sdk::Node, OPENAI_NODE).await
}

#[tokio::test]
async fn the_current_anthropic_sdk_for_python_notices_nothing_but_failures() -> Result<()> {
    Setting::anthropic().start().await?.play(Sdk::PythonCurrent, ANTHROPIC_PYTHON).await
}

#[tokio::test]
async fn the_older_anthropic_sdk_for_python_notices_nothing_but_failures() -> Result<()> {
    Setting::anthropic().start().await?.play(Sdk::PythonOlder, ANTHROPIC_PYTHON).await
}

#[tokio::test]
async fn the_anthropic_sdk_for_node_notices_nothing_but_failures() -> Result<()> {
    Setting::anthropic().start().await?.play(Sdk::Node, ANTHROPIC_NODE).await
}

/// What is special to one family of SDKs.
struct Setting {
    script: &'static str,
    /// The model whose streams last until the client has left.
    long_model: &'static str,
    /// Every model is served in another dialect than that of the SDK.
    crossed: bool,
}

impl Setting {
    fn openai() -> Self {
        Self { script: "openai_checks", long_model: "gpt-long", crossed: false }
    }

    fn anthropic() -> Self {
        Self { script: "anthropic_checks", long_model: "claude-long", crossed: false }
    }

    fn crossed(self) -> Self {
        Self { crossed: true, ..self }
    }

    async fn start(self) -> Result<Stage> {
        let providers = [provider("east").await?, provider("west").await?];
        let mut config = ConfigText::two_regions(providers[0].addr(), providers[1].addr());
        // Small enough that the worst case of one call fits the small budget many times.
        config.models =
            config.models.replace("name: gpt-5-mini,", "name: gpt-5-mini, max_output_tokens: 256,");
        config.models.push_str(FAULTY_MODELS);
        if self.crossed {
            CROSSED_MODELS.clone_into(&mut config.models);
        }
        TEAMS.clone_into(&mut config.teams);
        let gateway = Gateway::launch(config.launch(env!("CARGO_BIN_EXE_tollgate")))?;
        Ok(Stage { providers, gateway, setting: self })
    }
}

/// Two simulated regions behind a gateway.
struct Stage {
    providers: [Simulator; 2],
    gateway: Gateway,
    setting: Setting,
}

impl Stage {
    async fn play(self, sdk: Sdk, expected: &[&str]) -> Result<()> {
        self.spend_the_budget().await?;
        let (script, only) = (self.setting.script, expected.join(","));
        let base = self.gateway.data_url().to_owned();
        let checks = tokio::task::spawn_blocking(move || {
            let variables = [
                ("BASE_URL", base.as_str()),
                ("API_KEY", ConfigText::KEY),
                ("LIMITED_KEY", "key-of-one-request-a-minute"),
                ("PACED_KEY", "key-of-one-request-a-second"),
                ("SPENT_KEY", SPENT_KEY),
                ("ONLY", only.as_str()),
            ];
            sdk.run(script, &variables)
        })
        .await??;
        assess(&checks, expected).with_context(|| format!("log:\n{}", self.gateway.log()))?;
        self.check_the_ledger().await
    }

    /// Calls until the hard budget refuses, so that the SDK meets an empty one.
    async fn spend_the_budget(&self) -> Result<()> {
        let caller = self.gateway.caller(SPENT_KEY);
        for _ in 0..200 {
            let messages = json!([{ "role": "user", "content": "Say hello." }]);
            let reply = if self.setting.script == "openai_checks" {
                caller.chat(&json!({ "model": "gpt-5-mini", "messages": messages })).await?
            } else {
                let body = json!({ "model": "claude-sonnet-4-6", "max_tokens": 64, "messages": messages });
                caller.messages(&body).await?
            };
            if reply.error_code() == "budget_exceeded" {
                return Ok(());
            }
            ensure!(reply.status.is_success(), "{}: {:?}", reply.status, reply.body);
        }
        anyhow::bail!("200 calls did not spend the budget")
    }

    async fn check_the_ledger(&self) -> Result<()> {
        let admin = self.gateway.admin();
        // Ours, and the one call that the SDK made: the refusal kept it from asking again.
        admin.rows("kind=refusal&error_code=budget_exceeded", 2).await?;
        admin.rows(&format!("end=client_abort&model={}", self.setting.long_model), 1).await?;
        for row in admin.requests("end=completed").await? {
            ensure!(row["usage_source"] == "reported", "not the provider's numbers: {row}");
        }
        let books = self.providers.each_ref().map(Simulator::book);
        LedgerTally::read(&admin).await?.agrees_with(&books)
    }
}

const SPENT_KEY: &str = "key-of-a-small-hard-budget";

/// Models whose targets misbehave: the suffix of the target's name tells the simulator how.
const FAULTY_MODELS: &str = "
  - { name: gpt-too-long, targets: [{ upstream: openai-east, model: gpt-5-mini--too-long }] }
  - { name: gpt-dies, targets: [{ upstream: openai-east, model: gpt-5-mini--reset }] }
  - { name: gpt-out, targets: [{ upstream: openai-east, model: gpt-5-mini--503 }, { upstream: openai-west, model: gpt-5-mini--503 }] }
  - { name: gpt-fails-over, targets: [{ upstream: openai-east, model: gpt-5-mini--500, priority: 1 }, { upstream: openai-west, model: gpt-5-mini, priority: 2 }] }
  - { name: gpt-long, targets: [{ upstream: openai-east, model: gpt-5-mini-long }] }
  - { name: claude-dies, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6--reset }] }
  - { name: claude-out, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6--503 }, { upstream: anthropic-west, model: claude-sonnet-4-6--503 }] }
  - { name: claude-long, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6-long }] }
";

/// The same models, those of one vendor's names served by the other's API.
const CROSSED_MODELS: &str = "models:
  - { name: gpt-5-mini, max_output_tokens: 64, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6, priority: 1 }, { upstream: anthropic-west, model: claude-sonnet-4-6, priority: 2 }] }
  - { name: gpt-too-long, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6--too-long }] }
  - { name: gpt-dies, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6--reset }] }
  - { name: gpt-out, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6--503 }, { upstream: anthropic-west, model: claude-sonnet-4-6--503 }] }
  - { name: gpt-fails-over, targets: [{ upstream: openai-east, model: gpt-5-mini--500, priority: 1 }, { upstream: anthropic-west, model: claude-sonnet-4-6, priority: 2 }] }
  - { name: gpt-long, targets: [{ upstream: anthropic-east, model: claude-sonnet-4-6-long }] }
  - { name: claude-sonnet-4-6, max_output_tokens: 256, targets: [{ upstream: openai-east, model: gpt-5-mini, priority: 1 }, { upstream: openai-west, model: gpt-5-mini, priority: 2 }] }
  - { name: claude-dies, targets: [{ upstream: openai-east, model: gpt-5-mini--reset }] }
  - { name: claude-out, targets: [{ upstream: openai-east, model: gpt-5-mini--503 }, { upstream: openai-west, model: gpt-5-mini--503 }] }
  - { name: claude-long, targets: [{ upstream: openai-east, model: gpt-5-mini-long }] }
  - { name: azure-gpt-5-mini, targets: [{ upstream: azure-east, model: gpt-5-mini }] }
  - { name: text-embedding-3-small, targets: [{ upstream: openai-east, model: text-embedding-3-small }] }
";

const TEAMS: &str = "teams:
  - name: retail
    projects:
      - name: search
        models: [gpt-5-mini, azure-gpt-5-mini, text-embedding-3-small, claude-sonnet-4-6, gpt-too-long, gpt-dies, gpt-out, gpt-fails-over, gpt-long, claude-dies, claude-out, claude-long]
        keys:
          - { name: prod, secret: key-of-retail-search }
          - { name: limited, secret: key-of-one-request-a-minute, limits: { requests_per_minute: 1 } }
          - { name: paced, secret: key-of-one-request-a-second, limits: { requests_per_second: 1 } }
      - name: frugal
        models: [gpt-5-mini, claude-sonnet-4-6]
        budget: { amount: \"0.003\", period: total, mode: hard }
        keys:
          - { name: spent, secret: key-of-a-small-hard-budget }
";

/// A simulated provider whose `-long` models do not come to an end.
async fn provider(name: &str) -> Result<Simulator> {
    let options = Options {
        name: name.to_owned(),
        credential: Some(ConfigText::UPSTREAM_KEY.to_owned()),
        decide: Some(Arc::new(endless_for_long_models)),
        ..Options::default()
    };
    Ok(Simulator::start(options).await?)
}

fn endless_for_long_models(call: &Incoming) -> Option<Script> {
    let is_long = call.model.as_deref().is_some_and(|model| model.ends_with("-long"));
    is_long.then(|| {
        let pause = Duration::from_millis(20);
        Script::behaving(Behaviour { chunks: 50_000, chunk_pause: pause, ..Behaviour::default() })
    })
}
