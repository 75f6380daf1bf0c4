//! The head of a form: sound to be written down, and images to be changed.

use tollgate_domain::Units;

use crate::{
    codec::InputEstimate,
    estimate::{IMAGE_TOKENS, OVERHEAD_TOKENS},
    form::{self, Part},
    head::{Form, Head, Malformed, Member},
    openai::media,
    wire::Operation,
};

/// A field of a few words is no longer than this.
const LONGEST_FIELD: usize = 256;
/// Sound that tells no rate of its own is taken for speech at 32 kbit/s: the bound of its length.
const BYTES_PER_SECOND: u64 = 4_000;
/// Sound of no compression at 192 kHz, 32 bits and two channels. A higher rate is made up.
const MOST_BYTES_PER_SECOND: u64 = 1_536_000;
/// A token of sound that is listened to, and the most that is spoken in it.
const MILLIS_PER_TOKEN: u64 = 100;

/// Reads the head of a body whose `content-type` says that it is a form; nothing where it says
/// something else.
///
/// # Errors
/// The form is not well made, or a field that the gateway interprets is given twice, is a file, or
/// has the wrong kind.
pub fn peek_form(operation: Operation, content_type: &str, body: &[u8]) -> Option<Result<Head, Malformed>> {
    let boundary = form::boundary(content_type)?;
    Some(boundary.and_then(|boundary| FormHead::read(operation, boundary, body)))
}

#[derive(Default)]
struct FormHead {
    head: Head,
    seen: Vec<&'static str>,
    prompt_bytes: u64,
    images: u64,
    audio_millis: u64,
}

impl FormHead {
    fn read(operation: Operation, boundary: &str, body: &[u8]) -> Result<Head, Malformed> {
        let mut form = Self::default();
        form.head.choices = 1;
        form::parts(boundary, body, |part| form.take(operation, &part, body))?;
        Ok(form.finish(operation))
    }

    fn take(&mut self, operation: Operation, part: &Part<'_>, body: &[u8]) -> Result<(), Malformed> {
        let makes_images = operation.changes_images();
        match part.name {
            "model" => {
                let value = self.text("model", part, body)?.to_owned();
                self.head.model = Some(Member { value, span: part.span.clone() });
            }
            "stream" => {
                self.head.stream = match self.text("stream", part, body)? {
                    "true" => true,
                    "false" => false,
                    _ => return Err(Malformed::member("stream", "must be true or false")),
                };
            }
            "n" if makes_images => {
                let n = self.text("n", part, body)?;
                let n = n.parse::<u64>().ok().filter(|_| n.bytes().all(|byte| byte.is_ascii_digit()));
                let n = n.ok_or_else(|| Malformed::member("n", "must be a whole number of at least 0"))?;
                self.head.choices = n.max(1);
            }
            "user" => self.head.end_user = Some(self.text("user", part, body)?.to_owned()),
            "prompt" => self.prompt_bytes += part.span.len() as u64,
            "image" | "image[]" | "mask" => self.images += 1,
            "file" => self.audio_millis = self.audio_millis.saturating_add(millis(&body[part.span.clone()])),
            _ => {}
        }
        Ok(())
    }

    fn text<'a>(
        &mut self,
        name: &'static str,
        part: &Part<'_>,
        body: &'a [u8],
    ) -> Result<&'a str, Malformed> {
        if self.seen.contains(&name) {
            return Err(Malformed::member(name, "is given twice"));
        }
        self.seen.push(name);
        let is_plain = !part.is_file && !part.is_encoded && part.span.len() <= LONGEST_FIELD;
        let text = str::from_utf8(&body[part.span.clone()]).ok().filter(|_| is_plain);
        text.ok_or_else(|| Malformed::member(name, "must be a plain field of a few words"))
    }

    fn finish(mut self, operation: Operation) -> Head {
        let text = self.prompt_bytes.div_ceil(3) + OVERHEAD_TOKENS;
        let tokens = if operation.changes_images() {
            media::of_images(&mut self.head);
            text + self.images * IMAGE_TOKENS
        } else {
            let heard = self.audio_millis.div_ceil(MILLIS_PER_TOKEN);
            self.head.units = Units { audio_millis: self.audio_millis, ..Units::NONE };
            self.head.uncapped_output = heard;
            text + heard
        };
        self.head.form = Some(Form { input: InputEstimate { tokens, lower_bound: false } });
        self.head
    }
}

