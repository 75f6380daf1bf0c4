//! Budgets that tell people, step down to a cheaper model, refuse, and are raised.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tollgate_domain::Money;
use tollgate_simulator::Behaviour;
use tollgate_test_support::{Caller, ConfigText, Reply};

use crate::stage::{PATIENCE, Stage, text, until};

/// Forty answers of a hundred tokens by the dear model.
const AMOUNT: &str = "0.0083";
const PATH: &str = "/budgets/project/retail/search";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_tells_steps_down_refuses_and_goes_on_when_raised() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut stage = Stage::with(hundred_tokens(), |config| {
        budget(config, "mode: soft, alerts: [50, 80, 100]", STEPS);
        webhook(config, receiver.address);
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let admin = stage.gateway.admin();

    // The first letter is not taken, so that all later ones have to wait for it.
    receiver.answer_next(&["HTTP/1.1 503 Later\r\n\r\n"]);
    let (mut dear, mut cheap) = (Vec::new(), Vec::new());
    let refusal = loop {
        let reply = ask(&caller, "gpt-5-mini").await?;
        if !reply.status.is_success() {
            break reply;
        }
        let stepped_down = reply.header("x-tollgate-downgraded-to") == "gpt-5-nano";
        if stepped_down { &mut cheap } else { &mut dear }.push(reply.header("x-request-id").to_owned());
        ensure!(dear.len() + cheap.len() < 200, "the budget never ends");
    };
    ensure!(refusal.error_code() == "budget_exceeded", "{} {}", refusal.status, text(&refusal.body));
    ensure!((30..=36).contains(&dear.len()), "{} answers of the dear model", dear.len());
    ensure!(cheap.len() > 20, "{} answers of the cheap model", cheap.len());
    let row = admin.row(&cheap[0]).await?;
    ensure!(row["model"] == "gpt-5-mini" && row["upstream_model"] == "gpt-5-nano", "{row}");
    ensure!(row["flags"] == json!(["downgraded"]), "{row}");
    ensure!(admin.row(&dear[0]).await?["upstream_model"] == "gpt-5-mini");

    let kinds = |letters: &[Value]| -> Vec<(String, Value)> {
        let shown =
            |letter: &Value| (letter["kind"].as_str().unwrap_or("").to_owned(), letter["threshold"].clone());
        letters.iter().map(shown).collect()
    };
    let told =
        ["budget_threshold", "budget_threshold", "budget_threshold", "budget_exhausted"].map(str::to_owned);
    let want: Vec<_> = told.into_iter().zip([json!(50), json!(80), json!(100), Value::Null]).collect();
    until("all four were taken", async || Ok(receiver.taken().len() >= 4)).await?;
    ensure!(kinds(&receiver.taken()) == want, "{:?}", kinds(&receiver.taken()));

    let order = json!({ "amount": "0.01", "for": "1h", "reason": "the launch" });
    let raised = admin.post(&format!("{PATH}/raise"), &order).await?;
    ensure!(raised["raise"]["reason"] == "the launch", "{raised}");
    let again = ask(&caller, "gpt-5-mini").await?;
    ensure!(again.status.is_success(), "raised: {}", text(&again.body));
    ensure!(again.header("x-tollgate-downgraded-to").is_empty(), "less than 80 % of the raised amount");

    // A new amount is told anew, and a restart tells nothing twice.
    until("the raised amount is told", async || Ok(receiver.taken().len() >= 5)).await?;
    ensure!(kinds(&receiver.taken())[4] == ("budget_threshold".to_owned(), json!(50)));
    // A kill before it is noted would have it sent again.
    until("its delivery is noted", async || {
        Ok(admin.list("alerts").await?[0]["deliveries"][0]["state"] == "delivered")
    })
    .await?;
    stage.gateway.kill()?;
    stage.gateway.restart()?;
    let admin = stage.gateway.admin();
    let budgets = admin.budgets().await?;
    ensure!(budgets[0]["raise"]["reason"] == "the launch", "a restart lost the raise: {budgets:?}");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    ensure!(receiver.taken().len() == 5, "{:?}", kinds(&receiver.taken()));
    let first = &admin.list("alerts").await?[4]["deliveries"][0];
    ensure!((&first["state"], &first["attempts"]) == (&json!("delivered"), &json!(2)), "{first}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_letter_is_on_its_way_makes_no_second_alert() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut stage = Stage::with(hundred_tokens(), |config| {
        budget(config, "mode: hard, alerts: [1]", "");
        webhook(config, receiver.address);
    })?;
    // It takes the letter in and says nothing.
    receiver.answer_next(&[STALL]);
    for _ in 0..3 {
        let reply = ask(&stage.gateway.caller(ConfigText::KEY), "gpt-5-mini").await?;
        ensure!(reply.status.is_success(), "{}", text(&reply.body));
    }
    until("the letter is on its way", async || Ok(receiver.seen().len() == 1)).await?;
    stage.gateway.kill()?;
    stage.gateway.restart()?;
    until("it is sent again", async || Ok(receiver.taken().len() == 1)).await?;
    let (seen, taken) = (receiver.seen(), receiver.taken());
    ensure!(seen.len() == 2 && seen[0]["id"] == taken[0]["id"], "{seen:?}");
    let alerts = stage.gateway.admin().list("alerts").await?;
    ensure!(alerts.len() == 1 && alerts[0]["id"] == taken[0]["id"], "{alerts:?}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_without_a_price_is_told_within_a_minute() -> Result<()> {
    let mut stage = Stage::with(hundred_tokens(), |config| {
        config.models.push_str(&model("gpt-new"));
        config.teams = config.teams.replace("[gpt-5-mini,", "[gpt-new, gpt-5-mini,");
    })?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    for _ in 0..3 {
        let reply = ask(&caller, "gpt-new").await?;
        ensure!(reply.status.is_success(), "{}", text(&reply.body));
    }
    let (admin, start) = (stage.gateway.admin(), Instant::now());
    let alerts = loop {
        let alerts = admin.list("alerts").await?;
        if !alerts.is_empty() {
            break alerts;
        }
        ensure!(start.elapsed() < Duration::from_secs(60), "nobody was told within a minute");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    ensure!(alerts.len() == 1 && alerts[0]["kind"] == "model_unpriced", "{alerts:?}");
    ensure!(alerts[0]["model"] == "gpt-new", "{alerts:?}");
    stage.close().await
}

/// Steps for the budget of the first test.
const STEPS: &str = "actions: [{ at: 80, model: gpt-5-nano }, { at: 120, refuse: true }]";

fn hundred_tokens() -> Behaviour {
    Behaviour { chunks: 100, ..Behaviour::default() }
}

/// Gives the project a budget, and a model at half the price.
fn budget(config: &mut ConfigText, how: &str, actions: &str) {
    config.models.push_str(&model("gpt-5-nano"));
    config.prices.push_str(
        "  - { model: gpt-5-nano, from: 2020-01-01, currency: USD, per: 1000000, input: \"0.10\", output: \"1.00\" }\n",
    );
    let budget = format!("budget: {{ amount: \"{AMOUNT}\", period: total, {how}, {actions} }}");
    let budget = budget.replace(",  }", " }");
    config.teams = config
        .teams
        .replace("[gpt-5-mini,", "[gpt-5-nano, gpt-5-mini,")
        .replace("        keys:", &format!("        {budget}\n        keys:"));
}

fn model(name: &str) -> String {
    format!("  - {{ name: {name}, targets: [{{ upstream: openai-east, model: {name} }}] }}\n")
}

fn webhook(config: &mut ConfigText, address: SocketAddr) {
    config.teams.push_str(&format!(
        "alerts:\n  webhooks:\n    - {{ name: desk, url: \"http://{address}/hook\", secret: secret-of-the-desk, \
         allow_private: true, timeout: 5s }}\n"
    ));
}

async fn ask(caller: &Caller, model: &str) -> Result<Reply> {
    let body = json!({
        "model": model,
        "max_completion_tokens": 100,
        "messages": [{ "role": "user", "content": "Say hello." }],
    });
    caller.chat(&body).await
}

/// Says nothing and keeps the connection.
const STALL: &str = "";

/// A receiver of alerts that answers 200, unless it is told what to say next.
struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next: Vec<&'static str>,
    /// All letters, and whether each was taken.
    seen: Vec<(Value, bool)>,
}

impl Receiver {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, state) = (listener.local_addr()?, Arc::<Mutex<State>>::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A gateway that was killed leaves half a letter behind.
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state })
    }

    fn answer_next(&self, answers: &[&'static str]) {
        self.lock().next = answers.iter().rev().copied().collect();
    }

    fn seen(&self) -> Vec<Value> {
        self.lock().seen.iter().map(|(letter, _)| letter.clone()).collect()
    }

    fn taken(&self) -> Vec<Value> {
        self.lock().seen.iter().filter(|(_, taken)| *taken).map(|(letter, _)| letter.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> Result<()> {
    let letter = letter(&mut stream).await?;
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = state.next.pop().unwrap_or("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        state.seen.push((letter, answer.starts_with("HTTP/1.1 200")));
        answer
    };
    if answer == STALL {
        tokio::time::sleep(PATIENCE).await;
    }
    Ok(stream.write_all(answer.as_bytes()).await?)
}

/// Reads the JSON of a signed request.
async fn letter(stream: &mut TcpStream) -> Result<Value> {
    let mut sent = String::new();
    loop {
        let mut chunk = [0; 4_096];
        let read = stream.read(&mut chunk).await?;
        ensure!(read > 0, "half a letter");
        sent.push_str(std::str::from_utf8(&chunk[..read])?);
        let Some((head, body)) = sent.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.context("a length")?.parse()? {
            continue;
        }
        ensure!(head.contains("x-tollgate-signature: t="), "not signed: {head}");
        let letter: Value = serde_json::from_str(body)?;
        ensure!(letter["spent"].as_str().is_none_or(|spent| spent.parse::<Money>().is_ok()), "{letter}");
        return Ok(letter);
    }
}
