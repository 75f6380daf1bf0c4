//! The ordinary chunk of a stream, known by its shape.
//!
//! Most chunks of a stream differ in one text alone (and in OpenAI's padding). Once one of them was
//! read member by member, the next is compared with it: where everything around the text is equal to
//! the byte, so is what it means.

use crate::peek::after_string;

/// A chunk with a hole for the text and, where its server pads, one for the padding.
#[derive(Debug)]
pub(super) struct Usual {
    /// Up to the text's opening quote, with it.
    head: Box<[u8]>,
    /// From the text's closing quote on: to the end, or to the padding's opening quote.
    middle: Box<[u8]>,
    /// From the padding's closing quote on.
    tail: Option<Box<[u8]>>,
}

impl Usual {
    /// The shape of `data` around the text and the padding in it; nothing when the padding does not
    /// come after the text.
    pub(super) fn of(data: &[u8], text: &[u8], padding: Option<&[u8]>) -> Option<Self> {
        let (start, end) = place(data, text)?;
        let (middle, tail) = match padding {
            None => (&data[end..], None),
            Some(padding) => {
                let (from, to) = place(data, padding)?;
                (data.get(end..from)?, Some(data[to..].into()))
            }
        };
        Some(Self { head: data[..start].into(), middle: middle.into(), tail })
    }

    /// The text of a chunk of this shape.
    pub(super) fn text<'a>(&self, data: &'a [u8]) -> Option<&'a [u8]> {
        let (text, rest) = fill(data, &self.head)?;
        match &self.tail {
            None => (rest == &*self.middle).then_some(text),
            Some(tail) => fill(rest, &self.middle).filter(|(_, rest)| *rest == &**tail).map(|_| text),
        }
    }
}

/// Where a slice of `data` lies in it.
fn place(data: &[u8], part: &[u8]) -> Option<(usize, usize)> {
    let start = part.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
    (start + part.len() <= data.len()).then_some((start, start + part.len()))
}

/// The string that follows `head`, which ends with its opening quote, and what comes after its text.
fn fill<'a>(data: &'a [u8], head: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let quote = head.len().checked_sub(1)?;
    if !data.starts_with(head) {
        return None;
    }
    let end = after_string(data, quote)? - 1;
    Some((&data[head.len()..end], &data[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(data: &str, text: &str, padding: Option<&str>) -> Usual {
        let find = |part: &str| {
            let at = data.find(&format!("\"{part}\"")).expect("it is there") + 1;
            &data.as_bytes()[at..at + part.len()]
        };
        Usual::of(data.as_bytes(), find(text), padding.map(find)).expect("a shape")
    }

    #[test]
    fn only_the_texts_may_differ() {
        let usual = shape(r#"{"id":"a","content":"one","end":null}"#, "one", None);
        let cases = [
            (r#"{"id":"a","content":"two \"quoted\"","end":null}"#, Some(r#"two \"quoted\""#)),
            (r#"{"id":"a","content":"","end":null}"#, Some("")),
            (r#"{"id":"b","content":"two","end":null}"#, None),
            (r#"{"id":"a","content":"two","end":"stop"}"#, None),
            (r#"{"id":"a","content":"two","more":1,"end":null}"#, None),
            (r#"{"id":"a","content":"two"#, None),
        ];
        for (data, want) in cases {
            assert_eq!(usual.text(data.as_bytes()), want.map(str::as_bytes), "{data}");
        }
    }

    #[test]
    fn padding_may_differ_too() {
        let usual = shape(r#"{"content":"one","pad":"xyz"}"#, "one", Some("xyz"));
        assert_eq!(usual.text(br#"{"content":"other","pad":"q"}"#), Some(&b"other"[..]));
        assert_eq!(usual.text(br#"{"content":"other","pad":"q","x":1}"#), None);
    }
}
