//! The workbook: its limits, and that it is the same for the same rows. What it says is read by
//! `readers`, with a library of its own.

use jiff::tz::TimeZone;
use tollgate_accounting::ledger::Entry;
use tollgate_finance::{ExportError, XlsxDetail, export_xlsx};

use crate::{
    ground::{all_kinds, entry, store_of},
    mixed::mixed,
};

fn exported(entries: &[Entry], detail: XlsxDetail) -> Result<Vec<u8>, ExportError> {
    let (_folder, store) = store_of(entries);
    let mut file = Vec::new();
    export_xlsx(&store, &all_kinds(), detail, &TimeZone::UTC, &mut file)?;
    Ok(file)
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let entries = mixed(5, 200);
    for detail in [XlsxDetail::Report, XlsxDetail::Requests] {
        let file = exported(&entries, detail).expect("exported");
        assert!(file.starts_with(b"PK\x03\x04"), "a workbook is a ZIP file");
        assert!(file == exported(&entries, detail).expect("exported"), "{detail:?}");
    }
    assert!(exported(&[], XlsxDetail::Requests).is_ok(), "a month without rows is a workbook too");
}

#[test]
fn more_teams_than_sheets_are_refused_with_advice_before_anything_is_written() {
    let entries: Vec<Entry> = (1..=201)
        .map(|number| {
            let mut entry = entry(number);
            let mut identity = (*entry.identity).clone();
            identity.team = format!("team-{number}").as_str().into();
            entry.identity = identity.into();
            entry
        })
        .collect();
    let (_folder, store) = store_of(&entries);
    let mut file = Vec::new();
    let error = export_xlsx(&store, &all_kinds(), XlsxDetail::Report, &TimeZone::UTC, &mut file)
        .expect_err("too many");
    assert!(matches!(&error, ExportError::TooLong(advice) if advice.contains("Parquet")), "{error}");
    assert!(file.is_empty());
}
