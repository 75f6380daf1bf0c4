//! Whose invoice a row belongs to: where it was tried, when it was asked, and what served it.

use std::{collections::BTreeSet, sync::Arc};

use smallvec::smallvec;
use tollgate_accounting::{
    ledger::{Attempt, Batch, Cursor, Entry, LedgerStore, Place, encode_entry},
    price::{Meter, MeterKind},
};
use tollgate_domain::{LogId, Money, RequestId, UnitPrice, UnixMillis, Usage};
use tollgate_finance::reconcile::{Format, Invoice, InvoiceFile, Reason, Reconciliation, Terms, reconcile};

use crate::{
    ground::{entry, store_of},
    month::{DAY, NOVEMBER},
};

const PRICE: UnitPrice = UnitPrice::from_pico(2_000_000);

fn place(provider: &str, account: Option<&str>, model: &str) -> Option<Arc<Place>> {
    Some(Arc::new(Place {
        provider: provider.into(),
        account: account.map(Into::into),
        upstream: provider.into(),
        upstream_model: model.into(),
        region: "eu".into(),
        zone: "eu".into(),
    }))
}

fn input(quantity: u64) -> Meter {
    let cost = PRICE.times(quantity);
    Meter {
        meter: MeterKind::Input,
        quantity,
        unit_price: PRICE,
        cost,
        price_id: "p".into(),
        list_price: None,
    }
}

/// A request of so many tokens on the second day of the month, by its number.
fn row(number: u64, tokens: u64, place: Option<Arc<Place>>) -> Entry {
    let at = NOVEMBER.plus(DAY + number as i64);
    Entry {
        id: RequestId::new(at, number.into()),
        started_at: at,
        ended_at: at.plus(1),
        place,
        usage: Usage { input_uncached: tokens, ..Usage::default() },
        meters: smallvec![input(tokens)],
        cost: Some(PRICE.times(tokens)),
        ..entry(number)
    }
}

fn terms(provider: &str) -> Terms {
    let tolerance = "0".parse().expect("exact");
    let provider = Some(provider.into());
    Terms { provider, tolerance, ..Terms::of_days(NOVEMBER, NOVEMBER.plus(30 * DAY)).expect("whole days") }
}

/// Compares with an invoice of one line, on the second of November.
fn compared(store: &dyn LedgerStore, terms: &Terms, model: &str, tokens: u64) -> Reconciliation {
    let cost = PRICE.times(tokens);
    let bill = format!("date,model,cost,currency,tokens\n2026-11-02,{model},{cost},USD,{tokens}\n");
    let file = InvoiceFile { name: "bill.csv", format: Format::Csv, content: bill.as_bytes() };
    reconcile(store, &Invoice::read(&[file]).expect("an invoice"), terms).expect("compared")
}

#[test]
fn a_failed_attempt_that_was_billed_is_on_the_invoice_of_who_was_tried() {
    let tried = Attempt {
        n: 1,
        upstream: "azure".into(),
        region: "eu".into(),
        outcome: "upstream_reset".into(),
        status: None,
        upstream_request_id: None,
        ttft_ms: None,
        duration_ms: 5,
        meters: smallvec![input(300_000)],
        waste: PRICE.times(300_000),
    };
    let answered = row(1, 1_000_000, place("openai", None, "gpt-5"));
    let answered = Entry {
        meters: smallvec![input(1_000_000), input(300_000)],
        cost: Some(PRICE.times(1_300_000)),
        waste_cost: PRICE.times(300_000),
        attempts: smallvec![tried],
        ..answered
    };
    // What the other provider calls the model is known by what it has answered.
    let other = row(2, 500_000, place("azure", None, "gpt-5-eu"));
    let (_folder, store) = store_of(&[answered, other]);
    assert_eq!(compared(&store, &terms("openai"), "gpt-5", 1_000_000).items, []);
    assert_eq!(compared(&store, &terms("azure"), "gpt-5-eu", 800_000).items, []);
}

