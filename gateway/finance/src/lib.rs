//! Floor 4: what finance asks of the ledger, and the files that it takes away.
//!
//! A question names its groups and its time; [`TimeRange`] and [`groups_of`] read both as people
//! write them, [`UsageReport`] answers, [`Forecast`] says where a period will end, and the exports
//! give files: the rows themselves ([`export_csv`], [`export_parquet`]), charges by FOCUS
//! ([`export_focus`]), a workbook ([`export_xlsx`]). Money leaves as decimals, exact to the last
//! place. [`reconcile`] holds a provider's invoice against the rows, [`rerate`] corrects what was
//! charged by wrong prices, and [`close`] ends a month with a sealed [`Statement`] for each team.

pub mod allocation;
pub mod close;
mod csv;
mod export;
mod focus;
mod forecast;
mod minor_unit;
mod month;
mod parquet;
pub mod price_list;
mod range;
pub mod reconcile;
pub mod rerate;
mod rows;
mod statement;
mod table;
mod usage;
mod walk;
mod xlsx;

pub use crate::csv::export_csv;
pub use crate::parquet::export_parquet;
pub use export::ExportError;
pub use focus::{FocusForm, FocusVersion, export_focus};
pub use forecast::{Days, Forecast, LOOKBACK_DAYS, Method, Standing};
pub use month::{Month, MonthError};
pub use range::{TimeError, TimeRange};
pub use statement::{FolderError, Line, RowRange, Statement, Total};
pub use usage::{UsageReport, groups_of};
pub use xlsx::{XlsxDetail, export_xlsx};
