//! What providers keep for a project (answers and conversations of OpenAI's responses API), and where.
//!
//! A provider's id says nothing of whose it is: whoever knows it could read it with the account's
//! credential. So the gateway remembers of all that is kept which project made it and which upstream
//! keeps it, for as long as providers keep it.

use std::time::Duration;

use tollgate_domain::{ModelAlias, ProjectName, TeamName, UnixMillis, UpstreamName};

use crate::ledger::StoreError;

/// How long an answer is remembered: providers keep theirs for thirty days.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longer ids are no provider's, and are not remembered.
pub const LONGEST_ID: usize = 256;

/// How long something is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lasting {
    /// [`KEPT_FOR`], as answers are kept.
    AMonth,
    /// Until it is forgotten, as conversations are kept.
    UntilDeleted,
}

impl Lasting {
    /// The instant at which something that is kept now is remembered no more.
    #[must_use]
    pub fn end(self, now: UnixMillis) -> UnixMillis {
        let span = match self {
            Self::AMonth => i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX),
            Self::UntilDeleted => i64::MAX,
        };
        UnixMillis::new(now.get().saturating_add(span))
    }
}

/// Whose something is, and where it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keeper {
    /// The team of the project.
    pub team: TeamName,
    /// The project that made it.
    pub project: ProjectName,
    /// The model that was asked for, or by which the upstream was found.
    pub model: ModelAlias,
    /// The upstream that keeps it.
    pub upstream: UpstreamName,
}

/// A memory of what is kept that survives the process. Calls block for as long as a small file
/// access takes.
pub trait StoredResponses: Send + Sync {
    /// Remembers an answer or a conversation. An id that is remembered already stays whose it is.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn keep(&self, id: &str, keeper: &Keeper, lasting: Lasting, now: UnixMillis) -> Result<(), StoreError>;

    /// Whose this is; nothing when it is not known, or not any more.
    ///
    /// # Errors
    /// The memory cannot be read.
    fn find(&self, id: &str, now: UnixMillis) -> Result<Option<Keeper>, StoreError>;

    /// Forgets what its provider has deleted.
    ///
    /// # Errors
    /// The memory cannot be written.
    fn forget(&self, id: &str) -> Result<(), StoreError>;
}
