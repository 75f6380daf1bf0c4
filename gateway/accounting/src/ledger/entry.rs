//! What a row of the ledger holds.
//!
//! Parts that many rows have in common ([`Identity`], [`Place`]) are shared, so that building a row
//! on the request path copies reference counts and not texts.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use smallvec::SmallVec;
use tollgate_domain::{
    KeyName, ModelAlias, Money, Name, ProjectName, RegionName, RequestId, TeamName, UnitPrice, UnixMillis,
    UpstreamModel, UpstreamName, Usage, UsageSource, ZoneName,
};

use crate::price::Meter;

/// One row: a request and what came of it, or a correction.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The request's identity; it remembers `started_at`, and stores find time ranges by it.
    pub id: RequestId,
    /// Ascending number that a store gives when it takes the row; 0 until then.
    pub seq: u64,
    /// What sort of row this is.
    pub kind: Kind,
    /// When the request's head had arrived. The row belongs to this instant's calendar period.
    pub started_at: UnixMillis,
    /// When the row was settled.
    pub ended_at: UnixMillis,
    /// Who asked.
    pub identity: Arc<Identity>,
    /// Tags that came with the request. They add to the identity's and never replace them.
    pub request_tags: Vec<(Name, Name)>,
    /// The end user, as the request names it.
    pub end_user: Option<Box<str>>,
    /// The session, as the request names it.
    pub session: Option<Box<str>>,
    /// The client software, from its `user-agent`.
    pub client: Option<Box<str>>,
    /// What the client called the model.
    pub model: ModelAlias,
    /// Who served it; none when nothing was sent upstream.
    pub place: Option<Arc<Place>>,
    /// What the upstream says has served the request.
    pub served_model: Option<Box<str>>,
    /// The client's dialect.
    pub dialect: Cow<'static, str>,
    /// What was asked for.
    pub operation: Cow<'static, str>,
    /// True when the client asked for a stream.
    pub stream: bool,
    /// The HTTP status that the client got; 0 when nobody knows it any more (a recovered row).
    pub status: u16,
    /// Our code for what went wrong.
    pub error_code: Option<Cow<'static, str>>,
    /// How the exchange ended; none for what never went upstream.
    pub end: Option<End>,
    /// Who gave the answer.
    pub served_by: ServedBy,
    /// What was consumed.
    pub usage: Usage,
    /// Where the usage comes from.
    pub usage_source: UsageSource,
    /// Every priced quantity; the costs sum to `cost` exactly.
    pub meters: SmallVec<[Meter; 4]>,
    /// The service tier in effect, as the upstream says.
    pub service_tier: Option<Box<str>>,
    /// What it cost; none when the model has no price.
    pub cost: Option<Money>,
    /// The currency of every amount in this row.
    pub currency: Name,
    /// What was reserved before the call.
    pub reserved_cost: Money,
    /// What attempts without an answer cost beside it: the provider may bill it, the caller is not charged.
    pub waste_cost: Money,
    /// Every try, in order.
    pub attempts: SmallVec<[Attempt; 1]>,
    /// The upstream's own id of the answer that was given.
    pub upstream_request_id: Option<Box<str>>,
    /// The trace that the request belongs to.
    pub trace_id: Option<Box<str>>,
    /// From the request's head to the first content.
    pub ttft_ms: Option<u32>,
    /// From the request's head to settlement.
    pub duration_ms: u32,
    /// The configuration that was in force.
    pub config_version: u64,
    /// The row that this one corrects.
    pub adjusts: Option<RequestId>,
    /// What a reader of the figures should know.
    pub flags: Flags,
}

impl Entry {
    /// A row of which no more is known than who asked for what, and when, as the id tells: nothing was
    /// consumed, charged or sent.
    #[must_use]
    pub fn new(
        kind: Kind,
        id: RequestId,
        identity: Arc<Identity>,
        model: ModelAlias,
        currency: Name,
    ) -> Self {
        Self {
            id,
            seq: 0,
            kind,
            started_at: id.started_at(),
            ended_at: id.started_at(),
            identity,
            request_tags: Vec::new(),
            end_user: None,
            session: None,
            client: None,
            model,
            place: None,
            served_model: None,
            dialect: Cow::Borrowed(""),
            operation: Cow::Borrowed(""),
            stream: false,
            status: 0,
            error_code: None,
            end: None,
            served_by: ServedBy::Upstream,
            usage: Usage::default(),
            usage_source: UsageSource::Counted,
            meters: SmallVec::new(),
            service_tier: None,
            cost: Some(Money::ZERO),
            currency,
            reserved_cost: Money::ZERO,
            waste_cost: Money::ZERO,
            attempts: SmallVec::new(),
            upstream_request_id: None,
            trace_id: None,
            ttft_ms: None,
            duration_ms: 0,
            config_version: 0,
            adjusts: None,
            flags: Flags::default(),
        }
    }

