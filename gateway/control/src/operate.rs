//! What operators do to regions, upstreams, targets and models: the one set of operations behind the
//! admin API and, through it, the command line.
//!
//! An operator's word is kept in the ledger store before it is in force, so that it outlives a
//! restart; it is in force for new requests the moment [`Operators::apply`] returns.

mod error;
mod failover;
mod homes;
mod order;
mod preview;
mod subject;
mod traffic;
mod view;

use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_accounting::ledger::{AuditEntry, LedgerStore, Override as Kept, StoreError, rfc3339};
use tollgate_domain::{UnixMillis, UpstreamName};
use tollgate_proxy::{Expired, Live, OperatorState, Override, Snapshot};

pub use error::OperateError;
pub use failover::{Failback, Failover};
pub use homes::Home;
pub use order::{Action, Kind, Order, ParseSpanError, Span};
pub use preview::{Moved, Preview, Receiver, preview_failover, preview_order};
pub use subject::Subject;
pub use traffic::Traffic;
pub use view::{CredentialShown, FailoverShown, View, models, regions, targets, upstreams};

/// Who the gateway itself is in the audit.
const GATEWAY: &str = "gateway";
/// Why it ended a state.
const OVER: &str = "its time has run out";

/// Under what an order is given.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The running configuration.
    pub snapshot: &'a Snapshot,
    /// Who gives it.
    pub actor: &'a str,
    /// When.
    pub now: UnixMillis,
}

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
            if kept.kind == failover::KIND {
                // One whose time ran out begins its way back with the first look at the clock.
                match self.restore_failover(&kept, now) {
                    true => restored.in_force += 1,
                    false => restored.unreadable.push(format!("{} {}: {}", kept.kind, kept.name, kept.state)),
                }
                continue;
            }
            if kept.until.is_some_and(|until| now >= until) {
                self.store.clear_override(&kept.kind, &kept.name)?;
                let kind = Kind::parse(&kept.kind).map_or("unknown", Kind::as_str);
                let detail = serde_json::json!({ "reason": kept.reason });
                self.append_audit(GATEWAY, &format!("{kind}.expire"), &kept.name, &detail, now)?;
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
    /// The order makes no sense, does not fit what is so, would leave projects without a home, or the
    /// store failed; then nothing changed. [`OperateError::NotAudited`]: it is in force, but the audit
    /// does not tell.
    pub fn apply(
        &self,
        subject: &Subject,
        action: Action,
        order: &Order,
        scene: &Scene<'_>,
    ) -> Result<(), OperateError> {
        order.check(action)?;
        let _changing = self.changing.lock();
        self.refuse_repeated(subject, action, order)?;
        let homeless = if action.takes_out() { homes::lost(scene, subject) } else { Vec::new() };
        if !homeless.is_empty() && !order.force {
            return Err(OperateError::NoHome(homeless));
        }
        let after = |span: Option<Span>| span.map(|span| scene.now.plus(span.millis()));
        let (until, cut_at) = (after(order.lasts), after(order.deadline));
        let (kind, name) = (subject.kind(), subject.name());
        match state_of(action) {
            Some(state) => {
                self.store.put_override(&Kept {
                    kind: kind.as_str().to_owned(),
                    name: name.clone(),
                    state: state.as_str().to_owned(),
                    reason: order.reason.clone(),
                    author: scene.actor.to_owned(),
                    since: scene.now,
                    until,
                })?;
                let (reason, actor, since) = (order.reason.clone(), scene.actor.to_owned(), scene.now);
                subject.set(&self.live, Some(Override { state, reason, actor, since, until, cut_at }));
            }
            None => {
                self.store.clear_override(kind.as_str(), &name)?;
                subject.set(&self.live, None);
                if let Subject::Region(region) = subject {
                    self.end_failover(region, scene.now)?;
                }
                subject.take_back(&self.live);
            }
        }
        let mut detail = serde_json::json!({ "reason": order.reason, "until": until.map(rfc3339) });
        if let Some(at) = cut_at {
            detail["deadline"] = rfc3339(at).into();
        }
        if !homeless.is_empty() {
            detail["without_home"] = homes::names(&homeless).into();
        }
        let verb = format!("{}.{}", kind.as_str(), action.as_str());
        self.append_audit(scene.actor, &verb, &name, &detail, scene.now).map_err(OperateError::NotAudited)
    }

    /// The same state once more is refused, unless it gets another end.
    fn refuse_repeated(&self, subject: &Subject, action: Action, order: &Order) -> Result<(), OperateError> {
        let Some(word) = subject.word(&self.live) else { return Ok(()) };
        let has_new_end = order.lasts.is_some() || order.deadline.is_some();
        if state_of(action) != Some(word.state) || has_new_end {
            return Ok(());
        }
        let (kind, name, state) = (subject.kind().as_str(), subject.name(), word.state.as_str());
        let (since, author) = (rfc3339(word.since), &word.actor);
        Err(OperateError::Conflict(format!("{kind} {name} is {state} already, since {since}, by {author}")))
    }

    /// Clears breakers and holds of every target of an upstream.
    ///
    /// # Errors
    /// The order has parts that mean nothing here; then nothing changed.
    /// [`OperateError::NotAudited`]: it is done, but the audit does not tell.
    pub fn reset(
        &self,
        upstream: &UpstreamName,
        order: &Order,
        scene: &Scene<'_>,
    ) -> Result<(), OperateError> {
        if (order.preview, order.force, order.lasts, order.deadline) != (false, false, None, None) {
            return Err(OperateError::Unsound("a reset has a `reason` and nothing else".to_owned()));
        }
        for target in scene.snapshot.targets().filter(|target| target.upstream.name == *upstream) {
            target.live.reset();
            for hold in [&target.live.hold, &*target.fate, &*target.account] {
                hold.reset();
            }
        }
        let detail = serde_json::json!({ "reason": order.reason, "until": null });
        self.append_audit(scene.actor, "upstream.reset", upstream.as_str(), &detail, scene.now)
            .map_err(OperateError::NotAudited)
    }

    /// Does what the time demands: ends states that have run out and names what returned, ends what is in
    /// flight beyond its deadline, moves ramps on. Call it every second or so.
    ///
    /// # Errors
    /// The states are over for requests, but the store still has them; the next start clears them.
    pub fn expire(&self, now: UnixMillis) -> Result<Vec<Subject>, StoreError> {
        let _changing = self.changing.lock();
        self.live.fleet.cut_overdue(now);
        let mut ended: Vec<Subject> =
            self.live.fleet.expire_overrides(now).into_iter().filter_map(ended_subject).collect();
        for subject in &ended {
            let (kind, name) = (subject.kind().as_str(), subject.name());
            self.store.clear_override(kind, &name)?;
            let detail = serde_json::json!({ "reason": OVER, "until": null });
            self.append_audit(GATEWAY, &format!("{kind}.expire"), &name, &detail, now)?;
        }
        ended.extend(self.follow_failovers(now)?);
        Ok(ended)
    }

    fn append_audit(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: &serde_json::Value,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.store
            .append_audit(&AuditEntry {
                seq: 0,
                at,
                actor: actor.to_owned(),
                action: action.to_owned(),
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

const fn state_of(action: Action) -> Option<OperatorState> {
    match action {
        Action::Drain => Some(OperatorState::Draining),
        Action::Disable => Some(OperatorState::Disabled),
        Action::Force => Some(OperatorState::Forced),
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
        cut_at: None,
    };
    Some((subject, word))
}

fn ended_subject(expired: Expired) -> Option<Subject> {
    match expired {
        Expired::Region(name) => Some(Subject::Region(name)),
        Expired::Upstream(name) => Some(Subject::Upstream(name)),
        Expired::Target(name) => Subject::parse(Kind::Target, &name),
        Expired::Model(name) => Some(Subject::Model(name)),
    }
}
