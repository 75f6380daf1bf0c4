//! Bedrock's paths, which name the model in one segment.
//!
//! Ids have colons, and those that are ARNs have slashes: clients send these encoded, some as they are.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Recognised, call, encode_segment, unescaped};
use crate::wire::{Dialect, Operation};

/// Verbs that are served, as they end the path.
const VERBS: [(&str, Operation); 5] = [
    ("converse", Operation::Converse),
    ("converse-stream", Operation::ConverseStream),
    ("invoke", Operation::InvokeModel),
    ("invoke-with-response-stream", Operation::InvokeModelStream),
    ("count-tokens", Operation::CountTokens),
];

/// The verb of an operation, which its own path ends with.
pub(crate) fn verb(operation: Operation) -> Option<&'static str> {
    VERBS.iter().find(|(_, known)| *known == operation).map(|(verb, _)| *verb)
}

/// Calls that are known and not built yet, by their first segment.
const LATER: [(&str, &str); 6] = [
    ("async-invoke", "asynchronous calls of Bedrock"),
    ("guardrail", "guardrails of Bedrock"),
    ("guardrail-checks", "guardrails of Bedrock"),
    ("inference-profiles", "inference profiles of Bedrock"),
    ("imported-models", "imported models of Bedrock"),
    ("model-invocation-job", "batches of Bedrock"),
];

/// Tells what a path means to Bedrock; `None` for a path that is none of it. `path` comes as sent, since
/// a slash may stand in the name of a model.
pub(super) fn recognise<'a>(method: &str, path: &'a str) -> Option<Recognised<'a>> {
    let segments: SmallVec<[&str; 8]> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let prefixed = segments.first() == Some(&"bedrock");
    let rest = &segments[usize::from(prefixed)..];
    let versions = rest.iter().take_while(|segment| **segment == "v1").count();
    let call = |operation, model| call(method, Dialect::Bedrock, operation, model);
    match &rest[versions..] {
        ["model", id @ .., verb] if !id.is_empty() => Some(match model(id) {
            Some(model) => of_model(verb, model, call),
            None => unknown(None),
        }),
        ["model", ..] => Some(unknown(None)),
        ["foundation-models"] => Some(call(Operation::ListModels, None)),
        ["foundation-models", id @ ..] => {
            Some(model(id).map_or_else(|| unknown(None), |model| call(Operation::GetModel, Some(model))))
        }
        [first, ..] if let Some((_, what)) = LATER.iter().find(|(known, _)| known == first) => {
            Some(Recognised::Unsupported { dialect: Dialect::Bedrock, what })
        }
        _ if prefixed => Some(unknown(None)),
        _ => misplaced(&segments),
    }
}

fn of_model<'a>(
    verb: &str,
    model: Cow<'a, str>,
    call: impl Fn(Operation, Option<Cow<'a, str>>) -> Recognised<'a>,
) -> Recognised<'a> {
    match VERBS.iter().find(|(known, _)| *known == verb) {
        Some((_, operation)) => call(*operation, Some(model)),
        None if verb == "invoke-with-bidirectional-stream" => {
            let what = "streams of Bedrock in both directions";
            Recognised::Unsupported { dialect: Dialect::Bedrock, what }
        }
        None => unknown(Some((&model, "converse"))),
    }
}

/// A path of Bedrock's behind something that does not belong there: the base URL was wrong.
fn misplaced<'a>(segments: &[&'a str]) -> Option<Recognised<'a>> {
    let [.., _, "model", id, verb] = segments else { return None };
    VERBS.iter().find(|(known, _)| known == verb)?;
    let model = model(&[id])?;
    Some(unknown(Some((&model, verb))))
}

/// The name that segments of a path spell; nothing where one could be read as a way up.
fn model<'a>(segments: &[&'a str]) -> Option<Cow<'a, str>> {
    let name = match segments {
        [one] => unescaped(one)?,
        several => {
            let pieces: Option<SmallVec<[Cow<'a, str>; 4]>> =
                several.iter().map(|piece| unescaped(piece)).collect();
            Cow::Owned(pieces?.join("/"))
        }
    };
    let is_odd = |piece: &str| matches!(piece, "" | "." | "..");
    (!name.contains(['\\', '\0']) && !name.split('/').any(is_odd)).then_some(name)
}

