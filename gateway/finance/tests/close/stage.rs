//! A ledger with an October, and a folder for its papers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::tz::TimeZone;
use serde_json::Value;
use sha2::{Digest, Sha256};
use smallvec::smallvec;
use tempfile::TempDir;
use tollgate_accounting::{
    ledger::{Batch, Cursor, Entry, Kind, LedgerStore, RowQuery, UsageFilter, UsageQuery, encode_entry},
    price::{Meter, MeterKind},
};
use tollgate_domain::{LogId, Money, RequestId, UnitPrice, UnixMillis};
use tollgate_finance::{
    FocusForm, FocusVersion, XlsxDetail,
    close::{Books, Order, Proof},
    export_csv, export_focus, export_parquet, export_xlsx,
};
use tollgate_stores::SqliteStore;

use crate::ground::{all_kinds, entry};

pub(crate) const DAY: i64 = 86_400_000;
/// 2026-10-01T00:00:00Z.
pub(crate) const OCTOBER: UnixMillis = UnixMillis::new(1_790_812_800_000);
/// 2026-11-01T00:00:00Z.
pub(crate) const NOVEMBER: UnixMillis = UnixMillis::new(1_793_491_200_000);
const LOG: LogId = LogId::new(7);

pub(crate) struct Stage {
    pub(crate) store: SqliteStore,
    papers: PathBuf,
    ground: Arc<TempDir>,
}

impl Stage {
    /// Two teams: one with a refusal and a request without a price, both with usage.
    pub(crate) fn of_october() -> Self {
        let ground = Arc::new(TempDir::new().expect("a folder"));
        let stage = Self::on(&ground, "ledger.db");
        stage.load_october();
        stage
    }

    fn on(ground: &Arc<TempDir>, ledger: &str) -> Self {
        let store = SqliteStore::open(&ground.path().join(ledger)).expect("opened");
        Self { store, papers: ground.path().join("statements"), ground: Arc::clone(ground) }
    }

    pub(crate) fn load_october(&self) {
        let at = |days: i64| OCTOBER.plus(days * DAY);
        let unpriced = Entry { cost: None, meters: smallvec![], ..row(3, "retail", at(3)) };
        let refused = Entry {
            kind: Kind::Refusal,
            cost: Some(Money::ZERO),
            meters: smallvec![],
            ..row(4, "retail", at(4))
        };
        let rows = [row(1, "retail", at(1)), row(2, "retail", at(2)), unpriced, refused];
        let others = [row(5, "hr", at(5)), row(6, "hr", NOVEMBER.plus(-1))];
        self.load(&[&rows[..], &others[..]].concat(), 1);
    }

    /// The same folder, and a store that knows nothing.
    pub(crate) fn with_an_empty_store(&self) -> Self {
        Self::on(&self.ground, "rebuilt.db")
    }

    pub(crate) fn load(&self, entries: &[Entry], lsn: u64) {
        load(&self.store, entries, LOG, lsn);
    }

    /// Puts a row into closed time, as nothing but a change of the database could: by the place in the
    /// journal of what had been loaded.
    pub(crate) fn smuggle(&self, entry: &Entry) {
        load(&self.store, std::slice::from_ref(entry), LOG, 1);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.papers
    }

