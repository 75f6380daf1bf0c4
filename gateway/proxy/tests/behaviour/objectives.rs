//! Objectives are measured on what clients get and on what upstreams answer, and the two are apart.

use std::time::Duration;

use tollgate_domain::UnixMillis;
use tollgate_proxy::{Aim, Objective, Subject, View, Window};
use tollgate_simulator::{At, Fault, Refusal, Script};

use crate::harness::{Ask, Gateway, Setup, provider, scripted, until};

/// Success of the model and of two projects of one name, and the latencies of the model.
fn objectives() -> [Objective; 5] {
    let of = |subject, aim| Objective { subject, aim, goal: 999_000 };
    let model = || Subject::Model("chat".into());
    let project = |team: &str| Subject::Project(team.into(), "assistant".into());
    [
        of(model(), Aim::Success),
        of(project("search"), Aim::Success),
        of(project("other"), Aim::Success),
        of(model(), Aim::FirstToken(Duration::from_secs(3_600))),
        of(model(), Aim::Total(Duration::ZERO)),
    ]
}

/// What the five have measured in one view: good and all.
fn measured(gateway: &Gateway, view: View) -> Vec<(u64, u64)> {
    // All of it is in one minute, since nobody has looked before.
    let standings = gateway.live.objectives.standings(UnixMillis::new(0));
    let windows = standings.iter().flat_map(|standing| standing.measured.iter());
    let of_view = windows.filter(|(measured, window, _)| *measured == view && *window == Window::FiveMinutes);
    of_view.map(|(_, _, counts)| (counts.good, counts.all)).collect()
}

#[tokio::test]
async fn what_failover_hides_is_a_failure_of_the_upstream_and_none_for_the_client() {
    let providers = [scripted(Script::refusal(Refusal::ServerError)).await, provider().await];
    let gateway = Gateway::start(Setup::new(&providers));
    gateway.live.objectives.follow(&objectives());
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let whole = measured(&gateway, View::Client);
    assert_eq!(whole[..4], [(1, 1), (1, 1), (0, 0), (1, 1)]);
    assert_eq!(whole[4].1, 1, "one answer came, in time or not");
    assert_eq!(measured(&gateway, View::Upstream)[..4], [(1, 2), (1, 2), (0, 0), (1, 1)]);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_the_callers_own_fault_counts_nowhere_and_what_is_not_counts() {
    let cases = [
        ("a bad request", Script::refusal(Refusal::Status(400)), Ask::chat(), 400, (0, 0), (0, 0)),
        ("a failure", Script::refusal(Refusal::ServerError), Ask::chat(), 502, (0, 1), (0, 1)),
        (
            "a throttle",
            Script::refusal(Refusal::RateLimited { retry_after_ms: None }),
            Ask::chat(),
            429,
            (0, 1),
            (0, 1),
        ),
        (
            "an unknown model",
            Script::usual(),
            Ask::chat().body(r#"{"model":"none","messages":[]}"#),
            404,
            (0, 0),
            (0, 0),
        ),
        (
            "a stream that breaks",
            Script::usual().then(Fault::Close(At::Chunk(3))),
            Ask::stream(),
            200,
            (0, 1),
            (0, 1),
        ),
    ];
    for (name, script, ask, status, client, upstream) in cases {
        // What is left over of a script would be a second answer.
        let provider = scripted(script.clone()).await;
        (0..8).for_each(|_| provider.script(script.clone()));
        let gateway = Gateway::start(Setup::new([&provider]));
        gateway.live.objectives.follow(&objectives());
        assert_eq!(gateway.send(&ask).await.status, status, "{name}");
        let seen = || (measured(&gateway, View::Client)[0], measured(&gateway, View::Upstream)[0]);
        until("what was measured", || seen().0 == client).await;
        let (_, attempts) = seen();
        let is_as_wanted =
            attempts.0 == upstream.0 && (attempts.1 >= upstream.1) && (attempts.1 == 0) == (upstream.1 == 0);
        assert!(is_as_wanted, "{name}: {attempts:?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn without_objectives_nothing_is_measured() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    gateway.live.objectives.follow(&objectives());
    assert_eq!(measured(&gateway, View::Client), [(0, 0); 5]);
    gateway.stop().await;
}
