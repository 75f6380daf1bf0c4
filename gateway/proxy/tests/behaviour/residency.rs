//! Residency is never relaxed, whatever fails.

use tollgate_accounting::ledger::End;
use tollgate_simulator::{At, Fault, Refusal, Script};

use crate::harness::{Ask, Gateway, Setup, TargetSetup, provider, scripted};

#[tokio::test]
async fn a_project_of_one_zone_never_reaches_another_whatever_fails() {
    let troubles = [
        Script::usual().then(Fault::Reset(At::Byte(0))),
        Script::refusal(Refusal::ServerError),
        Script::refusal(Refusal::RateLimited { retry_after_ms: Some(1_000) }),
        Script::refusal(Refusal::Status(529)),
        Script::refusal(Refusal::Unauthorized),
        Script::usual().then(Fault::Close(At::Byte(40))),
    ];
    for trouble in troubles {
        for (project, header) in [(Some(vec!["eu"]), ""), (None, "eu"), (Some(vec!["eu", "us"]), "eu")] {
            let told = format!("{trouble:?}");
            let (inside, outside) = (scripted(trouble.clone()).await, provider().await);
            let mut setup = Setup::new([&inside, &outside]);
            setup.targets[1].region = "us";
            setup.zones = project;
            let gateway = Gateway::start(setup);
            let mut ask = Ask::chat();
            if !header.is_empty() {
                ask = ask.with("x-tollgate-zone", header);
            }
            let answer = gateway.send(&ask).await;
            assert!(answer.status >= 429, "{told}: {}", answer.status);
            assert_eq!(outside.book().totals().calls, 0, "{told}");
            gateway.stop().await.only(End::UpstreamFailed);
        }
    }
}

#[tokio::test]
async fn the_zone_header_narrows_and_never_widens() {
    let cases = [
        (Some(vec!["eu"]), "us", 403),
        (Some(vec!["eu"]), "eu", 200),
        (None, "asia", 403),
        (None, "us", 200),
    ];
    for (project, header, status) in cases {
        let (eu, us) = (provider().await, provider().await);
        let mut setup = Setup::new([&eu, &us]);
        setup.targets[1].region = "us";
        setup.zones = project;
        let gateway = Gateway::start(setup);
        let answer = gateway.send(&Ask::chat().with("x-tollgate-zone", header)).await;
        assert_eq!(answer.status, status, "{header}: {}", answer.text());
        if status == 403 {
            assert_eq!(answer.header("x-tollgate-error"), "zone_not_permitted");
        }
        let calls = [&eu, &us].map(|provider| provider.book().totals().calls);
        let want = [u64::from(status == 200 && header == "eu"), u64::from(status == 200 && header == "us")];
        assert_eq!(calls, want, "{header}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_project_whose_zones_no_target_is_in_is_told_so() {
    let provider = provider().await;
    let setup = Setup {
        zones: Some(vec!["eu"]),
        ..Setup::new([TargetSetup { region: "global", ..(&provider).into() }])
    };
    let gateway = Gateway::start(setup);
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (403, "zone_not_permitted"));
    assert_eq!(gateway.stop().await.refusal().error_code.as_deref(), Some("zone_not_permitted"));
}
