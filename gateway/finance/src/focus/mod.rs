//! The FOCUS dataset "Cost and Usage" of the ledger (FinOps Open Cost and Usage Specification,
//! <https://focus.finops.org/focus-specification/>), versions 1.2 and 1.4, as CSV or Parquet.
//!
//! One line per hour, project, key, target, meter and unit price. A token is in one line only, and
//! quantity times unit price is the cost to the last place. The gateway invoices nobody, so
//! `BilledCost` is zero and the cost stands in the other three: a file that is merged with a provider's
//! own counts nothing twice.
//!
//! What comes to light after its month was closed is a `Correction`: its charge period is that of the
//! request, its billing period the open one. A price that is taken back is a quantity below zero.

mod charge;
mod columns;
mod line;
mod measure;
mod sku;

use std::{collections::BTreeMap, io};

use jiff::{Timestamp, tz::TimeZone};
use tollgate_accounting::ledger::{LedgerStore, RowQuery};
use tollgate_domain::UnixMillis;

use crate::{ExportError, csv::CsvTable, parquet::ParquetTable, table::Table, walk::each_row};

use charge::{Charge, Sums};
use columns::Columns;

/// A version of the specification.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FocusVersion {
    /// May 2025: what most tools and the public validator read.
    V1_2,
    /// June 2026.
    #[default]
    V1_4,
}

impl FocusVersion {
    /// The version with this number.
    #[must_use]
    pub fn from_number(number: &str) -> Option<Self> {
        match number {
            "1.2" => Some(Self::V1_2),
            "1.4" => Some(Self::V1_4),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_4 => "1.4",
        }
    }
}

/// The form of a FOCUS file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FocusForm {
    /// Comma-separated values.
    #[default]
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Milliseconds of an hour, the charge period.
const HOUR: i64 = 3_600_000;

/// Writes a header and every charge of the rows that `query` wants, hour by hour, and says how many
/// lines there were. Billing periods are the months of `zone`. Refusals are no charges.
///
/// The query's `limit`, `after` and `order` are the export's own business. Memory holds a few pages of
/// rows and the charges of one hour.
///
/// # Errors
/// The ledger cannot be read or `out` not be written; what was written before is incomplete.
pub fn export_focus(
    store: &dyn LedgerStore,
    query: &RowQuery,
    (version, form): (FocusVersion, FocusForm),
    zone: &TimeZone,
    out: &mut (dyn io::Write + Send),
) -> Result<u64, ExportError> {
    let columns = Columns::new(version, zone.clone());
    let headings = columns.headings();
    let mut file: Box<dyn Table + '_> = match form {
        FocusForm::Csv => Box::new(CsvTable::new(out, &headings, to_the_second)?),
        FocusForm::Parquet => Box::new(ParquetTable::new(out, headings, metadata(version, zone))?),
    };
    let query = RowQuery { order: Default::default(), ..query.clone() };
    let mut hour = Hour::default();
    let mut lines = 0;
    each_row(store, &query, |entry| {
        let start = hour_of(entry.started_at);
        if start != hour.start {
            lines += hour.write(&columns, &mut *file)?;
            hour.start = start;
        }
        charge::of_entry(entry, |charge, sums| hour.charges.entry(charge).or_default().add(&sums));
        Ok::<(), ExportError>(())
    })?;
    lines += hour.write(&columns, &mut *file)?;
    file.finish()?;
    Ok(lines)
}

/// What a reader of the Parquet file should know of it.
fn metadata(version: FocusVersion, zone: &TimeZone) -> Vec<(&'static str, String)> {
    vec![
        ("focus_version", version.number().to_owned()),
        ("focus_dataset", "CostAndUsage".to_owned()),
        ("focus_schema_id", format!("tollgate-focus-{}-1", version.number())),
        ("focus_data_generator", concat!("Tollgate ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("tollgate_billing_calendar", zone.iana_name().unwrap_or("UTC").to_owned()),
    ]
}

/// The charges of one hour.
#[derive(Default)]
struct Hour {
    start: UnixMillis,
    charges: BTreeMap<Charge, Sums>,
}

impl Hour {
    fn write(&mut self, columns: &Columns, file: &mut dyn Table) -> Result<u64, ExportError> {
        let charges = std::mem::take(&mut self.charges);
        let lines = charges.len() as u64;
        for (charge, sums) in charges {
            file.row(&mut columns.cells(self.start, &charge, &sums))?;
        }
        Ok(lines)
    }
}

/// The begin of the hour that holds `at`.
fn hour_of(at: UnixMillis) -> UnixMillis {
    UnixMillis::new(at.get().div_euclid(HOUR) * HOUR)
}

/// An instant in UTC, to the second.
fn to_the_second(at: UnixMillis) -> String {
    let at = Timestamp::from_millisecond(at.get()).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
