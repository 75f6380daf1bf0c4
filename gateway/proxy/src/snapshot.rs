//! What is decided before a request arrives: keys, routes, upstreams, limits and prices.
//!
//! A [`Snapshot`] is built and checked whole, published by one pointer swap and taken once per
//! request, so that an exchange sees one configuration from its first byte to its last. What
//! traffic changes (balances, breakers, operator states) is not in here: the snapshot only holds
//! references to those [live](crate::live) cells, which outlive it.

mod prepared;
#[cfg(test)]
pub(crate) mod sample;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tollgate_accounting::{ledger::Identity, ledger::Place, price::PriceLine, quota::Scope};
use tollgate_dialect::{Apis, Dialect};
use tollgate_domain::{
    ModelAlias, ModelVersion, Money, Name, RegionName, UnixMillis, UpstreamModel, UpstreamName, ZoneName,
};

use crate::{
    auth::KeyRing,
    health::Hold,
    live::{Group, ModelLive, OperatorCell, OperatorState, RegionLive, TargetLive, UpstreamLive},
    overload::Standing,
    upstream::{Credential, Origin},
};

pub use prepared::Prepared;

/// One configuration, ready to serve. Immutable.
pub struct Snapshot {
    /// Ascending number of the configuration; part of every row.
    pub version: u64,
    /// The currency of budgets and totals.
    pub currency: Name,
    /// Who may call.
    pub keys: KeyRing,
    /// What may be called, by the name that clients send.
    pub routes: Routes,
    /// Every region, whether a route leads there or not.
    pub regions: Vec<Arc<RegionLive>>,
    /// Every upstream, whether a route leads there or not.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What the edge accepts.
    pub edge: EdgeLimits,
    /// Who bears what attempts without an answer have cost.
    pub waste: Waste,
    /// What becomes of traces.
    pub tracing: Tracing,
}

/// What becomes of the traces that requests stand in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tracing {
    /// What a caller's own trace is worth.
    pub callers: CallersTrace,
    /// Of a million traces that begin here, so many are recorded; `None` where nobody is told of spans, and no
    /// trace begins here.
    pub sampled_millionths: Option<u32>,
}

/// What the trace is worth that a caller says its request belongs to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CallersTrace {
    /// It goes on here, recorded or not as the caller has decided.
    #[default]
    Trusted,
    /// Another one begins here, with a link to it.
    Linked,
    /// Nothing.
    Ignored,
}

/// Who bears what attempts without an answer have cost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Waste {
    /// The operator: it stands beside the bill, and no budget moves.
    #[default]
    Platform,
    /// The project that called: it is a part of its bill.
    Project,
}

/// Bounds on what a client may send, and on what all of them may at once.
#[derive(Clone, Copy, Debug)]
pub struct EdgeLimits {
    /// Largest request body in bytes; above it the answer is 413.
    pub max_body: usize,
    /// Longest silence while a body is being sent; above it the answer is 408.
    pub body_idle: Duration,
    /// After so long a body has to have come at 1 KiB a second at least, on the whole; else the answer is 408.
    pub body_grace: Duration,
    /// Requests in flight in this process, at most [`Gate::MOST`](crate::Gate::MOST); above it the answer
    /// is 503 `overloaded`.
    pub max_in_flight: u32,
    /// Bytes of request bodies held in this process; above it the answer is 503 `overloaded`.
    pub max_bytes_held: u64,
    /// Longest wait for one of an upstream's slots where all are taken.
    pub longest_wait: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            body_idle: Duration::from_secs(15),
            body_grace: Duration::from_secs(10),
            max_in_flight: 20_000,
            max_bytes_held: 1 << 30,
            longest_wait: Duration::from_millis(500),
        }
    }
}

/// Who is calling, resolved from a key: identity for the row, limits, and what it may use.
pub struct Principal {
    /// Names that the ledger row carries.
    pub identity: Arc<Identity>,
    /// Limits to pass, in the order key, project, team.
    pub scopes: Vec<Arc<Scope>>,
    /// Models that this key may call.
    pub models: HashSet<ModelAlias, foldhash::fast::RandomState>,
    /// Residency: the only zones where its data may be processed. `None` is anywhere.
    pub zones: Option<Vec<ZoneName>>,
    /// From when on the key is refused.
    pub expires: Option<UnixMillis>,
    /// True once the key was revoked.
    pub revoked: bool,
    /// Status of a budget refusal; 429 unless the key says otherwise.
    pub refusal_status: u16,
    /// Some scope has a hard budget, so every call needs a price.
    pub hard_budget: bool,
    /// Some scope reserves the whole worst case, so an absent output cap is inserted.
    pub reserve_full: bool,
    /// Tags that a client may set by header; all others are ignored.
    pub request_tags: Vec<Name>,
    /// Stored prompts that it may fill in, by their provider's id, each with the upstream that has it.
    pub prompts: Vec<(Box<str>, UpstreamName)>,
    /// What it gets when there is not room for everybody.
    pub standing: Standing,
}

