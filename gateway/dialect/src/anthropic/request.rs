//! Requests of the Messages API: the head, the edits, the path, the headers.

use bytes::Bytes;
use tollgate_domain::UpstreamModel;

use crate::{
    codec::{Edits, InputEstimate},
    estimate,
    head::{Fields, Head, Malformed, end_user},
    path::{encode_segment, join_query, verb},
    peek::members,
    splice::{Splices, quoted},
    wire::Operation,
};

/// The hidden instructions that come with tools, at their longest.
const TOOL_PROMPT_TOKENS: u64 = 600;

/// Reads the head.
pub(crate) fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
    let messages = operation == Operation::Messages;
    let mut fields = Fields::new(body);
    let mut head = Head { choices: 1, ..Head::default() };
    let extent = members(body, |name, span| {
        match name {
            b"model" => head.model = fields.text("model", span)?,
            b"stream" if messages => head.stream = fields.flag("stream", &span)?.unwrap_or(false),
            b"max_tokens" if messages => match fields.whole_number("max_tokens", span.clone())? {
                None => head.null_output_cap = Some(span),
                given => head.output_cap = given,
            },
            b"metadata" if messages => {
                let raw = fields.raw(&span);
                // Anything but an object is the upstream's to refuse.
                let _ = members(raw, |name, value| {
                    if name == b"user_id" {
                        head.end_user = end_user(&raw[value]);
                    }
                    Ok(())
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    head.body_end = extent.end;
    head.no_members = extent.empty;
    Ok(head)
}

/// Splices the edits in. Usage always comes unasked here.
pub(crate) fn edited(operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
    let mut splices = Splices::default();
    let mut comma = if head.no_members { "" } else { "," };
    if let Some(model) = edits.model {
        let text = quoted(model);
        match &head.model {
            Some(given) if given.value == model => {}
            Some(given) => splices.replace(given.span.clone(), text),
            None => {
                splices.insert(head.body_end, format!("{comma}\"model\":{text}"));
                comma = ",";
            }
        }
    }
    // The API demands the cap, but an upstream that fills in its own must not be let loose.
    if let (Operation::Messages, Some(cap), None) = (operation, edits.output_cap, &head.output_cap) {
        match &head.null_output_cap {
            Some(span) => splices.replace(span.clone(), cap.to_string()),
            None => splices.insert(head.body_end, format!("{comma}\"max_tokens\":{cap}")),
        }
    }
    splices.apply(body)
}

/// An upper bound of the input in tokens. Newer tokenizers of this vendor give up to a third more
/// tokens than the common encodings, and tools bring hidden instructions.
pub(crate) fn estimate(body: &[u8]) -> InputEstimate {
    let mut estimate = estimate::of_body(body);
    estimate.tokens = estimate.tokens.saturating_add(estimate.tokens / 3);
    if memchr::memmem::find(body, b"\"tools\"").is_some() {
        estimate.tokens = estimate.tokens.saturating_add(TOOL_PROMPT_TOKENS);
    }
    estimate
}

/// The path under the host root, or under a base that already ends with `/v1`.
pub(crate) fn path(
    operation: Operation,
    base_path: &str,
    model: &UpstreamModel,
    query: Option<&str>,
) -> String {
    let base = base_path.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let mut path = format!("{base}/v1/{}", verb(operation));
    if operation == Operation::GetModel {
        path.push('/');
        path.push_str(&encode_segment(model.as_str()));
    }
    join_query(path, query, None)
}

/// What an Anthropic upstream may see of the client's headers. Version and betas change the shape
/// of bodies and streams, so that they go on byte for byte; workspace and profile belong to the
/// client's account.
pub(crate) fn forwards_header(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "anthropic-beta"
            | "anthropic-dangerous-direct-browser-access"
            | "anthropic-version"
            | "content-type"
            | "idempotency-key"
            | "user-agent"
            | "x-app"
    ) || name.starts_with("x-stainless-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_cap_are_spliced_and_a_token_count_gets_no_cap() {
        let edits = Edits { model: Some("b"), include_usage: true, output_cap: Some(9) };
        let cases = [
            (Operation::Messages, r#"{"model":"a"}"#, r#"{"model":"b","max_tokens":9}"#),
            (Operation::Messages, r#"{"max_tokens":0,"model":"a"}"#, r#"{"max_tokens":0,"model":"b"}"#),
            (Operation::Messages, r#"{"max_tokens":null}"#, r#"{"max_tokens":9,"model":"b"}"#),
            (Operation::CountTokens, r#"{"model":"a"}"#, r#"{"model":"b"}"#),
            (Operation::Messages, "{}", r#"{"model":"b","max_tokens":9}"#),
        ];
        for (operation, body, want) in cases {
            let body = Bytes::from_static(body.as_bytes());
            let head = peek(operation, &body).expect("a fair body");
            assert_eq!(edited(operation, &head, &body, &edits), want);
        }
    }

    #[test]
    fn the_end_user_stands_in_the_metadata() {
        let head = |body: &str| peek(Operation::Messages, body.as_bytes()).map(|head| head.end_user);
        assert_eq!(head(r#"{"metadata":{"user_id":"u"}}"#), Ok(Some("u".to_owned())));
        assert_eq!(head(r#"{"metadata":null}"#), Ok(None));
    }

    #[test]
    fn a_base_with_and_without_the_version_gives_one_path() {
        for base in ["", "/", "/v1", "/v1/"] {
            let path = path(Operation::Messages, base, &"m".into(), Some("beta=true"));
            assert_eq!(path, "/v1/messages?beta=true");
        }
        let path = path(Operation::GetModel, "/anthropic", &"a/b".into(), None);
        assert_eq!(path, "/anthropic/v1/models/a%2Fb");
    }

    #[test]
    fn version_and_betas_go_upstream_and_credentials_do_not() {
        assert!(forwards_header("anthropic-version") && forwards_header("anthropic-beta"));
        for name in ["x-api-key", "authorization", "cookie", "anthropic-workspace-id", "x-tollgate-user"] {
            assert!(!forwards_header(name), "{name}");
        }
    }
}
