//! The data plane, in the order a request travels.
//!
//! A station may name what earlier stations give, never a later one; `pipeline` alone knows them
//! all and alone sees the whole [`Snapshot`].

mod server;

mod listen;

mod edge;
mod pipeline;

mod auth;
mod caller;
mod intake;
mod route;
mod stored;
mod trace;

mod admission;
mod failover;
mod translate;
mod upstream;

mod relay;

mod findings;
mod limits;
mod me;
mod objectives;
mod overload;
mod rejection;
mod residency;
mod series;
mod served;
mod settle;

mod drill;
mod health;
mod live;
mod probe;
mod snapshot;
mod unpriced;
mod worker;

pub use auth::{KeyDigest, KeyRing};
pub use drill::{
    Drill, DrillEnd, DrillFault, DrillPlace, DrillPlan, DrillScope, Drills, Measured, Misplaced, Quantiles,
};
pub use failover::RetryBudget;
pub use findings::{Finding, Findings};
pub use health::{
    Breaker, BreakerState, Change, Defect, Entered, Hold, LoadEstimate, Passing, Sample, Told, Way,
};
pub use listen::{BadCertificate, ListenerTls, server_tls};
pub use live::{
    Expired, Fleet, Group, Live, ModelLive, Move, MoveCell, OperatorCell, OperatorState, Override,
    RegionLive, TargetLive, TargetView, UpstreamLive,
};
pub use objectives::{Aim, Counts, Objective, Objectives, Review, Subject, View, Window};
pub use overload::{Crowd, Gate, Mark, Memory, Priority, ProjectLoad, Shed, Standing};
pub use probe::{Attention, Look, Probed, probe};
pub use rejection::{Advice, Rejection, UpstreamCode};
pub use route::{Share, forecast};
pub use server::{DataPlane, Listen, StartError};
pub use settle::{Traced, TracedLeg};
pub use snapshot::{
    Balance, ByName, CallersTrace, EdgeLimits, Failback, Hedge, InjectUsage, Prepared, Principal, Probes,
    Route, Routes, Snapshot, Target, Timeouts, Tracing, Upstream, Waste,
};
pub use trace::Trace;
pub use upstream::{
    ConnectError, Credential, CredentialCell, CredentialState, CredentialView, Fetched, Issued, Origin,
    PostError, Presentation, Scheme, UnsendableCredential, client_tls, fetch, post,
};
pub use worker::{Durability, Shared};
