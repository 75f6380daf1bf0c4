//! The ways in which a finance file can fail.

use std::io;

use tollgate_accounting::ledger::StoreError;

/// An export that broke off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
    /// A figure that the form of the file cannot hold exactly.
    #[error("{column} is {value}, which this form of file cannot hold; export CSV instead")]
    DoesNotFit {
        /// The column.
        column: &'static str,
        /// The figure.
        value: String,
    },
    /// More than the form of the file takes.
    #[error("{0}")]
    TooLong(String),
}
