//! What a journal tells about itself: its condition, and events worth a line in a log.

use std::{fmt, io, path::Path, time::Duration};

/// Whether records can be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition {
    /// They can.
    Writable,
    /// No space can be reserved for new requests; those in flight have theirs.
    Full,
    /// The device takes far too long to confirm what was written, or has too much to confirm.
    Slow,
    /// A record could not be written anywhere. It waits in memory until it can.
    Failing,
}

impl Condition {
    /// What operators read; `None` while all is well.
    #[must_use]
    pub const fn problem(self) -> Option<&'static str> {
        match self {
            Self::Writable => None,
            Self::Full => Some("the journal's disk is full"),
            Self::Slow => Some("the journal's disk does not keep up"),
            Self::Failing => Some("the journal cannot be written"),
        }
    }
}

/// Something that an operator wants to know.
#[derive(Debug)]
pub enum Event<'a> {
    /// A segment could not be written or synced and is never used again. What it held and the device
    /// had not confirmed is written again elsewhere.
    Abandoned {
        /// The segment.
        segment: &'a Path,
        /// What the system said.
        error: &'a io::Error,
    },
    /// No space could be reserved for the next segments.
    NoSpace(&'a io::Error),
    /// It can be again.
    SpaceAgain,
    /// Records wait in memory: no folder takes them.
    Failing(&'a io::Error),
    /// The waiting records are written.
    Recovered,
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abandoned { segment, error } => {
                write!(f, "the journal gives up the segment {}: {error}", segment.display())
            }
            Self::NoSpace(error) => write!(f, "the journal cannot reserve space: {error}"),
            Self::SpaceAgain => write!(f, "the journal can reserve space again"),
            Self::Failing(error) => write!(f, "the journal takes no records: {error}"),
            Self::Recovered => write!(f, "the journal takes records again, those that waited are written"),
        }
    }
}

/// Whoever wants to hear. Called on the journal's and on request threads: be quick, never block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Everything written has been brought to the device, which took this long.
    fn synced(&self, took: Duration);

    /// Something has happened.
    fn happened(&self, event: &Event<'_>);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nobody;

impl Observer for Nobody {
    fn synced(&self, _: Duration) {}

    fn happened(&self, _: &Event<'_>) {}
}
