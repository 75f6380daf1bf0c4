//! Our files as text. What is quoted is quoted as JSON, which YAML reads.

use std::fmt::Write;

/// A scalar that stands for itself.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    // A reference is written as it is: `$` means nothing else there.
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A text that holds no reference, even where it looks like one.
pub(super) fn literal(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// A list on one line.
pub(super) fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    format!("[{}]", texts.into_iter().map(literal).collect::<Vec<_>>().join(", "))
}

/// A group of fields on one line, without those that are absent.
#[derive(Default)]
pub(super) struct Fields(Vec<String>);

impl Fields {
    /// Adds a value that is written already.
    pub(super) fn raw(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.0.push(format!("{name}: {value}"));
        self
    }

    /// Adds a text.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, literal(value))
    }

    /// Adds what there is.
    pub(super) fn maybe(self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.raw(name, value),
            None => self,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn line(&self) -> String {
        format!("{{ {} }}", self.0.join(", "))
    }
}

/// Appends a line at a depth.
pub(super) fn line(out: &mut String, depth: usize, text: impl std::fmt::Display) {
    writeln!(out, "{:width$}{text}", "", width = 2 * depth).expect("a String takes everything");
}
