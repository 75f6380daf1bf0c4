//! How rows are shown: a table for people, JSON as the API gave it, CSV for spreadsheets.

use std::{borrow::Cow, fmt, io};

use anyhow::Result;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

/// The form of printed rows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// The API's answer, unchanged.
    Json,
    /// A header and rows.
    Csv,
}

/// The option of every command that prints rows.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct OutputArgs {
    /// How rows are printed.
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
}

/// Prints the `items` of an answer. `footer` is a last row that only people see.
pub(super) fn rows(answer: &Value, columns: &[&str], footer: Option<&Value>, format: Format) -> Result<()> {
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = Vec::new();
    match format {
        Format::Json => serde_json::to_writer_pretty(&mut text, answer)?,
        Format::Csv => csv_rows(items, columns, &mut text)?,
        Format::Table => text.extend_from_slice(table(items, columns, footer).as_bytes()),
    }
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    write(&text)
}

/// Prints the members of one object.
pub(super) fn record(record: &Value, format: Format) -> Result<()> {
    let fields: Vec<Value> = record
        .as_object()
        .into_iter()
        .flatten()
        .map(|(field, value)| serde_json::json!({ "field": field, "value": value }))
        .collect();
    match format {
        Format::Json => write(format!("{record:#}\n").as_bytes()),
        _ => rows(&serde_json::json!({ "items": fields }), &["field", "value"], None, format),
    }
}

/// Writes bytes to stdout, all of them or an error.
pub(super) fn write(bytes: &[u8]) -> Result<()> {
    use io::Write;

    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(write_error)
}

/// Whoever read our output has closed it and wants no more: no failure of the command.
#[derive(Debug)]
pub(super) struct ReaderLeft;

impl fmt::Display for ReaderLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the output has left")
    }
}

impl std::error::Error for ReaderLeft {}

/// Tells a reader that has left from output that cannot be written. Only errors of writing output
/// come here: a connection to the gateway can break the same way, and that is a failure.
pub(super) fn write_error(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ReaderLeft.into(),
        _ => error.into(),
    }
}

fn table(items: &[Value], columns: &[&str], footer: Option<&Value>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for item in items.iter().chain(footer) {
        table.add_row(columns.iter().map(|column| printable(&cell(&item[*column], "-"))));
    }
    for (index, column) in columns.iter().enumerate() {
        if is_quantity(items, column)
            && let Some(shown) = table.column_mut(index)
        {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn csv_rows(items: &[Value], columns: &[&str], out: &mut Vec<u8>) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(columns)?;
    for item in items {
        writer.write_record(columns.iter().map(|column| cell(&item[*column], "").into_owned()))?;
    }
    writer.flush()?;
    Ok(())
}

fn cell<'a>(value: &'a Value, absent: &'static str) -> Cow<'a, str> {
    match value {
        Value::Null => Cow::Borrowed(absent),
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(parts) if parts.iter().all(Value::is_string) => {
            Cow::Owned(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        other => Cow::Owned(other.to_string()),
    }
}

/// Names and reasons come from other people: none of them may steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Numbers, and decimal strings such as amounts of money.
fn is_quantity(items: &[Value], column: &str) -> bool {
    let decimal =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    let mut values = items.iter().map(|item| &item[column]).filter(|value| !value.is_null()).peekable();
    values.peek().is_some() && values.all(|value| value.is_number() || value.as_str().is_some_and(decimal))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_aligns_quantities_and_shows_the_footer() {
        let items = [json!({ "team": "retail", "cost": "12.5" }), json!({ "team": "hr", "cost": "0.25" })];
        let shown = table(&items, &["team", "cost"], Some(&json!({ "team": "total", "cost": "12.75" })));
        let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words, [["TEAM", "COST"], ["retail", "12.5"], ["hr", "0.25"], ["total", "12.75"]]);
        let widths: Vec<usize> = shown.lines().skip(1).map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "amounts end in one column: {shown:?}");
    }

    #[test]
    fn what_is_absent_is_a_dash_for_people_and_nothing_in_csv() {
        let items = [json!({ "name": "a,b", "hold_until": null, "zones": ["eu", "us"] })];
        assert!(table(&items, &["hold_until"], None).ends_with('-'));
        let mut out = Vec::new();
        csv_rows(&items, &["name", "hold_until", "zones"], &mut out).expect("memory takes everything");
        assert_eq!(String::from_utf8_lossy(&out), "name,hold_until,zones\n\"a,b\",,\"eu, us\"\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let shown = table(&[json!({ "name": "\u{1b}[2Jgone" })], &["name"], None);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
