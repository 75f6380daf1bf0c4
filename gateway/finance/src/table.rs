//! A table on its way into a file: cells that know what they are, so that each form of file can
//! write them as its readers expect.

use std::borrow::Cow;

use tollgate_accounting::ledger::{Form, rfc3339};
use tollgate_domain::{Money, UnixMillis};

use crate::ExportError;

/// A column's name and what its values are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heading {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
}

/// What stands in one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Null,
    /// A text of the operator or the gateway, or serialised JSON.
    Text(Cow<'a, str>),
    /// A text as clients or upstreams sent it.
    Foreign(Cow<'a, str>),
    /// An amount of money, or a quantity with places.
    Amount(Money),
    /// The zero of a column of amounts that holds nothing else. Text files write it with a place: a
    /// reader that guesses types from what it sees would take the column for whole numbers.
    Zero,
    /// A count.
    Count(u64),
    /// An instant.
    Instant(UnixMillis),
    /// Yes or no.
    Truth(bool),
}

impl Cell<'_> {
    /// What stands here, for the error that says it does not fit.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) | Self::Foreign(text) => text.clone().into_owned(),
            Self::Amount(amount) => amount.to_string(),
            Self::Zero => "0.0".to_owned(),
            Self::Count(count) => count.to_string(),
            Self::Instant(at) => rfc3339(*at),
            Self::Truth(truth) => truth.to_string(),
        }
    }
}

/// A file that takes a table row by row.
pub(crate) trait Table {
    /// Writes a row: a cell for every column, in their order.
    ///
    /// # Errors
    /// The file cannot be written, or cannot hold a figure.
    fn row(&mut self, cells: &mut dyn Iterator<Item = Cell<'_>>) -> Result<(), ExportError>;

    /// Writes what is still held and closes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    fn finish(self: Box<Self>) -> Result<(), ExportError>;
}
