//! The one form of a request that both sides sign: the same bytes whatever order, spacing or letter
//! case it travelled in.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// A header field: its name in small letters, and its value as it travels.
pub type Field<'a> = (&'a str, &'a [u8]);

/// The first line of a request, as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// For example `POST`.
    pub method: &'a str,
    /// The path as sent, percent-encoded, without query.
    pub path: &'a str,
    /// What stands behind `?`.
    pub query: Option<&'a str>,
}

/// What is encoded: everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Within a path, slashes stay.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// Everything of the canonical request before its last line, which is the hash of the payload.
///
/// `names` are the signed fields in ascending order; a name that no field has stands there empty.
pub(crate) fn begin(line: &Line<'_>, fields: &[Field<'_>], names: &[&str]) -> Vec<u8> {
    let mut form = Vec::with_capacity(512);
    for part in [line.method, &path(line.path), &query(line.query.unwrap_or_default())] {
        form.extend_from_slice(part.as_bytes());
        form.push(b'\n');
    }
    for name in names {
        form.extend_from_slice(name.as_bytes());
        form.push(b':');
        let values = fields.iter().filter(|(known, _)| known == name);
        for (place, (_, value)) in values.enumerate() {
            if place > 0 {
                form.push(b',');
            }
            trim_into(&mut form, value);
        }
        form.push(b'\n');
    }
    form.push(b'\n');
    form.extend_from_slice(names.join(";").as_bytes());
    form.push(b'\n');
    form
}

/// SHA-256 of some bytes, in hexadecimal digits.
pub(crate) fn hashed(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The path, encoded once more, without `.` and `..` and without empty segments.
fn path(sent: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let last = if sent.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    let normal = format!("/{}{last}", kept.join("/"));
    utf8_percent_encode(&normal, ENCODED_IN_PATH).to_string()
}

/// The query, each name and value encoded exactly once, in ascending order.
fn query(sent: &str) -> String {
    let encode = |text: &str| {
        let bytes: Vec<u8> = percent_decode_str(text).collect();
        percent_encoding::percent_encode(&bytes, ENCODED).to_string()
    };
    let mut pairs: Vec<(String, String)> = sent
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// A value without space around it, and with one space wherever there are several within.
fn trim_into(form: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (place, word) in words.enumerate() {
        if place > 0 {
            form.push(b' ');
        }
        form.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_once_more_and_made_normal() {
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("/model/amazon.nova-pro-v1%3A0/converse", "/model/amazon.nova-pro-v1%253A0/converse"),
            (
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/invoke",
                "/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A1%253Ax%252Fy/invoke",
            ),
            ("/model/a:b/converse", "/model/a%3Ab/converse"),
            ("//example//", "/example/"),
            ("/./example/../foo/.", "/foo"),
            ("/../..", "/"),
            ("/a/", "/a/"),
        ];
        for (sent, wanted) in cases {
            assert_eq!(path(sent), wanted, "{sent}");
        }
    }

    #[test]
    fn a_query_is_sorted_and_encoded_once() {
        let cases = [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&A=3", "A=3&a=1&a=2"),
            ("flag", "flag="),
            ("a=x%20y&b=x+y", "a=x%20y&b=x%2By"),
            ("a=b=c", "a=b%3Dc"),
            ("a=%e1%88%b4", "a=%E1%88%B4"),
        ];
        for (sent, wanted) in cases {
            assert_eq!(query(sent), wanted, "{sent}");
        }
    }
}
