//! Azure's paths: the deployment form with a dated version, and the `v1` form.

use tollgate_domain::UpstreamModel;

use crate::{
    openai,
    path::{api_version as version_of, encode_segment, join_query, verb},
    wire::Operation,
};

/// The path under the host root (or under a base that already ends with `/openai` or
/// `/openai/v1`). A dated version, the client's before the configured one, chooses the deployment
/// form; without one, or with `v1` or `preview`, it is the `v1` form.
pub(crate) fn path(
    operation: Operation,
    base_path: &str,
    model: &UpstreamModel,
    query: Option<&str>,
    configured: Option<&str>,
) -> String {
    let base = base_path.trim_end_matches('/');
    let version = version_of(query).or(configured);
    let is_v1 =
        base.ends_with("/openai/v1") || version.is_none_or(|version| matches!(version, "v1" | "preview"));
    let root = base.strip_suffix("/v1").unwrap_or(base);
    let root = root.strip_suffix("/openai").unwrap_or(root);
    if is_v1 {
        let plain = openai::request::path(operation, &format!("{root}/openai/v1"), model, query);
        // A dated version is the deployment form's; here only its own names mean something.
        let version = version.filter(|version| matches!(*version, "v1" | "preview"));
        return match (version, plain.contains('?')) {
            (None, _) => plain,
            (Some(version), false) => format!("{plain}?api-version={version}"),
            (Some(version), true) => format!("{plain}&api-version={version}"),
        };
    }
    let verb = verb(operation);
    let named = model.as_str();
    let model = encode_segment(named);
    let path = match operation {
        Operation::ChatCompletions
        | Operation::Completions
        | Operation::Embeddings
        | Operation::ImageGenerations
        | Operation::ImageEdits
        | Operation::ImageVariations
        | Operation::Speech
        | Operation::Transcriptions
        | Operation::Translations => {
            format!("{root}/openai/deployments/{model}/{verb}")
        }
        operation if operation.is_of_stored() => {
            openai::request::path_of_stored(operation, &format!("{root}/openai"), named)
        }
        Operation::GetModel => format!("{root}/openai/models/{model}"),
        _ => format!("{root}/openai/{verb}"),
    };
    join_query(path, query, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_chooses_the_form() {
        use Operation::{ChatCompletions, GetModel, Responses};
        let dated = Some("2024-10-21");
        let deployment = "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21";
        let cases = [
            (ChatCompletions, "", None, dated, deployment),
            (ChatCompletions, "/", Some("api-version=2024-10-21"), Some("2023-05-15"), deployment),
            (ChatCompletions, "/openai", None, dated, deployment),
            (ChatCompletions, "", None, None, "/openai/v1/chat/completions"),
            (ChatCompletions, "/openai/v1/", None, dated, "/openai/v1/chat/completions"),
            (
                ChatCompletions,
                "",
                Some("api-version=preview"),
                dated,
                "/openai/v1/chat/completions?api-version=preview",
            ),
            (Responses, "/team", None, dated, "/team/openai/responses?api-version=2024-10-21"),
            (
                Operation::GetConversation,
                "",
                None,
                dated,
                "/openai/conversations/my%20gpt?api-version=2024-10-21",
            ),
            (GetModel, "", Some("a=1"), dated, "/openai/models/my%20gpt?a=1&api-version=2024-10-21"),
        ];
        for (operation, base, query, configured, want) in cases {
            assert_eq!(path(operation, base, &"my gpt".into(), query, configured), want);
        }
    }
}
