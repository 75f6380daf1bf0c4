//! Requests of the OpenAI family: the head, the edits, the path, the headers.

use std::ops::Range;

use bytes::Bytes;
use tollgate_domain::UpstreamModel;

use crate::{
    codec::{Edits, InputEstimate},
    estimate,
    head::{Fields, Head, Malformed, Member, end_user},
    openai::media,
    path::{encode_segment, join_query, verb},
    peek::members,
    splice::{Splices, quoted},
    wire::Operation,
};

/// Reads the head; members that the operation does not know are not interpreted.
pub(crate) fn peek(operation: Operation, body: &[u8]) -> Result<Head, Malformed> {
    if operation.is_media() || operation == Operation::Rerank {
        return media::peek(operation, body);
    }
    let chat = operation == Operation::ChatCompletions;
    let completions = operation == Operation::Completions;
    let responses = operation == Operation::Responses;
    let stateful = matches!(
        operation,
        Operation::Responses | Operation::CountResponseTokens | Operation::CompactResponse
    );
    let mut fields = Fields::new(body);
    let mut head = Head { choices: 1, ..Head::default() };
    // Unless told otherwise, it does.
    let mut keeps = responses || operation == Operation::CreateConversation;
    let extent = members(body, |name, span| {
        match name {
            b"model" => head.model = fields.text("model", span)?,
            b"stream" if chat || completions || responses => {
                head.stream = fields.flag("stream", &span)?.unwrap_or(false)
            }
            b"max_completion_tokens" if chat => cap(&mut head, &mut fields, "max_completion_tokens", span)?,
            b"max_output_tokens" if responses => cap(&mut head, &mut fields, "max_output_tokens", span)?,
            b"max_tokens" if chat => {
                let given = fields.whole_number("max_tokens", span)?;
                head.output_cap = larger(head.output_cap.take(), given);
            }
            b"max_tokens" if completions => cap(&mut head, &mut fields, "max_tokens", span)?,
            b"n" if chat || completions => {
                let n = fields.whole_number("n", span)?.map_or(1, |n| n.value.max(1));
                head.choices = head.choices.max(n);
            }
            // All of them are made and billed, whatever is shown.
            b"best_of" if completions => {
                let best_of = fields.whole_number("best_of", span)?.map_or(1, |n| n.value.max(1));
                head.choices = head.choices.max(best_of);
            }
            b"stream_options" if chat || completions => stream_options(&mut head, &mut fields, span)?,
            b"user" => head.end_user = head.end_user.take().or_else(|| end_user(fields.raw(&span))),
            b"safety_identifier" => {
                head.end_user = end_user(fields.raw(&span)).or_else(|| head.end_user.take());
            }
            b"previous_response_id" if stateful => {
                head.previous_response = fields.text("previous_response_id", span)?.map(|id| id.value);
            }
            b"store" if responses => keeps = fields.flag("store", &span)?.unwrap_or(true),
            b"conversation" if stateful => head.conversation = conversation(&mut fields, &span)?,
            b"prompt" if stateful => head.prompt = prompt(&mut fields, &span)?,
            b"background" if responses => {
                head.background = fields.flag("background", &span)?.unwrap_or(false)
            }
            _ => {}
        }
        Ok(())
    })?;
    if head.conversation.is_some() && head.previous_response.is_some() {
        return Err(Malformed::member(
            "conversation",
            "cannot be given together with `previous_response_id`",
        ));
    }
    head.stores = keeps;
    head.body_end = extent.end;
    head.no_members = extent.empty;
    Ok(head)
}

fn cap(
    head: &mut Head,
    fields: &mut Fields<'_>,
    name: &'static str,
    span: Range<usize>,
) -> Result<(), Malformed> {
    match fields.whole_number(name, span.clone())? {
        None => head.null_output_cap = Some(span),
        given => head.output_cap = larger(head.output_cap.take(), given),
    }
    Ok(())
}

