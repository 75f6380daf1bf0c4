//! Google's paths: the developer API's, which hang a verb on the model, and the same under Vertex AI's
//! projects.
//!
//! `/v1/models` is OpenAI's list as well: there the header that Google's clients put their key into
//! decides. What only Google has (`v1beta`, a verb, a project) needs no such sign.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Recognised, call};
use crate::wire::{Dialect, Operation};

/// Verbs that are served, as they stand after the colon.
const VERBS: [(&str, Operation); 5] = [
    ("generateContent", Operation::GenerateContent),
    ("streamGenerateContent", Operation::StreamGenerateContent),
    ("countTokens", Operation::CountTokens),
    ("embedContent", Operation::EmbedContent),
    ("batchEmbedContents", Operation::BatchEmbedContents),
];

/// Verbs that are known and not built yet.
const LATER_VERBS: [(&str, &str); 8] = [
    ("batchGenerateContent", "batches of Gemini"),
    ("asyncBatchEmbedContent", "batches of Gemini"),
    ("bidiGenerateContent", "the Live API of Gemini"),
    ("predict", "predictions of Vertex"),
    ("predictLongRunning", "predictions of Vertex"),
    ("rawPredict", "models of other publishers on Vertex"),
    ("streamRawPredict", "models of other publishers on Vertex"),
    ("computeTokens", "computing tokens on Vertex"),
];

/// Collections of the developer API that are known and not built yet.
const LATER: [(&str, &str); 8] = [
    ("batches", "batches of Gemini"),
    ("cachedContents", "cached contents of Gemini"),
    ("corpora", "corpora of Gemini"),
    ("files", "files of Gemini"),
    ("fileSearchStores", "file search stores of Gemini"),
    ("interactions", "interactions of Gemini"),
    ("operations", "long-running operations of Gemini"),
    ("tunedModels", "tuned models of Gemini"),
];

/// The verb of an operation, which its own path ends with.
pub(crate) fn verb(operation: Operation) -> Option<&'static str> {
    VERBS.iter().find(|(_, known)| *known == operation).map(|(verb, _)| *verb)
}

/// Tells what a path means to Google; `None` for a path that is none of Google's.
pub(super) fn recognise<'a>(
    method: &str,
    segments: &[Cow<'a, str>],
    header: impl Fn(&str) -> bool,
) -> Option<Recognised<'a>> {
    let names: SmallVec<[&str; 12]> = segments.iter().map(AsRef::as_ref).collect();
    let prefixed = names.first() == Some(&"gemini");
    let versions = names[usize::from(prefixed)..].iter().take_while(|name| is_version(name)).count();
    let skipped = usize::from(prefixed) + versions;
    let (before, rest) = names.split_at(skipped);
    let own = prefixed || before.iter().any(|version| *version != "v1");
    let last = segments.last()?;
    match rest {
        ["projects", _, "locations", _, "publishers", "google", path @ ..]
        | ["publishers", "google", path @ ..] => Some(of_models(method, path, last, true)?),
        ["projects" | "publishers", ..] => Some(later("this part of the Vertex API")),
        ["openai", ..] if own => {
            let hint = Some("/v1/chat/completions".to_owned());
            Some(Recognised::Unknown { dialect: Dialect::OpenAi, hint })
        }
        path => {
            let own = own || (matches!(path, ["models", ..]) && header("x-goog-api-key"));
            of_models(method, path, last, own)
        }
    }
}

fn is_version(name: &str) -> bool {
    matches!(name, "v1" | "v1beta" | "v1alpha" | "v1beta1")
}

/// The path after version and project. With `own` it can be nobody's but Google's.
fn of_models<'a>(method: &str, path: &[&str], last: &Cow<'a, str>, own: bool) -> Option<Recognised<'a>> {
    let call = |operation, model| Some(call(method, Dialect::Gemini, operation, model));
    match path {
        ["models", named] if let Some((model, verb)) = named.rsplit_once(':') => {
            let known = VERBS.iter().find(|(known, _)| *known == verb);
            if let (Some((_, operation)), false) = (known, model.is_empty()) {
                return call(*operation, Some(front(last, model.len())));
            }
            if let Some((_, what)) = LATER_VERBS.iter().find(|(known, _)| *known == verb) {
                return Some(later(what));
            }
            own.then(unknown)
        }
        ["models"] if own => call(Operation::ListModels, None),
        ["models", _] if own => call(Operation::GetModel, Some(last.clone())),
        [first, ..] if own => {
            let known = LATER.iter().find(|(known, _)| known == first);
            Some(known.map_or_else(unknown, |(_, what)| later(what)))
        }
        _ => own.then(unknown),
    }
}

