//! A month is closed, whatever breaks meanwhile, and stays as it was closed.

mod fragile;
#[path = "../exports/ground.rs"]
#[allow(dead_code, reason = "each test file uses its part of it")]
mod ground;
mod stage;

use std::{collections::BTreeSet, fs, sync::atomic::Ordering};

use jiff::tz::TimeZone;
use tollgate_accounting::ledger::{Kind, LedgerStore, RowQuery, UsageQuery};
use tollgate_domain::{Money, RequestId};
use tollgate_finance::{
    close::{self, CloseError, Proof, restore, statements, verify},
    reconcile::{Format, Invoice, InvoiceFile, Terms},
};

use fragile::Fragile;
use stage::{DAY, NOVEMBER, OCTOBER, Stage, order, row};

fn amount(text: &str) -> Money {
    text.parse().expect(text)
}

#[test]
fn every_team_has_a_statement_whose_lines_are_its_rows() {
    let stage = Stage::of_october();
    let close = stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("closed");
    let sealed: Vec<&str> = close.statements.iter().map(|sealed| sealed.team.as_str()).collect();
    assert_eq!((sealed, close.without_reconciliation.as_deref()), (vec!["hr", "retail"], Some("a test")));
    let papers = statements(&stage.store).expect("read");
    let retail = &papers[1];
    assert_eq!((retail.id.as_str(), retail.rows.rows, retail.rows.refusals), ("2026-10.retail", 4, 1));
    assert_eq!((retail.rows.first_seq, retail.rows.last_seq), (Some(1), Some(4)));
    assert_eq!(retail.rows.price_ids, ["gpt-2026"]);
    let lines: Vec<_> = retail
        .lines
        .iter()
        .map(|line| (line.kind.as_str(), line.quantity, line.cost.map(|cost| cost.to_string())))
        .collect();
    let cost = |text: &str| Some(text.to_owned());
    assert_eq!(
        lines,
        [
            ("usage", Some(4_002), cost("0.010005")),
            ("usage", Some(14), None),
            ("usage", Some(5), None),
            ("rounding", None, cost("-0.000005")),
        ]
    );
    assert_eq!((retail.totals[0].exact, retail.totals[0].amount), (amount("0.010005"), amount("0.01")));
    let in_all: Money = papers.iter().map(|paper| paper.totals[0].amount).sum();
    assert_eq!(close.totals[0].amount, in_all);
    assert!(verify(&stage.store, stage.folder()).expect("read").is_clean());
}

#[test]
fn statements_of_a_team_are_a_chain_over_months() {
    let stage = Stage::of_october();
    stage.load(&[row(20, "retail", NOVEMBER.plus(DAY)), row(21, "new", NOVEMBER.plus(DAY))], 2);
    let october = stage.books().close(&order("2026-10", NOVEMBER.plus(2 * DAY))).expect("closed");
    let november = stage.books().close(&order("2026-11", NOVEMBER.plus(40 * DAY))).expect("closed");
    assert_eq!(november.previous.as_deref(), Some(october.hash.as_str()));
    let papers = statements(&stage.store).expect("read");
    let of = |id: &str| papers.iter().find(|paper| paper.id == id).expect(id);
    assert_eq!(of("2026-11.retail").previous.as_ref(), Some(&of("2026-10.retail").hash));
    assert_eq!((&of("2026-10.retail").previous, &of("2026-11.new").previous), (&None, &None));
    let verified = verify(&stage.store, stage.folder()).expect("read");
    assert_eq!((verified.months, verified.statements, verified.faults), (2, 4, Vec::new()));
}

