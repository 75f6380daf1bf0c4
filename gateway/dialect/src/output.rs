//! The visible output of a stream, kept just long enough to be counted.
//!
//! Most streams end with the provider's own figures and the text is thrown away uncounted. Only
//! when a stream is cut short, or its provider states nothing, does the tokenizer run over it.

use crate::{tokenizer, walk::text_of};

/// So much text is kept at most; more is counted and let go.
const KEPT: usize = 64 * 1024;

#[derive(Clone, Debug, Default)]
pub(crate) struct OutputText {
    kept: String,
    counted: u64,
    bytes: u64,
}

impl OutputText {
    /// Adds a fragment as it stands in JSON, escapes kept.
    pub(crate) fn push_raw(&mut self, raw: &[u8]) {
        self.push(&text_of(raw));
    }

    fn push(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        self.kept.push_str(text);
        if self.kept.len() >= KEPT {
            self.count();
        }
    }

    /// All text of a plain answer's value: every string under a member that holds visible output.
    pub(crate) fn push_visible(&mut self, value: &serde_json::Value) {
        // Providers nest a few levels deep; serde_json already bounds what it parses to 128.
        match value {
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.push_visible(item)),
            serde_json::Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        serde_json::Value::String(text) if VISIBLE.contains(&name.as_str()) => {
                            self.push(text)
                        }
                        serde_json::Value::Object(_) if name == "input" => self.push(&value.to_string()),
                        _ => self.push_visible(value),
                    }
                }
            }
            _ => {}
        }
    }

    /// Every string of a value, at any depth: the arguments of a call.
    pub(crate) fn push_strings(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.push(text),
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.push_strings(item)),
            serde_json::Value::Object(members) => members.values().for_each(|value| self.push_strings(value)),
            _ => {}
        }
    }

    /// Tokens of everything so far.
    pub(crate) fn count(&mut self) -> u64 {
        self.counted += tokenizer::count(&self.kept);
        self.kept.clear();
        self.counted
    }

    /// Bytes of everything so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Members whose text a model wrote and a client sees.
const VISIBLE: [&str; 9] = [
    "content",
    "text",
    "refusal",
    "arguments",
    "reasoning_content",
    "reasoning",
    "thinking",
    "transcript",
    "input",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_counted_as_it_passes_and_not_kept() {
        let mut output = OutputText::default();
        for _ in 0..20_000 {
            output.push_raw(br"hello \u0077orld ");
        }
        assert!(output.kept.len() < KEPT);
        assert_eq!(output.bytes(), 20_000 * 12);
        assert!(output.count() >= 20_000);
    }

    #[test]
    fn counting_twice_counts_once() {
        let mut output = OutputText::default();
        output.push_raw(b"some words");
        assert_eq!(output.count(), output.count());
    }
}
