//! What OpenTelemetry's GenAI conventions call providers.

use tollgate_dialect::Dialect;
use tollgate_proxy::Target;

/// Servers of OpenAI's dialect, by what the configuration calls who is paid for them.
const COMPATIBLE: [(&str, &str); 10] = [
    ("azure", "azure.ai.openai"),
    ("mistral", "mistral_ai"),
    ("moonshot", "moonshot_ai"),
    ("watsonx", "ibm.watsonx.ai"),
    ("xai", "x_ai"),
    ("anthropic", "anthropic"),
    ("google", "gcp.gemini"),
    ("vertex", "gcp.vertex_ai"),
    ("aws", "aws.bedrock"),
    ("cohere", "cohere"),
];

/// The name of a target's provider; one that the conventions do not know keeps its own.
pub(super) fn name(target: &Target) -> &str {
    let host = target.upstream.origin.host.as_str();
    match target.upstream.dialect {
        Dialect::OpenAi => of_compatible(&target.place.provider),
        Dialect::AzureOpenAi => "azure.ai.openai",
        Dialect::Anthropic if &*target.place.provider == "azure" => "azure.ai.inference",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini if host.ends_with("aiplatform.googleapis.com") => "gcp.vertex_ai",
        Dialect::Gemini => "gcp.gemini",
        Dialect::Bedrock => "aws.bedrock",
        Dialect::Cohere => "cohere",
    }
}

fn of_compatible(provider: &str) -> &str {
    COMPATIBLE.iter().find(|(ours, _)| *ours == provider).map_or(provider, |(_, theirs)| theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_unknown_keeps_the_name_that_the_configuration_gives() {
        let names = ["openai", "mistral", "xai", "our-own-servers"].map(of_compatible);
        assert_eq!(names, ["openai", "mistral_ai", "x_ai", "our-own-servers"]);
    }
}
