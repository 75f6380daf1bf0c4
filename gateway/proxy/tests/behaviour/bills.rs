//! One price for one call: the cost in the answer's head, the cost in the row and the bill worked
//! out from the provider's figures are the same amount, whatever the figures.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tollgate_domain::Money;
use tollgate_simulator::Script;

use crate::harness::{Ask, Gateway, Setup, client::Connection, provider, setup::cost};

/// What a provider states.
#[derive(Clone, Copy, Debug)]
struct Stated {
    input: u64,
    cached: u64,
    output: u64,
    reasoning: u64,
}

impl Stated {
    fn body(self) -> String {
        let Self { input, cached, output, reasoning } = self;
        format!(
            r#"{{"id":"c1","object":"chat.completion","created":1,"model":"gpt-5-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"So be it."}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}}}"#,
            input.saturating_add(output)
        )
    }

    /// By arithmetic of the test's own; reasoning costs what output costs.
    fn cost(self) -> Money {
        cost(self.input, self.cached, self.output)
    }
}

/// Counts of every size: none, one, usual ones, and as many as a row's amount has room for.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        0_u64..5_000,
        0_u64..10_000_000,
        (0_u32..39).prop_map(|bits| 1 << bits),
        (1_u32..39).prop_map(|bits| (1 << bits) - 1),
    ]
}

fn stated() -> impl Strategy<Value = Stated> {
    (count(), count(), count(), count()).prop_map(|(fresh, cached, said, reasoning)| Stated {
        input: fresh + cached,
        cached,
        output: said + reasoning,
        reasoning,
    })
}

#[tokio::test]
async fn head_row_and_figures_tell_the_same_cost() {
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let mut connection = Connection::http1(gateway.address()).await;
    let config = Config::default();
    let cases = config.cases.min(900);
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut told = Vec::new();
    for _ in 0..cases {
        let stated = stated().new_tree(&mut runner).expect("nothing is filtered").current();
        provider.script(Script::json(200, stated.body()));
        let answer = connection.send(&Ask::chat()).await;
        assert_eq!(answer.status, 200, "{stated:?}: {}", answer.text());
        assert_eq!(answer.header("x-tollgate-cost"), stated.cost().to_string(), "{stated:?}");
        told.push(stated);
    }
    let ledger = gateway.stop().await;
    assert_eq!(ledger.rows.len(), told.len());
    for (row, stated) in ledger.rows.iter().zip(&told) {
        assert_eq!(row.cost, Some(stated.cost()), "{stated:?}");
        assert_eq!(row.meters.iter().map(|meter| meter.cost).sum::<Money>(), stated.cost(), "{stated:?}");
        assert_eq!(
            (row.usage.input_tokens(), row.usage.cached_input_tokens()),
            (stated.input, stated.cached),
            "{stated:?}"
        );
        assert_eq!(
            (row.usage.output_tokens(), row.usage.output_reasoning),
            (stated.output, stated.reasoning),
            "{stated:?}"
        );
    }
}

/// Figures beyond anything that a call can use are a provider's defect. They state nothing, so that
/// one such answer cannot outweigh the totals of everybody, and the audit stays clean.
#[tokio::test]
async fn absurd_figures_are_none() {
    let most = u64::MAX;
    let absurd = [
        Stated { input: most, cached: 0, output: 0, reasoning: 0 },
        Stated { input: 0, cached: 0, output: most, reasoning: most },
        Stated { input: most, cached: most, output: most, reasoning: 1 },
        Stated { input: 1 << 63, cached: 1 << 62, output: 1 << 53, reasoning: 0 },
        Stated { input: 1_000_000_000_001, cached: 0, output: 7, reasoning: 0 },
    ];
    let provider = provider().await;
    let gateway = Gateway::start(Setup::new([&provider]));
    let mut told = Vec::new();
    for stated in absurd {
        provider.script(Script::json(200, stated.body()));
        let answer = gateway.send(&Ask::chat()).await;
        assert_eq!(answer.status, 200, "{stated:?}: {}", answer.text());
        told.push(answer.header("x-tollgate-cost").to_owned());
    }
    let ledger = gateway.stop().await;
    for ((row, told), stated) in ledger.rows.iter().zip(&told).zip(absurd) {
        assert_eq!(row.cost.expect("priced").to_string(), *told, "{stated:?}");
        let usual = Money::from_pico(1_000_000_000);
        assert!(row.cost.is_some_and(|cost| cost < usual), "{stated:?}: {row:?}");
    }
}
