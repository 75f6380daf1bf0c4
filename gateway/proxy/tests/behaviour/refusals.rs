//! What the client reads when no target served it: the upstream's own bytes where the request is at
//! fault, the gateway's words in the client's dialect where it is not.

use std::time::{Duration, Instant};

use tollgate_accounting::ledger::End;
use tollgate_dialect::Dialect;
use tollgate_simulator::{Exact, Fault, Framing, Piece, Refusal, Script, Simulator};

use crate::harness::{Ask, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};

/// A setup whose targets speak Anthropic's API.
fn anthropic<'a>(providers: impl IntoIterator<Item = &'a Simulator>) -> Setup {
    let target = |provider: &'a Simulator| TargetSetup { dialect: Dialect::Anthropic, ..provider.into() };
    Setup::new(providers.into_iter().map(target))
}

fn messages_stream() -> Ask {
    let body =
        r#"{"model":"claude","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi."}]}"#;
    Ask::messages().body(body)
}

/// Seen at servers that speak a part of an API: their chat goes on to serve whoever asks for it.
#[tokio::test]
async fn an_api_that_an_upstream_lacks_does_not_keep_others_from_those_that_it_has() {
    let responses = || Ask::post("/v1/responses", r#"{"model":"chat","input":"hello"}"#);
    let cases = [(404, r#"{"detail":"Not Found"}"#, 404), (501, "{}", 502)];
    for (status, body, want) in cases {
        let provider = provider().await;
        let gateway = Gateway::start(Setup::new([&provider]));
        for _ in 0..8 {
            provider.script(Script::json(status, body));
            let answer = gateway.send(&responses()).await;
            assert_eq!(answer.status, want, "{}", answer.text());
            if status == want {
                assert_eq!(answer.text(), body, "the upstream's own words");
            }
        }
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200, "after {status}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_model_that_its_only_upstream_does_not_know_is_no_throttle() {
    let provider = scripted(Script::refusal(Refusal::ModelNotFound)).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    for (status, code) in [(502, "upstream_misconfigured"), (503, "no_healthy_upstream")] {
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (status, code));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_words_about_a_request_at_fault_pass_byte_for_byte() {
    // Spellings that no serializer would choose, one of them no JSON.
    let openai = [
        (
            400,
            "{ \"error\" : {\"message\":\"caf\\u00e9\",\"type\":\"invalid_request_error\",\"param\":\"x\"} }\n",
        ),
        (400, "{\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"},\t\"more\":1.50}"),
        (400, "{\"error\": {\"message\":\"filtered\",\"code\":\"content_filter\",\"param\":\"prompt\"}}\r\n"),
        (413, "<html>413</html>"),
        (422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"nonsense\"}]}"),
    ];
    let claude = [
        (
            400,
            "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long\"}}",
        ),
        (413, "{ \"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"x\"}}\n"),
    ];
    let openai = openai.into_iter().flat_map(|case| [(case, Ask::chat()), (case, Ask::stream())]);
    let claude = claude.into_iter().flat_map(|case| [(case, Ask::messages()), (case, messages_stream())]);
    for (is_claude, ((status, body), ask)) in
        openai.map(|case| (false, case)).chain(claude.map(|case| (true, case)))
    {
        let providers = [scripted(Script::json(status, body)).await, provider().await];
        let gateway = Gateway::start(if is_claude { anthropic(&providers) } else { Setup::new(&providers) });
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, answer.text()), (status, body));
        assert_eq!(answer.header("content-type"), "application/json", "as the upstream said: {body}");
        assert_eq!(answer.header("x-tollgate-error-source"), "upstream", "{body}");
        assert_eq!(answer.header("x-tollgate-attempts"), "1", "{body}");
        assert_eq!(providers[1].book().totals().calls, 0, "sent again: {body}");
        let ledger = gateway.stop().await;
        assert_eq!(ledger.only(End::RefusedUpstream).status, status, "{body}");
    }
}

#[tokio::test]
async fn of_several_throttles_the_first_that_ends_is_told() {
    let providers = [
        scripted(Script::rate_limited(Duration::from_secs(50))).await,
        scripted(Script::rate_limited(Duration::from_secs(20))).await,
    ];
    let gateway = Gateway::start(Setup::new(&providers));
    // The first is refused by both, the second by their holds alone.
    for attempts in ["2", "0"] {
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (429, "upstream_rate_limited"));
        assert_eq!(answer.header("x-tollgate-attempts"), attempts);
        let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
        // A hold is up to a tenth longer than what was asked for.
        assert!((1..=22).contains(&wait), "{wait}");
    }
    assert_eq!(providers.each_ref().map(|provider| provider.book().totals().calls), [1, 1]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_throttle_without_a_hint_holds_for_at_least_a_second() {
    let provider = scripted(Script::refusal(Refusal::RateLimited { retry_after_ms: None })).await;
    let setup = Setup::new([&provider]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    let before = Instant::now();
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (429, "upstream_rate_limited"));
    let target = gateway.live.fleet.target(&name.as_str().into(), &"gpt-5-mini".into());
    let until = target.hold.until(before).expect("a hold");
    assert!(until.duration_since(before) >= Duration::from_secs(1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = provider().await;
    let redirect = Exact {
        status: 307,
        headers: vec![("location".into(), format!("{}/v1/chat/completions", elsewhere.base_url()).into())],
        pieces: vec![Piece::new("{}")],
        framing: Framing::Length,
    };
    let provider = scripted(Script::exact(redirect)).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("location")), (502, ""));
    assert_eq!(elsewhere.book().totals().calls, 0);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::UpstreamFailed)), ["redirect"]);
}

#[tokio::test]
async fn anthropics_overload_moves_on_also_when_it_comes_as_an_event() {
    let cases = [
        (Ask::messages(), Script::refusal(Refusal::Overloaded), "overloaded"),
        (messages_stream(), Script::refusal(Refusal::Overloaded), "overloaded"),
        (messages_stream(), Script::usual().then(Fault::ErrorEvent(0)), "overloaded"),
    ];
    for (ask, script, outcome) in cases {
        let providers = [scripted(script).await, provider().await];
        let gateway = Gateway::start(anthropic(&providers));
        let answer = gateway.send(&ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("error"), "{}", answer.text());
        let ledger = gateway.stop().await;
        assert_eq!(outcomes(ledger.only(End::Completed)), [outcome, "ok"]);
    }
}

#[tokio::test]
async fn a_failure_is_told_in_the_shape_of_the_callers_dialect() {
    let provider = scripted(Script::refusal(Refusal::Unauthorized)).await;
    let gateway = Gateway::start(anthropic([&provider]));
    let answer = gateway.send(&Ask::messages()).await;
    let body = answer.json();
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (502, "upstream_auth"), "{body}");
    assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"api_error".into()), "{body}");
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    assert!(!answer.text().contains("Incorrect API key"), "the upstream's words about the gateway's key");
    gateway.stop().await.only(End::UpstreamFailed);
}
