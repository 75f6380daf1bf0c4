//! The ledger as an Excel workbook: a sheet per team with a line per day, project, model and place, a
//! summary whose totals are formulas with their values beside them, and notes on what the figures are.
//!
//! A number in a workbook is a binary float of 15 digits. So every amount stands twice: as a number to
//! calculate with, and exactly, as text, in the column `cost_exact`; the exact sums are those of the
//! text. A line per request comes only when asked for: people open a report, and Parquet or CSV are
//! there for a million rows.
//!
//! Rows are read once. Memory holds the lines of the report, which are bounded, never the requests:
//! sheets are written into temporary files that have no name. The same rows give the same bytes.

mod daily;
mod names;
mod notes;
mod requests;
mod sheet;
mod summary;

use std::io;

use jiff::tz::TimeZone;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook, XlsxError};
use tollgate_accounting::ledger::{LedgerStore, RowQuery};

use crate::{ExportError, walk::each_row};

use daily::Daily;
use names::SheetNames;
use requests::Requests;
use sheet::Sheet;
use summary::Summary;

/// Team sheets of a workbook; each is an open file while the workbook is made.
const MOST_TEAMS: usize = 200;

/// What a workbook holds besides the report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum XlsxDetail {
    /// Nothing.
    #[default]
    Report,
    /// A sheet with a line for every row of the ledger.
    Requests,
}

/// Writes a workbook of the rows that `query` wants and says how many there were. Days are those of
/// `zone`.
///
/// The query's `limit` and `after` are the export's own business. Nothing is written to `out` before
/// every row has been read.
///
/// # Errors
/// The ledger cannot be read, the rows are more than a workbook takes, or `out` cannot be written; what
/// was written before is no workbook.
pub fn export_xlsx(
    store: &dyn LedgerStore,
    query: &RowQuery,
    detail: XlsxDetail,
    zone: &TimeZone,
    out: &mut (dyn io::Write + Send),
) -> Result<u64, ExportError> {
    let mut workbook = Workbook::new();
    workbook.set_properties(&properties(query)?);
    workbook.add_worksheet().set_name(names::SUMMARY)?;
    let mut daily = Daily::new(zone.clone());
    let mut requests = Requests::new(&mut workbook, detail)?;
    let rows = each_row(store, query, |entry| {
        daily.count(entry)?;
        requests.write(entry)
    })?;
    let report = daily.finish();
    if report.teams.len() > MOST_TEAMS {
        return Err(ExportError::TooLong(format!(
            "{} teams are more than a workbook has sheets for ({MOST_TEAMS}); export CSV or Parquet",
            report.teams.len()
        )));
    }
    let mut names = SheetNames::default();
    let mut summary = Summary::default();
    for (team, lines) in &report.teams {
        let name = names.of_team(team);
        let sheet = Sheet::new(&mut workbook, &name, daily::COLUMNS)?;
        workbook.push_worksheet(daily::fill(sheet, team, lines)?);
        summary.add(team, &name, lines);
    }
    requests.add_to(&mut workbook)?;
    summary.fill(workbook.worksheet_from_index(0)?)?;
    notes::fill(workbook.add_worksheet().set_name(names::NOTES)?, query, zone, detail, &report)?;
    workbook.save_to_writer(out)?;
    Ok(rows)
}

/// What the workbook says of itself. The time of its making is the end of its range: a file that is
/// made again is the same.
fn properties(query: &RowQuery) -> Result<DocProperties, XlsxError> {
    let at = query.to.or(query.from).map_or(0, |at| at.get().div_euclid(1_000));
    let made = ExcelDateTime::from_timestamp(at).or_else(|_| ExcelDateTime::from_timestamp(0))?;
    Ok(DocProperties::new()
        .set_title("Usage and cost")
        .set_author(concat!("Tollgate ", env!("CARGO_PKG_VERSION")))
        .set_creation_datetime(&made))
}

impl From<XlsxError> for ExportError {
    /// Names, lengths and places are ours and fit; what is left to fail is writing.
    fn from(error: XlsxError) -> Self {
        match error {
            XlsxError::IoError(error) => Self::Write(error),
            other => Self::Write(io::Error::other(other)),
        }
    }
}
