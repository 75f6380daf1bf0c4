//! What must hold for admission as a whole, told through the public faces only.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tollgate_domain::{Money, UnixMillis};

use super::*;
use crate::Now;

const DAY: i64 = 86_400_000;
/// 2026-11-24T11:00:00Z.
const TODAY: i64 = 1_795_518_000_000;

/// Where every test begins.
fn today() -> Now {
    Now { wall: UnixMillis::new(TODAY), mono: Instant::now() }
}

fn quotas() -> Quotas {
    Quotas::new(Calendar::utc(), "USD".into())
}

fn id(kind: ScopeKind, name: &str) -> ScopeId {
    ScopeId { kind, name: name.into() }
}

fn project() -> ScopeId {
    id(ScopeKind::Project, "retail/search")
}

fn pico(amount: i64) -> Money {
    Money::from_pico(amount.into())
}

fn ask(input_tokens: u64, output_tokens: u64, cost: i64) -> Ask {
    Ask { input_tokens, output_tokens, cost: Some(pico(cost)) }
}

fn actual(input_tokens: u64, output_tokens: u64, cost: i64) -> Actual {
    Actual { input_tokens, cached_input_tokens: 0, output_tokens, cost: pico(cost) }
}

fn budget(amount: i64, mode: BudgetMode) -> ScopeRules {
    ScopeRules { budget: Some(Budget::new(pico(amount), Period::Month, mode)), ..ScopeRules::default() }
}

fn limits(limits: Limits) -> ScopeRules {
    ScopeRules { limits, ..ScopeRules::default() }
}

/// Spent and reserved pico-units of a scope with a budget.
fn standing(quotas: &Quotas, scope: &Arc<Scope>, at: UnixMillis) -> (i128, i128) {
    let status = quotas.statuses(std::slice::from_ref(scope), at).remove(0);
    assert_eq!(status.remaining, status.amount - status.spent - status.reserved);
    (status.spent.pico(), status.reserved.pico())
}

#[test]
fn every_end_of_a_reservation_counts_once() {
    type End = fn(Reservation, Now);
    let cases: [(&str, End, i128); 5] = [
        ("settled below", |held, now| held.settle(&actual(10, 5, 30), now), 30),
        ("settled above: owed at once", |held, now| held.settle(&actual(10, 90, 150), now), 150),
        ("released", |held, now| held.release(now), 0),
        ("dropped: the estimate", |held, _| drop(held), 100),
        (
            "lost by a panic",
            |held, _| {
                let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _held = held;
                    std::panic::resume_unwind(Box::new("injected"));
                }));
                assert!(lost.is_err());
            },
            100,
        ),
    ];
    for (name, end, spent) in cases {
        let (quotas, now) = (quotas(), today());
        let scope = quotas.scope(project(), budget(1_000, BudgetMode::Hard));
        let held = admit(std::slice::from_ref(&scope), &ask(10, 50, 100), now).expect("fits");
        assert_eq!((held.cost(), held.output_tokens()), (pico(100), 50), "{name}");
        assert_eq!(
            (standing(&quotas, &scope, now.wall), quotas.open_reservations()),
            ((0, 100), 1),
            "{name}"
        );
        end(held, now);
        assert_eq!(
            (standing(&quotas, &scope, now.wall), quotas.open_reservations()),
            ((spent, 0), 0),
            "{name}"
        );
    }
}

#[test]
fn a_debt_is_seen_by_the_next_request() {
    let (quotas, now) = (quotas(), today());
    let scopes = [quotas.scope(project(), budget(100, BudgetMode::Hard))];
    let held = admit(&scopes, &ask(0, 0, 60), now).expect("fits");
    held.settle(&actual(0, 0, 130), now);
    let refused = admit(&scopes, &ask(0, 0, 1), now).expect_err("nothing is left");
    assert_eq!((refused.limit, refused.never_fits, refused.retry_after), (LimitKind::Budget, false, None));
    assert_eq!(refused.resets_at(), Some(UnixMillis::new(1_796_083_200_000)), "2026-12-01");
    assert_eq!(quotas.statuses(&scopes, now.wall)[0].remaining, pico(-30));
    let december = Now { wall: UnixMillis::new(1_796_083_200_000), ..now };
    assert!(admit(&scopes, &ask(0, 0, 100), december).is_ok(), "a new month is a new amount");
}