#[test]
fn what_cannot_be_closed_is_refused_and_nothing_is_changed() {
    let stage = Stage::of_october();
    let refused = |text: &str, now, told: &str| {
        let before = stage.everything();
        let error = stage.books().close(&order(text, now)).expect_err(text).to_string();
        assert!(error.contains(told), "{text}: {error}");
        assert_eq!(stage.everything(), before, "{text}");
    };
    let later = NOVEMBER.plus(DAY);
    refused("2026-10", NOVEMBER.plus(-1), "2026-10 has not ended: it lasts until 2026-11-01T00:00:00.000Z");
    refused("2026-11", later, "2026-11 has not ended");
    refused("2026-11", NOVEMBER.plus(40 * DAY), "2026-10 has rows and is not closed");
    stage.books().close(&order("2026-10", later)).expect("closed");
    refused("2026-10", later, "2026-10 is closed already");
    refused("2026-09", later, "the books are closed up to 2026-11-01T00:00:00.000Z already");
    assert!(
        stage.books().close(&order("2026-11", NOVEMBER.plus(40 * DAY))).is_ok(),
        "a month without rows too"
    );
}

#[test]
fn invoices_that_differ_keep_a_month_open_until_someone_says_why() {
    let stage = Stage::of_october();
    let bill = "date,model,cost,currency\n2026-10-02,gpt,500,USD\n";
    let proof = |accept: Option<&str>| {
        let file = InvoiceFile { name: "bill.csv", format: Format::Csv, content: bill.as_bytes() };
        let terms = Terms::of_days(OCTOBER, NOVEMBER).expect("whole days");
        let invoices = vec![(Invoice::read(&[file]).expect("an invoice"), terms)];
        Proof::Invoices { invoices, accept: accept.map(str::to_owned) }
    };
    let mut order = order("2026-10", NOVEMBER.plus(DAY));
    order.proof = proof(None);
    let before = stage.everything();
    let error = stage.books().close(&order).expect_err("the invoice differs");
    assert!(matches!(&error, CloseError::Differs(reports) if reports.len() == 1), "{error}");
    assert_eq!(stage.everything(), before);
    order.proof = proof(Some("paid twice, refund is due"));
    let close = stage.books().close(&order).expect("closed");
    assert_eq!(close.accepted.as_deref(), Some("paid twice, refund is due"));
    assert_eq!(close.reconciliations[0]["within_tolerance"], false);
    let audit = stage.store.audit(None, 10).expect("read");
    assert_eq!((audit[0].action.as_str(), audit[0].subject.as_str()), ("month.close", "2026-10"));
    assert!(audit[0].detail.contains("refund is due"), "{}", audit[0].detail);
    assert!(verify(&stage.store, stage.folder()).expect("read").is_clean());
}

/// Every call that changes the store is the last one once, and so is every file.
#[test]
fn a_close_that_broke_off_anywhere_is_finished_by_asking_again() {
    let whole = Stage::of_october();
    whole.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("closed");
    let papers = whole.papers();
    let mut broken = 0;
    for changes in 0..20 {
        let stage = Stage::of_october();
        let store = Fragile::new(&stage.store, changes);
        let first = stage.books_on(&store).close(&order("2026-10", NOVEMBER.plus(DAY)));
        if first.is_ok() {
            break;
        }
        broken += 1;
        // A row comes between the two, and another clock and person ask again.
        stage.load(&[row(30, "retail", NOVEMBER.plus(-DAY))], 2);
        let rows_in_time = stage.store.closings().expect("read").is_empty();
        let again = stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("finished");
        assert_eq!(again.rows.rows, if rows_in_time { 7 } else { 6 }, "after {changes} changes");
        if !rows_in_time {
            assert_eq!(stage.papers(), papers, "after {changes} changes");
        }
        let verified = verify(&stage.store, stage.folder()).expect("read");
        assert_eq!(verified.faults, [""; 0], "after {changes} changes");
    }
    assert_eq!(broken, 5, "the audit, the close of the books, two statements, the close");
}

