//! Calls that make or take pictures and sound, and reranks: what they ask for and what they state.
//!
//! They are billed by tokens or by something else (images, minutes, characters, search units), and
//! which of the two only the model's price knows. So both are told wherever both can be known.

use tollgate_domain::{Units, Usage};

use crate::{
    fault::FaultRules,
    head::{Fields, Head, Malformed, end_user},
    openai::{reply::Members, usage},
    peek::members,
    reported::{Reported, count_of},
    walk::{Value, Walk, parse_at, text_of},
    wire::Operation,
};

/// The largest picture in the best quality, in output tokens: 1024 by 1536 at OpenAI is 6,240.
pub(crate) const LARGEST_IMAGE: u64 = 6_300;
/// Bytes of a text to be spoken for a token of sound: fifteen characters and twenty tokens a second.
const SPOKEN: (u64, u64) = (20, 15);
/// Documents in a search unit, and the tokens above which one is cut into several.
const DOCUMENTS_PER_UNIT: u64 = 100;
const BYTES_PER_DOCUMENT: u64 = 1_000;

/// Reads the head of a JSON body.
pub(crate) fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
    let images = operation.makes_images();
    let speech = operation == Operation::Speech;
    let mut fields = Fields::new(body);
    let mut head = Head { choices: 1, ..Head::default() };
    let extent = members(body, |name, span| {
        match name {
            b"model" => head.model = fields.text("model", span)?,
            b"stream" if images => head.stream = fields.flag("stream", &span)?.unwrap_or(false),
            b"n" if images => head.choices = fields.whole_number("n", span)?.map_or(1, |n| n.value.max(1)),
            b"stream_format" if speech => {
                head.stream = fields.text("stream_format", span)?.is_some_and(|form| form.value == "sse");
            }
            b"input" if speech => {
                let input = fields.text("input", span)?;
                head.units.characters = input.map_or(0, |text| text.value.chars().count() as u64);
            }
            b"documents" if operation == Operation::Rerank => {
                head.units.search_units = search_units(fields.once_raw("documents", &span)?)?;
            }
            b"user" => head.end_user = end_user(fields.raw(&span)),
            _ => {}
        }
        Ok(())
    })?;
    head.body_end = extent.end;
    head.no_members = extent.empty;
    if images {
        of_images(&mut head);
    }
    if speech {
        head.uncapped_output = spoken_tokens(head.units.characters);
    }
    Ok(head)
}

/// What so many images may come to.
pub(crate) fn of_images(head: &mut Head) {
    head.units.images = head.choices;
    head.uncapped_output = head.choices.saturating_mul(LARGEST_IMAGE);
}

/// Tokens of sound that a text of so many characters takes when it is spoken; an estimate.
#[must_use]
pub fn spoken_tokens(characters: u64) -> u64 {
    characters.saturating_mul(SPOKEN.0).div_ceil(SPOKEN.1)
}

/// A bound: long documents are cut up and count several times.
fn search_units(documents: &[u8]) -> Result<u64, Malformed> {
    if documents == b"null" {
        return Ok(0);
    }
    let list = serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(documents)
        .map_err(|_| Malformed::member("documents", "must be a list"))?;
    let pieces = list.len() as u64 + documents.len() as u64 / BYTES_PER_DOCUMENT;
    Ok(pieces.div_ceil(DOCUMENTS_PER_UNIT).max(1))
}

/// Reads a plain answer. Sound, and transcripts as bare text, say nothing about themselves.
pub(crate) fn read(operation: Operation, body: &[u8], rules: &FaultRules) -> Reported {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Reported::default();
    }
    let members = Members::of(body);
    let mut reported = Reported {
        served_model: members.model.filter(|raw| !raw.is_empty()).map(|raw| text_of(raw).into()),
        fault: members.fault(body, rules),
        ..Reported::default()
    };
    if let Some(raw) = members.usage.and_then(|at| body.get(at..)) {
        take_usage(operation, raw, &mut reported);
    }
    match operation {
        Operation::Rerank => state(&mut reported, billed_units(body)),
        Operation::Transcriptions | Operation::Translations if reported.usage.is_none() => {
            // The verbose form tells the length of what was heard.
            let audio_millis = scalar_at_top(body, b"duration").and_then(millis);
            state(&mut reported, audio_millis.map(|audio_millis| Units { audio_millis, ..Units::NONE }));
        }
        operation if operation.makes_images() => {
            let units = images(body).map(|images| Units { images, ..Units::NONE });
            match &mut reported.usage {
                Some(usage) => usage.units = units.unwrap_or_default(),
                None => reported.counted_units = units,
            }
        }
        _ => {}
    }
    reported
}

