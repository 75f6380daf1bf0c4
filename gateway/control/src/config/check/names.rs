//! Names: what they may look like, and that each is given once.

use std::collections::HashMap;

use tollgate_accounting::ledger::SHARED;

use crate::config::problem::Path;

use super::Check;

/// Longest name; rows and metrics carry names, so they stay short.
const MAX_NAME_BYTES: usize = 128;

impl Check<'_> {
    /// A name that becomes a part of scopes (`team/project/key`), targets (`model@upstream`), folders
    /// and metrics.
    pub(super) fn name(&mut self, path: Path, name: &str) {
        let fault = if name.is_empty() {
            "a name cannot be empty"
        } else if name.len() > MAX_NAME_BYTES {
            "a name cannot be longer than 128 bytes"
        } else if name.contains(['/', '\\', '@']) {
            "a name cannot have `/`, `\\` or `@`"
        } else if name.contains(char::is_control) || name.trim() != name || name.starts_with('.') {
            "a name cannot start with a dot, have control characters, or spaces at its ends"
        } else if name == SHARED {
            "this name is kept for costs that nobody of the teams has caused: choose another"
        } else {
            return;
        };
        self.error(path, fault);
    }

    /// What clients or providers call a model: `/`, `:` and `@` are usual there.
    pub(super) fn model_name(&mut self, path: Path, name: &str) {
        if name.is_empty()
            || name.len() > MAX_NAME_BYTES
            || name.contains(char::is_control)
            || name.trim() != name
        {
            self.error(
                path,
                "expected 1 to 128 bytes without control characters and without spaces at the ends",
            );
        }
    }

    /// Items of a list that are told apart by a field.
    pub(super) fn unique<'n>(
        &mut self,
        list: &Path,
        field: &str,
        what: &str,
        names: impl Iterator<Item = &'n str>,
    ) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, name) in names.enumerate() {
            if let Some(earlier) = first.get(name) {
                let earlier = self.tree.place_of(&list.index(*earlier).field(field)).clone();
                let message = format!(
                    "the {what} `{name}` is given twice, first at {earlier}: rename or take out one of them"
                );
                self.error(list.index(index).field(field), message);
            } else {
                first.insert(name, index);
            }
        }
    }
}
