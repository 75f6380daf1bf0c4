//! Rows, and a ledger of them.

use std::sync::Arc;

use smallvec::smallvec;
use tempfile::TempDir;
use tollgate_accounting::{
    ledger::{Batch, Cursor, End, Entry, Flags, Identity, Kind, LedgerStore, Place, RowQuery, encode_entry},
    price::{Meter, MeterKind},
};
use tollgate_domain::{LogId, RequestId, UnitPrice, UnixMillis, Usage, UsageSource};
use tollgate_stores::SqliteStore;

pub(crate) const NOON: UnixMillis = UnixMillis::new(1_790_856_000_000);

pub(crate) fn entry(number: u64) -> Entry {
    let at = NOON.plus(number as i64);
    let price = UnitPrice::from_pico(2_500_000);
    Entry {
        ended_at: at.plus(1_500),
        request_tags: vec![("feature".into(), "a,b\"c".into())],
        place: Some(Arc::new(Place {
            provider: "openai".into(),
            account: None,
            upstream: "east".into(),
            upstream_model: "gpt".into(),
            region: "eastus".into(),
            zone: "us".into(),
        })),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        stream: true,
        status: 200,
        end: Some(End::Completed),
        usage: Usage {
            input_uncached: 10,
            cache_read: 4,
            output_text: 3,
            output_reasoning: 2,
            ..Usage::default()
        },
        usage_source: UsageSource::Reported,
        meters: smallvec![Meter {
            meter: MeterKind::Input,
            quantity: 10,
            unit_price: price,
            list_price: None,
            cost: price.times(10),
            price_id: "gpt-2026".into(),
        }],
        cost: Some(price.times(10)),
        duration_ms: 1_500,
        config_version: 3,
        flags: Flags::SERVED_MODEL_DIFFERS,
        ..Entry::new(
            Kind::Usage,
            RequestId::new(at, number.into()),
            Arc::new(Identity {
                organization: "contoso".into(),
                instance: "gw-1".into(),
                team: "retail".into(),
                project: "search".into(),
                key: "ci".into(),
                cost_center: None,
                tags: vec![("env".into(), "prod".into())],
            }),
            "small".into(),
            "USD".into(),
        )
    }
}

pub(crate) fn store_of(entries: &[Entry]) -> (TempDir, SqliteStore) {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("ledger.sqlite")).expect("opened");
    let mut batch = Batch::default();
    for entry in entries {
        let mut bytes = Vec::new();
        encode_entry(entry, &mut bytes);
        batch.push(LogId::new(1), 1, entry.clone(), &bytes);
    }
    batch.cursors.push(Cursor { log: LogId::new(1), lsn: 1, segment: 1, offset: 0 });
    store.load(&batch).expect("loaded");
    (folder, store)
}

pub(crate) fn all_kinds() -> RowQuery {
    RowQuery { kind: None, ..RowQuery::default() }
}
