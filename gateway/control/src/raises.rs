//! Budgets that are raised for a time: by whom, why, until when.
//!
//! Each scope has one document in the ledger store, so that a raise outlives a restart and reaches
//! every process that shares the store. It is kept before it is in force, and in force for the next
//! request when [`Raises::raise`] returns; the quotas themselves end it in time.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tollgate_accounting::{
    ledger::{AuditEntry, Document, LedgerStore, StoreError, rfc3339},
    quota::{self, Scope, ScopeId, ScopeKind},
};
use tollgate_domain::{Money, UnixMillis};
use tollgate_proxy::Live;

/// Kind of the documents; their names are those of the scopes, such as `project retail/search`.
const KIND: &str = "budget_raise";
/// Who the gateway is in the audit.
const GATEWAY: &str = "gateway";
/// A raise that is larger than so many times the budget is taken for a slip.
const LARGEST_FACTOR: i128 = 10;
/// A raise is for a time: at most a year.
const LONGEST_MILLIS: i64 = 366 * 24 * 3_600_000;
const LONGEST_REASON: usize = 500;

/// Raises budgets. Every call may block on the store.
pub struct Raises {
    store: Arc<dyn LedgerStore>,
    live: Arc<Live>,
    /// What is in force, by the names of the documents; store and quotas change together.
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    revision: u64,
    raise: Option<Raise>,
}

/// A budget's raise.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Raise {
    /// How much more may be spent.
    pub amount: Money,
    /// From when on it is over.
    pub until: UnixMillis,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub author: String,
    /// When.
    pub since: UnixMillis,
}

/// What a document holds.
#[derive(Deserialize, Serialize)]
struct Body {
    raise: Option<Raise>,
}

