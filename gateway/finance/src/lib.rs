//! Floor 4: what finance asks of the ledger, and the files that it takes away.
//!
//! A question names its groups and its time; [`TimeRange`] and [`groups_of`] read both as people
//! write them, [`UsageReport`] answers, and the exports give files: the rows themselves
//! ([`export_csv`], [`export_parquet`]), charges by FOCUS ([`export_focus`]), a workbook
//! ([`export_xlsx`]). Money leaves as decimals, exact to the last place.

mod csv;
mod export;
mod focus;
mod parquet;
pub mod price_list;
mod range;
mod rows;
mod table;
mod usage;
mod xlsx;

pub use crate::csv::export_csv;
pub use crate::parquet::export_parquet;
pub use export::ExportError;
pub use focus::{FocusForm, FocusVersion, export_focus};
pub use range::{TimeError, TimeRange};
pub use usage::{UsageReport, groups_of};
pub use xlsx::{XlsxDetail, export_xlsx};
