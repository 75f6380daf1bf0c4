//! A drill puts faults into calls of the projects that it names, and into nobody else's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tollgate_accounting::ledger::{End, Entry, Flags};
use tollgate_proxy::{
    BreakerState, Drill, DrillEnd, DrillFault, DrillPlace, DrillPlan, DrillScope, Timeouts,
};

use crate::harness::{Ask, Gateway, Setup, TargetSetup, ledger::outcomes, provider, setup::NEIGHBOUR};

/// All calls of the project of the usual key meet this in the region `eu`.
fn plan(fault: DrillFault) -> DrillPlan {
    DrillPlan {
        id: "1".into(),
        place: DrillPlace::Region("eu".into()),
        fault,
        scope: DrillScope::Projects(vec![("search".into(), "assistant".into())]),
        percent: 100,
        lasts: Duration::from_secs(3_600),
        stop_below: 0,
        seed: 1,
    }
}

fn begin(gateway: &Gateway, plan: DrillPlan) -> Arc<Drill> {
    gateway.live.drills.begin(plan, Instant::now())
}

/// The preferred target stands in `eu`, the other in `us`.
fn two_regions(targets: [impl Into<TargetSetup>; 2]) -> Setup {
    let mut setup = Setup::new(targets);
    setup.targets[1].region = "us";
    setup
}

fn is_drilled(row: &Entry) -> bool {
    row.flags.contains(Flags::DRILLED)
}

#[tokio::test]
async fn every_fault_is_met_at_the_gateway_and_the_call_moves_on_as_in_an_outage() {
    let throttle = DrillFault::Throttle { retry_after: Duration::from_secs(2) };
    let too_late = DrillFault::Latency { added: Duration::from_secs(60) };
    let cases = [
        (DrillFault::Down, "connect"),
        (DrillFault::Dns, "connect"),
        (throttle, "throttled"),
        (DrillFault::Error { status: 503 }, "server_error"),
        (too_late, "timeout"),
    ];
    for (fault, outcome) in cases {
        for ask in [Ask::chat(), Ask::stream()] {
            let (eu, us) = (provider().await, provider().await);
            let mut setup = two_regions([&eu, &us]);
            if fault == too_late {
                let short = Duration::from_millis(20);
                setup.targets[0].timeouts =
                    Timeouts { head: short, stream_head: short, ..Timeouts::default() };
            }
            let gateway = Gateway::start(setup);
            let drill = begin(&gateway, plan(fault));
            let answer = gateway.send(&ask).await;
            assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (200, "2"), "{fault:?}");
            assert_eq!(answer.header("x-tollgate-region"), "us", "{fault:?}");
            assert_eq!(eu.book().totals().calls, 0, "{fault:?}: the provider has heard of it");
            let ledger = gateway.stop().await;
            let row = ledger.only(End::Completed);
            assert_eq!(outcomes(row), [outcome, "ok"], "{fault:?}");
            assert!(is_drilled(row), "{fault:?}: {:?}", row.flags);
            let measured = drill.measured();
            assert_eq!((measured.requests, measured.succeeded, measured.injected), (1, 1, 1), "{fault:?}");
            assert_eq!((measured.attempts, measured.spared), (2, 0), "{fault:?}");
            assert_eq!(Some(measured.cost), row.cost, "{fault:?}");
            assert_eq!(measured.first_failure, None, "{fault:?}: no client was told");
        }
    }
}

#[tokio::test]
async fn breakers_act_for_drilled_calls_and_for_nobody_else() {
    let (eu, us) = (provider().await, provider().await);
    let (name, setup) = (TargetSetup::from(&eu).name, two_regions([&eu, &us]));
    let gateway = Gateway::start(setup);
    let drill = begin(&gateway, plan(DrillFault::Down));
    for _ in 0..8 {
        assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "us");
    }
    let measured = drill.measured();
    assert_eq!((measured.injected, measured.spared), (5, 3), "five faults in a row open a breaker");
    let real = gateway.view(&name);
    assert_eq!((real.breaker, real.success_permille, real.hold), (BreakerState::Closed, None, None));
    let neighbour = Ask::chat().with("authorization", format!("Bearer {NEIGHBOUR}"));
    let answer = gateway.send(&neighbour).await;
    assert_eq!((answer.header("x-tollgate-region"), answer.header("x-tollgate-attempts")), ("eu", "1"));
    drill.end(DrillEnd::Stopped, Instant::now());
    gateway.live.drills.remove("1");
    let after = gateway.send(&Ask::chat()).await;
    assert_eq!((after.header("x-tollgate-region"), after.header("x-tollgate-attempts")), ("eu", "1"));
    let ledger = gateway.stop().await;
    let drilled = ledger.rows.iter().filter(|row| is_drilled(row));
    assert_eq!(drilled.count(), 8, "the neighbour's row and the one afterwards are not marked");
}

