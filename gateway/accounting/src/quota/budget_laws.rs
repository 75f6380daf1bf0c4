//! What must hold for budgets that are raised, that reserve what is expected, and that step down.

use std::{sync::Arc, time::Instant};

use proptest::prelude::*;
use tollgate_domain::{ModelAlias, Money, UnixMillis};

use super::*;
use crate::Now;

/// 2026-11-24T11:00:00Z.
const TODAY: UnixMillis = UnixMillis::new(1_795_518_000_000);
const HOUR: i64 = 3_600_000;

fn at(wall: UnixMillis) -> Now {
    Now { wall, mono: Instant::now() }
}

fn pico(amount: i64) -> Money {
    Money::from_pico(amount.into())
}

fn ask(cost: i64) -> Ask {
    Ask { input_tokens: 1, output_tokens: 1, cost: Some(pico(cost)) }
}

fn id() -> ScopeId {
    ScopeId { kind: ScopeKind::Project, name: "retail/search".into() }
}

fn hard(amount: i64) -> Budget {
    Budget::new(pico(amount), Period::Month, BudgetMode::Hard)
}

/// The scope of a budget, as the list that requests pass.
fn bound(quotas: &Quotas, budget: Budget) -> [Arc<Scope>; 1] {
    [quotas.scope(id(), ScopeRules { budget: Some(budget), ..ScopeRules::default() })]
}

fn quotas() -> Quotas {
    Quotas::new(Calendar::utc(), "USD".into())
}

/// Spends through a request that reserves nothing, so that no budget is in its way.
fn spend(scopes: &[Arc<Scope>], model: &ModelAlias, cost: i64, now: Now) {
    let held = admit_for(scopes, &ask(0), model, now).expect("nothing is asked");
    held.settle(&Actual { cost: pico(cost), ..Actual::default() }, now);
}

#[test]
fn a_raise_counts_from_the_next_request_until_its_end() {
    let quotas = quotas();
    let scopes = bound(&quotas, hard(100));
    spend(&scopes, &"gpt".into(), 100, at(TODAY));
    assert!(admit(&scopes, &ask(1), at(TODAY)).is_err());
    let until = TODAY.plus(HOUR);
    quotas.raise(&id(), Some(Raise { amount: pico(50), until }));
    let status = quotas.statuses(&scopes, TODAY).remove(0);
    assert_eq!((status.amount, status.ceiling, status.remaining), (pico(150), Some(pico(150)), pico(50)));
    admit(&scopes, &ask(50), at(until.plus(-1))).expect("the raise is in force").release(at(TODAY));
    assert!(admit(&scopes, &ask(1), at(until)).is_err(), "it is over");
    assert!(admit(&scopes, &ask(1), at(TODAY)).is_err(), "a clock that is set back brings none back");
    assert_eq!(quotas.statuses(&scopes, TODAY)[0].raise, None);
}

#[test]
fn a_raise_survives_a_configuration_and_ends_when_it_is_taken_back() {
    let quotas = quotas();
    quotas.raise(&id(), Some(Raise { amount: pico(50), until: TODAY.plus(HOUR) }));
    let scopes = bound(&quotas, hard(100));
    admit(&scopes, &ask(150), at(TODAY)).expect("raised before it was bound").release(at(TODAY));
    let scopes = bound(&quotas, hard(10));
    admit(&scopes, &ask(60), at(TODAY)).expect("another amount, the same raise").release(at(TODAY));
    quotas.raise(&id(), None);
    assert!(admit(&scopes, &ask(11), at(TODAY)).is_err());
}

#[test]
fn a_budget_refuses_where_it_says() {
    let cases = [
        ("hard at its amount", BudgetMode::Hard, None, Some(100)),
        ("hard before it", BudgetMode::Hard, Some(90), Some(90)),
        ("soft never", BudgetMode::Soft, None, None),
        ("soft with grace", BudgetMode::Soft, Some(120), Some(120)),
        ("observed never", BudgetMode::Observe, None, None),
    ];
    for (name, mode, refuse_at, most) in cases {
        let quotas = quotas();
        let scopes = bound(&quotas, Budget { mode, refuse_at, ..hard(100) });
        assert_eq!(quotas.statuses(&scopes, TODAY)[0].ceiling, most.map(pico), "{name}");
        let most = most.unwrap_or(1_000_000);
        let fits = admit(&scopes, &ask(most), at(TODAY));
        fits.unwrap_or_else(|refused| panic!("{name}: {refused}")).release(at(TODAY));
        let unpriced = Ask { cost: None, ..ask(0) };
        let refuses = scopes[0].rules().budget.as_ref().is_some_and(Budget::refuses);
        assert_eq!(admit(&scopes, &ask(most + 1), at(TODAY)).is_err(), refuses, "{name}");
        assert_eq!(admit(&scopes, &unpriced, at(TODAY)).is_err(), refuses, "{name}: what has no price");
    }
}

