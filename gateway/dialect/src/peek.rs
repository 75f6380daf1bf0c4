//! One pass over a request body: its top-level members with their byte ranges, nothing parsed.
//!
//! The scanner is strict where two parsers could disagree about a top-level member (brackets and
//! strings must balance, nothing may follow the object, nesting ends at [`MAX_DEPTH`]) and where some
//! parser could break at any depth (bytes that are no text, half a surrogate pair, numbers beyond all
//! measure). What else stands below is the upstream's to judge. It never recurses and never panics, and its
//! cost is linear in the bytes.

use std::{
    borrow::Cow,
    ops::{ControlFlow, Range},
};

use memchr::{memchr, memchr2};

use crate::head::Malformed;

/// Deeper nesting is refused, as a defence of every parser behind the gateway.
const MAX_DEPTH: u32 = 64;

/// More digits in a row are no number that anybody means.
const MOST_DIGITS: usize = 64;

/// Where the scanned object ends and whether it holds anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Extent {
    /// Index of the closing brace.
    pub(crate) end: usize,
    /// `{}`.
    pub(crate) empty: bool,
}

/// Calls `visit` with the name and value range of each top-level member, in order. Names arrive
/// with their escapes undone, so that `"mod\u0065l"` is seen as `model`.
pub(crate) fn members(
    body: &[u8],
    mut visit: impl FnMut(&[u8], Range<usize>) -> Result<(), Malformed>,
) -> Result<Extent, Malformed> {
    let mut scan = Scan { body, at: 0 };
    scan.blanks();
    if scan.peek() != Some(b'{') {
        return Err(Malformed::body("the request body must be a JSON object"));
    }
    scan.at += 1;
    scan.blanks();
    if scan.peek() == Some(b'}') {
        return scan.close(true);
    }
    loop {
        let name = scan.name()?;
        scan.blanks();
        scan.expect(b':')?;
        scan.blanks();
        let value = scan.value()?;
        // A member that is interpreted names what is wrong with it; the rest is told by its place.
        visit(&name, value.clone())?;
        scan.is_measured(&value)?;
        scan.blanks();
        if scan.peek() == Some(b'}') {
            return scan.close(false);
        }
        scan.expect(b',')?;
        scan.blanks();
    }
}

/// True for a JSON object that every parser reads, and all alike.
pub(crate) fn is_sound(object: &[u8]) -> bool {
    members(object, |_, _| Ok(())).is_ok()
}

/// Calls `visit` with the range of each element of an array, in order, until it says to stop. What is no
/// array has no elements.
pub(crate) fn elements(array: &[u8], mut visit: impl FnMut(Range<usize>) -> ControlFlow<()>) {
    let mut scan = Scan { body: array, at: 0 };
    scan.blanks();
    if scan.peek() != Some(b'[') {
        return;
    }
    loop {
        scan.at += 1;
        scan.blanks();
        let Ok(value) = scan.value() else { return };
        if visit(value).is_break() {
            return;
        }
        scan.blanks();
        if scan.peek() != Some(b',') {
            return;
        }
    }
}

/// Every string of the body can be read by every parser: it is UTF-8, and no escape is half of a surrogate
/// pair.
fn is_text(body: &[u8]) -> Result<(), Malformed> {
    let fault = |what: &str, at: usize| Malformed::body(format!("the request body {what} at byte {at}"));
    str::from_utf8(body).map_err(|error| fault("is not valid UTF-8", error.valid_up_to()))?;
    let mut at = 0;
    while let Some(found) = body.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let escape = at + found;
        at = match code_unit(body, escape) {
            Some(0xd800..=0xdbff) if matches!(code_unit(body, escape + 6), Some(0xdc00..=0xdfff)) => {
                escape + 12
            }
            Some(0xd800..=0xdfff) => return Err(fault("has half of a surrogate pair", escape)),
            _ => escape + 2,
        };
    }
    Ok(())
}