#[test]
fn only_a_hard_budget_refuses() {
    for (mode, passes) in [(BudgetMode::Hard, false), (BudgetMode::Soft, true), (BudgetMode::Observe, true)] {
        let (quotas, now) = (quotas(), today());
        let scopes = [quotas.scope(project(), budget(100, mode))];
        let unpriced = Ask { cost: None, ..ask(1, 1, 0) };
        match admit(&scopes, &unpriced, now) {
            Ok(held) => held.settle(&actual(1, 1, 0), now),
            Err(refused) => assert!(refused.is_unpriced() && !refused.never_fits && !passes),
        }
        let large = admit(&scopes, &ask(0, 0, 101), now);
        assert_eq!(
            large.as_ref().map_err(|refused| refused.never_fits).err(),
            (!passes).then_some(true),
            "{mode:?}"
        );
        drop(large);
        let spent = if passes { 101 } else { 0 };
        assert_eq!(standing(&quotas, &scopes[0], now.wall), (spent, 0), "{mode:?}: what passes is accounted");
    }
}

#[test]
fn a_budget_of_nothing_closes_the_scope() {
    let (quotas, now) = (quotas(), today());
    let scopes = [quotas.scope(project(), budget(0, BudgetMode::Hard))];
    let refused = admit(&scopes, &ask(1, 1, 1), now).expect_err("closed");
    assert!(!refused.never_fits, "the budget is at fault, not the request");
    assert!(admit(&scopes, &ask(1, 1, 0), now).is_ok(), "what costs nothing passes");
}

#[test]
fn each_limit_refuses_under_its_name() {
    let none = Limits::default;
    let cases = [
        (LimitKind::RequestsPerSecond, Limits { requests_per_second: Some(1), ..none() }, Some(1_000)),
        (LimitKind::RequestsPerMinute, Limits { requests_per_minute: Some(1), ..none() }, Some(60_000)),
        (LimitKind::TokensPerMinute, Limits { tokens_per_minute: Some(150), ..none() }, Some(20_000)),
        (
            LimitKind::InputTokensPerMinute,
            Limits { input_tokens_per_minute: Some(50), ..none() },
            Some(36_000),
        ),
        (
            LimitKind::OutputTokensPerMinute,
            Limits { output_tokens_per_minute: Some(80), ..none() },
            Some(30_000),
        ),
        (LimitKind::TokensPerDay, Limits { tokens_per_day: Some(199), ..none() }, None),
        (LimitKind::TokensPerMonth, Limits { tokens_per_month: Some(199), ..none() }, None),
        (LimitKind::ConcurrentRequests, Limits { concurrent_requests: Some(1), ..none() }, Some(1_000)),
    ];
    for (kind, rules, retry_after) in cases {
        let (quotas, now) = (quotas(), today());
        let scopes = [quotas.scope(project(), limits(rules))];
        let held = admit(&scopes, &ask(40, 60, 0), now).expect("the first fits");
        let refused = admit(&scopes, &ask(40, 60, 0), now).expect_err("the second does not");
        assert_eq!(refused.limit, kind);
        assert_eq!(refused.scope, project(), "{kind:?}");
        assert_eq!(refused.retry_after, retry_after.map(Duration::from_millis), "{kind:?}");
        assert_eq!(refused.resets_at().is_some(), retry_after.is_none(), "{kind:?}");
        assert!(!refused.never_fits, "{kind:?}");
        held.release(now);
        let given_back = !matches!(kind, LimitKind::RequestsPerSecond | LimitKind::RequestsPerMinute);
        assert_eq!(admit(&scopes, &ask(40, 60, 0), now).is_ok(), given_back, "{kind:?}");
    }
}

#[test]
fn a_request_larger_than_a_token_limit_never_fits() {
    let none = Limits::default;
    let cases = [
        Limits { tokens_per_minute: Some(99), ..none() },
        Limits { input_tokens_per_minute: Some(39), ..none() },
        Limits { output_tokens_per_minute: Some(59), ..none() },
        Limits { tokens_per_day: Some(99), ..none() },
        Limits { tokens_per_month: Some(99), ..none() },
    ];
    for rules in cases {
        let (quotas, now) = (quotas(), today());
        let scopes = [quotas.scope(project(), limits(rules.clone()))];
        let refused = admit(&scopes, &ask(40, 60, 0), now).expect_err("larger than the limit");
        assert!(refused.never_fits && refused.retry_after.is_none(), "{rules:?}");
    }
}

