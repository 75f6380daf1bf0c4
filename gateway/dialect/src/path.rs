//! Which API a path means, with the tolerance that clients' base URLs need.
//!
//! Each API is served under its vendor's own path; a trailing or doubled slash, a missing or
//! doubled version and the prefixes that people copy from other gateways mean the same. What is
//! known but not built yet is told apart from what is unknown, and an unknown path gets the nearest
//! family and the path that would have worked.

pub(crate) mod bedrock;
pub(crate) mod cohere;
pub(crate) mod gemini;
mod template;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::wire::{Dialect, Family, Operation};

pub use template::path_template;

/// What a request line means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recognised<'a> {
    /// A call of an API.
    Call(Call<'a>),
    /// `GET` or `HEAD` of `/`: somebody looks whether the gateway is there.
    Probe,
    /// A known call that is not built yet.
    Unsupported {
        /// Whose call it is.
        dialect: Dialect,
        /// Its name for people.
        what: &'static str,
    },
    /// A known path with another method.
    WrongMethod {
        /// Whose path it is.
        dialect: Dialect,
        /// The methods that it takes, as an `allow` header has them.
        allow: &'static str,
    },
    /// No path of any API.
    Unknown {
        /// The nearest family, which decides the shape of the error.
        dialect: Dialect,
        /// The path that would have worked.
        hint: Option<String>,
    },
}

/// A recognised call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call<'a> {
    /// The dialect that the client speaks.
    pub dialect: Dialect,
    /// What it asks for.
    pub operation: Operation,
    /// What the path names: the model, as Azure's deployments, Gemini and `/v1/models/{id}` have it
    /// there, or the id of what a provider keeps; of something in a conversation both ids, with a `/`
    /// between them, which stands in neither.
    pub model: Option<Cow<'a, str>>,
}

/// Tells what a request line means. `path` comes as sent, without query; `header` tells whether
/// the request has a header of that (lower-case) name.
pub fn recognise<'a>(method: &str, path: &'a str, header: impl Fn(&str) -> bool) -> Recognised<'a> {
    if let Some(call) = documented(method, path) {
        return Recognised::Call(call);
    }
    if let Some(bedrocks) = bedrock::recognise(method, path) {
        return bedrocks;
    }
    let anthropic = header("anthropic-version");
    let nearest = match anthropic {
        true => Dialect::Anthropic,
        // AWS's clients number their tries.
        false if header("amz-sdk-request") => Dialect::Bedrock,
        false => Dialect::OpenAi,
    };
    let Some(segments) = segments(path) else {
        return Recognised::Unknown { dialect: nearest, hint: None };
    };
    if segments.is_empty() {
        return match method {
            "GET" | "HEAD" => Recognised::Probe,
            _ => Recognised::WrongMethod { dialect: nearest, allow: "GET, HEAD" },
        };
    }
    if let Some(coheres) = cohere::recognise(method, &segments) {
        return coheres;
    }
    if let Some(googles) = gemini::recognise(method, &segments, &header) {
        return googles;
    }
    let names: SmallVec<[&str; 8]> = segments.iter().map(AsRef::as_ref).collect();
    let (prefix, skipped) = Prefix::of(&names);
    let rest = &names[skipped..];
    if let Prefix::Deployment = prefix {
        return deployment(method, rest, segments[skipped - 1].clone());
    }
    let known = match rest {
        ["models"] => Known::Call(Operation::ListModels),
        ["models", _] => Known::Call(Operation::GetModel),
        _ => operation(method, rest),
    };
    let dialect = prefix.dialect(rest, anthropic);
    match known {
        Known::Call(operation) if !speaks(dialect, operation) => {
            Recognised::Unknown { dialect, hint: Some(format!("/v1/{}", verb(operation))) }
        }
        Known::Call(operation) => call(method, dialect, operation, named(operation, &segments[skipped..])),
        Known::Later(what) => Recognised::Unsupported { dialect, what },
        Known::Nothing if nearest == Dialect::Bedrock => bedrock::unknown(None),
        Known::Nothing => Recognised::Unknown { dialect, hint: Some(hint(dialect, rest)) },
    }
}

