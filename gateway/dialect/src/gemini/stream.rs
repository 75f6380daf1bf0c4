//! Streams of generated content: each chunk is a whole `GenerateContentResponse` with new parts only.
//!
//! There is no end mark among server-sent events: the stream ends after each candidate gave its
//! `finishReason`. Every chunk states running totals, and each statement replaces the one before as a
//! whole. With server-side tools the totals restart at each pass and only the last chunk has their
//! sum; of a stream that is cut short, the passes so far are added up.

use tollgate_domain::Usage;

use crate::{
    gemini::usage,
    reader::{Seen, SeenKind, Tally},
    walk::{Value, Walk, parse_at},
};

#[derive(Debug, Default)]
pub(crate) struct GenerateReader {
    /// The array's closing bracket was seen.
    closed: bool,
    began_array: bool,
    /// The prompt was refused: no candidate will come.
    blocked: bool,
    /// One bit for each candidate index below 64, far beyond the vendor's limit.
    seen: u64,
    finished: u64,
    passes: Passes,
    /// The searches of the last grounding that was told.
    searches: u64,
}

/// Running totals, and the sums of the passes that ended.
#[derive(Debug, Default)]
struct Passes {
    ended: Usage,
    current: Option<Usage>,
    total: u64,
}

/// What one chunk turned out to hold.
#[derive(Default)]
struct Chunk<'a> {
    content: bool,
    finish: bool,
    usage: Option<usage::Stated<'a>>,
    grounding: Option<usize>,
    error: Option<usize>,
    candidate: Candidate,
}

/// The candidate that is being walked. Its members come in any order, so that a member met again
/// means the next candidate.
#[derive(Clone, Copy, Default)]
struct Candidate {
    open: bool,
    content: bool,
    index: Option<u32>,
    finished: bool,
}

impl GenerateReader {
    pub(crate) fn finished(&self) -> bool {
        let all = self.seen != 0 && self.finished & self.seen == self.seen;
        self.closed || self.blocked || all
    }

    /// True once an element of a JSON array was read, its opening bracket included.
    pub(crate) fn began_array(&self) -> bool {
        self.began_array
    }

