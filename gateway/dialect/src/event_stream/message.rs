//! One message of an AWS event stream.
//!
//! All numbers are big-endian. The checksums are CRC-32 as zlib computes it: one of the two lengths,
//! one of everything before it.
//!
//! ```text
//! u32 length of all | u32 length of the headers | u32 checksum | headers | payload | u32 checksum
//! ```

/// The two lengths and their checksum.
pub(super) const PRELUDE: usize = 12;
/// What a message is longer than its headers and its payload.
const AROUND: usize = PRELUDE + CHECKSUM;
const CHECKSUM: usize = 4;
/// The most that AWS's own clients take: 128 KiB of headers and 24 MiB of payload.
const LONGEST_HEADERS: usize = 128 << 10;
const LONGEST: usize = AROUND + LONGEST_HEADERS + (24 << 20);

/// The lengths of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prelude {
    /// Of all of it.
    pub(super) total: usize,
    headers: usize,
}

impl Prelude {
    /// Reads what begins a message; nothing when it is damaged or cannot be.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let (lengths, rest) = bytes.split_first_chunk::<8>()?;
        let checksum = rest.first_chunk::<CHECKSUM>()?;
        let both = u64::from_be_bytes(*lengths);
        let total = usize::try_from(both >> 32).ok()?;
        let headers = usize::try_from(both & u64::from(u32::MAX)).ok()?;
        let possible = total <= LONGEST && headers <= LONGEST_HEADERS && total >= AROUND + headers;
        (possible && crc32fast::hash(lengths) == u32::from_be_bytes(*checksum))
            .then_some(Self { total, headers })
    }
}

/// A message that came whole and undamaged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Message<'a> {
    /// What kind of message it is.
    pub(crate) kind: Kind<'a>,
    /// Usually JSON.
    pub(crate) payload: &'a [u8],
}

/// The kinds of messages, with the name that each has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind<'a> {
    /// A part of the answer.
    Event(&'a [u8]),
    /// A failure that the API knows.
    Exception(&'a [u8]),
    /// Any other failure: its code, and its message, which stands in a header.
    Error(&'a [u8], &'a [u8]),
}

impl<'a> Message<'a> {
    /// Reads exactly one message; nothing when it is torn, damaged or malformed.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let prelude = Prelude::of(bytes)?;
        let (before, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if prelude.total != bytes.len() || crc32fast::hash(before) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let (headers, payload) = before.get(PRELUDE..)?.split_at_checked(prelude.headers)?;
        Some(Self { kind: kind(headers)?, payload })
    }
}

/// The names that say what a message is.
const NAMES: [&[u8]; 5] =
    [b":message-type", b":event-type", b":exception-type", b":error-code", b":error-message"];

/// What the headers say; nothing when they are malformed or say one of it twice.
fn kind(headers: &[u8]) -> Option<Kind<'_>> {
    let mut said: [Option<&[u8]>; NAMES.len()] = [None; NAMES.len()];
    let mut rest = headers;
    while !rest.is_empty() {
        let (name, value);
        (name, value, rest) = header(rest)?;
        for (known, said) in NAMES.iter().zip(&mut said) {
            if *known == name && said.replace(value).is_some() {
                return None;
            }
        }
    }
    let [message_type, event, exception, code, message] = said.map(Option::unwrap_or_default);
    Some(match message_type {
        b"exception" => Kind::Exception(exception),
        b"error" => Kind::Error(code, message),
        _ => Kind::Event(event),
    })
}

/// The name and value of the first header, and what follows it.
fn header(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let (length, rest) = match *kind {
        // True and false stand for themselves.
        0 | 1 => (0, rest),
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        // A long number, and an instant in milliseconds.
        5 | 8 => (8, rest),
        // Bytes and text.
        6 | TEXT => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        // A UUID.
        9 => (16, rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((name, value, rest))
}

const TEXT: u8 = 7;

/// Writes a message with headers of text.
pub(crate) fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const SHORT: &str = "what we write ourselves is far shorter than what its length can tell";
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).expect(SHORT));
        block.extend_from_slice(name.as_bytes());
        block.push(TEXT);
        block.extend_from_slice(&u16::try_from(value.len()).expect(SHORT).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(AROUND + block.len() + payload.len()).expect(SHORT);
    let mut message = total.to_be_bytes().to_vec();
    message.extend_from_slice(&u32::try_from(block.len()).expect(SHORT).to_be_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&block);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_trusted_by_the_checksum_of_zlib() {
        // What zlib makes of the lengths 0x8e and 0x52.
        let prelude = [0, 0, 0, 0x8e, 0, 0, 0, 0x52, 0xee, 0x91, 0xe1, 0x42];
        assert_eq!(Prelude::of(&prelude).map(|prelude| (prelude.total, prelude.headers)), Some((0x8e, 0x52)));
        for (total, headers) in
            [(15_u32, 0_u32), (16, 1), (1 << 26, 0), (1 << 20, 200_000), (u32::MAX, u32::MAX)]
        {
            let mut prelude = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
            assert!(Prelude::of(&prelude).is_none(), "{total} {headers}");
        }
    }

    #[test]
    fn each_kind_of_message_is_told_by_its_headers() {
        let cases: [(&[(&str, &str)], Kind<'_>); 5] = [
            (
                &[
                    (":event-type", "chunk"),
                    (":content-type", "application/json"),
                    (":message-type", "event"),
                ],
                Kind::Event(b"chunk"),
            ),
            (
                &[(":message-type", "exception"), (":exception-type", "throttlingException")],
                Kind::Exception(b"throttlingException"),
            ),
            (
                &[(":error-message", "no"), (":message-type", "error"), (":error-code", "500")],
                Kind::Error(b"500", b"no"),
            ),
            (&[(":message-type", "event")], Kind::Event(b"")),
            (&[], Kind::Event(b"")),
        ];
        for (headers, want) in cases {
            let bytes = write(headers, b"{}");
            assert_eq!(Message::parse(&bytes), Some(Message { kind: want, payload: b"{}" }), "{headers:?}");
        }
    }

    #[test]
    fn any_damaged_or_missing_byte_is_seen() {
        let whole = write(&[(":message-type", "event"), (":event-type", "e")], b"{\"a\":1}");
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Message::parse(&damaged), None, "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(Message::parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(Message::parse(&[&whole[..], b"x"].concat()), None);
    }

    #[test]
    fn headers_of_every_type_are_stepped_over_and_malformed_ones_refuse_the_message() {
        let mut headers = Vec::new();
        for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            headers.extend([1, b'h', kind]);
            headers.extend(vec![0xff; length]);
        }
        headers.extend([1, b'b', 6, 0, 2, 1, 2]);
        headers.extend(b"\x0b:event-type\x07\x00\x01e");
        assert_eq!(kind(&headers), Some(Kind::Event(b"e")));
        for torn in 1..headers.len() {
            // Whatever is left either ends with a whole header or is refused; nothing panics.
            let _ = kind(&headers[..torn]);
        }
        for malformed in [&b"\x01"[..], b"\x01h", b"\x01h\x0a", b"\x01h\x07\x00", b"\x01h\x07\x00\x02x"] {
            assert_eq!(kind(malformed), None, "{malformed:?}");
        }
        let twice = [b"\x0b:event-type\x07\x00\x01e".as_slice(); 2].concat();
        assert_eq!(kind(&twice), None);
    }
}
