//! The ledger: one row per request, written before the client has the last byte.
//!
//! In the order in which a row travels: an [`Entry`] is written by a core's [`Writer`], or by
//! [`Postings`] where no request caused it, into the [`Journal`]'s append-only files,
//! [`recovery`](Journal::recover) closes what a crash left open, the [`Loader`] carries rows into a
//! [`LedgerStore`], and [`verify`] compares the two. The journal is the truth; a store can be rebuilt
//! from it.

mod audit;
mod closing;
mod codec;
mod columns;
mod entry;
mod journal;
mod loader;
mod posting;
mod query;
#[cfg(test)]
mod samples;
mod state;
mod store;

pub use audit::{Difference, Report, VerifyError, verify};
pub use closing::{Closing, closed_until};
pub use codec::{DecodeError, Decoder, encode_entry};
pub use columns::{COLUMNS, Column, Form, Row, Value, rfc3339};
pub use entry::{
    Attempt, End, Entry, Flags, Identity, Kind, Place, ServedBy, Start, StartPrice, UnknownName,
};
pub use journal::{
    About, Appended, Condition, Disk, DiskFile, DurableWatch, Event, Gap, Journal, JournalError,
    JournalOptions, Lock, Observer, Pruned, RecoverError, Recovered, RolledBack, SystemDisk, Writer,
    files_to_copy,
};
pub use loader::{LoadError, Loader, Progress};
pub use posting::{Adjustment, CapacityHour, PostError, Posted, Postings, SHARED, posted_id, standing};
pub use query::{Dimension, Order, Page, RowQuery, UnknownDimension, UsageFilter, UsageGroup, UsageQuery};
pub use state::{AuditEntry, ConfigVersion, Document, Override};
pub use store::{Batch, BatchRow, Cursor, DeadLetter, LedgerStore, Loaded, StoreError};
