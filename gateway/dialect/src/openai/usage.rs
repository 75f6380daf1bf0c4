//! Usage objects of the OpenAI family into disjoint counts.
//!
//! Input includes what was cached, output includes reasoning and audio, and a few servers deviate;
//! where they do, `total_tokens` proves it.

use tollgate_domain::Usage;

use crate::{
    reported::{ReportFlags, Reported, count_of},
    walk::{Value, Walk},
};

/// Takes the usage object that begins `raw` into a report, in place of what it said before; tells
/// whether it stated anything.
pub(crate) fn take(raw: &[u8], reported: &mut Reported) -> bool {
    let mut flags = ReportFlags::default();
    let Some(usage) = read(raw, &mut flags) else { return false };
    reported.usage = Some(usage);
    reported.flags = flags;
    true
}

/// Reads a usage object of chat completions, embeddings or responses; nothing when it holds no
/// count at all.
fn read(raw: &[u8], flags: &mut ReportFlags) -> Option<Usage> {
    let figures = Figures::of(raw);
    let (output, total) = (figures.output, figures.total);
    let stated = Stated {
        // An embedding server may state only the total, which is all input.
        input: figures.input.or(total.filter(|_| output.is_none()))?,
        output: output.unwrap_or(0),
        total,
        cached: figures.cached.or(figures.cached_outside).unwrap_or(0),
        cache_write: figures.cache_write.or(figures.cache_write_outside).unwrap_or(0),
        audio_in: figures.audio_in.unwrap_or(0),
        image_in: figures.image_in.unwrap_or(0),
        reasoning: figures.reasoning.or(figures.reasoning_outside).unwrap_or(0),
        audio_out: figures.audio_out.unwrap_or(0),
        image_out: figures.image_out.unwrap_or(0),
    };
    Some(stated.disjoint(flags))
}

/// The counts of a usage object by meaning, wherever its server puts them. What stands in a details
/// object counts before what stands beside it.
#[derive(Default)]
struct Figures {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cached_outside: Option<u64>,
    cache_write: Option<u64>,
    cache_write_outside: Option<u64>,
    audio_in: Option<u64>,
    image_in: Option<u64>,
    reasoning: Option<u64>,
    reasoning_outside: Option<u64>,
    audio_out: Option<u64>,
    image_out: Option<u64>,
}

impl Figures {
    fn of(raw: &[u8]) -> Self {
        let mut figures = Self::default();
        let mut within = Within::Other;
        for found in Walk::new(raw) {
            match (found.depth, found.value) {
                (0, _) => break,
                (1, Value::Open) => within = Within::of(found.name),
                (1, Value::Scalar(scalar)) => figures.put(Within::Top, found.name, scalar),
                (2, Value::Scalar(scalar)) => figures.put(within, found.name, scalar),
                _ => {}
            }
        }
        figures
    }

    fn put(&mut self, within: Within, name: &[u8], scalar: &[u8]) {
        let field = match within {
            Within::Top => match name {
                b"prompt_tokens" | b"input_tokens" => &mut self.input,
                b"completion_tokens" | b"output_tokens" => &mut self.output,
                b"total_tokens" => &mut self.total,
                b"prompt_cache_hit_tokens"
                | b"num_cached_tokens"
                | b"cached_tokens"
                | b"cache_read_input_tokens" => &mut self.cached_outside,
                b"cache_creation_input_tokens" => &mut self.cache_write_outside,
                b"reasoning_tokens" => &mut self.reasoning_outside,
                _ => return,
            },
            Within::Input => match name {
                b"cached_tokens" => &mut self.cached,
                b"cache_write_tokens" => &mut self.cache_write,
                b"audio_tokens" => &mut self.audio_in,
                b"image_tokens" => &mut self.image_in,
                _ => return,
            },
            Within::Output => match name {
                b"reasoning_tokens" => &mut self.reasoning,
                b"audio_tokens" => &mut self.audio_out,
                b"image_tokens" => &mut self.image_out,
                _ => return,
            },
            Within::Other => return,
        };
        *field = field.or(count_of(scalar));
    }
}

