//! The text of a key that the gateway has made: `tlg_<id>_<secret><checksum>`.
//!
//! The id may be shown, the secret never. The checksum keeps nothing secret: it tells a key that was
//! mistyped or cut short from one that nobody has, and lets scanners find leaked ones without asking.

/// What every key of ours begins with.
const PREFIX: &str = "tlg_";
/// Letters of the secret: 62^43 is above 2^256.
const SECRET_LETTERS: usize = 43;
/// Letters of the checksum: 62^6 is above 2^32.
const CHECKSUM_LETTERS: usize = 6;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The largest multiple of 62 that a byte can hold: bytes from there on would make some letters likelier.
const FAIR: u8 = 248;

/// What a text looks like to somebody who knows no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyShape<'a> {
    /// Nothing of ours.
    Foreign,
    /// It begins like a key of ours, and it is none.
    Mistyped,
    /// A whole key, of this id. Whether somebody has it is not told.
    Whole(&'a str),
}

impl<'a> KeyShape<'a> {
    /// Looks at a text.
    #[must_use]
    pub fn of(text: &'a [u8]) -> Self {
        let Some(rest) = text.strip_prefix(PREFIX.as_bytes()) else { return Self::Foreign };
        let whole = || {
            let text = std::str::from_utf8(text).ok()?;
            let (id, secret) = std::str::from_utf8(rest).ok()?.split_once('_')?;
            let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let is_formed = !id.is_empty()
                && letters(id)
                && letters(secret)
                && secret.len() == SECRET_LETTERS + CHECKSUM_LETTERS;
            let (said, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_LETTERS)?)?;
            (is_formed && checksum(said).as_bytes() == sum.as_bytes()).then_some(id)
        };
        whole().map_or(Self::Mistyped, Self::Whole)
    }
}

/// The part of a key that may be shown: `tlg_` and its id.
#[must_use]
pub fn key_prefix(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Writes a key of this id whose secret is drawn from random bytes, of which `more` gives a fresh one
/// with each call.
///
/// # Errors
/// `more` failed.
pub fn write_key<E>(id: &str, mut more: impl FnMut() -> Result<u8, E>) -> Result<String, E> {
    let mut text = format!("{PREFIX}{id}_");
    for _ in 0..SECRET_LETTERS {
        text.push(letter(&mut more)?);
    }
    text.push_str(&checksum(&text));
    Ok(text)
}

/// A letter that is as likely as every other.
///
/// # Errors
/// `more` failed.
pub fn letter<E>(mut more: impl FnMut() -> Result<u8, E>) -> Result<char, E> {
    loop {
        let byte = more()?;
        if byte < FAIR {
            return Ok(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        }
    }
}

fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut letters = [b'0'; CHECKSUM_LETTERS];
    for letter in letters.iter_mut().rev() {
        *letter = LETTERS[(rest % 62) as usize];
        rest /= 62;
    }
    letters.into_iter().map(char::from).collect()
}

/// CRC-32 as in IEEE 802.3, bit by bit: it is asked for a key that nobody has, and for a new one.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn key(seed: u8) -> String {
        let mut byte = seed;
        let more = || {
            byte = byte.wrapping_mul(29).wrapping_add(101);
            Ok::<_, Infallible>(byte)
        };
        write_key("k3y1d", more).unwrap_or_else(|never| match never {})
    }

    #[test]
    fn the_checksum_is_the_one_that_scanners_know() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let key = key(7);
        assert_eq!(key.len(), "tlg_k3y1d_".len() + SECRET_LETTERS + CHECKSUM_LETTERS, "{key}");
        assert_eq!(KeyShape::of(key.as_bytes()), KeyShape::Whole("k3y1d"));
        assert_eq!(key_prefix("k3y1d"), "tlg_k3y1d");
    }

    #[test]
    fn every_slip_of_one_letter_is_seen() {
        let key = key(9);
        for at in PREFIX.len()..key.len() {
            let mut slip = key.clone().into_bytes();
            slip[at] = if slip[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(KeyShape::of(&slip), KeyShape::Mistyped, "{}", String::from_utf8_lossy(&slip));
            assert_eq!(KeyShape::of(&key.as_bytes()[..at]), KeyShape::Mistyped, "cut at {at}");
        }
        assert_eq!(KeyShape::of(b"sk-0123456789"), KeyShape::Foreign);
        assert_eq!(KeyShape::of(b"tlg_\xff_"), KeyShape::Mistyped);
    }

    #[test]
    fn bytes_that_would_favour_a_letter_are_drawn_again() {
        let mut bytes = [255, 248, 247].into_iter();
        let drawn = letter(|| bytes.next().ok_or(()));
        assert_eq!(drawn, Ok('z'), "247 is the last of the fourth round");
    }
}