impl Principal {
    /// True when its data may be processed where the target does.
    #[must_use]
    pub fn permits(&self, target: &Target) -> bool {
        let zones = &target.upstream.zones;
        self.zones.as_ref().is_none_or(|permitted| zones.iter().all(|zone| permitted.contains(zone)))
    }
}

/// A table that is looked into by every request. Its keys are the configuration's own and no client can
/// add one, so that a hash made to withstand that would only cost.
pub type ByName<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Routes by alias, and aliases by the deployment names that Azure clients put into the path.
#[derive(Clone, Default)]
pub struct Routes {
    /// Every alias with its route.
    pub by_alias: ByName<ModelAlias, Arc<Route>>,
    /// Deployment name to alias.
    pub deployments: ByName<Name, ModelAlias>,
}

/// One alias: what serves it, in levels.
#[derive(Clone)]
pub struct Route {
    /// What clients call it.
    pub alias: ModelAlias,
    /// Targets by priority, the preferred level first. Never empty, no level empty.
    pub levels: Vec<Vec<Arc<Target>>>,
    /// How a target is chosen within a level.
    pub balance: Balance,
    /// The most output tokens that the model gives; bounds reservations when a client names none.
    pub max_output_tokens: Option<u64>,
    /// Members of a client's body that may be left out for a target whose dialect has no place for
    /// them, for example `seed`.
    pub may_drop: Box<[Box<str>]>,
    /// When a stream gets a second copy elsewhere, if ever.
    pub hedge: Option<Hedge>,
    /// Where a call goes, once, that is too long for this model's context.
    pub fallback: Option<ModelAlias>,
    /// A failing call may be moved to another version of the model.
    pub failover_versions: bool,
    /// A level whose upstreams are near their configured concurrency gives a part of its traffic to the
    /// next one before it is full.
    pub spill_on_saturation: bool,
    /// What all its requests share.
    pub group: Arc<Group>,
    /// The operator's word on the alias.
    pub live: Arc<ModelLive>,
}

/// When a stream that nobody begins to answer is asked for a second time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hedge {
    /// Only calls that cost no more than this in the worst case.
    pub max_cost: Money,
    /// Not before this, however fast answers usually begin.
    pub after: Duration,
}

impl Route {
    /// What an operator says about the alias, whatever its targets are.
    #[must_use]
    pub fn operator_state(&self) -> OperatorState {
        self.live.operator.state(OperatorState::default())
    }

    /// True when an operator has its requests sent whatever breakers and holds say.
    pub(crate) fn is_forced(&self) -> bool {
        self.operator_state() == OperatorState::Forced
    }
}

/// How a target is chosen within a level.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Balance {
    /// Two random targets, the less loaded one.
    #[default]
    P2c,
    /// In turns, by weight alone.
    Weighted,
    /// In turns among the fastest.
    Latency {
        /// Hundredths by which a target may be slower than the best one.
        sensitivity: u32,
    },
    /// The same target for the same conversation, whose prefix it has cached.
    Affinity,
}

/// How a target whose breaker has opened gets its traffic back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Failback {
    /// By itself, on a ramp, once it has shown to be healthy.
    #[default]
    Auto,
    /// When an operator says so; until then it serves only what nobody else can.
    Manual,
}

/// An upstream plus the model it serves.
#[derive(Clone)]
pub struct Target {
    /// The endpoint.
    pub upstream: Arc<Upstream>,
    /// What the endpoint calls the model.
    pub model: UpstreamModel,
    /// Which version of the model that is, where it is known.
    pub version: Option<ModelVersion>,
    /// Share within its level, at least 1.
    pub weight: u32,
    /// Paid for whether it is used or not: filled before the others of its level.
    pub is_provisioned: bool,
    /// Its dated prices; `None` is served but unpriced.
    pub price: Option<PriceLine>,
    /// Names that the ledger row carries.
    pub place: Arc<Place>,
    /// Breaker, hold and load of this target.
    pub live: Arc<TargetLive>,
    /// Hold of the targets that fail together with this one.
    pub fate: Arc<Hold>,
    /// Hold of the account that pays for this one.
    pub account: Arc<Hold>,
    /// What its exchanges repeat.
    pub prepared: Prepared,
}

impl Target {
    /// What operators say about its region, its upstream and itself.
    pub(crate) fn operator_states(&self) -> [OperatorState; 3] {
        [
            self.upstream.region_live.operator.state(OperatorState::default()),
            self.upstream.live.operator.state(self.upstream.configured),
            self.live.operator.state(OperatorState::default()),
        ]
    }

    /// True while an operator lets new requests go there.
    #[must_use]
    pub fn takes_requests(&self) -> bool {
        self.operator_states().iter().all(|state| state.takes_requests())
    }

    /// True when what is in flight there is to end now.
    pub(crate) fn is_cut(&self) -> bool {
        let upstream = &self.upstream;
        [&upstream.region_live.operator, &upstream.live.operator, &self.live.operator]
            .into_iter()
            .any(OperatorCell::is_cut)
    }

    /// Every wait that keeps requests from it: its own, that of its fate group, that of its account.
    pub(crate) fn holds(&self) -> [&Hold; 3] {
        [&self.live.hold, &self.fate, &self.account]
    }

