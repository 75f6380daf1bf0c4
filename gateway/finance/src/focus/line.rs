//! A line under construction: names, forms and values at once, so that they cannot part.

use tollgate_accounting::ledger::Form;
use tollgate_domain::{Money, UnixMillis};

use crate::table::{Cell, Heading};

/// The fields of a line, in the order of the file.
#[derive(Default)]
pub(super) struct Line(Vec<(Heading, Cell<'static>)>);

impl Line {
    /// A text; an empty one says nothing.
    pub(super) fn text(&mut self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.add(name, Form::Text, (!text.is_empty()).then(|| Cell::Text(text.into())));
    }

    /// A text as a client sent it.
    pub(super) fn foreign(&mut self, name: &'static str, text: &str) {
        self.add(name, Form::Text, (!text.is_empty()).then(|| Cell::Foreign(text.to_owned().into())));
    }

    /// A decimal number.
    pub(super) fn decimal(&mut self, name: &'static str, amount: impl Into<Option<Money>>) {
        self.add(name, Form::Amount, amount.into().map(Cell::Amount));
    }

    /// A decimal number that is zero in every line.
    pub(super) fn zero(&mut self, name: &'static str) {
        self.add(name, Form::Amount, Some(Cell::Zero));
    }

    /// A whole number.
    pub(super) fn count(&mut self, name: &'static str, count: impl Into<Option<u64>>) {
        self.add(name, Form::Count, count.into().map(Cell::Count));
    }

    /// An instant.
    pub(super) fn instant(&mut self, name: &'static str, at: UnixMillis) {
        self.add(name, Form::Instant, Some(Cell::Instant(at)));
    }

    fn add(&mut self, name: &'static str, form: Form, cell: Option<Cell<'static>>) {
        self.0.push((Heading { name, form }, cell.unwrap_or(Cell::Null)));
    }

    pub(super) fn headings(self) -> Vec<Heading> {
        self.0.into_iter().map(|(heading, _)| heading).collect()
    }

    pub(super) fn cells(self) -> impl Iterator<Item = Cell<'static>> {
        self.0.into_iter().map(|(_, cell)| cell)
    }
}
