//! Cutting a byte stream into whole server-sent events.
//!
//! Line ends may be LF, CRLF or a lone CR (WHATWG HTML, section 9.2.6), and a chunk may end
//! anywhere. Events leave as the bytes that came, blank line included; where a chunk holds whole
//! events they are slices of it, without a copy.

use bytes::Bytes;
use memchr::memchr2;

use crate::pending::Pending;

/// The longest event that is kept whole, in bytes. More of it passes on unread, piece by piece as
/// it comes, so that memory stays bounded; [`Splitter::is_raw`] tells.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;

/// An incremental splitter: push chunks in, take whole events out until there are none.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: Pending,
    /// So much of the front was searched without finding an end.
    searched: usize,
    oversized: bool,
    raw: bool,
}

impl Splitter {
    /// An empty splitter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        self.pending.push(chunk);
    }

    /// The unfinished tail, which some servers leave without its blank line at the end.
    pub fn rest(&mut self) -> Bytes {
        self.take(self.buffered())
    }

    /// Bytes that wait for the end of their event.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.pending.len()
    }

    /// True when the piece handed out last was part of an event longer than [`MAX_EVENT`]: pass it
    /// on, do not read it.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.searched = 0;
        self.pending.take(length)
    }
}

impl Iterator for Splitter {
    type Item = Bytes;

    /// The next whole event with its blank line; `None` until more is pushed.
    fn next(&mut self) -> Option<Bytes> {
        match event_end(self.pending.front(), self.searched) {
            Ok(end) => {
                self.raw = std::mem::take(&mut self.oversized);
                Some(self.take(end))
            }
            Err(searched) if self.buffered() > MAX_EVENT => {
                self.oversized = true;
                self.raw = true;
                Some(self.take(searched.max(1)))
            }
            Err(searched) => {
                self.searched = searched;
                None
            }
        }
    }
}

/// The index after the first blank line, or how far the search needs not be repeated.
fn event_end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while let Some(found) = memchr2(b'\n', b'\r', &bytes[at..]) {
        let line_end = at + found;
        let Some(next) = after_line_end(bytes, line_end) else { return Err(line_end) };
        match bytes.get(next) {
            None => return Err(line_end),
            Some(b'\n' | b'\r') => return after_line_end(bytes, next).ok_or(line_end),
            Some(_) => at = next,
        }
    }
    Err(bytes.len())
}

/// The index after the line end at `at`; nothing for a CR at the very end, whose LF may follow.
fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', None) => None,
        (b'\r', Some(b'\n')) => Some(at + 2),
        _ => Some(at + 1),
    }
}

/// The data of an event: its `data` lines joined by LF.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Data<'a> {
    /// Only comments, ids, names or nothing.
    None,
    /// One line, which is the rule.
    Line(&'a [u8]),
    /// Several.
    Lines(Vec<u8>),
}

impl Data<'_> {
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Line(line) => Some(line),
            Self::Lines(lines) => Some(lines),
        }
    }
}

/// Reads the `data` lines of a whole event; a byte order mark before the first line is ignored.
pub(crate) fn data(event: &[u8]) -> Data<'_> {
    let mut rest = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
    let mut data = Data::None;
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        if let Some(value) = rest[..end].strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            data = match data {
                Data::None => Data::Line(value),
                Data::Line(first) => Data::Lines([first, b"\n", value].concat()),
                Data::Lines(lines) => Data::Lines([&lines[..], b"\n", value].concat()),
            };
        }
        rest = &rest[(end + 1).min(rest.len())..];
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new();
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            events.extend(splitter.by_ref().map(|event| event.to_vec()));
        }
        events.push(splitter.rest().to_vec());
        events
    }

    #[test]
    fn events_end_at_a_blank_line_whatever_the_line_ends_are() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = "event: a\ndata: 1\n\n: note\n\ndata: 2\n\ndata: cut".replace('\n', end);
            let got = events(&[stream.as_bytes()]);
            let want: Vec<Vec<u8>> = ["event: a\ndata: 1\n\n", ": note\n\n", "data: 2\n\n", "data: cut"]
                .map(|event| event.replace('\n', end).into_bytes())
                .into();
            assert_eq!(got, want, "{end:?}");
        }
    }

    #[test]
    fn whole_events_are_slices_of_their_chunk() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
        let mut splitter = Splitter::new();
        splitter.push(chunk.clone());
        assert_eq!(splitter.next().map(|event| event.as_ptr()), Some(chunk.as_ptr()));
        assert_eq!(splitter.next().as_deref(), Some(&b"data: 2\n\n"[..]));
        assert_eq!((splitter.next(), splitter.buffered()), (None, 0));
    }

    #[test]
    fn an_endless_event_passes_on_raw_in_bounded_memory() {
        let mut splitter = Splitter::new();
        let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
        let mut passed = 0;
        for _ in 0..40 {
            splitter.push(chunk.clone());
            for piece in splitter.by_ref() {
                passed += piece.len();
            }
            assert!(splitter.buffered() <= MAX_EVENT);
        }
        assert!(splitter.is_raw());
        splitter.push(Bytes::from_static(b"\n\ndata: 1\n\n"));
        passed += splitter.next().map_or(0, |piece| piece.len());
        assert!(splitter.is_raw());
        assert_eq!(passed, 40 * 1024 * 1024 + 2);
        assert_eq!(splitter.next().as_deref(), Some(&b"data: 1\n\n"[..]));
        assert!(!splitter.is_raw());
    }

    #[test]
    fn data_lines_are_joined_and_other_fields_ignored() {
        let cases: [(&str, Option<&str>); 6] = [
            ("data: {}\n\n", Some("{}")),
            ("\u{feff}data:x\r\n\r\n", Some("x")),
            ("event: e\rid: 1\rdata: a\rdata:  b\r\r", Some("a\n b")),
            (": data: no\n\n", None),
            ("\n\n", None),
            ("data\ndatabase: 1\n\n", None),
        ];
        for (event, want) in cases {
            assert_eq!(data(event.as_bytes()).bytes(), want.map(str::as_bytes), "{event:?}");
        }
    }
}