impl Raises {
    /// Raises of these quotas, kept in this store; [`follow`](Self::follow) puts them in force.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, live: Arc<Live>) -> Self {
        Self { store, live, kept: Mutex::default() }
    }

    /// Puts in force what the store has: at start, and every few seconds for what other processes
    /// have done. Ends what is over, and tells the audit so.
    ///
    /// # Errors
    /// The store cannot be read or written; what was in force stays so until its own end.
    pub fn follow(&self, now: UnixMillis) -> Result<(), StoreError> {
        let mut kept = self.kept.lock();
        self.catch_up(&mut kept)?;
        let over = |kept: &Kept| kept.raise.as_ref().is_some_and(|raise| now >= raise.until);
        let ended: Vec<String> =
            kept.iter().filter(|(_, kept)| over(kept)).map(|(name, _)| name.clone()).collect();
        for name in ended {
            match self.keep(&mut kept, &name, None, now) {
                Ok(()) => {
                    self.audit(GATEWAY, "budget.raise_ended", &name, "its time has run out", None, now)?
                }
                // Another process has ended it, or somebody has raised again: the next call follows.
                Err(StoreError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Raises the budget of a scope.
    ///
    /// # Errors
    /// It has no budget, or the raise is none that can be meant; or the store failed. Nothing has
    /// changed then, but for [`RaiseError::NotAudited`].
    pub fn raise(&self, scope: &Scope, raise: Raise, now: UnixMillis) -> Result<(), RaiseError> {
        let budget = scope.rules().budget.as_ref().ok_or_else(|| no_budget(scope.id()))?;
        sound(&raise, budget, now)?;
        let (author, reason, until) = (raise.author.clone(), raise.reason.clone(), raise.until);
        let amount = raise.amount;
        let name = scope.id().to_string();
        let mut kept = self.kept.lock();
        self.catch_up(&mut kept)?;
        self.keep(&mut kept, &name, Some(raise), now)?;
        self.audit(&author, "budget.raise", &name, &reason, Some((amount, until)), now)
            .map_err(RaiseError::NotAudited)
    }

    /// Ends the raise of a scope before its time.
    ///
    /// # Errors
    /// It is not raised, or the store failed. Nothing has changed then, but for
    /// [`RaiseError::NotAudited`].
    pub fn lower(
        &self,
        scope: &ScopeId,
        reason: &str,
        actor: &str,
        now: UnixMillis,
    ) -> Result<(), RaiseError> {
        let name = scope.to_string();
        let mut kept = self.kept.lock();
        self.catch_up(&mut kept)?;
        if kept.get(&name).is_none_or(|kept| kept.raise.is_none()) {
            return Err(RaiseError::NotRaised(name));
        }
        self.keep(&mut kept, &name, None, now)?;
        self.audit(actor, "budget.lower", &name, reason, None, now).map_err(RaiseError::NotAudited)
    }

    /// The raise of a scope, if it is in force.
    #[must_use]
    pub fn of(&self, scope: &ScopeId, now: UnixMillis) -> Option<Raise> {
        let kept = self.kept.lock();
        kept.get(&scope.to_string())?.raise.clone().filter(|raise| now < raise.until)
    }

    /// Puts in force what the store has and this process does not know.
    fn catch_up(&self, kept: &mut HashMap<String, Kept>) -> Result<(), StoreError> {
        for document in self.store.documents(KIND)? {
            if document.revision > kept.get(&document.name).map_or(0, |known| known.revision) {
                let raise = read(&document)?;
                self.put_in_force(&document.name, raise.as_ref());
                kept.insert(document.name, Kept { revision: document.revision, raise });
            }
        }
        Ok(())
    }

    /// Keeps a scope's raise and puts it in force.
    fn keep(
        &self,
        kept: &mut HashMap<String, Kept>,
        name: &str,
        raise: Option<Raise>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let revision = kept.get(name).map_or(0, |kept| kept.revision) + 1;
        let body = Body { raise };
        self.store.put_document(&Document {
            kind: KIND.to_owned(),
            name: name.to_owned(),
            revision,
            at: now,
            body: serde_json::to_string(&body).expect("texts and numbers are JSON"),
        })?;
        self.put_in_force(name, body.raise.as_ref());
        kept.insert(name.to_owned(), Kept { revision, raise: body.raise });
        Ok(())
    }

    fn put_in_force(&self, name: &str, raise: Option<&Raise>) {
        let Some(id) = scope_id(name) else { return };
        let raise = raise.map(|raise| quota::Raise { amount: raise.amount, until: raise.until });
        self.live.quotas.raise(&id, raise);
    }

    fn audit(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        reason: &str,
        raise: Option<(Money, UnixMillis)>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let detail = serde_json::json!({
            "reason": reason,
            "amount": raise.map(|(amount, _)| amount),
            "until": raise.map(|(_, until)| rfc3339(until)),
        });
        let entry = AuditEntry {
            seq: 0,
            at,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_string(),
        };
        self.store.append_audit(&entry).map(drop)
    }
}

/// Refuses what cannot be meant.
fn sound(raise: &Raise, budget: &quota::Budget, now: UnixMillis) -> Result<(), RaiseError> {
    let unsound = |why: String| Err(RaiseError::Unsound(why));
    if raise.amount <= Money::ZERO {
        return unsound(format!("the amount {} is not more than nothing", raise.amount));
    }
    let most = Money::from_pico(budget.amount.pico().saturating_mul(LARGEST_FACTOR));
    if raise.amount > most && budget.amount > Money::ZERO {
        return unsound(format!(
            "the amount {} is more than {LARGEST_FACTOR} times the budget of {}: change the budget instead",
            raise.amount, budget.amount
        ));
    }
    if raise.until <= now {
        return unsound(format!("its end {} has passed", rfc3339(raise.until)));
    }
    if raise.until.since(now) > LONGEST_MILLIS {
        return unsound("it would last longer than a year: change the budget instead".to_owned());
    }
    if raise.reason.trim().is_empty() {
        return unsound("the reason is missing".to_owned());
    }
    if raise.reason.len() > LONGEST_REASON {
        return unsound(format!("the reason is longer than {LONGEST_REASON} bytes"));
    }
    Ok(())
}

fn no_budget(scope: &ScopeId) -> RaiseError {
    RaiseError::NoBudget(scope.to_string())
}

fn read(document: &Document) -> Result<Option<Raise>, StoreError> {
    let body: Body = serde_json::from_str(&document.body)
        .map_err(|error| StoreError::Failed { store: "the raises of budgets", source: error.into() })?;
    Ok(body.raise)
}

/// The scope that a document is named after.
fn scope_id(name: &str) -> Option<ScopeId> {
    let (kind, name) = name.split_once(' ')?;
    let kinds = [ScopeKind::Team, ScopeKind::Project, ScopeKind::Key];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind)?;
    Some(ScopeId { kind, name: name.into() })
}

/// Why a budget was not raised or lowered, or not fully.
#[derive(Debug, thiserror::Error)]
pub enum RaiseError {
    /// There is nothing to raise.
    #[error("the {0} has no budget")]
    NoBudget(String),
    /// There is nothing to end.
    #[error("the budget of the {0} is not raised")]
    NotRaised(String),
    /// It cannot be meant so.
    #[error("the budget cannot be raised so: {0}")]
    Unsound(String),
    /// It could not be kept, so it is not in force.
    #[error("the raise could not be kept, so nothing was changed: {0}")]
    NotKept(#[from] StoreError),
    /// It was done, but the audit does not tell.
    #[error("it is done, but the audit entry could not be kept: {0}")]
    NotAudited(StoreError),
}