/// What the path of an operation names; `rest` begins with the operation's own first segment.
fn named<'a>(operation: Operation, rest: &[Cow<'a, str>]) -> Option<Cow<'a, str>> {
    let names_one = operation == Operation::GetModel || operation.is_of_stored();
    let first = rest.get(1).filter(|_| names_one)?;
    Some(match rest.get(3) {
        Some(item) => Cow::Owned([&**first, "/", &**item].concat()),
        None => first.clone(),
    })
}

/// What nearly all clients call, at the paths that the providers document: told at once.
fn documented(method: &str, path: &str) -> Option<Call<'static>> {
    let (dialect, operation) = match path {
        "/v1/chat/completions" => (Dialect::OpenAi, Operation::ChatCompletions),
        "/v1/responses" => (Dialect::OpenAi, Operation::Responses),
        "/v1/embeddings" => (Dialect::OpenAi, Operation::Embeddings),
        "/v1/messages" => (Dialect::Anthropic, Operation::Messages),
        _ => return None,
    };
    (method == "POST").then_some(Call { dialect, operation, model: None })
}

fn call<'a>(
    method: &str,
    dialect: Dialect,
    operation: Operation,
    model: Option<Cow<'a, str>>,
) -> Recognised<'a> {
    let allow = match operation {
        Operation::GetResponse | Operation::GetConversationItem => "GET, DELETE",
        Operation::GetConversation => "GET, POST, DELETE",
        Operation::ListConversationItems => "GET, POST",
        operation => operation.method(),
    };
    if method != operation.method() {
        return Recognised::WrongMethod { dialect, allow };
    }
    Recognised::Call(Call { dialect, operation, model })
}

/// A prefix may name one family and the rest another's operation.
fn speaks(dialect: Dialect, operation: Operation) -> bool {
    match operation {
        Operation::Messages | Operation::CountTokens => dialect.family() == Family::Anthropic,
        Operation::GenerateContent
        | Operation::StreamGenerateContent
        | Operation::EmbedContent
        | Operation::BatchEmbedContents => dialect.family() == Family::Gemini,
        Operation::Converse
        | Operation::ConverseStream
        | Operation::InvokeModel
        | Operation::InvokeModelStream => dialect.family() == Family::Bedrock,
        Operation::Embed => dialect.family() == Family::Cohere,
        Operation::Rerank => matches!(dialect.family(), Family::OpenAi | Family::Cohere),
        Operation::ListModels | Operation::GetModel => true,
        _ => dialect.family() == Family::OpenAi,
    }
}

fn deployment<'a>(method: &str, rest: &[&str], name: Cow<'a, str>) -> Recognised<'a> {
    let dialect = Dialect::AzureOpenAi;
    match operation(method, rest) {
        Known::Call(
            operation @ (Operation::ChatCompletions
            | Operation::Completions
            | Operation::Embeddings
            | Operation::Responses
            | Operation::ImageGenerations
            | Operation::ImageEdits
            | Operation::ImageVariations
            | Operation::Speech
            | Operation::Transcriptions
            | Operation::Translations),
        ) => call(method, dialect, operation, Some(name)),
        Known::Later(what) => Recognised::Unsupported { dialect, what },
        _ => Recognised::Unknown {
            dialect,
            hint: Some(format!("/openai/deployments/{}/chat/completions", encode_segment(&name))),
        },
    }
}

/// What stands before the operation.
#[derive(Clone, Copy)]
enum Prefix {
    /// Nothing, or versions only.
    Bare,
    /// `/openai/…` or `/azure/openai/…`.
    Azure,
    /// `/anthropic/…`.
    Anthropic,
    /// `/openai/deployments/{name}/…`, the name included.
    Deployment,
}

