//! What operators do to regions, upstreams and targets: the one set of operations behind the admin
//! API and, through it, the command line.
//!
//! An operator's word is kept in the ledger store before it is in force, so that it outlives a
//! restart; it is in force for new requests the moment [`Operators::apply`] returns.

mod order;
mod view;

use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_accounting::ledger::{AuditEntry, LedgerStore, Override as Kept, StoreError, rfc3339};
use tollgate_domain::{RegionName, UnixMillis, UpstreamModel, UpstreamName};
use tollgate_proxy::{Expired, Live, OperatorCell, OperatorState, Override, Snapshot};

pub use order::{Action, Kind, Order, ParseSpanError, Span};
pub use view::{CredentialShown, View, regions, targets, upstreams};

/// Who the gateway itself is in the audit.
const GATEWAY: &str = "gateway";

/// Changes operators' states. Every call may block on the store.
pub struct Operators {
    store: Arc<dyn LedgerStore>,
    live: Arc<Live>,
    /// Store and cell change together, so that an expiry never undoes a newer word.
    changing: Mutex<()>,
}

impl Operators {
    /// Operations on this live state, kept in this store.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, live: Arc<Live>) -> Self {
        Self { store, live, changing: Mutex::new(()) }
    }

    /// Puts the kept states back in force, at start. States whose time ran out meanwhile, and those
    /// that this version cannot read, are left to [`expire`](Self::expire) and to people.
    ///
    /// # Errors
    /// The store cannot be read; nothing is in force.
    pub fn restore(&self, now: UnixMillis) -> Result<Restored, StoreError> {
        let _changing = self.changing.lock();
        let mut restored = Restored::default();
        for kept in self.store.overrides()? {
            if kept.until.is_some_and(|until| now >= until) {
                self.store.clear_override(&kept.kind, &kept.name)?;
                self.append_audit(
                    GATEWAY,
                    Kind::parse(&kept.kind),
                    "expire",
                    &kept.name,
                    &kept.reason,
                    None,
                    now,
                )?;
                continue;
            }
            match read_kept(&kept) {
                Some((subject, word)) => {
                    subject.set(&self.live, Some(word));
                    restored.in_force += 1;
                }
                None => restored.unreadable.push(format!("{} {}: {}", kept.kind, kept.name, kept.state)),
            }
        }
        Ok(restored)
    }

    /// Does what the operator asks.
    ///
    /// # Errors
    /// The order asks for what this version cannot do, or the store failed; then nothing changed.
    /// [`OperateError::NotAudited`]: it is in force, but the audit does not tell.
    pub fn apply(
        &self,
        subject: &Subject,
        action: Action,
        order: &Order,
        actor: &str,
        now: UnixMillis,
    ) -> Result<(), OperateError> {
        if let Some(part) = order.unsupported() {
            return Err(OperateError::Unsupported(part));
        }
        let _changing = self.changing.lock();
        let until = order.lasts.map(|span| now.plus(span.millis()));
        let (kind, name) = (subject.kind(), subject.name());
        match state_of(action) {
            Some(state) => {
                self.store.put_override(&Kept {
                    kind: kind.as_str().to_owned(),
                    name: name.clone(),
                    state: state.as_str().to_owned(),
                    reason: order.reason.clone(),
                    author: actor.to_owned(),
                    since: now,
                    until,
                })?;
                let (reason, actor) = (order.reason.clone(), actor.to_owned());
                subject.set(&self.live, Some(Override { state, reason, actor, since: now, until }));
            }
            None => {
                self.store.clear_override(kind.as_str(), &name)?;
                subject.set(&self.live, None);
                subject.take_back(&self.live);
            }
        }
        self.append_audit(actor, Some(kind), action.as_str(), &name, &order.reason, until, now)
            .map_err(OperateError::NotAudited)
    }

    /// Clears breakers and holds of every target of an upstream.
    ///
    /// # Errors
    /// The order asks for what this version cannot do; then nothing changed.
    /// [`OperateError::NotAudited`]: it is done, but the audit does not tell.
    pub fn reset(
        &self,
        upstream: &UpstreamName,
        snapshot: &Snapshot,
        order: &Order,
        actor: &str,
        now: UnixMillis,
    ) -> Result<(), OperateError> {
        if let Some(part) = order.unsupported() {
            return Err(OperateError::Unsupported(part));
        }
        for target in snapshot.targets().filter(|target| target.upstream.name == *upstream) {
            target.live.reset();
            for hold in [&target.live.hold, &*target.fate, &*target.account] {
                hold.reset();
            }
        }
        self.append_audit(actor, Some(Kind::Upstream), "reset", upstream.as_str(), &order.reason, None, now)
            .map_err(OperateError::NotAudited)
    }

    /// Ends the states whose time has run out, and names what returned; call it every second or so.
    ///
    /// # Errors
    /// The states are over for requests, but the store still has them; the next start clears them.
    pub fn expire(&self, now: UnixMillis) -> Result<Vec<Subject>, StoreError> {
        let _changing = self.changing.lock();
        let ended: Vec<Subject> =
            self.live.fleet.expire_overrides(now).into_iter().filter_map(ended_subject).collect();
        for subject in &ended {
            let (kind, name) = (subject.kind(), subject.name());
            self.store.clear_override(kind.as_str(), &name)?;
            self.append_audit(GATEWAY, Some(kind), "expire", &name, "its time has run out", None, now)?;
        }
        Ok(ended)
    }

    #[expect(clippy::too_many_arguments, reason = "an audit entry has that many parts")]
    fn append_audit(
        &self,
        actor: &str,
        kind: Option<Kind>,
        verb: &str,
        subject: &str,
        reason: &str,
        until: Option<UnixMillis>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let detail = serde_json::json!({ "reason": reason, "until": until.map(rfc3339) });
        self.store
            .append_audit(&AuditEntry {
                seq: 0,
                at,
                actor: actor.to_owned(),
                action: format!("{}.{verb}", kind.map_or("unknown", Kind::as_str)),
                subject: subject.to_owned(),
                detail: detail.to_string(),
            })
            .map(drop)
    }
}

