//! Residency is never relaxed, whatever fails.

use tollgate_accounting::ledger::{End, Flags};
use tollgate_dialect::Dialect;
use tollgate_proxy::Finding;
use tollgate_simulator::{At, Fault, Options, Refusal, Script, Simulator};

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

#[tokio::test]
async fn no_status_of_the_permitted_target_lets_a_call_out_of_its_zone() {
    let statuses = [
        400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 418, 421, 422, 424, 425, 429, 451, 499, 500, 501,
        502, 503, 504, 507, 520, 524, 529, 599,
    ];
    let (inside, outside) = (provider().await, provider().await);
    let mut setup = Setup::new([&inside, &outside]);
    setup.targets[1].region = "us";
    setup.zones = Some(vec!["eu"]);
    let gateway = Gateway::start(setup);
    for status in statuses {
        // Whatever the target is held for, its next answer is asked for as well where it can be.
        inside.script(Script::json(status, "{}"));
        let answer = gateway.send(&Ask::chat()).await;
        assert!(answer.status >= 400 || inside.scripts_left() > 0, "{status}: {}", answer.status);
        assert_eq!(outside.book().totals().calls, 0, "{status}");
    }
    assert!(inside.book().totals().calls > 1, "more than the first came through");
    gateway.stop().await;
}

/// An Azure whose answers name this region.
async fn azure_at(region: &str) -> (Simulator, TargetSetup) {
    let options = Options { name: region.to_owned(), ..Options::default() };
    let provider = Simulator::start(options).await.expect("a free port");
    let target = TargetSetup { dialect: Dialect::AzureOpenAi, ..(&provider).into() };
    (provider, target)
}

#[tokio::test]
async fn an_answer_that_names_another_place_is_flagged_and_its_row_has_the_zone_of_that_place() {
    // The harness declares zone `eu`, and knows one region of its own: `eastus`, of the zone `us`.
    let cases = [
        ("Sweden Central", "eu", false),
        ("swedencentral", "eu", false),
        ("East US", "us", true),
        ("East US 2", "us", true),
        ("Japan East", "jp", true),
        ("no-place-that-is-known", "eu", false),
    ];
    for (named, zone, elsewhere) in cases {
        for ask in [Ask::chat(), Ask::stream()] {
            let (_provider, target) = azure_at(named).await;
            let name = target.name.clone();
            let gateway = Gateway::start(Setup::new([target]));
            assert_eq!(gateway.send(&ask).await.status, 200, "{named}");
            let found = gateway.live.findings.take();
            let want = elsewhere.then(|| Finding::Elsewhere {
                upstream: name.as_str().into(),
                declared: "eu".into(),
                place: named.into(),
                zone: zone.into(),
            });
            let found: Vec<_> = found.into_iter().map(|(finding, _)| finding).collect();
            assert_eq!(found, Vec::from_iter(want), "{named}");
            let ledger = gateway.stop().await;
            let row = ledger.only(End::Completed);
            assert_eq!(row.flags.contains(Flags::ZONE_DIFFERS), elsewhere, "{named}");
            let place = row.place.as_ref().expect("it was answered");
            assert_eq!((place.zone.as_str(), place.region.as_str()), (zone, "eu"), "{named}");
        }
    }
}

#[tokio::test]
async fn the_same_violation_is_one_finding_a_minute_and_a_flag_on_every_row() {
    let (_provider, target) = azure_at("westus").await;
    let gateway = Gateway::start(Setup::new([target]));
    for _ in 0..3 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    let found = gateway.live.findings.take().len();
    assert!((1..=2).contains(&found), "a minute may have ended in between: {found}");
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.len(), 3);
    assert!(ledger.rows.iter().all(|row| row.flags.contains(Flags::ZONE_DIFFERS)));
}

#[tokio::test]
async fn the_geography_in_the_usage_of_a_messages_answer_is_a_place() {
    for (geography, elsewhere) in [("us", true), ("global", true), ("eu", false), ("not_available", false)] {
        let body = format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{{"type":"text","text":"Hi."}}],"stop_reason":"end_turn","usage":{{"input_tokens":3,"output_tokens":2,"inference_geo":"{geography}"}}}}"#
        );
        let provider = scripted(Script::json(200, body)).await;
        let target = TargetSetup { dialect: Dialect::Anthropic, ..(&provider).into() };
        let gateway = Gateway::start(Setup::new([target]));
        assert_eq!(gateway.send(&Ask::messages()).await.status, 200, "{geography}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!(row.flags.contains(Flags::ZONE_DIFFERS), elsewhere, "{geography}");
        let zone = if elsewhere { geography } else { "eu" };
        assert_eq!(row.place.as_ref().map(|place| place.zone.as_str()), Some(zone), "{geography}");
    }
}
