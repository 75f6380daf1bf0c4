//! A cheaper model from a share of a budget on.

use std::sync::Arc;

use tollgate_domain::{ModelAlias, UnixMillis};

use super::scope::Scope;

/// From which share of a budget on another model serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Downgrade {
    /// Percentage of the amount that is spent.
    pub at: u16,
    /// The model that serves from then on.
    pub model: ModelAlias,
}

/// The model that serves in place of dearer ones, by what these scopes have spent so far: that of the
/// first scope, in the order given, whose budget has come to such a step. Asked for every request, from
/// memory; scopes without steps cost nothing.
#[must_use]
pub fn downgrade(scopes: &[Arc<Scope>], now: UnixMillis) -> Option<ModelAlias> {
    scopes.iter().find_map(|scope| scope.downgrade(now))
}

impl Scope {
    fn downgrade(&self, now: UnixMillis) -> Option<ModelAlias> {
        let budget = self.rules.budget.as_ref().filter(|budget| !budget.downgrades.is_empty())?;
        let status = self.status(now)?;
        let reached = budget.downgrades.iter().filter(|step| status.has_spent(step.at));
        reached.max_by_key(|step| step.at).map(|step| step.model.clone())
    }
}
