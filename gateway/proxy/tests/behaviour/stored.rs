//! What a provider keeps is for the project that made it, and at the upstream that keeps it.

use http::Method;
use tollgate_accounting::ledger::Kind;
use tollgate_proxy::OperatorState;
use tollgate_simulator::{Fault, Refusal, Script, Simulator};

use crate::harness::{
    Answer, Ask, Gateway, Setup,
    gateway::word,
    provider, scripted,
    setup::{KEY, NEIGHBOUR},
};

const CREATE: &str = r#"{"model":"chat","input":"Say something."}"#;

fn create(body: impl Into<bytes::Bytes>) -> Ask {
    Ask::post("/v1/responses", body)
}

fn follow(id: &str) -> Ask {
    create(format!(r#"{{"model":"chat","input":"Go on.","previous_response_id":"{id}"}}"#))
}

/// A call about a kept response; the path lives as long as the tests do.
fn about(method: Method, id: &str, behind: &str) -> Ask {
    let path = Box::leak(format!("/v1/responses/{id}{behind}").into_boxed_str());
    Ask { method, ..Ask::post(path, "") }
}

fn of(ask: Ask, key: &str) -> Ask {
    ask.with("authorization", format!("Bearer {key}"))
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("x-tollgate-error"))
}

fn calls(provider: &Simulator) -> usize {
    provider.book().calls().len()
}

/// Two providers, the second of which keeps a response since the first was out of order.
async fn kept_at_the_second() -> ([Simulator; 2], Gateway, String, String) {
    let providers = [scripted(Script::refusal(Refusal::Overloaded)).await, provider().await];
    let setup = Setup::new(&providers);
    let keeper = setup.targets[1].name.clone();
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&create(CREATE)).await;
    assert_eq!((answer.status, answer.header("x-tollgate-upstream")), (200, &*keeper));
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    (providers, gateway, id, keeper)
}

const KEPT: &str = "{ \"id\":\"r\", \"object\":\"response\", \"status\":\"failed\", \"error\":{\"code\":\"server_error\"},\
                    \"usage\":{\"input_tokens\":9,\"output_tokens\":9}}\n";