    /// Reads one element of a JSON array, with what stands before it. A torn one says nothing.
    pub(crate) fn element(&mut self, raw: &[u8], tally: &mut Tally) -> Seen {
        let between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'[' | b',');
        let start = raw.iter().position(|byte| !between(byte)).unwrap_or(raw.len());
        let element = raw[start..].trim_ascii_end();
        match (element.first(), element.last()) {
            (Some(b'{'), Some(b'}')) => {
                self.began_array = true;
                self.data(element, tally)
            }
            (Some(b']'), _) => {
                self.closed = true;
                Seen::shown(SeenKind::End)
            }
            _ => Seen::shown(SeenKind::Prelude),
        }
    }

    /// Reads one chunk.
    pub(crate) fn data(&mut self, data: &[u8], tally: &mut Tally) -> Seen {
        let chunk = self.walk(data, tally);
        if let Some(at) = chunk.error {
            let error = parse_at(data, at).unwrap_or_default();
            return Seen::shown(SeenKind::Error(tally.rules.of_event(&error)));
        }
        if let Some(grounding) = chunk.grounding.and_then(|at| parse_at(data, at)) {
            self.searches = usage::searches(&grounding, tally.reported.served_model.as_deref());
        }
        if let Some(stated) = chunk.usage {
            self.take(stated, tally);
        }
        let kind = match (chunk.finish, chunk.content) {
            (true, _) => SeenKind::Finish,
            (false, true) => SeenKind::Content,
            (false, false) => SeenKind::Prelude,
        };
        Seen::shown(kind)
    }

    fn take(&mut self, stated: usage::Stated<'_>, tally: &mut Tally) {
        if let Some(tier) = stated.service_tier {
            tally.service_tier(tier);
        }
        let Some(usage) = stated.usage else { return };
        self.passes.take(usage, stated.total);
        let whole = self.finished() || self.passes.ended == Usage::default();
        let usage = if whole { usage } else { self.passes.ended.plus(&usage) };
        tally.reported.flags = stated.flags;
        tally.reported.flags.cost_approximate |= !whole;
        tally.reported.usage = Some(Usage { web_searches: self.searches, ..usage });
    }

    fn walk<'a>(&mut self, data: &'a [u8], tally: &mut Tally) -> Chunk<'a> {
        let mut chunk = Chunk::default();
        let mut walk = Walk::new(data);
        while let Some(found) = walk.next() {
            match (found.depth, found.name, found.value) {
                (1, b"candidates" | b"promptFeedback", Value::Open) => {}
                (1, b"modelVersion", Value::Text(raw)) => {
                    tally.served_model(raw.strip_prefix(b"models/").unwrap_or(raw));
                }
                (1, b"usageMetadata", Value::Open) => {
                    chunk.usage = data.get(found.at..).map(usage::read);
                    walk.step_over();
                }
                (1, b"error", value) if !value.is_null() => {
                    chunk.error = Some(found.at);
                    skip_open(&mut walk, value);
                }
                (2, b"blockReason", Value::Text(reason)) if !reason.is_empty() => {
                    self.blocked = true;
                    chunk.finish = true;
                }
                (3, b"groundingMetadata", Value::Open) => {
                    chunk.grounding = Some(found.at);
                    walk.step_over();
                }
                (3, name, value) => self.in_candidate(name, value, &mut walk, &mut chunk),
                (4, b"parts", Value::Open) => {}
                (6, name, value) => in_part(name, value, &mut walk, tally, &mut chunk),
                // What a call or a piece of code says; whatever else is open was stepped over.
                (7.., _, Value::Text(text)) => tally.output.push_raw(text),
                (7.., ..) => {}
                (_, _, value) => skip_open(&mut walk, value),
            }
        }
        self.close_candidate(&mut chunk);
        chunk
    }

    fn in_candidate(&mut self, name: &[u8], value: Value<'_>, walk: &mut Walk<'_>, chunk: &mut Chunk<'_>) {
        let again = match name {
            b"index" => chunk.candidate.index.is_some(),
            b"content" => chunk.candidate.content,
            b"finishReason" => chunk.candidate.finished,
            _ => false,
        };
        if again {
            self.close_candidate(chunk);
        }
        chunk.candidate.open = true;
        match (name, value) {
            (b"index", Value::Scalar(number)) => {
                chunk.candidate.index =
                    std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            }
            (b"finishReason", Value::Text(reason)) => {
                let finished = !matches!(reason, b"" | b"FINISH_REASON_UNSPECIFIED");
                chunk.candidate.finished = finished;
                chunk.finish |= finished;
            }
            (b"content", Value::Open) => chunk.candidate.content = true,
            (_, value) => skip_open(walk, value),
        }
    }

    fn close_candidate(&mut self, chunk: &mut Chunk<'_>) {
        let candidate = std::mem::take(&mut chunk.candidate);
        // Vertex leaves the index of the only candidate out.
        let index = candidate.index.unwrap_or(0);
        if candidate.open && index < 64 {
            self.seen |= 1 << index;
            self.finished |= u64::from(candidate.finished) << index;
        }
    }
}

impl Passes {
    /// Takes running totals; a sum that falls begins another pass.
    fn take(&mut self, usage: Usage, total: u64) {
        if let Some(before) = self.current.filter(|_| total < self.total) {
            self.ended = self.ended.plus(&before);
        }
        self.current = Some(usage);
        self.total = total;
    }
}

/// Members of a part. The proofs of thoughts that are not shown are no content.
fn in_part(name: &[u8], value: Value<'_>, walk: &mut Walk<'_>, tally: &mut Tally, chunk: &mut Chunk<'_>) {
    match (name, value) {
        (b"text", Value::Text(text)) if !text.is_empty() => {
            tally.output.push_raw(text);
            chunk.content = true;
        }
        (b"functionCall" | b"executableCode", Value::Open) => chunk.content = true,
        (b"videoMetadata" | b"partMetadata" | b"mediaResolution", value) => skip_open(walk, value),
        (_, Value::Open) => {
            chunk.content = true;
            walk.step_over();
        }
        _ => {}
    }
}

