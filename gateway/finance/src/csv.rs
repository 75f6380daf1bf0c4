//! Tables as CSV (RFC 4180): a header, a decimal point, empty fields where nothing stands.
//!
//! A spreadsheet takes a field that begins with `=`, `+`, `-` or `@` for a formula. Texts that came
//! from clients or upstreams could abuse that, so a single quote is put before such a text (also
//! before one that begins with a tab or a carriage return, which spreadsheets strip). Other columns
//! hold what the operator or the gateway wrote and stay as they are.

use std::{borrow::Cow, io};

use tollgate_accounting::ledger::{LedgerStore, RowQuery, rfc3339};
use tollgate_domain::UnixMillis;

use crate::{
    ExportError,
    rows::{headings, write_rows},
    table::{Cell, Heading, Table},
};

/// Writes a header and every row that `query` wants, in its order, and says how many there were.
/// Columns are those of the ledger; objects and lists are JSON within their field.
///
/// The query's `limit` and `after` are the export's own business: it reads page by page, so that
/// memory stays bounded whatever the range.
///
/// # Errors
/// The ledger cannot be read or `out` not be written; what was written before is incomplete.
pub fn export_csv(
    store: &dyn LedgerStore,
    query: &RowQuery,
    out: &mut (dyn io::Write + Send),
) -> Result<u64, ExportError> {
    write_rows(store, query, Box::new(CsvTable::new(out, &headings(), rfc3339)?))
}

/// A CSV file.
pub(crate) struct CsvTable<'a> {
    file: csv::Writer<&'a mut (dyn io::Write + Send)>,
    instant: fn(UnixMillis) -> String,
}

impl<'a> CsvTable<'a> {
    /// Writes the header. Instants are written as `instant` says.
    pub(crate) fn new(
        out: &'a mut (dyn io::Write + Send),
        headings: &[Heading],
        instant: fn(UnixMillis) -> String,
    ) -> io::Result<Self> {
        let mut file = csv::Writer::from_writer(out);
        file.write_record(headings.iter().map(|heading| heading.name))?;
        Ok(Self { file, instant })
    }
}

impl Table for CsvTable<'_> {
    fn row(&mut self, cells: &mut dyn Iterator<Item = Cell<'_>>) -> Result<(), ExportError> {
        for cell in cells {
            let written = match cell {
                Cell::Null => self.file.write_field(""),
                Cell::Text(text) => self.file.write_field(text.as_bytes()),
                Cell::Foreign(text) => self.file.write_field(never_a_formula(text).as_bytes()),
                Cell::Amount(amount) => self.file.write_field(amount.to_text().as_bytes()),
                Cell::Zero => self.file.write_field("0.0"),
                Cell::Count(count) => self.file.write_field(count.to_string()),
                Cell::Instant(at) => self.file.write_field((self.instant)(at)),
                Cell::Truth(truth) => self.file.write_field(if truth { "true" } else { "false" }),
            };
            written.map_err(io::Error::from)?;
        }
        self.file.write_record(None::<&[u8]>).map_err(io::Error::from)?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.file.flush()?)
    }
}

fn never_a_formula(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}").into(),
        false => text,
    }
}
