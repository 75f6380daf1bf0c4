//! Invoices with planted faults, held against a ledger that knows better.

#[path = "../exports/ground.rs"]
#[allow(dead_code, reason = "each test file uses its part of it")]
mod ground;
mod month;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollgate_domain::Money;
use tollgate_finance::reconcile::{
    Format, Invoice, InvoiceFile, RangeError, Reason, Reconciliation, Terms, Tolerance, reconcile,
};

use month::{Bill, DAY, MODELS, NOVEMBER, Use, stored, uses};

fn november() -> Terms {
    Terms::of_days(NOVEMBER, NOVEMBER.plus(30 * DAY)).expect("whole days")
}

fn exact() -> Tolerance {
    Tolerance { percent: Money::ZERO, amount: Money::ZERO }
}

fn invoice(format: Format, content: &str) -> Invoice {
    let file = InvoiceFile { name: "invoice", format, content: content.as_bytes() };
    Invoice::read(&[file]).unwrap_or_else(|error| panic!("{error}"))
}

/// What was found: by model and day of the month.
fn found(report: &Reconciliation) -> BTreeSet<(&str, i8, Reason)> {
    report.items.iter().map(|item| (item.model.as_str(), item.day.day(), item.reason)).collect()
}

#[test]
fn an_honest_invoice_agrees_in_every_form() {
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let bill = Bill::of(&uses);
    for (format, content) in [
        (Format::OpenAi, bill.openai()),
        (Format::Anthropic, bill.anthropic()),
        (Format::Azure, bill.azure()),
        (Format::Csv, bill.csv()),
    ] {
        assert_eq!(Format::of(content.as_bytes()), format);
        let terms = Terms { tolerance: exact(), ..november() };
        let report = reconcile(&store, &invoice(format, &content), &terms).expect("compared");
        assert_eq!(report.items, [], "{format}");
        assert!(report.within_tolerance && report.lines > 0, "{format}");
        let total = uses.iter().map(Use::cost).sum::<Money>();
        assert_eq!((report.totals[0].theirs, report.totals[0].ours), (total, total), "{format}");
        assert_eq!(report.requests, uses.len() as u64);
    }
}

#[test]
fn six_planted_faults_are_found_with_the_right_reason() {
    let mut uses = uses();
    let mut bill = Bill::of(&uses);
    // A model that costs a fifth more from the sixteenth on.
    for (_, side) in bill.sides(MODELS[0]).filter(|((day, ..), _)| *day >= 16) {
        side.cost = Money::from_pico(side.cost.pico() * 6 / 5);
    }
    // A day that the ledger has lost, and one that the provider has.
    uses.retain(|used| (used.model, used.day()) != (MODELS[1], 5));
    bill.lines.retain(|(day, model, _), _| (*day, *model) != (9, MODELS[1]));
    // A key that someone uses beside the gateway.
    let beside = bill.sides(MODELS[2]).find(|((day, ..), _)| *day == 12).expect("used that day").1.clone();
    bill.beside.push((12, MODELS[2], beside.clone()));
    // Half as many input tokens again, at the usual price.
    for (_, side) in bill.sides(MODELS[3]).filter(|((day, _, side), _)| (*day, *side) == (20, "input")) {
        side.tokens += side.tokens / 2;
        side.cost += Money::from_pico(side.cost.pico() / 2);
    }
    // A model whose days are those of Tokyo.
    bill.shift(&uses, MODELS[4], 9);

    let (_folder, store) = stored(&uses);
    let report = reconcile(&store, &invoice(Format::OpenAi, &bill.openai()), &november()).expect("compared");
    let mut planted: BTreeSet<(&str, i8, Reason)> =
        (16..=30).map(|day| (MODELS[0], day, Reason::PriceChange)).collect();
    planted.extend((1..=30).map(|day| (MODELS[4], day, Reason::DayBoundary)));
    planted.extend([
        (MODELS[1], 5, Reason::MissingUsage),
        (MODELS[1], 9, Reason::UnknownToProvider),
        (MODELS[2], 12, Reason::UnmeteredKeys),
        (MODELS[3], 20, Reason::UsageDiffers),
    ]);
    assert_eq!(found(&report), planted);
    assert!(!report.within_tolerance);
    let note = |reason| report.items.iter().find(|item| item.reason == reason).map(|item| item.note.as_str());
    assert_eq!(
        note(Reason::PriceChange),
        Some("from 2026-11-16 on; input: theirs 3 a million, ours 2.5; output: theirs 12 a million, ours 10")
    );
    assert!(note(Reason::UnmeteredKeys).is_some_and(|note| note.contains("key_beside")), "{report:?}");
    assert!(note(Reason::DayBoundary).is_some_and(|note| note.contains("UTC+09:00")), "{report:?}");
}

