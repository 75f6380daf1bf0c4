//! Price book, quotas and the ledger's journal.

mod now;
pub mod price;

pub use now::Now;