/// Takes the usage object that begins `raw`.
pub(super) fn take_usage(operation: Operation, raw: &[u8], reported: &mut Reported) {
    if usage::take(raw, reported) {
        let Some(usage) = &mut reported.usage else { return };
        // Unless the details say otherwise, all that comes out is the picture, or the sound.
        match operation {
            operation if operation.makes_images() && usage.output_image == 0 => {
                usage.output_image = std::mem::take(&mut usage.output_text);
            }
            Operation::Speech if usage.output_audio == 0 => {
                usage.output_audio = std::mem::take(&mut usage.output_text);
            }
            _ => {}
        }
    } else if let Some(audio_millis) = scalar_at_top(raw, b"seconds").and_then(millis) {
        state(reported, Some(Units { audio_millis, ..Units::NONE }));
    }
}

/// Adds units that the provider states to its usage.
fn state(reported: &mut Reported, units: Option<Units>) {
    if let Some(units) = units {
        let usage = reported.usage.get_or_insert(Usage::default());
        usage.units = usage.units.plus(&units);
    }
}

/// Cohere's `meta.billed_units.search_units`.
fn billed_units(body: &[u8]) -> Option<Units> {
    let mut walk = Walk::new(body);
    let mut within_meta = false;
    while let Some(found) = walk.next() {
        match (found.depth, found.name, found.value) {
            (1, b"meta", Value::Open) => within_meta = true,
            (1, _, value) => {
                within_meta = false;
                if value == Value::Open {
                    walk.step_over();
                }
            }
            (3, b"search_units", Value::Scalar(units)) if within_meta => {
                return count_of(units).map(|search_units| Units { search_units, ..Units::NONE });
            }
            _ => {}
        }
    }
    None
}

/// The images in an answer's `data`.
fn images(body: &[u8]) -> Option<u64> {
    let mut walk = Walk::new(body);
    while let Some(found) = walk.next() {
        if (found.depth, found.name, found.value) == (1, b"data", Value::Open) {
            return parse_at(body, found.at)?.as_array().map(|images| images.len() as u64);
        }
        if found.value == Value::Open {
            walk.step_over();
        }
    }
    None
}

/// A number of the outermost object that begins `bytes`.
fn scalar_at_top<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut walk = Walk::new(bytes);
    while let Some(found) = walk.next() {
        match found.value {
            _ if found.depth == 0 => return None,
            Value::Scalar(scalar) if found.depth == 1 && found.name == name => return Some(scalar),
            Value::Open => walk.step_over(),
            _ => {}
        }
    }
    None
}