/// What came back at start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Restored {
    /// States in force again.
    pub in_force: usize,
    /// Kept states that this version cannot read.
    pub unreadable: Vec<String>,
}

/// What an operation is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A region.
    Region(RegionName),
    /// An upstream.
    Upstream(UpstreamName),
    /// A model on an upstream.
    Target(UpstreamName, UpstreamModel),
}

impl Subject {
    /// What operators call `name`, if the running configuration has it.
    ///
    /// # Errors
    /// It has not; the error knows the name that is most like it.
    pub fn find(kind: Kind, name: &str, snapshot: &Snapshot) -> Result<Self, OperateError> {
        let known = names(kind, snapshot);
        if known.iter().any(|known| known == name)
            && let Some(subject) = Self::parse(kind, name)
        {
            return Ok(subject);
        }
        let nearest = known
            .into_iter()
            .map(|known| (strsim::jaro_winkler(&known, name), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Err(OperateError::Unknown { kind, name: name.to_owned(), nearest: nearest.map(|(_, known)| known) })
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Region(_) => Kind::Region,
            Self::Upstream(_) => Kind::Upstream,
            Self::Target(..) => Kind::Target,
        }
    }

    /// Its name, as operators write it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Region(name) => name.to_string(),
            Self::Upstream(name) => name.to_string(),
            Self::Target(upstream, model) => format!("{model}@{upstream}"),
        }
    }

    /// Upstream names have no `@`, model names may.
    fn parse(kind: Kind, name: &str) -> Option<Self> {
        match kind {
            Kind::Region => Some(Self::Region(name.into())),
            Kind::Upstream => Some(Self::Upstream(name.into())),
            Kind::Target => {
                name.rsplit_once('@').map(|(model, upstream)| Self::Target(upstream.into(), model.into()))
            }
        }
    }

    /// Targets that left on their own and wait for an operator's word have it now.
    fn take_back(&self, live: &Live) {
        live.fleet.take_back(|upstream, model, region| match self {
            Self::Region(name) => name == region,
            Self::Upstream(name) => name == upstream,
            Self::Target(at, of) => at == upstream && of == model,
        });
    }

    fn set(&self, live: &Live, word: Option<Override>) {
        let set = |cell: &OperatorCell| cell.set(word);
        match self {
            Self::Region(name) => set(&live.fleet.region(name).operator),
            Self::Upstream(name) => set(&live.fleet.upstream(name).operator),
            Self::Target(upstream, model) => set(&live.fleet.target(upstream, model).operator),
        }
    }
}

fn names(kind: Kind, snapshot: &Snapshot) -> Vec<String> {
    match kind {
        Kind::Region => snapshot.regions.iter().map(|region| region.name.to_string()).collect(),
        Kind::Upstream => snapshot.upstreams.iter().map(|upstream| upstream.name.to_string()).collect(),
        Kind::Target => snapshot.targets().map(|target| target.live.name.to_string()).collect(),
    }
}

const fn state_of(action: Action) -> Option<OperatorState> {
    match action {
        Action::Drain => Some(OperatorState::Draining),
        Action::Disable => Some(OperatorState::Disabled),
        Action::Enable => None,
    }
}

fn read_kept(kept: &Kept) -> Option<(Subject, Override)> {
    let subject = Subject::parse(Kind::parse(&kept.kind)?, &kept.name)?;
    let word = Override {
        state: OperatorState::parse(&kept.state)?,
        reason: kept.reason.clone(),
        actor: kept.author.clone(),
        since: kept.since,
        until: kept.until,
    };
    Some((subject, word))
}

fn ended_subject(expired: Expired) -> Option<Subject> {
    match expired {
        Expired::Region(name) => Some(Subject::Region(name)),
        Expired::Upstream(name) => Some(Subject::Upstream(name)),
        Expired::Target(name) => Subject::parse(Kind::Target, &name),
    }
}

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
    /// A part of the order that this version cannot carry out.
    #[error("`{0}` of an operator's order")]
    Unsupported(&'static str),
    /// The state could not be kept, so it is not in force.
    #[error("the state could not be kept, so nothing was changed: {0}")]
    NotKept(#[from] StoreError),
    /// It was done, but the audit does not tell.
    #[error("it is done, but the audit entry could not be kept: {0}")]
    NotAudited(StoreError),
}
