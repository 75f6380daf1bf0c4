//! Keys that are made at run time: made, replaced, withdrawn, and what is kept of them.
//!
//! Each key is one document of the ledger store, so that it outlives a restart and reaches every
//! process that shares the store. It is kept, on the device, before it is in force; it is in force for
//! the next request when a call returns. Its secret is shown once, to whoever asked for it.
//!
//! A key belongs to a project of the configuration. While there is none of that name, it opens nothing,
//! and the running configuration says so.

mod issued;
mod order;

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use serde_json::json;
use tollgate_accounting::ledger::{AuditEntry, Document, LedgerStore, StoreError, rfc3339};
use tollgate_domain::{Secret, UnixMillis, letter, write_key};

pub(crate) use self::issued::mark;
pub use self::{
    issued::{Issued, Policy},
    order::{CreateOrder, RevokeOrder, RotateOrder},
};
use crate::{
    config::file::{ConfigFile, Project, Team},
    reload::{Reloader, Running},
};

/// Kind of the documents; their names are the ids.
const KIND: &str = "key";
/// Letters of an id: 62^12 leaves no chance of two alike.
const ID_LETTERS: usize = 12;

/// Makes, replaces and withdraws keys. Every call may block on the store.
pub struct Keys {
    store: Arc<dyn LedgerStore>,
    reloader: Arc<Reloader>,
    pepper: [u8; 32],
    /// Store and data plane change together.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Where the store stood when it was read last.
    seen: Option<u64>,
    /// By id, each with its document's revision.
    keys: BTreeMap<String, (u64, Arc<Issued>)>,
}

/// A key that was just made, and the only copy of its secret.
pub struct Fresh {
    /// What is kept.
    pub key: Arc<Issued>,
    /// What its owner sends.
    pub secret: Secret,
}

