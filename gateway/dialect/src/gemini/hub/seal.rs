//! `thoughtSignature`: base64 that the API gives and takes back, and the one place where its clients keep
//! another vendor's proofs.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

use crate::{hub::Sealed, wire::Family};

/// What stands before a whole block of reasoning that only its vendor can read, inside the base64.
const REDACTED: &str = "redacted:";

/// Decoders that do not ask whether the end is padded.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const OF_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const OF_URLS: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What a client's signature is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Signature {
    /// A proof of a thought.
    Proof(Sealed),
    /// A whole block of another vendor's reasoning.
    Redacted(Sealed),
}

/// Reads a signature that a client hands back.
pub(super) fn read(text: String) -> Option<Signature> {
    let shown = decode(&text).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let foreign = |shown: &str| Sealed::unwrapped(shown).map(|(sealed, _)| sealed);
    if let Some(block) = shown.strip_prefix(REDACTED).and_then(foreign) {
        return Some(Signature::Redacted(block));
    }
    let own = || (!text.is_empty()).then_some(Sealed { family: Family::Gemini, text });
    foreign(&shown).or_else(own).map(Signature::Proof)
}

/// A proof as a client of this dialect keeps it: another vendor's in its wrapper, which is base64 here as
/// everything in this place must be.
pub(super) fn proof(sealed: &Sealed) -> String {
    match sealed.family {
        Family::Gemini => sealed.text.clone(),
        _ => STANDARD.encode(sealed.wrapped(None)),
    }
}

/// The same for a block that only its vendor can read.
pub(super) fn redacted(sealed: &Sealed) -> String {
    STANDARD.encode(format!("{REDACTED}{}", sealed.wrapped(None)))
}

/// Base64 of either alphabet, with or without padding: Google's clients write either.
fn decode(text: &str) -> Option<Vec<u8>> {
    let engine = if text.contains(['-', '_']) { OF_URLS } else { OF_STANDARD };
    engine.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vendors_proof_is_kept_as_base64_and_known_again() {
        let anthropic = |text: &str| Sealed { family: Family::Anthropic, text: text.to_owned() };
        let kept = proof(&anthropic("Eq+/=="));
        assert_eq!(read(kept.clone()), Some(Signature::Proof(anthropic("Eq+/=="))));
        // Some clients write base64 anew, in the other alphabet and without padding.
        let anew = kept.replace('+', "-").replace('/', "_");
        assert_eq!(read(anew.trim_end_matches('=').to_owned()), read(kept));
        assert_eq!(read(redacted(&anthropic("x"))), Some(Signature::Redacted(anthropic("x"))));
        let own = Sealed { family: Family::Gemini, text: "CgQKAggB".into() };
        assert_eq!(read(proof(&own)), Some(Signature::Proof(own)));
        assert_eq!(read(String::new()), None);
    }
}
