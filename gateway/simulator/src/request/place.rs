//! Which API a path belongs to, and what it names.

use std::borrow::Cow;

use super::Operation;

/// What a path says of a call.
pub(super) struct Place<'a> {
    pub(super) operation: Operation,
    pub(super) azure: bool,
    /// The deployment or model that the path names.
    pub(super) named: Option<Cow<'a, str>>,
    /// The path asks for a stream.
    pub(super) stream: bool,
}

impl<'a> Place<'a> {
    pub(super) fn of(method: &str, path: &'a str) -> Self {
        if let Some((deployment, rest)) =
            path.strip_prefix("/openai/deployments/").and_then(|rest| rest.split_once('/'))
        {
            let operation = openai(method, rest);
            return Self { operation, azure: true, named: Some(Cow::Borrowed(deployment)), stream: false };
        }
        if let Some(place) = bedrock(method, path).or_else(|| gemini(method, path)) {
            return place;
        }
        let azure_rest = path.strip_prefix("/openai/v1/").or_else(|| path.strip_prefix("/openai/"));
        if let Some(rest) = azure_rest {
            return Self { operation: openai(method, rest), azure: true, named: None, stream: false };
        }
        let path = path.strip_prefix("/anthropic").unwrap_or(path);
        let operation = match (method, path) {
            ("POST", "/v1/messages") => Operation::Messages,
            ("POST", "/v1/messages/count_tokens") => Operation::CountTokens,
            ("GET" | "HEAD", "/") => Operation::Probe,
            ("POST", "/v2/embed") => Operation::Embed,
            ("POST", "/v2/rerank") => Operation::Rerank,
            _ => path.strip_prefix("/v1/").map_or(Operation::Unknown, |rest| openai(method, rest)),
        };
        Self { operation, azure: false, named: None, stream: false }
    }
}

/// Google hangs a verb on the model, under any version and any project.
fn gemini<'a>(method: &str, path: &'a str) -> Option<Place<'a>> {
    let (_, named) = path.rsplit_once("/models/")?;
    let (model, verb) = named.rsplit_once(':')?;
    let operation = match (method, verb) {
        ("POST", "generateContent" | "streamGenerateContent") => Operation::Generate,
        ("POST", "countTokens") => Operation::CountContents,
        ("POST", "embedContent") => Operation::EmbedContent,
        ("POST", "batchEmbedContents") => Operation::BatchEmbedContents,
        _ => return None,
    };
    let stream = verb == "streamGenerateContent";
    Some(Place { operation, azure: false, named: Some(Cow::Borrowed(model)), stream })
}

/// Amazon asks a model in one verb or another, with its id encoded.
fn bedrock<'a>(method: &str, path: &'a str) -> Option<Place<'a>> {
    let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let operation = match (method, verb) {
        ("POST", "converse") => Operation::Converse,
        ("POST", "converse-stream") => Operation::ConverseStream,
        ("POST", "invoke") => Operation::Invoke,
        ("POST", "invoke-with-response-stream") => Operation::InvokeStream,
        _ => Operation::Unknown,
    };
    // Of what is encoded in a path, ids of models hold these two.
    let model = model.replace("%3A", ":").replace("%2F", "/");
    let stream = matches!(operation, Operation::ConverseStream | Operation::InvokeStream);
    Some(Place { operation, azure: false, named: Some(Cow::Owned(model)), stream })
}

fn openai(method: &str, rest: &str) -> Operation {
    match (method, rest) {
        ("POST", "chat/completions") => Operation::Chat,
        ("POST", "responses") => Operation::Responses,
        ("POST", "completions") => Operation::Completions,
        ("POST", "embeddings") => Operation::Embeddings,
        ("POST", "moderations") => Operation::Moderations,
        ("POST", "rerank") => Operation::Rerank,
        ("POST", "images/generations" | "images/edits") => Operation::Images,
        ("POST", "audio/speech") => Operation::Speech,
        ("POST", "audio/transcriptions" | "audio/translations") => Operation::Transcriptions,
        ("GET", "models") => Operation::Models,
        _ => Operation::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_placed() {
        let cases = [
            ("POST", "/v1/chat/completions", Operation::Chat, false, None),
            ("POST", "/openai/deployments/prod/chat/completions", Operation::Chat, true, Some("prod")),
            ("POST", "/v1/completions", Operation::Completions, false, None),
            ("POST", "/openai/deployments/s/audio/speech", Operation::Speech, true, Some("s")),
            ("POST", "/openai/deployments/e/embeddings", Operation::Embeddings, true, Some("e")),
            ("POST", "/openai/v1/responses", Operation::Responses, true, None),
            ("POST", "/openai/responses", Operation::Responses, true, None),
            ("POST", "/model/a.b-v1%3A0/converse", Operation::Converse, false, Some("a.b-v1:0")),
            ("POST", "/model/arn%3Aa%2Fb/converse-stream", Operation::ConverseStream, false, Some("arn:a/b")),
            ("POST", "/model/a.b/invoke", Operation::Invoke, false, Some("a.b")),
            ("POST", "/model/a.b/invoke-with-response-stream", Operation::InvokeStream, false, Some("a.b")),
            ("POST", "/v2/embed", Operation::Embed, false, None),
            ("POST", "/v1/messages", Operation::Messages, false, None),
            ("POST", "/anthropic/v1/messages/count_tokens", Operation::CountTokens, false, None),
            ("GET", "/v1/models", Operation::Models, false, None),
            ("GET", "/v1/chat/completions", Operation::Unknown, false, None),
            ("HEAD", "/", Operation::Probe, false, None),
            ("POST", "/v1beta/models/g:generateContent", Operation::Generate, false, Some("g")),
            (
                "POST",
                "/v1/projects/p/locations/l/publishers/google/models/g:countTokens",
                Operation::CountContents,
                false,
                Some("g"),
            ),
            ("POST", "/v1beta/models/e:batchEmbedContents", Operation::BatchEmbedContents, false, Some("e")),
            ("POST", "/v1beta/models/g:dance", Operation::Unknown, false, None),
        ];
        for (method, path, operation, azure, deployment) in cases {
            let place = Place::of(method, path);
            assert_eq!(
                (place.operation, place.azure, place.named.as_deref()),
                (operation, azure, deployment),
                "{path}"
            );
        }
    }
}
