//! JSON of one object, appended to a buffer; the path of every line goes without `core::fmt`.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
};

use tollgate_domain::UnixMillis;

/// A JSON object under construction.
///
/// Every member is opened by a literal that holds all that stands before its value: the comma, the
/// name and, for a text, the opening quote.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    /// Begins the object with its time, RFC 3339 in UTC with milliseconds.
    pub(super) fn begin_with_time(out: &'a mut Vec<u8>, opening: &str, at: UnixMillis) -> Self {
        out.extend_from_slice(opening.as_bytes());
        write_time(out, at);
        out.push(b'"');
        Self { out }
    }

    /// Ends the object and its line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    #[inline(always)]
    pub(super) fn text(&mut self, opening: &'static str, value: &str) {
        self.open(opening);
        write_escaped(self.out, value.as_bytes());
    }

    #[inline(always)]
    pub(super) fn optional_text(&mut self, opening: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(opening, value);
        }
    }

    /// A text that is known to need no escapes.
    #[inline(always)]
    pub(super) fn plain(&mut self, opening: &'static str, value: &[u8]) {
        self.open(opening);
        self.out.extend_from_slice(value);
        self.out.push(b'"');
    }

    #[inline(always)]
    pub(super) fn number(&mut self, opening: &'static str, value: u64) {
        self.open(opening);
        write_number(self.out, value);
    }

    #[inline(always)]
    pub(super) fn optional_number(&mut self, opening: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(opening, value);
        }
    }

    #[inline(always)]
    pub(super) fn bool(&mut self, opening: &'static str, value: bool) {
        self.open(opening);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Copied in place, where the literal's length is known: a few stores and no call.
    #[inline(always)]
    fn open(&mut self, opening: &'static str) {
        self.out.extend_from_slice(opening.as_bytes());
    }

    pub(super) fn address(&mut self, opening: &'static str, address: IpAddr) {
        self.out.extend_from_slice(opening.as_bytes());
        match address {
            IpAddr::V4(address) => write_v4(self.out, address),
            IpAddr::V6(address) => write!(self.out, "{address}").expect("a vector takes all bytes"),
        }
        self.out.push(b'"');
    }
}

#[inline(never)]
fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_v4(out: &mut Vec<u8>, address: Ipv4Addr) {
    for (at, part) in address.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        write_number(out, part.into());
    }
}

fn write_time(out: &mut Vec<u8>, at: UnixMillis) {
    // What no calendar knows is the epoch: a line with a wrong time is better than none.
    let instant = jiff::Timestamp::from_millisecond(at.get()).unwrap_or_default();
    let time = jiff::tz::Offset::UTC.to_datetime(instant);
    let Ok(year @ 0..=9_999) = u64::try_from(time.year()) else {
        write!(out, "{instant:.3}").expect("a vector takes all bytes");
        return;
    };
    let millis = time.subsec_nanosecond().unsigned_abs() / 1_000_000;
    let two = |value: i8| two_digits(u64::from(value.unsigned_abs()));
    let [y0, y1] = two_digits(year / 100);
    let [y2, y3] = two_digits(year % 100);
    let ([m0, m1], [d0, d1]) = (two(time.month()), two(time.day()));
    let ([h0, h1], [i0, i1], [s0, s1]) = (two(time.hour()), two(time.minute()), two(time.second()));
    let [f0, f1] = two_digits(u64::from(millis / 10));
    let f2 = b'0' + (millis % 10) as u8;
    out.extend_from_slice(&[
        y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1, b'.', f0, f1,
        f2, b'Z',
    ]);
}

/// A number below 100.
fn two_digits(number: u64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// Appends a text and its closing quote by RFC 8259, section 7: quotes, backslashes and control
/// characters escaped.
#[inline(never)]
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 1);
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        write_escapes(out, text);
    }
    out.push(b'"');
}

#[cold]
fn write_escapes(out: &mut Vec<u8>, mut rest: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    while let Some(at) = rest.iter().position(|&byte| needs_escape(byte)) {
        let byte = rest[at];
        out.extend_from_slice(&rest[..at]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// True when no byte needs an escape; looks at eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else { return is_plain_eight(spread(text)) };
    let (eights, _) = text.as_chunks::<8>();
    eights.iter().chain([last]).all(|eight| is_plain_eight(u64::from_le_bytes(*eight)))
}

/// Eight bytes that hold every byte of a text of less than eight, some of them twice.
fn spread(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    let [a, b, c] = match text {
        [first, .., last] => [*first, text[text.len() / 2], *last],
        [only] => [*only; 3],
        [] => [b' '; 3],
    };
    u64::from_le_bytes([a, b, c, b' ', b' ', b' ', b' ', b' '])
}

/// The same for eight bytes. A byte below `n` is the only kind whose top bit a subtraction of `n` can
/// set where it was not set before; a borrow goes only from such a byte into the one above.
const fn is_plain_eight(eight: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES * 0x80;
    let (quotes, backslashes) = (eight ^ (ONES * b'"' as u64), eight ^ (ONES * b'\\' as u64));
    let below_space = eight.wrapping_sub(ONES * 0x20) & !eight;
    let quote = quotes.wrapping_sub(ONES) & !quotes;
    let backslash = backslashes.wrapping_sub(ONES) & !backslashes;
    (below_space | quote | backslash) & TOPS == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_bytes_at_a_time_find_what_one_at_a_time_finds(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(is_plain(&text), !text.iter().any(|&byte| needs_escape(byte)));
        }

        #[test]
        fn one_byte_to_escape_is_found_wherever_it_stands(
            length in 1_usize..40,
            at in any::<prop::sample::Index>(),
            byte in prop_oneof![0_u8..0x20, Just(b'"'), Just(b'\\')],
        ) {
            let mut text = vec![b'a'; length];
            prop_assert!(is_plain(&text));
            text[at.index(length)] = byte;
            prop_assert!(!is_plain(&text));
        }

        #[test]
        fn a_time_is_written_as_the_calendar_writes_it(millis in -70_000_000_000_000_i64..260_000_000_000_000) {
            let mut out = Vec::new();
            write_time(&mut out, UnixMillis::new(millis));
            let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
            prop_assert_eq!(String::from_utf8(out), Ok(format!("{instant:.3}")));
        }
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_writes_them() {
        for address in ["0.0.0.0", "192.0.2.7", "255.255.255.255", "::1", "2001:db8::7"] {
            let mut out = Vec::new();
            let mut object = Object { out: &mut out };
            object.address("", address.parse().expect("an address"));
            assert_eq!(String::from_utf8(out), Ok(format!("{address}\"")));
        }
    }
}