impl Keys {
    /// Keys of this store under this pepper; [`follow`](Self::follow) puts them in force.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, reloader: Arc<Reloader>, pepper: [u8; 32]) -> Self {
        Self { store, reloader, pepper, kept: Mutex::default() }
    }

    /// Puts in force what the store has: at start, and several times a second for what other processes
    /// have done. Cheap while nothing has changed.
    ///
    /// # Errors
    /// The store cannot be read; what was in force stays so.
    pub fn follow(&self) -> Result<(), StoreError> {
        let mut kept = self.kept.lock();
        if kept.seen == Some(self.store.revision()?) {
            return Ok(());
        }
        self.catch_up(&mut kept)
    }

    /// All keys, by their ids.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Issued>> {
        self.kept.lock().keys.values().map(|(_, key)| Arc::clone(key)).collect()
    }

    /// A key.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn one(&self, id: &str) -> Result<Arc<Issued>, KeyError> {
        self.kept.lock().find(id).map(|(_, key)| key)
    }

    /// True when the key's digest can be checked here.
    #[must_use]
    pub fn knows(&self, key: &Issued) -> bool {
        key.digest(&mark(self.pepper)).is_some()
    }

    /// Makes a key for a project that `may` be used.
    ///
    /// # Errors
    /// There is no such project, the key would not be sound, or the store failed. It is not in force
    /// then.
    pub fn create(
        &self,
        order: &CreateOrder,
        may: impl Fn(&str) -> bool,
        actor: &str,
        now: UnixMillis,
    ) -> Result<Fresh, KeyError> {
        let running = self.reloader.running();
        let (team, project) = find_project(&running.document.file, order, may)?;
        let reason = order::reason(&order.reason)?;
        let id = new_id()?;
        let name = order.name.clone().unwrap_or_else(|| format!("key-{id}"));
        let owner = (team.name.as_str(), project.name.as_str());
        let mut key = Issued::new(id, owner, name, now, actor);
        key.expires = order::end(order.expires, order.lasts, now)?;
        key.policy = order.policy();
        let faults = running.document.faults_of_key((team, project), &key.as_key());
        if !faults.is_empty() {
            return Err(KeyError::Unsound(faults.join("; ")));
        }
        let mut kept = self.kept.lock();
        self.catch_up(&mut kept)?;
        let taken = project.keys.iter().any(|known| known.name == key.name)
            || kept.keys.values().any(|(_, known)| known.scope() == key.scope() && known.is_usable(now));
        if taken {
            return Err(KeyError::NameTaken(key.scope()));
        }
        self.make(&mut kept, key, "key.create", reason)
    }

    /// Makes a key that stands in for another one, with the same name and policy; the other one goes on
    /// for a while.
    ///
    /// # Errors
    /// There is no such key, it is of no use any more, or the store failed. Nothing has changed then,
    /// but that the new key may be there already when the end of the former one could not be kept.
    pub fn rotate(
        &self,
        id: &str,
        order: &RotateOrder,
        actor: &str,
        now: UnixMillis,
    ) -> Result<(Fresh, Arc<Issued>), KeyError> {
        let reason = order::reason(&order.reason)?;
        let until = now.plus(order.overlap_millis()?);
        let end = order::end(order.expires, order.lasts, now)?;
        let mut kept = self.kept.lock();
        self.catch_up(&mut kept)?;
        let (_, former) = kept.find(id)?;
        if !former.is_usable(now) {
            return Err(KeyError::Over(id.to_owned()));
        }
        let owner = (former.team.as_str(), former.project.as_str());
        let mut key = Issued::new(new_id()?, owner, former.name.clone(), now, actor);
        key.expires = end.or(former.expires);
        key.policy = former.policy.clone();
        key.replaces = Some(former.id.clone());
        let fresh = self.make(&mut kept, key, "key.rotate", reason)?;
        let ending = self.keep(&mut kept, former.ending(until), now)?;
        self.put_in_force(&kept);
        Ok((fresh, ending))
    }

    /// Withdraws a key: the next request by it is refused. One that is withdrawn already stays as it is.
    ///
    /// # Errors
    /// There is no such key, or the store failed. Nothing has changed then, but for
    /// [`KeyError::NotAudited`].
    pub fn revoke(
        &self,
        id: &str,
        order: &RevokeOrder,
        actor: &str,
        now: UnixMillis,
    ) -> Result<Arc<Issued>, KeyError> {
        let reason = order::reason(&order.reason)?;
        let mut kept = self.kept.lock();
        self.catch_up(&mut kept)?;
        let (_, key) = kept.find(id)?;
        if key.revoked.is_some() {
            return Ok(key);
        }
        let revoked = self.keep(&mut kept, key.withdrawn(now, actor), now)?;
        self.put_in_force(&kept);
        self.audit(&revoked, actor, "key.revoke", reason, now).map_err(KeyError::NotAudited)?;
        Ok(revoked)
    }

    /// Seals and keeps a new key. The audit tells of it first: no key is in force that nobody can account
    /// for.
    fn make(&self, kept: &mut Kept, mut key: Issued, action: &str, reason: &str) -> Result<Fresh, KeyError> {
        let secret = Secret::new(write_key(&key.id, random_byte)?);
        key.seal(&secret, self.pepper);
        let (actor, now) = (key.created_by.clone(), key.created);
        self.audit(&key, &actor, action, reason, now)?;
        let key = self.keep(kept, key, now)?;
        self.put_in_force(kept);
        Ok(Fresh { key, secret })
    }

    /// Reads what the store has, and puts it in force where it is news.
    fn catch_up(&self, kept: &mut Kept) -> Result<(), StoreError> {
        // The number first: what changes meanwhile is read again the next time.
        let seen = self.store.revision()?;
        let mut changed = false;
        for document in self.store.documents(KIND)? {
            if document.revision > kept.keys.get(&document.name).map_or(0, |(revision, _)| *revision) {
                match serde_json::from_str::<Issued>(&document.body) {
                    Ok(key) => {
                        kept.keys.insert(document.name, (document.revision, Arc::new(key)));
                        changed = true;
                    }
                    // One that a newer version has written must not take the others with it.
                    Err(error) => tracing::error!(key = document.name, %error, "a key cannot be read"),
                }
            }
        }
        kept.seen = Some(seen);
        if changed {
            self.put_in_force(kept);
        }
        Ok(())
    }

    fn keep(&self, kept: &mut Kept, key: Issued, now: UnixMillis) -> Result<Arc<Issued>, StoreError> {
        let revision = kept.keys.get(&key.id).map_or(0, |(revision, _)| *revision) + 1;
        self.store.put_document(&Document {
            kind: KIND.to_owned(),
            name: key.id.clone(),
            revision,
            at: now,
            body: serde_json::to_string(&key).expect("texts and numbers are JSON"),
        })?;
        let key = Arc::new(key);
        kept.keys.insert(key.id.clone(), (revision, Arc::clone(&key)));
        Ok(key)
    }

    fn put_in_force(&self, kept: &Kept) {
        let mut keys: Vec<Arc<Issued>> = kept.keys.values().map(|(_, key)| Arc::clone(key)).collect();
        // Of a name that was given twice, the newer key says what it may do.
        keys.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        self.reloader.issue(keys);
    }

    fn audit(
        &self,
        key: &Issued,
        actor: &str,
        action: &str,
        reason: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let detail = json!({
            "id": key.id,
            "reason": reason,
            "expires": key.expires.map(rfc3339),
            "replaces": key.replaces,
        });
        let entry = AuditEntry {
            seq: 0,
            at,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: key.scope(),
            detail: detail.to_string(),
        };
        self.store.append_audit(&entry).map(drop)
    }
}

