//! Reserved capacity, charged by the hour.
//!
//! Every hour of an upstream that is paid so becomes one row, once it is over and the calls that
//! began in it have had time to end. A paper in the store remembers the next hour of each upstream, so
//! that hours which passed while no gateway ran are charged when one does; a row's id is made of the
//! upstream and the hour, so that one which was posted just before a crash is not charged twice.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_accounting::ledger::{
    CapacityHour, Dimension, Document, Entry, LedgerStore, PostError, Postings, StoreError, UsageQuery,
};
use tollgate_domain::{UnixMillis, UpstreamName};
use tollgate_proxy::{Snapshot, Target};

use crate::{
    config::file::{Billing, Upstream},
    reload::Running,
};

/// What the papers are called in the store.
const KIND: &str = "capacity";
const HOUR: i64 = 3_600_000;
/// How long after its end an hour is charged: longer than nearly every call.
const LAG: i64 = 15 * 60_000;
/// Hours that are posted together.
const TOGETHER: usize = 24;
const MINUTES: u64 = 60;

/// Charges hours of reserved capacity.
pub struct CapacityClerk {
    store: Arc<dyn LedgerStore>,
    postings: Arc<Postings>,
}

/// Hours that were not charged yet. They will be: call again.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// The ledger cannot be read or changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row was not posted.
    #[error(transparent)]
    Post(#[from] PostError),
}

/// Where the hours of an upstream stand.
#[derive(Deserialize, Serialize)]
struct Standing {
    /// The begin of the next hour to be charged; none while the upstream is not paid by the hour.
    next: Option<i64>,
}

/// An upstream and the next hour to be charged.
struct Due<'a> {
    upstream: &'a Upstream,
    target: &'a Target,
    next: UnixMillis,
    revision: u64,
}

impl CapacityClerk {
    /// A clerk of this ledger.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, postings: Arc<Postings>) -> Self {
        Self { store, postings }
    }

    /// Charges every hour that is over. The first hour of an upstream is the one in which it was first
    /// seen as paid by the hour, here or again. Gives the number of new rows. Blocks.
    ///
    /// # Errors
    /// Hours before the one at fault are charged.
    pub fn catch_up(
        &self,
        running: &Running,
        snapshot: &Snapshot,
        now: UnixMillis,
    ) -> Result<u64, CapacityError> {
        let mut papers = self.store.documents(KIND)?;
        let mut posted = 0;
        for upstream in &running.document.file.upstreams {
            let target = snapshot.targets().find(|target| target.upstream.name.as_str() == upstream.name);
            let Some(target) = target.filter(|_| upstream.billing == Billing::Provisioned) else { continue };
            let paper = papers.iter().position(|paper| paper.name == upstream.name);
            let paper = paper.map(|at| papers.swap_remove(at));
            let next = paper.as_ref().and_then(standing).map_or(begin_of(now), UnixMillis::new);
            let revision = paper.as_ref().map_or(0, |paper| paper.revision);
            let is_new = paper.as_ref().and_then(standing).is_none();
            let mut due = Due { upstream, target, next, revision };
            if !is_new || self.keep(&mut due, now)? {
                posted += self.charge(&mut due, running, now)?;
            }
        }
        // What is left is paid by the hour no more: the time until it may be again is nobody's.
        for paper in papers.iter().filter(|paper| standing(paper).is_some()) {
            self.put(&paper.name, paper.revision, None, now)?;
        }
        Ok(posted)
    }

    fn charge(&self, due: &mut Due<'_>, running: &Running, now: UnixMillis) -> Result<u64, CapacityError> {
        let mut posted = 0;
        while is_over(due.next, now) {
            let mut rows = Vec::new();
            while rows.len() < TOGETHER && is_over(due.next, now) {
                rows.extend(self.row(due, running, now)?);
                due.next = due.next.plus(HOUR);
            }
            posted += self.postings.post(&rows)?.written;
            if !self.keep(due, now)? {
                break;
            }
        }
        Ok(posted)
    }

    /// The row of the next hour; none when the hour has no price.
    fn row(&self, due: &Due<'_>, running: &Running, now: UnixMillis) -> Result<Option<Entry>, StoreError> {
        let price = due.target.price.as_ref().and_then(|line| line.at(due.next));
        let Some((price, per_hour)) = price.and_then(|price| Some((price, price.per_hour?))) else {
            return Ok(None);
        };
        let capacity = due.upstream.capacity.map_or(0, |capacity| capacity.tokens_per_minute);
        let hour = CapacityHour {
            organization: &running.settings.organization,
            instance: &running.settings.instance,
            place: &due.target.place,
            begin: due.next,
            per_hour,
            price_id: &price.id,
            currency: &price.currency,
            served: self.served(&due.target.upstream.name, due.next)?,
            capacity: capacity.saturating_mul(MINUTES),
        };
        Ok(Some(hour.row(now, running.version.number)))
    }

    /// Input and output tokens of the calls that began in the hour.
    fn served(&self, upstream: &UpstreamName, begin: UnixMillis) -> Result<u64, StoreError> {
        let (from, to) = (Some(begin), Some(begin.plus(HOUR)));
        let query = UsageQuery { from, to, by: vec![Dimension::Upstream], ..UsageQuery::default() };
        let groups = self.store.usage(&query)?;
        let of_upstream = groups
            .iter()
            .filter(|group| group.group.first().is_some_and(|(_, name)| name == upstream.as_str()));
        Ok(of_upstream.map(|group| group.input_tokens.saturating_add(group.output_tokens)).sum())
    }

    /// Remembers the next hour; false when another gateway has moved it meanwhile.
    fn keep(&self, due: &mut Due<'_>, now: UnixMillis) -> Result<bool, StoreError> {
        let kept = self.put(&due.upstream.name, due.revision, Some(due.next.get()), now)?;
        due.revision += u64::from(kept);
        Ok(kept)
    }

    fn put(&self, name: &str, revision: u64, next: Option<i64>, now: UnixMillis) -> Result<bool, StoreError> {
        let body = serde_json::to_string(&Standing { next }).expect("a number is JSON");
        let paper =
            Document { kind: KIND.to_owned(), name: name.to_owned(), revision: revision + 1, at: now, body };
        match self.store.put_document(&paper) {
            Ok(()) => Ok(true),
            Err(StoreError::Exists(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The next hour that a paper tells; one that cannot be read begins anew.
fn standing(paper: &Document) -> Option<i64> {
    serde_json::from_str::<Standing>(&paper.body).ok()?.next
}

fn begin_of(at: UnixMillis) -> UnixMillis {
    UnixMillis::new(at.get().div_euclid(HOUR) * HOUR)
}

fn is_over(begin: UnixMillis, now: UnixMillis) -> bool {
    begin.plus(HOUR + LAG) <= now
}
