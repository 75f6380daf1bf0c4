//! Base64 content, which clients write in either alphabet and vendors take in one.

use std::borrow::Cow;

/// The letters of both alphabets: one look for each byte, as a picture has many.
const IS_LETTER: [bool; 256] = {
    let mut letters = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        letters[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    letters
};

/// True for text that some bytes were written as base64 into, in either alphabet, padded or not; blanks may
/// stand in it.
fn is_base64(text: &str) -> bool {
    let (mut letters, mut padding) = (0_usize, 0_usize);
    for &byte in text.as_bytes() {
        if IS_LETTER[usize::from(byte)] && padding == 0 {
            letters += 1;
        } else if byte == b'=' {
            padding += 1;
        } else if !byte.is_ascii_whitespace() {
            return false;
        }
    }
    let is_padded = padding == 0 || (padding <= 2 && (letters + padding).is_multiple_of(4));
    letters > 0 && letters % 4 != 1 && is_padded
}

/// Base64 content in the alphabet that every vendor takes, padded; `None` where it is none. Nearly all of it
/// is so already.
pub(crate) fn standard_base64(text: &str) -> Option<Cow<'_, str>> {
    if !is_base64(text) {
        return None;
    }
    let stands = |byte: &u8| !matches!(byte, b'-' | b'_') && !byte.is_ascii_whitespace();
    if text.len().is_multiple_of(4) && text.as_bytes().iter().all(stands) {
        return Some(Cow::Borrowed(text));
    }
    let mut made: String = text
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !made.len().is_multiple_of(4) {
        made.push('=');
    }
    Some(Cow::Owned(made))
}

/// The same of text that is kept, without a second copy of what stands as it is.
pub(crate) fn into_standard_base64(text: String) -> Option<String> {
    let made = match standard_base64(&text)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(made) => Some(made),
    };
    Some(made.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_letters_in_fours_with_their_padding() {
        for fair in ["QUJD", "QUI=", "QQ==", "QQ", "QUI", "QU\nJD", "-_-_", "QU+/"] {
            assert!(is_base64(fair), "{fair}");
        }
        for wrong in ["", "=", "Q", "QUJDR", "QQ=", "QQ===", "Q=JD", "QUJD====", "%%%", "QU.D", "caf\u{e9}"] {
            assert!(!is_base64(wrong), "{wrong}");
        }
    }

    #[test]
    fn content_is_written_in_the_common_alphabet() {
        let cases = [
            ("QUJD", Some("QUJD")),
            ("_-8", Some("/+8=")),
            ("QU JD\nRA==", Some("QUJDRA==")),
            ("%%%", None),
            ("", None),
            ("A", None),
            ("QU=JD", None),
        ];
        for (text, want) in cases {
            assert_eq!(standard_base64(text).as_deref(), want, "{text}");
            assert_eq!(into_standard_base64(text.to_owned()).as_deref(), want, "{text}");
        }
    }
}