#[test]
fn a_refusal_leaves_the_other_scopes_as_they_were() {
    let (quotas, now) = (quotas(), today());
    let roomy = || {
        let all = Limits {
            tokens_per_minute: Some(100),
            tokens_per_day: Some(100),
            concurrent_requests: Some(1),
            ..Limits::default()
        };
        ScopeRules { limits: all, ..budget(100, BudgetMode::Hard) }
    };
    let key = quotas.scope(id(ScopeKind::Key, "retail/search/prod"), roomy());
    let middle = quotas.scope(project(), roomy());
    let team = quotas.scope(id(ScopeKind::Team, "retail"), budget(99, BudgetMode::Hard));
    let refused =
        admit(&[key.clone(), middle.clone(), team.clone()], &ask(40, 60, 100), now).expect_err("team");
    assert_eq!(refused.scope_kind(), ScopeKind::Team);
    assert_eq!(quotas.open_reservations(), 0);
    for scope in [key, middle] {
        assert_eq!(standing(&quotas, &scope, now.wall), (0, 0));
        assert!(admit(&[scope], &ask(40, 60, 100), now).is_ok(), "all of it is still there");
    }
}

#[test]
fn cached_input_counts_by_its_weight() {
    let (quotas, now) = (quotas(), today());
    let rules = Limits {
        tokens_per_minute: Some(1_000),
        tokens_per_day: Some(1_000),
        cached_input_weight: Weight::from_millionths(100_000).expect("a share"),
        ..Limits::default()
    };
    let scopes = [quotas.scope(project(), limits(rules))];
    let held = admit(&scopes, &ask(900, 100, 0), now).expect("fits");
    held.settle(&Actual { cached_input_tokens: 800, ..actual(900, 100, 0) }, now);
    // 100 uncached, a tenth of 800 cached, 100 output: 280 are used.
    assert!(admit(&scopes, &ask(721, 0, 0), now).is_err());
    assert!(admit(&scopes, &ask(720, 0, 0), now).is_ok());
}

#[test]
fn headroom_is_that_of_the_tightest_limit() {
    let (quotas, now) = (quotas(), today());
    let key = Limits { requests_per_minute: Some(60), tokens_per_minute: Some(6_000), ..Limits::default() };
    let team = Limits { requests_per_minute: Some(30), tokens_per_day: Some(1_000), ..Limits::default() };
    let scopes = [
        quotas.scope(id(ScopeKind::Key, "a/b/c"), limits(key)),
        quotas.scope(id(ScopeKind::Team, "a"), limits(team)),
    ];
    let headroom = admit(&scopes, &ask(40, 60, 0), now).expect("fits").headroom();
    let requests = LimitLeft { limit: 30, remaining: 29, reset_after: Duration::from_secs(2) };
    let tokens = LimitLeft { limit: 1_000, remaining: 900, reset_after: Duration::from_secs(13 * 3_600) };
    assert_eq!(headroom, Headroom { requests: Some(requests), tokens: Some(tokens) });
}

#[test]
fn counters_outlive_rules_and_unused_rules_change_nothing() {
    let (quotas, now) = (quotas(), today());
    let old = quotas.scope(project(), budget(100, BudgetMode::Hard));
    admit(std::slice::from_ref(&old), &ask(0, 0, 60), now).expect("fits").settle(&actual(0, 0, 60), now);
    let new = quotas.scope(project(), budget(70, BudgetMode::Hard));
    assert!(admit(std::slice::from_ref(&old), &ask(0, 0, 40), now).map(|held| held.release(now)).is_ok());
    assert!(admit(std::slice::from_ref(&new), &ask(0, 0, 10), now).map(|held| held.release(now)).is_ok());
    assert!(
        admit(std::slice::from_ref(&old), &ask(0, 0, 40), now).is_err(),
        "a request that still has the former rules meets those in force"
    );
    // A budget of another period starts from what was spent, too.
    let mut yearly = budget(70, BudgetMode::Hard);
    yearly.budget.as_mut().expect("a budget").period = Period::Year;
    let yearly = quotas.scope(project(), yearly);
    assert_eq!(standing(&quotas, &yearly, now.wall), (60, 0));
}

#[test]
fn a_request_rate_survives_new_rules_with_the_same_rate() {
    let (quotas, now) = (quotas(), today());
    let rules = || limits(Limits { requests_per_minute: Some(1), ..Limits::default() });
    assert!(admit(&[quotas.scope(project(), rules())], &ask(0, 0, 0), now).is_ok());
    assert!(admit(&[quotas.scope(project(), rules())], &ask(0, 0, 0), now).is_err());
}

