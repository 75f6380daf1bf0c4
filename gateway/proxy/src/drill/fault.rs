//! What an attempt meets at a drilled target, in the failure classes of real outages.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tollgate_dialect::Fault;

use super::{
    disturbance::{Disturbance, Kind},
    pulse::Pulse,
};
use crate::{
    failover::{Class, Failure},
    live::UpstreamLive,
    overload::{Seat, Shed, Standing},
    snapshot::Target,
    upstream::ConnectError,
};

/// How soon a wait notices that its drill is over.
const LOOK: Duration = Duration::from_millis(50);

/// A fault that a drill injects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DrillFault {
    /// Connections are refused.
    Down,
    /// Names are not resolved.
    Dns,
    /// Every call waits before it is sent.
    Latency {
        /// How long.
        added: Duration,
    },
    /// Every call is answered 429.
    Throttle {
        /// How long the answer asks to wait.
        retry_after: Duration,
    },
    /// Every call is answered with an error of the server.
    Error {
        /// 500, 502, 503 or 504.
        status: u16,
    },
    /// Streams end in the middle.
    Cut {
        /// Pieces of the body that still come after the first content.
        after: u32,
    },
    /// Each piece of a stream comes late.
    Trickle {
        /// How late.
        every: Duration,
    },
}

impl DrillFault {
    /// The name in orders and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Dns => "dns",
            Self::Latency { .. } => "latency",
            Self::Throttle { .. } => "throttle",
            Self::Error { .. } => "error",
            Self::Cut { .. } => "cut",
            Self::Trickle { .. } => "trickle",
        }
    }

    /// What it adds to the time of a call that it lets through.
    pub(super) const fn delay(self) -> Duration {
        match self {
            Self::Latency { added } => added,
            _ => Duration::ZERO,
        }
    }

    /// Whether a call can meet it at all.
    pub(super) const fn concerns(self, is_stream: bool) -> bool {
        is_stream || !matches!(self, Self::Cut { .. } | Self::Trickle { .. })
    }
}

/// A drill's fault at a target.
pub(crate) struct Injection {
    fault: DrillFault,
    pulse: Arc<Pulse>,
    /// The cell of the real upstream, whose slots those take that do reach it.
    upstream: Arc<UpstreamLive>,
}

impl Injection {
    pub(super) fn new(fault: DrillFault, pulse: Arc<Pulse>, upstream: &Arc<UpstreamLive>) -> Self {
        Self { fault, pulse, upstream: Arc::clone(upstream) }
    }

    /// What happens to a call that is about to be sent: a failure without a word to the upstream, or what
    /// will disturb its answer.
    ///
    /// # Errors
    /// The fault, as the class that a real one would have; or that the real upstream has no slot left.
    pub(crate) async fn meet(
        &self,
        target: &Target,
        standing: &Standing,
        is_stream: bool,
    ) -> Result<Disturbance, Failure> {
        let now = Instant::now();
        if self.pulse.is_over(now) {
            return self.disturbance((target, standing), Kind::Nothing);
        }
        match self.fault {
            DrillFault::Down => Err(self.failure(Class::Connect(ConnectError::Refused), now)),
            DrillFault::Dns => Err(self.failure(Class::Connect(ConnectError::Dns), now)),
            DrillFault::Throttle { retry_after } => {
                let failure = self.failure(Class::Said(Fault::Throttled), now);
                Err(Failure { status: Some(429), hint: Some(retry_after), ..failure })
            }
            DrillFault::Error { status } => {
                let failure = self.failure(Class::Said(Fault::Server), now);
                Err(Failure { status: Some(status), ..failure })
            }
            DrillFault::Latency { added } => {
                self.pulse.hit(now);
                let timeouts = &target.upstream.timeouts;
                let patience = if is_stream { timeouts.stream_head } else { timeouts.head };
                self.wait(added.min(patience)).await;
                if added >= patience {
                    return Err(Failure::of(Class::HeadTimeout));
                }
                self.disturbance((target, standing), Kind::Nothing)
            }
            DrillFault::Cut { after } => self.disturbance((target, standing), Kind::cut(after)),
            DrillFault::Trickle { every } => {
                self.pulse.hit(now);
                self.disturbance((target, standing), Kind::trickle(every))
            }
        }
    }

    fn failure(&self, class: Class, now: Instant) -> Failure {
        self.pulse.hit(now);
        Failure::of(class)
    }

    /// Waits no longer than the drill lasts.
    async fn wait(&self, added: Duration) {
        let until = tokio::time::Instant::now() + added;
        while tokio::time::Instant::now() < until && !self.pulse.is_over(Instant::now()) {
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + LOOK)).await;
        }
    }

    fn disturbance(
        &self,
        (target, standing): (&Target, &Standing),
        kind: Kind,
    ) -> Result<Disturbance, Failure> {
        let slot = Slot::take(&self.upstream, target.upstream.max_concurrency, standing)
            .map_err(|_| Failure::of(Class::Saturated))?;
        Ok(Disturbance::new(kind, Arc::clone(&self.pulse), slot))
    }
}

/// A place at the real upstream, among the calls of everybody. Whoever only waits for a fault takes none.
pub(super) struct Slot {
    upstream: Arc<UpstreamLive>,
    /// Where the upstream has a bound.
    _seat: Option<Seat>,
}

impl Slot {
    fn take(upstream: &Arc<UpstreamLive>, most: Option<u32>, standing: &Standing) -> Result<Self, Shed> {
        let seat = Seat::at(upstream, most, standing)?;
        upstream.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Self { upstream: Arc::clone(upstream), _seat: seat })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.upstream.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