/// Seconds as a decimal into milliseconds, any rest rounded up: never through a float.
fn millis(seconds: &[u8]) -> Option<u64> {
    let dot = seconds.iter().position(|byte| *byte == b'.').unwrap_or(seconds.len());
    let (whole, fraction) = (&seconds[..dot], seconds.get(dot + 1..).unwrap_or_default());
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place: usize| u64::from(fraction.get(place).map_or(0, |digit| digit - b'0'));
    let rest = fraction.iter().skip(3).any(|digit| *digit != b'0');
    let part = digit(0) * 100 + digit(1) * 10 + digit(2) + u64::from(rest);
    count_of(whole)?.checked_mul(1_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openai::error::RULES;

    fn usage_of(operation: Operation, body: serde_json::Value) -> (Option<Usage>, Option<Units>) {
        let reported = read(operation, body.to_string().as_bytes(), &RULES);
        (reported.usage, reported.counted_units)
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        use Operation::{ImageGenerations, Rerank, Speech};
        let units = |operation, body: &str| peek(operation, body.as_bytes()).map(|head| head.units);
        let none = Units::NONE;
        let cases = [
            (ImageGenerations, r#"{"model":"m","n":3}"#, Units { images: 3, ..none }),
            (ImageGenerations, r#"{"model":"m"}"#, Units { images: 1, ..none }),
            (Speech, r#"{"input":"h\u00e9llo"}"#, Units { characters: 5, ..none }),
            (Rerank, r#"{"documents":["a",{"text":"b"}]}"#, Units { search_units: 1, ..none }),
            (Rerank, r#"{"query":"q"}"#, none),
        ];
        for (operation, body, want) in cases {
            assert_eq!(units(operation, body), Ok(want), "{body}");
        }
        let many = json!({"documents": vec!["d"; 101]}).to_string();
        assert_eq!(units(Rerank, &many), Ok(Units { search_units: 2, ..none }));
        assert!(units(Rerank, r#"{"documents":"d"}"#).is_err());
        assert!(units(ImageGenerations, r#"{"n":1,"n":9}"#).is_err());
        assert!(units(Speech, r#"{"input":"\ud800"}"#).is_err());
    }

    #[test]
    fn every_measure_that_an_answer_states_is_taken() {
        use Operation::{ImageEdits, ImageGenerations, Rerank, Transcriptions};
        let none = Usage::default();
        let units = Units::NONE;
        let cases = [
            (
                Rerank,
                json!({"results": [], "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}}),
                (Some(Usage { units: Units { search_units: 2, ..units }, ..none }), None),
            ),
            (
                Rerank,
                json!({"results": [{"search_units": 9}], "usage": {"total_tokens": 38}}),
                (Some(Usage { input_uncached: 38, ..none }), None),
            ),
            (
                Transcriptions,
                json!({"text": "x", "usage": {"type": "tokens", "total_tokens": 6, "input_tokens": 3,
                    "input_token_details": {"text_tokens": 2, "audio_tokens": 1}, "output_tokens": 3}}),
                (Some(Usage { input_uncached: 2, input_audio: 1, output_text: 3, ..none }), None),
            ),
            (
                Transcriptions,
                json!({"text": "x", "usage": {"type": "duration", "seconds": 4.25}}),
                (Some(Usage { units: Units { audio_millis: 4_250, ..units }, ..none }), None),
            ),
            (
                Transcriptions,
                json!({"task": "transcribe", "duration": 8.4700001, "segments": [{"duration": 99}]}),
                (Some(Usage { units: Units { audio_millis: 8_471, ..units }, ..none }), None),
            ),
            (Transcriptions, json!({"text": "x"}), (None, None)),
            (
                ImageGenerations,
                json!({"data": [{"b64_json": "x"}, {}], "usage": {"input_tokens": 20, "output_tokens": 100,
                    "input_tokens_details": {"text_tokens": 12, "image_tokens": 8}, "total_tokens": 120}}),
                (
                    Some(Usage {
                        input_uncached: 12,
                        input_image: 8,
                        output_image: 100,
                        units: Units { images: 2, ..units },
                        ..none
                    }),
                    None,
                ),
            ),
            (
                ImageEdits,
                json!({"data": [{"url": "u"}], "usage": {"cost_in_usd_ticks": 200000000}}),
                (None, Some(Units { images: 1, ..units })),
            ),
        ];
        for (operation, body, want) in cases {
            assert_eq!(usage_of(operation, body.clone()), want, "{body}");
        }
    }

    #[test]
    fn sound_is_not_read_as_json() {
        let sound = b"ID3\"error\":{\"code\":1}";
        assert_eq!(read(Operation::Speech, sound, &RULES), Reported::default());
    }

    #[test]
    fn seconds_become_milliseconds_without_a_float() {
        let cases = [
            ("4", Some(4_000)),
            ("0.1", Some(100)),
            ("4.2501", Some(4_251)),
            ("4.000", Some(4_000)),
            ("-1", None),
            ("1e3", None),
            ("1.2.3", None),
            ("99999999999999999999", None),
        ];
        for (text, want) in cases {
            assert_eq!(millis(text.as_bytes()), want, "{text}");
        }
    }
}
