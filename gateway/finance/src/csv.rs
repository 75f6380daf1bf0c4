//! Rows as CSV, with the columns of the ledger in their order; lists are JSON within their field.
//!
//! A spreadsheet takes a field that begins with `=`, `+`, `-` or `@` for a formula. Texts that came
//! from clients or upstreams could abuse that, so a single quote is put before such a text (also
//! before one that begins with a tab or a carriage return, which spreadsheets strip). Other columns
//! hold what the operator or the gateway wrote and stay as they are.

use std::io;

use tollgate_accounting::ledger::{COLUMNS, Column, Entry, LedgerStore, RowQuery, StoreError, Value};

/// An export that broke off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// Writes a header and every row that `query` wants, in its order, and says how many there were.
///
/// The query's `limit` and `after` are the export's own business: it reads page by page, so that
/// memory stays bounded whatever the range.
///
/// # Errors
/// The ledger cannot be read or `out` not be written; what was written before is incomplete.
pub fn export_csv(
    store: &dyn LedgerStore,
    query: &RowQuery,
    out: &mut dyn io::Write,
) -> Result<u64, ExportError> {
    let mut query = RowQuery { limit: RowQuery::MAX_LIMIT, after: None, ..query.clone() };
    let mut file = csv::Writer::from_writer(out);
    file.write_record(COLUMNS.iter().map(|column| column.name)).map_err(io::Error::from)?;
    let mut rows = 0;
    loop {
        let page = store.rows(&query)?;
        for entry in &page.items {
            write_row(&mut file, entry)?;
            rows += 1;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    file.flush()?;
    Ok(rows)
}

fn write_row(file: &mut csv::Writer<&mut dyn io::Write>, entry: &Entry) -> io::Result<()> {
    for column in COLUMNS {
        file.write_field(field(column, entry)?)?;
    }
    Ok(file.write_record(None::<&[u8]>)?)
}

fn field(column: &Column, entry: &Entry) -> io::Result<String> {
    Ok(match column.value(entry) {
        Value::Null => String::new(),
        Value::Text(text) if column.free_text && looks_like_a_formula(&text) => format!("'{text}"),
        Value::Text(text) => text.into_owned(),
        Value::Number(number) => number.to_string(),
        Value::Truth(truth) => truth.to_string(),
        list @ (Value::Tags(_) | Value::Meters(_) | Value::Attempts(_) | Value::Flags(_)) => {
            serde_json::to_string(&list)?
        }
    })
}

fn looks_like_a_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}
