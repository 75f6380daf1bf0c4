//! What admitting, pricing and recording a request costs.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate_accounting::{
    Now,
    ledger::{End, Entry, Identity, Journal, JournalOptions, Kind, Place, Start, StartPrice},
    price::{Price, PriceBook, PriceEntry, Rates},
    quota::{
        Actual, Ask, Budget, BudgetMode, Calendar, Limits, Period, Quotas, Scope, ScopeId, ScopeKind,
        ScopeRules, admit,
    },
};
use tollgate_domain::{ModelAlias, Money, Name, RequestId, UnixMillis, Usage, UsageSource};

const NOON: UnixMillis = UnixMillis::new(1_790_000_000_000);

/// What a call of a reasoning model with a cached prompt states.
fn usage() -> Usage {
    Usage {
        input_uncached: 176,
        cache_read: 1_024,
        output_text: 64,
        output_reasoning: 256,
        ..Usage::default()
    }
}

fn money(text: &str) -> Money {
    text.parse().expect("a decimal")
}

fn price() -> Arc<Price> {
    let entry = PriceEntry {
        id: None,
        model: "gpt-5-mini".into(),
        upstream: None,
        region: None,
        from: UnixMillis::new(0),
        currency: "USD".into(),
        per: 1_000_000,
        discount: 0,
        rates: Rates {
            input: Some(money("0.25")),
            cached_input: Some(money("0.025")),
            output: Some(money("2")),
            ..Rates::default()
        },
        tiers: Vec::new(),
        batch_multiplier: None,
        per_request: None,
        per_image: None,
        per_search: None,
        per_audio_minute: None,
        per_hour: None,
    };
    let book = PriceBook::build(vec![entry]).expect("a good price");
    let line = book.line(None, &"any".into(), &"north".into(), &"gpt-5-mini".into()).expect("the price");
    Arc::clone(line.at(NOON).expect("in force"))
}

fn pricing(c: &mut Criterion) {
    let (price, usage) = (price(), usage());
    let mut group = c.benchmark_group("how long does it take to bill a call exactly");
    group.throughput(Throughput::Elements(1));
    group.bench_function("price_a_call", |b| b.iter(|| price.bill(black_box(&usage))));
    group.finish();
}

/// Key, project and team, each with rates, token limits and a hard budget.
fn scopes(quotas: &Quotas) -> Vec<Arc<Scope>> {
    let rules = ScopeRules {
        limits: Limits {
            requests_per_minute: Some(u32::MAX),
            tokens_per_minute: Some(1 << 50),
            tokens_per_month: Some(1 << 50),
            concurrent_requests: Some(1_000),
            ..Limits::default()
        },
        budget: Some(Budget {
            alerts: vec![50, 90],
            ..Budget::new(money("8000000"), Period::Month, BudgetMode::Hard)
        }),
    };
    [(ScopeKind::Key, "a/b/c"), (ScopeKind::Project, "a/b"), (ScopeKind::Team, "a")]
        .map(|(kind, name)| quotas.scope(ScopeId { kind, name: name.into() }, rules.clone()))
        .to_vec()
}

fn quotas(c: &mut Criterion) {
    let quotas = Quotas::new(Calendar::utc(), "USD".into());
    let scopes = scopes(&quotas);
    let ask = Ask { input_tokens: 1_200, output_tokens: 1_000, cost: Some(money("0.0001")) };
    let actual = Actual {
        input_tokens: 1_200,
        cached_input_tokens: 1_024,
        output_tokens: 320,
        cost: money("0.00007"),
    };
    let mut group = c.benchmark_group("how long does it take to reserve at three levels and settle");
    group.throughput(Throughput::Elements(1));
    group.bench_function("reserve_and_settle_three_scopes", |b| {
        b.iter(|| {
            let now = Now { wall: NOON, mono: Instant::now() };
            let reservation =
                admit(black_box(&scopes), &ask, now).unwrap_or_else(|refused| panic!("{refused}"));
            reservation.settle(&actual, now);
        });
    });
    group.finish();
    assert_eq!(quotas.open_reservations(), 0);
}

fn identity() -> Identity {
    Identity {
        organization: "contoso".into(),
        instance: "gw-1".into(),
        team: "retail".into(),
        project: "search".into(),
        key: "ci".into(),
        cost_center: None,
        tags: Vec::new(),
    }
}

/// The row of a completed plain call.
fn row(price: &Price) -> Entry {
    let bill = price.bill(&usage());
    Entry {
        ended_at: NOON.plus(900),
        client: Some("OpenAI/Python 2.0.0".into()),
        place: Some(Arc::new(Place {
            provider: "openai".into(),
            account: None,
            upstream: "openai-main".into(),
            upstream_model: "gpt-5-mini".into(),
            region: "us-east".into(),
            zone: "us".into(),
        })),
        served_model: Some("gpt-5-mini-2025-08-07".into()),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        status: 200,
        end: Some(End::Completed),
        usage: usage(),
        usage_source: UsageSource::Reported,
        meters: bill.meters,
        service_tier: Some("default".into()),
        cost: Some(bill.cost),
        reserved_cost: money("0.002"),
        upstream_request_id: Some("req_0123456789abcdef".into()),
        ttft_ms: Some(400),
        duration_ms: 900,
        config_version: 1,
        ..Entry::new(Kind::Usage, RequestId::new(NOON, 1), Arc::new(identity()), "chat".into(), "USD".into())
    }
}

fn journal(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path(), JournalOptions::default()).expect("a journal");
    let mut writer = journal.writer(0).expect("a log");
    let (price, identity, currency) = (price(), Arc::new(identity()), Name::from("USD"));
    let model = ModelAlias::from("chat");
    let entry = row(&price);
    let (input, output) = price.unit_prices(1_200);
    let start = Start {
        id: entry.id,
        started_at: NOON,
        identity: &identity,
        request_tags: &[],
        end_user: None,
        session: None,
        client: entry.client.as_deref(),
        model: &model,
        dialect: "openai",
        operation: "chat_completions",
        stream: false,
        input_estimate: 1_200,
        output_reserved: 1_000,
        reserved_cost: entry.reserved_cost,
        price: Some(StartPrice { price_id: &price.id, currency: &price.currency, input, output }),
        currency: &currency,
        hard: true,
        config_version: 1,
    };
    let mut group = c.benchmark_group("how long does it take to write a request into the journal");
    group.throughput(Throughput::Elements(1));
    group.bench_function("journal_append_start_end", |b| {
        b.iter(|| {
            writer.start(black_box(&start)).expect("space");
            writer.end(black_box(&entry)).expect("space")
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = pricing, quotas, journal
}
criterion_main!(benches);