/// Where in a usage object a count stands.
#[derive(Clone, Copy)]
enum Within {
    Top,
    /// The details of the input.
    Input,
    /// The details of the output.
    Output,
    /// An object that says nothing to us.
    Other,
}

impl Within {
    fn of(details: &[u8]) -> Self {
        match details {
            // Transcriptions write their details in the singular.
            b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => Self::Input,
            b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" => Self::Output,
            _ => Self::Other,
        }
    }
}

/// The figures as stated.
struct Stated {
    input: u64,
    output: u64,
    total: Option<u64>,
    cached: u64,
    cache_write: u64,
    audio_in: u64,
    image_in: u64,
    reasoning: u64,
    audio_out: u64,
    image_out: u64,
}

impl Stated {
    fn disjoint(mut self, flags: &mut ReportFlags) -> Usage {
        self.add_what_the_total_proves(flags);
        // A part larger than its whole cannot be billed as stated; the whole stays right.
        let mut part = |whole: &mut u64, part: u64| {
            let taken = part.min(*whole);
            if taken < part {
                flags.usage_inconsistent = true;
            }
            *whole -= taken;
            taken
        };
        let (mut input, mut output) = (self.input, self.output);
        let cache_read = part(&mut input, self.cached);
        let cache_write_other = part(&mut input, self.cache_write);
        // What was cached is no longer there to be taken; nobody tells of which kind it was.
        let input_audio = self.audio_in.min(input);
        let input_image = self.image_in.min(input - input_audio);
        let output_reasoning = part(&mut output, self.reasoning);
        let output_audio = part(&mut output, self.audio_out);
        let output_image = part(&mut output, self.image_out);
        if self.cached > 0 && self.audio_in > 0 {
            flags.modality_unknown = true;
        }
        Usage {
            input_uncached: input - input_audio - input_image,
            input_audio,
            input_image,
            cache_read,
            cache_read_excess: self.cached - cache_read,
            cache_write_other,
            output_text: output,
            output_reasoning,
            output_audio,
            output_image,
            ..Usage::default()
        }
    }