fn skip_open(walk: &mut Walk<'_>, value: Value<'_>) {
    if value == Value::Open {
        walk.step_over();
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        codec::ErrorFace,
        framing::Framing,
        reader::{SeenKind, StreamReader},
        wire::{Dialect, Operation},
    };

    fn reader() -> StreamReader {
        Dialect::Gemini.codec().reader(Operation::StreamGenerateContent, true)
    }

    fn event(chunk: &str) -> Vec<u8> {
        format!("data: {chunk}\r\n\r\n").into_bytes()
    }

    #[test]
    fn each_chunk_is_told_by_what_it_holds() {
        use SeenKind::{Content, Finish, Prelude};
        let cases = [
            (r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#, Prelude),
            (r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}}]}"#, Prelude),
            (r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"abc"}]}}]}"#, Prelude),
            (r#"{"candidates":[{"content":{"parts":[{"text":"a","thought":true}]}}]}"#, Content),
            (r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}]}"#, Content),
            (r#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"AAAA"}}]}}]}"#, Content),
            (r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#, Finish),
            (r#"{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#, Prelude),
            (r#"{"promptFeedback":{"safetyRatings":[{"blocked":true}],"blockReason":"SAFETY"}}"#, Finish),
        ];
        for (chunk, want) in cases {
            let mut reader = reader();
            assert_eq!(reader.event(&event(chunk)).kind, want, "{chunk}");
            assert_eq!(reader.finished(), want == Finish, "{chunk}");
        }
    }

    #[test]
    fn a_stream_is_finished_when_every_candidate_seen_gave_its_reason() {
        let mut reader = reader();
        reader.event(&event(
            r#"{"candidates":[{"finishReason":"STOP","index":1},{"content":{"parts":[{"text":"a"}]},"index":0}]}"#,
        ));
        assert!(!reader.finished(), "candidate 0 is still open");
        reader.event(&event(r#"{"candidates":[{"content":{"parts":[]},"finishReason":"MAX_TOKENS"}]}"#));
        assert!(reader.finished());
        assert_eq!(reader.output_bytes(), 1);
    }

    #[test]
    fn the_last_totals_replace_and_passes_of_a_cut_stream_are_added_up() {
        let totals = |counts: &str, rest: &str| event(&format!("{{\"usageMetadata\":{{{counts}}}{rest}}}"));
        let mut reader = reader();
        reader.event(&totals(r#""promptTokenCount":28,"thoughtsTokenCount":419"#, ""));
        for total in [8, 52, 138] {
            reader.event(&totals(&format!("\"candidatesTokenCount\":{total}"), ""));
        }
        let cut = reader.reported().expect("figures").clone();
        let usage = cut.usage.expect("figures");
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (28, 419 + 138));
        assert_eq!(cut.flags.names().collect::<Vec<_>>(), ["cost_approximate"]);
        let last = r#""promptTokenCount":427,"candidatesTokenCount":122,"thoughtsTokenCount":447,"toolUsePromptTokenCount":771,"totalTokenCount":1767"#;
        reader.event(&totals(last, r#","candidates":[{"finishReason":"STOP"}]"#));
        let whole = reader.reported().expect("figures");
        let usage = whole.usage.expect("figures");
        assert_eq!((usage.input_uncached, usage.output_text, usage.output_reasoning), (1198, 122, 447));
        assert_eq!(whole.flags.names().count(), 0);
    }

    #[test]
    fn an_array_ends_with_its_bracket_and_errors_of_ours_keep_it_whole() {
        let face = ErrorFace { status: 502, code: "c", message: "m", param: None, request_id: "r" };
        let mut reader = reader().framed(Framing::JsonArray);
        assert!(reader.error_event(&face).starts_with(b"[\r\n{"));
        let first = r#"[{"candidates":[{"content":{"parts":[{"text":"hi"}]}}],"modelVersion":"models/g"}"#;
        assert_eq!(reader.event(first.as_bytes()).kind, SeenKind::Content);
        assert!(reader.error_event(&face).starts_with(b",\r\n{"));
        assert_eq!(reader.event(b",\r\n{\"candidates\":[{\"content\":{\"par").kind, SeenKind::Prelude);
        assert_eq!(reader.output_bytes(), 2, "a torn element says nothing");
        assert_eq!(reader.event(b"\n]\n").kind, SeenKind::End);
        assert!(reader.finished());
        let reported = reader.reported().expect("a model");
        assert_eq!(reported.served_model.as_deref(), Some("g"));
    }

    #[test]
    fn calls_are_counted_and_pictures_are_not() {
        let mut reader = reader();
        reader.event(&event(
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":{"b":"cd"}}}},{"inlineData":{"data":"AAAA"}}]}}]}"#,
        ));
        assert_eq!(reader.output_bytes(), 3);
    }
}
