//! Rows of the past at the prices of the present, over a real journal and store.

use std::sync::Arc;

use tempfile::TempDir;
use tollgate_accounting::{
    ledger::{
        End, Entry, Flags, Identity, Journal, JournalOptions, Kind, LedgerStore, Loader, Place, Postings,
        RowQuery, UsageQuery, closed_until, verify,
    },
    price::{Price, PriceBook, PriceEntry, Rates},
};
use tollgate_domain::{Money, RequestId, UnixMillis, Usage, UsageSource};
use tollgate_finance::rerate::{Mode, RerateError, Rerated, Rerating};
use tollgate_stores::SqliteStore;

/// 2026-10-01T12:00:00Z.
const NOON: UnixMillis = UnixMillis::new(1_790_856_000_000);
const DAY: i64 = 86_400_000;
const NOW: UnixMillis = NOON.plus(40 * DAY);

/// A journal, a store, and the way in for corrections.
struct Ground {
    folder: TempDir,
    store: Arc<SqliteStore>,
    journal: Arc<Journal>,
    postings: Postings,
}

impl Ground {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = Arc::new(SqliteStore::open(&folder.path().join("ledger.db")).expect("opened"));
        let options = JournalOptions { segment_bytes: 1, ..JournalOptions::default() };
        let journal = Arc::new(Journal::open(&folder.path().join("journal"), options).expect("opened"));
        let postings = Postings::new(journal.clone(), store.clone(), |_| {});
        Self { folder, store, journal, postings }
    }

    fn with(rows: impl IntoIterator<Item = Entry>) -> Self {
        let ground = Self::new();
        let mut writer = ground.journal.writer(0).expect("a writer");
        rows.into_iter().for_each(|row| {
            writer.end(&row).expect("written");
        });
        ground.load();
        ground
    }

    fn load(&self) {
        Loader::new(&self.folder.path().join("journal"), self.store.clone()).run_once().expect("loaded");
    }

    /// Goes over the rows of a span of days, and loads what was posted.
    fn rerate(&self, book: &PriceBook, days: std::ops::Range<i64>, mode: Mode) -> Rerated {
        let found = self.try_rerate(book, days, mode).expect("rated anew");
        self.load();
        found
    }

    fn try_rerate(
        &self,
        book: &PriceBook,
        days: std::ops::Range<i64>,
        mode: Mode,
    ) -> Result<Rerated, RerateError> {
        let price_of = |entry: &Entry, began| {
            let place = entry.place.as_deref()?;
            let line = book.line(None, &place.upstream, &place.region, &place.upstream_model)?;
            line.at(began).cloned()
        };
        let rating = Rerating {
            store: &*self.store,
            postings: &self.postings,
            price_of: &price_of,
            closed_until: closed_until(&self.store.closings().expect("read")),
            now: NOW,
            config_version: 2,
        };
        rating.run(NOON.plus(days.start * DAY), NOON.plus(days.end * DAY), mode)
    }

    fn cost(&self, days: std::ops::Range<i64>) -> Money {
        let (from, to) = (Some(NOON.plus(days.start * DAY)), Some(NOON.plus(days.end * DAY)));
        let query = UsageQuery { from, to, ..UsageQuery::default() };
        self.store.usage(&query).expect("summed").iter().map(|group| group.cost).sum()
    }

    fn adjustments(&self) -> Vec<Entry> {
        let query = RowQuery { kind: Some(Kind::Adjustment), limit: 1_000, ..RowQuery::default() };
        self.store.rows(&query).expect("read").items
    }
}

/// The price of "gpt" from the epoch on, per token in pico-units.
fn book(input: u32, output: u32) -> PriceBook {
    let per_token = |pico: u32| Some(Money::from_pico(i128::from(pico)));
    PriceBook::build(vec![PriceEntry {
        id: Some(format!("gpt-{input}-{output}")),
        model: "gpt".into(),
        upstream: None,
        region: None,
        from: UnixMillis::new(0),
        currency: "USD".into(),
        per: 1,
        discount: 0,
        rates: Rates { input: per_token(input), output: per_token(output), ..Rates::default() },
        tiers: Vec::new(),
        batch_multiplier: None,
        per_request: None,
        per_image: None,
        per_search: None,
        per_audio_minute: None,
        per_hour: None,
    }])
    .expect("sound")
}

fn price(book: &PriceBook) -> Arc<Price> {
    let line = book.line(None, &"east".into(), &"eastus".into(), &"gpt".into()).expect("priced");
    line.at(NOON).expect("priced").clone()
}

/// A row of a hundred input and ten output tokens, some days and milliseconds after noon.
fn row(number: u64, days: i64, price: Option<&Price>) -> Entry {
    let at = NOON.plus(days * DAY + number as i64);
    let usage = Usage { input_uncached: 100, output_text: 10, ..Usage::default() };
    let bill = price.map(|price| price.bill(&usage));
    let identity = Identity {
        organization: "contoso".into(),
        instance: "gw-1".into(),
        team: "retail".into(),
        project: "search".into(),
        key: "ci".into(),
        cost_center: None,
        tags: Vec::new(),
    };
    let place = Place {
        provider: "openai".into(),
        account: None,
        upstream: "east".into(),
        upstream_model: "gpt".into(),
        region: "eastus".into(),
        zone: "us".into(),
    };
    Entry {
        ended_at: at.plus(900),
        place: Some(Arc::new(place)),
        dialect: "openai".into(),
        operation: "chat_completions".into(),
        status: 200,
        end: Some(End::Completed),
        usage,
        usage_source: UsageSource::Reported,
        cost: bill.as_ref().map(|bill| bill.cost),
        meters: bill.map(|bill| bill.meters).unwrap_or_default(),
        duration_ms: 900,
        config_version: 1,
        flags: if price.is_none() { Flags::UNPRICED } else { Flags::default() },
        ..Entry::new(
            Kind::Usage,
            RequestId::new(at, number.into()),
            Arc::new(identity),
            "small".into(),
            "USD".into(),
        )
    }
}

