//! Floor 4: what finance asks of the ledger, and the files that it takes away.
//!
//! A question names its groups and its time; [`TimeRange`] and [`groups_of`] read both as people
//! write them, [`UsageReport`] answers, and [`export_csv`] gives the rows themselves. Money leaves
//! as decimal text, exact to the last place. [`reconcile`] holds a provider's invoice against the rows.

mod csv;
mod focus;
mod minor_unit;
pub mod price_list;
mod range;
pub mod reconcile;
pub mod rerate;
mod rows;
mod usage;

use rows::each_row;

pub use crate::csv::{ExportError, export_csv};
pub use focus::{FocusVersion, export_focus};
pub use range::{TimeError, TimeRange};
pub use usage::{UsageReport, groups_of};
