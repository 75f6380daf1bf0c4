//! What LiteLLM's model strings mean: `provider/model`.

/// A provider as LiteLLM names it.
pub(super) struct Provider {
    /// Our name for what it speaks.
    pub(super) dialect: &'static str,
    /// Its usual address; `None` when each has its own.
    pub(super) address: Option<&'static str>,
    /// Who is paid, where it is not who the dialect says.
    pub(super) provider: Option<&'static str>,
}

const fn row(
    dialect: &'static str,
    address: Option<&'static str>,
    provider: Option<&'static str>,
) -> Provider {
    Provider { dialect, address, provider }
}

/// The provider of a prefix; `None` for one that we cannot call.
pub(super) fn of_prefix(prefix: &str) -> Option<Provider> {
    Some(match prefix {
        "openai" | "text-completion-openai" => row("openai", Some("https://api.openai.com/v1"), None),
        "azure" | "azure_text" => row("azure-openai", None, None),
        "anthropic" => row("anthropic", Some("https://api.anthropic.com"), None),
        "gemini" => row("gemini", Some("https://generativelanguage.googleapis.com"), None),
        "bedrock" | "bedrock_converse" => row("bedrock", None, None),
        "cohere" => row("cohere", Some("https://api.cohere.com"), None),
        "mistral" => row("openai", Some("https://api.mistral.ai/v1"), Some("mistral")),
        "groq" => row("openai", Some("https://api.groq.com/openai/v1"), Some("groq")),
        "deepseek" => row("openai", Some("https://api.deepseek.com/v1"), Some("deepseek")),
        "xai" => row("openai", Some("https://api.x.ai/v1"), Some("xai")),
        "together_ai" => row("openai", Some("https://api.together.xyz/v1"), Some("together")),
        "fireworks_ai" => row("openai", Some("https://api.fireworks.ai/inference/v1"), Some("fireworks")),
        "openrouter" => row("openai", Some("https://openrouter.ai/api/v1"), Some("openrouter")),
        "perplexity" => row("openai", Some("https://api.perplexity.ai"), Some("perplexity")),
        "cerebras" => row("openai", Some("https://api.cerebras.ai/v1"), Some("cerebras")),
        "nvidia_nim" => row("openai", Some("https://integrate.api.nvidia.com/v1"), Some("nvidia")),
        "hosted_vllm" | "vllm" | "openai_like" | "litellm_proxy" | "lm_studio" | "llamafile" => {
            row("openai", None, Some("self-hosted"))
        }
        _ => return None,
    })
}

/// The provider and the model of a string, by its prefix or, without one, by the model's name.
pub(super) fn split<'m>(model: &'m str, named: Option<&'m str>) -> (&'m str, &'m str) {
    if let Some(provider) = named {
        return (
            provider,
            model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model),
        );
    }
    match model.split_once('/') {
        Some((prefix, rest)) => (prefix, rest),
        None if model.starts_with("claude") => ("anthropic", model),
        None if model.starts_with("gemini") => ("gemini", model),
        None => ("openai", model),
    }
}