fn pico(amount: i128) -> Money {
    Money::from_pico(amount)
}

#[test]
fn rows_cost_what_the_book_says_now_and_a_second_run_posts_nothing() {
    let (old, new) = (book(2, 8), book(3, 8));
    let rows = (0..2_500).map(|number| row(number, 0, Some(&price(&old))));
    let ground = Ground::with(rows);
    assert_eq!(ground.cost(0..1), pico(280 * 2_500));
    let preview = ground.rerate(&new, 0..1, Mode::Preview);
    assert_eq!((preview.rows, preview.differing, preview.posted), (2_500, 2_500, 0));
    assert_eq!((preview.items.len(), preview.items[0].delta), (1, pico(100 * 2_500)));
    assert_eq!(ground.cost(0..1), pico(280 * 2_500), "a preview changes nothing");
    let found = ground.rerate(&new, 0..1, Mode::Post);
    assert_eq!((found.posted, &found.items), (2_500, &preview.items));
    assert_eq!(ground.cost(0..1), pico(380 * 2_500));
    assert_eq!(ground.rerate(&new, 0..1, Mode::Post), Rerated { rows: 2_500, ..Rerated::default() });
    assert_eq!(ground.rerate(&old, 0..1, Mode::Post).posted, 2_500);
    assert_eq!(ground.cost(0..1), pico(280 * 2_500), "and back again");
    assert_eq!(
        ground.rerate(&new, 0..1, Mode::Post).posted,
        2_500,
        "the same correction once more is another"
    );
    assert_eq!(ground.cost(0..1), pico(380 * 2_500));
    let report = verify(&ground.folder.path().join("journal"), &*ground.store).expect("verified");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_run_that_was_cut_short_is_completed_by_the_next() {
    let (old, new) = (book(2, 8), book(1, 1));
    let ground = Ground::with((0..40).map(|number| row(number, number as i64 % 4, Some(&price(&old)))));
    // What a killed run has posted is any part of the whole.
    assert_eq!(ground.rerate(&new, 1..2, Mode::Post).posted, 10);
    let found = ground.rerate(&new, 0..4, Mode::Post);
    assert_eq!((found.rows, found.posted), (40, 30));
    assert_eq!(ground.cost(0..4), pico(110 * 40));
}

#[test]
fn rows_without_a_price_get_theirs_and_what_cannot_be_rated_stays() {
    let (none, new) = (PriceBook::default(), book(3, 8));
    let recovered = Entry { end: Some(End::Recovered), ..row(2, 0, Some(&price(&book(9, 9)))) };
    let mut beside = row(3, 0, Some(&price(&book(2, 8))));
    beside.meters.extend(beside.meters.clone());
    beside.cost = Some(pico(560));
    let ground = Ground::with([row(1, 0, None), recovered, beside]);
    let before = ground.rerate(&none, 0..1, Mode::Post);
    assert_eq!((before.rows, before.unpriced, before.left, before.posted), (3, 1, 2, 0));
    let found = ground.rerate(&new, 0..1, Mode::Post);
    assert_eq!((found.unpriced, found.left, found.posted), (0, 2, 1));
    let corrections = ground.adjustments();
    assert_eq!(corrections[0].cost, Some(pico(380)), "the whole cost");
    assert_eq!(ground.rerate(&new, 0..1, Mode::Post).posted, 0);
}

#[test]
fn closed_time_is_corrected_in_the_present_and_its_corrections_are_known_again() {
    let (old, new, newer) = (book(2, 8), book(3, 8), book(4, 8));
    let ground = Ground::with((0..6).map(|number| row(number, 0, Some(&price(&old)))));
    ground.store.close_books(NOON.plus(30 * DAY), NOON.plus(31 * DAY)).expect("closed");
    assert_eq!(ground.rerate(&new, 0..1, Mode::Post).posted, 6);
    assert_eq!(ground.cost(0..1), pico(280 * 6), "what was closed stays");
    assert!(ground.adjustments().iter().all(|row| row.started_at == NOW));
    assert_eq!(ground.rerate(&new, 0..1, Mode::Post).posted, 0);
    ground.store.close_books(NOW.plus(1), NOW.plus(2)).expect("closed");
    assert_eq!(ground.rerate(&new, 0..1, Mode::Post).posted, 0, "also once their own month is closed");
    let found = ground.rerate(&newer, 0..1, Mode::Preview);
    assert_eq!((found.differing, found.items[0].before, found.items[0].delta), (6, pico(380 * 6), pico(600)));
}

#[test]
fn one_run_at_a_time() {
    let ground = Ground::new();
    let turn = ground.postings.turn();
    assert!(matches!(ground.try_rerate(&book(1, 1), 0..1, Mode::Preview), Err(RerateError::Busy)));
    drop(turn);
    assert!(ground.try_rerate(&book(1, 1), 0..1, Mode::Preview).is_ok());
}