pub(super) fn unknown(meant: Option<(&str, &str)>) -> Recognised<'static> {
    let hint = match meant {
        Some((model, verb)) => format!("/model/{}/{verb}", encode_segment(model)),
        None => "/model/{model}/converse".to_owned(),
    };
    Recognised::Unknown { dialect: Dialect::Bedrock, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Call, recognise};

    fn post(path: &str) -> Recognised<'_> {
        recognise("POST", path, |_| false)
    }

    fn call(operation: Operation, model: Option<&'static str>) -> Recognised<'static> {
        Recognised::Call(Call { dialect: Dialect::Bedrock, operation, model: model.map(Cow::Borrowed) })
    }

    #[test]
    fn each_call_is_found_whatever_its_models_name_is_written_like() {
        use Operation::{Converse, ConverseStream, CountTokens, InvokeModel, InvokeModelStream};
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.a.b-v1:0";
        let cases = [
            ("/model/amazon.nova-lite-v1:0/converse", Converse, "amazon.nova-lite-v1:0"),
            ("/model/amazon.nova-lite-v1%3A0/converse", Converse, "amazon.nova-lite-v1:0"),
            ("/model/m/converse-stream/", ConverseStream, "m"),
            ("//model//m/invoke", InvokeModel, "m"),
            ("/bedrock/model/m/invoke-with-response-stream", InvokeModelStream, "m"),
            ("/v1/model/m/count-tokens", CountTokens, "m"),
            (
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.a.b-v1%3A0/converse",
                Converse,
                arn,
            ),
            ("/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.a.b-v1:0/converse", Converse, arn),
            ("/model/invoke/invoke", InvokeModel, "invoke"),
        ];
        for (path, operation, model) in cases {
            assert_eq!(post(path), call(operation, Some(model)), "{path}");
        }
        assert_eq!(recognise("GET", "/foundation-models", |_| false), call(Operation::ListModels, None));
        let one = recognise("GET", "/foundation-models/a%3A0", |_| false);
        assert_eq!(one, call(Operation::GetModel, Some("a:0")));
    }

    #[test]
    fn what_bedrock_has_and_the_gateway_has_not_is_told_in_its_dialect() {
        for path in [
            "/model/m/invoke-with-bidirectional-stream",
            "/guardrail/g/version/1/apply",
            "/async-invoke",
            "/bedrock/inference-profiles",
        ] {
            let found = post(path);
            let is_later = matches!(found, Recognised::Unsupported { dialect: Dialect::Bedrock, .. });
            assert!(is_later, "{path}: {found:?}");
        }
        let wrong = recognise("GET", "/model/m/converse", |_| false);
        assert_eq!(wrong, Recognised::WrongMethod { dialect: Dialect::Bedrock, allow: "POST" });
    }

    #[test]
    fn a_wrong_path_is_answered_with_one_that_works() {
        let cases = [
            ("/model/a:0/chat", "/model/a%3A0/converse"),
            ("/aws/v2/model/a%3A0/converse-stream", "/model/a%3A0/converse-stream"),
            ("/model", "/model/{model}/converse"),
            ("/model/m", "/model/{model}/converse"),
            ("/bedrock/chat", "/model/{model}/converse"),
            ("/model/a%2F..%2Fb/converse", "/model/{model}/converse"),
            ("/model/%2e%2e/converse", "/model/{model}/converse"),
            ("/model/a%5cb/converse", "/model/{model}/converse"),
            ("/model/a%00/converse", "/model/{model}/converse"),
            ("/model/a%2/converse", "/model/{model}/converse"),
        ];
        for (path, hint) in cases {
            let want = Recognised::Unknown { dialect: Dialect::Bedrock, hint: Some(hint.to_owned()) };
            assert_eq!(post(path), want, "{path}");
        }
        let by_client = recognise("POST", "/v1/chat/complete", |name| name == "amz-sdk-request");
        assert!(matches!(by_client, Recognised::Unknown { dialect: Dialect::Bedrock, hint: Some(_) }));
    }

    #[test]
    fn other_dialects_keep_their_paths() {
        for path in [
            "/openai/deployments/model/chat/completions",
            "/v1/models/model",
            "/v1beta/models/model:generateContent",
            "/v1/chat/completions",
        ] {
            let found = post(path);
            let is_bedrocks = matches!(
                &found,
                Recognised::Call(Call { dialect: Dialect::Bedrock, .. })
                    | Recognised::Unknown { dialect: Dialect::Bedrock, .. }
            );
            assert!(!is_bedrocks, "{path}: {found:?}");
        }
    }
}