#[test]
fn amounts_with_fewer_places_are_rounding_and_within_tolerance() {
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let mut bill = Bill::of(&uses);
    let cent = 10_000_000_000;
    for side in bill.lines.values_mut() {
        side.cost = Money::from_pico((side.cost.pico() + cent / 2) / cent * cent);
    }
    let report = reconcile(&store, &invoice(Format::Csv, &bill.csv()), &november()).expect("compared");
    assert!(report.items.iter().all(|item| item.reason == Reason::Rounding), "{report:?}");
    assert!(report.within_tolerance && !report.items.is_empty());
}

#[test]
fn other_reasons_are_told_by_their_figures() {
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let dear = |bill: &mut Bill| {
        for (_, side) in bill.sides(MODELS[0]).filter(|((day, ..), _)| (3..=4).contains(day)) {
            side.cost = side.cost + side.cost;
        }
    };
    type Plant<'a> = &'a dyn Fn(&mut Bill);
    let cases: [(&str, Plant<'_>, Terms, Reason); 4] = [
        ("a price for some days", &dear, november(), Reason::PriceDiffers),
        (
            "no tokens told",
            &|bill| {
                dear(bill);
                bill.tells_tokens = false;
            },
            november(),
            Reason::Undecided,
        ),
        ("another currency", &|bill| bill.currency = "EUR", november(), Reason::Currency),
        (
            "a key that was not named as ours",
            &|bill| {
                let line = bill.lines[&(3, MODELS[0], "input")].clone();
                bill.beside.push((3, MODELS[0], line));
            },
            Terms { keys: vec!["key_gateway".into()], ..november() },
            Reason::UnmeteredKeys,
        ),
    ];
    for (case, plant, terms, reason) in cases {
        let mut bill = Bill::of(&uses);
        plant(&mut bill);
        let report = reconcile(&store, &invoice(Format::OpenAi, &bill.openai()), &terms).expect("compared");
        let reasons: BTreeSet<Reason> = report.items.iter().map(|item| item.reason).collect();
        assert_eq!(reasons, BTreeSet::from([reason]), "{case}: {:?}", report.items);
        assert!(!report.within_tolerance, "{case}");
    }
}

#[test]
fn tokens_and_costs_of_two_reports_are_one_invoice() {
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let mut bill = Bill::of(&uses);
    for (_, side) in bill.sides(MODELS[3]).filter(|((day, ..), _)| *day == 7) {
        side.cost = side.cost + side.cost;
    }
    let (costs, usage) = (bill.anthropic(), bill.anthropic_usage());
    let files = [("costs.json", &costs), ("usage.json", &usage)].map(|(name, content)| InvoiceFile {
        name,
        format: Format::Anthropic,
        content: content.as_bytes(),
    });
    let both = Invoice::read(&files).expect("read");
    let report = reconcile(&store, &both, &november()).expect("compared");
    assert_eq!(found(&report), BTreeSet::from([(MODELS[3], 7, Reason::PriceDiffers)]));
    let alone = Invoice::read(&files[..1]).expect("read");
    let report = reconcile(&store, &alone, &november()).expect("compared");
    assert_eq!(
        found(&report),
        BTreeSet::from([(MODELS[3], 7, Reason::Undecided)]),
        "costs alone do not tell"
    );
}

#[test]
fn a_model_is_found_under_the_name_that_people_say_it_has() {
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let content = Bill::of(&uses).csv().replace(MODELS[0], "Haus-Modell");
    let strangers = reconcile(&store, &invoice(Format::Csv, &content), &november()).expect("compared");
    let reasons: BTreeSet<Reason> = strangers.items.iter().map(|item| item.reason).collect();
    assert_eq!(reasons, BTreeSet::from([Reason::MissingUsage, Reason::UnknownToProvider]));
    let models = BTreeMap::from([("Haus-Modell".to_owned(), MODELS[0].to_owned())]);
    let known = reconcile(&store, &invoice(Format::Csv, &content), &Terms { models, ..november() });
    assert_eq!(known.expect("compared").items, []);
}

#[test]
fn a_range_is_of_whole_days_and_lines_beyond_it_are_only_counted() {
    assert_eq!(Terms::of_days(NOVEMBER, NOVEMBER.plus(1)).err(), Some(RangeError::NotWholeDays));
    assert_eq!(Terms::of_days(NOVEMBER, NOVEMBER).err(), Some(RangeError::Backwards));
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let week = Terms::of_days(NOVEMBER, NOVEMBER.plus(7 * DAY)).expect("whole days");
    let bill = Bill::of(&uses);
    let report = reconcile(&store, &invoice(Format::OpenAi, &bill.openai()), &week).expect("compared");
    assert_eq!(report.items, []);
    assert!(report.lines_outside > report.lines);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_fault() {
    let lacking =
        InvoiceFile { name: "november.csv", format: Format::Csv, content: b"day,model,cost,currency\n" };
    let error = Invoice::read(&[lacking]).expect_err("a column is missing").to_string();
    assert_eq!(error, "november.csv: the file lacks `date`; it has `day`, `model`, `cost`, `currency`");
    let page = json!({"object": "page", "data": [], "has_more": true}).to_string();
    let open = InvoiceFile { name: "costs.json", format: Format::OpenAi, content: page.as_bytes() };
    let error = Invoice::read(&[open]).expect_err("a page is missing").to_string();
    assert!(error.starts_with("costs.json: the costs report is not complete"), "{error}");
}

#[test]
fn the_report_is_json_with_amounts_as_text() {
    let uses = uses();
    let (_folder, store) = stored(&uses);
    let mut bill = Bill::of(&uses);
    bill.lines.remove(&(3, MODELS[0], "input"));
    let report = reconcile(&store, &invoice(Format::OpenAi, &bill.openai()), &november()).expect("compared");
    let told: Value = serde_json::to_value(&report).expect("JSON");
    assert_eq!((&told["from"], &told["to"]), (&json!("2026-11-01"), &json!("2026-12-01")));
    let digest = hex::encode(Sha256::digest(bill.openai()));
    assert_eq!(told["files"], json!([{ "name": "invoice", "sha256": digest }]));
    let item = &told["items"][0];
    assert_eq!((&item["day"], &item["reason"]), (&json!("2026-11-03"), &json!("usage_differs")), "{item}");
    assert!(item["difference"].as_str().is_some_and(|text| text.starts_with('-')), "{item}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever the invoice says, the differences add up to that of the sums, and every one has a reason.
    #[test]
    fn differences_explain_the_whole(
        changes in prop::collection::vec(
            (0_usize..300, prop_oneof![Just(i64::MAX), Just(i64::MIN), -9_000_000_000_000..9_000_000_000_000_i64], any::<u64>()),
            1..12,
        ),
        euros in any::<bool>(),
        tells_tokens in any::<bool>(),
    ) {
        let uses: Vec<Use> = uses().into_iter().step_by(5).collect();
        let (_folder, store) = stored(&uses);
        let mut bill = Bill::of(&uses);
        bill.tells_tokens = tells_tokens;
        for (place, pico, tokens) in changes {
            let key = *bill.lines.keys().nth(place % bill.lines.len()).expect("a line");
            let line = bill.lines.get_mut(&key).expect("a line");
            line.cost += Money::from_pico(pico.into());
            line.tokens = tokens;
        }
        if euros {
            bill.currency = "EUR";
        }
        let report = reconcile(&store, &invoice(Format::OpenAi, &bill.openai()), &november()).expect("compared");
        for sums in &report.totals {
            let items = report.items.iter().filter(|item| item.currency == sums.currency);
            prop_assert_eq!(items.map(|item| item.difference).sum::<Money>(), sums.difference);
            prop_assert_eq!(sums.theirs - sums.ours, sums.difference);
        }
        let ours = uses.iter().map(Use::cost).sum::<Money>();
        prop_assert_eq!(report.totals.iter().map(|sums| sums.ours).sum::<Money>(), ours);
    }
}
