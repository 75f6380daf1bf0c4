//! One tolerant pass over a provider's JSON: every member at every depth, nothing parsed.
//!
//! This is the hot path of streams. Where [`peek`](crate::peek) refuses what is doubtful in a
//! client's request, this walker must never fail on what a provider sends: it yields what it
//! recognises and simply stops where the bytes stop making sense. It never recurses or panics.

use std::borrow::Cow;

use crate::peek::after_string;

/// A member: its name as written, its value, and how many brackets are open around it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Found<'a> {
    /// `1` for a member of the outermost object.
    pub(crate) depth: u32,
    pub(crate) name: &'a [u8],
    pub(crate) value: Value<'a>,
    /// Index of the value's first byte.
    pub(crate) at: usize,
}

/// A value as far as one byte tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Value<'a> {
    /// A string without its quotes, escapes kept.
    Text(&'a [u8]),
    /// An object or array, whose members come next.
    Open,
    /// A number or literal, up to the next delimiter.
    Scalar(&'a [u8]),
}

impl Value<'_> {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(b"null"))
    }
}

/// What cannot stand in a number or literal: one look for each byte, where comparing takes nine.
const ENDS_SCALAR: [bool; 256] = {
    let mut ends = [false; 256];
    let delimiters = b",}]\" \t\n\r\x0c";
    let mut at = 0;
    while at < delimiters.len() {
        ends[delimiters[at] as usize] = true;
        at += 1;
    }
    ends
};

pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// Moves past the object or array that was just found open.
    pub(crate) fn step_over(&mut self) {
        let outside = self.depth;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    let Some(after) = after_string(self.bytes, self.at) else { return self.stop() };
                    self.at = after;
                    continue;
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth <= outside {
                        self.at += 1;
                        return;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// True when the object or array that was just found open holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let inside = self.bytes.get(self.at + 1..).unwrap_or_default();
        matches!(inside.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'}' | b']') | None)
    }

    /// True when every bracket met so far was closed again.
    pub(crate) fn is_outside(&self) -> bool {
        self.depth == 0
    }

    fn stop(&mut self) {
        self.at = self.bytes.len();
    }

    fn blanks_from(&self, mut at: usize) -> usize {
        // Nearly nobody writes blanks here, and everything else that may stand here is above them.
        while self.bytes.get(at).is_some_and(|byte| *byte <= b' ' && byte.is_ascii_whitespace()) {
            at += 1;
        }
        at
    }

    /// The value that starts at `at`. Brackets are left for the main loop, so that depth is right.
    fn value(&mut self, at: usize) -> Option<Value<'a>> {
        match *self.bytes.get(at)? {
            b'"' => {
                let after = after_string(self.bytes, at)?;
                self.at = after;
                Some(Value::Text(&self.bytes[at + 1..after - 1]))
            }
            b'{' | b'[' => {
                self.at = at;
                Some(Value::Open)
            }
            _ => {
                let rest = &self.bytes[at..];
                let ends = |byte: &u8| ENDS_SCALAR[usize::from(*byte)];
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                self.at = at + length;
                Some(Value::Scalar(&rest[..length]))
            }
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => {
                    let start = self.at;
                    let Some(after) = after_string(self.bytes, start) else {
                        self.stop();
                        return None;
                    };
                    self.at = after;
                    let colon = self.blanks_from(after);
                    if self.bytes.get(colon) != Some(&b':') {
                        continue; // a string in an array
                    }
                    let at = self.blanks_from(colon + 1);
                    let name = &self.bytes[start + 1..after - 1];
                    let Some(value) = self.value(at) else {
                        self.stop();
                        return None;
                    };
                    return Some(Found { depth: self.depth, name, value, at });
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// A scalar that is a whole number of at least zero.
pub(crate) fn whole_number(scalar: &[u8]) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let (&first, rest) = scalar.split_first()?;
    rest.iter().try_fold(digit(first)?, |number, &byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

/// The JSON value that starts at `at`, parsed; nothing when it is cut short or not JSON.
pub(crate) fn parse_at(bytes: &[u8], at: usize) -> Option<serde_json::Value> {
    serde_json::Deserializer::from_slice(bytes.get(at..)?).into_iter().next()?.ok()
}

/// The text of a raw string, escapes undone; raw as it is where an escape is broken, as fragments
/// of a stream may cut a surrogate pair in two.
pub(crate) fn text_of(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        // Whole text is the rule, and is told at a fraction of what repairing it costs.
        return str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed);
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice(&quoted).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn walk(text: &str) -> Vec<(u32, &str)> {
        let utf8 = |bytes| std::str::from_utf8(bytes).expect("the test is text");
        Walk::new(text.as_bytes()).map(|found| (found.depth, utf8(found.name))).collect()
    }

    #[test]
    fn members_come_with_their_depth_and_strings_are_never_taken_for_members() {
        let text = r#"{"a" : "\"b\": 1", "c":[{"d":1,"e":["f","g:"]}],"h":{"i":null}}"#;
        let want = [(1, "a"), (1, "c"), (3, "d"), (3, "e"), (1, "h"), (2, "i")];
        assert_eq!(walk(text), want);
    }

    #[test]
    fn skipping_goes_on_after_the_value() {
        let text = br#"{"a":{"b":[1,"}",{"c":2}]},"d":[],"e":1}"#;
        let mut walk = Walk::new(text);
        let mut names = Vec::new();
        while let Some(found) = walk.next() {
            names.push((found.depth, found.name));
            if found.value == Value::Open {
                walk.step_over();
            }
        }
        assert_eq!(names, [(1, &b"a"[..]), (1, b"d"), (1, b"e")]);
    }

    #[test]
    fn a_whole_number_is_digits_and_nothing_else() {
        let cases = [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("1.0", None),
            ("1e3", None),
            ("null", None),
            ("", None),
        ];
        for (scalar, want) in cases {
            assert_eq!(whole_number(scalar.as_bytes()), want, "{scalar}");
        }
    }

    #[test]
    fn text_is_unescaped_and_half_a_surrogate_pair_is_kept_as_it_is() {
        assert_eq!(text_of(br"a\n\u00e9"), "a\né");
        assert_eq!(text_of(br"\ud83d"), r"\ud83d");
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut walk = Walk::new(&bytes);
            while let Some(found) = walk.next() {
                if found.name.len() % 2 == 0 && found.value == Value::Open {
                    walk.step_over();
                }
            }
        }
    }
}
