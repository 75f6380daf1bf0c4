//! Whatever is asked, every way of asking gives the same total: the usage report in any grouping, the
//! CSV file, the Parquet file, both FOCUS files. Workbooks are read by `readers`.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use tollgate_accounting::ledger::{Dimension, Entry, Kind, LedgerStore, RowQuery, UsageQuery};
use tollgate_domain::{Money, UnixMillis};
use tollgate_finance::{FocusForm, FocusVersion, UsageReport, export_csv, export_focus, export_parquet};

use crate::{
    ground::store_of,
    mixed::{BEGIN, Dice, END, mixed},
    parquet::sums_by_currency,
};

/// Amounts by currency.
pub(crate) type Totals = BTreeMap<String, Money>;

/// A question: which time, in which calendar, in which groups.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) from: UnixMillis,
    pub(crate) to: UnixMillis,
    pub(crate) zone: TimeZone,
    by: Vec<Dimension>,
}

impl Question {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let (one, other) = (dice.between(BEGIN, END), dice.between(BEGIN, END));
        let all = "team project key model upstream region zone end_user day hour month tag:env tag:feature";
        let by = all.split(' ').filter(|_| dice.roll(4) == 0).map(|name| name.parse().expect("a dimension"));
        let by = by.collect();
        let zones = ["UTC", "America/New_York", "Asia/Kolkata", "Europe/Berlin", "Pacific/Chatham"];
        let name: &str = dice.pick::<&str>(&zones);
        let zone = TimeZone::get(name).expect("a zone");
        Self { from: one.min(other), to: one.max(other).plus(1), zone, by }
    }

    pub(crate) fn rows(&self) -> RowQuery {
        RowQuery { kind: None, from: Some(self.from), to: Some(self.to), ..RowQuery::default() }
    }

    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        self.from <= entry.started_at && entry.started_at < self.to
    }

    /// The groups, counted by hand.
    fn groups(&self, entries: &[Entry]) -> BTreeMap<(Vec<String>, String), Money> {
        let mut groups = BTreeMap::new();
        for entry in entries.iter().filter(|entry| self.holds(entry)) {
            let values = self.by.iter().map(|by| by.value(entry, &self.zone).into_owned()).collect();
            let cost = if entry.kind == Kind::Refusal { None } else { entry.cost };
            *groups.entry((values, entry.currency.to_string())).or_insert(Money::ZERO) +=
                cost.unwrap_or_default();
        }
        groups
    }
}

#[test]
fn five_hundred_groupings_and_periods_sum_to_the_same_total() {
    let cases = if std::env::var_os("TOLLGATE_LONG").is_some() { 500 } else { 20 };
    let entries = mixed(1, 1_200);
    let (_folder, store) = store_of(&entries);
    let mut dice = Dice::new(500);
    let mut priced = 0;
    for _ in 0..cases {
        let question = Question::random(&mut dice);
        let groups = question.groups(&entries);
        let mut want = Totals::new();
        for ((_, currency), cost) in &groups {
            *want.entry(currency.clone()).or_default() += *cost;
        }
        assert_eq!(by_usage(&store, &question, &groups), want, "usage, {question:?}");
        assert_eq!(by_csv(&store, &question), want, "csv, {question:?}");
        assert_eq!(by_parquet(&store, &question), want, "parquet, {question:?}");
        for version in [FocusVersion::V1_2, FocusVersion::V1_4] {
            let mut told = by_focus(&store, &question, version);
            // Refusals are no charges: a currency that only they have is in no FOCUS file.
            for currency in want.keys() {
                told.entry(currency.clone()).or_default();
            }
            assert_eq!(told, want, "focus {}, {question:?}", version.number());
        }
        priced += usize::from(want.values().any(|cost| !cost.is_zero()));
    }
    assert!(priced > cases / 2, "most questions are about money: {priced} of {cases}");
}

fn by_usage(
    store: &dyn LedgerStore,
    question: &Question,
    groups: &BTreeMap<(Vec<String>, String), Money>,
) -> Totals {
    let query = UsageQuery {
        from: Some(question.from),
        to: Some(question.to),
        by: question.by.clone(),
        time_zone: question.zone.clone(),
        ..UsageQuery::default()
    };
    let report = UsageReport::ask(store, &query, "USD".into()).expect("answered");
    let told: BTreeMap<_, _> = report
        .items
        .iter()
        .map(|item| {
            let values = item.group.iter().map(|(_, value)| value.clone()).collect();
            ((values, item.currency.to_string()), item.cost)
        })
        .collect();
    assert_eq!(&told, groups, "{question:?}");
    let totals = [("USD".to_owned(), report.total.cost)].into_iter();
    let others = report.other_costs.iter().map(|(currency, cost)| (currency.to_string(), *cost));
    totals.chain(others).filter(|(currency, _)| groups.keys().any(|(_, known)| known == currency)).collect()
}

fn by_csv(store: &dyn LedgerStore, question: &Question) -> Totals {
    let mut file = Vec::new();
    export_csv(store, &question.rows(), &mut file).expect("exported");
    sum_of(&file, "currency", "cost")
}

fn by_focus(store: &dyn LedgerStore, question: &Question, version: FocusVersion) -> Totals {
    let mut file = Vec::new();
    export_focus(store, &question.rows(), (version, FocusForm::Csv), &question.zone, &mut file)
        .expect("exported");
    let totals = sum_of(&file, "BillingCurrency", "EffectiveCost");
    let mut typed = Vec::new();
    export_focus(store, &question.rows(), (version, FocusForm::Parquet), &question.zone, &mut typed)
        .expect("exported");
    assert_eq!(sums_by_currency(typed, "BillingCurrency", "EffectiveCost"), totals, "{question:?}");
    totals
}

fn by_parquet(store: &dyn LedgerStore, question: &Question) -> Totals {
    let mut file = Vec::new();
    export_parquet(store, &question.rows(), &mut file).expect("exported");
    sums_by_currency(file, "currency", "cost")
}

fn sum_of(file: &[u8], currency: &str, amount: &str) -> Totals {
    let mut totals = Totals::new();
    for row in csv::Reader::from_reader(file).deserialize::<BTreeMap<String, String>>() {
        let row = row.expect("a row of named fields");
        let cost = match row[amount].as_str() {
            "" => Money::ZERO,
            text => text.parse().expect("an amount"),
        };
        *totals.entry(row[currency].clone()).or_default() += cost;
    }
    totals
}
