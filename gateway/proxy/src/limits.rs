//! From a reservation's headroom to the rate-limit headers of a dialect.
//!
//! Every answer carries them, so their texts are cut out of one allocation and their names are parsed
//! once.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use tollgate_accounting::quota::{Headroom, LimitLeft};
use tollgate_dialect::{Dialect, Family, LimitShown, write_count};
use tollgate_domain::UnixMillis;

/// Room for six texts of usual length.
const USUAL_LENGTH: usize = 96;

/// Names of the limit, of what remains and of the reset.
type Triple = [HeaderName; 3];

struct Names {
    requests: Triple,
    tokens: Triple,
}

static OPENAI: LazyLock<Names> = LazyLock::new(|| Names::of(Dialect::OpenAi));
static ANTHROPIC: LazyLock<Names> = LazyLock::new(|| Names::of(Dialect::Anthropic));

impl Names {
    fn of(dialect: Dialect) -> Self {
        let names = dialect.codec().limit_names();
        let parsed = |triple: [&'static str; 3]| triple.map(HeaderName::from_static);
        Self { requests: parsed(names.requests), tokens: parsed(names.tokens) }
    }
}

/// Puts the tightest of a key's own limits on an answer, as its dialect names them.
pub(crate) fn put(headers: &mut HeaderMap, headroom: &Headroom, dialect: Dialect, now: UnixMillis) {
    let names = match dialect.family() {
        // The APIs of Gemini and Bedrock have no such names; these are the most widely read.
        Family::OpenAi | Family::Gemini | Family::Bedrock | Family::Cohere => &*OPENAI,
        Family::Anthropic => &*ANTHROPIC,
    };
    let mut text = Vec::with_capacity(USUAL_LENGTH);
    let mut ends = SmallVec::<[(&HeaderName, usize); 6]>::new();
    for (names, left) in [(&names.requests, &headroom.requests), (&names.tokens, &headroom.tokens)] {
        let Some(left) = left.as_ref().map(shown) else { continue };
        let [limit, remaining, reset] = names;
        write_count(left.limit, &mut text);
        ends.push((limit, text.len()));
        write_count(left.remaining, &mut text);
        ends.push((remaining, text.len()));
        dialect.codec().write_reset(&left, now, &mut text);
        ends.push((reset, text.len()));
    }
    let text = Bytes::from(text);
    let mut start = 0;
    for (name, end) in ends {
        let value = HeaderValue::from_maybe_shared(text.slice(start..end));
        headers.insert(name, value.expect("counts and times are visible ASCII"));
        start = end;
    }
}

fn shown(left: &LimitLeft) -> LimitShown {
    LimitShown { limit: left.limit, remaining: left.remaining, reset_after: left.reset_after }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_are_named_as_the_dialect_names_them() {
        let left = |limit| LimitLeft { limit, remaining: 7, reset_after: Duration::from_secs(61) };
        let headroom = Headroom { requests: None, tokens: Some(left(1_000)) };
        let cases = [
            (
                Dialect::AzureOpenAi,
                [
                    ("x-ratelimit-limit-tokens", "1000"),
                    ("x-ratelimit-remaining-tokens", "7"),
                    ("x-ratelimit-reset-tokens", "1m1s"),
                ],
            ),
            (
                Dialect::Anthropic,
                [
                    ("anthropic-ratelimit-tokens-limit", "1000"),
                    ("anthropic-ratelimit-tokens-remaining", "7"),
                    ("anthropic-ratelimit-tokens-reset", "2026-09-21T14:14:21Z"),
                ],
            ),
        ];
        for (dialect, want) in cases {
            let mut headers = HeaderMap::new();
            put(&mut headers, &headroom, dialect, UnixMillis::new(1_790_000_000_000));
            let found: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            assert_eq!(found, want);
        }
    }
}