fn larger(one: Option<Member<u64>>, other: Option<Member<u64>>) -> Option<Member<u64>> {
    [one, other].into_iter().flatten().max_by_key(|cap| cap.value)
}

/// The id of a conversation, which stands alone or in an object.
fn conversation(fields: &mut Fields<'_>, span: &Range<usize>) -> Result<Option<String>, Malformed> {
    let wrong = || Malformed::member("conversation", "must be an id, or an object with an `id`");
    let raw = fields.once_raw("conversation", span)?;
    match raw.first() {
        Some(b'{') => id_inside(raw, "conversation.id")?.map(Some).ok_or_else(wrong),
        Some(b'"') => serde_json::from_slice(raw).map(Some).map_err(|_| wrong()),
        _ if raw == b"null" => Ok(None),
        _ => Err(wrong()),
    }
}

/// The id of a stored prompt.
fn prompt(fields: &mut Fields<'_>, span: &Range<usize>) -> Result<Option<String>, Malformed> {
    let wrong = || Malformed::member("prompt", "must be an object with an `id`");
    match fields.once_raw("prompt", span)? {
        b"null" => Ok(None),
        raw if raw.first() == Some(&b'{') => id_inside(raw, "prompt.id")?.map(Some).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn id_inside(raw: &[u8], place: &'static str) -> Result<Option<String>, Malformed> {
    let (mut inner, mut id) = (Fields::new(raw), None);
    members(raw, |name, value| {
        if name == b"id" {
            id = inner.text(place, value)?.map(|id| id.value);
        }
        Ok(())
    })?;
    Ok(id)
}

fn stream_options(head: &mut Head, fields: &mut Fields<'_>, span: Range<usize>) -> Result<(), Malformed> {
    fields.once("stream_options")?;
    let raw = fields.raw(&span);
    if raw != b"null" {
        let mut inner = Fields::new(raw);
        members(raw, |name, value| {
            if name == b"include_usage" {
                head.include_usage = inner.flag("stream_options.include_usage", &value)?;
            }
            Ok(())
        })
        .map_err(|fault| match fault.param {
            Some(_) => fault,
            None => Malformed::member("stream_options", "must be an object"),
        })?;
    }
    head.stream_options = Some(span);
    Ok(())
}

/// Splices the edits in; see [`Edits`] for all there are.
pub(crate) fn edited(operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes {
    let mut splices = Splices::default();
    let mut added = Added { at: head.body_end, first: head.no_members };
    if let Some(model) = edits.model {
        // A form's field has no quotes around it.
        let text = || if head.form.is_some() { model.to_owned() } else { quoted(model) };
        match &head.model {
            Some(given) if given.value == model => {}
            Some(given) => splices.replace(given.span.clone(), text()),
            // Only Azure's deployments may leave it out, and no server of theirs misses it in a form.
            None if head.form.is_some() => {}
            None => added.member(&mut splices, "model", &text()),
        }
    }
    let asks = operation.tells_usage_when_asked() && head.stream && edits.include_usage;
    if asks && head.include_usage != Some(true) {
        ask_for_usage(head, body, &mut splices, &mut added);
    }
    if let (Some(cap), Some(name), None) = (edits.output_cap, cap_member(operation), &head.output_cap) {
        match &head.null_output_cap {
            Some(span) => splices.replace(span.clone(), cap.to_string()),
            None => added.member(&mut splices, name, &cap.to_string()),
        }
    }
    splices.apply(body)
}

fn cap_member(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::ChatCompletions => Some("max_completion_tokens"),
        Operation::Completions => Some("max_tokens"),
        Operation::Responses => Some("max_output_tokens"),
        _ => None,
    }
}

/// Adds members at the end of an object, with the commas they need.
struct Added {
    at: usize,
    first: bool,
}

impl Added {
    fn member(&mut self, splices: &mut Splices, name: &str, value: &str) {
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        splices.insert(self.at, [comma, "\"", name, "\":", value].concat());
    }
}

/// Sets `stream_options.include_usage`, keeping the option's other members as they are.
fn ask_for_usage(head: &Head, body: &[u8], splices: &mut Splices, added: &mut Added) {
    const ASKING: &str = r#"{"include_usage":true}"#;
    let Some(options) = &head.stream_options else {
        return added.member(splices, "stream_options", ASKING);
    };
    let raw = &body[options.clone()];
    let mut given = None;
    let extent = members(raw, |name, span| {
        if name == b"include_usage" {
            given = Some(options.start + span.start..options.start + span.end);
        }
        Ok(())
    });
    match (given, extent) {
        (Some(span), _) => splices.replace(span, "true".to_owned()),
        (None, Ok(extent)) => {
            let mut inner = Added { at: options.start + extent.end, first: extent.empty };
            inner.member(splices, "include_usage", "true");
        }
        // `null`, as peeking admits nothing else that is no object.
        (None, Err(_)) => splices.replace(options.clone(), ASKING.to_owned()),
    }
}

/// An upper bound of the input in tokens.
pub(crate) fn estimate(body: &[u8], head: &Head) -> InputEstimate {
    let mut estimate = match &head.form {
        Some(form) => form.input,
        None => estimate::of_body(body),
    };
    estimate.lower_bound |=
        head.previous_response.is_some() || head.conversation.is_some() || head.prompt.is_some();
    estimate
}

/// The path under a base that ends with `/v1`.
pub(crate) fn path(
    operation: Operation,
    base_path: &str,
    model: &UpstreamModel,
    query: Option<&str>,
) -> String {
    let base = base_path.trim_end_matches('/');
    let path = if operation == Operation::GetModel || operation.is_of_stored() {
        path_of_stored(operation, base, model.as_str())
    } else {
        format!("{base}/{}", verb(operation))
    };
    join_query(path, query, None)
}

/// The path that names one model, or what is kept. `named` is as a [`Call`](crate::Call) has it.
pub(crate) fn path_of_stored(operation: Operation, base: &str, named: &str) -> String {
    let both = named.split_once('/').filter(|_| operation.is_of_conversation());
    let (id, item) = both.map_or((named, None), |(id, item)| (id, Some(item)));
    let mut path = format!("{base}/{}/{}", verb(operation), encode_segment(id));
    path.push_str(match operation {
        Operation::CancelResponse => "/cancel",
        Operation::ListResponseInput => "/input_items",
        Operation::ListConversationItems
        | Operation::CreateConversationItems
        | Operation::GetConversationItem
        | Operation::DeleteConversationItem => "/items",
        _ => "",
    });
    if let Some(item) = item {
        path.push('/');
        path.push_str(&encode_segment(item));
    }
    path
}

/// What an OpenAI upstream may see of the client's headers. Organisation and project are left
/// out: they belong to the client's account, not to the upstream's.
pub(crate) fn forwards_header(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "content-type"
            | "idempotency-key"
            | "openai-beta"
            | "user-agent"
            | "x-client-request-id"
            | "x-ms-client-request-id"
    ) || name.starts_with("x-stainless-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Operation = Operation::ChatCompletions;

    fn edit(operation: Operation, body: &str, edits: &Edits<'_>) -> String {
        let body = Bytes::from(body.to_owned());
        let head = peek(operation, &body).expect("a fair body");
        String::from_utf8(edited(operation, &head, &body, edits).to_vec()).expect("text")
    }

    #[test]
    fn each_edit_changes_its_own_bytes_and_no_others() {
        let model = Edits { model: Some("m\"2"), ..Edits::default() };
        let usage = Edits { include_usage: true, ..Edits::default() };
        let cap = Edits { output_cap: Some(9), ..Edits::default() };
        let all = Edits { model: Some("b"), include_usage: true, output_cap: Some(9) };
        let cases = [
            (CHAT, model, r#"{ "model" : "m1" , "x":1e2}"#, r#"{ "model" : "m\"2" , "x":1e2}"#),
            (CHAT, model, r#"{"mod\u0065l":"m1"}"#, r#"{"mod\u0065l":"m\"2"}"#),
            (CHAT, model, "{}", r#"{"model":"m\"2"}"#),
            (CHAT, usage, r#"{"a":1}"#, r#"{"a":1}"#),
            (CHAT, usage, r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (
                CHAT,
                usage,
                r#"{"stream":true,"stream_options":null}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                CHAT,
                usage,
                r#"{"stream_options":{ },"stream":true}"#,
                r#"{"stream_options":{ "include_usage":true},"stream":true}"#,
            ),
            (
                CHAT,
                usage,
                r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#,
                r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}"#,
            ),
            (
                CHAT,
                usage,
                r#"{"stream":true,"stream_options":{"include_usage": false}}"#,
                r#"{"stream":true,"stream_options":{"include_usage": true}}"#,
            ),
            (CHAT, cap, r#"{"a":1} "#, r#"{"a":1,"max_completion_tokens":9} "#),
            (CHAT, cap, r#"{"max_tokens":5}"#, r#"{"max_tokens":5}"#),
            (CHAT, cap, r#"{"max_completion_tokens":null}"#, r#"{"max_completion_tokens":9}"#),
            (
                Operation::Completions,
                usage,
                r#"{"stream":true}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (Operation::Completions, cap, r#"{"max_tokens":null}"#, r#"{"max_tokens":9}"#),
            (Operation::Responses, cap, "{}", r#"{"max_output_tokens":9}"#),
            (Operation::Responses, usage, r#"{"stream":true}"#, r#"{"stream":true}"#),
            (Operation::Embeddings, all, r#"{"model":"a","input":[1]}"#, r#"{"model":"b","input":[1]}"#),
            (
                CHAT,
                all,
                r#"{"stream":true,"model":"a"}"#,
                r#"{"stream":true,"model":"b","stream_options":{"include_usage":true},"max_completion_tokens":9}"#,
            ),
        ];
        for (operation, edits, body, want) in cases {
            assert_eq!(edit(operation, body, &edits), want, "{body}");
        }
    }

    #[test]
    fn a_body_that_needs_no_edit_is_the_same_memory() {
        let body = Bytes::from_static(
            br#"{"model":"a","stream":true,"stream_options":{"include_usage":true},"max_tokens":1}"#,
        );
        let head = peek(CHAT, &body).expect("a fair body");
        let edits = Edits { model: Some("a"), include_usage: true, output_cap: Some(9) };
        assert_eq!(edited(CHAT, &head, &body, &edits).as_ptr(), body.as_ptr());
    }

    #[test]
    fn the_head_holds_what_the_gateway_needs() {
        let body = br#"{"model":"m","stream":true,"n":3,"max_tokens":7,"max_completion_tokens":5,"user":"u","safety_identifier":"s"}"#;
        let head = peek(CHAT, body).expect("a fair body");
        let cap = head.output_cap.map(|cap| cap.value);
        assert_eq!((head.stream, head.choices, cap, head.end_user), (true, 3, Some(7), Some("s".to_owned())));
    }

    #[test]
    fn a_conversation_is_named_alone_or_in_an_object() {
        let cases = [
            (r#"{"conversation":"conv_1"}"#, Ok(Some("conv_1"))),
            (r#"{"conversation":{"id":"conv\u005f1"}}"#, Ok(Some("conv_1"))),
            (r#"{"conversation":null,"previous_response_id":"r"}"#, Ok(None)),
            ("{}", Ok(None)),
            (r#"{"conversation":{}}"#, Err("conversation")),
            (r#"{"conversation":{"id":null}}"#, Err("conversation")),
            (r#"{"conversation":{"id":1}}"#, Err("conversation.id")),
            (r#"{"conversation":{"id":"a","id":"b"}}"#, Err("conversation.id")),
            (r#"{"conversation":"a","conversation":"b"}"#, Err("conversation")),
            (r#"{"conversation":["a"]}"#, Err("conversation")),
            (r#"{"conversation":"\ud800"}"#, Err("conversation")),
            (r#"{"conversation":"a","previous_response_id":"r"}"#, Err("conversation")),
        ];
        for (body, want) in cases {
            let head = peek(Operation::Responses, body.as_bytes());
            let got = head.map(|head| head.conversation).map_err(|fault| fault.param.unwrap_or_default());
            assert_eq!(got.as_ref().map(Option::as_deref), want.as_ref().map(|id| *id), "{body}");
        }
    }

    #[test]
    fn a_stored_prompt_is_named_in_an_object() {
        let cases = [
            (r#"{"prompt":{"version":"2","id":"pmpt_1","variables":{"id":"x"}}}"#, Ok(Some("pmpt_1"))),
            (r#"{"prompt":null}"#, Ok(None)),
            (r#"{"prompt":"pmpt_1"}"#, Err("prompt")),
            (r#"{"prompt":{"version":"2"}}"#, Err("prompt")),
            (r#"{"prompt":{"id":"a","id":"b"}}"#, Err("prompt.id")),
        ];
        for (body, want) in cases {
            let head = peek(Operation::Responses, body.as_bytes());
            let got = head.map(|head| head.prompt).map_err(|fault| fault.param.unwrap_or_default());
            assert_eq!(got.as_ref().map(Option::as_deref), want.as_ref().map(|id| *id), "{body}");
        }
    }

    #[test]
    fn what_is_kept_has_a_path_of_its_own() {
        use Operation::{
            CancelResponse, DeleteConversationItem, GetConversation, GetModel, ListConversationItems,
        };
        let cases = [
            (CancelResponse, "resp 1", "/v1/responses/resp%201/cancel"),
            (GetConversation, "conv_1", "/v1/conversations/conv_1"),
            (ListConversationItems, "conv_1", "/v1/conversations/conv_1/items"),
            (DeleteConversationItem, "conv_1/msg 2", "/v1/conversations/conv_1/items/msg%202"),
            (GetModel, "meta/llama", "/v1/models/meta%2Fllama"),
        ];
        for (operation, named, want) in cases {
            assert_eq!(path(operation, "/v1/", &named.into(), None), want);
        }
    }

    #[test]
    fn what_would_be_read_differently_behind_us_is_refused_by_name() {
        let cases = [
            (r#"{"model":"a","mod\u0065l":"b"}"#, Some("model")),
            (r#"{"model":5}"#, Some("model")),
            (r#"{"model":"\ud800"}"#, Some("model")),
            (r#"{"stream":"yes"}"#, Some("stream")),
            (r#"{"stream":true,"stream":true}"#, Some("stream")),
            (r#"{"max_tokens":-1}"#, Some("max_tokens")),
            (r#"{"max_tokens":1.5}"#, Some("max_tokens")),
            (r#"{"max_tokens":99999999999999999999}"#, Some("max_tokens")),
            (r#"{"n":"2"}"#, Some("n")),
            (r#"{"stream_options":true}"#, Some("stream_options")),
            (r#"{"stream_options":{"include_usage":1}}"#, Some("stream_options.include_usage")),
            (
                r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
                Some("stream_options.include_usage"),
            ),
            ("[1]", None),
        ];
        for (body, param) in cases {
            let fault = peek(CHAT, body.as_bytes()).expect_err(body);
            assert_eq!((fault.param, fault.code), (param, "invalid_request"), "{body}");
        }
        let latin1 = b"{\"model\":\"\xe9\"}";
        assert_eq!(peek(CHAT, latin1).expect_err("no UTF-8").param, Some("model"));
    }

    #[test]
    fn neither_credentials_nor_accounts_go_upstream() {
        for name in [
            "authorization",
            "api-key",
            "x-api-key",
            "cookie",
            "openai-organization",
            "openai-project",
            "x-tollgate-tags",
            "connection",
            "host",
        ] {
            assert!(!forwards_header(name), "{name}");
        }
        assert!(forwards_header("x-stainless-retry-count") && forwards_header("openai-beta"));
    }
}