impl Prefix {
    /// The prefix and how many segments it takes, versions included.
    fn of(names: &[&str]) -> (Self, usize) {
        let mut at =
            usize::from(names[0] == "azure" && matches!(names.get(1), Some(&("openai" | "deployments"))));
        let mut prefix = Self::Bare;
        match names[at] {
            "openai" => (prefix, at) = (Self::Azure, at + 1),
            "anthropic" => (prefix, at) = (Self::Anthropic, at + 1),
            _ => {}
        }
        while names.get(at) == Some(&"v1") {
            at += 1;
        }
        if names.get(at) == Some(&"deployments") && names.len() > at + 1 && !matches!(prefix, Self::Anthropic)
        {
            return (Self::Deployment, at + 2);
        }
        (prefix, at)
    }

    fn dialect(self, rest: &[&str], anthropic: bool) -> Dialect {
        match (self, rest) {
            (Self::Anthropic, _) | (Self::Bare, ["messages" | "complete", ..]) => Dialect::Anthropic,
            (Self::Bare, ["models", ..]) if anthropic => Dialect::Anthropic,
            (Self::Azure | Self::Deployment, _) => Dialect::AzureOpenAi,
            (Self::Bare, rest) if anthropic && matches!(operation("POST", rest), Known::Nothing) => {
                Dialect::Anthropic
            }
            (Self::Bare, _) => Dialect::OpenAi,
        }
    }
}