/// What the escape `\uXXXX` at this place stands for.
fn code_unit(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.fault(&format!("expected `{}`", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn name(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected the name of a member"));
        }
        let start = self.at;
        self.string()?;
        let inner = &self.body[start + 1..self.at - 1];
        if !inner.contains(&b'\\') {
            return Ok(Cow::Borrowed(inner));
        }
        serde_json::from_slice::<String>(&self.body[start..self.at])
            .map(|name| Cow::Owned(name.into_bytes()))
            .map_err(|_| self.fault("the name of a member is not valid text"))
    }

    /// Moves past a string; stands on its opening quote before.
    fn string(&mut self) -> Result<(), Malformed> {
        match after_string(self.body, self.at) {
            Some(after) => {
                self.at = after;
                Ok(())
            }
            None => Err(self.fault("a string does not end")),
        }
    }

    fn value(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{' | b'[') => self.nested()?,
            Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => self.scalar()?,
            _ => return Err(self.fault("expected a value")),
        }
        Ok(start..self.at)
    }

    /// A literal or a number, which is short: serde judges it.
    fn scalar(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'E' | b'0'..=b'9' | b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let raw = &self.body[start..self.at];
        if is_plain_scalar(raw) {
            return Ok(());
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(raw)
            .map(drop)
            .map_err(|_| self.fault("expected a value"))
    }

    /// A number is one that every parser can hold: what no double can is something else to each of them.
    fn is_measured(&self, value: &Range<usize>) -> Result<(), Malformed> {
        let raw = &self.body[value.clone()];
        if !matches!(raw.first(), Some(b'-' | b'0'..=b'9')) {
            return Ok(());
        }
        if raw.len() > MOST_DIGITS {
            return Err(self.fault("a number has more than 64 characters"));
        }
        if is_plain_scalar(raw) || serde_json::from_slice::<serde_json::Number>(raw).is_ok() {
            return Ok(());
        }
        Err(self.fault("a number is too large"))
    }

    /// Moves past an object or array. The open brackets are one bit each: `1` for an object.
    fn nested(&mut self) -> Result<(), Malformed> {
        let (mut kinds, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek() {
                None => return Err(self.fault("a bracket is never closed")),
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(open @ (b'{' | b'[')) => {
                    // The object around all this is the first level.
                    if depth + 1 >= MAX_DEPTH {
                        return Err(self.fault("nested more than 64 levels deep"));
                    }
                    kinds = kinds << 1 | u64::from(open == b'{');
                    depth += 1;
                }
                Some(close @ (b'}' | b']')) => {
                    if (kinds & 1 == 1) != (close == b'}') {
                        return Err(self.fault("brackets do not match"));
                    }
                    kinds >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(b'0'..=b'9') => {
                    self.digits()?;
                    if matches!(self.peek(), Some(b'e' | b'E')) {
                        self.exponent()?;
                    }
                    continue;
                }
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    /// Moves past digits.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at - start > MOST_DIGITS {
            return Err(self.fault("a number has more than 64 digits"));
        }
        Ok(())
    }

    /// Moves past an exponent, which can make a number that no double holds.
    fn exponent(&mut self) -> Result<(), Malformed> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let digits = self.body[..self.at].iter().rev().take_while(|byte| is_part(byte)).count();
        let exponent = self.body[self.at..].iter().take_while(|byte| is_part(byte)).count();
        let number = &self.body[self.at - digits..self.at + exponent];
        if number.len() > MOST_DIGITS || serde_json::from_slice::<serde_json::Number>(number).is_err() {
            return Err(self.fault("a number is too large, or is none"));
        }
        self.at += exponent;
        Ok(())
    }

    /// Stands on the closing brace of the whole, behind which only blanks may come.
    fn close(&mut self, empty: bool) -> Result<Extent, Malformed> {
        let end = self.at;
        self.at += 1;
        self.blanks();
        match self.peek() {
            None => is_text(self.body).map(|()| Extent { end, empty }),
            Some(_) => Err(self.fault("something follows the JSON object")),
        }
    }

    fn fault(&self, what: &str) -> Malformed {
        Malformed::body(format!("the request body is not valid JSON: {what} at byte {}", self.at))
    }
}

/// A literal, or a whole number without a leading zero: what nearly all scalars are.
fn is_plain_scalar(raw: &[u8]) -> bool {
    match raw {
        b"true" | b"false" | b"null" | b"0" => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The index after the string whose opening quote stands at `quote`, or nothing if it never ends.
pub(crate) fn after_string(bytes: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    // Most names and many values end within four words, sooner than a vector search starts.
    for word in bytes.get(at..)?.as_chunks::<8>().0.iter().take(4) {
        let stops = quotes_or_backslashes(*word);
        if stops != 0 {
            at += (stops.trailing_zeros() / 8) as usize;
            if bytes[at] == b'"' {
                return Some(at + 1);
            }
            break;
        }
        at += 8;
    }
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// A bit in the first byte of the word that is a quote or a backslash; bits behind it mean nothing.
fn quotes_or_backslashes(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(body: &str) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        members(body.as_bytes(), |name, span| {
            found.push((String::from_utf8_lossy(name).into_owned(), body[span].to_owned()));
            Ok(())
        })
        .map(|_| found)
        .map_err(|fault| fault.message)
    }

    #[test]
    fn members_come_with_their_exact_bytes() {
        let found =
            names(" {\"model\" : \"a\\\"}\" ,\n\"n\":-1.5e3,\"x\":[{\"model\":1}],\"mod\\u0065l\":null} ");
        let want = [("model", "\"a\\\"}\""), ("n", "-1.5e3"), ("x", "[{\"model\":1}]"), ("model", "null")];
        assert_eq!(found.unwrap(), want.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(names("{}"), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn a_string_ends_at_its_first_quote_that_is_not_escaped(text in "[a\u{a2}\"\\\\\u{dc}]{0,60}") {
            let bytes = [b"\"", text.as_bytes()].concat();
            let mut at = 1;
            let plainly = loop {
                match bytes.get(at) {
                    None => break None,
                    Some(b'"') => break Some(at + 1),
                    Some(b'\\') => at += 2,
                    Some(_) => at += 1,
                }
            };
            prop_assert_eq!(after_string(&bytes, 0), plainly);
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let cases = [
            "",
            "[]",
            "null",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}{",
            "{\"a\":1} x",
            "{a:1}",
            "{\"a\":[}",
            "{\"a\":[1}",
            "{\"a\":\"x}",
            "{\"a\":nul}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":'b'}",
            "{\"a\":1 \"b\":2}",
            "{,}",
            "{\"\\ud800\":1}",
            "\u{feff}{}",
            "{\"a\":\"\\",
            "{\"a\":{]}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":[{\"b\":\"x\\uDC00\"}]}",
            "{\"a\":\"\\ud83d\\ud83d\"}",
            "{\"a\":\"\\\\\\ud83d!\"}",
        ];
        for body in cases {
            assert!(names(body).is_err(), "{body}");
        }
    }

    #[test]
    fn what_some_parser_breaks_on_is_refused_at_any_depth() {
        let digits = |count: usize| format!("{{\"a\":[{{\"b\":-{}}}]}}", "7".repeat(count));
        assert!(names(&digits(64)).is_ok());
        assert!(names(&digits(65)).is_err());
        assert!(names(&format!("{{\"a\":{}}}", "7".repeat(400))).is_err());
        for fine in ["1e308", "-1.5E-9999", "0e9999", "1.5e3,true,\"1e9999\",false"] {
            assert!(names(&format!("{{\"a\":[{fine}]}}")).is_ok(), "{fine}");
        }
        for endless in ["1e309", "-2E+9999", "1.5e", "1e5e5"] {
            assert!(names(&format!("{{\"a\":[{{\"b\":{endless}}}]}}")).is_err(), "{endless}");
        }
        let no_text = members(b"{\"a\":{\"b\":\"\xff\"}}", |_, _| Ok(())).map_err(|fault| fault.message);
        assert_eq!(no_text, Err("the request body is not valid UTF-8 at byte 11".to_owned()));
        for fine in ["\\ud83d\\ude00", "\\uD83D\\uDE00\\u00e9", "\\\\ud83d", "\\ud7ff\\ue000", "\\u12"] {
            assert!(names(&format!("{{\"a\":[\"{fine}\"]}}")).is_ok(), "{fine}");
        }
    }

    #[test]
    fn nesting_ends_at_64_levels() {
        let nest = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(names(&nest(63)).is_ok());
        assert!(names(&nest(64)).is_err());
        assert!(names(&format!("{{\"a\":{}", "[".repeat(100_000))).is_err());
        assert!(names(&"{\"a\":".repeat(100_000)).is_err());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scanner_agrees_with_serde_json(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("a value is always written");
            let mut found = Vec::new();
            let result = members(text.as_bytes(), |name, span| {
                let name = String::from_utf8(name.to_vec()).expect("serde writes UTF-8");
                let value: serde_json::Value = serde_json::from_str(&text[span]).expect("a whole value");
                found.push((name, value));
                Ok(())
            });
            match value.as_object() {
                Some(object) => {
                    prop_assert_eq!(text.as_bytes()[result.expect("an object").end], b'}');
                    let want: Vec<_> = object.clone().into_iter().collect();
                    let reread = serde_json::from_str::<serde_json::Value>(&text).expect("valid");
                    prop_assert_eq!(found.len(), want.len());
                    for (name, value) in found {
                        prop_assert_eq!(Some(&value), reread.get(&name));
                    }
                }
                None => prop_assert!(result.is_err()),
            }
        }
    }
}
