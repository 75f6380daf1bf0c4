//! Streams of chat completions: chunks without names, ended by `[DONE]`.
//!
//! Depth tells members apart without parsing: 1 is the chunk, 3 a choice, 4 and deeper its delta.
//! Servers of this family differ in where usage stands, so that it is taken wherever it appears
//! and the last statement wins.

use crate::{
    openai::{usage, usual::Usual},
    reader::{Seen, SeenKind, Tally},
    walk::{Value, Walk, parse_at},
};

#[derive(Debug)]
pub(crate) struct ChatReader {
    hide_usage: bool,
    /// The text stands in the choice itself, as the older completions have it.
    bare_text: bool,
    done: bool,
    /// One bit for each choice index below 128, the vendor's limit for `n`.
    seen: u128,
    finished: u128,
    /// The usage stands at its usual place; Groq's own place then no longer counts.
    usage_at_top: bool,
    /// The shape of an ordinary chunk, and how often it was learnt anew.
    usual: Option<Usual>,
    learnt: u8,
}

/// A stream whose chunks keep changing their shape is not worth learning.
const MOST_SHAPES: u8 = 8;

/// What one chunk turned out to hold.
#[derive(Default)]
struct Chunk<'a> {
    content: bool,
    /// The one text in it, when it has a single one and nothing that acts.
    text: Option<&'a [u8]>,
    texts: u8,
    acts: bool,
    padding: Option<&'a [u8]>,
    finish: bool,
    /// `choices` with something in it.
    choices: bool,
    usage: bool,
    /// Results that belong to the client even where `choices` is empty.
    results: bool,
    error: Option<usize>,
    choice: Choice,
}

/// The choice that is being walked. Its members come in any order, so that a member met again
/// means the next choice.
#[derive(Clone, Copy, Default)]
struct Choice {
    index: Option<u32>,
    /// Its `finish_reason` was met, and says that it is done.
    reason: Option<bool>,
    open: bool,
}

impl ChatReader {
    pub(crate) fn new(hide_usage: bool) -> Self {
        Self {
            hide_usage,
            bare_text: false,
            done: false,
            seen: 0,
            finished: 0,
            usage_at_top: false,
            usual: None,
            learnt: 0,
        }
    }

    /// For the older text completions, which have no deltas.
    pub(crate) fn of_completions(hide_usage: bool) -> Self {
        Self { bare_text: true, ..Self::new(hide_usage) }
    }

    pub(crate) fn finished(&self) -> bool {
        self.done || (self.seen != 0 && self.finished & self.seen == self.seen)
    }

    pub(crate) fn data(&mut self, data: &[u8], tally: &mut Tally) -> Seen {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Seen::shown(SeenKind::End);
        }
        if let Some(text) =
            self.usual.as_ref().and_then(|usual| usual.text(data)).filter(|text| !text.is_empty())
        {
            tally.output.push_raw(text);
            return Seen::shown(SeenKind::Content);
        }
        let chunk = self.walk(data, tally);
        self.learn(data, &chunk);
        if let Some(at) = chunk.error {
            let error = parse_at(data, at).unwrap_or_default();
            return Seen::shown(SeenKind::Error(tally.rules.of_event(&error)));
        }
        let kind = match (chunk.finish, chunk.content) {
            (true, _) => SeenKind::Finish,
            (false, true) => SeenKind::Content,
            (false, false) => SeenKind::Prelude,
        };
        let usage_only = chunk.usage && !chunk.choices && !chunk.results;
        Seen { kind, hide: self.hide_usage && usage_only }
    }

    /// Remembers the shape of a chunk that holds one text and nothing else of interest.
    fn learn(&mut self, data: &[u8], chunk: &Chunk<'_>) {
        let ordinary = chunk.texts == 1
            && !(chunk.acts || chunk.finish || chunk.usage || chunk.results || chunk.error.is_some());
        if let (true, true, Some(text)) = (ordinary, self.learnt < MOST_SHAPES, chunk.text) {
            self.learnt += 1;
            self.usual = Usual::of(data, text, chunk.padding);
        }
    }

    fn walk<'a>(&mut self, data: &'a [u8], tally: &mut Tally) -> Chunk<'a> {
        let mut chunk = Chunk::default();
        let mut walk = Walk::new(data);
        while let Some(found) = walk.next() {
            match (found.depth, found.name, found.value) {
                (1, b"model", Value::Text(raw)) => tally.served_model(raw),
                (1, b"service_tier", Value::Text(raw)) => tally.service_tier(raw),
                (1, b"obfuscation", Value::Text(raw)) => chunk.padding = Some(raw),
                (1, b"choices", Value::Open) => {
                    chunk.choices = !walk.is_empty();
                }
                (1, b"usage", Value::Open) => {
                    chunk.usage |= self.usage(data, found.at, tally);
                    walk.step_over();
                }
                (1, b"x_groq", Value::Open) => {
                    chunk.acts = true;
                    self.groq(data, found.at, tally, &mut chunk);
                    walk.step_over();
                }
                (1, b"error", value) => {
                    if matches!(value, Value::Open) || matches!(value, Value::Text(text) if !text.is_empty())
                    {
                        chunk.error = Some(found.at);
                    }
                    skip_open(&mut walk, value);
                }
                (1, b"prompt_filter_results" | b"prompt_annotations" | b"moderation", value) => {
                    chunk.results |= match value {
                        Value::Open => !walk.is_empty(),
                        value => !value.is_null(),
                    };
                    skip_open(&mut walk, value);
                }
                (1, _, value @ Value::Open) => skip_open(&mut walk, value),
                (3, b"text", value) if self.bare_text => {
                    chunk.choice.open = true;
                    in_delta(b"text", value, &mut walk, tally, &mut chunk);
                }
                (3, name, value) => self.in_choice(name, value, &mut walk, &mut chunk),
                (depth, name, value) if depth >= 4 => in_delta(name, value, &mut walk, tally, &mut chunk),
                _ => {}
            }
        }
        self.close_choice(&mut chunk);
        chunk
    }

    fn in_choice(&mut self, name: &[u8], value: Value<'_>, walk: &mut Walk<'_>, chunk: &mut Chunk<'_>) {
        match (name, value) {
            (b"index", Value::Scalar(number)) => {
                if chunk.choice.index.is_some() {
                    self.close_choice(chunk);
                }
                chunk.choice.open = true;
                chunk.choice.index = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            }
            (b"finish_reason", reason) => {
                if chunk.choice.reason.is_some() {
                    self.close_choice(chunk);
                }
                let finished = matches!(reason, Value::Text(reason) if !reason.is_empty());
                chunk.choice.open = true;
                chunk.choice.reason = Some(finished);
                chunk.finish |= finished;
            }
            (b"delta" | b"message", Value::Open) => chunk.choice.open = true,
            (_, value) => skip_open(walk, value),
        }
    }

    fn close_choice(&mut self, chunk: &mut Chunk<'_>) {
        let choice = std::mem::take(&mut chunk.choice);
        // Old servers leave the index out when there is one choice.
        let index = choice.index.unwrap_or(0);
        if choice.open && index < 128 {
            self.seen |= 1 << index;
            self.finished |= u128::from(choice.reason == Some(true)) << index;
        }
    }

    /// The last statement wins, its oddities included.
    fn usage(&mut self, data: &[u8], at: usize, tally: &mut Tally) -> bool {
        let stated = data.get(at..).is_some_and(|raw| usage::take(raw, &mut tally.reported));
        self.usage_at_top |= stated;
        stated
    }

    /// Groq's own member may hold the usage or the error.
    fn groq(&self, data: &[u8], at: usize, tally: &mut Tally, chunk: &mut Chunk<'_>) {
        let Some(own) = parse_at(data, at) else { return };
        if own.get("error").is_some_and(|error| !error.is_null()) {
            chunk.error = Some(at);
        }
        if let (Some(raw), false) = (own.get("usage"), self.usage_at_top) {
            usage::take(raw.to_string().as_bytes(), &mut tally.reported);
        }
    }
}