#[test]
fn a_restart_and_a_new_name_keep_what_was_spent() {
    let (quotas, now) = (quotas(), today());
    let november = Calendar::utc().window_of(Period::Month, now.wall).start;
    let (before, after) = (id(ScopeKind::Project, "retail/find"), project());
    quotas.restore(&before, Period::Month, november, pico(30));
    quotas.restore(&after, Period::Month, november, pico(12));
    quotas.restore_tokens(&before, Period::Month, november, 500);
    for _ in 0..2 {
        quotas.rename(&before, &after);
        let scope = quotas.scope(after.clone(), budget(100, BudgetMode::Hard));
        assert_eq!(standing(&quotas, &scope, now.wall), (42, 0), "a second time carries nothing over");
    }
    let monthly = Limits { tokens_per_month: Some(600), ..Limits::default() };
    let scope = quotas.scope(after, limits(monthly));
    assert!(admit(std::slice::from_ref(&scope), &ask(101, 0, 0), now).is_err());
    assert!(admit(std::slice::from_ref(&scope), &ask(100, 0, 0), now).is_ok());
}

#[test]
fn a_scope_renamed_while_requests_are_open_takes_them_along() {
    let (quotas, now) = (quotas(), today());
    let old = id(ScopeKind::Project, "retail/find");
    let held = admit(&[quotas.scope(old.clone(), budget(100, BudgetMode::Hard))], &ask(0, 0, 60), now)
        .expect("fits");
    quotas.rename(&old, &project());
    let scope = quotas.scope(project(), budget(100, BudgetMode::Hard));
    assert_eq!(standing(&quotas, &scope, now.wall), (0, 60));
    held.settle(&actual(0, 0, 50), now);
    assert_eq!(standing(&quotas, &scope, now.wall), (50, 0));
}

#[test]
fn a_share_of_a_limit_is_all_that_may_be_spent() {
    struct Half;
    impl LeaseSource for Half {
        fn share(&self, _: &ScopeId, _: LimitKind, _: Window, limit: i128) -> i128 {
            limit / 2
        }
    }
    let (quotas, now) = (Quotas::with_leases(Calendar::utc(), "USD".into(), Half), today());
    let scopes = [quotas.scope(project(), budget(100, BudgetMode::Hard))];
    assert!(admit(&scopes, &ask(0, 0, 51), now).is_err_and(|refused| !refused.never_fits));
    assert!(admit(&scopes, &ask(0, 0, 50), now).is_ok());
}

#[test]
fn threads_together_never_exceed_a_hard_budget_and_can_use_all_of_it() {
    const THREADS: usize = 8;
    const REQUESTS: usize = 400;
    let (quotas, now) = (quotas(), today());
    let team = quotas.scope(id(ScopeKind::Team, "retail"), budget(40_000, BudgetMode::Hard));
    let admitted: usize = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..THREADS)
            .map(|n| {
                let rules = limits(Limits { concurrent_requests: Some(2), ..Limits::default() });
                let key = quotas.scope(id(ScopeKind::Key, &format!("retail/search/{n}")), rules);
                let scopes = [key, team.clone()];
                let quotas = &quotas;
                threads.spawn(move || {
                    let attempts = (0..REQUESTS).filter_map(|n| {
                        let held = admit(&scopes, &ask(10, 10, 100), now).ok()?;
                        let (spent, reserved) = standing(quotas, &scopes[1], now.wall);
                        assert!(spent + reserved <= 40_000, "spent {spent}, reserved {reserved}");
                        match n % 4 {
                            0 => held.release(now),
                            1 => drop(held),
                            _ => held.settle(&actual(10, 1, 100), now),
                        }
                        Some(usize::from(n % 4 != 0))
                    });
                    attempts.sum::<usize>()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
    });
    assert_eq!(standing(&quotas, &team, now.wall), (admitted as i128 * 100, 0));
    assert_eq!(admitted, 400, "all of the budget was usable");
    assert_eq!(quotas.open_reservations(), 0);
}

/// What can happen to a gateway.
#[derive(Clone, Debug)]
enum Step {
    Admit {
        scopes: usize,
        cost: i64,
    },
    /// Ends one of the open reservations, with this share of its cost in percent.
    Settle {
        which: usize,
        percent: i64,
    },
    Release {
        which: usize,
    },
    Lose {
        which: usize,
    },
    /// The wall clock moves, backwards too.
    Clock {
        hours: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..=3, 0_i64..60).prop_map(|(scopes, cost)| Step::Admit { scopes, cost }),
        2 => (any::<usize>(), 0_i64..200).prop_map(|(which, percent)| Step::Settle { which, percent }),
        1 => any::<usize>().prop_map(|which| Step::Release { which }),
        1 => any::<usize>().prop_map(|which| Step::Lose { which }),
        1 => (-200_i64..400).prop_map(|hours| Step::Clock { hours }),
    ]
}

