//! Requests of Cohere's API: the head, the path, the headers.

use crate::{
    head::{Fields, Head, Malformed},
    openai,
    path::{cohere, join_query},
    peek::members,
    wire::Operation,
};

/// Reads the head. Embeddings have no output, so that only their model matters.
pub(crate) fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
    if operation == Operation::Rerank {
        return openai::request::peek(operation, body);
    }
    let mut fields = Fields::new(body);
    let mut head = Head { choices: 1, ..Head::default() };
    let extent = members(body, |name, span| {
        if name == b"model" {
            head.model = fields.text("model", span)?;
        }
        Ok(())
    })?;
    head.body_end = extent.end;
    head.no_members = extent.empty;
    Ok(head)
}

/// The path under the host's root, or under that of a proxy.
pub(crate) fn path(operation: Operation, base_path: &str, query: Option<&str>) -> String {
    let verb = cohere::verb(operation).unwrap_or_default();
    join_query(format!("{}/v2/{verb}", base_path.trim_end_matches('/')), query, None)
}

/// What an upstream may see of the client's headers.
pub(crate) fn forwards_header(name: &str) -> bool {
    matches!(name, "accept" | "content-type" | "user-agent" | "x-client-name") || name.starts_with("x-fern-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_of_a_text_is_read_and_it_must_be_one() {
        let head = peek(Operation::Embed, br#"{"texts":["a"],"model":"m"}"#).expect("a fair body");
        assert_eq!(head.model.map(|model| model.value).as_deref(), Some("m"));
        for wrong in [r#"{"model":7}"#, r#"{"model":"a","model":"b"}"#, "[]", ""] {
            assert!(peek(Operation::Embed, wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_stand_under_the_root_that_is_configured() {
        assert_eq!(path(Operation::Embed, "", None), "/v2/embed");
        assert_eq!(path(Operation::Rerank, "/proxy/", Some("a=1")), "/proxy/v2/rerank?a=1");
    }

    #[test]
    fn credentials_and_accounts_stay_here() {
        for name in ["authorization", "cookie", "x-api-key", "x-tollgate-tags"] {
            assert!(!forwards_header(name), "{name}");
        }
        assert!(forwards_header("x-client-name") && forwards_header("x-fern-language"));
    }
}