/// What the segments after the prefix mean.
enum Known {
    Call(Operation),
    Later(&'static str),
    Nothing,
}

fn operation(method: &str, rest: &[&str]) -> Known {
    match rest {
        // A whole URL was given as the base, and the client has added its path to it.
        ["chat", "completions", "chat", ..] => Known::Nothing,
        ["chat", "completions"] if method == "GET" => Known::Later("stored chat completions"),
        ["chat", "completions"] => Known::Call(Operation::ChatCompletions),
        ["responses"] => Known::Call(Operation::Responses),
        ["responses", "input_tokens"] => Known::Call(Operation::CountResponseTokens),
        ["responses", "compact"] => Known::Call(Operation::CompactResponse),
        ["responses", _] if method == "DELETE" => Known::Call(Operation::DeleteResponse),
        ["responses", _] => Known::Call(Operation::GetResponse),
        ["responses", _, "cancel"] => Known::Call(Operation::CancelResponse),
        ["responses", _, "input_items"] => Known::Call(Operation::ListResponseInput),
        ["conversations", ..] => conversations(method, rest),
        ["completions"] => Known::Call(Operation::Completions),
        ["embeddings"] => Known::Call(Operation::Embeddings),
        ["moderations"] => Known::Call(Operation::Moderations),
        ["rerank"] | ["v2", "rerank"] => Known::Call(Operation::Rerank),
        ["images", "generations"] => Known::Call(Operation::ImageGenerations),
        ["images", "edits"] => Known::Call(Operation::ImageEdits),
        ["images", "variations"] => Known::Call(Operation::ImageVariations),
        ["audio", "speech"] => Known::Call(Operation::Speech),
        ["audio", "transcriptions"] => Known::Call(Operation::Transcriptions),
        ["audio", "translations"] => Known::Call(Operation::Translations),
        ["messages"] => Known::Call(Operation::Messages),
        ["messages", "count_tokens"] => Known::Call(Operation::CountTokens),
        _ => LATER
            .iter()
            .find(|(first, _)| rest.len() >= first.len() && rest[..first.len()] == **first)
            .map_or(Known::Nothing, |(_, what)| Known::Later(what)),
    }
}

/// What is asked about conversations; a method that a path does not take is found out by its `GET`.
fn conversations(method: &str, rest: &[&str]) -> Known {
    Known::Call(match (rest, method) {
        ([_], _) => Operation::CreateConversation,
        ([_, _], "POST") => Operation::UpdateConversation,
        ([_, _], "DELETE") => Operation::DeleteConversation,
        ([_, _], _) => Operation::GetConversation,
        ([_, _, "items"], "POST") => Operation::CreateConversationItems,
        ([_, _, "items"], _) => Operation::ListConversationItems,
        ([_, _, "items", _], "DELETE") => Operation::DeleteConversationItem,
        ([_, _, "items", _], _) => Operation::GetConversationItem,
        _ => return Known::Nothing,
    })
}

/// Known calls that are not built yet, by their first segments; the more telling ones come first.
const LATER: &[(&[&str], &str)] = &[
    (&["chat", "completions"], "stored chat completions"),
    (&["responses"], "stored responses"),
    (&["messages", "batches"], "message batches"),
    (&["complete"], "text completions"),
    (&["videos"], "videos"),
    (&["files"], "files"),
    (&["uploads"], "uploads"),
    (&["batches"], "batches"),
    (&["fine_tuning"], "fine-tuning"),
    (&["realtime"], "realtime"),
    (&["assistants"], "assistants"),
    (&["threads"], "threads"),
    (&["vector_stores"], "vector stores"),
    (&["containers"], "containers"),
    (&["evals"], "evals"),
    (&["skills"], "skills"),
];

fn hint(dialect: Dialect, rest: &[&str]) -> String {
    let base = match dialect {
        // The paths of Bedrock and Cohere are told elsewhere, and never hinted at here.
        Dialect::OpenAi | Dialect::Anthropic | Dialect::Bedrock | Dialect::Cohere => "/v1",
        Dialect::Gemini => "/v1beta",
        Dialect::AzureOpenAi => "/openai/v1",
    };
    let verb = match (dialect, rest.last().copied().unwrap_or_default()) {
        (Dialect::Anthropic, "count_tokens") => "messages/count_tokens",
        (_, "models") => "models",
        (Dialect::Anthropic, _) => "messages",
        (_, "responses" | "response") => "responses",
        (_, "embeddings" | "embedding" | "embed") => "embeddings",
        (_, "moderation") => "moderations",
        (_, "image" | "images" | "generations") => "images/generations",
        (_, "speech") => "audio/speech",
        (_, "audio" | "transcription" | "transcriptions") => "audio/transcriptions",
        _ => "chat/completions",
    };
    format!("{base}/{verb}")
}

/// What stands after the version in an operation's own path.
pub(crate) fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions => "chat/completions",
        Operation::Responses => "responses",
        Operation::CountResponseTokens => "responses/input_tokens",
        Operation::CompactResponse => "responses/compact",
        Operation::GetResponse
        | Operation::DeleteResponse
        | Operation::CancelResponse
        | Operation::ListResponseInput => "responses",
        Operation::CreateConversation
        | Operation::GetConversation
        | Operation::UpdateConversation
        | Operation::DeleteConversation
        | Operation::ListConversationItems
        | Operation::CreateConversationItems
        | Operation::GetConversationItem
        | Operation::DeleteConversationItem => "conversations",
        Operation::Completions => "completions",
        Operation::Embeddings => "embeddings",
        Operation::Moderations => "moderations",
        Operation::Embed => "embed",
        Operation::Rerank => "rerank",
        Operation::ImageGenerations => "images/generations",
        Operation::ImageEdits => "images/edits",
        Operation::ImageVariations => "images/variations",
        Operation::Speech => "audio/speech",
        Operation::Transcriptions => "audio/transcriptions",
        Operation::Translations => "audio/translations",
        Operation::Messages => "messages",
        Operation::CountTokens => "messages/count_tokens",
        Operation::GenerateContent
        | Operation::StreamGenerateContent
        | Operation::EmbedContent
        | Operation::BatchEmbedContents => gemini::verb(operation).unwrap_or_default(),
        Operation::Converse
        | Operation::ConverseStream
        | Operation::InvokeModel
        | Operation::InvokeModelStream => bedrock::verb(operation).unwrap_or_default(),
        Operation::ListModels | Operation::GetModel => "models",
    }
}