/// A scope as plainly as it can be told: by month, what is spent and what is reserved.
#[derive(Default)]
struct Model {
    newest: i64,
    months: BTreeMap<i64, (i64, i64)>,
}

impl Model {
    /// The month that a request belongs to: never one before the newest that was seen.
    fn month(&mut self, now: UnixMillis) -> i64 {
        // Days are what the clock is not allowed to go back behind: within a month they decide
        // nothing, and at its border they are the month.
        self.newest = self.newest.max(now.get() / DAY * DAY);
        Calendar::utc().window_of(Period::Month, now.max(UnixMillis::new(self.newest))).start.get()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn scopes_account_for_everything_and_hard_amounts_hold(steps in proptest::collection::vec(step(), 1..80)) {
        let amounts = [100_i64, 130, 160];
        let kinds = [ScopeKind::Key, ScopeKind::Project, ScopeKind::Team];
        let quotas = quotas();
        let scopes: Vec<_> = kinds.iter().zip(amounts)
            .map(|(kind, amount)| quotas.scope(id(*kind, "s"), budget(amount, BudgetMode::Hard))).collect();
        let mut models: [Model; 3] = Default::default();
        let mut now = today();
        let mut open: Vec<(Reservation, Vec<i64>, i64)> = Vec::new();
        for step in steps {
            let (ended, paid) = match step {
                Step::Clock { hours } => {
                    now.wall = now.wall.plus(hours * 3_600_000);
                    continue;
                }
                Step::Admit { scopes: count, cost } => {
                    let mut months = Vec::new();
                    let fits = (0..count).all(|n| {
                        months.push(models[n].month(now.wall));
                        let (spent, reserved) = *models[n].months.entry(months[n]).or_default();
                        spent + reserved + cost <= amounts[n]
                    });
                    let admitted = admit(&scopes[..count], &ask(1, 1, cost), now);
                    prop_assert_eq!(admitted.is_ok(), fits);
                    if let Ok(held) = admitted {
                        for (model, month) in models.iter_mut().zip(&months) {
                            model.months.entry(*month).or_default().1 += cost;
                        }
                        open.push((held, months, cost));
                    }
                    continue;
                }
                Step::Settle { .. } | Step::Release { .. } | Step::Lose { .. } if open.is_empty() => continue,
                Step::Settle { which, percent } => {
                    let (held, months, cost) = open.swap_remove(which % open.len());
                    let paid = cost * percent / 100;
                    held.settle(&actual(1, 1, paid), now);
                    ((months, cost), paid)
                }
                Step::Release { which } => {
                    let (held, months, cost) = open.swap_remove(which % open.len());
                    held.release(now);
                    ((months, cost), 0)
                }
                Step::Lose { which } => {
                    let (held, months, cost) = open.swap_remove(which % open.len());
                    drop(held);
                    ((months, cost), cost)
                }
            };
            for (model, month) in models.iter_mut().zip(ended.0) {
                let entry = model.months.entry(month).or_default();
                entry.1 -= ended.1;
                entry.0 += paid;
            }
            prop_assert_eq!(quotas.open_reservations(), open.len() as u64);
        }
        for (held, months, cost) in open {
            drop(held);
            for (model, month) in models.iter_mut().zip(months) {
                let entry = model.months.entry(month).or_default();
                *entry = (entry.0 + cost, entry.1 - cost);
            }
        }
        for (scope, model) in scopes.iter().zip(&mut models) {
            let month = model.month(now.wall);
            let (spent, reserved) = model.months.get(&month).copied().unwrap_or_default();
            prop_assert_eq!(reserved, 0);
            prop_assert_eq!(standing(&quotas, scope, now.wall), (spent.into(), 0));
        }
    }
}