    pub(crate) fn books(&self) -> Books<'_> {
        self.books_on(&self.store)
    }

    pub(crate) fn books_on<'a>(&'a self, store: &'a dyn LedgerStore) -> Books<'a> {
        Books { store, folder: &self.papers, zone: &UTC, time_zone: "UTC" }
    }

    /// Every file by its name below the folder.
    pub(crate) fn papers(&self) -> BTreeMap<String, String> {
        let mut papers = BTreeMap::new();
        for month in fs::read_dir(self.folder()).into_iter().flatten() {
            let month = month.expect("an entry").path();
            for file in fs::read_dir(&month).expect("a month's folder") {
                let file = file.expect("an entry").path();
                let name = file.strip_prefix(self.folder()).expect("below").display().to_string();
                papers.insert(name, fs::read_to_string(&file).expect("a text"));
            }
        }
        papers
    }

    /// Everything that a close could change.
    pub(crate) fn everything(&self) -> (BTreeMap<String, String>, Vec<String>, usize, usize) {
        let documents = ["statement", "close", "closing"]
            .into_iter()
            .flat_map(|kind| self.store.documents(kind).expect("read"))
            .map(|document| document.body)
            .collect();
        let rows = self.store.rows(&RowQuery { limit: 1_000, ..all_kinds() }).expect("read").items.len();
        (self.papers(), documents, rows, self.store.audit(None, 100).expect("read").len())
    }

    /// Every export of a range, by what it is.
    pub(crate) fn exports(&self, from: UnixMillis, to: UnixMillis) -> BTreeMap<&'static str, Vec<u8>> {
        let query = RowQuery { from: Some(from), to: Some(to), ..all_kinds() };
        let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        export_csv(&self.store, &query, files.entry("csv").or_default()).expect("exported");
        export_parquet(&self.store, &query, files.entry("parquet").or_default()).expect("exported");
        let book = files.entry("xlsx").or_default();
        export_xlsx(&self.store, &query, XlsxDetail::Requests, &TimeZone::UTC, book).expect("exported");
        let charges = [
            ("focus 1.2", FocusVersion::V1_2, FocusForm::Csv),
            ("focus 1.4", FocusVersion::V1_4, FocusForm::Csv),
            ("focus 1.4 parquet", FocusVersion::V1_4, FocusForm::Parquet),
        ];
        for (name, version, form) in charges {
            let file = files.entry(name).or_default();
            export_focus(&self.store, &query, (version, form), &TimeZone::UTC, file).expect("exported");
        }
        files
    }

    pub(crate) fn cost(&self, from: UnixMillis, to: UnixMillis) -> Money {
        self.cost_of(UsageFilter::default(), from, to)
    }

    pub(crate) fn team_cost(&self, team: &str, from: UnixMillis, to: UnixMillis) -> Money {
        self.cost_of(UsageFilter { teams: vec![team.into()], ..UsageFilter::default() }, from, to)
    }

    fn cost_of(&self, filter: UsageFilter, from: UnixMillis, to: UnixMillis) -> Money {
        let query = UsageQuery { from: Some(from), to: Some(to), filter, ..UsageQuery::default() };
        self.store.usage(&query).expect("asked").iter().map(|group| group.cost).sum()
    }

    pub(crate) fn change_byte(&self, file: &str, at: usize) {
        let path = self.folder().join(file);
        let mut bytes = fs::read(&path).expect("a file");
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("written");
    }

    /// Changes a statement's figures and gives it a hash that fits them.
    pub(crate) fn seal_anew(&self, file: &str, from: &str, to: &str) {
        let path = self.folder().join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{text}");
        let mut paper: Value = serde_json::from_str(text.replace(from, to).trim()).expect("JSON");
        let old = paper["hash"].as_str().expect("a hash").to_owned();
        let without = text.replace(from, to).replace(&format!("\"hash\":\"{old}\","), "");
        let hash = hex::encode(Sha256::digest(without.trim_end()));
        paper["hash"] = hash.clone().into();
        fs::write(&path, text.replace(from, to).replace(&old, &hash)).expect("written");
    }
}

static UTC: TimeZone = TimeZone::UTC;

fn load(store: &SqliteStore, entries: &[Entry], log: LogId, lsn: u64) {
    let mut batch = Batch::default();
    for entry in entries {
        let mut bytes = Vec::new();
        encode_entry(entry, &mut bytes);
        batch.push(log, lsn, entry.clone(), &bytes);
    }
    batch.cursors.push(Cursor { log, lsn, segment: 1, offset: 0 });
    let loaded = store.load(&batch).expect("loaded");
    assert_eq!(loaded.inserted, entries.len() as u64);
}

/// A row of a request of two thousand and `number` tokens or so.
pub(crate) fn row(number: u64, team: &str, at: UnixMillis) -> Entry {
    let mut identity = (*entry(number).identity).clone();
    identity.team = team.into();
    let unit_price = UnitPrice::from_pico(2_500_000);
    let quantity = 1_999 + number * 4 / (number + 1);
    let cost = unit_price.times(quantity);
    Entry {
        id: RequestId::new(at, number.into()),
        started_at: at,
        ended_at: at.plus(900),
        identity: Arc::new(identity),
        meters: smallvec![Meter {
            meter: MeterKind::Input,
            quantity,
            unit_price,
            list_price: None,
            cost,
            price_id: "gpt-2026".into()
        }],
        cost: Some(cost),
        ..entry(number)
    }
}

pub(crate) fn order(text: &str, now: UnixMillis) -> Order {
    Order {
        month: text.parse().expect(text),
        now,
        by: "money".to_owned(),
        proof: Proof::Without("a test".to_owned()),
    }
}