    /// The tags: first the identity's, then those of the request that the identity does not set.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = &self.identity.tags;
        let added = self.request_tags.iter().filter(|(name, _)| fixed.iter().all(|(known, _)| known != name));
        fixed.iter().chain(added).map(|(name, value)| (&**name, &**value))
    }

    /// The value of the tag `name`.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags().find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// Who asked: the part of a row that is the same for every request of a key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// The organisation that runs the gateway.
    pub organization: Name,
    /// The gateway instance that wrote the row.
    pub instance: Name,
    /// The team that finance charges.
    pub team: TeamName,
    /// The project of the team.
    pub project: ProjectName,
    /// The key of the project, by name.
    pub key: KeyName,
    /// Where the team's costs are booked.
    pub cost_center: Option<Name>,
    /// Tags that configuration gives to the key, project or team.
    pub tags: Vec<(Name, Name)>,
}

/// Where a request was served: the same for every request of a target.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    /// The provider.
    pub provider: Name,
    /// The account at the provider.
    pub account: Option<Name>,
    /// The endpoint that answered.
    pub upstream: UpstreamName,
    /// The model that it was asked for.
    pub upstream_model: UpstreamModel,
    /// Where the endpoint stands.
    pub region: RegionName,
    /// Where the data was processed.
    pub zone: ZoneName,
}

/// One try on one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub n: u16,
    /// The endpoint that was tried.
    pub upstream: UpstreamName,
    /// Where it stands.
    pub region: RegionName,
    /// What came of it, in the words of failover.
    pub outcome: Cow<'static, str>,
    /// The upstream's HTTP status, if it gave one.
    pub status: Option<u16>,
    /// The upstream's own id.
    pub upstream_request_id: Option<Box<str>>,
    /// From the attempt's begin to its first content.
    pub ttft_ms: Option<u32>,
    /// How long it took.
    pub duration_ms: u32,
    /// What it consumed, when it was not the one that answered.
    pub meters: SmallVec<[Meter; 1]>,
    /// What it cost without giving the answer.
    pub waste: Money,
}

/// What is known when the first byte is about to go upstream. It borrows: a START is encoded at
/// once and kept by nobody.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The request's identity.
    pub id: RequestId,
    /// When the request's head had arrived.
    pub started_at: UnixMillis,
    /// Who asks.
    pub identity: &'a Arc<Identity>,
    /// Tags that came with the request.
    pub request_tags: &'a [(Name, Name)],
    /// The end user, as the request names it.
    pub end_user: Option<&'a str>,
    /// The session, as the request names it.
    pub session: Option<&'a str>,
    /// The client software.
    pub client: Option<&'a str>,
    /// What the client calls the model.
    pub model: &'a ModelAlias,
    /// The client's dialect.
    pub dialect: &'a str,
    /// What is asked for.
    pub operation: &'a str,
    /// True when the client asks for a stream.
    pub stream: bool,
    /// Input tokens, estimated from the body.
    pub input_estimate: u64,
    /// Output tokens that were reserved.
    pub output_reserved: u64,
    /// Money that was reserved.
    pub reserved_cost: Money,
    /// The price by which a lost request is charged; none when the model has no price.
    pub price: Option<StartPrice<'a>>,
    /// The currency of every amount.
    pub currency: &'a Name,
    /// True when a hard budget applies, so that a lost request is charged at its worst case.
    pub hard: bool,
    /// The configuration in force.
    pub config_version: u64,
}

