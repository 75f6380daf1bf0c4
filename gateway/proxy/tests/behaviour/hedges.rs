//! A stream that nobody begins to answer for long is asked for once more elsewhere; the first content wins,
//! and what the other copy has cost is waste.

use std::time::Duration;

use tollgate_accounting::ledger::{End, Entry};
use tollgate_domain::Money;
use tollgate_proxy::Hedge;

use crate::harness::{Ask, ByHand, Gateway, Setup, TargetSetup, ledger::outcomes, until};

/// A gateway before two providers in the test's hand, which sends a copy soon.
async fn hedging() -> (Setup, [ByHand; 2]) {
    let upstreams = [ByHand::listen().await, ByHand::listen().await];
    let mut setup = Setup::new(upstreams.each_ref().map(ByHand::address));
    let after = Duration::from_millis(20);
    setup.hedge = Some(Hedge { max_cost: Money::from_pico(1_000_000_000_000), after });
    (setup, upstreams)
}

fn served_by(row: &Entry, upstream: &ByHand) -> bool {
    let name = format!("up-{}", upstream.address().port());
    row.place.as_ref().is_some_and(|place| place.upstream.as_str() == name)
}

/// Each of the lost copies is waste, and only the answer is billed.
fn is_wasted(row: &Entry) -> bool {
    let [lost, answered] = &row.attempts[..] else { return false };
    !lost.waste.is_zero() && answered.waste.is_zero() && row.waste_cost == lost.waste
}

#[tokio::test]
async fn the_second_copy_wins_where_the_first_stays_silent() {
    let (setup, [silent, quick]) = hedging().await;
    let gateway = Gateway::start(setup);
    let client = gateway.begin(&Ask::stream()).await;
    let mut first = silent.accept().await;
    let mut second = quick.accept().await;
    first.send_stream_head().await;
    second.send_stream_head().await;
    second.send_content("hello").await;
    second.send_stream_end().await;
    let answer = client.head().await.finish().await;
    assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (200, "2"));
    assert_eq!(answer.text().matches("hello").count(), 1, "{}", answer.text());
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    first.wait_for_close().await;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(outcomes(row), ["outrun", "ok"]);
    assert!(served_by(row, &quick) && is_wasted(row), "{row:?}");
    assert_eq!((row.usage.input_tokens(), row.usage.output_tokens()), (7, 3));
}

#[tokio::test]
async fn the_first_copy_wins_where_it_speaks_first() {
    let (setup, [slow, silent]) = hedging().await;
    let gateway = Gateway::start(setup);
    let client = gateway.begin(&Ask::stream()).await;
    let mut first = slow.accept().await;
    let mut second = silent.accept().await;
    first.send_stream_head().await;
    first.send_content("hello").await;
    first.send_stream_end().await;
    assert_eq!(client.head().await.finish().await.status, 200);
    second.wait_for_close().await;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::Completed);
    assert_eq!(outcomes(row), ["outrun", "ok"]);
    assert!(served_by(row, &slow) && is_wasted(row), "{row:?}");
    let numbers: Vec<_> = row.attempts.iter().map(|attempt| attempt.n).collect();
    assert_eq!(numbers, [2, 1], "the second was lost");
}

#[tokio::test]
async fn a_copy_that_fails_leaves_the_other_alone() {
    for first_fails in [true, false] {
        let (setup, upstreams) = hedging().await;
        let gateway = Gateway::start(setup);
        let client = gateway.begin(&Ask::stream()).await;
        let [first, second] = [upstreams[0].accept().await, upstreams[1].accept().await];
        let (mut failing, mut answering) = if first_fails { (first, second) } else { (second, first) };
        failing.send("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
        let name = |at: usize| format!("up-{}", upstreams[at].address().port());
        let failed_at = name(usize::from(!first_fails));
        until("the failure is seen", || gateway.view(&failed_at).in_flight == 0).await;
        answering.send_stream_head().await;
        answering.send_content("hello").await;
        answering.send_stream_end().await;
        assert_eq!(client.head().await.finish().await.status, 200, "{first_fails}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!(outcomes(row), ["server_error", "ok"], "{first_fails}");
        assert!(served_by(row, &upstreams[usize::from(first_fails)]), "{first_fails}: {row:?}");
        assert!(row.waste_cost.is_zero(), "nobody bills a 500");
    }
}

#[tokio::test]
async fn where_both_fail_the_next_target_is_asked() {
    let (mut setup, [one, other]) = hedging().await;
    let third = crate::harness::provider().await;
    setup.targets.push(TargetSetup::at(third.addr()));
    let gateway = Gateway::start(setup);
    let client = gateway.begin(&Ask::stream()).await;
    let (mut first, mut second) = (one.accept().await, other.accept().await);
    for call in [&mut first, &mut second] {
        call.send("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    }
    assert_eq!(client.head().await.finish().await.status, 200);
    let ledger = gateway.stop().await;
    assert_eq!(outcomes(ledger.only(End::Completed)), ["server_error", "server_error", "ok"]);
}

#[tokio::test]
async fn a_client_that_leaves_takes_both_along_and_both_are_told_of() {
    let (setup, [one, other]) = hedging().await;
    let gateway = Gateway::start(setup);
    let client = gateway.begin(&Ask::stream()).await;
    let (mut first, mut second) = (one.accept().await, other.accept().await);
    drop(client);
    first.wait_for_close().await;
    second.wait_for_close().await;
    let ledger = gateway.stop().await;
    let row = ledger.only(End::ClientAbort);
    assert_eq!(outcomes(row), ["cancelled"], "the other is the one that the row is about");
    assert!(!row.waste_cost.is_zero() && row.cost.is_some_and(|cost| !cost.is_zero()), "{row:?}");
}

#[tokio::test]
async fn no_copy_is_sent_where_it_would_cost_too_much_or_help_nothing() {
    type Change = fn(&mut Setup);
    let cases: [(&str, Ask, Change); 5] = [
        ("the route does not want it", Ask::stream(), |setup| setup.hedge = None),
        ("it could cost too much", Ask::stream(), |setup| {
            setup.hedge = setup.hedge.map(|hedge| Hedge { max_cost: Money::from_pico(1), ..hedge });
        }),
        ("a plain call", Ask::chat(), |_| {}),
        ("the same fate", Ask::stream(), |setup| {
            setup.targets.iter_mut().for_each(|target| target.fate = "one".into());
        }),
        ("no price", Ask::stream(), |setup| setup.priced = false),
    ];
    for (name, ask, change) in cases {
        let (mut setup, [one, other]) = hedging().await;
        change(&mut setup);
        let gateway = Gateway::start(setup);
        let client = gateway.begin(&ask).await;
        let mut call = one.accept().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        if name == "a plain call" {
            call.send_plain("{}").await;
        } else {
            call.send_stream_head().await;
            call.send_content("hello").await;
            call.send_stream_end().await;
        }
        let answer = client.head().await.finish().await;
        assert_eq!((answer.status, answer.header("x-tollgate-attempts")), (200, "1"), "{name}");
        drop(other);
        assert_eq!(outcomes(gateway.stop().await.only(End::Completed)), ["ok"], "{name}");
    }
}
