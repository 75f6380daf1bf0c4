//! The CSV file, read back as a spreadsheet or a script would.

use std::{collections::HashMap, io};

use tollgate_accounting::ledger::{COLUMNS, Entry, Kind};
use tollgate_finance::{ExportError, export_csv};

use crate::ground::{all_kinds, entry, store_of};

fn exported(entries: &[Entry]) -> Vec<HashMap<String, String>> {
    let (_folder, store) = store_of(entries);
    let mut file = Vec::new();
    let rows = export_csv(&store, &all_kinds(), &mut file).expect("exported");
    let read: Vec<_> =
        csv::Reader::from_reader(&file[..]).deserialize().collect::<Result<_, _>>().expect("well-formed");
    assert_eq!(rows, read.len() as u64);
    read
}

#[test]
fn the_columns_are_those_of_the_contract_in_its_order() {
    let contract = "id seq kind started_at ended_at organization team project key cost_center tags end_user \
        session client model provider account upstream upstream_model served_model region zone dialect \
        operation stream status error_code end served_by input_tokens cached_input_tokens \
        cache_write_tokens output_tokens reasoning_tokens audio_input_tokens audio_output_tokens \
        usage_source meters service_tier cost currency reserved_cost waste_cost attempt_count attempts \
        upstream_request_id trace_id ttft_ms duration_ms instance config_version adjusts";
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let contract: Vec<&str> = contract.split_whitespace().collect();
    assert_eq!(names[..contract.len()], contract);
}

#[test]
fn a_row_is_told_exactly() {
    let row = &exported(&[entry(1)])[0];
    let cases = [
        ("seq", "1"),
        ("kind", "usage"),
        ("started_at", "2026-10-01T12:00:00.001Z"),
        ("cost_center", ""),
        ("tags", r#"{"env":"prod","feature":"a,b\"c"}"#),
        ("stream", "true"),
        ("status", "200"),
        ("end", "completed"),
        ("input_tokens", "14"),
        ("cached_input_tokens", "4"),
        ("output_tokens", "5"),
        ("cost", "0.000025"),
        (
            "meters",
            r#"[{"meter":"input","unit":"token","quantity":10,"unit_price":"0.0000025","cost":"0.000025","price_id":"gpt-2026"}]"#,
        ),
        ("attempts", "[]"),
        ("flags", r#"["served_model_differs"]"#),
    ];
    for (column, want) in cases {
        assert_eq!(row[column], want, "{column}");
    }
}

#[test]
fn rows_of_every_kind_are_exported_and_an_unpriced_one_has_no_cost() {
    let refusal = Entry {
        kind: Kind::Refusal,
        cost: None,
        end: None,
        place: None,
        error_code: Some("budget_exceeded".into()),
        ..entry(2)
    };
    let rows = exported(&[entry(1), refusal]);
    assert_eq!(rows.iter().map(|row| row["kind"].as_str()).collect::<Vec<_>>(), ["refusal", "usage"]);
    assert_eq!((rows[0]["cost"].as_str(), rows[0]["upstream"].as_str()), ("", ""));
}

#[test]
fn a_text_from_outside_is_never_a_formula() {
    for text in ["=cmd()", "+1", "-1", "@sum", "\t=1", "\r=1"] {
        let hostile = Entry {
            end_user: Some(text.into()),
            session: Some(text.into()),
            client: Some(text.into()),
            model: text.into(),
            served_model: Some(text.into()),
            service_tier: Some(text.into()),
            upstream_request_id: Some(text.into()),
            trace_id: Some(text.into()),
            ..entry(1)
        };
        let row = &exported(&[hostile])[0];
        for column in COLUMNS.iter().filter(|column| column.free_text) {
            assert_eq!(row[column.name], format!("'{text}"), "{}", column.name);
        }
    }
    let harmless = Entry { end_user: Some("a=b".into()), ..entry(1) };
    assert_eq!(exported(&[harmless])[0]["end_user"], "a=b");
}

#[test]
fn an_export_longer_than_a_page_is_whole() {
    let entries: Vec<Entry> = (0..2_500).map(entry).collect();
    let rows = exported(&entries);
    let mut seqs: Vec<u64> = rows.iter().map(|row| row["seq"].parse().expect("a number")).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=2_500).collect::<Vec<_>>());
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_folder, store) = store_of(&[entry(1)]);
    assert!(matches!(export_csv(&store, &all_kinds(), &mut Full), Err(ExportError::Write(_))));
}
