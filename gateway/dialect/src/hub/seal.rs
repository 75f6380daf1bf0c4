//! Proofs of reasoning on their way through a client of another dialect.
//!
//! A proof means something to its vendor only, and a client gives back what it was shown. Where the
//! client's dialect has its own kind of proof, another vendor's is shown in a wrapper that names the
//! vendor, so that it can be told apart when it comes back.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::Sealed;
use crate::wire::{Dialect, Family};

/// What every wrapper begins with; the digit is the version of what follows.
const TAG: &str = "tollgate.1.";

#[derive(Deserialize, Serialize)]
struct Content<'a> {
    #[serde(borrow)]
    proof: Cow<'a, str>,
    /// The text that the proof is for, where the client may not keep it as it was.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
}

impl Sealed {
    /// The proof in a wrapper, with the text that it is for.
    pub(crate) fn wrapped(&self, text: Option<&str>) -> String {
        let content = Content { proof: Cow::Borrowed(&self.text), text: text.map(Cow::Borrowed) };
        let content = serde_json::to_vec(&content).expect("texts are always written");
        let vendor = Dialect::ALL.into_iter().find(|dialect| dialect.family() == self.family);
        let vendor = vendor.map_or("", Dialect::as_str);
        format!("{TAG}{vendor}.{}", BASE64_STANDARD.encode(content))
    }

    /// What [`wrapped`](Self::wrapped) was made of; `None` for anything else.
    pub(crate) fn unwrapped(shown: &str) -> Option<(Self, Option<String>)> {
        let (vendor, content) = shown.strip_prefix(TAG)?.split_once('.')?;
        let family = Dialect::from_name(vendor)?.family();
        let content = BASE64_STANDARD.decode(content).ok()?;
        let Content { proof, text } = serde_json::from_slice(&content).ok()?;
        Some((Self { family, text: proof.into_owned() }, text.map(Cow::into_owned)))
    }

    /// As a client is shown it whose dialect has proofs of the family `own`.
    pub(crate) fn shown(&self, own: Family) -> Cow<'_, str> {
        if self.family == own { Cow::Borrowed(&self.text) } else { Cow::Owned(self.wrapped(None)) }
    }

    /// The reverse of [`shown`](Self::shown).
    pub(crate) fn given_back(shown: String, own: Family) -> Self {
        match Self::unwrapped(&shown) {
            Some((sealed, _)) => sealed,
            None => Self { family: own, text: shown },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_comes_back_as_its_own_vendors() {
        for family in [Family::OpenAi, Family::Anthropic, Family::Gemini] {
            let sealed = Sealed { family, text: "EqoB \"é\"".to_owned() };
            for own in [Family::OpenAi, Family::Anthropic] {
                let shown = sealed.shown(own).into_owned();
                assert_eq!(shown == sealed.text, family == own, "only a foreign one is wrapped");
                assert_eq!(Sealed::given_back(shown, own), sealed);
            }
            let wrapped = sealed.wrapped(Some("hm"));
            assert_eq!(Sealed::unwrapped(&wrapped), Some((sealed, Some("hm".to_owned()))));
        }
    }

    #[test]
    fn what_is_no_wrapper_is_a_proof_of_the_clients_own_vendor() {
        for shown in [
            "",
            "EqoB",
            "tollgate.1.",
            "tollgate.1.telepathy.e30=",
            "tollgate.1.openai.%",
            "tollgate.1.openai.e30=",
        ] {
            assert_eq!(Sealed::unwrapped(shown), None, "{shown}");
            let sealed = Sealed::given_back(shown.to_owned(), Family::Anthropic);
            assert_eq!((sealed.family, &*sealed.text), (Family::Anthropic, shown));
        }
    }
}
