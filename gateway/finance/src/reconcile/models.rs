//! One model under many names: aliases, dated snapshots, deployments, meters.

use std::collections::{BTreeMap, BTreeSet};

/// What a name is without what does not change the price: the path before it, and the date or version
/// behind it.
pub(super) fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.split('@').next().unwrap_or_default();
    let name = name.strip_suffix("-latest").unwrap_or(name);
    let parts: Vec<&str> = name.split('-').collect();
    let number = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let kept = match parts[..] {
        [.., year, month, day] if number(year, 4) && number(month, 2) && number(day, 2) => parts.len() - 3,
        [.., date] if number(date, 8) => parts.len() - 1,
        _ => parts.len(),
    };
    parts[..kept.max(1)].join("-")
}

/// The words and numbers of a name.
pub(super) fn words(name: &str) -> Vec<String> {
    let parts = name.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|part| !part.is_empty());
    parts.map(str::to_lowercase).collect()
}

/// Finds the ledger's model for the name that an invoice uses.
pub(super) struct Names<'a> {
    /// What people said is the same, by the invoice's name.
    said: &'a BTreeMap<String, String>,
    known: BTreeSet<String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(said: &'a BTreeMap<String, String>, known: impl Iterator<Item = String>) -> Self {
        Self { said, known: known.collect() }
    }

    /// The ledger's name; the invoice's own where the ledger has no such model.
    pub(super) fn of(&self, theirs: &str) -> String {
        if let Some(said) = self.said.get(theirs) {
            return plain(said);
        }
        let plain = plain(theirs);
        if self.known.contains(&plain) {
            return plain;
        }
        let meter = words(theirs);
        let named =
            self.known.iter().map(|known| (words(known), known)).filter(|(words, _)| begins(&meter, words));
        named.max_by_key(|(words, _)| words.len()).map_or(plain, |(_, known)| known.clone())
    }
}

/// True when a meter's name begins with a model's and goes on with what is no other model's.
fn begins(meter: &[String], model: &[String]) -> bool {
    let Some(rest) = meter.strip_prefix(model) else { return false };
    !model.is_empty() && rest.first().is_none_or(|next| is_no_model(next))
}

/// A date, or a word of a meter: direction, scope of deployment, unit.
fn is_no_model(word: &str) -> bool {
    const WORDS: [&str; 27] = [
        "inp",
        "inpt",
        "input",
        "in",
        "prompt",
        "outp",
        "outpt",
        "output",
        "opt",
        "out",
        "completion",
        "cchd",
        "cached",
        "cache",
        "cd",
        "cchdinp",
        "glbl",
        "global",
        "gl",
        "regnl",
        "regional",
        "dz",
        "dzn",
        "data",
        "batch",
        "tokens",
        "token",
    ];
    WORDS.contains(&word) || (word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_paths_do_not_make_another_model() {
        let cases = [
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("openai/GPT-5-mini", "gpt-5-mini"),
            ("gpt-5-latest", "gpt-5"),
            ("20250929", "20250929"),
            ("o3", "o3"),
            ("", ""),
        ];
        for (name, want) in cases {
            assert_eq!(plain(name), want, "{name}");
        }
    }

    #[test]
    fn a_meter_finds_its_model_and_no_smaller_one() {
        let said = BTreeMap::from([("GPT Four".to_owned(), "gpt-4o".to_owned())]);
        let names = Names::new(&said, ["gpt-4o", "gpt-4.1", "gpt-4.1-mini"].map(str::to_owned).into_iter());
        let cases = [
            ("gpt 4o 0806 Inp glbl Tokens", "gpt-4o"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt 4o mini 0718 Inp glbl Tokens", "gpt 4o mini 0718 inp glbl tokens"),
            ("gpt 4.1 mini Outp Data Zone Tokens", "gpt-4.1-mini"),
            ("gpt 4.1 cchd Inp glbl Tokens", "gpt-4.1"),
            ("GPT Four", "gpt-4o"),
            ("dall-e-3", "dall-e-3"),
        ];
        for (theirs, ours) in cases {
            assert_eq!(names.of(theirs), ours, "{theirs}");
        }
    }
}
