//! Streams of pictures and sound: typed events, the last of which has the usage.
//!
//! Image generations and edits, transcriptions and speech all have them: `….partial_image` or
//! `….delta` while something is made, `….completed` or `….done` when it is.

use crate::{
    fault::Fault,
    openai::media,
    reader::{Seen, SeenKind, Tally},
    walk::{Value, Walk, parse_at},
    wire::Operation,
};

#[derive(Debug)]
pub(crate) struct MediaReader {
    operation: Operation,
    finished: bool,
}

impl MediaReader {
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, finished: false }
    }

    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn data(&mut self, data: &[u8], tally: &mut Tally) -> Seen {
        if data.trim_ascii() == b"[DONE]" {
            self.finished = true;
            return Seen::shown(SeenKind::End);
        }
        let (mut kind, mut delta, mut error, mut usage) = (&b""[..], &b""[..], None, None);
        let mut walk = Walk::new(data);
        while let Some(found) = walk.next() {
            match (found.depth, found.name, found.value) {
                (1, b"type", Value::Text(text)) => kind = text,
                (1, b"delta", Value::Text(text)) => delta = text,
                (1, b"error", value) if !value.is_null() => error = Some(found.at),
                (1, b"usage", Value::Open) => usage = Some(found.at),
                _ => {}
            }
            if found.value == Value::Open {
                walk.step_over();
            }
        }
        if kind == b"error" || error.is_some() {
            self.finished = true;
            let fault = parse_at(data, error.unwrap_or(0)).map(|error| tally.rules.of_event(&error));
            return Seen::shown(SeenKind::Error(fault.unwrap_or(Fault::Server)));
        }
        if let Some(raw) = usage.and_then(|at| data.get(at..)) {
            media::take_usage(self.operation, raw, &mut tally.reported);
        }
        if kind.ends_with(b".completed") || kind.ends_with(b".done") {
            self.finished = true;
            return Seen::shown(SeenKind::End);
        }
        if kind == b"transcript.text.delta" {
            tally.output.push_raw(delta);
        }
        Seen::shown(if kind.is_empty() { SeenKind::Prelude } else { SeenKind::Content })
    }
}

#[cfg(test)]
mod tests {
    use tollgate_domain::Usage;

    use super::*;
    use crate::wire::Dialect;

    #[test]
    fn the_last_event_has_the_usage_and_ends_the_stream() {
        let none = Usage::default();
        let cases = [
            (
                Operation::ImageGenerations,
                [
                    r#"{"type":"image_generation.partial_image","b64_json":"x","partial_image_index":0}"#,
                    r#"{"type":"image_generation.completed","usage":{"input_tokens":5,"output_tokens":90,"total_tokens":95}}"#,
                ],
                Usage { input_uncached: 5, output_image: 90, ..none },
            ),
            (
                Operation::Transcriptions,
                [
                    r#"{"type":"transcript.text.delta","delta":"hello"}"#,
                    r#"{"type":"transcript.text.done","text":"hello","usage":{"type":"tokens","input_tokens":7,"input_token_details":{"audio_tokens":7},"output_tokens":2,"total_tokens":9}}"#,
                ],
                Usage { input_audio: 7, output_text: 2, ..none },
            ),
            (
                Operation::Speech,
                [
                    r#"{"type":"speech.audio.delta","audio":"x"}"#,
                    r#"{"type":"speech.audio.done","usage":{"input_tokens":4,"output_tokens":30,"total_tokens":34}}"#,
                ],
                Usage { input_uncached: 4, output_audio: 30, ..none },
            ),
        ];
        for (operation, [first, last], want) in cases {
            let mut reader = Dialect::OpenAi.codec().reader(operation, false);
            assert_eq!(reader.event(format!("data: {first}\n\n").as_bytes()).kind, SeenKind::Content);
            assert!(!reader.finished());
            assert_eq!(reader.event(format!("data: {last}\n\n").as_bytes()).kind, SeenKind::End);
            assert!(reader.finished());
            assert_eq!(reader.reported().and_then(|reported| reported.usage), Some(want));
        }
    }

    #[test]
    fn an_error_inside_the_stream_is_told() {
        for event in [
            r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"x"}}"#,
            r#"{"error":{"code":"rate_limit_exceeded"}}"#,
        ] {
            let mut reader = Dialect::OpenAi.codec().reader(Operation::Speech, false);
            let seen = reader.event(format!("data: {event}\n\n").as_bytes());
            assert_eq!(seen.kind, SeenKind::Error(Fault::Throttled), "{event}");
        }
    }
}