impl Kept {
    fn find(&self, id: &str) -> Result<(u64, Arc<Issued>), KeyError> {
        self.keys.get(id).cloned().ok_or_else(|| KeyError::Unknown(id.to_owned()))
    }
}

/// The project that an order names, among those that the caller may see.
fn find_project<'f>(
    file: &'f ConfigFile,
    order: &CreateOrder,
    may: impl Fn(&str) -> bool,
) -> Result<(&'f Team, &'f Project), KeyError> {
    let (team, project) = match (order.team.as_deref(), order.project.split_once('/')) {
        (Some(team), _) => (Some(team), order.project.as_str()),
        (None, Some((team, project))) => (Some(team), project),
        (None, None) => (None, order.project.as_str()),
    };
    let owners =
        file.teams.iter().flat_map(|owner| owner.projects.iter().map(move |project| (owner, project)));
    let mut fitting = owners.filter(|(owner, known)| {
        known.name == project && team.is_none_or(|team| owner.name == team) && may(&owner.name)
    });
    match (fitting.next(), fitting.next()) {
        (Some(found), None) => Ok(found),
        (Some((one, _)), Some((other, _))) => Err(KeyError::Unsound(format!(
            "several teams have a project {project:?}: say {}/{project} or {}/{project}",
            one.name, other.name
        ))),
        (None, _) => Err(KeyError::UnknownProject(order.project.clone())),
    }
}

/// The running project of a key, by its present or a former name.
#[must_use]
pub fn owner<'r>(running: &'r Running, key: &Issued) -> Option<(&'r Team, &'r Project)> {
    let named = |name: &str, former: &[String], asked: &str| {
        name == asked || former.iter().any(|former| former == asked)
    };
    let teams = &running.document.file.teams;
    let mut owners = teams
        .iter()
        .filter(|team| named(&team.name, &team.renamed_from, &key.team))
        .flat_map(|team| team.projects.iter().map(move |project| (team, project)));
    owners.find(|(_, project)| named(&project.name, &project.renamed_from, &key.project))
}

fn random_byte() -> Result<u8, KeyError> {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_err(|error| KeyError::NoRandom(error.to_string()))?;
    Ok(byte[0])
}

fn new_id() -> Result<String, KeyError> {
    (0..ID_LETTERS).map(|_| letter(random_byte)).collect()
}

/// Why a key was not made, replaced or withdrawn, or not fully.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no key of the id {0:?}")]
    Unknown(String),
    /// The project is not configured, or is none that the caller sees.
    #[error("there is no project {0:?}")]
    UnknownProject(String),
    /// It cannot be meant so.
    #[error("the key cannot be made so: {0}")]
    Unsound(String),
    /// Rows could not tell the two apart.
    #[error("there is a key {0} already: rotate or revoke it, or take another name")]
    NameTaken(String),
    /// It has expired or was revoked.
    #[error("the key {0} is of no use any more: make a new one")]
    Over(String),
    /// The system has no random bytes to give.
    #[error("there are no random bytes to be had: {0}")]
    NoRandom(String),
    /// It could not be kept, so it is not in force.
    #[error("the key could not be kept, so nothing was changed: {0}")]
    NotKept(#[from] StoreError),
    /// It was done, but the audit does not tell.
    #[error("it is done, but the audit entry could not be kept: {0}")]
    NotAudited(StoreError),
}