#[test]
fn a_budget_is_exhausted_when_what_is_spent_leaves_too_little() {
    let quotas = quotas();
    let scopes = bound(&quotas, hard(100));
    let exhausted = || quotas.statuses(&scopes, TODAY)[0].exhausted;
    assert!(admit(&scopes, &ask(101), at(TODAY)).is_err());
    assert!(!exhausted(), "it could never fit");
    let held = admit(&scopes, &ask(60), at(TODAY)).expect("it fits");
    assert!(admit(&scopes, &ask(50), at(TODAY)).is_err());
    assert!(!exhausted(), "only reservations are in the way");
    held.settle(&Actual { cost: pico(60), ..Actual::default() }, at(TODAY));
    assert!(admit(&scopes, &ask(50), at(TODAY)).is_err());
    assert!(exhausted());
    quotas.raise(&id(), Some(Raise { amount: pico(5), until: TODAY.plus(HOUR) }));
    assert!(!exhausted(), "of the raised amount nobody knows yet");
    quotas.raise(&id(), None);
    assert!(exhausted());
    assert!(!quotas.statuses(&scopes, TODAY.plus(7 * 24 * HOUR))[0].exhausted, "December");
}

#[test]
fn a_step_holds_from_its_share_on_and_the_highest_one_counts() {
    let quotas = quotas();
    let step = |at, model: &str| Downgrade { at, model: model.into() };
    let downgrades = vec![step(50, "mini"), step(90, "nano")];
    let scopes = bound(&quotas, Budget { downgrades, ..hard(1_000) });
    for (cost, want) in [(0, None), (499, None), (1, Some("mini")), (399, Some("mini")), (1, Some("nano"))] {
        spend(&scopes, &"gpt".into(), cost, at(TODAY));
        let now = downgrade(&scopes, TODAY);
        assert_eq!(now.as_ref().map(ModelAlias::as_str), want, "after {cost} more");
    }
    let december = TODAY.plus(7 * 24 * HOUR);
    assert_eq!(downgrade(&scopes, december), None, "a new period begins at the top");
}

#[test]
fn the_expected_is_reserved_once_enough_is_known_of_the_model() {
    let quotas = quotas();
    let scopes = bound(&quotas, Budget { reserve: Reserve::Expected, ..hard(10_000) });
    let (known, new): (ModelAlias, ModelAlias) = ("known".into(), "new".into());
    for _ in 0..20 {
        spend(&scopes, &known, 10, at(TODAY));
    }
    let reserved = |model: &ModelAlias, worst| {
        let held = admit_for(&scopes, &ask(worst), model, at(TODAY)).expect("it fits");
        let status = quotas.statuses(&scopes, TODAY).remove(0);
        held.release(at(TODAY));
        (status.reserved, status.at_risk)
    };
    assert_eq!(reserved(&known, 900), (pico(10), pico(890)));
    assert_eq!(reserved(&known, 4), (pico(4), pico(0)), "never more than the worst case");
    assert_eq!(reserved(&new, 900), (pico(900), pico(0)), "of this model nothing is known");
    let anonymous = admit(&scopes, &ask(900), at(TODAY)).expect("it fits");
    drop(anonymous);
    assert_eq!(quotas.statuses(&scopes, TODAY)[0].spent, pico(1_100), "a lost request owes its worst case");
    assert_eq!(reserved(&known, 900), (pico(10), pico(890)), "and teaches nothing");
}

proptest! {
    /// Whatever is asked and whatever it costs within its worst case: spending stays within the
    /// amount, or exceeds it by no more than was at risk when the last request was admitted.
    #[test]
    fn spending_exceeds_the_amount_by_no_more_than_was_at_risk(
        calls in prop::collection::vec((1_i64..500, 0_u8..=100, any::<bool>()), 1..200),
        expected in any::<bool>(),
    ) {
        let quotas = quotas();
        let reserve = if expected { Reserve::Expected } else { Reserve::Full };
        let amount = pico(5_000);
        let scopes = bound(&quotas, Budget { reserve, ..hard(5_000) });
        let (model, mut open, mut bound) = ("gpt".into(), Vec::new(), Money::ZERO);
        for (worst, share, stays) in calls {
            if let Ok(held) = admit_for(&scopes, &ask(worst), &model, at(TODAY)) {
                open.push((held, worst * i64::from(share) / 100));
                let status = quotas.statuses(&scopes, TODAY).remove(0);
                prop_assert!(status.spent + status.reserved <= amount);
                bound = status.at_risk;
            }
            if !stays {
                for (held, cost) in open.drain(..) {
                    held.settle(&Actual { cost: pico(cost), ..Actual::default() }, at(TODAY));
                }
            }
        }
        for (held, cost) in open.drain(..) {
            held.settle(&Actual { cost: pico(cost), ..Actual::default() }, at(TODAY));
        }
        let status = quotas.statuses(&scopes, TODAY).remove(0);
        prop_assert!(status.spent <= amount + bound, "{} of {amount}, {bound} at risk", status.spent);
        prop_assert!(expected || bound == Money::ZERO);
        prop_assert_eq!((status.reserved, status.at_risk), (Money::ZERO, Money::ZERO));
    }
}
