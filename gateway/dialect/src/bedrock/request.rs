//! Requests of Bedrock: the head, the edits, the path, the headers.
//!
//! The model stands in the path alone. The output cap stands in `inferenceConfig` of a conversation; a
//! call in a vendor's words has it where that vendor has it.

use std::ops::Range;

use bytes::Bytes;
use tollgate_domain::UpstreamModel;

use super::invoke;
use crate::{
    codec::{Edits, InputEstimate},
    estimate,
    head::{Fields, Head, Malformed, Member},
    path::{self, encode_segment},
    peek::{Extent, members},
    splice::Splices,
    walk::{Value, Walk},
    wire::Operation,
};

/// The hidden instructions that come with tools, at their longest.
const TOOL_PROMPT_TOKENS: u64 = 600;

/// Reads the head.
pub(crate) fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
    let stream = matches!(operation, Operation::ConverseStream | Operation::InvokeModelStream);
    let mut head = Head { choices: 1, stream, ..Head::default() };
    let extent = match operation {
        // A body without a byte is sent by clients that only look whether the model is there.
        Operation::InvokeModel | Operation::InvokeModelStream if body.is_empty() => {
            Extent { end: 0, empty: true }
        }
        Operation::InvokeModel | Operation::InvokeModelStream => invoke::request::peek(&mut head, body)?,
        Operation::Converse | Operation::ConverseStream => conversation(&mut head, body)?,
        _ => members(body, |_, _| Ok(()))?,
    };
    head.body_end = extent.end;
    head.no_members = extent.empty;
    Ok(head)
}

fn conversation(head: &mut Head, body: &[u8]) -> Result<Extent, Malformed> {
    let mut fields = Fields::new(body);
    members(body, |name, span| {
        match name {
            b"inferenceConfig" => {
                fields.once("inferenceConfig")?;
                cap_within(head, body, span, "inferenceConfig", &["maxTokens"])?;
            }
            // What a model takes beside its configuration may be a cap once more.
            b"additionalModelRequestFields" => {
                fields.once("additionalModelRequestFields")?;
                invoke::request::further_caps(head, body, span)?;
            }
            _ => {}
        }
        Ok(())
    })
}