#[test]
fn a_file_that_was_written_before_the_kill_is_taken_as_it_is() {
    let stage = Stage::of_october();
    let store = Fragile::new(&stage.store, 2);
    stage.books_on(&store).close(&order("2026-10", NOVEMBER.plus(DAY))).expect_err("broken off");
    let statement = stage.folder().join("2026-10/team-hr.json");
    let written = fs::read_to_string(&statement).expect("the file came before the document");
    stage.books().close(&order("2026-10", NOVEMBER.plus(3 * DAY))).expect("finished");
    assert_eq!(fs::read_to_string(&statement).expect("read"), written);
    assert!(statements(&stage.store).expect("read").iter().any(|paper| written.contains(&paper.hash)));
}

#[test]
fn what_comes_after_the_close_lands_in_open_time_and_the_month_stays_as_it_was() {
    let stage = Stage::of_october();
    stage.load(&[row(20, "retail", NOVEMBER.plus(DAY))], 2);
    stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("closed");
    let october = stage.exports(OCTOBER, NOVEMBER);
    let late = [row(8, "retail", OCTOBER.plus(20 * DAY)), row(9, "hr", OCTOBER.plus(21 * DAY))];
    stage.load(&late, 3);
    let mut correction = row(40, "retail", NOVEMBER.plus(5 * DAY));
    correction.kind = Kind::Adjustment;
    correction.adjusts = Some(RequestId::new(OCTOBER.plus(DAY), 1));
    correction.cost = Some(amount("-0.001"));
    correction.meters.clear();
    stage.load(&[correction], 4);

    assert_eq!(stage.exports(OCTOBER, NOVEMBER), october, "the same bytes");
    let adjusted = RowQuery { kind: Some(Kind::Adjustment), from: Some(NOVEMBER), ..RowQuery::default() };
    let adjusted = stage.store.rows(&adjusted).expect("read").items;
    assert_eq!(adjusted.len(), 3);
    let all: Money =
        stage.store.usage(&UsageQuery::default()).expect("asked").iter().map(|group| group.cost).sum();
    let months: Money = [(OCTOBER, NOVEMBER), (NOVEMBER, NOVEMBER.plus(30 * DAY))]
        .into_iter()
        .map(|(from, to)| stage.cost(from, to))
        .sum();
    assert_eq!(months, all);

    stage.books().close(&order("2026-11", NOVEMBER.plus(40 * DAY))).expect("closed");
    let papers = statements(&stage.store).expect("read");
    let november = papers.iter().find(|paper| paper.id == "2026-11.retail").expect("sealed");
    let kinds: BTreeSet<&str> = november.lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["usage", "adjustment", "rounding"]));
    assert_eq!(november.totals[0].exact, stage.team_cost("retail", NOVEMBER, NOVEMBER.plus(30 * DAY)));
    assert!(verify(&stage.store, stage.folder()).expect("read").is_clean());
    assert_eq!(stage.exports(OCTOBER, NOVEMBER), october);
}

#[test]
fn a_lost_store_is_given_its_papers_back_before_it_takes_rows() {
    let stage = Stage::of_october();
    stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("closed");
    let late = [row(8, "retail", OCTOBER.plus(20 * DAY))];
    stage.load(&late, 3);
    let rebuilt = stage.with_an_empty_store();
    assert!(restore(&rebuilt.store, rebuilt.folder()).expect("restored").is_empty());
    rebuilt.load_october();
    rebuilt.load(&late, 3);
    assert_eq!(rebuilt.papers(), stage.papers());
    assert_eq!(rebuilt.cost(OCTOBER, NOVEMBER), stage.cost(OCTOBER, NOVEMBER));
    assert_eq!(verify(&rebuilt.store, rebuilt.folder()).expect("read").faults, [""; 0]);
    assert!(
        restore(&rebuilt.store, rebuilt.folder()).expect("restored").is_empty(),
        "a second time does nothing"
    );
    let error = rebuilt.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect_err("it is closed");
    assert!(matches!(error, CloseError::AlreadyClosed(_)), "{error}");
}

