//! `redactedContent`: base64 that the API gives and takes back, and the place where its clients keep
//! another vendor's sealed reasoning.
//!
//! Whoever reasons in the open under this API and signs it is Anthropic, so that proofs here are his.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    hub::{Sealed, standard_base64},
    wire::Family,
};

/// A sealed block as a client of this dialect keeps it: Anthropic's as it is, for it is base64; anything
/// else in its wrapper.
pub(super) fn blob(sealed: &Sealed) -> String {
    let own = standard_base64(&sealed.text).filter(|_| sealed.family == Family::Anthropic);
    match own {
        Some(Cow::Borrowed(text)) => text.to_owned(),
        _ => BASE64_STANDARD.encode(sealed.wrapped(None)),
    }
}

/// The reverse of [`blob`]; `None` where it is no base64.
pub(super) fn of_blob(text: &str) -> Option<Sealed> {
    let text = standard_base64(text)?;
    let shown = BASE64_STANDARD.decode(&*text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let foreign = shown.as_deref().and_then(Sealed::unwrapped).map(|(sealed, _)| sealed);
    Some(foreign.unwrap_or(Sealed { family: Family::Anthropic, text: text.into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_block_comes_back_as_its_own_vendors() {
        let sealed = |family, text: &str| Sealed { family, text: text.to_owned() };
        let own = sealed(Family::Anthropic, "EqoB");
        assert_eq!(blob(&own), "EqoB");
        for block in [own, sealed(Family::Anthropic, "no base64!"), sealed(Family::OpenAi, "gAAA")] {
            assert_eq!(of_blob(&blob(&block)), Some(block));
        }
        assert_eq!(of_blob("%"), None);
    }
}
