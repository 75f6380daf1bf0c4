//! Bytes pass as they came but for the listed edits, and no secret passes at all.

use tollgate_accounting::{
    ledger::End,
    quota::{Limits, ScopeRules},
};
use tollgate_dialect::Dialect;
use tollgate_proxy::InjectUsage;
use tollgate_simulator::{Call, Exact, Framing, Piece, Script, Simulator, fingerprint};

use crate::harness::{
    Ask, Gateway, Setup, TargetSetup, provider, scripted,
    setup::{KEY, Rules, UPSTREAM_SECRET},
};

/// A chat request in a spelling that no serializer would choose.
const ODD: &str = "\r\n { \"temperature\" : 1.0e0,\"model\":\t\"chat\" , \"messages\":[{\"role\":\"user\",\
                   \"content\":\"caf\\u00e9 \u{1f600}\"}],\"unknown\" : {\"model\":\"chat\"} }\n";

fn only_call(provider: &Simulator) -> Call {
    let [call] = &provider.book().calls()[..] else { panic!("not one call") };
    call.clone()
}

fn sent(provider: &Simulator) -> String {
    String::from_utf8(only_call(provider).body.to_vec()).expect("text")
}

#[tokio::test]
async fn of_a_request_only_the_models_name_changes() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    assert_eq!(gateway.send(&Ask::chat().body(ODD)).await.status, 200);
    assert_eq!(sent(&provider), ODD.replacen("\"chat\" ,", "\"gpt-5-mini\" ,", 1));
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn a_cap_is_inserted_only_where_the_worst_case_is_reserved_and_none_is_named() {
    let capped = r#"{"model":"chat","max_tokens":7,"messages":[]}"#;
    let bare = r#"{"model":"chat","messages":[]}"#;
    let cases = [
        (false, bare, r#"{"model":"gpt-5-mini","messages":[]}"#),
        (true, bare, r#"{"model":"gpt-5-mini","messages":[],"max_completion_tokens":1000}"#),
        (true, capped, r#"{"model":"gpt-5-mini","max_tokens":7,"messages":[]}"#),
    ];
    for (reserve_full, body, want) in cases {
        let provider = provider().await;
        let gateway = Gateway::start(Setup { reserve_full, ..Setup::new([&provider]) });
        gateway.send(&Ask::chat().body(body)).await;
        assert_eq!(sent(&provider), want);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_plain_answer_passes_byte_for_byte() {
    let body = "{ \"id\":\"c1\", \"choices\":[ ],\t\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\
                \"total_tokens\":10} , \"new_member\":1.50 }\n\n";
    for framing in [Framing::Length, Framing::Chunked] {
        let exact = Exact {
            status: 200,
            headers: vec![("content-type".into(), "application/json".into())],
            pieces: vec![Piece::new(&body.as_bytes()[..11]), Piece::new(&body.as_bytes()[11..])],
            framing,
        };
        let provider = scripted(Script::exact(exact)).await;
        let gateway = Gateway::start(Setup::new([&provider]));
        assert_eq!(gateway.send(&Ask::chat()).await.text(), body);
        let ledger = gateway.stop().await;
        assert_eq!(ledger.only(End::Completed).usage.input_tokens(), 7);
    }
}

const CHUNK: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
const COMMENT: &str = ": keep-alive\r\n\r\n";
const FINISH: &str = "event: message\ndata: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1,\"total_tokens\":8}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// How the stream is cut into writes must not matter.
fn stream_script(cut: usize) -> Script {
    let whole = [CHUNK, COMMENT, CHUNK, FINISH, USAGE, DONE].concat();
    let pieces = whole.as_bytes().chunks(cut).map(|piece| Piece::new(piece.to_vec())).collect();
    Script::events(pieces)
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_but_for_a_usage_event_that_nobody_asked_for() {
    let asked = r#"{"model":"chat","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    let unasked = r#"{"model":"chat","stream":true,"messages":[]}"#;
    let with_usage = [CHUNK, COMMENT, CHUNK, FINISH, USAGE, DONE].concat();
    let without = [CHUNK, COMMENT, CHUNK, FINISH, DONE].concat();
    let told =
        r#"{"model":"gpt-5-mini","stream":true,"messages":[],"stream_options":{"include_usage":true}}"#;
    for cut in [1, 7, 100, 100_000] {
        for (body, want_sent, want) in [
            (asked, asked.replace("\"chat\"", "\"gpt-5-mini\""), &with_usage),
            (unasked, told.to_owned(), &without),
        ] {
            let provider = scripted(stream_script(cut)).await;
            let gateway = Gateway::start(Setup::new([&provider]));
            let answer = gateway.send(&Ask::stream().body(body)).await;
            assert_eq!(answer.text(), want, "cut at {cut}");
            assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
            assert_eq!(sent(&provider), want_sent);
            let ledger = gateway.stop().await;
            let usage = ledger.only(End::Completed).usage;
            assert_eq!((usage.input_tokens(), usage.output_tokens()), (7, 1));
        }
    }
}

#[tokio::test]
async fn usage_is_not_asked_for_where_the_upstream_would_refuse_it() {
    let provider = scripted(stream_script(50)).await;
    let target = TargetSetup { inject_usage: InjectUsage::Never, ..(&provider).into() };
    let gateway = Gateway::start(Setup::new([target]));
    let body = r#"{"model":"chat","stream":true,"messages":[]}"#;
    let answer = gateway.send(&Ask::stream().body(body)).await;
    assert_eq!(sent(&provider), body.replace("\"chat\"", "\"gpt-5-mini\""));
    assert!(answer.text().contains(USAGE), "what came unasked passes: {}", answer.text());
    gateway.stop().await;
}

#[tokio::test]
async fn an_upstream_sees_its_own_credential_and_nothing_of_the_clients() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let ask = Ask::chat()
        .with("x-api-key", KEY)
        .with("cookie", "session=1")
        .with("openai-organization", "org-1")
        .with("openai-project", "proj-1")
        .with("x-tollgate-user", "someone")
        .with("x-forwarded-for", "10.0.0.1")
        .with("proxy-authorization", "Basic x")
        .with("accept-encoding", "gzip, br")
        .with("openai-beta", "assistants=v2")
        .with("x-stainless-lang", "python");
    assert_eq!(gateway.send(&ask).await.status, 200);
    let call = only_call(&provider);
    let shown: Vec<_> =
        call.credentials.iter().map(|shown| (&*shown.header, shown.fingerprint.clone())).collect();
    assert_eq!(shown, [("authorization", fingerprint(UPSTREAM_SECRET))]);
    for gone in
        ["openai-organization", "openai-project", "x-tollgate-user", "x-forwarded-for", "proxy-authorization"]
    {
        assert_eq!(call.header(gone), None, "{gone}");
    }
    assert_eq!(call.header("accept-encoding"), Some("identity"));
    assert_eq!(call.header("openai-beta"), Some("assistants=v2"));
    assert_eq!(call.header("x-stainless-lang"), Some("python"));
    assert_eq!(call.header("host"), Some(&*provider.addr().to_string()));
    gateway.stop().await;
}

#[tokio::test]
async fn an_anthropic_upstream_is_called_in_its_own_way() {
    let provider = provider().await;
    let target = TargetSetup { dialect: Dialect::Anthropic, ..(&provider).into() };
    let gateway = Gateway::start(Setup::new([target]));
    let answer = gateway.send(&Ask::messages().with("anthropic-beta", "files-api-2025-04-14")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    let call = only_call(&provider);
    assert_eq!(call.path, "/v1/messages");
    let shown: Vec<_> =
        call.credentials.iter().map(|shown| (&*shown.header, shown.fingerprint.clone())).collect();
    assert_eq!(shown, [("x-api-key", fingerprint(UPSTREAM_SECRET))]);
    assert_eq!(call.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(call.header("anthropic-beta"), Some("files-api-2025-04-14"));
    let told = provider.book().totals().told;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(row.usage.output_tokens(), told.output_tokens);
    assert_eq!(row.dialect, "anthropic");
}

#[tokio::test]
async fn an_anthropic_stream_is_complete_to_its_end_mark() {
    let provider = provider().await;
    let target = TargetSetup { dialect: Dialect::Anthropic, ..(&provider).into() };
    let gateway = Gateway::start(Setup::new([target]));
    let body =
        r#"{"model":"claude","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi."}]}"#;
    let answer = gateway.send(&Ask::messages().body(body)).await;
    assert!(answer.text().contains("event: message_stop"), "{}", answer.text());
    let told = provider.book().totals().told;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(
        (row.usage.input_tokens(), row.usage.output_tokens()),
        (told.input_tokens, told.output_tokens)
    );
}

#[tokio::test]
async fn a_client_gets_the_upstreams_headers_but_for_what_is_not_its_business() {
    let headers = [
        ("content-type", "application/json"),
        ("x-request-id", "req_upstream"),
        ("openai-processing-ms", "27"),
        ("set-cookie", "a=b"),
        ("server", "cloudflare"),
        ("x-ratelimit-remaining-tokens", "1"),
        ("x-should-retry", "true"),
        ("x-tollgate-upstream", "forged"),
        ("alt-svc", "h3=\":443\""),
        ("connection", "x-hop"),
        ("x-hop", "1"),
    ];
    let exact = Exact {
        status: 200,
        headers: headers.map(|(name, value)| (name.into(), value.into())).to_vec(),
        pieces: vec![Piece::new(
            "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}",
        )],
        framing: Framing::Length,
    };
    let provider = scripted(Script::exact(exact)).await;
    let setup = Setup::new([&provider]);
    let name = setup.targets[0].name.clone();
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::chat()).await;
    for gone in ["set-cookie", "server", "x-ratelimit-remaining-tokens", "x-should-retry", "alt-svc", "x-hop"]
    {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert_eq!(answer.header("openai-processing-ms"), "27");
    assert_eq!(answer.header("x-upstream-request-id"), "req_upstream");
    assert_eq!(answer.header("x-tollgate-upstream"), name);
    assert_eq!(answer.header("x-tollgate-region"), "eu");
    assert_eq!(answer.header("x-tollgate-attempts"), "1");
    let id = answer.header("x-request-id").to_owned();
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(row.id.to_string(), id, "the request id is the row's");
    assert_eq!(row.upstream_request_id.as_deref(), Some("req_upstream"));
}

#[tokio::test]
async fn the_tightest_limits_stand_on_every_answer() {
    let provider = provider().await;
    let wide = Limits { requests_per_minute: Some(100), tokens_per_minute: Some(9_000), ..Limits::default() };
    let tight = Limits { requests_per_minute: Some(10), ..Limits::default() };
    let rules = Rules {
        key: ScopeRules { limits: tight, budget: None },
        team: ScopeRules { limits: wide, budget: None },
        ..Rules::default()
    };
    let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
    for ask in [Ask::chat(), Ask::stream()] {
        let answer = gateway.send(&ask).await;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "10");
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), "9000");
        let left: u64 = answer.header("x-ratelimit-remaining-requests").parse().expect("a number");
        assert!(left < 10, "{left}");
        assert_eq!(answer.header("x-tollgate-cost").is_empty(), ask.body == Ask::stream().body);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn models_are_listed_from_memory_as_far_as_the_key_may_call_them() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let list = Ask { method: http::Method::GET, path: "/v1/models", ..Ask::chat().body("") };
    let answer = gateway.send(&list).await;
    let ids: Vec<_> =
        answer.json()["data"].as_array().expect("a list").iter().map(|model| model["id"].clone()).collect();
    assert_eq!(ids, ["chat"]);
    let one = Ask { path: "/v1/models/forbidden", ..list };
    assert_eq!(gateway.send(&one).await.status, 404);
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}
