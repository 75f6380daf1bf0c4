//! An attempt under way: at which place, in which visit, and how far its target has come.

use std::{pin::pin, rc::Rc, time::Instant};

use tollgate_accounting::ledger::Attempt;

use super::{
    attempt::{self, Reply},
    failure::Failure,
    visit::Visit,
};
use crate::{
    edge::Exchange, intake::Envelope, route::RoutePlan, settle::Progress, snapshot::Principal, worker::Worker,
};

pub(super) struct Leg {
    pub(super) place: usize,
    /// The attempt's number.
    pub(super) n: u16,
    pub(super) visit: Visit,
    pub(super) progress: Rc<Progress>,
}

/// What all attempts of a request have in common.
#[derive(Clone, Copy)]
pub(super) struct Road<'a> {
    pub(super) worker: &'a Worker,
    pub(super) plan: &'a RoutePlan,
    pub(super) envelope: &'a Envelope,
    pub(super) principal: &'a Principal,
    pub(super) call: Exchange,
    pub(super) deadline: Instant,
}

impl Leg {
    /// What the target gives before the deadline; `None` when that comes first.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up.
    pub(super) async fn run(&self, road: Road<'_>) -> Option<Result<Reply, Failure>> {
        let Road { worker, plan, envelope, principal, call, deadline } = road;
        let candidate = &plan.candidates[self.place];
        // Pinned first: a timer around the future itself would move all of it once more.
        let told = (&*self.progress, self.n);
        let run = pin!(attempt::run(worker, plan, candidate, envelope, (principal, call), told));
        let run = pin!(self.visit.unless_cut(run));
        worker.within(deadline, self.visit.began(), run).await
    }

    /// The attempt as the row tells it.
    pub(super) fn story(&self, outcome: &'static str, now: Instant) -> Attempt {
        self.visit.story(self.n, outcome, None, now)
    }
}
