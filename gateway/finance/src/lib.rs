//! Floor 4: what finance asks of the ledger, and the files that it takes away.
//!
//! A question names its groups and its time; [`TimeRange`] and [`groups_of`] read both as people
//! write them, [`UsageReport`] answers, [`Forecast`] says where a period will end, and [`export_csv`]
//! gives the rows themselves. Money leaves as decimal text, exact to the last place. [`reconcile`]
//! holds a provider's invoice against the rows, and [`close`] ends a month with a signed
//! [`Statement`] for each team.

pub mod close;
mod csv;
mod focus;
mod forecast;
mod minor_unit;
mod month;
pub mod price_list;
mod range;
pub mod reconcile;
pub mod rerate;
mod rows;
mod statement;
mod usage;

use rows::each_row;

pub use crate::csv::{ExportError, export_csv};
pub use focus::{FocusVersion, export_focus};
pub use forecast::{Days, Forecast, LOOKBACK_DAYS, Method, Standing};
pub use month::{Month, MonthError};
pub use range::{TimeError, TimeRange};
pub use statement::{FolderError, Line, RowRange, Statement, Total};
pub use usage::{UsageReport, groups_of};
