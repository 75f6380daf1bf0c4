//! The rows of the ledger, one line each, for those who ask for them.

use rust_xlsxwriter::Workbook;
use tollgate_accounting::ledger::{COLUMNS, Column, Entry, Form};

use super::{
    XlsxDetail, names,
    sheet::{Content, Sheet, Shown},
};
use crate::{ExportError, rows::cell, table::Cell};

/// The columns of the ledger that stand in the sheet, in its order. Lists are left to other forms.
const TAKEN: [&str; 30] = [
    "id",
    "seq",
    "kind",
    "started_at",
    "team",
    "project",
    "key",
    "cost_center",
    "end_user",
    "model",
    "provider",
    "upstream",
    "upstream_model",
    "region",
    "operation",
    "stream",
    "status",
    "error_code",
    "end",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usage_source",
    "cost",
    "currency",
    "attempt_count",
    "duration_ms",
    "adjusts",
];

/// The sheet under construction; none when it was not asked for.
pub(super) struct Requests(Option<(Sheet, Vec<&'static Column>)>);

impl Requests {
    /// Begins the sheet, if it is asked for.
    pub(super) fn new(workbook: &mut Workbook, detail: XlsxDetail) -> Result<Self, ExportError> {
        if detail == XlsxDetail::Report {
            return Ok(Self(None));
        }
        let taken: Vec<&Column> = COLUMNS.iter().filter(|column| TAKEN.contains(&column.name)).collect();
        let columns: Vec<_> = taken
            .iter()
            .map(|column| match column.form {
                Form::Count => (column.name, Shown::Count, 12),
                Form::Amount => (column.name, Shown::Amount, 16),
                Form::Instant => (column.name, Shown::Instant, 24),
                Form::Text | Form::List | Form::Truth => (column.name, Shown::Text, 16),
            })
            .chain([("cost_exact", Shown::Text, 22)])
            .collect();
        Ok(Self(Some((Sheet::new(workbook, names::REQUESTS, &columns)?, taken))))
    }

    /// Adds a row, if rows are asked for.
    pub(super) fn write(&mut self, entry: &Entry) -> Result<(), ExportError> {
        let Some((sheet, columns)) = &mut self.0 else { return Ok(()) };
        let exact = entry.cost.map_or(Cell::Null, |cost| Cell::Text(cost.to_string().into()));
        let cells = columns.iter().map(|column| cell(column, entry)).chain([exact]);
        sheet.row(cells.map(Content::Cell))
    }

    /// Puts the sheet into the workbook.
    pub(super) fn add_to(self, workbook: &mut Workbook) -> Result<(), ExportError> {
        if let Some((sheet, _)) = self.0 {
            workbook.push_worksheet(sheet.finish()?);
        }
        Ok(())
    }
}
