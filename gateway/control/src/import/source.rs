//! The other configuration, read field by field, so that what nobody has read can be told.

use std::{cell::RefCell, collections::HashSet};

use super::report::{Note, Outcome};
use crate::config::tree::{Node, Value};

/// What is told of the other configuration.
#[derive(Default)]
pub(super) struct Notes(pub(super) Vec<Note>);

impl Notes {
    pub(super) fn add(&mut self, node: &Node, what: &str, outcome: Outcome, why: impl Into<String>) {
        self.0.push(Note { place: node.place.clone(), what: what.to_owned(), outcome, why: why.into() });
    }
}

/// A group of fields, each of which is read or told about.
pub(super) struct Group<'n> {
    /// Its path.
    pub(super) at: String,
    /// Itself.
    pub(super) node: &'n Node,
    read: RefCell<HashSet<&'n str>>,
}

impl<'n> Group<'n> {
    /// A node as a group; what is no group has no fields.
    pub(super) fn new(node: &'n Node, at: impl Into<String>) -> Self {
        Self { at: at.into(), node, read: RefCell::default() }
    }

    /// The path of a field.
    pub(super) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// A field that is not null.
    pub(super) fn field(&self, name: &str) -> Option<&'n Node> {
        let Value::Map(entries) = &self.node.value else { return None };
        let (key, value) = entries.iter().find(|(key, _)| key.name == name)?;
        self.read.borrow_mut().insert(&key.name);
        (!matches!(value.value, Value::Null)).then_some(value)
    }

    /// A group among the fields.
    pub(super) fn group(&self, name: &str) -> Option<Group<'n>> {
        let node = self.field(name)?;
        matches!(node.value, Value::Map(_)).then(|| Group::new(node, self.path(name)))
    }

    /// The items of a list among the fields, each with its path.
    pub(super) fn items(&self, name: &str) -> Vec<Group<'n>> {
        match self.field(name).map(|node| &node.value) {
            Some(Value::List(items)) => {
                let path = |index| format!("{}[{index}]", self.path(name));
                items.iter().enumerate().map(|(index, item)| Group::new(item, path(index))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The texts of a list among the fields.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.items(name).iter().filter_map(|item| text(item.node)).collect()
    }

    /// A text, or a number as it is written.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.field(name).and_then(text)
    }

    /// A whole number from 0.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A yes.
    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.field(name).map(|node| &node.value), Some(Value::Bool(true)))
    }

    /// All fields, by name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'n str, &'n Node)> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, node)| (key.name.as_str(), node))
    }

    /// Passes by fields that mean nothing to us.
    pub(super) fn ignore(&self, names: &[&str]) {
        for name in names {
            self.field(name);
        }
    }

    /// Tells of every field that nobody has read, with the reason that is known for it.
    pub(super) fn tell_rest(&self, known: &[(&str, &str)], notes: &mut Notes) {
        let read = self.read.borrow();
        for (name, node) in self.entries().filter(|(name, _)| !read.contains(name)) {
            // What is switched off or empty is no loss.
            let is_nothing = match &node.value {
                Value::Null | Value::Bool(false) => true,
                Value::List(items) => items.is_empty(),
                Value::Map(entries) => entries.is_empty(),
                _ => false,
            };
            if is_nothing {
                continue;
            }
            let why = known.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
            let why = why.unwrap_or("there is no counterpart");
            notes.add(node, &self.path(name), Outcome::NotMapped, why);
        }
    }
}

/// A scalar as text.
pub(super) fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Decimal(number) => Some(number.clone()),
        _ => None,
    }
}