#[tokio::test]
async fn who_goes_on_goes_to_the_upstream_that_keeps_the_beginning() {
    let (providers, gateway, id, keeper) = kept_at_the_second().await;
    let before = calls(&providers[0]);
    for _ in 0..4 {
        let answer = gateway.send(&follow(&id)).await;
        assert_eq!((answer.status, answer.header("x-tollgate-upstream")), (200, &*keeper));
    }
    assert_eq!(calls(&providers[0]), before, "the preferred upstream does not have it");
    let sent = providers[1].book().calls().pop().expect("a call");
    let sent = String::from_utf8(sent.body.to_vec()).expect("text");
    assert!(sent.contains(&format!("\"previous_response_id\":\"{id}\"")), "{sent}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_streamed_response_is_remembered_before_its_first_event_leaves() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let stream = create(r#"{"model":"chat","input":"Say something.","stream":true}"#);
    let mut open = gateway.open(&stream).await;
    let begun = open.read_until("\n\n").await;
    let id =
        begun.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
    assert_eq!(gateway.send(&follow(&id)).await.status, 200);
    open.finish().await;
    gateway.stop().await;
}

#[tokio::test]
async fn calls_about_a_kept_response_pass_as_they_are_and_cost_nothing() {
    let (providers, gateway, id, keeper) = kept_at_the_second().await;
    let cases = [
        (Method::GET, "", ""),
        (Method::GET, "", "?include=x"),
        (Method::GET, "/input_items", "?limit=2"),
        (Method::POST, "/cancel", ""),
        (Method::DELETE, "", ""),
    ];
    for (method, behind, query) in cases {
        providers[1].script(Script::json(200, KEPT));
        let answer = gateway.send(&about(method.clone(), &id, &format!("{behind}{query}"))).await;
        assert_eq!((answer.status, answer.text()), (200, KEPT), "{method} {behind}");
        assert_eq!((answer.header("x-tollgate-upstream"), answer.header("x-tollgate-cost")), (&*keeper, "0"));
        let call = providers[1].book().calls().pop().expect("a call");
        assert_eq!(
            (call.method.as_str(), call.path),
            (method.as_str(), format!("/v1/responses/{id}{behind}{query}"))
        );
        assert!(call.body.is_empty(), "{method} {behind}");
    }
    let answer = gateway.send(&about(Method::GET, &id, "")).await;
    assert_eq!(told(&answer), (404, "response_not_found"), "it was deleted");
    let ledger = gateway.stop().await;
    let free = ledger.rows.iter().filter(|row| row.kind == Kind::Usage && row.operation != "responses");
    assert!(
        free.clone().count() == 5 && free.clone().all(|row| row.usage == tollgate_domain::Usage::default())
    );
}

#[tokio::test]
async fn what_nobody_knows_and_what_a_neighbour_has_are_the_same() {
    let (providers, gateway, id, _) = kept_at_the_second().await;
    let before = providers.each_ref().map(calls);
    let mut words = Vec::new();
    for (key, id) in [(KEY, "resp_nobody"), (NEIGHBOUR, &*id), (NEIGHBOUR, "resp_nobody")] {
        let asks = [
            follow(id),
            create(format!(r#"{{"model":"chat","stream":true,"input":"x","previous_response_id":"{id}"}}"#)),
            Ask::post(
                "/v1/responses/compact",
                format!(r#"{{"model":"chat","previous_response_id":"{id}"}}"#),
            ),
            about(Method::GET, id, ""),
            about(Method::DELETE, id, ""),
            about(Method::POST, id, "/cancel"),
            about(Method::GET, id, "/input_items"),
        ];
        for ask in asks {
            let answer = gateway.send(&of(ask, key)).await;
            assert_eq!(told(&answer), (404, "response_not_found"), "{}", answer.text());
            let body = answer.json();
            assert_eq!(body["error"]["code"], "response_not_found");
            let message = body["error"]["message"].as_str().expect("words").to_owned();
            words.push(message.split(" (request id").next().expect("words").replace(id, "ID"));
        }
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(providers.each_ref().map(calls), before);
    let answer = gateway.send(&about(Method::GET, &id, "")).await;
    assert_ne!(answer.header("x-tollgate-error"), "response_not_found", "its own project still has it");
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_not_kept_is_not_remembered() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&create(r#"{"model":"chat","input":"x","store":false}"#)).await;
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(told(&gateway.send(&follow(&id)).await), (404, "response_not_found"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_lost_upstream_is_told_and_no_other_is_asked() {
    let (providers, gateway, id, keeper) = kept_at_the_second().await;
    let before = calls(&providers[0]);
    for ask in [follow(&id), about(Method::GET, &id, "")] {
        providers[1].script(Script::usual().then(Fault::Reset(tollgate_simulator::At::Byte(0))));
        providers[1].script(Script::usual().then(Fault::Reset(tollgate_simulator::At::Byte(0))));
        providers[1].script(Script::usual().then(Fault::Reset(tollgate_simulator::At::Byte(0))));
        let answer = gateway.send(&ask).await;
        assert_eq!(told(&answer), (409, "pinned_upstream_unavailable"), "failing: {}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    let drained = word(OperatorState::Draining);
    gateway.live.fleet.upstream(&keeper.as_str().into()).operator.set(Some(drained));
    for ask in [follow(&id), about(Method::DELETE, &id, "")] {
        let answer = gateway.send(&ask).await;
        assert_eq!(told(&answer), (409, "pinned_upstream_unavailable"), "drained: {}", answer.text());
    }
    assert_eq!(calls(&providers[0]), before);
    gateway.stop().await;
}

#[tokio::test]
async fn a_provider_that_no_longer_has_it_speaks_for_itself() {
    let (providers, gateway, id, _) = kept_at_the_second().await;
    let words = r#"{"error":{"message":"Response with id 'r' not found.","type":"invalid_request_error","param":"id","code":null}}"#;
    providers[1].script(Script::json(404, words));
    let answer = gateway.send(&about(Method::GET, &id, "")).await;
    assert_eq!((answer.status, answer.text()), (404, words));
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_billed_later_than_it_is_made_is_refused_and_says_why() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&create(r#"{"model":"chat","input":"x","background":true}"#)).await;
    assert_eq!(told(&answer), (501, "unsupported_operation"));
    assert!(answer.text().contains("`background`") && answer.text().contains("usage"), "{}", answer.text());
    assert_eq!(calls(&provider), 0);
    gateway.stop().await;
}

const FILLED: &str = r#"{ "model":"chat", "prompt":{"id":"pmpt_1","variables":{"a":"b"}} }"#;

/// Two providers, and a project with a prompt that the second one has.
async fn with_a_prompt() -> ([Simulator; 2], Gateway, String) {
    let providers = [provider().await, provider().await];
    let mut setup = Setup::new(&providers);
    let owner = setup.targets[1].name.clone();
    setup.prompts = vec![("pmpt_1".into(), owner.as_str().into())];
    (providers, Gateway::start(setup), owner)
}

#[tokio::test]
async fn a_prompt_of_the_project_is_filled_in_where_it_is_stored() {
    let (providers, gateway, owner) = with_a_prompt().await;
    let answer = gateway.send(&create(FILLED)).await;
    assert_eq!((answer.status, answer.header("x-tollgate-upstream")), (200, &*owner), "{}", answer.text());
    let sent = providers[1].book().calls().pop().expect("a call");
    let wanted = FILLED.replace("\"chat\"", "\"gpt-5-mini\"");
    assert_eq!(String::from_utf8_lossy(&sent.body), wanted, "but for the model it passes as it came");
    providers[1].script(Script::usual().then(Fault::Reset(tollgate_simulator::At::Byte(0))));
    providers[1].script(Script::usual().then(Fault::Reset(tollgate_simulator::At::Byte(0))));
    providers[1].script(Script::usual().then(Fault::Reset(tollgate_simulator::At::Byte(0))));
    let answer = gateway.send(&create(FILLED)).await;
    assert_eq!(told(&answer), (409, "pinned_upstream_unavailable"), "{}", answer.text());
    assert_eq!(calls(&providers[0]), 0, "no other upstream has it");
    gateway.stop().await;
}

#[tokio::test]
async fn a_prompt_that_is_not_the_projects_does_not_exist() {
    let (providers, gateway, _) = with_a_prompt().await;
    let unknown = create(FILLED.replace("pmpt_1", "pmpt_2"));
    for ask in [unknown, of(create(FILLED), NEIGHBOUR)] {
        let answer = gateway.send(&ask).await;
        assert_eq!(told(&answer), (404, "prompt_not_found"), "{}", answer.text());
    }
    assert_eq!(providers.each_ref().map(calls), [0, 0]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_prompt_and_a_response_at_different_upstreams_cannot_meet() {
    let (providers, gateway, _) = with_a_prompt().await;
    let first = gateway.send(&create(CREATE)).await;
    let id = first.json()["id"].as_str().expect("an id").to_owned();
    let before = providers.each_ref().map(calls);
    assert_eq!(before, [1, 0], "the first one keeps the response");
    let body = format!(r#"{{"model":"chat","prompt":{{"id":"pmpt_1"}},"previous_response_id":"{id}"}}"#);
    let answer = gateway.send(&create(body)).await;
    assert_eq!(told(&answer), (409, "pinned_upstream_unavailable"), "{}", answer.text());
    assert_eq!(providers.each_ref().map(calls), before);
    gateway.stop().await;
}
