//! The live counters of all scopes, by name.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tollgate_domain::{Money, Name, UnixMillis};

use super::{
    books::Book,
    budget::BudgetStatus,
    calendar::{Calendar, Period},
    lease::{LeaseSource, WholeLimit},
    limits::ScopeRules,
    raise::Raise,
    scope::{Cell, House, Scope, ScopeId},
};

/// Every counter of every scope. One for the whole process, shared by all cores; it outlives
/// configurations.
pub struct Quotas {
    house: Arc<House>,
    /// Touched when a configuration is bound, never by a request.
    cells: Mutex<HashMap<ScopeId, Arc<Cell>>>,
    bindings: AtomicU64,
}

impl Quotas {
    /// Counters at zero, of a process that holds every limit whole. The currency is that of all
    /// budgets.
    #[must_use]
    pub fn new(calendar: Calendar, currency: Name) -> Self {
        Self::with_leases(calendar, currency, WholeLimit)
    }

    /// Counters at zero, of a process that holds the shares that `leases` tells.
    #[must_use]
    pub fn with_leases(calendar: Calendar, currency: Name, leases: impl LeaseSource + 'static) -> Self {
        let open_reservations = AtomicU64::new(0);
        let house = House { calendar, currency, leases: Box::new(leases), open_reservations };
        Self { house: Arc::new(house), cells: Mutex::default(), bindings: AtomicU64::new(0) }
    }

    /// Binds rules to the counters of this scope, which are made if they are new.
    ///
    /// Nothing changes until the first request comes by the scope returned, so a configuration
    /// that is refused after all has changed nothing. Money and tokens spent stay; so does a request
    /// rate whose count is the same, and the fill of a token rate.
    #[must_use]
    pub fn scope(&self, id: ScopeId, rules: ScopeRules) -> Arc<Scope> {
        let cell = self.cell(&id);
        let binding = self.bindings.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Scope { id, rules: Arc::new(rules), binding, cell, house: self.house.clone() })
    }

    /// Tells what earlier processes have spent at a scope in the window that begins then. For the
    /// start of the process, before its first request; the last word for a window counts. Restoring
    /// every [`Period`] lets a budget that comes later start from the truth.
    pub fn restore(&self, id: &ScopeId, period: Period, window_start: UnixMillis, spent: Money) {
        self.set(id, period, window_start, |book| book.money.spent = spent.pico());
    }

    /// The same for tokens, weighted as the token quotas count them.
    pub fn restore_tokens(&self, id: &ScopeId, period: Period, window_start: UnixMillis, tokens: u64) {
        self.set(id, period, window_start, |book| book.tokens.spent = tokens.into());
    }

    /// Adds money that no request spent, such as a correction, at a scope that has counters: to the
    /// windows of `at` that are still the current ones at `now`. It may be below zero.
    pub fn charge(&self, id: &ScopeId, at: UnixMillis, money: Money, now: UnixMillis) {
        let Some(cell) = self.cells.lock().get(id).cloned() else { return };
        let mut state = cell.0.lock();
        state.books.roll(&self.house.calendar, now);
        state.books.charge(at, money.pico());
    }

    /// Carries the counters of a scope that has been renamed over to its new name. Before the new
    /// configuration is bound; does nothing when the old name has no counters (any more).
    pub fn rename(&self, old: &ScopeId, new: &ScopeId) {
        if old == new {
            return;
        }
        let mut cells = self.cells.lock();
        let Some(moved) = cells.remove(old) else { return };
        match cells.get(new) {
            None => {
                cells.insert(new.clone(), moved);
            }
            // Both were restored from the ledger: rows from before and after the renaming.
            Some(cell) => {
                let (mut kept, moved) = (cell.0.lock(), moved.0.lock());
                kept.books.absorb(&moved.books);
                kept.raise = kept.raise.or(moved.raise);
            }
        }
    }

    /// Where the budgets of these scopes stand; scopes without a budget are left out.
    #[must_use]
    pub fn statuses(&self, scopes: &[Arc<Scope>], now: UnixMillis) -> Vec<BudgetStatus> {
        scopes.iter().filter_map(|scope| scope.status(now)).collect()
    }

    /// Sets what may be spent beyond the amount of a scope's budget, from the next request on; `None`
    /// ends it. A scope without a budget keeps it for the day when it has one.
    pub fn raise(&self, id: &ScopeId, raise: Option<Raise>) {
        self.cell(id).0.lock().raise = raise;
    }

    /// Reservations that have not ended yet.
    #[must_use]
    pub fn open_reservations(&self) -> u64 {
        self.house.open_reservations.load(Ordering::Relaxed)
    }

    fn set(&self, id: &ScopeId, period: Period, window_start: UnixMillis, set: impl FnOnce(&mut Book)) {
        let window = self.house.calendar.window_of(period, window_start);
        self.cell(id).0.lock().books.restore(period, window, set);
    }

    fn cell(&self, id: &ScopeId) -> Arc<Cell> {
        self.cells.lock().entry(id.clone()).or_default().clone()
    }
}

impl std::fmt::Debug for Quotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quotas").field("open_reservations", &self.open_reservations()).finish_non_exhaustive()
    }
}