/// The non-empty segments, percent-decoded once. Nothing where a segment could be read as two, or
/// as a way up.
fn segments(path: &str) -> Option<SmallVec<[Cow<'_, str>; 8]>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect()
}

pub(crate) fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    let text = unescaped(segment)?;
    let unsafe_text = text.contains(['/', '\\', '\0']) || text == "." || text == "..";
    (!unsafe_text).then_some(text)
}

/// Percent-decoded once, whatever comes out.
fn unescaped(segment: &str) -> Option<Cow<'_, str>> {
    Some(if segment.contains('%') {
        let mut bytes = Vec::with_capacity(segment.len());
        let mut rest = segment.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
                byte => byte,
            });
        }
        Cow::Owned(String::from_utf8(bytes).ok()?)
    } else {
        Cow::Borrowed(segment)
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Writes a name as one path segment (RFC 3986: unreserved characters stay).
pub(crate) fn encode_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Adds the client's query to a path, without the members that are credentials or are set by the
/// gateway, and `api_version` where there is one.
pub(crate) fn join_query(path: String, query: Option<&str>, api_version: Option<&str>) -> String {
    let mut joined = path;
    let mut mark = '?';
    let kept = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty())
        .filter(|pair| !matches!(pair.split('=').next(), Some("key" | "api-version")));
    for pair in kept {
        joined.push(mark);
        joined.push_str(pair);
        mark = '&';
    }
    if let Some(version) = api_version {
        joined.push(mark);
        joined.push_str("api-version=");
        joined.push_str(version);
    }
    joined
}

