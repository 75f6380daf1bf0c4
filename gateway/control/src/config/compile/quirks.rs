//! Servers that follow OpenAI's API in their own way, as far as the gateway must know it before it asks.
//!
//! Ways of answering need no entry: they show themselves in the answer. An upstream is known by its
//! `provider` or else by its host, and what its configuration says stands above what is known.

use tollgate_dialect::Apis;
use tollgate_proxy::InjectUsage;

/// What is known of a server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Quirks {
    /// Whether `stream_options.include_usage` may be added.
    pub(super) inject_usage: InjectUsage,
    /// Its ways to converse.
    pub(super) apis: Apis,
}

/// A kind of server, by the name of its provider and the end of its hosts.
struct Known {
    provider: &'static str,
    host: &'static str,
    quirks: Quirks,
}

const KNOWN: [Known; 1] = [
    // Refuses members that it does not know with a 422, this one among them, and tells its usage unasked;
    // has no responses.
    Known {
        provider: "mistral",
        host: "mistral.ai",
        quirks: Quirks { inject_usage: InjectUsage::Never, apis: Apis::ChatCompletions },
    },
];

/// What is known of an upstream.
pub(super) fn of(provider: Option<&str>, host: Option<&str>) -> Quirks {
    let is_it = |known: &&Known| match (provider, host) {
        (Some(provider), _) => provider == known.provider,
        (None, Some(host)) => {
            host == known.host || host.strip_suffix(known.host).is_some_and(|rest| rest.ends_with('.'))
        }
        (None, None) => false,
    };
    KNOWN.iter().find(is_it).map(|known| known.quirks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_provider_or_its_host() {
        let cases = [
            (Some("mistral"), Some("proxy.example"), InjectUsage::Never),
            (None, Some("api.mistral.ai"), InjectUsage::Never),
            (None, Some("mistral.ai"), InjectUsage::Never),
            (None, Some("notmistral.ai"), InjectUsage::Always),
            (Some("openai"), Some("api.mistral.ai"), InjectUsage::Always),
            (None, Some("api.openai.com"), InjectUsage::Always),
            (None, None, InjectUsage::Always),
        ];
        for (provider, host, want) in cases {
            assert_eq!(of(provider, host).inject_usage, want, "{provider:?} {host:?}");
            let lacks_responses = of(provider, host).apis == Apis::ChatCompletions;
            assert_eq!(lacks_responses, want == InjectUsage::Never, "{provider:?} {host:?}");
        }
    }
}
