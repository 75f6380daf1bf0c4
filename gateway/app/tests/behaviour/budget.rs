//! A hard budget under many requests at once, over kills, and with clients that announce far more
//! than they use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate_domain::Money;
use tollgate_simulator::{Behaviour, Book};
use tollgate_test_support::{Admin, Caller, ConfigText, Reply};

use crate::stage::{Stage, short_or_long, text, until};

/// Forty answers of [`WORDS`] tokens, with a little for their input.
const AMOUNT: &str = "0.0083";
const WORDS: u32 = 100;
const CLIENTS: usize = 200;
const PROJECTS: [&str; 3] = ["first", "second", "third"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_budget_is_used_up_and_never_exceeded() -> Result<()> {
    let mut stage = Stage::with(answers_of(WORDS, 200), |config| projects(config, AMOUNT))?;
    let amount: Money = AMOUNT.parse()?;
    for (round, project) in PROJECTS.into_iter().enumerate() {
        let caller = stage.gateway.caller(key(project));
        let taken = only_refused_by_the_budget(&burst(&caller, CLIENTS).await?)?;
        let before = settled(&stage.gateway.admin(), project).await?;
        let spent = money(&before["spent"])?;
        ensure!(spent <= amount, "{taken} answers overspent: {before}");
        ensure!(spent.pico() * 10 >= amount.pico() * 9, "{taken} answers left money unusable: {before}");

        // Nothing is in flight at this kill, so the next process must know the same figures.
        stage.gateway.kill()?;
        stage.gateway.restart()?;
        let after = settled(&stage.gateway.admin(), project).await?;
        ensure!(after["spent"] == before["spent"], "a restart made {after} of {before}");
        only_refused_by_the_budget(&burst(&stage.gateway.caller(key(project)), CLIENTS).await?)?;
        let spent = money(&settled(&stage.gateway.admin(), project).await?["spent"])?;
        ensure!(spent <= amount, "overspent after a restart: {spent}");

        let served = priced(stage.east.book());
        let budgets = Money::from_pico(amount.pico() * (round as i128 + 1));
        ensure!(served <= budgets, "the provider served for {served}, the budgets so far are {budgets}");
    }
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_budget_holds_over_kills_with_requests_in_flight() -> Result<()> {
    let mut stage = Stage::with(answers_of(WORDS, 200), |config| projects(config, AMOUNT))?;
    let (amount, project) = (AMOUNT.parse::<Money>()?, PROJECTS[0]);
    for millis in [120, 40, 260] {
        let caller = stage.gateway.caller(key(project));
        let clients = tokio::spawn(async move { burst(&caller, CLIENTS).await });
        // The whole burst is reserved at once: a kill before the first of it has arrived would charge
        // all of the budget for nothing, which is right, but shows nothing.
        until("a request arrived", async || Ok(stage.east.book().totals().calls > 0)).await?;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        stage.gateway.kill()?;
        // What clients saw of a killed process is no matter here.
        let _ = clients.await.context("the clients")?;
        stage.gateway.restart()?;
    }
    only_refused_by_the_budget(&burst(&stage.gateway.caller(key(project)), CLIENTS).await?)?;

    let admin = stage.gateway.admin();
    let spent = money(&settled(&admin, project).await?["spent"])?;
    let rows = admin.requests("").await?;
    let billed = rows.iter().map(|row| money(&row["cost"])).sum::<Result<Money>>()?;
    ensure!(billed == spent, "rows sum up to {billed}, the budget says {spent}");
    ensure!(spent <= amount, "{spent} of {amount} are spent");
    let served = priced(stage.east.book());
    ensure!(served <= amount, "the provider served for {served}, the budget is {amount}");
    ensure!(served > Money::ZERO, "no request arrived");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_announce_much_and_use_little_are_served_to_the_end_of_the_money() -> Result<()> {
    let mut stage = Stage::with(answers_of(400, 0), |config| {
        projects(config, "20.00");
        config
            .models
            .push_str("  - { name: gpt-dear, targets: [{ upstream: openai-east, model: gpt-dear }] }\n");
        config.prices.push_str(DEAR);
    })?;
    let caller = stage.gateway.caller(key(PROJECTS[0]));
    // A dear model brings the budget near its end in a few calls.
    for _ in 0..45 {
        let reply = caller.chat(&asking("gpt-dear", 400)).await?;
        ensure!(reply.status.is_success(), "{}", told(&reply));
    }
    let refusal = first_refusal(&caller, 20).await?;
    ensure!(refusal.error_code() == "budget_exceeded", "{}", told(&refusal));
    ensure!(refusal.header("x-should-retry") == "false", "waiting does not help");
    let message = refusal.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    for part in ["20 USD", "reserved", "32,000"] {
        ensure!(message.contains(part), "`{part}` is not in the refusal: {message}");
    }
    let spent = money(&settled(&stage.gateway.admin(), PROJECTS[0]).await?["spent"])?;
    // Less is left than twenty open requests may cost: 20 × 32,000 tokens at 2 dollars a million.
    ensure!(spent > "18.7".parse()?, "refused when {spent} of 20 were spent: {message}");
    ensure!(spent <= "20".parse()?, "{spent} of 20 are spent");
    stage.close().await
}

/// A thousand dollars a million, so that 400 tokens cost 40 cents.
const DEAR: &str = "  - { model: gpt-dear, from: 2020-01-01, currency: USD, per: 1000000, input: \"0\", output: \"1000\" }\n";

/// Answers of so many tokens after so many milliseconds.
fn answers_of(chunks: u32, latency: u64) -> Behaviour {
    Behaviour { chunks, latency: Duration::from_millis(latency), ..Behaviour::default() }
}

/// Three projects with a key and a hard budget each.
fn projects(config: &mut ConfigText, amount: &str) {
    config.teams = "teams:\n  - name: retail\n    projects:\n".to_owned();
    let models = if amount == AMOUNT { "gpt-5-mini" } else { "gpt-5-mini, gpt-dear" };
    for project in PROJECTS {
        config.teams.push_str(&format!(
            "      - name: {project}\n        models: [{models}]\n        \
             budget: {{ amount: \"{amount}\", period: total, mode: hard }}\n        \
             keys: [{{ name: prod, secret: {} }}]\n",
            key(project)
        ));
    }
}

fn key(project: &str) -> String {
    format!("key-of-the-project-{project}")
}

fn asking(model: &str, most: u32) -> Value {
    json!({
        "model": model,
        "max_completion_tokens": most,
        "messages": [{ "role": "user", "content": "Say hello." }],
    })
}

/// So many calls at once; all of their answers.
async fn burst(caller: &Caller, clients: usize) -> Result<Vec<Reply>> {
    let mut calls = JoinSet::new();
    for _ in 0..clients {
        let caller = caller.clone();
        calls.spawn(async move { caller.chat(&asking("gpt-5-mini", WORDS)).await });
    }
    calls.join_all().await.into_iter().collect()
}

/// How many were served; every other one must have been refused by the budget.
fn only_refused_by_the_budget(replies: &[Reply]) -> Result<usize> {
    let served = replies.iter().filter(|reply| reply.status.is_success()).count();
    for reply in replies.iter().filter(|reply| !reply.status.is_success()) {
        ensure!(reply.error_code() == "budget_exceeded", "{}", told(reply));
    }
    ensure!(served < replies.len(), "all {served} were served: the budget is no budget");
    Ok(served)
}

/// Agents that call again and again until one of them is refused.
async fn first_refusal(caller: &Caller, agents: usize) -> Result<Reply> {
    let over = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    for _ in 0..agents {
        let (caller, over) = (caller.clone(), Arc::clone(&over));
        running.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let reply = caller.chat(&asking("gpt-5-mini", 32_000)).await?;
                if !reply.status.is_success() {
                    over.store(true, Ordering::Relaxed);
                    return Ok::<_, anyhow::Error>(Some(reply));
                }
            }
            Ok(None)
        });
    }
    let limit = Duration::from_secs(short_or_long(60, 300));
    let ends = tokio::time::timeout(limit, running.join_all()).await.context("the money never ends")?;
    let refusals = ends.into_iter().collect::<Result<Vec<_>>>()?;
    refusals.into_iter().flatten().next().context("nobody was refused")
}

/// The budget of a project once nothing of it is reserved any more.
async fn settled(admin: &Admin, project: &str) -> Result<Value> {
    let mut found = Value::Null;
    until("nothing is reserved", async || {
        let budgets = admin.budgets().await?;
        found = budgets.into_iter().find(|budget| budget["project"] == project).context("no such budget")?;
        Ok(found["reserved"] == "0")
    })
    .await?;
    Ok(found)
}

/// What the provider's own book comes to at the prices of the test.
fn priced(book: &Book) -> Money {
    const INPUT_PICO: u64 = 250_000;
    const OUTPUT_PICO: u64 = 2_000_000;
    let cost = |input: u64, output: u64| i128::from(input * INPUT_PICO + output * OUTPUT_PICO);
    let calls = book.calls();
    let costs = calls.iter().map(|call| cost(call.usage.input_tokens, call.usage.output_tokens));
    Money::from_pico(costs.sum())
}

fn money(value: &Value) -> Result<Money> {
    let told = value.as_str().with_context(|| format!("no amount: {value}"))?;
    told.parse().with_context(|| format!("not an amount: {told}"))
}

fn told(reply: &Reply) -> String {
    format!("{} {} {}", reply.status, reply.error_code(), text(&reply.body))
}
