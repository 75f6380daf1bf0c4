//! Attributes of spans and figures.

use super::proto::{AnyValue, KeyValue, Value};

/// A list of attributes under construction.
#[derive(Debug, Default)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Adds a text.
    pub fn text(&mut self, key: &str, value: impl Into<String>) {
        self.add(key, Value::StringValue(value.into()));
    }

    /// Adds a text, if there is one.
    pub fn optional_text(&mut self, key: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Adds a whole number; above the protocol's largest it is that.
    pub fn number(&mut self, key: &str, value: u64) {
        self.add(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    /// Adds a whole number, unless it is zero.
    pub fn positive(&mut self, key: &str, value: u64) {
        if value > 0 {
            self.number(key, value);
        }
    }

    /// Adds yes or no.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.add(key, Value::BoolValue(value));
    }

    /// Adds a time of so many milliseconds, in seconds.
    pub fn seconds(&mut self, key: &str, millis: u32) {
        self.add(key, Value::DoubleValue(f64::from(millis) / 1_000.0));
    }

    /// The list.
    #[must_use]
    pub fn into_list(self) -> Vec<KeyValue> {
        self.0
    }

    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) });
    }
}