#[test]
fn whatever_is_changed_afterwards_is_found() {
    type Tamper = fn(&Stage);
    let cases: [(&str, Tamper, &str); 6] = [
        ("a byte of a statement", |stage| stage.change_byte("2026-10/team-hr.json", 40), "team-hr.json"),
        ("a byte of the close", |stage| stage.change_byte("2026-10/close.json", 60), "the close of 2026-10"),
        (
            "a statement that is gone",
            |stage| fs::remove_file(stage.folder().join("2026-10/team-hr.json")).expect("removed"),
            "statement 2026-10.hr has no file",
        ),
        (
            "a statement that was sealed anew",
            |stage| stage.seal_anew("2026-10/team-retail.json", "0.010005", "0.020005"),
            "is not what the ledger has",
        ),
        (
            "a file of another team under this name",
            |stage| {
                let folder = stage.folder().join("2026-10");
                fs::copy(folder.join("team-hr.json"), folder.join("team-retail.json"))
                    .map(drop)
                    .expect("copied");
            },
            "statement 2026-10.retail has no file that says the same",
        ),
        (
            "rows that came into the month behind the store's back",
            |stage| stage.smuggle(&row(50, "retail", OCTOBER.plus(DAY))),
            "statement 2026-10.retail is of 0.010005 USD, the rows are of",
        ),
    ];
    for (what, tamper, told) in cases {
        let stage = Stage::of_october();
        stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("closed");
        tamper(&stage);
        let verified = verify(&stage.store, stage.folder()).expect("read");
        assert!(verified.faults.iter().any(|fault| fault.contains(told)), "{what}: {:?}", verified.faults);
    }
}

#[test]
fn a_changed_file_stops_a_close_and_is_left_alone() {
    let stage = Stage::of_october();
    let store = Fragile::new(&stage.store, 3);
    stage.books_on(&store).close(&order("2026-10", NOVEMBER.plus(DAY))).expect_err("broken off");
    stage.change_byte("2026-10/team-hr.json", 40);
    let error = stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect_err("changed").to_string();
    assert!(error.contains("team-hr.json is not what the ledger has"), "{error}");
    let faults = restore(&stage.store, stage.folder()).expect("looked");
    assert_eq!(faults.len(), 1);
}

#[test]
fn the_calendars_zone_decides_the_month() {
    let zone = TimeZone::get("America/New_York").expect("a zone");
    let stage = Stage::of_october();
    // Two hours after midnight in UTC it is still October there.
    stage.load(&[row(20, "retail", NOVEMBER.plus(2 * 3_600_000))], 2);
    let books = close::Books { zone: &zone, time_zone: "America/New_York", ..stage.books() };
    let early = books.close(&order("2026-10", NOVEMBER.plus(3 * 3_600_000))).expect_err("it has not ended");
    assert!(matches!(early, CloseError::NotEnded { .. }), "{early}");
    let close = books.close(&order("2026-10", NOVEMBER.plus(DAY))).expect("closed");
    assert_eq!((close.until.as_str(), close.rows.rows), ("2026-11-01T04:00:00.000Z", 7));
    // The calendar is another one by now: no instant is left out or closed twice.
    let next = stage.books().close(&order("2026-11", NOVEMBER.plus(40 * DAY))).expect("closed");
    assert_eq!(next.from, close.until);
}

#[test]
fn a_full_disk_changes_nothing_that_cannot_be_finished() {
    let stage = Stage::of_october();
    fs::write(stage.folder(), "a file where the folder should be").expect("written");
    let error = stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect_err("no folder");
    assert!(matches!(error, CloseError::Paper(_)), "{error}");
    fs::remove_file(stage.folder()).expect("removed");
    stage.books().close(&order("2026-10", NOVEMBER.plus(DAY))).expect("finished");
    let store = Fragile::new(&stage.store, 0);
    assert!(verify(&store, stage.folder()).expect("read").is_clean());
    assert_eq!(store.left.load(Ordering::Relaxed), 0, "looking changes nothing");
}
