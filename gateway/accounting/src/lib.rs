//! Price book, quotas, the ledger's journal, and what providers keep.

pub mod ledger;
mod now;
pub mod price;
pub mod quota;
pub mod stored;

pub use now::Now;