/// Members of a delta, at any depth: what the model wrote, and signs that it acts.
fn in_delta<'a>(
    name: &[u8],
    value: Value<'a>,
    walk: &mut Walk<'a>,
    tally: &mut Tally,
    chunk: &mut Chunk<'a>,
) {
    match (name, value) {
        (
            b"content" | b"text" | b"refusal" | b"reasoning_content" | b"reasoning" | b"arguments"
            | b"thinking" | b"input" | b"transcript",
            Value::Text(raw),
        ) if !raw.is_empty() => {
            tally.output.push_raw(raw);
            chunk.content = true;
            chunk.text = Some(raw);
            chunk.texts = chunk.texts.saturating_add(1);
        }
        (b"tool_calls" | b"function_call" | b"audio" | b"images", Value::Open) => {
            chunk.content |= !walk.is_empty();
            chunk.acts = true;
        }
        // The same reasoning again, in pieces with signatures.
        (b"reasoning_details" | b"annotations", Value::Open) => walk.step_over(),
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
    use proptest::prelude::*;

    use super::*;
    use crate::{openai::error::RULES, output::OutputText, reported::Reported};

    /// Chunks as servers send them: texts, padding, several choices, tool calls, ends, usage, errors.
    fn chunk() -> impl Strategy<Value = String> {
        let text = prop::sample::select(vec!["", "a", "hello world", r#"\"quoted\" \u00e9"#]);
        let shape = 0..9_u8;
        (shape, text, "[a-z]{0,4}").prop_map(|(shape, text, pad)| match shape {
            0 | 1 => format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#),
            2 | 3 => format!(
                r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}],"usage":null,"obfuscation":"{pad}"}}"#
            ),
            4 => format!(r#"{{"id":"c","choices":[{{"index":1,"delta":{{"content":"{text}","refusal":"{pad}"}}}}]}}"#),
            5 => r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"function":{"arguments":"x"}}]}}]}"#.to_owned(),
            6 => r#"{"choices":[{"index":0,"delta":{"content":"z"},"finish_reason":"stop"}]}"#.to_owned(),
            7 => format!(r#"{{"choices":[],"usage":{{"prompt_tokens":{},"completion_tokens":2}}}}"#, pad.len()),
            _ => r#"{"error":{"message":"x"},"choices":[{"delta":{"content":"y"}}]}"#.to_owned(),
        })
    }

    proptest! {
        #[test]
        fn knowing_the_usual_chunk_changes_nothing(chunks in prop::collection::vec(chunk(), 0..40)) {
            let tally = || Tally { rules: &RULES, reported: Reported::default(), output: OutputText::default() };
            let (mut learning, mut walking) = (ChatReader::new(true), ChatReader::new(true));
            walking.learnt = MOST_SHAPES;
            let (mut learnt, mut walked) = (tally(), tally());
            for chunk in &chunks {
                let seen = learning.data(chunk.as_bytes(), &mut learnt);
                prop_assert_eq!(seen, walking.data(chunk.as_bytes(), &mut walked), "{}", chunk);
            }
            prop_assert_eq!(learning.finished(), walking.finished());
            prop_assert_eq!(learnt.reported, walked.reported);
            prop_assert_eq!(learnt.output.bytes(), walked.output.bytes());
        }
    }
}
