//! The ledger's rows as a table: the columns that users rely on, in their order.

use tollgate_accounting::ledger::{COLUMNS, Column, Entry, LedgerStore, RowQuery, Value};

use crate::{
    ExportError,
    table::{Cell, Heading, Table},
    walk::each_row,
};

/// The columns.
pub(crate) fn headings() -> Vec<Heading> {
    COLUMNS.iter().map(|column| Heading { name: column.name, form: column.form }).collect()
}

/// Writes every row that `query` wants and closes the file; says how many rows there were.
pub(crate) fn write_rows(
    store: &dyn LedgerStore,
    query: &RowQuery,
    mut file: Box<dyn Table + '_>,
) -> Result<u64, ExportError> {
    let rows = each_row(store, query, |entry| file.row(&mut cells(entry)))?;
    file.finish()?;
    Ok(rows)
}

fn cells(entry: &Entry) -> impl Iterator<Item = Cell<'_>> {
    COLUMNS.iter().map(|column| cell(column, entry))
}

/// What a row says in a column. Objects and lists are JSON text.
pub(crate) fn cell<'a>(column: &Column, entry: &'a Entry) -> Cell<'a> {
    match column.value(entry) {
        Value::Null => Cell::Null,
        Value::Text(text) if column.free_text => Cell::Foreign(text),
        Value::Text(text) => Cell::Text(text),
        Value::Amount(amount) => Cell::Amount(amount),
        Value::Instant(at) => Cell::Instant(at),
        Value::Number(number) => Cell::Count(number),
        Value::Truth(truth) => Cell::Truth(truth),
        list @ (Value::Tags(_) | Value::Meters(_) | Value::Attempts(_) | Value::Flags(_)) => {
            Cell::Text(serde_json::to_string(&list).expect("names, texts and numbers are JSON").into())
        }
    }
}
