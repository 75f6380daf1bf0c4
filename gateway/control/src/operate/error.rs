//! Why operations are refused.

use tollgate_accounting::ledger::StoreError;

use super::{Kind, homes::Home};

/// Why an operation was not done, or not fully.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// Nothing of that name is configured.
    #[error("no {} is called {name:?}{}", kind.as_str(), nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Unknown {
        /// What was looked for.
        kind: Kind,
        /// By which name.
        name: String,
        /// A configured name that is like it.
        nearest: Option<String>,
    },
    /// The order does not make sense, whatever it is about.
    #[error("{0}")]
    Unsound(String),
    /// It does not fit what is so already.
    #[error("{0}; nothing was changed")]
    Conflict(String),
    /// Projects would be left without a target that they permit.
    #[error("{} would have no permitted target left; nothing was changed, `force` does it all the same", counted(.0.len()))]
    NoHome(Vec<Home>),
    /// The state could not be kept, so it is not in force.
    #[error("the state could not be kept, so nothing was changed: {0}")]
    NotKept(#[from] StoreError),
    /// It was done, but the audit does not tell.
    #[error("it is done, but the audit entry could not be kept: {0}")]
    NotAudited(StoreError),
}

fn counted(homes: usize) -> String {
    match homes {
        1 => "1 model of a project".to_owned(),
        several => format!("{several} models of projects"),
    }
}
