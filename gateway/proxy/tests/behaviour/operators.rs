//! What operators order beyond taking an upstream out: models, deadlines, and requests moved to another
//! region.

use tollgate_accounting::ledger::End;
use tollgate_domain::UnixMillis;
use tollgate_proxy::{Move, OperatorState, Override};
use tollgate_simulator::Simulator;

use crate::harness::{
    Ask, ByHand, Gateway, Setup, TargetSetup, gateway::word, ledger::outcomes, provider, scripted,
};

/// A first target in `north`, a second in `south`, a third in `east`.
fn three_regions(providers: &[Simulator; 3]) -> Setup {
    let mut setup = Setup::new(providers);
    for (target, region) in setup.targets.iter_mut().zip(["north", "south", "east"]) {
        target.region = region;
    }
    setup
}

fn calls(providers: &[Simulator; 3]) -> [u64; 3] {
    [0, 1, 2].map(|at| providers[at].book().totals().calls)
}

/// All requests of `north`, at once.
fn to(region: &str, permille: u16) -> Move {
    Move {
        to: region.into(),
        from_permille: 0,
        to_permille: permille,
        ramp_millis: 0,
        reason: "a test".into(),
        actor: "operator".into(),
        since: UnixMillis::new(0),
        until: None,
    }
}

/// An order to disable something whose deadline comes at the first look.
fn disabled_now() -> Override {
    Override { cut_at: Some(UnixMillis::new(1)), ..word(OperatorState::Disabled) }
}

#[tokio::test]
async fn a_model_out_of_service_is_refused_and_others_are_not() {
    for state in [OperatorState::Draining, OperatorState::Disabled] {
        let provider = provider().await;
        let mut setup = Setup::new([&provider]);
        setup.mixed = true;
        let gateway = Gateway::start(setup);
        let model = gateway.live.fleet.model(&"chat".into());
        model.operator.set(Some(word(state)));
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!((answer.status, answer.header("x-tollgate-error")), (503, "no_healthy_upstream"));
        assert_eq!(answer.header("x-tollgate-error-source"), "gateway");
        assert_eq!(gateway.send(&Ask::messages()).await.status, 200, "another model of the same target");
        model.operator.set(None);
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_forced_model_goes_to_its_targets_whatever_their_holds_say() {
    let throttled = tollgate_simulator::Script::rate_limited(std::time::Duration::from_secs(60));
    let provider = scripted(throttled).await;
    let gateway = Gateway::start(Setup::new([&provider]));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 429);
    gateway.live.fleet.model(&"chat".into()).operator.set(Some(word(OperatorState::Forced)));
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway.stop().await;
}

#[tokio::test]
async fn at_its_deadline_a_stream_ends_with_an_error_event_and_its_row() {
    for at in ["region", "upstream", "target", "model"] {
        let upstream = ByHand::listen().await;
        let setup = Setup::new([upstream.address()]);
        let name = setup.targets[0].name.clone();
        let gateway = Gateway::start(setup);
        let (_call, open) = gateway.stream_that_says("one", &upstream).await;
        let fleet = &gateway.live.fleet;
        match at {
            "region" => fleet.region(&"eu".into()).operator.set(Some(disabled_now())),
            "upstream" => fleet.upstream(&name.as_str().into()).operator.set(Some(disabled_now())),
            "model" => fleet.model(&"chat".into()).operator.set(Some(disabled_now())),
            _ => {
                let target = fleet.target(&name.as_str().into(), &"gpt-5-mini".into());
                target.operator.set(Some(disabled_now()));
            }
        }
        assert_eq!(fleet.cut_overdue(UnixMillis::new(2)).len(), 1);
        let answer = open.finish().await;
        assert!(answer.text().contains("out of service"), "{}", answer.text());
        assert!(!answer.text().contains("[DONE]"), "{at}: it never looks complete");
        assert_eq!(gateway.view(&name).success_permille, Some(1_000), "{at}: no fault of the target's");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::UpstreamFailed);
        assert_eq!(row.error_code.as_deref(), Some("upstream_truncated"), "{at}");
    }
}

#[tokio::test]
async fn what_has_not_begun_to_answer_by_the_deadline_is_answered_elsewhere() {
    for ask in [Ask::chat(), Ask::stream()] {
        let (slow, other) = (ByHand::listen().await, provider().await);
        let mut setup = Setup::new([slow.address(), TargetSetup::from(&other).address]);
        setup.targets[0].region = "north";
        let gateway = Gateway::start(setup);
        let client = gateway.begin(&ask).await;
        let _call = slow.accept().await;
        let fleet = &gateway.live.fleet;
        fleet.region(&"north".into()).operator.set(Some(disabled_now()));
        fleet.cut_overdue(UnixMillis::new(2));
        let answer = client.head().await.finish().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let ledger = gateway.stop().await;
        assert_eq!(outcomes(ledger.only(End::Completed)), ["cut", "ok"]);
    }
}