#[test]
fn a_deployment_is_the_model_that_it_says_it_serves() {
    let told = Entry {
        served_model: Some("gpt-4o-2024-08-06".into()),
        ..row(1, 1_000_000, place("azure", Some("main"), "our-deployment"))
    };
    let silent = row(2, 500_000, place("azure", Some("main"), "our-deployment"));
    let elsewhere = row(3, 70_000, place("azure", Some("lab"), "gpt-4o"));
    let (_folder, store) = store_of(&[told, silent, elsewhere]);
    let main = Terms { account: Some("main".into()), ..terms("azure") };
    assert_eq!(compared(&store, &main, "gpt 4o 0806 Inp glbl Tokens", 1_500_000).items, []);
    assert_eq!(compared(&store, &terms("azure"), "gpt-4o", 1_570_000).items, []);
}

#[test]
fn a_row_that_came_after_the_close_counts_when_its_request_did() {
    let (_folder, store) = store_of(&[row(1, 1_000_000, place("openai", None, "gpt-5"))]);
    let december = NOVEMBER.plus(30 * DAY);
    store.close_books(december, december).expect("closed");
    load_later(&store, &row(2, 400_000, place("openai", None, "gpt-5")));
    assert_eq!(compared(&store, &terms("openai"), "gpt-5", 1_400_000).items, []);
    let of_december = Terms::of_days(december, december.plus(31 * DAY)).expect("whole days");
    let report = reconcile(&store, &Invoice::default(), &of_december).expect("compared");
    assert_eq!((report.items, report.requests), (Vec::new(), 0));
}

fn load_later(store: &dyn LedgerStore, entry: &Entry) {
    let (log, mut bytes, mut batch) = (LogId::new(9), Vec::new(), Batch::default());
    encode_entry(entry, &mut bytes);
    batch.push(log, 1, entry.clone(), &bytes);
    batch.cursors.push(Cursor { log, lsn: 1, segment: 1, offset: 0 });
    store.load(&batch).expect("loaded");
    let posted = store.usage(&Default::default()).expect("asked");
    assert_eq!(posted.iter().map(|group| group.cost).sum::<Money>(), PRICE.times(1_400_000));
}

#[test]
fn rows_without_a_price_are_told_as_what_is_missing() {
    let priced = row(1, 1_000_000, place("openai", None, "gpt-5"));
    let unpriced =
        Entry { cost: None, meters: smallvec![], ..row(2, 400_000, place("openai", None, "gpt-5")) };
    let (_folder, store) = store_of(&[priced, unpriced]);
    let report = compared(&store, &terms("openai"), "gpt-5", 1_400_000);
    let reasons: BTreeSet<Reason> = report.items.iter().map(|item| item.reason).collect();
    assert_eq!(reasons, BTreeSet::from([Reason::Unpriced]));
    assert_eq!(report.items[0].note, "rows without a price: 1");
}

#[test]
fn usage_around_a_midnight_may_stand_on_either_side_of_it() {
    let at = |day: i64, number: u64, tokens| {
        let started_at: UnixMillis = NOVEMBER.plus(day * DAY + 60_000);
        let row = row(number, tokens, place("openai", None, "gpt-5"));
        Entry { id: RequestId::new(started_at, number.into()), started_at, ..row }
    };
    let (_folder, store) = store_of(&[at(1, 1, 9_000_000), at(2, 2, 3_000_000), at(3, 3, 5_000_000)]);
    let cost = |tokens| PRICE.times(tokens);
    let bill = format!(
        "date,model,cost,currency\n2026-11-02,gpt-5,{},USD\n2026-11-03,gpt-5,{},USD\n2026-11-04,gpt-5,{},USD\n",
        cost(9_000_000) + cost(1_000_000),
        cost(2_000_000),
        cost(5_000_000),
    );
    let file = InvoiceFile { name: "bill.csv", format: Format::Csv, content: bill.as_bytes() };
    let invoice = Invoice::read(&[file]).expect("an invoice");
    let report = reconcile(&store, &invoice, &terms("openai")).expect("compared");
    let found: Vec<_> =
        report.items.iter().map(|item| (item.day.day(), item.reason, item.material)).collect();
    assert_eq!(found, [(2, Reason::DayBoundary, false), (3, Reason::DayBoundary, false)]);
    assert!(report.within_tolerance, "no money is lost");
}
