//! Edits as byte splices: everything that is not edited stays exactly as the client wrote it.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

/// Replacements for ranges of a body; an empty range inserts.
#[derive(Default)]
pub(crate) struct Splices(SmallVec<[(Range<usize>, String); 3]>);

impl Splices {
    /// Replaces `range` by `text`. Ranges must not overlap; several insertions at one place keep
    /// the order in which they were added.
    pub(crate) fn replace(&mut self, range: Range<usize>, text: String) {
        self.0.push((range, text));
    }

    /// Inserts `text` before the byte at `at`.
    pub(crate) fn insert(&mut self, at: usize, text: String) {
        self.replace(at..at, text);
    }

    /// The edited body, or the very same bytes when there is no edit.
    pub(crate) fn apply(mut self, body: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return body.clone();
        }
        self.0.sort_by_key(|(range, _)| range.start);
        let added: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut edited = Vec::with_capacity(body.len() + added);
        let mut copied = 0;
        for (range, text) in &self.0 {
            edited.extend_from_slice(&body[copied..range.start]);
            edited.extend_from_slice(text.as_bytes());
            copied = range.end;
        }
        edited.extend_from_slice(&body[copied..]);
        edited.into()
    }
}

/// A text as JSON, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    let stands_for_itself = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(stands_for_itself) {
        ["\"", text, "\""].concat()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_stand_where_they_belong_and_the_rest_is_untouched() {
        let body = Bytes::from_static(b"0123456789");
        let mut splices = Splices::default();
        splices.insert(9, ",a".to_owned());
        splices.insert(9, ",b".to_owned());
        splices.replace(2..4, "X".to_owned());
        assert_eq!(splices.apply(&body), "01X45678,a,b9");
    }

    #[test]
    fn a_quoted_text_is_what_serde_makes_of_it() {
        for text in ["gpt-5", "", "a\"b", "a\\b", "a\nb", "\u{7f}é", "\u{0}"] {
            assert_eq!(quoted(text), serde_json::Value::from(text).to_string());
        }
    }

    #[test]
    fn no_edit_gives_the_same_memory() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(Splices::default().apply(&body).as_ptr(), body.as_ptr());
    }
}
