//! Identities that machines give to things.

use std::{fmt, str::FromStr};

/// The identity of one exchange: a UUIDv7, so that ids sort by the time their exchange began.
///
/// It is the ledger row's `id`, the client's `x-request-id` and the key that makes settlement
/// idempotent.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u128);

impl RequestId {
    /// Builds a version 7 UUID (RFC 9562, section 5.7) from a start time and 74 random bits; the
    /// upper bits of `random` are ignored.
    #[must_use]
    pub const fn new(started: crate::UnixMillis, random: u128) -> Self {
        let millis = (started.get() as u128 & 0xffff_ffff_ffff) << 80;
        let rand_a = (random >> 62 & 0xfff) << 64;
        let rand_b = random & 0x3fff_ffff_ffff_ffff;
        Self(millis | 0x7 << 76 | rand_a | 0b10 << 62 | rand_b)
    }

    /// The id as 16 bytes, most significant first, so that byte order is time order.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The reverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// When the exchange began, as the id remembers it.
    #[must_use]
    pub const fn started_at(self) -> crate::UnixMillis {
        crate::UnixMillis::new((self.0 >> 80) as i64)
    }

    /// The smallest id that an exchange begun at `time` can have; a bound for range scans.
    #[must_use]
    pub const fn first_at(time: crate::UnixMillis) -> Self {
        Self((time.get() as u128 & 0xffff_ffff_ffff) << 80)
    }

    /// Writes the 36 characters of the hyphenated form, without allocating.
    #[must_use]
    pub fn to_text(self) -> [u8; 36] {
        let mut text = [b'-'; 36];
        for (byte, at) in self.to_bytes().into_iter().zip(DIGIT_PAIRS) {
            text[at..at + 2].copy_from_slice(&HEX[usize::from(byte)]);
        }
        text
    }
}

/// Where each byte of a UUID stands in its hyphenated form.
const DIGIT_PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Every byte as two digits.
pub(crate) const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    pairs
};

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).expect("digits and hyphens are text"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no request id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a request id")]
pub struct ParseRequestIdError;

impl FromStr for RequestId {
    type Err = ParseRequestIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::try_parse(text).map(|id| Self(id.as_u128())).map_err(|_| ParseRequestIdError)
    }
}

/// The identity of one journal file sequence: random, made when the sequence is begun.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogId(u128);

impl LogId {
    /// An identity from 128 random bits.
    #[must_use]
    pub const fn new(random: u128) -> Self {
        Self(random)
    }

    /// The id as 16 bytes, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The reverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMillis;

    #[test]
    fn a_request_id_is_a_version_7_uuid_that_remembers_its_time() {
        let time = UnixMillis::new(1_790_000_000_123);
        let id = RequestId::new(time, u128::MAX);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(id.started_at(), time);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(std::str::from_utf8(&id.to_text()), Ok(text.as_str()));
    }

    #[test]
    fn a_request_id_is_written_as_a_hyphenated_uuid() {
        let id = RequestId::from_bytes([
            0x01, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x73, 0x45, 0x86, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x00, 0xff,
        ]);
        assert_eq!(id.to_string(), "019abcde-f012-7345-8678-9abcdef000ff");
    }

    #[test]
    fn ids_sort_by_time() {
        let early = RequestId::new(UnixMillis::new(1_000), u128::MAX);
        let late = RequestId::new(UnixMillis::new(1_001), 0);
        assert!(early < late);
        assert!(RequestId::first_at(UnixMillis::new(1_001)) <= late);
        assert!(RequestId::first_at(UnixMillis::new(1_001)) > early);
    }
}
