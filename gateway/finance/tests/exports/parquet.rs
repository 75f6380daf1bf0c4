//! The Parquet file, read back by the library's own reader.

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit},
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use tollgate_accounting::ledger::{COLUMNS, Entry, Form};
use tollgate_domain::{Money, Usage};
use tollgate_finance::{ExportError, export_parquet};

use crate::{
    ground::{all_kinds, entry, store_of},
    mixed::mixed,
    same_total::Totals,
};

fn exported(entries: &[Entry]) -> Bytes {
    let (_folder, store) = store_of(entries);
    let mut file = Vec::new();
    let rows = export_parquet(&store, &all_kinds(), &mut file).expect("exported");
    assert_eq!(rows, entries.len() as u64);
    file.into()
}

fn opened(file: Bytes) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new(file).expect("a Parquet file")
}

fn rows_of(file: Bytes) -> Vec<BTreeMap<String, Field>> {
    let named = |row: Row| row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect();
    opened(file).get_row_iter(None).expect("rows").map(|row| named(row.expect("a row"))).collect()
}

fn amount(field: &Field) -> Money {
    let Field::Decimal(decimal) = field else { panic!("{field:?} is no decimal") };
    assert_eq!((decimal.precision(), decimal.scale()), (38, 12));
    Money::from_pico(i128::from_be_bytes(decimal.data().try_into().expect("16 bytes")))
}

/// What a file says it costs.
pub(crate) fn sums_by_currency(file: impl Into<Bytes>, currency: &str, cost: &str) -> Totals {
    let mut totals = Totals::new();
    for row in rows_of(file.into()) {
        let Field::Str(currency) = &row[currency] else { panic!("every row has a currency") };
        let sum = totals.entry(currency.clone()).or_default();
        if row[cost] != Field::Null {
            *sum += amount(&row[cost]);
        }
    }
    totals
}

#[test]
fn columns_have_the_types_that_readers_need_not_guess() {
    let reader = opened(exported(&[entry(1)]));
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    assert_eq!(schema.num_columns(), COLUMNS.len());
    for (column, known) in schema.columns().iter().zip(COLUMNS) {
        assert_eq!(column.name(), known.name);
        match known.form {
            Form::Amount => {
                assert_eq!(column.converted_type(), ConvertedType::DECIMAL, "{}", known.name);
                assert_eq!((column.type_precision(), column.type_scale()), (38, 12));
            }
            Form::Instant => assert_eq!(
                column.logical_type_ref(),
                Some(&LogicalType::timestamp(true, TimeUnit::MICROS)),
                "{}",
                known.name
            ),
            Form::Text | Form::List => {
                assert_eq!(column.logical_type_ref(), Some(&LogicalType::String), "{}", known.name);
            }
            Form::Count | Form::Truth => assert_eq!(column.logical_type_ref(), None, "{}", known.name),
        }
    }
    let metadata = reader.metadata().file_metadata().key_value_metadata().expect("some");
    assert!(metadata.iter().any(|pair| pair.key == "tollgate_dataset"));
}

#[test]
fn every_row_is_told_exactly() {
    let entries = mixed(3, 300);
    let (_folder, store) = store_of(&entries);
    let mut file = Vec::new();
    export_parquet(&store, &all_kinds(), &mut file).expect("exported");
    let told: BTreeMap<String, _> = rows_of(file.into())
        .into_iter()
        .map(|row| (row["id"].to_string().trim_matches('"').to_owned(), row))
        .collect();
    assert_eq!(told.len(), entries.len());
    for entry in &entries {
        let row = &told[&entry.id.to_string()];
        let text = |name: &str| match &row[name] {
            Field::Str(text) => Some(text.as_str()),
            _ => None,
        };
        let cost = (row["cost"] != Field::Null).then(|| amount(&row["cost"]));
        assert_eq!(cost, entry.cost);
        assert_eq!(row["started_at"], Field::TimestampMicros(entry.started_at.get() * 1_000));
        assert_eq!(row["input_tokens"], Field::Long(entry.usage.input_tokens() as i64));
        assert_eq!(text("end_user"), entry.end_user.as_deref(), "texts are as they were sent");
        assert_eq!(text("team"), Some(entry.identity.team.as_str()));
        let meters: serde_json::Value = serde_json::from_str(text("meters").expect("a list")).expect("JSON");
        assert_eq!(meters.as_array().map(Vec::len), Some(entry.meters.len()));
    }
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let entries = mixed(4, 200);
    assert_eq!(exported(&entries), exported(&entries));
    let none = opened(exported(&[]));
    assert_eq!((none.num_row_groups(), none.metadata().file_metadata().num_rows()), (0, 0));
}

#[test]
fn a_figure_that_does_not_fit_is_an_error_that_names_it() {
    let usage = Usage { input_uncached: u64::MAX, ..Usage::default() };
    let (_folder, store) = store_of(&[Entry { usage, ..entry(1) }]);
    let error = export_parquet(&store, &all_kinds(), &mut Vec::new()).expect_err("too large");
    assert!(matches!(error, ExportError::DoesNotFit { column: "input_tokens", .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_folder, store) = store_of(&[entry(1)]);
    for room in [0, 3, 100, 2_000] {
        let error = export_parquet(&store, &all_kinds(), &mut Full(room)).expect_err("no room");
        assert!(matches!(error, ExportError::Write(_)), "{error}");
    }
}