#[tokio::test]
async fn with_nowhere_else_to_go_the_client_is_told_that_its_request_was_cut() {
    let upstream = ByHand::listen().await;
    let gateway = Gateway::start(Setup::new([upstream.address()]));
    let client = gateway.begin(&Ask::chat()).await;
    let _call = upstream.accept().await;
    gateway.live.fleet.region(&"eu".into()).operator.set(Some(disabled_now()));
    gateway.live.fleet.cut_overdue(UnixMillis::new(2));
    let answer = client.head().await.finish().await;
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (502, "upstream_reset"));
    assert!(answer.text().contains("operator"), "{}", answer.text());
    gateway.stop().await;
}

#[tokio::test]
async fn others_in_flight_are_not_cut() {
    let (first, second) = (ByHand::listen().await, ByHand::listen().await);
    let mut setup = Setup::new([first.address(), second.address()]);
    setup.targets[0].region = "north";
    let gateway = Gateway::start(setup);
    let (mut call, open) = gateway.stream_that_says("one", &first).await;
    gateway.live.fleet.region(&"eu".into()).operator.set(Some(disabled_now()));
    gateway.live.fleet.cut_overdue(UnixMillis::new(2));
    // Longer than a core's housekeeping takes a rest.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    call.send_stream_end().await;
    assert!(open.finish().await.text().ends_with("data: [DONE]\n\n"));
    gateway.stop().await.only(End::Completed);
}

#[tokio::test]
async fn moved_requests_go_to_the_region_that_was_named() {
    let providers = [provider().await, provider().await, provider().await];
    let gateway = Gateway::start(three_regions(&providers));
    let north = gateway.live.fleet.region(&"north".into());
    north.moved.set(Some(to("east", 1_000)), UnixMillis::new(0));
    for _ in 0..5 {
        assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "east");
    }
    north.moved.set(None, UnixMillis::new(0));
    assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "north");
    assert_eq!(calls(&providers), [1, 0, 5]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_share_moves_and_the_rest_stays() {
    let providers = [provider().await, provider().await, provider().await];
    let gateway = Gateway::start(three_regions(&providers));
    gateway.live.fleet.region(&"north".into()).moved.set(Some(to("east", 500)), UnixMillis::new(0));
    for _ in 0..100 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    let [stay, past, moved] = calls(&providers);
    // Of a hundred fair coins, fewer than 20 heads come once in 10^10.
    assert!(past == 0 && stay >= 20 && moved >= 20, "{stay} stay, {moved} move");
    gateway.stop().await;
}

#[tokio::test]
async fn requests_of_a_region_that_is_out_go_where_they_are_moved_and_not_to_the_next() {
    let providers = [provider().await, provider().await, provider().await];
    let gateway = Gateway::start(three_regions(&providers));
    let north = gateway.live.fleet.region(&"north".into());
    north.operator.set(Some(word(OperatorState::Draining)));
    assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "south");
    north.moved.set(Some(to("east", 1_000)), UnixMillis::new(0));
    assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "east");
    gateway.stop().await;
}

#[tokio::test]
async fn who_may_not_or_cannot_go_there_stays() {
    // Not permitted there.
    let providers = [provider().await, provider().await, provider().await];
    let mut setup = three_regions(&providers);
    setup.zones = Some(vec!["north", "south"]);
    let gateway = Gateway::start(setup);
    let north = gateway.live.fleet.region(&"north".into());
    north.moved.set(Some(to("east", 1_000)), UnixMillis::new(0));
    assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "north");
    assert_eq!(calls(&providers), [1, 0, 0]);
    gateway.stop().await;

    // Out there.
    let providers = [provider().await, provider().await, provider().await];
    let gateway = Gateway::start(three_regions(&providers));
    let fleet = &gateway.live.fleet;
    fleet.region(&"north".into()).moved.set(Some(to("east", 1_000)), UnixMillis::new(0));
    fleet.region(&"east".into()).operator.set(Some(word(OperatorState::Draining)));
    assert_eq!(gateway.send(&Ask::chat()).await.header("x-tollgate-region"), "north");
    gateway.stop().await;
}
