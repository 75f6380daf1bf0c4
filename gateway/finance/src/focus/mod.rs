//! The FOCUS dataset "Cost and Usage" of the ledger (FinOps Open Cost and Usage Specification,
//! <https://focus.finops.org/focus-specification/>), versions 1.2 and 1.4, as CSV.
//!
//! One line per hour, project, key, target, meter and unit price. A token is in one line only, and
//! quantity times unit price is the cost to the last place. The gateway invoices nobody, so
//! `BilledCost` is zero and the cost stands in the other three: a file that is merged with a provider's
//! own counts nothing twice.

mod charge;
mod columns;

use std::{collections::BTreeMap, io};

use jiff::tz::TimeZone;
use tollgate_accounting::ledger::{LedgerStore, RowQuery};

use crate::ExportError;

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
}

/// Milliseconds of an hour, the charge period.
const HOUR: i64 = 3_600_000;

/// Writes a header and every charge of the rows that `query` wants, hour by hour, and says how many
/// lines there were. Billing periods are the months of `zone`. Refusals are no charges.
///
/// The query's `limit`, `after` and `order` are the export's own business. Memory holds one page of
/// rows and the charges of one hour.
///
/// # Errors
/// The ledger cannot be read or `out` not be written; what was written before is incomplete.
pub fn export_focus(
    store: &dyn LedgerStore,
    query: &RowQuery,
    version: FocusVersion,
    zone: &TimeZone,
    out: &mut dyn io::Write,
) -> Result<u64, ExportError> {
    let mut query = RowQuery { limit: RowQuery::MAX_LIMIT, after: None, ..query.clone() };
    let mut file = csv::Writer::from_writer(out);
    let columns = Columns::new(version, zone.clone());
    file.write_record(columns.names()).map_err(io::Error::from)?;
    let mut hour = Hour::default();
    let mut lines = 0;
    loop {
        let page = store.rows(&query)?;
        for entry in &page.items {
            let start = entry.started_at.get().div_euclid(HOUR) * HOUR;
            if start != hour.start {
                lines += hour.write(&columns, &mut file)?;
                hour.start = start;
            }
            charge::of_entry(entry, |charge, sums| {
                hour.charges.entry(charge).or_default().add(&sums);
            });
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    lines += hour.write(&columns, &mut file)?;
    file.flush()?;
    Ok(lines)
}

/// The charges of one hour.
#[derive(Default)]
struct Hour {
    start: i64,
    charges: BTreeMap<Charge, Sums>,
}

impl Hour {
    fn write(
        &mut self,
        columns: &Columns,
        file: &mut csv::Writer<&mut dyn io::Write>,
    ) -> Result<u64, ExportError> {
        let charges = std::mem::take(&mut self.charges);
        let lines = charges.len() as u64;
        for (charge, sums) in charges {
            let line = columns.line(self.start, &charge, &sums);
            file.write_record(line).map_err(io::Error::from)?;
        }
        Ok(lines)
    }
}