/// The value of `api-version` in a query.
pub(crate) fn api_version(query: Option<&str>) -> Option<&str> {
    query?.split('&').find_map(|pair| pair.strip_prefix("api-version=")).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(dialect: Dialect, operation: Operation) -> Recognised<'static> {
        Recognised::Call(Call { dialect, operation, model: None })
    }

    fn plain(method: &str, path: &'static str) -> Recognised<'static> {
        recognise(method, path, |_| false)
    }

    #[test]
    fn each_api_is_found_at_its_own_path_and_at_the_ones_people_try() {
        use Dialect::{Anthropic, AzureOpenAi, OpenAi};
        use Operation::{ChatCompletions, CountTokens, Embeddings, Messages, Responses};
        let cases = [
            ("/v1/chat/completions", OpenAi, ChatCompletions),
            ("/v1/chat/completions/", OpenAi, ChatCompletions),
            ("//v1//chat/completions", OpenAi, ChatCompletions),
            ("/chat/completions", OpenAi, ChatCompletions),
            ("/v1/v1/chat/completions", OpenAi, ChatCompletions),
            ("/v1/responses", OpenAi, Responses),
            ("/v1/embeddings", OpenAi, Embeddings),
            ("/v1/completions", OpenAi, Operation::Completions),
            ("/v1/moderations", OpenAi, Operation::Moderations),
            ("/v1/rerank", OpenAi, Operation::Rerank),
            ("/v2/rerank", Dialect::Cohere, Operation::Rerank),
            ("/v2/embed", Dialect::Cohere, Operation::Embed),
            ("/v1/images/generations", OpenAi, Operation::ImageGenerations),
            ("/v1/images/edits", OpenAi, Operation::ImageEdits),
            ("/v1/images/variations", OpenAi, Operation::ImageVariations),
            ("/v1/conversations", OpenAi, Operation::CreateConversation),
            ("/openai/v1/conversations/", AzureOpenAi, Operation::CreateConversation),
            ("/v1/audio/speech", OpenAi, Operation::Speech),
            ("/v1/audio/transcriptions", OpenAi, Operation::Transcriptions),
            ("/openai/v1/audio/translations", AzureOpenAi, Operation::Translations),
            ("/v1/responses/input_tokens", OpenAi, Operation::CountResponseTokens),
            ("/v1/responses/compact", OpenAi, Operation::CompactResponse),
            ("/openai/v1/chat/completions", AzureOpenAi, ChatCompletions),
            ("/openai/v1/responses", AzureOpenAi, Responses),
            ("/openai/responses", AzureOpenAi, Responses),
            ("/v1/messages", Anthropic, Messages),
            ("/messages", Anthropic, Messages),
            ("/anthropic/v1/messages", Anthropic, Messages),
            ("/anthropic/messages", Anthropic, Messages),
            ("/v1/messages/count_tokens", Anthropic, CountTokens),
            ("/anthropic/v1/v1/messages/count_tokens", Anthropic, CountTokens),
        ];
        for (path, dialect, operation) in cases {
            assert_eq!(plain("POST", path), call(dialect, operation), "{path}");
        }
    }

    #[test]
    fn azure_deployments_name_the_model() {
        for path in [
            "/openai/deployments/gpt%205/chat/completions",
            "/azure/openai/deployments/gpt%205/chat/completions/",
            "/openai/v1/deployments/gpt%205/chat/completions",
        ] {
            let want = Call {
                dialect: Dialect::AzureOpenAi,
                operation: Operation::ChatCompletions,
                model: Some("gpt 5".into()),
            };
            assert_eq!(plain("POST", path), Recognised::Call(want), "{path}");
        }
    }

    #[test]
    fn the_shape_of_models_follows_the_client() {
        let list = |dialect| call(dialect, Operation::ListModels);
        assert_eq!(plain("GET", "/v1/models"), list(Dialect::OpenAi));
        assert_eq!(plain("GET", "/models"), list(Dialect::OpenAi));
        assert_eq!(plain("GET", "/openai/v1/models"), list(Dialect::AzureOpenAi));
        assert_eq!(plain("GET", "/openai/models"), list(Dialect::AzureOpenAi));
        assert_eq!(plain("GET", "/anthropic/v1/models"), list(Dialect::Anthropic));
        let with_version = recognise("GET", "/v1/models", |name| name == "anthropic-version");
        assert_eq!(with_version, list(Dialect::Anthropic));
        let one =
            Call { dialect: Dialect::OpenAi, operation: Operation::GetModel, model: Some("gpt-5".into()) };
        assert_eq!(plain("GET", "/v1/models/gpt-5"), Recognised::Call(one));
    }

    #[test]
    fn known_calls_that_are_not_built_are_told_apart() {
        let cases = [
            ("GET", "/v1/files"),
            ("POST", "/v1/batches"),
            ("POST", "/v1/fine_tuning/jobs"),
            ("GET", "/v1/realtime"),
            ("GET", "/v1/chat/completions"),
            ("POST", "/v1/messages/batches"),
            ("POST", "/v1/chat/completions/chatcmpl_1"),
        ];
        for (method, path) in cases {
            assert!(matches!(plain(method, path), Recognised::Unsupported { .. }), "{path}");
        }
    }

    #[test]
    fn what_is_kept_is_named_by_its_id() {
        let (of_conversation, of_item) = ("conv_1", "conv_1/msg_2");
        let conversations = [
            ("GET", "/v1/conversations/conv_1", Operation::GetConversation, of_conversation),
            ("POST", "/conversations/conv_1/", Operation::UpdateConversation, of_conversation),
            ("DELETE", "/v1/conversations/conv_1", Operation::DeleteConversation, of_conversation),
            ("GET", "/v1/conversations/conv_1/items", Operation::ListConversationItems, of_conversation),
            ("POST", "/v1/conversations/conv_1/items", Operation::CreateConversationItems, of_conversation),
            ("GET", "/v1/conversations/conv_1/items/msg_2", Operation::GetConversationItem, of_item),
            ("DELETE", "/v1/conversations/conv_1/items/msg%5F2", Operation::DeleteConversationItem, of_item),
        ];
        for (method, path, operation, named) in conversations {
            let want = Call { dialect: Dialect::OpenAi, operation, model: Some(named.into()) };
            assert_eq!(plain(method, path), Recognised::Call(want), "{path}");
        }
        let cases = [
            ("GET", "/v1/responses/resp_1", Operation::GetResponse),
            ("DELETE", "/responses/resp_1/", Operation::DeleteResponse),
            ("POST", "/v1/responses/resp_1/cancel", Operation::CancelResponse),
            ("GET", "/v1/responses/resp_1/input_items", Operation::ListResponseInput),
        ];
        for (method, path, operation) in cases {
            let want = Call { dialect: Dialect::OpenAi, operation, model: Some("resp_1".into()) };
            assert_eq!(plain(method, path), Recognised::Call(want), "{path}");
        }
        let want = Recognised::WrongMethod { dialect: Dialect::OpenAi, allow: "GET, DELETE" };
        assert_eq!(plain("PUT", "/v1/responses/resp_1"), want);
        let methods = [
            ("/v1/conversations", "POST"),
            ("/v1/conversations/conv_1", "GET, POST, DELETE"),
            ("/v1/conversations/conv_1/items", "GET, POST"),
            ("/v1/conversations/conv_1/items/msg_2", "GET, DELETE"),
        ];
        for (path, allow) in methods {
            let want = Recognised::WrongMethod { dialect: Dialect::OpenAi, allow };
            assert_eq!(plain("PUT", path), want, "{path}");
        }
        for path in ["/v1/conversations/c/turns", "/v1/conversations/c/items/i/x", "/v1/conversations/a%2Fb"]
        {
            assert!(matches!(plain("GET", path), Recognised::Unknown { .. }), "{path}");
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_one() {
        let want = Recognised::WrongMethod { dialect: Dialect::Anthropic, allow: "POST" };
        assert_eq!(plain("GET", "/v1/messages"), want);
        let want = Recognised::WrongMethod { dialect: Dialect::OpenAi, allow: "GET" };
        assert_eq!(plain("POST", "/v1/models"), want);
        assert_eq!(plain("HEAD", "/"), Recognised::Probe);
        assert_eq!(plain("GET", ""), Recognised::Probe);
    }

    #[test]
    fn an_unknown_path_is_answered_with_one_that_works() {
        let cases = [
            ("/v1/chat", Dialect::OpenAi, Some("/v1/chat/completions")),
            ("/api/v1/embeddings", Dialect::OpenAi, Some("/v1/embeddings")),
            ("/v1/message", Dialect::OpenAi, Some("/v1/chat/completions")),
            ("/anthropic/v1/message", Dialect::Anthropic, Some("/v1/messages")),
            ("/anthropic/v1/chat/completions", Dialect::Anthropic, Some("/v1/chat/completions")),
            ("/openai/v1/messages", Dialect::AzureOpenAi, Some("/v1/messages")),
            ("/v1", Dialect::OpenAi, Some("/v1/chat/completions")),
            ("/openai/chat", Dialect::AzureOpenAi, Some("/openai/v1/chat/completions")),
            ("/v1/models/%2e%2e", Dialect::OpenAi, None),
            ("/v1/models/a%2Fb", Dialect::OpenAi, None),
            ("/v1/models/a%5cb", Dialect::OpenAi, None),
            ("/v1/models/a%00", Dialect::OpenAi, None),
            ("/v1/models/a%2", Dialect::OpenAi, None),
            ("/v1/../admin", Dialect::OpenAi, None),
        ];
        for (path, dialect, hint) in cases {
            let want = Recognised::Unknown { dialect, hint: hint.map(str::to_owned) };
            assert_eq!(plain("POST", path), want, "{path}");
        }
    }

    #[test]
    fn a_query_keeps_all_but_credentials_and_the_version() {
        let joined = |query, version| join_query("/p".to_owned(), query, version);
        assert_eq!(joined(Some("beta=true&key=secret&api-version=1"), None), "/p?beta=true");
        assert_eq!(joined(Some("a=1"), Some("v")), "/p?a=1&api-version=v");
        assert_eq!(joined(None, None), "/p");
    }
}
