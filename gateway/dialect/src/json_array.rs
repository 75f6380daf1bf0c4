//! Cutting a JSON array that is sent piecewise into its elements.
//!
//! Each event is an element with whatever stands between it and the one before: `[{…}`, then
//! `,\r\n{…}`, and last the bracket that closes the array. Brackets are counted and strings are
//! stepped over, nothing is parsed; each byte is looked at once, however the chunks are cut.

use bytes::Bytes;
use memchr::memchr2;

use crate::{pending::Pending, sse::MAX_EVENT};

/// An incremental splitter with the faces of [`Splitter`](crate::Splitter).
#[derive(Debug, Default)]
pub struct ElementSplitter {
    pending: Pending,
    scan: Scan,
    oversized: bool,
    raw: bool,
}

impl ElementSplitter {
    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        self.pending.push(chunk);
    }

    /// The unfinished tail: a torn element, or what stands behind the array.
    pub fn rest(&mut self) -> Bytes {
        self.take(self.buffered())
    }

    /// Bytes that wait for the end of their element.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.pending.len()
    }

    /// True when the piece handed out last was part of an element longer than [`MAX_EVENT`].
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.scan.at = self.scan.at.saturating_sub(length);
        self.pending.take(length)
    }
}

impl Iterator for ElementSplitter {
    type Item = Bytes;

    /// The next whole element; `None` until more is pushed.
    fn next(&mut self) -> Option<Bytes> {
        if self.scan.reaches_an_end(self.pending.front()) {
            self.raw = std::mem::take(&mut self.oversized);
            return Some(self.take(self.scan.at));
        }
        if self.buffered() > MAX_EVENT {
            self.oversized = true;
            self.raw = true;
            return Some(self.take(self.buffered()));
        }
        None
    }
}

/// Where in the JSON text the scanner stands.
#[derive(Debug, Default)]
struct Scan {
    /// The next byte to look at, counted from the front of what is buffered.
    at: usize,
    /// Brackets that are open.
    depth: u64,
    /// The outermost one is the array's.
    in_array: bool,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Goes on to the end of an element, or of all that is there; true for the former.
    fn reaches_an_end(&mut self, bytes: &[u8]) -> bool {
        while let Some(&byte) = bytes.get(self.at) {
            if self.in_string {
                self.step_in_string(bytes);
                continue;
            }
            self.at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => {
                    self.in_array |= self.depth == 0 && byte == b'[';
                    self.depth += 1;
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth <= u64::from(self.in_array) {
                        self.in_array &= self.depth > 0;
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    fn step_in_string(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.escaped) {
            self.at += 1;
            return;
        }
        let Some(found) = memchr2(b'"', b'\\', &bytes[self.at..]) else {
            self.at = bytes.len();
            return;
        };
        self.at += found + 1;
        match bytes[self.at - 1] {
            b'"' => self.in_string = false,
            _ => self.escaped = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = ElementSplitter::default();
        let mut found = Vec::new();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).expect("text");
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            found.extend(splitter.by_ref().map(text));
        }
        found.push(text(splitter.rest()));
        found
    }

    #[test]
    fn each_element_comes_with_what_stands_before_it() {
        let stream = r#"[{"a":"]}\"","b":[{}]}
,
{"c":"\\"}
] "#;
        let want = [r#"[{"a":"]}\"","b":[{}]}"#, "\n,\n{\"c\":\"\\\\\"}", "\n]", " "];
        assert_eq!(elements(&[stream.as_bytes()]), want);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(elements(&bytes), want, "byte by byte");
    }

    #[test]
    fn an_answer_that_is_no_array_is_one_element() {
        assert_eq!(elements(&[br#"{"error":{"code":400}}"#, b"\n"]), [r#"{"error":{"code":400}}"#, "\n"]);
        assert_eq!(elements(&[b"[]"]), ["[]", ""]);
        assert_eq!(elements(&[b"}]x"]), ["}", "]", "x"]);
    }

    #[test]
    fn a_torn_element_stays_behind() {
        assert_eq!(elements(&[br#"[{"a":1},{"b":"#]), [r#"[{"a":1}"#, r#",{"b":"#]);
    }

    #[test]
    fn an_endless_element_passes_on_raw_in_bounded_memory() {
        let mut splitter = ElementSplitter::default();
        splitter.push(Bytes::from_static(b"[{\"a\":\""));
        let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
        let mut passed = 0;
        for _ in 0..40 {
            splitter.push(chunk.clone());
            for piece in splitter.by_ref() {
                passed += piece.len();
            }
            assert!(splitter.buffered() <= MAX_EVENT);
        }
        assert!(splitter.is_raw());
        splitter.push(Bytes::from_static(b"\"}, {}"));
        passed += splitter.next().map_or(0, |piece| piece.len());
        assert!(splitter.is_raw());
        assert_eq!(passed, 7 + 40 * 1024 * 1024 + 2);
        assert_eq!(splitter.next().as_deref(), Some(&b", {}"[..]));
        assert!(!splitter.is_raw());
    }
}
