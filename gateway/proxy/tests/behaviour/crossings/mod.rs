//! Failover crosses every border: whichever dialect the first target speaks and whichever the second,
//! a client of any dialect gets one clean answer in its own.

mod client;
mod heard;

use std::time::Duration;

use tollgate_accounting::ledger::End;
use tollgate_dialect::{Apis, Dialect};
use tollgate_proxy::Timeouts;
use tollgate_simulator::{At, Fault, Refusal, Script, Simulator};

use crate::harness::{Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};
use client::Client;

/// What a target speaks; of OpenAI's family each way to converse by itself.
const SPEECHES: [(Dialect, Apis); 5] = [
    (Dialect::OpenAi, Apis::ChatCompletions),
    (Dialect::OpenAi, Apis::Responses),
    (Dialect::Anthropic, Apis::Both),
    (Dialect::Gemini, Apis::Both),
    (Dialect::Bedrock, Apis::Both),
];

/// Every ordered pair of two different ones.
fn crossings() -> impl Iterator<Item = [(Dialect, Apis); 2]> {
    let pairs = SPEECHES.into_iter().flat_map(|first| SPEECHES.map(|second| [first, second]));
    pairs.filter(|[first, second]| first != second)
}

/// What is wrong with the first target before it has said a word, with the name that the row gives it.
struct Trouble {
    script: Script,
    outcome: &'static str,
    /// Only this bound on a step ends it.
    bound: Option<fn(&mut Timeouts)>,
}

fn troubles(stream: bool) -> Vec<Trouble> {
    let fault = |fault| Script::usual().then(fault);
    let loud = |script, outcome| Trouble { script, outcome, bound: None };
    let silent =
        |at, outcome, bound| Trouble { script: fault(Fault::Stall(at)), outcome, bound: Some(bound) };
    let mut troubles = vec![
        loud(Script::refusal(Refusal::ServerError), "server_error"),
        loud(fault(Fault::Reset(At::Byte(0))), "reset"),
    ];
    if stream {
        troubles.push(silent(At::Chunk(0), "ttft", |bounds| bounds.ttft = SHORT));
        troubles.push(loud(fault(Fault::EndEarly(0)), "truncated"));
    } else {
        troubles.push(silent(At::Byte(0), "timeout", |bounds| bounds.head = SHORT));
        troubles.push(loud(fault(Fault::ShortBody), "truncated"));
    }
    troubles
}

fn speaking((dialect, apis): (Dialect, Apis), simulator: &Simulator) -> TargetSetup {
    TargetSetup { dialect, apis, ..simulator.into() }
}

/// The bound on the step in which a target says nothing; all others stay patient.
const SHORT: Duration = Duration::from_millis(50);

async fn fails_over(client: Client, stream: bool, [first, second]: [(Dialect, Apis); 2], trouble: Trouble) {
    let Trouble { script, outcome, bound } = trouble;
    let case = format!("{client:?} stream {stream}, {outcome}: {first:?} then {second:?}");
    let (failing, answering) = (scripted(script).await, provider().await);
    let mut targets = vec![speaking(first, &failing), speaking(second, &answering)];
    if let Some(bound) = bound {
        bound(&mut targets[0].timeouts);
    }
    let gateway = Gateway::start(Setup { mixed: true, ..Setup::new(targets) });
    let answer = gateway.send(&client.ask(stream)).await;
    assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    assert_eq!(answer.header("x-tollgate-attempts"), "2", "{case}");
    let heard = client.hear(&answer, stream).unwrap_or_else(|what| panic!("{case}: {what}"));
    assert!(!heard.text.is_empty(), "{case}");
    let told = answering.book().totals().told;
    assert_eq!((heard.input, heard.output), (told.input_tokens, told.output_tokens), "{case}");

    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(outcomes(row), [outcome, "ok"], "{case}");
    let metered = (row.usage.input_tokens(), row.usage.output_tokens());
    assert_eq!(metered, (told.input_tokens, told.output_tokens), "{case}: of the one that answered");
    assert_eq!((&*row.dialect, row.stream), (client.dialect(), stream), "{case}");
}

async fn every_crossing(client: Client) {
    for crossing in crossings() {
        for stream in [false, true] {
            for trouble in troubles(stream) {
                fails_over(client, stream, crossing, trouble).await;
            }
        }
    }
}

#[tokio::test]
async fn clients_of_chat_completions_see_one_clean_answer() {
    every_crossing(Client::Chat).await;
}

#[tokio::test]
async fn clients_of_responses_see_one_clean_answer() {
    every_crossing(Client::Responses).await;
}

#[tokio::test]
async fn clients_of_messages_see_one_clean_answer() {
    every_crossing(Client::Messages).await;
}

#[tokio::test]
async fn clients_of_gemini_see_one_clean_answer() {
    every_crossing(Client::Generate).await;
}

#[tokio::test]
async fn clients_of_converse_see_one_clean_answer() {
    every_crossing(Client::Converse).await;
}
