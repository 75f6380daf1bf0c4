//! Limits and budgets at the three levels, as a client meets them.

use tollgate_accounting::{
    ledger::Kind,
    quota::{Budget, BudgetMode, Limits, Period, ScopeRules},
};

use crate::harness::{Answer, Ask, ByHand, Gateway, Setup, provider, setup::Rules, until};

/// The same rules at each level in turn, with the name of the scope that speaks.
fn levels(rules: &ScopeRules) -> [(Rules, &'static str); 3] {
    [
        (Rules { key: rules.clone(), ..Rules::default() }, "search/assistant/main"),
        (Rules { project: rules.clone(), ..Rules::default() }, "search/assistant"),
        (Rules { team: rules.clone(), ..Rules::default() }, "search"),
    ]
}

fn limits(limits: Limits) -> ScopeRules {
    ScopeRules { limits, budget: None }
}

fn budget(amount: &str, mode: BudgetMode) -> ScopeRules {
    let amount = amount.parse().expect("a decimal");
    ScopeRules { limits: Limits::default(), budget: Some(Budget::new(amount, Period::Month, mode)) }
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.header("x-tollgate-error")), (status, code), "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-error-source"), "gateway");
    assert_eq!(answer.json()["error"]["code"], code);
}

#[tokio::test]
async fn a_request_rate_refuses_at_every_level_and_says_when_to_come_back() {
    let rules = limits(Limits { requests_per_minute: Some(1), ..Limits::default() });
    for (rules, scope) in levels(&rules) {
        let provider = provider().await;
        let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
        let first = gateway.send(&Ask::chat()).await;
        assert_eq!(first.status, 200);
        assert_eq!(first.header("x-ratelimit-limit-requests"), "1");
        assert_eq!(first.header("x-ratelimit-remaining-requests"), "0");
        assert_ne!(first.header("x-ratelimit-reset-requests"), "");
        let second = gateway.send(&Ask::chat()).await;
        refused(&second, 429, "rate_limit_exceeded");
        assert!(second.text().contains(scope), "{}", second.text());
        let wait: u64 = second.header("retry-after").parse().expect("whole seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(provider.book().totals().calls, 1);
        let ledger = gateway.stop().await;
        assert_eq!(ledger.rows[1].kind, Kind::Refusal);
    }
}

#[tokio::test]
async fn token_limits_refuse_what_does_not_fit() {
    // A thousand output tokens are reserved by each request, and far fewer are used.
    let cases = [
        (Limits { tokens_per_minute: Some(500), ..Limits::default() }, 400, "request_exceeds_limit"),
        (Limits { output_tokens_per_minute: Some(500), ..Limits::default() }, 400, "request_exceeds_limit"),
        (Limits { tokens_per_day: Some(500), ..Limits::default() }, 400, "request_exceeds_limit"),
    ];
    for (rules, status, code) in cases {
        for (rules, _) in levels(&limits(rules)) {
            let provider = provider().await;
            let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
            let answer = gateway.send(&Ask::chat()).await;
            refused(&answer, status, code);
            assert_eq!(answer.header("x-should-retry"), "false");
            assert_eq!(provider.book().totals().calls, 0);
            gateway.stop().await.refusal();
        }
    }
}

#[tokio::test]
async fn a_spent_token_quota_refuses_until_its_window_ends() {
    for quota in [
        Limits { tokens_per_day: Some(1_100), ..Limits::default() },
        Limits { tokens_per_month: Some(1_100), ..Limits::default() },
    ] {
        let provider = provider().await;
        // A thousand tokens of output and a prompt fit once; after what is used they do not again.
        provider.behave(tollgate_simulator::Behaviour { chunks: 500, ..Default::default() });
        let rules = Rules { project: limits(quota), ..Rules::default() };
        let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
        refused(&gateway.send(&Ask::chat()).await, 429, "token_quota_exceeded");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_hard_budget_refuses_what_could_exceed_it_and_says_why() {
    for (rules, scope) in levels(&budget("0.005", BudgetMode::Hard)) {
        let provider = provider().await;
        let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
        let small = r#"{"model":"chat","max_tokens":50,"messages":[{"role":"user","content":"Hi."}]}"#;
        let answer = gateway.send(&Ask::chat().body(small)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // A thousand output tokens could cost twice the budget.
        let answer = gateway.send(&Ask::chat()).await;
        assert!(matches!(answer.status, 400 | 429), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false");
        assert_eq!(answer.header("retry-after"), "");
        assert!(answer.text().contains(scope), "{}", answer.text());
        assert_eq!(provider.book().totals().calls, 1);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_spent_budget_is_over_for_good() {
    for (rules, _) in levels(&budget("0.0125", BudgetMode::Hard)) {
        let provider = provider().await;
        provider.behave(tollgate_simulator::Behaviour { chunks: 500, ..Default::default() });
        let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
        let answer = gateway.send(&Ask::chat()).await;
        refused(&answer, 429, "budget_exceeded");
        assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), ("false", ""));
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_budget_that_only_observes_refuses_nothing() {
    let provider = provider().await;
    let rules = Rules { team: budget("0.000001", BudgetMode::Observe), ..Rules::default() };
    let gateway = Gateway::start(Setup { rules, ..Setup::new([&provider]) });
    for _ in 0..3 {
        assert_eq!(gateway.send(&Ask::chat()).await.status, 200);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_hard_budget_needs_a_price() {
    let provider = provider().await;
    let rules = Rules { team: budget("1", BudgetMode::Hard), ..Rules::default() };
    let gateway = Gateway::start(Setup { rules, priced: false, ..Setup::new([&provider]) });
    refused(&gateway.send(&Ask::chat()).await, 403, "model_unpriced");
    gateway.stop().await.refusal();
}

#[tokio::test]
async fn without_a_hard_budget_an_unpriced_model_is_served_and_marked() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup { priced: false, ..Setup::new([&provider]) });
    let answer = gateway.send(&Ask::chat()).await;
    assert_eq!((answer.status, answer.header("x-tollgate-cost")), (200, ""));
    let ledger = gateway.stop().await;
    let row = ledger.only(tollgate_accounting::ledger::End::Completed);
    assert_eq!(row.cost, None);
    assert!(row.flags.contains(tollgate_accounting::ledger::Flags::UNPRICED));
}

#[tokio::test]
async fn a_stream_holds_its_permit_to_the_last_byte() {
    let rules = limits(Limits { concurrent_requests: Some(1), ..Limits::default() });
    for (rules, _) in levels(&rules) {
        let upstream = ByHand::listen().await;
        let gateway = Gateway::start(Setup { rules, ..Setup::new([upstream.address()]) });
        let client = gateway.begin(&Ask::stream()).await;
        let mut call = upstream.accept().await;
        call.send_stream_head().await;
        call.send_content("one").await;
        let mut open = client.head().await;
        open.read_until("one").await;
        let second = gateway.send(&Ask::chat()).await;
        refused(&second, 429, "concurrency_limit_exceeded");
        assert_ne!(second.header("retry-after"), "");
        call.send_stream_end().await;
        assert!(open.finish().await.text().ends_with("data: [DONE]\n\n"));
        until("the permit's return", || gateway.live.quotas.open_reservations() == 0).await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_process_takes_no_more_requests_than_it_is_configured_for() {
    let upstream = ByHand::listen().await;
    let mut setup = Setup::new([upstream.address()]);
    setup.edge.max_in_flight = 1;
    let gateway = Gateway::start(setup);
    let client = gateway.begin(&Ask::stream()).await;
    let mut call = upstream.accept().await;
    refused(&gateway.send(&Ask::chat()).await, 503, "overloaded");
    call.send_stream_head().await;
    call.send_content("one").await;
    call.send_stream_end().await;
    assert_eq!(client.head().await.finish().await.status, 200);
    gateway.stop().await;
}
