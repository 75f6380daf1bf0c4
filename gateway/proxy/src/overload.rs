//! What is refused rather than drowned in: a process and its targets take no more than they can carry.
//!
//! One [law](law) says who gets one of a bounded number of slots; a [gate](gate) keeps the slots of the
//! process and the bytes that it holds for clients; a [room](room) keeps those of an upstream. Whoever is refused is told so before a byte of its
//! body is read, and nothing was reserved for it.

mod gate;
mod held;
mod law;
mod line;
mod memory;
mod project;
mod room;

pub(crate) use gate::Presence;
pub(crate) use held::Held;
pub(crate) use memory::SMALL_BODY;
#[cfg(test)]
pub(crate) use room::{InLine, Turn};
pub(crate) use room::{Room, Seat};

pub use gate::Gate;
pub use law::{Crowd, Priority};
pub use memory::{Mark, Memory};
pub use project::{ProjectLoad, Standing};

use law::Denied;

/// Why a request is refused for want of room; the names of `tollgate_shed_requests_total{reason}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shed {
    /// Every slot is taken.
    Full,
    /// What is free is kept for more urgent requests.
    Priority,
    /// The project has its share, and what is free is kept for others.
    Share,
    /// The bodies that are held are as many bytes as may be.
    BytesHeld,
    /// Memory is at its soft mark, and the body is not small.
    MemorySoft,
    /// Memory is at its hard mark.
    MemoryHard,
    /// There is no place left to wait for the target, or none for this project.
    NoPlaceToWait,
    /// No slot of the target became free in time.
    WaitedInVain,
}

impl Shed {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Priority => "priority",
            Self::Share => "share",
            Self::BytesHeld => "bytes_held",
            Self::MemorySoft => "memory_soft",
            Self::MemoryHard => "memory_hard",
            Self::NoPlaceToWait => "no_place_to_wait",
            Self::WaitedInVain => "waited_in_vain",
        }
    }

    /// For people.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Full => "the gateway is at its limit of concurrent requests",
            Self::Priority => "the gateway keeps its last slots for requests of higher priority",
            Self::Share => "this project has its share of the gateway's concurrent requests",
            Self::BytesHeld => "the gateway holds as many bytes of requests as it takes",
            Self::MemorySoft => "the gateway is short of memory and takes small requests only",
            Self::MemoryHard => "the gateway is short of memory",
            Self::NoPlaceToWait | Self::WaitedInVain => "the upstream is at its limit of concurrent requests",
        }
    }
}

impl From<Denied> for Shed {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Full => Self::Full,
            Denied::Priority => Self::Priority,
            Denied::Share => Self::Share,
        }
    }
}
