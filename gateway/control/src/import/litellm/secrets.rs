//! Secrets: references stay references, and what stood in the file becomes one.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::tree::Node,
    import::{
        Outcome,
        source::{Notes, text},
    },
};

/// How LiteLLM refers to the environment.
const REFERENCE: &str = "os.environ/";

/// The variables that the new configuration needs.
#[derive(Default)]
pub(super) struct Secrets {
    taken: BTreeSet<String>,
    /// A literal and the variable that stands for it now: one secret is one variable.
    literals: BTreeMap<String, String>,
}

impl Secrets {
    /// A secret as a reference. One that stands in the file is not copied: `wanted` is the name of the
    /// variable that somebody has to set.
    pub(super) fn reference(
        &mut self,
        node: &Node,
        what: &str,
        wanted: &str,
        notes: &mut Notes,
    ) -> Option<String> {
        let secret = text(node)?;
        if let Some(name) = secret.strip_prefix(REFERENCE) {
            return Some(format!("${{env:{name}}}"));
        }
        if let Some(name) = self.literals.get(&secret) {
            return Some(format!("${{env:{name}}}"));
        }
        let name = self.free(wanted);
        let why =
            format!("the secret stands in the file and was not copied: set {name} in the environment to it");
        notes.add(node, what, Outcome::ToDo, why);
        self.literals.insert(secret, name.clone());
        Some(format!("${{env:{name}}}"))
    }

    fn free(&mut self, wanted: &str) -> String {
        let base: String = wanted
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !self.taken.contains(name));
        let name = name.unwrap_or(base);
        self.taken.insert(name.clone());
        name
    }
}

/// A plain setting, which may be a reference too.
pub(super) fn setting(node: &Node) -> Option<String> {
    let text = text(node)?;
    Some(match text.strip_prefix(REFERENCE) {
        Some(name) => format!("${{env:{name}}}"),
        None => text,
    })
}
