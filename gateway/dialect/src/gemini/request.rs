//! Requests of the Gemini API: the head, the edits, the path, the headers.
//!
//! Google's parsers take a member under its camelCase and its snake_case name alike, and a whole number
//! as text as well: so does this one, and a member given under both names is given twice.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;
use tollgate_domain::UpstreamModel;

use crate::{
    codec::{Edits, InputEstimate},
    estimate,
    framing::Framing,
    head::{Fields, Head, Malformed, Member},
    path::{self, encode_segment, join_query},
    peek::members,
    splice::{Splices, quoted},
    walk::{Value, Walk, text_of, whole_number},
    wire::Operation,
};

/// The version that an upstream is asked for when neither its address nor its configuration names one.
const API_VERSION: &str = "v1beta";

/// Reads the head. The model that counts stands in the path; one in the body is only kept in step.
pub(crate) fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
    let mut fields = Fields::new(body);
    let stream = operation == Operation::StreamGenerateContent;
    let mut head = Head { choices: 1, stream, ..Head::default() };
    let extent = members(body, |name, span| {
        match name {
            b"model" => head.model = fields.text("model", span)?,
            b"generationConfig" | b"generation_config" if operation.generates() => {
                fields.once("generationConfig")?;
                generation_config(&mut head, body, span)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    head.body_end = extent.end;
    head.no_members = extent.empty;
    Ok(head)
}

fn generation_config(head: &mut Head, body: &[u8], span: Range<usize>) -> Result<(), Malformed> {
    let raw = &body[span.clone()];
    if raw == b"null" {
        return Ok(());
    }
    let mut inner = Fields::new(raw);
    let visited = members(raw, |name, value| {
        let at = span.start + value.start..span.start + value.end;
        match name {
            b"maxOutputTokens" | b"max_output_tokens" => {
                inner.once("generationConfig.maxOutputTokens")?;
                match count("generationConfig.maxOutputTokens", &raw[value])? {
                    None => head.null_output_cap = Some(at),
                    Some(value) => head.output_cap = Some(Member { value, span: at }),
                }
            }
            b"candidateCount" | b"candidate_count" => {
                inner.once("generationConfig.candidateCount")?;
                head.choices = count("generationConfig.candidateCount", &raw[value])?.unwrap_or(1).max(1);
            }
            _ => {}
        }
        Ok(())
    });
    match visited {
        Ok(_) => Ok(()),
        Err(fault) if fault.param.is_some() => Err(fault),
        Err(_) => Err(Malformed::member("generationConfig", "must be an object")),
    }
}

/// A whole number, as such or as text, or nothing for `null`.
fn count(name: &'static str, raw: &[u8]) -> Result<Option<u64>, Malformed> {
    let digits = raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")).unwrap_or(raw);
    match raw {
        b"null" => Ok(None),
        _ => whole_number(digits)
            .map(Some)
            .ok_or_else(|| Malformed::member(name, "must be a whole number of at least 0")),
    }
}

/// Splices the edits in. Usage always comes unasked here.
pub(crate) fn edited(operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
    let mut splices = Splices::default();
    if let Some(model) = edits.model {
        let top = head.model.iter().map(|given| given.span.clone());
        for span in top.chain(models_inside(operation, body)) {
            let text = quoted(&renamed(&text_of(&body[span.start + 1..span.end - 1]), model));
            if body[span.clone()] != *text.as_bytes() {
                splices.replace(span, text);
            }
        }
    }
    if let (true, Some(cap), None) = (operation.generates(), edits.output_cap, &head.output_cap) {
        cap_output(head, body, cap, &mut splices);
    }
    splices.apply(body)
}

/// The model's new name, in the form of the old one.
fn renamed(old: &str, model: &str) -> String {
    let model = bare(model);
    if old.contains('/') { format!("models/{model}") } else { model.to_owned() }
}

/// A model's name without its collection.
pub(crate) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Where requests inside a request name their model. Every name is found, so that it does not matter
/// which of two a provider would heed.
fn models_inside(operation: Operation, body: &[u8]) -> SmallVec<[Range<usize>; 4]> {
    let (outer, depth): (&[&str], u32) = match operation {
        Operation::BatchEmbedContents => (&["requests"], 3),
        Operation::CountTokens => (&["generateContentRequest", "generate_content_request"], 2),
        _ => return SmallVec::new(),
    };
    let mut spans = SmallVec::new();
    let mut inside = false;
    for found in Walk::new(body) {
        if found.depth == 1 {
            inside = outer.contains(&&*text_of(found.name));
        }
        if let (true, Value::Text(text)) = (inside && found.depth == depth, found.value)
            && text_of(found.name) == "model"
        {
            spans.push(found.at..found.at + text.len() + 2);
        }
    }
    spans
}

/// Puts the output cap into the generation's configuration, which is made where there is none.
fn cap_output(head: &Head, body: &[u8], cap: u64, splices: &mut Splices) {
    if let Some(span) = &head.null_output_cap {
        return splices.replace(span.clone(), cap.to_string());
    }
    let member = format!("\"maxOutputTokens\":{cap}");
    let mut config = None;
    // The body was scanned before, and nothing stops this visit.
    let _ = members(body, |name, span| {
        if matches!(name, b"generationConfig" | b"generation_config") {
            config = Some(span);
        }
        Ok(())
    });
    let comma = |empty: bool| if empty { "" } else { "," };
    let Some(span) = config else {
        let text = format!("{}\"generationConfig\":{{{member}}}", comma(head.no_members));
        return splices.insert(head.body_end, text);
    };
    match members(&body[span.clone()], |_, _| Ok(())) {
        Ok(extent) => splices.insert(span.start + extent.end, [comma(extent.empty), &member].concat()),
        // `null`, as peeking admits nothing else that is no object.
        Err(_) => splices.replace(span, format!("{{{member}}}")),
    }
}

/// An upper bound of the input in tokens, or a lower one where files, cached contents or the results
/// of server-side tools come on top.
pub(crate) fn estimate(body: &[u8]) -> InputEstimate {
    let elsewhere = |name: &[u8]| {
        matches!(
            name,
            b"fileUri"
                | b"file_uri"
                | b"cachedContent"
                | b"cached_content"
                | b"googleSearch"
                | b"google_search"
                | b"googleSearchRetrieval"
                | b"google_search_retrieval"
                | b"googleMaps"
                | b"google_maps"
                | b"urlContext"
                | b"url_context"
                | b"codeExecution"
                | b"code_execution"
                | b"fileSearch"
                | b"file_search"
                | b"mcpServers"
                | b"mcp_servers"
        )
    };
    let mut estimate = estimate::of_body(body);
    estimate.lower_bound |= Walk::new(body).any(|found| elsewhere(found.name));
    estimate
}

/// The path at the upstream: `…/models/{model}:{verb}`. The base may be the host's root, end with a
/// version, be a project's of Vertex AI, or be that project's `…/publishers/google`.
pub(crate) fn path(
    operation: Operation,
    base_path: &str,
    model: &UpstreamModel,
    query: Option<&str>,
    api_version: Option<&str>,
) -> String {
    let base = base_path.trim_end_matches('/');
    let last = base.rsplit('/').next().unwrap_or_default();
    let root =
        if base.ends_with("/publishers/google") || matches!(last, "v1" | "v1beta" | "v1alpha" | "v1beta1") {
            base.to_owned()
        } else if base.contains("/projects/") {
            format!("{base}/publishers/google")
        } else {
            format!("{base}/{}", api_version.unwrap_or(API_VERSION))
        };
    let mut path = format!("{root}/models");
    if operation != Operation::ListModels {
        path.push('/');
        path.push_str(&encode_segment(bare(model.as_str())));
    }
    if let Some(verb) = path::gemini::verb(operation) {
        path.push(':');
        path.push_str(verb);
    }
    let query = query.map(forwarded_query);
    join_query(path, query.as_deref(), None)
}

/// The client's query without what is a credential or would change what the gateway can read: other
/// encodings of the answer, a mask over its members (usage among them), a script around it.
fn forwarded_query(query: &str) -> String {
    let is_kept = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match path::decoded(name).as_deref() {
            Some("alt") => matches!(value, "sse" | "json"),
            Some("key" | "access_token" | "oauth_token") | None => false,
            Some("callback" | "fields") => false,
            // The same parameters have a second name each.
            Some(name) => !name.starts_with('$'),
        }
    };
    query.split('&').filter(is_kept).collect::<Vec<_>>().join("&")
}

/// A stream is one JSON array unless the query asks for events.
pub(crate) fn client_framing(operation: Operation, query: Option<&str>) -> Framing {
    let asks_for_events = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        matches!(path::decoded(name).as_deref(), Some("alt" | "$alt")) && value == "sse"
    };
    match operation {
        Operation::StreamGenerateContent if !query.unwrap_or_default().split('&').any(asks_for_events) => {
            Framing::JsonArray
        }
        _ => Framing::Events,
    }
}

/// What a Google upstream may see of the client's headers. The project that a client names for its
/// quota belongs to its own account, and a field mask would hide the usage.
pub(crate) fn forwards_header(name: &str) -> bool {
    matches!(name, "accept" | "content-type" | "user-agent" | "x-goog-api-client" | "x-server-timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATE: Operation = Operation::GenerateContent;

    fn edit(operation: Operation, body: &str, edits: &Edits<'_>) -> String {
        let body = Bytes::from(body.to_owned());
        let head = peek(operation, &body).expect("a fair body");
        String::from_utf8(edited(operation, &head, &body, edits).to_vec()).expect("text")
    }

    #[test]
    fn the_cap_goes_into_the_configuration_where_the_client_gave_none() {
        let cap = Edits { output_cap: Some(9), ..Edits::default() };
        let cases = [
            ("{}", r#"{"generationConfig":{"maxOutputTokens":9}}"#),
            (r#"{"contents":[]} "#, r#"{"contents":[],"generationConfig":{"maxOutputTokens":9}} "#),
            (r#"{"generationConfig":{}}"#, r#"{"generationConfig":{"maxOutputTokens":9}}"#),
            (r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":9}}"#),
            (
                r#"{"generation_config":{ "topK" : 1 },"x":1}"#,
                r#"{"generation_config":{ "topK" : 1 ,"maxOutputTokens":9},"x":1}"#,
            ),
            (
                r#"{"generationConfig":{"maxOutputTokens":null}}"#,
                r#"{"generationConfig":{"maxOutputTokens":9}}"#,
            ),
            (
                r#"{"generation_config":{"max_output_tokens":5}}"#,
                r#"{"generation_config":{"max_output_tokens":5}}"#,
            ),
        ];
        for (body, want) in cases {
            assert_eq!(edit(GENERATE, body, &cap), want, "{body}");
            assert_eq!(edit(Operation::CountTokens, body, &cap), body, "a token count gets no cap");
        }
    }

    #[test]
    fn a_model_in_the_body_is_kept_in_step_with_the_paths() {
        let model = Edits { model: Some("g-2"), ..Edits::default() };
        let cases = [
            (GENERATE, r#"{"contents":[{"model":"a"}]}"#, r#"{"contents":[{"model":"a"}]}"#),
            (GENERATE, r#"{"model":"models/a"}"#, r#"{"model":"models/g-2"}"#),
            (Operation::EmbedContent, r#"{"mod\u0065l":"a"}"#, r#"{"mod\u0065l":"g-2"}"#),
            (
                Operation::BatchEmbedContents,
                r#"{"requests":[{"model":"models/a","content":{"model":"a"}},{"mod\u0065l":"models/b"}],"x":[{"model":"c"}]}"#,
                r#"{"requests":[{"model":"models/g-2","content":{"model":"a"}},{"mod\u0065l":"models/g-2"}],"x":[{"model":"c"}]}"#,
            ),
            (
                Operation::CountTokens,
                r#"{"generateContentRequest":{"model":"models/a","contents":[]}}"#,
                r#"{"generateContentRequest":{"model":"models/g-2","contents":[]}}"#,
            ),
        ];
        for (operation, body, want) in cases {
            assert_eq!(edit(operation, body, &model), want, "{body}");
        }
        let body = Bytes::from_static(br#"{"requests":[{"model":"models/g-2"}]}"#);
        let head = peek(Operation::BatchEmbedContents, &body).expect("a fair body");
        let same = edited(Operation::BatchEmbedContents, &head, &body, &model);
        assert_eq!(same.as_ptr(), body.as_ptr());
    }

    #[test]
    fn the_head_holds_what_the_gateway_needs() {
        let body = br#"{"generationConfig":{"candidateCount":3,"maxOutputTokens":"7"}}"#;
        let head = peek(Operation::StreamGenerateContent, body).expect("a fair body");
        assert_eq!((head.stream, head.choices, head.output_cap.map(|cap| cap.value)), (true, 3, Some(7)));
        assert!(!peek(GENERATE, body).expect("a fair body").stream);
    }

    #[test]
    fn what_would_be_read_differently_behind_us_is_refused_by_name() {
        let cap = Some("generationConfig.maxOutputTokens");
        let cases = [
            (r#"{"generationConfig":{},"generation_config":{}}"#, Some("generationConfig")),
            (r#"{"generationConfig":[]}"#, Some("generationConfig")),
            (r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#, cap),
            (r#"{"generationConfig":{"maxOutputTokens":1.5}}"#, cap),
            (r#"{"generationConfig":{"maxOutputTokens":"1e9"}}"#, cap),
            (r#"{"generationConfig":{"maxOutputTokens":-1}}"#, cap),
            (r#"{"generationConfig":{"candidateCount":{}}}"#, Some("generationConfig.candidateCount")),
            (r#"{"model":"a","model":"b"}"#, Some("model")),
            (r#"{"model":5}"#, Some("model")),
            ("[1]", None),
            ("", None),
        ];
        for (body, param) in cases {
            let fault = peek(GENERATE, body.as_bytes()).expect_err(body);
            assert_eq!((fault.param, fault.code), (param, "invalid_request"), "{body}");
        }
    }

    #[test]
    fn the_base_decides_between_the_developers_path_and_vertex() {
        use Operation::{BatchEmbedContents, GetModel, StreamGenerateContent};
        let vertex = "/v1/projects/p/locations/l";
        let cases = [
            (GENERATE, "", None, "/v1beta/models/g:generateContent"),
            (GENERATE, "/", Some("v1alpha"), "/v1alpha/models/g:generateContent"),
            (StreamGenerateContent, "/v1", None, "/v1/models/g:streamGenerateContent"),
            (BatchEmbedContents, "/team/v1beta/", None, "/team/v1beta/models/g:batchEmbedContents"),
            (GetModel, "", None, "/v1beta/models/g"),
            (GENERATE, vertex, None, "/v1/projects/p/locations/l/publishers/google/models/g:generateContent"),
            (GENERATE, "/v1/publishers/google", None, "/v1/publishers/google/models/g:generateContent"),
        ];
        for (operation, base, version, want) in cases {
            assert_eq!(path(operation, base, &"g".into(), None, version), want);
            assert_eq!(path(operation, base, &"models/g".into(), None, version), want);
        }
    }

    #[test]
    fn a_query_loses_credentials_and_whatever_blinds_the_meter() {
        let asked = |query| path(GENERATE, "", &"g".into(), Some(query), None);
        assert_eq!(asked("alt=sse"), "/v1beta/models/g:generateContent?alt=sse");
        assert_eq!(
            asked("prettyPrint=false&alt=json"),
            "/v1beta/models/g:generateContent?prettyPrint=false&alt=json"
        );
        for query in [
            "key=secret",
            "k%65y=secret",
            "access_token=secret",
            "alt=proto",
            "%61lt=media",
            "fields=candidates",
            "$fields=candidates",
            "%24alt=json;enum-encoding=int",
            "callback=f",
            "%zz=1",
        ] {
            assert_eq!(asked(query), "/v1beta/models/g:generateContent", "{query}");
        }
    }

    #[test]
    fn what_stands_elsewhere_makes_a_lower_bound() {
        let cases = [
            (r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://a/b"}}]}]}"#, true),
            (r#"{"cachedContent":"cachedContents/1"}"#, true),
            (r#"{"tools":[{"googleSearch":{}}]}"#, true),
            (r#"{"contents":[{"parts":[{"text":"googleSearch"}]}]}"#, false),
        ];
        for (body, want) in cases {
            assert_eq!(estimate(body.as_bytes()).lower_bound, want, "{body}");
        }
    }

    #[test]
    fn neither_credentials_nor_projects_nor_masks_go_upstream() {
        for name in [
            "authorization",
            "x-goog-api-key",
            "cookie",
            "x-goog-user-project",
            "x-goog-fieldmask",
            "x-http-method-override",
            "x-tollgate-user",
        ] {
            assert!(!forwards_header(name), "{name}");
        }
        assert!(forwards_header("x-goog-api-client") && forwards_header("content-type"));
    }
}
