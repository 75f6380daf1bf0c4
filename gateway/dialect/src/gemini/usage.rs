//! `usageMetadata` into disjoint counts.
//!
//! The prompt includes what was cached; thoughts stand beside the visible output and what tools fed
//! back beside the prompt. Audio is told apart by the modality of the details; what these leave out
//! is text.

use tollgate_domain::Usage;

use crate::{
    reported::{ReportFlags, count_of},
    walk::{Value, Walk},
};

/// What one `usageMetadata` says.
#[derive(Debug, Default)]
pub(crate) struct Stated<'a> {
    /// Its counts; `None` where it holds none, as Vertex's first chunks do.
    pub(crate) usage: Option<Usage>,
    /// The sum of everything, to see running totals restart.
    pub(crate) total: u64,
    pub(crate) flags: ReportFlags,
    /// The tier in effect, in the provider's words.
    pub(crate) service_tier: Option<&'a [u8]>,
}

/// Reads the object that begins `raw`.
pub(crate) fn read(raw: &[u8]) -> Stated<'_> {
    let mut figures = Figures::default();
    let mut service_tier = None;
    let mut within: &[u8] = b"";
    let mut detail = Detail::default();
    for found in Walk::new(raw) {
        match (found.depth, found.name, found.value) {
            (0, ..) => break,
            (1, b"serviceTier" | b"trafficType", Value::Text(tier)) if !tier.is_empty() => {
                service_tier = Some(tier);
            }
            (1, name, Value::Scalar(scalar)) => figures.put(name, scalar),
            (1, name, Value::Open) => (within, detail) = (name, Detail::default()),
            (3, b"modality", Value::Text(modality)) => {
                detail.modality = Some(modality);
                figures.put_detail(within, &mut detail);
            }
            (3, b"tokenCount", Value::Scalar(scalar)) => {
                detail.count = count_of(scalar);
                figures.put_detail(within, &mut detail);
            }
            _ => {}
        }
    }
    let mut flags = ReportFlags::default();
    let usage = figures.usage(&mut flags);
    Stated { usage, total: figures.sum(), flags, service_tier }
}

/// One `{modality, tokenCount}`, whichever comes first.
#[derive(Default)]
struct Detail<'a> {
    modality: Option<&'a [u8]>,
    count: Option<u64>,
}

/// The counts as stated.
#[derive(Debug, Default)]
struct Figures {
    prompt: Option<u64>,
    cached: Option<u64>,
    tool_use: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
    prompt_audio: u64,
    cached_audio: Option<u64>,
    candidates_audio: u64,
    candidates_image: u64,
}

impl Figures {
    fn put(&mut self, name: &[u8], scalar: &[u8]) {
        let field = match name {
            b"promptTokenCount" => &mut self.prompt,
            b"cachedContentTokenCount" => &mut self.cached,
            b"toolUsePromptTokenCount" => &mut self.tool_use,
            b"candidatesTokenCount" => &mut self.candidates,
            b"thoughtsTokenCount" => &mut self.thoughts,
            b"totalTokenCount" => &mut self.total,
            _ => return,
        };
        *field = count_of(scalar).or(*field);
    }

    fn put_detail(&mut self, within: &[u8], detail: &mut Detail<'_>) {
        let (Some(modality), Some(count)) = (detail.modality, detail.count) else { return };
        *detail = Detail::default();
        match (within, modality) {
            (b"promptTokensDetails", b"AUDIO") => self.prompt_audio = count,
            (b"cacheTokensDetails", b"AUDIO") => self.cached_audio = Some(count),
            // Any other modality shows that the details are told.
            (b"cacheTokensDetails", _) => {
                self.cached_audio.get_or_insert(0);
            }
            (b"candidatesTokensDetails", b"AUDIO") => self.candidates_audio = count,
            (b"candidatesTokensDetails", b"IMAGE") => self.candidates_image = count,
            _ => {}
        }
    }

    fn sum(&self) -> u64 {
        [self.prompt, self.tool_use, self.candidates, self.thoughts].into_iter().flatten().sum()
    }

    fn usage(&self, flags: &mut ReportFlags) -> Option<Usage> {
        // An embedding server may state only the total, which is all input.
        let prompt = self.prompt.or(self.total.filter(|_| self.candidates.is_none()));
        if prompt.is_none() && self.candidates.is_none() && self.thoughts.is_none() {
            return None;
        }
        let prompt = prompt.unwrap_or(0);
        let cached = self.cached.unwrap_or(0);
        let cache_read = cached.min(prompt);
        let uncached = prompt - cache_read;
        let input_audio = self.prompt_audio.saturating_sub(self.cached_audio.unwrap_or(0)).min(uncached);
        let candidates = self.candidates.unwrap_or(0);
        let output_audio = self.candidates_audio.min(candidates);
        let total_differs = self.total.is_some_and(|total| total != self.sum().max(prompt));
        flags.usage_inconsistent = cached > prompt || total_differs;
        flags.modality_unknown = cached > 0 && self.prompt_audio > 0 && self.cached_audio.is_none();
        // Generated pictures have a price of their own, which no price of tokens tells.
        flags.cost_approximate = self.candidates_image > 0;
        Some(Usage {
            input_uncached: uncached - input_audio + self.tool_use.unwrap_or(0),
            input_audio,
            cache_read,
            cache_read_excess: cached - cache_read,
            cache_read_audio: self.cached_audio.unwrap_or(0).min(cache_read),
            output_text: candidates - output_audio,
            output_reasoning: self.thoughts.unwrap_or(0),
            output_audio,
            ..Usage::default()
        })
    }
}