/// The first bytes of a name, borrowed where it is.
fn front<'a>(name: &Cow<'a, str>, length: usize) -> Cow<'a, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(&name[..length]),
        Cow::Owned(name) => Cow::Owned(name[..length].to_owned()),
    }
}

fn later(what: &'static str) -> Recognised<'static> {
    Recognised::Unsupported { dialect: Dialect::Gemini, what }
}

fn unknown() -> Recognised<'static> {
    let hint = Some("/v1beta/models/{model}:generateContent".to_owned());
    Recognised::Unknown { dialect: Dialect::Gemini, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Call, recognise};

    fn call(operation: Operation, model: Option<&'static str>) -> Recognised<'static> {
        Recognised::Call(Call { dialect: Dialect::Gemini, operation, model: model.map(Cow::Borrowed) })
    }

    #[test]
    fn the_verb_says_what_is_asked_and_the_path_of_which_model() {
        use Operation::{
            BatchEmbedContents, CountTokens, EmbedContent, GenerateContent, StreamGenerateContent,
        };
        let cases = [
            ("/v1beta/models/g:generateContent", GenerateContent, "g"),
            ("/v1/models/g:generateContent", GenerateContent, "g"),
            ("/v1alpha/models/g:streamGenerateContent", StreamGenerateContent, "g"),
            ("/models/g:countTokens", CountTokens, "g"),
            ("//v1beta//models/g%3AembedContent/", EmbedContent, "g"),
            ("/gemini/v1beta/models/g:batchEmbedContents", BatchEmbedContents, "g"),
            ("/v1beta/v1beta/models/a:b:generateContent", GenerateContent, "a:b"),
            ("/v1/publishers/google/models/g:generateContent", GenerateContent, "g"),
            (
                "/v1beta1/projects/p/locations/europe-west4/publishers/google/models/g:countTokens",
                CountTokens,
                "g",
            ),
            (
                "/v1/projects/p/locations/global/publishers/google/models/g:streamGenerateContent",
                StreamGenerateContent,
                "g",
            ),
        ];
        for (path, operation, model) in cases {
            assert_eq!(recognise("POST", path, |_| false), call(operation, Some(model)), "{path}");
        }
    }

    #[test]
    fn a_list_of_models_is_googles_by_its_path_or_by_its_clients_header() {
        let list = call(Operation::ListModels, None);
        assert_eq!(recognise("GET", "/v1beta/models", |_| false), list);
        assert_eq!(recognise("GET", "/v1/models", |name| name == "x-goog-api-key"), list);
        assert_eq!(recognise("GET", "/v1/projects/p/locations/l/publishers/google/models", |_| false), list);
        let one = call(Operation::GetModel, Some("g"));
        assert_eq!(recognise("GET", "/v1beta/models/g", |_| false), one);
        assert_eq!(recognise("GET", "/v1/models/g", |name| name == "x-goog-api-key"), one);
        let openai = recognise("GET", "/v1/models/ft:gpt-5:me", |_| false);
        let Recognised::Call(found) = openai else { panic!("{openai:?}") };
        assert_eq!((found.dialect, found.operation), (Dialect::OpenAi, Operation::GetModel));
    }

    #[test]
    fn what_google_has_and_the_gateway_has_not_is_told_in_its_dialect() {
        let later = [
            ("POST", "/v1beta/models/g:batchGenerateContent"),
            ("POST", "/v1/models/g:predict"),
            ("POST", "/v1beta/cachedContents"),
            ("GET", "/v1beta/files/f"),
            ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict"),
            ("POST", "/v1/projects/p/locations/l/endpoints/7:generateContent"),
        ];
        for (method, path) in later {
            let found = recognise(method, path, |_| false);
            let is_later = matches!(found, Recognised::Unsupported { dialect: Dialect::Gemini, .. });
            assert!(is_later, "{path}: {found:?}");
        }
        for path in ["/v1beta/models/g:dance", "/v1beta/models/:generateContent", "/v1beta", "/gemini/x"] {
            let found = recognise("POST", path, |_| false);
            assert!(
                matches!(found, Recognised::Unknown { dialect: Dialect::Gemini, .. }),
                "{path}: {found:?}"
            );
        }
        let wrong = recognise("GET", "/v1beta/models/g:generateContent", |_| false);
        assert_eq!(wrong, Recognised::WrongMethod { dialect: Dialect::Gemini, allow: "POST" });
        let shim = recognise("POST", "/v1beta/openai/chat/completions", |_| false);
        assert!(matches!(shim, Recognised::Unknown { dialect: Dialect::OpenAi, .. }), "{shim:?}");
    }
}
