//! Drills: who may begin one, what ends it, and the evidence that stays.
//!
//! The faults themselves are injected on the request path; here is what surrounds them. A drill is
//! written down before it begins, and its report when it is over, so that a restart in between finds
//! it and says that it was aborted: no drill goes on after a restart.

mod evidence;
mod folder;
mod loss;
mod objectives;
mod order;
mod report;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_accounting::{
    Now,
    ledger::{AuditEntry, LedgerStore, StoreError},
};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{Drill, DrillEnd, DrillPlace, Live, Snapshot};

pub use self::{
    evidence::{Evidence, Flaw},
    order::{FaultKind, LONGEST, Order, Unsound},
};
use self::{folder::Folder, objectives::Objectives};
use crate::reload::Reloader;

/// Who the gateway itself is in the audit.
const GATEWAY: &str = "gateway";
/// How long a report waits for calls that are still in flight when a drill is over.
const LAST_CALLS: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Begins and ends drills, and keeps their reports. Every call may block on disk and store.
pub struct Drills {
    folder: Folder,
    store: Arc<dyn LedgerStore>,
    live: Arc<Live>,
    reloader: Arc<Reloader>,
    /// One change at a time: of two orders for one region, one is refused.
    running: Mutex<Vec<Running>>,
}

/// A drill that is not over.
struct Running {
    drill: Arc<Drill>,
    /// What was written down at its begin.
    begun: Value,
    began: Now,
    region: String,
}

impl Drills {
    /// The drills whose reports are kept in a folder. Those that ran when the last process ended are
    /// written down as aborted.
    ///
    /// # Errors
    /// The folder cannot be read or written, or one of its files is none of ours.
    pub fn open(
        folder: PathBuf,
        store: Arc<dyn LedgerStore>,
        live: Arc<Live>,
        reloader: Arc<Reloader>,
        now: UnixMillis,
    ) -> io::Result<Self> {
        let folder = Folder::open(folder)?;
        for number in folder.numbers()? {
            let Some(kept) = folder.read(number)?.filter(Evidence::is_open) else { continue };
            tracing::warn!(drill = number, "a drill did not outlive its process and is aborted");
            folder.seal(number, report::lost(kept.content, now))?;
        }
        if let Some(flaw) = folder.flaw()? {
            tracing::error!(%flaw, "the reports of drills are not as they were written");
        }
        Ok(Self { folder, store, live, reloader, running: Mutex::default() })
    }

    /// Begins a drill, and gives what is known of it.
    ///
    /// # Errors
    /// The order is not sound, another drill runs in the region, or it could not be written down; then
    /// no fault is injected.
    pub fn begin(&self, order: &Order, actor: &str, now: Now) -> Result<Value, DrillError> {
        let configuration = self.reloader.running();
        let snapshot = self.reloader.snapshot().load_full();
        let mut running = self.running.lock();
        let number = self.folder.next()?;
        let plan = order.plan(number, &configuration.document.file, &snapshot)?;
        let region = region_of(&plan.place, &snapshot);
        if let Some(other) = running.iter().find(|other| other.region == region) {
            let other = other.drill.plan().id.to_string();
            return Err(DrillError::Busy { region, other });
        }
        let begun = report::begun(&plan, order, actor, &configuration, now.wall);
        self.folder.write(number, &Evidence::open(begun.clone()))?;
        if let Err(error) = self.audit(actor, "start", number, &begun["plan"], &order.reason, now.wall) {
            self.folder.forget(number)?;
            return Err(DrillError::NotAudited(error));
        }
        let drill = self.live.drills.begin(plan, now.mono);
        tracing::warn!(drill = number, actor, region, "a drill begins: faults are injected");
        running.push(Running { drill, begun: begun.clone(), began: now, region });
        Ok(Evidence::open(begun).document())
    }

    /// Ends a drill, and gives its report.
    ///
    /// # Errors
    /// There is no such drill, or it was over before; or its faults have ended and its report could not
    /// be kept.
    pub fn stop(&self, id: &str, actor: &str, reason: &str, now: Now) -> Result<Value, DrillError> {
        let number = self.number(id)?;
        let drill = {
            let running = self.running.lock();
            let found = running.iter().find(|one| &*one.drill.plan().id == id);
            found.map(|one| Arc::clone(&one.drill))
        };
        let Some(drill) = drill else {
            let known = self.folder.read(number)?.is_some();
            return Err(if known {
                DrillError::Over(id.to_owned())
            } else {
                DrillError::Unknown(id.to_owned())
            });
        };
        drill.end(DrillEnd::Stopped, now.mono);
        let kept = self.audit(actor, "stop", number, &Value::Null, reason, now.wall);
        let patience = Instant::now() + LAST_CALLS;
        while drill.in_flight() > 0 && Instant::now() < patience {
            std::thread::sleep(LOOK);
        }
        self.close(id)?;
        kept.map_err(DrillError::NotAudited)?;
        self.one(id)
    }