    /// Some servers leave reasoning (xAI) or audio out of the output, or do not even name the
    /// reasoning (Google's OpenAI endpoint): the total holds it.
    fn add_what_the_total_proves(&mut self, flags: &mut ReportFlags) {
        let Some(total) = self.total else { return };
        let Some(gap) = total.checked_sub(self.input.saturating_add(self.output)) else {
            flags.usage_inconsistent = true;
            return;
        };
        let parts = [self.reasoning, self.audio_out, self.reasoning.saturating_add(self.audio_out)];
        let unnamed = self.reasoning == 0 && self.audio_out == 0;
        if gap == 0 {
            return;
        } else if unnamed {
            self.reasoning = gap;
        } else if !parts.contains(&gap) {
            flags.usage_inconsistent = true;
            return;
        }
        self.output = self.output.saturating_add(gap);
        flags.reasoning_outside_total = true;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage(raw: serde_json::Value) -> (Usage, Vec<&'static str>) {
        let mut flags = ReportFlags::default();
        let usage = read(raw.to_string().as_bytes(), &mut flags).expect("counts are stated");
        (usage, flags.names().collect())
    }

    #[test]
    fn every_servers_figures_become_disjoint_counts() {
        let none = Usage::default();
        let outside = vec!["reasoning_outside_total"];
        let cases = [
            (
                "openai cache write",
                json!({"prompt_tokens": 4020, "completion_tokens": 4, "total_tokens": 4024,
                    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4012}}),
                Usage { input_uncached: 8, cache_write_other: 4012, output_text: 4, ..none },
                vec![],
            ),
            (
                "openai responses",
                json!({"input_tokens": 12594, "input_tokens_details": {"cached_tokens": 3200},
                    "output_tokens": 1150, "output_tokens_details": {"reasoning_tokens": 1088},
                    "total_tokens": 13744}),
                Usage {
                    input_uncached: 9394,
                    cache_read: 3200,
                    output_reasoning: 1088,
                    output_text: 62,
                    ..none
                },
                vec![],
            ),
            (
                "openai audio",
                json!({"prompt_tokens": 64, "completion_tokens": 9, "total_tokens": 73,
                    "prompt_tokens_details":
                        {"audio_tokens": 44, "text_tokens": 20, "image_tokens": 0, "cached_tokens": 0}}),
                Usage { input_uncached: 20, input_audio: 44, output_text: 9, ..none },
                vec![],
            ),
            (
                "gemini shim",
                json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}),
                Usage { input_uncached: 35, output_text: 12, output_reasoning: 62, ..none },
                outside.clone(),
            ),
            (
                "xai",
                json!({"prompt_tokens": 165, "completion_tokens": 40, "total_tokens": 326,
                    "prompt_tokens_details": {"cached_tokens": 151},
                    "completion_tokens_details": {"reasoning_tokens": 121}}),
                Usage { input_uncached: 14, cache_read: 151, output_text: 40, output_reasoning: 121, ..none },
                outside,
            ),
            (
                "deepseek",
                json!({"prompt_tokens": 563, "completion_tokens": 116, "total_tokens": 679,
                    "prompt_cache_hit_tokens": 512, "prompt_cache_miss_tokens": 51,
                    "completion_tokens_details": {"reasoning_tokens": 60}}),
                Usage { input_uncached: 51, cache_read: 512, output_text: 56, output_reasoning: 60, ..none },
                vec![],
            ),
            (
                "groq",
                json!({"prompt_tokens": 336, "completion_tokens": 96, "total_tokens": 432,
                    "prompt_tokens_details": {"cached_tokens": 256}, "queue_time": 0.03,
                    "completion_tokens_details": {"reasoning_tokens": 59}}),
                Usage { input_uncached: 80, cache_read: 256, output_text: 37, output_reasoning: 59, ..none },
                vec![],
            ),
            (
                "mistral",
                json!({"prompt_tokens": 68, "completion_tokens": 6, "total_tokens": 74,
                    "num_cached_tokens": 0}),
                Usage { input_uncached: 68, output_text: 6, ..none },
                vec![],
            ),
            (
                "embeddings with only a total",
                json!({"total_tokens": 7}),
                Usage { input_uncached: 7, ..none },
                vec![],
            ),
            (
                "nulls and empty details",
                json!({"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": null,
                    "completion_tokens_details": {"reasoning_tokens": null}}),
                Usage { input_uncached: 3, output_text: 2, ..none },
                vec![],
            ),
            (
                "more cached than there was",
                json!({"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 20}),
                Usage { cache_read: 10, cache_read_excess: 10, output_text: 2, ..none },
                vec!["usage_inconsistent"],
            ),
            (
                "a total below its parts",
                json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 11}),
                Usage { input_uncached: 10, output_text: 2, ..none },
                vec!["usage_inconsistent"],
            ),
        ];
        for (name, raw, want, flags) in cases {
            assert_eq!(usage(raw), (want, flags), "{name}");
        }
    }

    #[test]
    fn nothing_behind_the_object_is_read() {
        let raw =
            br#"{"prompt_tokens":1,"completion_tokens":2},"total_tokens":9,"usage":{"prompt_tokens":7}}"#;
        let usage = read(raw, &mut ReportFlags::default());
        assert_eq!(usage, Some(Usage { input_uncached: 1, output_text: 2, ..Usage::default() }));
    }

    #[test]
    fn an_object_without_counts_states_nothing() {
        for raw in [json!({}), json!(null), json!({"prompt_tokens": null}), json!({"prompt_tokens": -1})] {
            assert_eq!(read(raw.to_string().as_bytes(), &mut ReportFlags::default()), None, "{raw}");
        }
    }
}
