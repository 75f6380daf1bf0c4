//! Rows for the tests of this crate.

// Each test file is a crate of its own and uses its part of this one.
#![allow(dead_code)]

use std::sync::Arc;

use smallvec::smallvec;
use tollgate_accounting::{
    ledger::{End, Entry, Flags, Identity, Kind, Place},
    price::{Meter, MeterKind},
};
use tollgate_domain::{RequestId, UnitPrice, UnixMillis, Usage, UsageSource};

pub(crate) const HOUR: i64 = 3_600_000;
/// 2026-10-01T00:00:00Z.
pub(crate) const MIDNIGHT: UnixMillis = UnixMillis::new(1_790_812_800_000);

/// What a test chooses about a row.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) number: u64,
    pub(crate) at: UnixMillis,
    pub(crate) team: &'static str,
    pub(crate) project: &'static str,
    pub(crate) key: &'static str,
    pub(crate) model: &'static str,
}

impl Shape {
    pub(crate) fn new(number: u64) -> Self {
        let at = MIDNIGHT.plus(number as i64 * 1_000);
        let model = if number.is_multiple_of(2) { "large" } else { "small" };
        Self { number, at, team: "a", project: "x", key: "k1", model }
    }
}

/// The number that a row was made with.
pub(crate) fn number(entry: &Entry) -> u64 {
    entry.config_version
}

/// A row whose figures depend on its number.
pub(crate) fn row(shape: Shape) -> Entry {
    let Shape { number, at, .. } = shape;
    let price = UnitPrice::from_pico(1_234_567);
    let usage = Usage {
        input_uncached: 10 + number,
        cache_read: number,
        cache_write_5m: 3,
        output_text: 5,
        output_reasoning: number % 7,
        ..Usage::default()
    };
    let unpriced = number.is_multiple_of(5);
    Entry {
        ended_at: at.plus(700),
        request_tags: vec![("feature".into(), format!("f{}", number % 3).into())],
        end_user: number.is_multiple_of(3).then(|| format!("user-{}", number % 2).into()),
        client: Some("sdk/1.0".into()),
        place: (!number.is_multiple_of(4)).then(|| {
            Arc::new(Place {
                provider: "openai".into(),
                account: None,
                upstream: "east".into(),
                upstream_model: "gpt".into(),
                region: "eastus".into(),
                zone: "us".into(),
            })
        }),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        status: 200,
        end: Some(End::Completed),
        usage,
        usage_source: UsageSource::Reported,
        meters: smallvec![Meter {
            meter: MeterKind::Input,
            quantity: usage.input_tokens(),
            unit_price: price,
            list_price: None,
            cost: price.times(usage.input_tokens()),
            price_id: "p".into(),
        }],
        cost: (!unpriced).then(|| price.times(usage.input_tokens())),
        ttft_ms: Some(120),
        duration_ms: 700,
        config_version: number,
        flags: if unpriced { Flags::UNPRICED } else { Flags::default() },
        ..Entry::new(
            Kind::Usage,
            RequestId::new(at, number.into()),
            Arc::new(Identity {
                organization: "contoso".into(),
                instance: "gw-1".into(),
                team: shape.team.into(),
                project: shape.project.into(),
                key: shape.key.into(),
                cost_center: None,
                tags: vec![],
            }),
            shape.model.into(),
            "USD".into(),
        )
    }
}