#[tokio::test]
async fn a_throttle_holds_the_target_for_drilled_calls_alone() {
    let (eu, us) = (provider().await, provider().await);
    let name = TargetSetup::from(&eu).name;
    let gateway = Gateway::start(two_regions([&eu, &us]));
    let drill = begin(&gateway, plan(DrillFault::Throttle { retry_after: Duration::from_secs(60) }));
    for _ in 0..4 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    let measured = drill.measured();
    assert_eq!((measured.injected, measured.spared), (1, 3), "the hint is obeyed");
    assert_eq!(gateway.view(&name).hold, None);
    gateway.stop().await;
}

#[tokio::test]
async fn a_drawn_share_takes_part_and_the_rest_does_not() {
    let (eu, us) = (provider().await, provider().await);
    let gateway = Gateway::start(two_regions([&eu, &us]));
    let drill = begin(&gateway, DrillPlan { percent: 40, ..plan(DrillFault::Error { status: 500 }) });
    for _ in 0..50 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    let part = drill.measured().requests;
    assert!((10..=30).contains(&part), "{part} of 50");
    assert_eq!(eu.book().totals().calls, 50 - part);
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.iter().filter(|row| is_drilled(row)).count() as u64, part);
}

#[tokio::test]
async fn added_latency_is_waited_for_before_the_call_and_measured() {
    let eu = provider().await;
    let gateway = Gateway::start(Setup::new([&eu]));
    let drill = begin(&gateway, plan(DrillFault::Latency { added: Duration::from_millis(40) }));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let measured = drill.measured();
    let (added, answer) = (measured.added.expect("a time"), measured.answer.expect("a time"));
    assert!(added.p50 >= 40 && answer.p50 >= 40, "{added:?} {answer:?}");
    assert_eq!(measured.recovery, None, "it was answered from the drilled place");
    assert_eq!(eu.book().totals().calls, 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_cut_stream_ends_with_an_error_and_plain_calls_know_nothing_of_it() {
    let eu = provider().await;
    let gateway = Gateway::start(Setup::new([&eu]));
    let drill = begin(&gateway, plan(DrillFault::Cut { after: 0 }));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    let answer = gateway.send(&Ask::stream()).await;
    assert!(answer.text().contains("upstream_truncated"), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    let measured = drill.measured();
    assert_eq!((measured.requests, measured.failed, measured.injected), (1, 1, 1));
    assert_eq!(measured.failed_by_code.get("upstream_truncated"), Some(&1));
    assert!(measured.first_failure >= measured.first_fault, "{measured:?}");
    let ledger = gateway.stop().await;
    let ends: Vec<_> = ledger.rows.iter().map(|row| (row.end, is_drilled(row))).collect();
    assert_eq!(ends, [(Some(End::Completed), false), (Some(End::Truncated), true)]);
}

#[tokio::test]
async fn a_trickle_slows_a_stream_and_takes_nothing_from_it() {
    let eu = provider().await;
    let gateway = Gateway::start(Setup::new([&eu]));
    let whole = gateway.send(&Ask::stream()).await.text().matches("data:").count();
    let drill = begin(&gateway, plan(DrillFault::Trickle { every: Duration::from_millis(5) }));
    let answer = gateway.send(&Ask::stream()).await;
    assert!(answer.text().contains("[DONE]"), "{}", answer.text());
    assert_eq!(answer.text().matches("data:").count(), whole);
    let measured = drill.measured();
    assert_eq!((measured.succeeded, measured.injected), (1, 1));
    assert!(measured.answer.expect("a time").p50 >= 5, "{measured:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn residency_holds_in_a_drill_and_the_error_budget_ends_it() {
    let (eu, us) = (provider().await, provider().await);
    let mut setup = two_regions([&eu, &us]);
    setup.zones = Some(vec!["eu"]);
    let gateway = Gateway::start(setup);
    let drill = begin(&gateway, DrillPlan { stop_below: 50, ..plan(DrillFault::Down) });
    let mut failed = 0;
    while drill.ended(Instant::now()).is_none() {
        assert!(gateway.send(&Ask::chat()).await.status >= 500);
        failed += 1;
    }
    assert_eq!(failed, 20, "the least that says something");
    assert_eq!(drill.ended(Instant::now()).map(|(why, _)| why), Some(DrillEnd::Budget));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200, "a drill that is over hurts nobody");
    let measured = drill.measured();
    assert_eq!((measured.requests, measured.failed, measured.misplaced), (20, 20, 0));
    assert_eq!((us.book().totals().calls, eu.book().totals().calls), (0, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn calls_that_cannot_come_to_the_drilled_place_take_no_part() {
    let (eu, us) = (provider().await, provider().await);
    let mut setup = two_regions([&eu, &us]);
    setup.zones = Some(vec!["us"]);
    let gateway = Gateway::start(setup);
    let drill = begin(&gateway, plan(DrillFault::Down));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    assert_eq!((drill.measured().requests, drill.in_flight()), (0, 0));
    assert!(!is_drilled(gateway.stop().await.only(End::Completed)));
}