    /// Ends every drill at once: the process stops. Their reports are written by [`tend`](Self::tend).
    pub fn halt(&self, now: Instant) {
        for one in &*self.running.lock() {
            one.drill.end(DrillEnd::Shutdown, now);
        }
    }

    /// Writes the reports of drills that are over, and names these; call it every second or so. `last`:
    /// calls in flight are not waited for.
    ///
    /// # Errors
    /// A report was not kept; the next call tries again.
    pub fn tend(&self, now: Instant, last: bool) -> Result<Vec<String>, DrillError> {
        let over = |one: &Running| {
            let (_, after) = one.drill.ended(now)?;
            let waited = now.saturating_duration_since(one.began.mono + after);
            let is_done = last || one.drill.in_flight() == 0 || waited >= LAST_CALLS;
            is_done.then(|| one.drill.plan().id.to_string())
        };
        let over: Vec<String> = self.running.lock().iter().filter_map(over).collect();
        for id in &over {
            self.close(id)?;
        }
        Ok(over)
    }

    /// Every drill, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Value>, DrillError> {
        let mut items = Vec::new();
        for number in self.folder.numbers()?.into_iter().rev() {
            if let Some(kept) = self.folder.read(number)? {
                items.push(report::summary(&kept));
            }
        }
        Ok(items)
    }

    /// The report of a drill; while it runs, what is known so far, without a hash.
    ///
    /// # Errors
    /// There is no such drill, or the folder cannot be read.
    pub fn one(&self, id: &str) -> Result<Value, DrillError> {
        let number = self.number(id)?;
        let running = self.running.lock();
        if let Some(one) = running.iter().find(|one| &*one.drill.plan().id == id) {
            let mut content = one.begun.clone();
            content["measured"] = report::measured(&one.drill, one.began, &self.currency());
            return Ok(Evidence::open(content).document());
        }
        let kept = self.folder.read(number)?.ok_or_else(|| DrillError::Unknown(id.to_owned()))?;
        Ok(kept.document())
    }

    /// Writes the report of a drill that is over. Whoever comes second finds nothing to do.
    fn close(&self, id: &str) -> Result<(), DrillError> {
        let number = self.number(id)?;
        let mut running = self.running.lock();
        let Some(place) = running.iter().position(|one| &*one.drill.plan().id == id) else { return Ok(()) };
        let Running { drill, begun, began, .. } = &running[place];
        self.live.drills.remove(id);
        let Some((why, after)) = drill.ended(Instant::now()) else { return Ok(()) };
        let ended_at = began.wall.plus(i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
        let loss = loss::of(&*self.store, drill, began.wall);
        let snapshot = self.reloader.snapshot().load_full();
        let objectives = Objectives::of(&self.reloader.running().document.file, drill.plan(), &snapshot);
        let ended = report::Ended { why, at: ended_at, loss, objectives, currency: self.currency() };
        self.folder.seal(number, report::ended(begun.clone(), drill, *began, &ended))?;
        running.remove(place);
        drop(running);
        tracing::warn!(drill = number, why = why.as_str(), "a drill is over");
        self.audit(GATEWAY, "end", number, &json!(why.as_str()), "", ended_at).map_err(DrillError::NotAudited)
    }

    fn currency(&self) -> String {
        self.reloader.snapshot().load().currency.to_string()
    }

    fn number(&self, id: &str) -> Result<u64, DrillError> {
        id.parse().map_err(|_| DrillError::Unknown(id.to_owned()))
    }

    fn audit(
        &self,
        actor: &str,
        verb: &str,
        number: u64,
        what: &Value,
        reason: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.store
            .append_audit(&AuditEntry {
                seq: 0,
                at,
                actor: actor.to_owned(),
                action: format!("drill.{verb}"),
                subject: number.to_string(),
                detail: json!({ "reason": reason, "what": what }).to_string(),
            })
            .map(drop)
    }
}

/// The region that a drill is in.
fn region_of(place: &DrillPlace, snapshot: &Snapshot) -> String {
    match place {
        DrillPlace::Region(name) => name.to_string(),
        DrillPlace::Upstream(name) => {
            let upstream = snapshot.upstreams.iter().find(|upstream| upstream.name == *name);
            upstream.map_or_else(|| name.to_string(), |upstream| upstream.region.to_string())
        }
    }
}

/// Why something was not done with a drill.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The order cannot be carried out.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// Another one runs there.
    #[error("drill {other} runs in the region {region:?}; a region has one at a time")]
    Busy {
        /// Where.
        region: String,
        /// Which.
        other: String,
    },
    /// Nobody has begun it.
    #[error("no drill is called {0:?}")]
    Unknown(String),
    /// It is over.
    #[error("drill {0} is not running")]
    Over(String),
    /// Its paper could not be read or written.
    #[error("the drill could not be written down: {0}")]
    NotKept(#[from] io::Error),
    /// The audit does not tell. A drill that was to begin has not.
    #[error("the audit entry could not be kept: {0}")]
    NotAudited(StoreError),
}
