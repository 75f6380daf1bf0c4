//! A provider's invoice beside the ledger: what differs, by day and model, and why.
//!
//! An [`Invoice`] is read from what the provider exports; [`reconcile`] compares it with the rows of the
//! same days and names a reason for each difference that the figures decide, and no reason where they do
//! not. Amounts are decimal digits from begin to end.

mod anthropic;
mod azure;
mod compare;
mod invoice;
mod ledger;
mod models;
mod openai;
mod pages;
mod reason;
mod report;
mod shift;
mod table;
mod written;

use std::{collections::BTreeMap, ops::Range};

use tollgate_accounting::ledger::{LedgerStore, StoreError};
use tollgate_domain::{Name, UnixMillis};

pub use invoice::{FileDigest, FileError, Format, Invoice, InvoiceError, InvoiceFile};
pub use report::{Difference, Reason, Reconciliation, Summed, Tolerance, ToleranceError, Totals};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// What is compared, and how closely.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The first instant: the begin of a day in UTC.
    pub from: UnixMillis,
    /// The first instant after it: the begin of a day in UTC.
    pub to: UnixMillis,
    /// Rows of this provider; none: of every provider.
    pub provider: Option<Name>,
    /// Rows of this account at the provider; none: of every account.
    pub account: Option<Name>,
    /// Keys, projects or workspaces at the provider that the gateway uses; empty when nobody said.
    pub keys: Vec<String>,
    /// Models that the invoice calls otherwise than the ledger: the ledger's name by the invoice's.
    pub models: BTreeMap<String, String>,
    /// What may differ.
    pub tolerance: Tolerance,
}

/// A range of days that an invoice cannot be held against.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RangeError {
    /// Providers bill by days of UTC, and a part of one has no counterpart.
    #[error("reconcile whole days of UTC: write dates, such as 2026-11-01")]
    NotWholeDays,
    /// The end does not follow the begin.
    #[error("the range ends at or before its begin")]
    Backwards,
}

impl Terms {
    /// The usual terms for the days from `from` to `to`.
    ///
    /// # Errors
    /// They are no whole days, or none at all.
    pub fn of_days(from: UnixMillis, to: UnixMillis) -> Result<Self, RangeError> {
        if [from, to].iter().any(|at| at.get().rem_euclid(DAY) != 0) {
            return Err(RangeError::NotWholeDays);
        }
        if to <= from {
            return Err(RangeError::Backwards);
        }
        Ok(Self {
            from,
            to,
            provider: None,
            account: None,
            keys: Vec::new(),
            models: BTreeMap::new(),
            tolerance: Tolerance::default(),
        })
    }

    /// The days since 1970.
    fn days(&self) -> Range<i64> {
        self.from.get().div_euclid(DAY)..self.to.get().div_euclid(DAY)
    }
}

/// Compares an invoice with the ledger.
///
/// # Errors
/// The ledger cannot be read.
pub fn reconcile(
    store: &dyn LedgerStore,
    invoice: &Invoice,
    terms: &Terms,
) -> Result<Reconciliation, StoreError> {
    Ok(compare::compare(invoice, ledger::read(store, terms)?, terms))
}
