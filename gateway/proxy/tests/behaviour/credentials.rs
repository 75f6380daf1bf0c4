//! What upstreams are shown: credentials that end, and signatures that are made anew for each attempt.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tollgate_accounting::ledger::End;
use tollgate_domain::{Secret, UnixMillis};
use tollgate_proxy::{Credential, CredentialCell, Issued};
use tollgate_sigv4::{Claim, Field, KeyPair, Line, Scope};
use tollgate_simulator::{Refusal, Script, fingerprint};

use crate::harness::{
    Ask, ByHand, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted, until, upstream::Call,
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "a-session-token";
const PLAIN: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

fn keys(session_token: Option<&str>) -> KeyPair {
    KeyPair {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: Secret::new(SECRET.into()),
        session_token: session_token.map(|token| Secret::new(token.into())),
    }
}

fn scope() -> Scope {
    Scope { region: "eu-central-1".into(), service: "bedrock".into() }
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    UnixMillis::new(i64::try_from(since.as_millis()).expect("a near time"))
}

fn token(text: &str, until: Option<Instant>) -> Issued {
    Issued::token(&Secret::new(text.into()), until).expect("a sendable token")
}

/// A target whose credential is kept in this cell.
fn kept(target: impl Into<TargetSetup>, cell: &Arc<CredentialCell>) -> TargetSetup {
    let credential = Credential::kept(Arc::clone(cell), Some(scope()));
    TargetSetup { credential: Some(credential), ..target.into() }
}

/// Checks a request as AWS would, and gives the value of a header of it.
fn verified(call: &Call, wanted: &str) -> Option<String> {
    let (line, fields, body) = call.request();
    let mut line = line.split(' ');
    let (method, target) = (line.next().expect("a method"), line.next().expect("a target"));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let bytes: Vec<Field<'_>> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let get = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let claim = Claim::read(get("authorization").expect("a signature")).expect("SigV4").expect("whole");
    let unproven = claim.about(&Line { method, path, query }, &bytes, now()).expect("a sound head");
    unproven.prove(&Secret::new(SECRET.into()), body).expect("a signature of what came");
    get(wanted).map(str::to_owned)
}

#[tokio::test]
async fn every_attempt_is_signed_for_its_own_target_over_what_it_is_sent() {
    let upstreams = [ByHand::listen().await, ByHand::listen().await];
    let targets = upstreams.iter().map(|upstream| TargetSetup {
        credential: Some(Credential::signing(keys(None), scope())),
        ..TargetSetup::at(upstream.address())
    });
    let gateway = Gateway::start(Setup::new(targets));
    let client = gateway.begin(&Ask::stream().with("x-amz-date", "19990101T000000Z")).await;
    let mut first = upstreams[0].accept().await;
    assert_eq!(verified(&first, "host"), Some(upstreams[0].address().to_string()));
    first.send("HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}").await;
    let mut second = upstreams[1].accept().await;
    assert_eq!(verified(&second, "host"), Some(upstreams[1].address().to_string()));
    let (_, _, body) = second.request();
    assert!(String::from_utf8_lossy(body).contains("include_usage"), "it is signed after the edits");
    second.send_stream_head().await;
    second.send_content("one").await;
    second.send_stream_end().await;
    assert_eq!(client.head().await.finish().await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_temporary_keys_token_is_sent_and_signed() {
    let upstream = ByHand::listen().await;
    let cell = Arc::<CredentialCell>::default();
    cell.issue(Issued::keys(keys(Some(TOKEN)), None));
    let gateway = Gateway::start(Setup::new([kept(upstream.address(), &cell)]));
    let client = gateway.begin(&Ask::chat()).await;
    let mut call = upstream.accept().await;
    assert_eq!(verified(&call, "x-amz-security-token").as_deref(), Some(TOKEN));
    assert!(verified(&call, "authorization").expect("signed").contains("x-amz-security-token"));
    call.send_plain(PLAIN).await;
    assert_eq!(client.head().await.finish().await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn an_upstream_without_a_credential_is_passed_by_until_there_is_one() {
    let providers = [provider().await, provider().await];
    let cell = Arc::<CredentialCell>::default();
    cell.failed("the metadata endpoint did not answer", Instant::now() + Duration::from_secs(600));
    let gateway = Gateway::start(Setup::new([kept(&providers[0], &cell), TargetSetup::from(&providers[1])]));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (200, "1"));
    assert_eq!(providers[0].book().totals().calls, 0);
    cell.issue(token("the-first-token", None));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let call = providers[0].book().calls().pop().expect("it serves again");
    assert!(call.credentials.iter().any(|shown| shown.fingerprint == fingerprint("the-first-token")));
    gateway.stop().await;
}

#[tokio::test]
async fn without_any_credential_the_client_is_told_to_come_again() {
    let provider = provider().await;
    let cell = Arc::<CredentialCell>::default();
    cell.failed("refused", Instant::now() + Duration::from_secs(20));
    let gateway = Gateway::start(Setup::new([kept(&provider, &cell)]));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "no_healthy_upstream"));
    let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(!answer.text().contains("refused"), "what went wrong is the operator's: {}", answer.text());
    assert_eq!(provider.book().totals().calls, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn the_first_requests_wait_for_the_first_credential() {
    let provider = provider().await;
    let cell = Arc::<CredentialCell>::default();
    let target = kept(&provider, &cell);
    let name = target.name.clone();
    let gateway = Gateway::start(Setup::new([target]));
    let clients = [gateway.begin(&Ask::chat()).await, gateway.begin(&Ask::chat()).await];
    until("two attempts", || gateway.view(&name).in_flight == 2).await;
    assert_eq!(provider.book().totals().calls, 0);
    cell.issue(token("the-first-token", None));
    for client in clients {
        assert_eq!(client.head().await.finish().await.status, 200);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_first_credential_that_fails_sends_who_waits_to_the_next_target() {
    let providers = [provider().await, provider().await];
    let cell = Arc::<CredentialCell>::default();
    let target = kept(&providers[0], &cell);
    let name = target.name.clone();
    let gateway = Gateway::start(Setup::new([target, TargetSetup::from(&providers[1])]));
    let client = gateway.begin(&Ask::chat()).await;
    until("an attempt", || gateway.view(&name).in_flight == 1).await;
    cell.failed("refused", Instant::now() + Duration::from_secs(600));
    assert_eq!(client.head().await.finish().await.status, 200);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::Completed)), ["no_credential", "ok"]);
}

/// It may have been withdrawn before its end.
#[tokio::test]
async fn a_token_that_its_upstream_refuses_is_asked_for_anew() {
    let provider = scripted(Script::refusal(Refusal::Unauthorized)).await;
    let cell = Arc::<CredentialCell>::default();
    cell.issue(token("one", None));
    let gateway = Gateway::start(Setup::new([kept(&provider, &cell)]));
    assert!(!cell.take_doubt());
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (502, "upstream_auth"));
    assert!(cell.take_doubt() && !cell.take_doubt(), "it is told once");
    gateway.stop().await;
}

#[tokio::test]
async fn a_token_serves_until_its_end_and_its_successor_at_once() {
    let provider = provider().await;
    let cell = Arc::<CredentialCell>::default();
    let gateway = Gateway::start(Setup::new([kept(&provider, &cell)]));
    let far = Instant::now() + Duration::from_secs(3_600);
    for (issued, shown) in [(Some("one"), "one"), (None, "one"), (Some("two"), "two")] {
        match issued {
            Some(text) => cell.issue(token(text, Some(far))),
            None => cell.failed("no answer", far),
        }
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
        let call = provider.book().calls().pop().expect("a call");
        let wanted = fingerprint(shown);
        assert!(call.credentials.iter().any(|credential| credential.fingerprint == wanted), "{shown}");
    }
    cell.issue(token("past", Some(Instant::now())));
    cell.failed("no answer", far);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 503, "what has ended is not shown");
    gateway.stop().await;
}
