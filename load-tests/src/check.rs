//! Is the answer whole, and is it the right one?
//!
//! Bodies are looked at as they pass. A stream must end with its dialect's end mark and hold no
//! error event; with an expectation every word must be the simulator's, in order, none missing.

use memchr::memmem;
use tollgate_simulator::{chunk_text, text_of};

use crate::tally::Failure;

/// What an answer must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) stream: bool,
    /// Words of the simulator's text; not looked at when absent.
    pub(crate) words: Option<u32>,
}

/// What a good answer held.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    /// Events of a stream, all kinds.
    pub(crate) events: u64,
    /// Bytes of the body.
    pub(crate) bytes: u64,
}

/// Looks at one answer.
#[derive(Debug)]
pub(crate) struct Check {
    expected: Expected,
    held: Held,
    /// A plain body, or the unfinished end of a stream.
    pending: Vec<u8>,
    words: u32,
    ended: bool,
    fault: Option<Failure>,
}

impl Check {
    pub(crate) fn new(expected: Expected) -> Self {
        Self { expected, held: Held::default(), pending: Vec::new(), words: 0, ended: false, fault: None }
    }

    pub(crate) fn feed(&mut self, data: &[u8]) {
        self.held.bytes += data.len() as u64;
        if !self.expected.stream {
            if self.expected.words.is_some() {
                self.pending.extend_from_slice(data);
            }
            return;
        }
        if self.pending.is_empty() {
            let rest = self.events(data);
            self.pending.extend_from_slice(&data[rest..]);
        } else {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(data);
            let rest = self.events(&pending);
            pending.drain(..rest);
            self.pending = pending;
        }
    }

    /// The verdict on an answer whose HTTP body ended properly.
    pub(crate) fn finish(&self, status: u16) -> Result<Held, Failure> {
        if status != 200 {
            return Err(Failure::Status(status));
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !self.expected.stream {
            let right = self
                .expected
                .words
                .is_none_or(|words| memmem::find(&self.pending, text_of(words).as_bytes()).is_some());
            return if right { Ok(self.held) } else { Err(Failure::WrongContent) };
        }
        if !self.ended {
            return Err(Failure::NoEndMark);
        }
        if self.expected.words.is_some_and(|words| words != self.words) {
            return Err(Failure::WrongContent);
        }
        Ok(self.held)
    }

    /// A word of a stream was seen; of a plain answer, any byte.
    pub(crate) fn has_content(&self) -> bool {
        if self.expected.stream { self.words > 0 } else { self.held.bytes > 0 }
    }

    /// Takes whole events; gives where the unfinished one begins.
    fn events(&mut self, data: &[u8]) -> usize {
        let mut start = 0;
        for end in memmem::find_iter(data, b"\n\n") {
            self.event(&data[start..end]);
            start = end + 2;
        }
        start
    }

    fn event(&mut self, event: &[u8]) {
        const CONTENT: [&[u8]; 3] = [
            b"\"delta\":{\"content\":\"",
            b"\"text_delta\",\"text\":\"",
            b"\"content_index\":0,\"delta\":\"",
        ];
        self.held.events += 1;
        if let Some(text) = CONTENT.iter().find_map(|mark| after(event, mark)) {
            let word = chunk_text(self.words).as_bytes();
            let right = text.starts_with(word) && text.get(word.len()) == Some(&b'"');
            if self.expected.words.is_some() && !right {
                self.fault.get_or_insert(Failure::WrongContent);
            }
            self.words += 1;
        } else if ends(event) {
            self.ended = true;
        } else if event.starts_with(b"event: error") || event.starts_with(b"data: {\"error\":{") {
            self.fault.get_or_insert(Failure::ErrorEvent);
        }
    }
}

fn after<'a>(event: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    memmem::find(event, mark).map(|place| &event[place + mark.len()..])
}

fn ends(event: &[u8]) -> bool {
    const MARKS: [&[u8]; 4] = [
        b"data: [DONE]",
        b"event: message_stop",
        b"event: response.completed",
        b"event: response.incomplete",
    ];
    MARKS.iter().any(|mark| event.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"The\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\" gateway\"}}]}\n\n\
        data: [DONE]\n\n";

    fn judge(body: &str, words: u32) -> Result<Held, Failure> {
        let mut check = Check::new(Expected { stream: true, words: Some(words) });
        check.feed(body.as_bytes());
        check.finish(200)
    }

    #[test]
    fn what_is_wrong_with_a_stream_is_named() {
        let cases = [
            ("whole", STREAM.to_owned(), 2, Ok(())),
            ("a word missing", STREAM.to_owned(), 3, Err(Failure::WrongContent)),
            ("another word", STREAM.replace(" gateway", " proxy"), 2, Err(Failure::WrongContent)),
            ("a longer word", STREAM.replace(" gateway", " gateways"), 2, Err(Failure::WrongContent)),
            ("no end mark", STREAM.replace("data: [DONE]\n\n", ""), 2, Err(Failure::NoEndMark)),
            ("an error event", format!("data: {{\"error\":{{}}}}\n\n{STREAM}"), 2, Err(Failure::ErrorEvent)),
        ];
        for (name, body, words, want) in cases {
            assert_eq!(judge(&body, words).map(|_| ()), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_how_a_stream_is_cut(
            mut cuts in prop::collection::vec(0..STREAM.len(), 0..6),
        ) {
            cuts.sort_unstable();
            let mut check = Check::new(Expected { stream: true, words: Some(2) });
            let mut start = 0;
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                check.feed(&STREAM.as_bytes()[start..cut]);
                start = cut;
            }
            prop_assert_eq!(check.finish(200), Ok(Held { events: 4, bytes: STREAM.len() as u64 }));
        }
    }
}
