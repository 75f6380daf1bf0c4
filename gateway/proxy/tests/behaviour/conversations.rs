//! A conversation is for the project that made it, and at the upstream that keeps it.

use http::Method;
use tollgate_accounting::ledger::Kind;
use tollgate_dialect::{Apis, Dialect};
use tollgate_proxy::OperatorState;
use tollgate_simulator::{At, Fault, Refusal, Script, Simulator};

use crate::harness::{
    Answer, Ask, Gateway, Setup, TargetSetup,
    gateway::word,
    provider, scripted,
    setup::{KEY, NEIGHBOUR},
};

const MADE: &str = "{ \"id\":\"conv_1\", \"object\":\"conversation\",\"created_at\":1, \"metadata\":{}}\n";
const TOLD: &str = "{\"object\":\"list\", \"data\":[{\"id\":\"msg_1\",\"status\":\"failed\",\"error\":{\"code\":\"x\"},\
                    \"usage\":{\"input_tokens\":9,\"output_tokens\":9}}]}\n";

fn create(body: &'static str) -> Ask {
    Ask::post("/v1/conversations", body)
}

/// A call about a conversation; the path lives as long as the tests do.
fn about(method: Method, id: &str, behind: &str) -> Ask {
    let path = Box::leak(format!("/v1/conversations/{id}{behind}").into_boxed_str());
    let body = if method == Method::POST { r#"{ "metadata":{"a":"b"}, "items":[] }"# } else { "" };
    Ask { method, ..Ask::post(path, body) }
}

fn respond(member: &str) -> Ask {
    Ask::post("/v1/responses", format!(r#"{{"model":"chat","input":"Go on.",{member}}}"#))
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

/// Two providers, the second of which keeps a conversation since the first was out of order.
async fn kept_at_the_second() -> ([Simulator; 2], Gateway, String) {
    let providers =
        [scripted(Script::refusal(Refusal::Overloaded)).await, scripted(Script::json(200, MADE)).await];
    let setup = Setup::new(&providers);
    let keeper = setup.targets[1].name.clone();
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&create(r#"{ "metadata":{"a":"b"}, "items":[] }"#)).await;
    assert_eq!((answer.status, answer.text()), (200, MADE));
    assert_eq!((answer.header("x-tollgate-upstream"), answer.header("x-tollgate-cost")), (&*keeper, "0"));
    let call = providers[1].book().calls().pop().expect("a call");
    assert_eq!((call.method.as_str(), &*call.path), ("POST", "/v1/conversations"));
    assert_eq!(&call.body[..], br#"{ "metadata":{"a":"b"}, "items":[] }"#, "it passes as it came");
    (providers, gateway, keeper)
}

#[tokio::test]
async fn calls_about_a_conversation_pass_as_they_are_to_its_keeper_and_cost_nothing() {
    let (providers, gateway, keeper) = kept_at_the_second().await;
    let before = calls(&providers[0]);
    let cases = [
        (Method::GET, ""),
        (Method::POST, ""),
        (Method::GET, "/items?limit=2&order=asc"),
        (Method::POST, "/items?include=x"),
        (Method::GET, "/items/msg_1"),
        (Method::DELETE, "/items/msg_1"),
        (Method::DELETE, ""),
    ];
    for (method, behind) in cases {
        providers[1].script(Script::json(200, TOLD));
        let ask = about(method.clone(), "conv_1", behind);
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.text()), (200, TOLD), "{method} {behind}");
        assert_eq!((answer.header("x-tollgate-upstream"), answer.header("x-tollgate-cost")), (&*keeper, "0"));
        let call = providers[1].book().calls().pop().expect("a call");
        assert_eq!(
            (call.method.as_str(), call.path, call.body),
            (method.as_str(), format!("/v1/conversations/conv_1{behind}"), ask.body)
        );
    }
    let answer = gateway.send(&about(Method::GET, "conv_1", "")).await;
    assert_eq!(told(&answer), (404, "conversation_not_found"), "it was deleted");
    assert_eq!(calls(&providers[0]), before);
    let ledger = gateway.stop().await;
    let rows: Vec<_> = ledger.rows.iter().filter(|row| row.kind == Kind::Usage).collect();
    assert!(rows.iter().all(|row| row.usage == tollgate_domain::Usage::default()), "nobody is billed");
    let operations: Vec<&str> = rows.iter().map(|row| &*row.operation).collect();
    assert_eq!(
        operations,
        [
            "create_conversation",
            "get_conversation",
            "update_conversation",
            "list_conversation_items",
            "create_conversation_items",
            "get_conversation_item",
            "delete_conversation_item",
            "delete_conversation"
        ]
    );
}

#[tokio::test]
async fn a_response_of_a_conversation_goes_to_its_keeper_and_is_kept_too() {
    let (providers, gateway, keeper) = kept_at_the_second().await;
    let before = calls(&providers[0]);
    for member in [r#""conversation": "conv_1""#, r#""conversation":{"id":"conv_1"}"#] {
        providers[1].script(Script::usual());
        let answer = gateway.send(&respond(member)).await;
        assert_eq!(
            (answer.status, answer.header("x-tollgate-upstream")),
            (200, &*keeper),
            "{}",
            answer.text()
        );
        let sent = providers[1].book().calls().pop().expect("a call");
        assert!(String::from_utf8_lossy(&sent.body).contains(member), "{sent:?}");
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        let next = gateway.send(&respond(&format!("\"previous_response_id\":\"{id}\""))).await;
        assert_eq!((next.status, next.header("x-tollgate-upstream")), (200, &*keeper));
    }
    let answer = gateway.send(&respond(r#""conversation":"conv_1","stream":true"#)).await;
    assert_eq!((answer.status, answer.header("x-tollgate-upstream")), (200, &*keeper));
    assert_eq!(calls(&providers[0]), before, "the preferred upstream does not have it");
    gateway.stop().await;
}

#[tokio::test]
async fn what_nobody_knows_and_what_a_neighbour_has_are_the_same() {
    let (providers, gateway, _) = kept_at_the_second().await;
    let before = providers.each_ref().map(calls);
    let mut words = Vec::new();
    for (key, id) in [(KEY, "conv_nobody"), (NEIGHBOUR, "conv_1"), (NEIGHBOUR, "conv_nobody")] {
        let count = format!(r#"{{"model":"chat","input":"x","conversation":{{"id":"{id}"}}}}"#);
        let asks = [
            respond(&format!("\"conversation\":\"{id}\"")),
            respond(&format!("\"stream\":true,\"conversation\":{{\"id\":\"{id}\"}}")),
            Ask::post("/v1/responses/input_tokens", count),
            about(Method::GET, id, ""),
            about(Method::POST, id, ""),
            about(Method::DELETE, id, ""),
            about(Method::GET, id, "/items"),
            about(Method::POST, id, "/items"),
            about(Method::GET, id, "/items/msg_1"),
            about(Method::DELETE, id, "/items/msg_1"),
        ];
        for ask in asks {
            let answer = gateway.send(&of(ask, key)).await;
            assert_eq!(told(&answer), (404, "conversation_not_found"), "{}", answer.text());
            let message = answer.json()["error"]["message"].as_str().expect("words").to_owned();
            words.push(message.split(" (request id").next().expect("words").replace(id, "ID"));
        }
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(providers.each_ref().map(calls), before, "nothing was sent");
    gateway.stop().await;
}

#[tokio::test]
async fn a_lost_upstream_is_told_and_no_other_is_asked() {
    let (providers, gateway, keeper) = kept_at_the_second().await;
    let before = calls(&providers[0]);
    let asks = || [respond(r#""conversation":"conv_1""#), about(Method::GET, "conv_1", "/items")];
    for ask in asks() {
        for _ in 0..3 {
            providers[1].script(Script::usual().then(Fault::Reset(At::Byte(0))));
        }
        let answer = gateway.send(&ask).await;
        assert_eq!(told(&answer), (409, "pinned_upstream_unavailable"), "failing: {}", answer.text());
    }
    let drained = word(OperatorState::Draining);
    gateway.live.fleet.upstream(&keeper.as_str().into()).operator.set(Some(drained));
    for ask in asks() {
        let answer = gateway.send(&ask).await;
        assert_eq!(told(&answer), (409, "pinned_upstream_unavailable"), "drained: {}", answer.text());
    }
    assert_eq!(calls(&providers[0]), before);
    gateway.stop().await;
}

#[tokio::test]
async fn a_conversation_is_made_where_most_of_the_keys_models_are() {
    let providers = [provider().await, scripted(Script::json(200, MADE)).await];
    let mut setup = Setup::new(&providers);
    setup.targets[1].also = vec!["claude", "nova"];
    let wide = setup.targets[1].name.clone();
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&create("")).await;
    assert_eq!((answer.status, answer.header("x-tollgate-upstream")), (200, &*wide), "{}", answer.text());
    gateway.stop().await;
}

#[tokio::test]
async fn a_conversation_is_made_within_the_zones_and_where_conversations_are_kept() {
    type Change = fn(&mut TargetSetup);
    let cases: [(&str, Change, _); 4] = [
        ("of another zone", |target| target.region = "us", (403, "zone_not_permitted")),
        ("another dialect", |target| target.dialect = Dialect::Anthropic, (501, "unsupported_operation")),
        ("chat alone", |target| target.apis = Apis::ChatCompletions, (501, "unsupported_operation")),
        ("as it should be", |_| {}, (200, "")),
    ];
    for (case, change, want) in cases {
        let provider = scripted(Script::json(200, MADE)).await;
        let mut setup = Setup { zones: Some(vec!["eu"]), ..Setup::new([&provider]) };
        change(&mut setup.targets[0]);
        let gateway = Gateway::start(setup);
        let answer = gateway.send(&create("{}")).await;
        assert_eq!(told(&answer), want, "{case}: {}", answer.text());
        assert_eq!(calls(&provider), usize::from(want.0 == 200), "{case}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_and_nothing_is_sent() {
    let (providers, gateway, _) = kept_at_the_second().await;
    let before = providers.each_ref().map(calls);
    for body in ["[]", "{", "\"x\"", "{\"a\":1} x"] {
        for path in ["/v1/conversations", "/v1/conversations/conv_1", "/v1/conversations/conv_1/items"] {
            let answer = gateway.send(&Ask::post(path, body)).await;
            assert_eq!(told(&answer), (400, "invalid_request"), "{path} {body}");
        }
    }
    let both = respond(r#""conversation":"conv_1","previous_response_id":"resp_1""#);
    let answer = gateway.send(&both).await;
    assert_eq!(
        (told(&answer), &answer.json()["error"]["param"]),
        ((400, "invalid_request"), &"conversation".into())
    );
    assert_eq!(providers.each_ref().map(calls), before);
    gateway.stop().await;
}
