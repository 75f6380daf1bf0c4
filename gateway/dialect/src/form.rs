//! Forms with files (`multipart/form-data`, RFC 7578): one pass over a body, nothing copied.
//!
//! As strict as [`peek`](crate::peek): what two parsers could read differently (another line end, a
//! delimiter with something behind it, a field without its name) is refused, so that the gateway and
//! an upstream see the same fields. Files are stepped over.

use std::ops::Range;

use memchr::memmem::{self, Finder};

use crate::head::Malformed;

/// More parts than any of these APIs takes.
const MOST_PARTS: usize = 128;
/// Room for the header of one part.
const LONGEST_HEADER: usize = 8 << 10;
/// RFC 2046, section 5.1.1.
const LONGEST_BOUNDARY: usize = 70;

/// One part of a form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    /// It has a file name.
    pub(crate) is_file: bool,
    /// Its bytes are written in another way than they stand for.
    pub(crate) is_encoded: bool,
    /// Where its bytes stand in the body.
    pub(crate) span: Range<usize>,
}

/// Calls `visit` with each part, in order.
pub(crate) fn parts<'a>(
    boundary: &str,
    body: &'a [u8],
    mut visit: impl FnMut(Part<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let delimiter = ["\r\n--", boundary].concat();
    let finder = Finder::new(&delimiter);
    // The first delimiter needs no line end before it; a preamble is nobody's habit.
    let opening = &delimiter.as_bytes()[2..];
    if !body.starts_with(opening) {
        return Err(fault("it does not begin with its boundary"));
    }
    let mut at = opening.len();
    for _ in 0..=MOST_PARTS {
        let rest = &body[at..];
        if let Some(epilogue) = rest.strip_prefix(b"--") {
            let is_blank = epilogue.trim_ascii().is_empty();
            return if is_blank { Ok(()) } else { Err(fault("something follows its last boundary")) };
        }
        let Some(head) = rest.strip_prefix(b"\r\n") else {
            return Err(fault("something follows a boundary on its line"));
        };
        let length = memmem::find(&head[..head.len().min(LONGEST_HEADER)], b"\r\n\r\n")
            .ok_or_else(|| fault("a part has no header, or one that is too long"))?;
        let start = at + 2 + length + 4;
        let end = start + finder.find(&body[start..]).ok_or_else(|| fault("a part does not end"))?;
        if body[start..end].starts_with(opening) {
            return Err(fault("a boundary follows a header"));
        }
        visit(part(&head[..length], start..end)?)?;
        at = end + delimiter.len();
    }
    Err(fault("it has too many parts"))
}

fn part(header: &[u8], span: Range<usize>) -> Result<Part<'_>, Malformed> {
    let header = str::from_utf8(header).map_err(|_| fault("the header of a part is not text"))?;
    let (mut disposition, mut is_encoded) = (None, false);
    for line in header.split("\r\n") {
        let (name, value) =
            line.split_once(':').ok_or_else(|| fault("the header of a part has a line without a name"))?;
        if name.contains(|byte: char| !byte.is_ascii_graphic()) || line.contains(['\r', '\n']) {
            return Err(fault("the header of a part has a line that is continued or not a header"));
        }
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value.trim()).is_some() {
            return Err(fault("a part says twice what it is"));
        }
        is_encoded |= name.eq_ignore_ascii_case("content-transfer-encoding")
            && !["binary", "8bit", "7bit"].iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
    }
    let (name, is_file) = named(disposition.ok_or_else(|| fault("a part does not say what it is"))?)?;
    Ok(Part { name, is_file, is_encoded, span })
}

/// The name of a part and whether it is a file, of `form-data; name="…"; filename="…"`.
fn named(disposition: &str) -> Result<(&str, bool), Malformed> {
    let unclear = || fault("a part does not say its name clearly");
    let (kind, mut rest) = disposition.split_once(';').ok_or_else(unclear)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(unclear());
    }
    let (mut name, mut is_file) = (None, false);
    loop {
        let (key, value) = rest.trim_start().split_once('=').ok_or_else(unclear)?;
        let (value, after) = parameter(value).ok_or_else(unclear)?;
        match key.trim().to_ascii_lowercase().as_str() {
            "name" if name.replace(value).is_some() || value.contains('\\') => return Err(unclear()),
            "name" => {}
            // A name in another character set is not for forms (RFC 7578, section 4.2).
            "name*" => return Err(unclear()),
            "filename" | "filename*" => is_file = true,
            _ => {}
        }
        match after.trim_start() {
            "" | ";" => break,
            after => rest = after.strip_prefix(';').ok_or_else(unclear)?,
        }
    }
    name.map(|name| (name, is_file)).ok_or_else(unclear)
}

