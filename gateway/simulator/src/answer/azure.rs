//! What Azure adds to OpenAI's answers: content filter results and its own headers.
//!
//! Recorded shapes; see <https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter>.

use super::{Headers, Stamp};

/// The member that each choice of a plain answer gets.
pub(super) const CHOICE_FILTER: &str = ",\"content_filter_results\":{\"hate\":{\"filtered\":false,\
    \"severity\":\"safe\"},\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}";

/// The member that a plain answer gets.
pub(super) const PROMPT_FILTER: &str = ",\"prompt_filter_results\":[{\"prompt_index\":0,\
    \"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\
    \"jailbreak\":{\"filtered\":false,\"detected\":false}}}]";

/// The chunk that opens a stream, without choices and with empty names.
pub(super) const FIRST_CHUNK: &str = "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\
    \"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":{\"filtered\":false,\
    \"severity\":\"safe\"},\"jailbreak\":{\"filtered\":false,\"detected\":false}}}]}\n\n";

pub(super) fn headers(stamp: &Stamp, region: &str) -> Headers {
    vec![
        ("x-request-id".into(), stamp.request_id.clone().into()),
        ("apim-request-id".into(), stamp.request_id.clone().into()),
        ("x-ms-region".into(), region.to_owned().into()),
        ("x-ms-rai-invoked".into(), "true".into()),
        ("x-ratelimit-limit-requests".into(), "250".into()),
        ("x-ratelimit-limit-tokens".into(), "250000".into()),
        ("x-ratelimit-remaining-requests".into(), "248".into()),
        ("x-ratelimit-remaining-tokens".into(), "249979".into()),
    ]
}
