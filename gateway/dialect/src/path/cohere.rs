//! Cohere's paths: those of its second version, and with its name before them also its list of models.

use std::borrow::Cow;

use super::{Recognised, call};
use crate::wire::{Dialect, Operation};

const VERBS: [(&str, Operation); 2] = [("embed", Operation::Embed), ("rerank", Operation::Rerank)];

/// What stands after the version in an operation's own path.
pub(crate) fn verb(operation: Operation) -> Option<&'static str> {
    VERBS.iter().find(|(_, known)| *known == operation).map(|(verb, _)| *verb)
}

/// Tells what segments mean to Cohere; `None` for a path that is none of it.
pub(super) fn recognise<'a>(method: &str, segments: &[Cow<'a, str>]) -> Option<Recognised<'a>> {
    let dialect = Dialect::Cohere;
    let prefixed = segments.first().is_some_and(|first| first == "cohere");
    let rest = &segments[usize::from(prefixed)..];
    let names: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
    let unknown = |verb: &str| Recognised::Unknown { dialect, hint: Some(format!("/v2/{verb}")) };
    Some(match &*names {
        ["v2", verb] if let Some((_, operation)) = VERBS.iter().find(|(known, _)| known == verb) => {
            call(method, dialect, *operation, None)
        }
        ["v2" | "v1", "chat"] if prefixed || names[0] == "v2" => {
            Recognised::Unsupported { dialect, what: "chats in Cohere's dialect" }
        }
        ["v1", "models"] if prefixed => call(method, dialect, Operation::ListModels, None),
        ["v1", "models", _] if prefixed => call(method, dialect, Operation::GetModel, Some(rest[2].clone())),
        // Requests of the first version have other members.
        [.., verb] if prefixed => unknown(VERBS.iter().find(|(known, _)| known == verb)?.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Call, recognise};

    fn post(path: &str) -> Recognised<'_> {
        recognise("POST", path, |_| false)
    }

    #[test]
    fn calls_of_the_second_version_are_found_with_and_without_a_prefix() {
        let cases = [
            ("/v2/embed", Operation::Embed),
            ("//v2/embed/", Operation::Embed),
            ("/cohere/v2/embed", Operation::Embed),
            ("/v2/rerank", Operation::Rerank),
            ("/cohere/v2/rerank", Operation::Rerank),
        ];
        for (path, operation) in cases {
            let want = Call { dialect: Dialect::Cohere, operation, model: None };
            assert_eq!(post(path), Recognised::Call(want), "{path}");
        }
        let allow = "POST";
        let want = Recognised::WrongMethod { dialect: Dialect::Cohere, allow };
        assert_eq!(recognise("GET", "/v2/embed", |_| false), want);
    }

    #[test]
    fn models_are_listed_where_the_path_names_the_vendor() {
        let list = Call { dialect: Dialect::Cohere, operation: Operation::ListModels, model: None };
        assert_eq!(recognise("GET", "/cohere/v1/models", |_| false), Recognised::Call(list));
        let one = Call { dialect: Dialect::Cohere, operation: Operation::GetModel, model: Some("m".into()) };
        assert_eq!(recognise("GET", "/cohere/v1/models/m", |_| false), Recognised::Call(one));
    }

    #[test]
    fn what_is_not_served_is_told_apart_from_what_is_another_version() {
        for path in ["/v2/chat", "/cohere/v2/chat", "/cohere/v1/chat"] {
            let is_later = matches!(post(path), Recognised::Unsupported { dialect: Dialect::Cohere, .. });
            assert!(is_later, "{path}");
        }
        let hint = Some("/v2/embed".to_owned());
        assert_eq!(post("/cohere/v1/embed"), Recognised::Unknown { dialect: Dialect::Cohere, hint });
    }
}
