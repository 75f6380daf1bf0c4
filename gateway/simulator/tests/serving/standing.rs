//! What stands until it is told otherwise: a script for every call, and a capacity that is paid by the hour.

use serde_json::json;
use tollgate_simulator::{Behaviour, Options, Protocol, Provisioned, Refusal, Script, Simulator};

use crate::client::Client;

const PATH: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_standing_script_decides_every_call_until_it_is_taken_away() {
    let simulator =
        Simulator::start(Options { control: true, ..Options::default() }).await.expect("a free port");
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let body = json!({ "model": "m", "messages": [] });
    let standing = json!(Script::refusal(Refusal::ServerError));
    assert_eq!(client.post("/_sim/always", &standing).await.status, 200);
    simulator.script(Script::usual());
    for want in [200, 500, 500] {
        assert_eq!(client.post(PATH, &body).await.status, want, "the queue goes before it");
    }
    client.post("/_sim/always", &json!(null)).await;
    assert_eq!(client.post(PATH, &body).await.status, 200);
    let totals = simulator.book().totals();
    assert_eq!((totals.by_model["m"], totals.most_open), (4, 1));
}

#[tokio::test]
async fn a_full_capacity_refuses_with_the_time_to_wait() {
    // A token a minute: nothing drains while the test runs.
    let provisioned = Some(Provisioned { tokens_per_minute: 1, depth: 30 });
    let behaviour = Behaviour { input_tokens: Some(5), chunks: 15, provisioned, ..Behaviour::default() };
    let simulator = Simulator::start(Options { behaviour, ..Options::default() }).await.expect("a free port");
    let mut client = Client::connect(simulator.addr(), Protocol::Http1).await;
    let body = json!({ "model": "m", "messages": [] });
    for want in [200, 200, 429] {
        let answer = client.post(PATH, &body).await;
        assert_eq!(answer.status, want);
        let hint = answer.header("retry-after-ms").map(|hint| hint.parse::<u64>().expect("a number"));
        // Ten tokens too many, less what a slow test may have drained.
        assert_eq!(hint.is_some_and(|hint| (540_000..=600_001).contains(&hint)), want == 429, "{hint:?}");
    }
    assert_eq!(simulator.book().totals().provisioned_tokens, 40);
}
