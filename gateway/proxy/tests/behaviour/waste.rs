//! What attempts that gave no answer cost all the same: beside the bill, never in it, never twice.

use std::time::Duration;

use tollgate_accounting::ledger::{End, Entry};
use tollgate_dialect::Dialect;
use tollgate_domain::Money;
use tollgate_proxy::{Timeouts, Waste};
use tollgate_simulator::{At, Fault, Refusal, Script, Simulator};

use crate::harness::{Ask, Gateway, Setup, provider, scripted, setup::cost};

fn consumed(provider: &Simulator) -> Money {
    let usage = provider.book().totals().consumed;
    cost(usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
}

fn wasted(row: &Entry) -> Money {
    assert_eq!(row.waste_cost, row.attempts.iter().map(|attempt| attempt.waste).sum(), "{row:?}");
    for attempt in &row.attempts {
        assert_eq!(attempt.waste, attempt.meters.iter().map(|meter| meter.cost).sum(), "{attempt:?}");
    }
    row.waste_cost
}

/// One call over a target in trouble and a healthy one, and the row of it.
async fn row_after(script: Script, ask: &Ask, dialect: Dialect) -> (Entry, [Simulator; 2]) {
    let providers = [scripted(script).await, provider().await];
    let mut setup = Setup::new(&providers);
    for target in &mut setup.targets {
        target.dialect = dialect;
    }
    setup.targets[0].timeouts = Timeouts { ttft: Duration::from_millis(300), ..Timeouts::default() };
    let gateway = Gateway::start(setup);
    let answer = gateway.send(ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ledger = gateway.stop().await;
    (ledger.only(End::Completed).clone(), providers)
}

#[tokio::test]
async fn figures_that_came_before_the_break_are_the_waste() {
    let stream = Ask::messages().body(
        r#"{"model":"claude","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi there."}]}"#,
    );
    let cases = [
        ("a whole body in a broken frame", Fault::ShortBody, Ask::chat(), Dialect::OpenAi),
        ("a start without content", Fault::EndEarly(0), stream.clone(), Dialect::Anthropic),
        ("a reset after the start", Fault::Reset(At::Chunk(0)), stream.clone(), Dialect::Anthropic),
        ("silence after the start", Fault::Stall(At::Chunk(0)), stream, Dialect::Anthropic),
    ];
    for (name, fault, ask, dialect) in cases {
        let (row, [troubled, healthy]) = row_after(Script::usual().then(fault), &ask, dialect).await;
        assert_eq!(wasted(&row), consumed(&troubled), "{name}");
        assert!(!row.waste_cost.is_zero(), "{name}");
        assert_eq!(row.cost, Some(consumed(&healthy)), "{name}: waste is not billed");
    }
}

#[tokio::test]
async fn a_project_may_be_charged_for_what_was_lost_on_its_calls() {
    let providers = [scripted(Script::usual().then(Fault::ShortBody)).await, provider().await];
    let gateway = Gateway::start(Setup { waste: Waste::Project, ..Setup::new(&providers) });
    assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    providers[0].script(Script::usual().then(Fault::ShortBody));
    providers[1].script(Script::usual().then(Fault::ShortBody));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 502);
    let ledger = gateway.stop().await;
    let both = consumed(&providers[0]) + consumed(&providers[1]);
    let charged: Money = ledger.rows.iter().filter_map(|row| row.cost).sum();
    assert_eq!(charged, both, "everything that the providers bill is the project's");
    for row in &ledger.rows {
        assert!(row.attempts.iter().any(|attempt| !attempt.waste.is_zero()), "{row:?}");
        assert_eq!(row.cost, Some(row.meters.iter().map(|meter| meter.cost).sum()), "{row:?}");
        assert_eq!(row.waste_cost, Money::ZERO, "it is not told twice");
    }
}

#[tokio::test]
async fn a_prompt_that_may_have_been_read_is_waste_by_estimate() {
    let cases = [
        ("reset before the head", Fault::Reset(At::Byte(0)), Ask::chat()),
        ("no content in time", Fault::Stall(At::Chunk(0)), Ask::stream()),
        ("an end before content", Fault::EndEarly(0), Ask::stream()),
    ];
    for (name, fault, ask) in cases {
        let (row, [_, healthy]) = row_after(Script::usual().then(fault), &ask, Dialect::OpenAi).await;
        let [meter] = &row.attempts[0].meters[..] else { panic!("{name}: {row:?}") };
        assert_eq!(wasted(&row), cost(meter.quantity, 0, 0), "{name}");
        assert!(!row.waste_cost.is_zero(), "{name}");
        assert_eq!(row.cost, Some(consumed(&healthy)), "{name}: waste is not billed");
    }
}

#[tokio::test]
async fn what_no_provider_bills_is_no_waste() {
    for refusal in [Refusal::ServerError, Refusal::Overloaded, Refusal::RateLimited { retry_after_ms: None }]
    {
        let (row, [troubled, _]) = row_after(Script::refusal(refusal), &Ask::chat(), Dialect::OpenAi).await;
        assert_eq!((wasted(&row), consumed(&troubled)), (Money::ZERO, Money::ZERO), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_call_that_fails_for_good_costs_nothing_and_shows_its_waste() {
    let broken = Script::usual().then(Fault::ShortBody);
    let providers = [scripted(broken.clone()).await, scripted(broken).await];
    let gateway = Gateway::start(Setup::new(&providers));
    assert_eq!(gateway.send(&Ask::chat()).await.status, 502);
    let ledger = gateway.stop().await;
    let row = ledger.only(End::UpstreamFailed);
    assert_eq!(row.cost, Some(Money::ZERO));
    assert_eq!(wasted(row), consumed(&providers[0]) + consumed(&providers[1]));
    assert!(row.attempts.iter().all(|attempt| !attempt.waste.is_zero()), "{row:?}");
}
