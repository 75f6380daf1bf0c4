//! What is too long for a model's context goes, once, to the one that its route names for that.

use tollgate_accounting::ledger::{End, Flags};
use tollgate_dialect::Dialect;
use tollgate_simulator::{Refusal, Script, Simulator};

use crate::harness::{Ask, Gateway, Setup, ledger::outcomes, provider, scripted};

/// Two places for `chat`, the first of which refuses so, and one for `claude`, its fallback.
async fn refusing(refusal: Refusal) -> ([Simulator; 3], Setup) {
    let providers = [scripted(Script::refusal(refusal)).await, provider().await, provider().await];
    let mut setup = Setup::new(&providers);
    setup.targets[2].dialect = Dialect::Anthropic;
    setup.fallback = Some(("chat", "claude"));
    (providers, setup)
}

fn calls(providers: &[Simulator; 3]) -> [u64; 3] {
    providers.each_ref().map(|provider| provider.book().totals().calls)
}

#[tokio::test]
async fn what_is_too_long_goes_to_the_model_that_the_route_names() {
    for ask in [Ask::chat(), Ask::stream()] {
        let (providers, setup) = refusing(Refusal::ContextLength).await;
        let gateway = Gateway::start(setup);
        let answer = gateway.send(&ask).await;
        assert_eq!((answer.status, calls(&providers)), (200, [1, 0, 1]));
        assert_eq!(answer.header("x-tollgate-fallback"), "claude");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!(outcomes(row), ["context_length", "ok"]);
        assert_eq!((row.model.as_str(), row.flags), ("chat", Flags::LARGER_CONTEXT));
        assert_eq!(ledger.open, 0);
    }
}

#[tokio::test]
async fn only_what_is_too_long_goes_there() {
    for refusal in [Refusal::Status(400), Refusal::Status(422), Refusal::ContentFilter] {
        let (providers, setup) = refusing(refusal).await;
        let gateway = Gateway::start(setup);
        let answer = gateway.send(&Ask::chat()).await;
        assert!((400..500).contains(&answer.status), "{refusal:?}: {}", answer.status);
        assert_eq!(calls(&providers), [1, 0, 0], "{refusal:?}");
        assert_eq!(gateway.stop().await.only(End::RefusedUpstream).flags, Flags::default(), "{refusal:?}");
    }
}

#[tokio::test]
async fn what_is_too_long_there_too_goes_nowhere_else() {
    let (providers, setup) = refusing(Refusal::ContextLength).await;
    providers[2].script(Script::refusal(Refusal::ContextLength));
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, calls(&providers)), (400, [1, 0, 1]));
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::RefusedUpstream)), ["context_length", "context_length"]);
}

#[tokio::test]
async fn where_the_fallback_cannot_serve_the_client_hears_that_it_is_too_long() {
    let (providers, setup) = refusing(Refusal::ContextLength).await;
    for _ in 0..8 {
        providers[2].script(Script::refusal(Refusal::ServerError));
    }
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error-source")), (400, "upstream"));
    assert!(answer.text().contains("context_length_exceeded"), "{}", answer.text());
    gateway.stop().await;
}

#[tokio::test]
async fn a_caller_who_may_not_ask_for_the_fallback_does_not_get_it() {
    let (providers, mut setup) = refusing(Refusal::ContextLength).await;
    setup.fallback = Some(("chat", "forbidden"));
    let gateway = Gateway::start(setup);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 400);
    assert_eq!(calls(&providers), [1, 0, 0]);
    gateway.stop().await;
}

#[tokio::test]
async fn residency_holds_there_too() {
    let (providers, mut setup) = refusing(Refusal::ContextLength).await;
    setup.zones = Some(vec!["eu"]);
    setup.targets[2].region = "us";
    let gateway = Gateway::start(setup);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 400);
    assert_eq!(calls(&providers), [1, 0, 0]);
    gateway.stop().await;
}
