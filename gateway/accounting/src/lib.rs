//! Price book, quotas and the ledger's journal.

pub mod ledger;
mod now;
pub mod price;
pub mod quota;

pub use now::Now;
