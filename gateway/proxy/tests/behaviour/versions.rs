//! A call stays with the version of its model, and what upstreams say they serve is watched.

use tollgate_accounting::ledger::End;
use tollgate_proxy::Finding;
use tollgate_simulator::{Behaviour, Refusal, Script, Simulator};

use crate::harness::{Ask, Gateway, Setup, ledger::outcomes, provider, scripted};

/// Providers of these versions, in levels; the first fails.
async fn failing_first(versions: &[Option<&'static str>]) -> (Vec<Simulator>, Setup) {
    let mut providers = vec![scripted(Script::refusal(Refusal::ServerError)).await];
    for _ in &versions[1..] {
        providers.push(provider().await);
    }
    let mut setup = Setup::new(&providers);
    for (target, version) in setup.targets.iter_mut().zip(versions) {
        target.version = *version;
    }
    (providers, setup)
}

fn calls(providers: &[Simulator]) -> Vec<u64> {
    providers.iter().map(|provider| provider.book().totals().calls).collect()
}

#[tokio::test]
async fn a_failing_call_is_not_moved_to_another_version_unless_its_route_allows_it() {
    let (a, b) = (Some("2024-08-06"), Some("2024-11-20"));
    let cases: [(&str, &[_], bool, u16, &[u64]); 7] = [
        ("another version", &[a, b], false, 502, &[1, 0]),
        ("another version, allowed", &[a, b], true, 200, &[1, 1]),
        ("the same version behind another", &[a, b, a], false, 200, &[1, 0, 1]),
        ("the same version", &[a, a], false, 200, &[1, 1]),
        ("a version that is not known", &[a, None], false, 200, &[1, 1]),
        ("no version that is known", &[None, b], false, 200, &[1, 1]),
        ("none known at all", &[None, None], false, 200, &[1, 1]),
    ];
    for (name, versions, allowed, status, want) in cases {
        let (providers, mut setup) = failing_first(versions).await;
        setup.failover_versions = allowed;
        let gateway = Gateway::start(setup);
        assert_eq!(gateway.send(&Ask::chat()).await.status, status, "{name}");
        assert_eq!(calls(&providers), want, "{name}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_version_that_was_tried_on_the_way_keeps_out_the_others() {
    let (providers, setup) = failing_first(&[None, Some("1"), Some("2")]).await;
    providers[1].script(Script::refusal(Refusal::ServerError));
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, calls(&providers)), (502, vec![1, 1, 0]));
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::UpstreamFailed)), ["server_error", "server_error"]);
}

#[tokio::test]
async fn residency_may_make_another_version_the_preferred_one() {
    let (providers, mut setup) = failing_first(&[Some("1"), Some("2")]).await;
    setup.targets[0].region = "us";
    setup.zones = Some(vec!["eu"]);
    let gateway = Gateway::start(setup);
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert_eq!(calls(&providers), [0, 1]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_model_that_an_upstream_changes_silently_is_found_once() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let target = format!("gpt-5-mini@up-{}", provider.addr().port());
    for (served, change) in [
        ("gpt-5-mini-2025-08-07", None),
        ("gpt-5-mini-2025-08-07", None),
        ("gpt-5-mini-2026-01-15", Some("gpt-5-mini-2025-08-07")),
        // While a provider rolls out, both answer.
        ("gpt-5-mini-2025-08-07", None),
        ("gpt-5-mini-2026-01-15", None),
    ] {
        provider.behave(Behaviour { served_model: Some(served.to_owned()), ..Behaviour::default() });
        for ask in [Ask::chat(), Ask::stream()] {
            assert_eq!(gateway.send(&ask).await.status, 200, "{served}");
        }
        let found: Vec<_> = gateway.live.findings.take().into_iter().map(|(finding, _)| finding).collect();
        let want = change.map(|from| Finding::ModelChanged {
            target: target.as_str().into(),
            from: from.into(),
            to: served.into(),
        });
        assert_eq!(found, Vec::from_iter(want), "{served}");
    }
    let ledger = gateway.stop().await;
    assert!(ledger.rows.iter().all(|row| row.served_model.is_some()));
}