/// How long a sound is at most: exact for the usual uncompressed file, which tells its rate.
fn millis(sound: &[u8]) -> u64 {
    let told = match sound {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', b'f', b'm', b't', b' ', rest @ ..] => {
            // Behind the length of its section, its form, channels and samples a second.
            rest.get(12..16).and_then(|rate| rate.try_into().ok()).map(u32::from_le_bytes)
        }
        _ => None,
    };
    let told = told.map(u64::from).filter(|rate| (1..=MOST_BYTES_PER_SECOND).contains(rate));
    (sound.len() as u64).saturating_mul(1_000) / told.unwrap_or(BYTES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{codec::Edits, wire::Dialect};

    const FORM: &str = "multipart/form-data; boundary=B";

    fn form(fields: &[(&str, &str)]) -> Bytes {
        let mut body = String::new();
        for (name, value) in fields {
            let file = if matches!(*name, "file" | "image" | "image[]") { "; filename=\"f\"" } else { "" };
            body +=
                &format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n");
        }
        (body + "--B--\r\n").into()
    }

    fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
        peek_form(operation, FORM, body).expect("a form")
    }

    #[test]
    fn the_model_is_replaced_as_it_stands_and_no_other_byte() {
        let codec = Dialect::OpenAi.codec();
        let body = form(&[("file", "model\r\n\"model\"{}"), ("model", "whisper"), ("language", "de")]);
        let head = peek(Operation::Transcriptions, &body).expect("a fair form");
        let edited = |model| {
            let edits = Edits { model: Some(model), include_usage: true, output_cap: Some(9) };
            codec.request_body(Operation::Transcriptions, &head, &body, &edits)
        };
        let want = form(&[("file", "model\r\n\"model\"{}"), ("model", "a\"b"), ("language", "de")]);
        assert_eq!(edited("a\"b"), want);
        assert_eq!(edited("whisper").as_ptr(), body.as_ptr(), "no edit: the same memory");
        let nameless = form(&[("file", "x")]);
        let head = peek(Operation::Transcriptions, &nameless).expect("a fair form");
        let edits = Edits { model: Some("m"), ..Edits::default() };
        assert_eq!(codec.request_body(Operation::Transcriptions, &head, &nameless, &edits), nameless);
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let body =
            form(&[("image[]", "x"), ("image[]", "y"), ("n", "2"), ("prompt", "abc"), ("stream", "true")]);
        let head = peek(Operation::ImageEdits, &body).expect("a fair form");
        let input = head.form.expect("a form").input.tokens;
        assert_eq!(
            (head.units.images, head.stream, input),
            (2, true, 2 * IMAGE_TOKENS + 1 + OVERHEAD_TOKENS)
        );
        let mut wav = b"RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0".to_vec();
        wav.resize(96_000, 0);
        assert_eq!(millis(&wav), 2_000, "48,000 bytes a second");
        assert_eq!(millis(&[0; 8_000]), 2_000, "an unknown sound is as long as it could be");
        assert_eq!(millis(b"RIFF....WAVEfmt "), 4);
    }

    #[test]
    fn a_field_that_counts_is_plain_and_given_once() {
        let cases: [&[(&str, &str)]; 4] = [
            &[("model", "a"), ("model", "b")],
            &[("stream", "yes")],
            &[("stream", "false"), ("stream", "true")],
            &[("model", "\u{e9}"), ("n", "-1")],
        ];
        for fields in cases {
            assert!(peek(Operation::ImageEdits, &form(fields)).is_err(), "{fields:?}");
        }
        let file = b"--B\r\nContent-Disposition: form-data; name=\"model\"; filename=\"m\"\r\n\r\na\r\n--B--";
        let coded = b"--B\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--B--";
        for body in [&file[..], coded] {
            assert!(peek(Operation::Transcriptions, body).is_err());
        }
        assert!(peek_form(Operation::Transcriptions, "application/json", b"{}").is_none());
    }
}
