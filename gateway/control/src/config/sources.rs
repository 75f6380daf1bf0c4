//! Where a configuration gets its files and variables from.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The surroundings of a configuration: the folder that relative paths start from, and the
/// environment's variables.
#[derive(Clone)]
pub struct Sources {
    folder: PathBuf,
    variables: Variables,
}

#[derive(Clone)]
enum Variables {
    Process,
    Fixed(Arc<HashMap<String, String>>),
}

impl Sources {
    /// The process's own working directory and environment.
    #[must_use]
    pub fn process() -> Self {
        Self { folder: PathBuf::new(), variables: Variables::Process }
    }

    /// A given folder and given variables, and nothing else: for tests and for `demo`.
    #[must_use]
    pub fn fixed<K: Into<String>, V: Into<String>>(
        folder: impl Into<PathBuf>,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { folder: folder.into(), variables: Variables::Fixed(Arc::new(variables)) }
    }

    /// A path of the configuration as one that can be opened.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// Why a file cannot be read, and where it was looked for.
    pub(super) fn cannot_read(&self, path: &Path, error: &std::io::Error) -> String {
        let looked_for = match std::path::absolute(self.resolve(path)) {
            Ok(full) if path.is_relative() => {
                format!("; looked for at {}: paths begin at the working directory", full.display())
            }
            _ => String::new(),
        };
        format!("cannot read {}: {error}{looked_for}", path.display())
    }

    /// A variable's value, if it is set and is text.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        match &self.variables {
            Variables::Process => std::env::var(name).ok(),
            Variables::Fixed(variables) => variables.get(name).cloned(),
        }
    }
}
