//! The requests of the last minutes, as the ledger has them: what a preview moves.

use std::{collections::HashMap, sync::Arc};

use tollgate_accounting::ledger::{Dimension, LedgerStore, StoreError, UsageGroup, UsageQuery};
use tollgate_domain::{Money, UnixMillis, Usage};
use tollgate_proxy::{Principal, Route, Snapshot, Target};

/// How far back a preview looks: long enough for rates that mean something, short enough to be now.
pub(super) const WINDOW_SECONDS: u64 = 300;

/// Requests of the last minutes, and who sent them where.
pub struct Traffic {
    pub(super) flows: Vec<Flow>,
}

/// The requests of one key for one model that one target has served.
pub(super) struct Flow {
    pub(super) principal: Arc<Principal>,
    pub(super) route: Arc<Route>,
    pub(super) target: Arc<Target>,
    pub(super) requests: u64,
    /// Input and output, all requests together.
    pub(super) tokens: u64,
    /// What they have cost; nothing where the target has no price.
    pub(super) cost: Money,
    /// A request as they are on average.
    pub(super) mean: Usage,
}

impl Traffic {
    /// Reads it. Keys, models and targets that are not configured any more are left out. Blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn read(store: &dyn LedgerStore, snapshot: &Snapshot, now: UnixMillis) -> Result<Self, StoreError> {
        let query = UsageQuery {
            from: Some(now.plus(-(WINDOW_SECONDS as i64) * 1_000)),
            by: vec![
                Dimension::Team,
                Dimension::Project,
                Dimension::Key,
                Dimension::Model,
                Dimension::Upstream,
            ],
            ..UsageQuery::default()
        };
        let keys: HashMap<[&str; 3], &Arc<Principal>> = snapshot
            .keys
            .principals()
            .map(|principal| {
                let identity = &principal.identity;
                ([identity.team.as_str(), identity.project.as_str(), identity.key.as_str()], principal)
            })
            .collect();
        let groups = store.usage(&query)?;
        let flow = |group: &UsageGroup| {
            let name = |at: usize| group.group.get(at).map_or("", |(_, name)| name.as_str());
            let principal = keys.get(&[name(0), name(1), name(2)])?;
            let route = snapshot.routes.by_alias.get(name(3))?;
            let target =
                route.levels.iter().flatten().find(|target| target.upstream.name.as_str() == name(4))?;
            Some(Flow {
                principal: Arc::clone(principal),
                route: Arc::clone(route),
                target: Arc::clone(target),
                requests: group.requests,
                tokens: group.input_tokens.saturating_add(group.output_tokens),
                cost: group.cost,
                mean: mean(group),
            })
        };
        Ok(Self { flows: groups.iter().filter(|group| group.requests > 0).filter_map(flow).collect() })
    }
}

/// The usage of an average request, each figure rounded to the nearest.
fn mean(group: &UsageGroup) -> Usage {
    let each = |sum: u64| sum.saturating_add(group.requests / 2) / group.requests.max(1);
    let cached = group.cached_input_tokens.saturating_add(group.cache_write_tokens);
    Usage {
        input_uncached: each(group.input_tokens.saturating_sub(cached)),
        cache_read: each(group.cached_input_tokens),
        cache_write_5m: each(group.cache_write_tokens),
        output_text: each(group.output_tokens.saturating_sub(group.reasoning_tokens)),
        output_reasoning: each(group.reasoning_tokens),
        ..Usage::default()
    }
}