/// The searches that a candidate's `groundingMetadata` is billed for: before Gemini 3 a grounded answer
/// is one, since then each query is.
pub(crate) fn searches(grounding: &serde_json::Value, served_model: Option<&str>) -> u64 {
    let queries = grounding.get("webSearchQueries").and_then(serde_json::Value::as_array);
    let queries = queries.map_or(0, |queries| queries.len() as u64);
    let by_answer =
        served_model.is_some_and(|model| ["gemini-1", "gemini-2"].iter().any(|old| model.starts_with(old)));
    if by_answer { queries.min(1) } else { queries }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_the_vendor_become_disjoint_counts() {
        let none = Usage::default();
        let cases = [
            (
                json!({"promptTokenCount": 34, "candidatesTokenCount": 469, "thoughtsTokenCount": 787, "totalTokenCount": 1290}),
                Usage { input_uncached: 34, output_text: 469, output_reasoning: 787, ..none },
            ),
            (
                json!({"promptTokenCount": 95, "toolUsePromptTokenCount": 439, "candidatesTokenCount": 66,
                    "thoughtsTokenCount": 132, "totalTokenCount": 732}),
                Usage { input_uncached: 534, output_text: 66, output_reasoning: 132, ..none },
            ),
            (
                json!({"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 1881}, {"modality": "TEXT", "tokenCount": 15},
                        {"modality": "VIDEO", "tokenCount": 15483}],
                    "cachedContentTokenCount": 17379, "candidatesTokenCount": 68, "promptTokenCount": 17713,
                    "promptTokensDetails": [{"tokenCount": 16, "modality": "TEXT"}, {"tokenCount": 15780, "modality": "VIDEO"},
                        {"tokenCount": 1917, "modality": "AUDIO"}],
                    "thoughtsTokenCount": 821, "totalTokenCount": 18602}),
                Usage {
                    input_uncached: 298,
                    input_audio: 36,
                    cache_read: 17379,
                    cache_read_audio: 1881,
                    output_text: 68,
                    output_reasoning: 821,
                    ..none
                },
            ),
            (json!({"promptTokenCount": 11, "totalTokenCount": 11}), Usage { input_uncached: 11, ..none }),
            (json!({"totalTokenCount": 11}), Usage { input_uncached: 11, ..none }),
            (
                json!({"promptTokenCount": 5, "candidatesTokenCount": 40, "totalTokenCount": 45,
                    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}]}),
                Usage { input_uncached: 5, output_text: 10, output_audio: 30, ..none },
            ),
        ];
        for (raw, want) in cases {
            let raw = raw.to_string();
            let stated = read(raw.as_bytes());
            assert_eq!(stated.usage, Some(want), "{raw}");
            assert_eq!(stated.flags, ReportFlags::default(), "{raw}");
            assert_eq!(read(format!("{raw},\"promptTokenCount\":9}}").as_bytes()).usage, Some(want), "{raw}");
        }
    }

    #[test]
    fn what_holds_no_count_states_nothing() {
        for raw in [r#"{"trafficType":"ON_DEMAND"}"#, "{}", r#"{"promptTokenCount":-1}"#, "null", ""] {
            assert_eq!(read(raw.as_bytes()).usage, None, "{raw}");
        }
        assert_eq!(read(br#"{"trafficType":"ON_DEMAND"}"#).service_tier, Some(&b"ON_DEMAND"[..]));
    }

    #[test]
    fn contradictions_are_flagged_and_the_whole_stays_right() {
        let of = |raw: &str| {
            let stated = read(raw.as_bytes());
            (stated.usage.expect("counts"), stated.flags.names().collect::<Vec<_>>())
        };
        let (usage, flags) = of(r#"{"promptTokenCount":5,"cachedContentTokenCount":7,"totalTokenCount":5}"#);
        assert_eq!((usage.input_tokens(), usage.cache_read_excess), (5, 2));
        assert_eq!(flags, ["usage_inconsistent"]);
        let (_, flags) = of(r#"{"promptTokenCount":5,"candidatesTokenCount":1,"totalTokenCount":7}"#);
        assert_eq!(flags, ["usage_inconsistent"]);
        let audio = r#"{"promptTokenCount":5,"cachedContentTokenCount":2,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":5}]}"#;
        let (usage, flags) = of(audio);
        assert_eq!((usage.input_audio, usage.cache_read, flags), (3, 2, vec!["modality_unknown"]));
        let picture = r#"{"candidatesTokenCount":1290,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}"#;
        assert_eq!(of(picture).1, ["cost_approximate"]);
    }

    #[test]
    fn searches_are_billed_as_the_generation_of_the_model_has_it() {
        let grounding = json!({"webSearchQueries": ["a", "b"]});
        assert_eq!(searches(&grounding, Some("gemini-2.5-flash")), 1);
        assert_eq!(searches(&grounding, Some("gemini-3.5-flash")), 2);
        assert_eq!(searches(&json!({"retrievalMetadata": {}}), Some("gemini-3.5-flash")), 0);
    }
}