/// The price by which recovery charges a request of which only the START is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StartPrice<'a> {
    /// The entry of the price book.
    pub price_id: &'a Name,
    /// Its currency.
    pub currency: &'a Name,
    /// One input token of the dearest class that could apply.
    pub input: UnitPrice,
    /// One output token.
    pub output: UnitPrice,
}

/// A name that no value of the type has.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown {what} {name:?}; one of: {known}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

/// An enum whose values are stored and shown by name; the number is only the journal's.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal { $($(#[$value_doc:meta])* $value:ident = $number:literal $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $type { $($(#[$value_doc])* $value,)* }

        impl $type {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$value,)*];

            /// The name used in rows, queries and exports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }

            pub(super) const fn number(self) -> u64 {
                match self { $(Self::$value => $number,)* }
            }

            pub(super) const fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$value),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name).ok_or_else(|| UnknownName {
                    what: $what,
                    name: name.to_owned(),
                    known: Self::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

named! {
    /// What sort of row it is.
    Kind, "kind" {
        /// A request that was let in.
        Usage = 1 "usage",
        /// A request of a known key that was not let in.
        Refusal = 2 "refusal",
        /// A correction of another row.
        Adjustment = 3 "adjustment",
        /// A cost that no request caused.
        Fixed = 4 "fixed",
        /// A request that the gateway itself made, to see whether an upstream lives.
        Probe = 5 "probe",
    }
}

named! {
    /// How an exchange ended.
    End, "end" {
        /// The client got the whole answer.
        Completed = 1 "completed",
        /// The client left.
        ClientAbort = 2 "client_abort",
        /// No upstream could answer.
        UpstreamFailed = 3 "upstream_failed",
        /// The stream broke off after content.
        Truncated = 4 "truncated",
        /// The stream fell silent after content.
        Stalled = 5 "stalled",
        /// The upstream refused the request for its own fault.
        RefusedUpstream = 6 "refused_upstream",
        /// The gateway died meanwhile; the row was made at the next start.
        Recovered = 7 "recovered",
        /// A fault of the gateway.
        Internal = 8 "internal",
    }
}

named! {
    /// Who gave the answer.
    ServedBy, "served_by" {
        /// A provider.
        Upstream = 1 "upstream",
        /// The gateway's cache.
        Cache = 2 "cache",
    }
}

/// What a reader of a row's figures should know; a set of marks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(u32);

impl Flags {
    /// The model has no price.
    pub const UNPRICED: Self = Self(1);
    /// A count had no price of its own, so its parent's was used.
    pub const PRICE_INCOMPLETE: Self = Self(1 << 1);
    /// The provider's counts contradict each other.
    pub const USAGE_INCONSISTENT: Self = Self(1 << 2);
    /// Another model than the one asked for has served the request.
    pub const SERVED_MODEL_DIFFERS: Self = Self(1 << 3);
    /// The provider does not say how much of the output was reasoning.
    pub const REASONING_UNKNOWN: Self = Self(1 << 4);
    /// The input could only be estimated from below.
    pub const INPUT_LOWER_BOUND: Self = Self(1 << 5);

    /// A budget put a cheaper model in the place of the one asked for.
    pub const DOWNGRADED: Self = Self(1 << 6);

    /// The answer names a place outside the zones that its upstream is declared for; the row has the zone
    /// of that place.
    pub const ZONE_DIFFERS: Self = Self(1 << 7);

    /// It took part in a drill: the gateway may have put faults into its attempts.
    pub const DRILLED: Self = Self(1 << 8);

    /// It was too long for the model that was asked for and went to the one that its route names for that.
    pub const LARGER_CONTEXT: Self = Self(1 << 9);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::UNPRICED, "unpriced"),
        (Self::PRICE_INCOMPLETE, "price_incomplete"),
        (Self::USAGE_INCONSISTENT, "usage_inconsistent"),
        (Self::SERVED_MODEL_DIFFERS, "served_model_differs"),
        (Self::REASONING_UNKNOWN, "reasoning_unknown"),
        (Self::INPUT_LOWER_BOUND, "input_lower_bound"),
        (Self::DOWNGRADED, "downgraded"),
        (Self::ZONE_DIFFERS, "zone_differs"),
        (Self::DRILLED, "drilled"),
        (Self::LARGER_CONTEXT, "larger_context"),
    ];

    /// Adds the marks of `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True when every mark of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when no mark is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the marks that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