/// A parameter's value, its quotes taken off, and what follows.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let value = text[..end].trim_end();
        return (!value.is_empty() && !value.contains(['"', ' '])).then_some((value, &text[end..]));
    };
    let mut escaped = false;
    let end = quoted.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })?;
    Some((&quoted[..end], &quoted[end + 1..]))
}

/// The boundary in a `content-type` of `multipart/form-data`; nothing for other types.
pub(crate) fn boundary(content_type: &str) -> Option<Result<&str, Malformed>> {
    let (kind, mut rest) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let unclear = || fault("its `content-type` has no clear boundary");
    let mut found = None;
    while !rest.trim().is_empty() {
        let Some((key, value)) = rest.trim_start().split_once('=') else { return Some(Err(unclear())) };
        let Some((value, after)) = parameter(value) else { return Some(Err(unclear())) };
        if key.trim().eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Some(Err(unclear()));
        }
        let after = after.trim_start();
        let Some(after) = after.strip_prefix(';').or_else(|| after.is_empty().then_some("")) else {
            return Some(Err(unclear()));
        };
        rest = after;
    }
    let is_fair = |boundary: &&str| {
        (1..=LONGEST_BOUNDARY).contains(&boundary.len())
            && boundary.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'"')
    };
    Some(found.filter(is_fair).ok_or_else(unclear))
}

fn fault(what: &str) -> Malformed {
    Malformed::body(format!("the request body is not a valid form: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &[u8]) -> Result<Vec<(String, bool, Vec<u8>)>, Malformed> {
        let mut found = Vec::new();
        parts("B", body, |part| {
            found.push((part.name.to_owned(), part.is_file, body[part.span].to_vec()));
            Ok(())
        })
        .map(|()| found)
    }

    #[test]
    fn parts_come_with_their_exact_bytes() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
            --B\r\ncontent-type: audio/wav\r\ncontent-disposition: form-data; filename=\"a\\\"; name=x.wav\"; name=file\r\n\r\n\
            RI\r\n--FF\r\n\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--B--\r\n";
        let want = [
            ("model".to_owned(), false, b"whisper-1".to_vec()),
            ("file".to_owned(), true, b"RI\r\n--FF\r\n\r\n".to_vec()),
            ("empty".to_owned(), false, Vec::new()),
        ];
        assert_eq!(read(body).expect("a fair form"), want);
        assert_eq!(read(b"--B--"), Ok(Vec::new()));
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let part = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1";
        let cases = [
            String::new(),
            "{}".to_owned(),
            format!("preamble\r\n{part}\r\n--B--"),
            part.to_owned(),
            format!("{part}\n--B--"),
            format!("{part}\r\n--B"),
            format!("{part}\r\n--Bx--"),
            format!("{part}\r\n--B \r\n"),
            format!("{part}\r\n--B--x"),
            part.replace("\r\n", "\n") + "\n--B--",
            "--B\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Type: a/b\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: form-data; name*=utf-8''a\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--B--\r\n--B--".to_owned(),
            "--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--B--".to_owned(),
            format!("--B\r\nx: {}\r\n\r\n1\r\n--B--", "y".repeat(LONGEST_HEADER)),
            format!("{}--B--", format!("{part}\r\n").repeat(MOST_PARTS + 1)),
        ];
        for body in cases {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_boundary_stands_in_the_content_type() {
        let cases = [
            ("multipart/form-data; boundary=abc", Some(Some("abc"))),
            ("Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a:b\"", Some(Some("a:b"))),
            ("multipart/form-data", Some(None)),
            ("multipart/form-data; boundary=", Some(None)),
            ("multipart/form-data; boundary=a; boundary=b", Some(None)),
            ("multipart/form-data; boundary=\"a", Some(None)),
            ("application/json", None),
        ];
        for (content_type, want) in cases {
            assert_eq!(boundary(content_type).map(Result::ok), want, "{content_type}");
        }
        assert!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))).unwrap().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read(&[b"--B\r\n", &bytes[..]].concat());
            let text = String::from_utf8_lossy(&bytes);
            let _ = boundary(&text);
            let _ = boundary(&format!("multipart/form-data;{text}"));
            let _ = read(format!("--B\r\nContent-Disposition: form-data;{text}\r\n\r\n\r\n--B--").as_bytes());
        }

        #[test]
        fn a_written_form_is_read_as_it_was(
            fields in prop::collection::vec(("[a-z_]{1,8}", any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..6),
        ) {
            // A random value may hold the boundary; a writer would then choose another one.
            let fair = |value: &[u8]| memmem::find(value, b"--B").is_none();
            prop_assume!(fields.iter().all(|(_, _, value)| fair(value)));
            let mut body = Vec::new();
            for (name, is_file, value) in &fields {
                let file = if *is_file { "; filename=\"f\"" } else { "" };
                body.extend_from_slice(
                    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
                );
                body.extend_from_slice(value);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--B--\r\n");
            prop_assert_eq!(read(&body), Ok(fields));
        }
    }
}
