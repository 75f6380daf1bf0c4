//! Proofs of reasoning on their way through a client of another dialect.
//!
//! A proof means something to its vendor only, and a client gives back what it was shown. So another
//! vendor's is shown with his name, in a wrapper where the client may part it from its text.

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
        format!("{TAG}{}.{}", vendor(self.family), BASE64_STANDARD.encode(content))
    }

    /// What [`wrapped`](Self::wrapped) was made of; `None` for anything else.
    pub(crate) fn unwrapped(shown: &str) -> Option<(Self, Option<String>)> {
        let (vendor, content) = shown.strip_prefix(TAG)?.split_once('.')?;
        let family = Dialect::from_name(vendor)?.family();
        let content = BASE64_STANDARD.decode(content).ok()?;
        let Content { proof, text } = serde_json::from_slice(&content).ok()?;
        Some((Self { family, text: proof.into_owned() }, text.map(Cow::into_owned)))
    }

    /// As clients of the OpenAI and Anthropic dialects keep it: their place for proofs is Anthropic's, so
    /// that another vendor's says whose it is.
    pub(crate) fn kept(self) -> String {
        match self.family {
            Family::Anthropic => self.text,
            family => format!("{}:{}", vendor(family), self.text),
        }
    }

    /// The reverse of [`kept`](Self::kept). An empty proof is none: it stands where a client's dialect
    /// demands one and the vendor gave none.
    pub(crate) fn from_kept(text: String) -> Option<Self> {
        let named = text.split_once(':').and_then(|(vendor, own)| Some((Dialect::from_name(vendor)?, own)));
        match named {
            Some((vendor, own)) => Some(Self { family: vendor.family(), text: own.to_owned() }),
            None => (!text.is_empty()).then_some(Self { family: Family::Anthropic, text }),
        }
    }
}

/// A vendor's name, which is that of his own dialect.
fn vendor(family: Family) -> &'static str {
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.family() == family);
    dialect.map_or("", Dialect::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_comes_back_as_its_own_vendors() {
        for family in [Family::OpenAi, Family::Anthropic, Family::Gemini] {
            let sealed = Sealed { family, text: "EqoB:\"é\"".to_owned() };
            let kept = sealed.clone().kept();
            assert_eq!(kept == sealed.text, family == Family::Anthropic, "only a foreign one is named");
            assert_eq!(Sealed::from_kept(kept), Some(sealed.clone()));
            for text in [None, Some(""), Some("hm")] {
                let wrapped = sealed.wrapped(text);
                assert_eq!(Sealed::unwrapped(&wrapped), Some((sealed.clone(), text.map(str::to_owned))));
            }
        }
        assert_eq!(Sealed::from_kept(String::new()), None);
    }

    #[test]
    fn what_is_no_wrapper_is_told_apart() {
        for shown in [
            "",
            "EqoB",
            "tollgate.1.",
            "tollgate.1.telepathy.e30=",
            "tollgate.1.openai.%",
            "tollgate.1.openai.e30=",
        ] {
            assert_eq!(Sealed::unwrapped(shown), None, "{shown}");
        }
    }
}
