//! Base64 content, which clients write in either alphabet and vendors take in one.

/// Base64 content in the alphabet that every vendor takes; `None` where it is none.
pub(crate) fn standard_base64(text: &str) -> Option<String> {
    let mut made: String = text
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let content = made.trim_end_matches('=').len();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if content == 0 || content % 4 == 1 || !made.bytes().take(content).all(fits) {
        return None;
    }
    made.truncate(content);
    while !made.len().is_multiple_of(4) {
        made.push('=');
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

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