    /// True when an operator sends requests there whatever its breaker and holds say.
    pub(crate) fn is_forced(&self) -> bool {
        self.operator_states().contains(&OperatorState::Forced)
    }
}

/// An endpoint of a provider, in a region, with a credential.
#[derive(Clone)]
pub struct Upstream {
    /// Its name.
    pub name: UpstreamName,
    /// What it speaks.
    pub dialect: Dialect,
    /// Its ways to converse, where its dialect has several.
    pub apis: Apis,
    /// Where it stands.
    pub region: RegionName,
    /// Where it processes data; a project with residency needs all of them permitted.
    pub zones: Vec<ZoneName>,
    /// Every region of the configuration with its zone: what an answer means that names a region.
    pub region_zones: Arc<[(RegionName, ZoneName)]>,
    /// Scheme, host and port: the only place where the credential goes.
    pub origin: Arc<Origin>,
    /// Path prefix of the base URL, without a trailing slash.
    pub base_path: String,
    /// The secret, bound to the origin.
    pub credential: Credential,
    /// Extra headers toward this upstream.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Azure's `api-version` for calls that bring none.
    pub api_version: Option<String>,
    /// It is told of the trace that a request belongs to.
    pub hears_of_traces: bool,
    /// One multiplexed HTTP/2 connection instead of pooled HTTP/1.1 ones.
    pub http2: bool,
    /// Whether `stream_options.include_usage` may be added.
    pub inject_usage: InjectUsage,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Most requests in flight at this upstream.
    pub max_concurrency: Option<u32>,
    /// State from the file; an operator's override stands above it.
    pub configured: OperatorState,
    /// When it is looked at although nobody asks it; `None` is never.
    pub probes: Option<Probes>,
    /// How its targets get their traffic back after an outage.
    pub failback: Failback,
    /// In-flight count, operator state.
    pub live: Arc<UpstreamLive>,
    /// Operator state of the region.
    pub region_live: Arc<RegionLive>,
    /// Identity of its connections: those of another endpoint or TLS setting are never reused.
    pub pool_key: Arc<str>,
    /// TLS towards it, when the scheme is https.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// When an upstream is looked at although nobody asks it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probes {
    /// After so much silence, and again after as much.
    pub idle: Duration,
    /// So often while its targets are left alone for their faults.
    pub open: Duration,
    /// How long a look may take.
    pub timeout: Duration,
    /// The model that is asked for a few tokens, which are paid for; without it the list of models is.
    pub generate: Option<UpstreamModel>,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            open: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            generate: None,
        }
    }
}

/// When the gateway asks a chat stream for its usage.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InjectUsage {
    /// Whenever the client did not ask itself.
    #[default]
    Always,
    /// Never: the server refuses the field (Mistral) or sends usage unasked.
    Never,
}

/// Bounds on the steps of an attempt; all end it with a failure class of their own.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Name resolution.
    pub dns: Duration,
    /// TCP connect, all addresses together.
    pub connect: Duration,
    /// TLS handshake.
    pub tls: Duration,
    /// Response head of a plain call.
    pub head: Duration,
    /// Response head of a stream.
    pub stream_head: Duration,
    /// First content event of a stream, counted from the head.
    pub ttft: Duration,
    /// Silence of a stream, pings included.
    pub byte_idle: Duration,
    /// Time without a content event in a stream.
    pub content_idle: Duration,
    /// Silence toward the client of a committed stream until it gets a heartbeat, where its dialect has
    /// one; zero for none.
    pub heartbeat: Duration,
    /// Whole plain call.
    pub total: Duration,
    /// Whole stream.
    pub stream_total: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            dns: Duration::from_secs(2),
            connect: Duration::from_secs(1),
            tls: Duration::from_secs(2),
            head: Duration::from_secs(600),
            stream_head: Duration::from_secs(60),
            ttft: Duration::from_secs(60),
            byte_idle: Duration::from_secs(60),
            content_idle: Duration::from_secs(180),
            heartbeat: Duration::from_secs(15),
            total: Duration::from_secs(600),
            stream_total: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(50),
        }
    }
}

impl Snapshot {
    /// A configuration that knows nobody and serves nothing; where a gateway starts before its
    /// first configuration is compiled.
    #[must_use]
    pub fn empty(currency: Name) -> Self {
        Self {
            version: 0,
            currency,
            keys: KeyRing::new([0; 32]),
            routes: Routes::default(),
            regions: Vec::new(),
            upstreams: Vec::new(),
            edge: EdgeLimits::default(),
            waste: Waste::default(),
            tracing: Tracing::default(),
        }
    }

    /// The same configuration with other keys.
    #[must_use]
    pub fn with_keys(&self, keys: KeyRing) -> Self {
        Self {
            version: self.version,
            currency: self.currency.clone(),
            keys,
            routes: self.routes.clone(),
            regions: self.regions.clone(),
            upstreams: self.upstreams.clone(),
            edge: self.edge,
            waste: self.waste,
            tracing: self.tracing,
        }
    }

    /// Every target of every route, once each.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.routes.by_alias.values().flat_map(|route| route.levels.iter().flatten())
    }
}
