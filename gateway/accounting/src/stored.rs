//! What providers keep for a project (answers of OpenAI's responses API), and where.
//!
//! A provider's id says nothing of whose it is: whoever knows it could read it with the account's
//! credential. So the gateway remembers of every kept answer which project made it and which upstream
//! keeps it, for as long as providers keep them.

use std::time::Duration;

use tollgate_domain::{ModelAlias, ProjectName, TeamName, UnixMillis, UpstreamName};

use crate::ledger::StoreError;

/// How long an answer is remembered: providers keep theirs for thirty days.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longer ids are no provider's, and are not remembered.
pub const LONGEST_ID: usize = 256;

/// Whose an answer is, and where it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keeper {
    /// The team of the project.
    pub team: TeamName,
    /// The project that made it.
    pub project: ProjectName,
    /// The model that was asked for.
    pub model: ModelAlias,
    /// The upstream that keeps it.
    pub upstream: UpstreamName,
}

/// A memory of kept answers that survives the process. Calls block for as long as a small file
/// access takes.
pub trait StoredResponses: Send + Sync {
    /// Remembers an answer until [`KEPT_FOR`] from `now`. An id that is remembered already stays
    /// whose it is.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn keep(&self, id: &str, keeper: &Keeper, now: UnixMillis) -> Result<(), StoreError>;

    /// Whose this answer is; nothing when it is not known, or not any more.
    ///
    /// # Errors
    /// The memory cannot be read.
    fn find(&self, id: &str, now: UnixMillis) -> Result<Option<Keeper>, StoreError>;

    /// Forgets an answer that its provider has deleted.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn forget(&self, id: &str) -> Result<(), StoreError>;
}