/// Reads the output caps among the members of an object, which may be `null`.
pub(super) fn cap_within(
    head: &mut Head,
    body: &[u8],
    span: Range<usize>,
    object: &'static str,
    names: &[&'static str],
) -> Result<(), Malformed> {
    let raw = &body[span.clone()];
    if raw == b"null" {
        return Ok(());
    }
    let mut fields = Fields::new(raw);
    let visited = members(raw, |name, value| {
        let Some(known) = names.iter().find(|known| known.as_bytes() == name) else { return Ok(()) };
        let cap = fields.whole_number(known, value)?;
        heed(head, cap, span.start);
        Ok(())
    });
    match visited {
        Ok(_) => Ok(()),
        Err(fault) if fault.param.is_some() => Err(fault),
        Err(_) => Err(Malformed::member(object, "must be an object")),
    }
}

/// Takes an output cap that was read in a part of the body. Where there are several, the larger counts,
/// since a model may heed either.
pub(super) fn heed(head: &mut Head, cap: Option<Member<u64>>, offset: usize) {
    let Some(Member { value, span }) = cap else { return };
    if head.output_cap.as_ref().is_none_or(|known| known.value < value) {
        head.output_cap = Some(Member { value, span: span.start + offset..span.end + offset });
    }
}

/// Splices the edits in. Usage always comes unasked here.
pub(crate) fn edited(operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
    let mut splices = Splices::default();
    if body.is_empty() {
        return body.clone();
    }
    let cap = edits.output_cap.filter(|_| head.output_cap.is_none());
    match operation {
        Operation::Converse | Operation::ConverseStream => {
            if let Some(cap) = cap {
                insert(body, head.body_end, &["inferenceConfig", "maxTokens"], cap, &mut splices);
            }
        }
        Operation::InvokeModel | Operation::InvokeModelStream => {
            invoke::request::edit(head, body, edits.model, cap, &mut splices);
        }
        _ => {}
    }
    splices.apply(body)
}

/// Puts a number at the end of a way of members; objects on the way are made where there are none, and
/// a `null` is replaced. `end` is where the closing brace of the whole stands.
pub(super) fn insert(body: &[u8], end: usize, way: &[&str], number: u64, splices: &mut Splices) {
    let (mut object, mut end) = (0..end + 1, end);
    for (at, name) in way.iter().enumerate() {
        let mut found = None;
        // The body was scanned before, and nothing stops this visit.
        let visited = members(&body[object.clone()], |known, span| {
            if known == name.as_bytes() {
                found = Some(object.start + span.start..object.start + span.end);
            }
            Ok(())
        });
        let Ok(extent) = visited else { return };
        let rest = || written(&way[at + 1..], number);
        match found {
            Some(span) if body[span.clone()] == *b"null" => return splices.replace(span, rest()),
            Some(span) => (object, end) = (span.clone(), span.end - 1),
            None => {
                let comma = if extent.empty { "" } else { "," };
                return splices.insert(end, format!("{comma}\"{name}\":{}", rest()));
            }
        }
    }
}

/// A number inside the objects of a way.
fn written(way: &[&str], number: u64) -> String {
    way.iter().rev().fold(number.to_string(), |inner, name| format!("{{\"{name}\":{inner}}}"))
}

/// An upper bound of the input in tokens, or a lower one where prompts, files or the results of
/// server-side tools come on top. The dearest tokenizer among the vendors is assumed.
pub(crate) fn estimate(body: &[u8]) -> InputEstimate {
    let mut estimate = estimate::of_body(body);
    estimate.tokens = estimate.tokens.saturating_add(estimate.tokens / 3);
    let mut tools = false;
    for found in Walk::new(body) {
        match found.name {
            b"toolConfig" | b"tools" => tools |= found.value == Value::Open,
            b"s3Location" | b"systemTool" | b"promptVariables" => estimate.lower_bound = true,
            _ => {}
        }
    }
    if tools {
        estimate.tokens = estimate.tokens.saturating_add(TOOL_PROMPT_TOKENS);
    }
    estimate
}

/// The path at the upstream: `…/model/{id}/{verb}`, the id as one segment. There is no query, since all
/// that clients put there is their signature.
pub(crate) fn path(operation: Operation, base_path: &str, model: &UpstreamModel) -> String {
    let base = base_path.trim_end_matches('/');
    let verb = path::bedrock::verb(operation).unwrap_or_default();
    format!("{base}/model/{}/{verb}", encode_segment(model.as_str()))
}

/// What a Bedrock upstream may see of the client's headers: what shapes the answer, and nothing of
/// its signature.
pub(crate) fn forwards_header(name: &str) -> bool {
    matches!(name, "accept" | "content-type" | "user-agent")
        || ["x-amzn-bedrock-", "x-stainless-"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSE: Operation = Operation::Converse;

    fn edit(operation: Operation, body: &str, edits: &Edits<'_>) -> String {
        let body = Bytes::from(body.to_owned());
        let head = peek(operation, &body).expect("a fair body");
        String::from_utf8(edited(operation, &head, &body, edits).to_vec()).expect("text")
    }

    #[test]
    fn the_cap_goes_into_the_configuration_where_the_client_gave_none() {
        let cap = Edits { model: Some("m"), output_cap: Some(9), ..Edits::default() };
        let cases = [
            ("{}", r#"{"inferenceConfig":{"maxTokens":9}}"#),
            (r#"{"messages":[]} "#, r#"{"messages":[],"inferenceConfig":{"maxTokens":9}} "#),
            (r#"{"inferenceConfig":{},"a":1}"#, r#"{"inferenceConfig":{"maxTokens":9},"a":1}"#),
            (r#"{"inferenceConfig":null}"#, r#"{"inferenceConfig":{"maxTokens":9}}"#),
            (
                r#"{"inferenceConfig":{ "topP" : 1 },"x":1}"#,
                r#"{"inferenceConfig":{ "topP" : 1 ,"maxTokens":9},"x":1}"#,
            ),
            (r#"{"inferenceConfig":{"maxTokens":null}}"#, r#"{"inferenceConfig":{"maxTokens":9}}"#),
            (r#"{"inferenceConfig":{"maxTokens":5}}"#, r#"{"inferenceConfig":{"maxTokens":5}}"#),
            (
                r#"{"additionalModelRequestFields":{"max_tokens":5}}"#,
                r#"{"additionalModelRequestFields":{"max_tokens":5}}"#,
            ),
        ];
        for (body, want) in cases {
            assert_eq!(edit(CONVERSE, body, &cap), want, "{body}");
            assert_eq!(edit(Operation::CountTokens, body, &cap), body, "a token count gets no cap");
        }
        assert_eq!(
            edit(CONVERSE, r#"{"model":"a"}"#, &Edits { output_cap: None, ..cap }),
            r#"{"model":"a"}"#
        );
    }

    #[test]
    fn the_largest_cap_counts_wherever_it_stands() {
        let cap = |body: &str| {
            let head = peek(Operation::ConverseStream, body.as_bytes()).expect("a fair body");
            assert!(head.stream);
            let cap = head.output_cap?;
            assert_eq!(&body[cap.span], cap.value.to_string());
            Some(cap.value)
        };
        assert_eq!(cap(r#"{"inferenceConfig":{"maxTokens":7}}"#), Some(7));
        assert_eq!(
            cap(
                r#"{"inferenceConfig":{"maxTokens":7},"additionalModelRequestFields":{"inferenceConfig":{"max_new_tokens":900}}}"#
            ),
            Some(900)
        );
        assert_eq!(
            cap(r#"{"additionalModelRequestFields":{"max_tokens":5},"inferenceConfig":{"maxTokens":7}}"#),
            Some(7)
        );
        assert_eq!(cap(r#"{"messages":[{"maxTokens":1}]}"#), None);
    }

    #[test]
    fn what_would_be_read_differently_behind_us_is_refused_by_name() {
        let cases = [
            (r#"{"inferenceConfig":{},"inferenceConfig":{}}"#, Some("inferenceConfig")),
            (r#"{"inferenceConfig":[]}"#, Some("inferenceConfig")),
            (r#"{"inferenceConfig":{"maxTokens":1,"max\u0054okens":2}}"#, Some("maxTokens")),
            (r#"{"inferenceConfig":{"maxTokens":1.5}}"#, Some("maxTokens")),
            (r#"{"inferenceConfig":{"maxTokens":"9"}}"#, Some("maxTokens")),
            (r#"{"additionalModelRequestFields":{"max_tokens":-1}}"#, Some("max_tokens")),
            ("[1]", None),
            ("", None),
        ];
        for (body, param) in cases {
            let fault = peek(CONVERSE, body.as_bytes()).expect_err(body);
            assert_eq!((fault.param, fault.code), (param, "invalid_request"), "{body}");
        }
    }

    #[test]
    fn the_model_is_one_segment_of_the_path() {
        let cases = [
            (CONVERSE, "", "amazon.nova-lite-v1:0", "/model/amazon.nova-lite-v1%3A0/converse"),
            (Operation::ConverseStream, "/", "m", "/model/m/converse-stream"),
            (Operation::InvokeModel, "/aws/", "arn:a/b", "/aws/model/arn%3Aa%2Fb/invoke"),
            (Operation::InvokeModelStream, "", "m", "/model/m/invoke-with-response-stream"),
            (Operation::CountTokens, "", "m", "/model/m/count-tokens"),
        ];
        for (operation, base, model, want) in cases {
            assert_eq!(path(operation, base, &model.into()), want);
        }
    }

    #[test]
    fn media_count_by_kind_and_what_stands_elsewhere_makes_a_lower_bound() {
        let body = |part: &str| format!(r#"{{"messages":[{{"content":[{part}]}}]}}"#);
        let picture = format!(r#"{{"image":{{"source":{{"bytes":"iVBOR{}"}}}}}}"#, "A".repeat(1_000_000));
        let estimated = estimate(body(&picture).as_bytes());
        assert!(estimated.tokens < 10_000 && !estimated.lower_bound, "{estimated:?}");
        let stored = r#"{"video":{"source":{"s3Location":{"uri":"s3://a/b"}}}}"#;
        assert!(estimate(body(stored).as_bytes()).lower_bound);
        let tools = r#"{"toolConfig":{"tools":[]}}"#;
        assert!(estimate(tools.as_bytes()).tokens > TOOL_PROMPT_TOKENS);
    }

    #[test]
    fn neither_credentials_nor_signatures_go_upstream() {
        for name in [
            "authorization",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-content-sha256",
            "x-amz-target",
            "x-api-key",
            "cookie",
            "x-tollgate-user",
        ] {
            assert!(!forwards_header(name), "{name}");
        }
        assert!(forwards_header("x-amzn-bedrock-guardrailidentifier") && forwards_header("accept"));
    }
}
