//! Rows and STARTs for the tests of this module.

use std::sync::Arc;

use smallvec::smallvec;
use tollgate_domain::{ModelAlias, Money, Name, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};

use super::entry::{Attempt, End, Entry, Flags, Identity, Kind, Place, ServedBy, Start, StartPrice};
use crate::price::{Meter, MeterKind};

pub(super) const NOON: UnixMillis = UnixMillis::new(1_790_000_000_000);

pub(super) fn id(number: u64) -> RequestId {
    RequestId::new(NOON.plus(number as i64), number.into())
}

pub(super) fn identity() -> Identity {
    Identity {
        organization: "contoso".into(),
        instance: "gw-1".into(),
        team: "retail".into(),
        project: "search".into(),
        key: "ci".into(),
        cost_center: Some("4711".into()),
        tags: vec![("env".into(), "prod".into())],
    }
}

/// A row in which every field is filled.
pub(super) fn entry(number: u64) -> Entry {
    let meter = |kind, quantity, price| Meter {
        meter: kind,
        quantity,
        unit_price: UnitPrice::from_pico(price),
        list_price: (quantity == 10).then(|| UnitPrice::from_pico(price * 2)),
        cost: UnitPrice::from_pico(price).times(quantity),
        price_id: "gpt-2026".into(),
    };
    Entry {
        id: id(number),
        seq: 0,
        kind: Kind::Usage,
        started_at: id(number).started_at(),
        ended_at: NOON.plus(number as i64 + 900),
        identity: Arc::new(identity()),
        request_tags: vec![("feature".into(), "chat".into()), ("env".into(), "ignored".into())],
        end_user: Some("u-1".into()),
        session: Some("s-1".into()),
        client: Some("sdk/1".into()),
        model: "small".into(),
        place: Some(Arc::new(Place {
            provider: "openai".into(),
            account: Some("main".into()),
            upstream: "east".into(),
            upstream_model: "gpt".into(),
            region: "eastus".into(),
            zone: "us".into(),
        })),
        served_model: Some("gpt-0101".into()),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        stream: true,
        status: 200,
        error_code: Some("upstream_truncated".into()),
        end: Some(End::Truncated),
        served_by: ServedBy::Upstream,
        usage: Usage {
            input_uncached: 100,
            cache_read: 20,
            output_text: 7,
            output_reasoning: 3,
            ..Usage::default()
        },
        usage_source: UsageSource::Reported,
        meters: smallvec![meter(MeterKind::Input, 100, 2_000_000), meter(MeterKind::Output, 10, 8_000_000)],
        service_tier: Some("default".into()),
        cost: Some(Money::from_pico(280_000_000)),
        currency: "USD".into(),
        reserved_cost: Money::from_pico(900_000_000),
        waste_cost: Money::from_pico(-1),
        attempts: smallvec![Attempt {
            n: 1,
            upstream: "east".into(),
            region: "eastus".into(),
            outcome: "ok".into(),
            status: Some(200),
            upstream_request_id: Some("r-1".into()),
            ttft_ms: Some(0),
            duration_ms: 880,
            meters: smallvec![meter(MeterKind::Input, 5, 1)],
            waste: Money::from_pico(5),
        }],
        upstream_request_id: Some("r-1".into()),
        trace_id: Some("t-1".into()),
        ttft_ms: Some(0),
        duration_ms: 900,
        config_version: 12,
        adjusts: Some(id(9_999)),
        flags: Flags::SERVED_MODEL_DIFFERS | Flags::PRICE_INCOMPLETE,
    }
}

/// What a [`Start`] borrows.
pub(super) struct StartParts {
    identity: Arc<Identity>,
    model: ModelAlias,
    currency: Name,
    price_id: Name,
}

impl StartParts {
    pub(super) fn new() -> Self {
        Self {
            identity: Arc::new(identity()),
            model: "small".into(),
            currency: "USD".into(),
            price_id: "gpt-2026".into(),
        }
    }

    /// A START that estimates 100 input tokens at 2 and reserves 50 output tokens at 8 micro-dollars.
    pub(super) fn start(&self, number: u64, hard: bool) -> Start<'_> {
        Start {
            id: id(number),
            started_at: id(number).started_at(),
            identity: &self.identity,
            request_tags: &[],
            end_user: Some("u-1"),
            session: None,
            client: None,
            model: &self.model,
            dialect: "openai",
            operation: "chat_completions",
            stream: true,
            input_estimate: 100,
            output_reserved: 50,
            reserved_cost: Money::from_pico(600_000_000),
            price: Some(StartPrice {
                price_id: &self.price_id,
                currency: &self.currency,
                input: UnitPrice::from_pico(2_000_000),
                output: UnitPrice::from_pico(8_000_000),
            }),
            currency: &self.currency,
            hard,
            config_version: 12,
        }
    }
}
