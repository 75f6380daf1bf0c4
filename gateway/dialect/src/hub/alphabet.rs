//! Base64 content, which clients write in either alphabet and vendors take in one.

/// True for text that some bytes were written as base64 into, in either alphabet, padded or not; blanks may
/// stand in it.
pub(crate) fn is_base64(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let letters = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    let (letters, padding) = text.split_at(letters);
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let is_padded = padding.is_empty()
        || (padding.len() <= 2 && padding.iter().all(|byte| *byte == b'=') && text.len().is_multiple_of(4));
    !letters.is_empty() && letters.len() % 4 != 1 && letters.iter().all(is_letter) && is_padded
}

/// Base64 content in the alphabet that every vendor takes, padded; `None` where it is none.
pub(crate) fn standard_base64(text: &str) -> Option<String> {
    if !is_base64(text) {
        return None;
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
    Some(made)
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
        }
    }
}
