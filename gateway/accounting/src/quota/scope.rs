//! One scope: its rules, bound to the counters that outlive them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use tollgate_domain::{ModelAlias, Money, Name, UnixMillis};

use super::{
    admit::Ask,
    books::{Amounts, Books},
    budget::{BudgetStatus, Reserve},
    calendar::{Calendar, Period},
    concurrency::Permits,
    expected::{Expectations, Slot},
    lease::LeaseSource,
    limits::{LimitKind, Limits, ScopeRules},
    raise::Raise,
    refused::{Refusal, Refused, RefusedDetail},
    request_rate::RequestRate,
    reservation::{Actual, Headroom, Hold, LimitLeft},
    token_quota,
    token_rate::TokenRate,
};
use crate::Now;

/// What kind of identity a scope stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ScopeKind {
    /// A team.
    Team,
    /// A project of a team.
    Project,
    /// A key of a project.
    Key,
}

impl ScopeKind {
    /// The name used in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Project => "project",
            Self::Key => "key",
        }
    }
}

/// The identity of a scope through all configurations.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ScopeId {
    /// What it stands for.
    pub kind: ScopeKind,
    /// `team`, `team/project` or `team/project/key`.
    pub name: Name,
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// A scope as one configuration sees it. Its counters are shared with those of every other
/// configuration; its rules come into force with the first request that it admits, and those of an
/// older configuration then no longer count.
pub struct Scope {
    pub(super) id: ScopeId,
    pub(super) rules: Arc<ScopeRules>,
    /// Ascending number of the rules.
    pub(super) binding: u64,
    pub(super) cell: Arc<Cell>,
    pub(super) house: Arc<House>,
}

/// What all scopes share.
pub(super) struct House {
    pub(super) calendar: Calendar,
    pub(super) currency: Name,
    pub(super) leases: Box<dyn LeaseSource>,
    pub(super) open_reservations: AtomicU64,
}

/// The live counters of one scope, behind one lock that is held for some dozens of nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Cell(pub(super) Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    /// The rules in force and their number; 0 before any request.
    rules: Arc<ScopeRules>,
    binding: u64,
    /// The first instant that the scope heard of; its rates count nanoseconds from it.
    origin: Option<Instant>,
    per_second: Option<RequestRate>,
    per_minute: Option<RequestRate>,
    tokens: Option<TokenRate>,
    input_tokens: Option<TokenRate>,
    output_tokens: Option<TokenRate>,
    permits: Permits,
    pub(super) books: Books,
    /// More money for a time.
    pub(super) raise: Option<Raise>,
    /// What requests have cost here; only of budgets that reserve by it.
    expected: Expectations,
}

impl Scope {
    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> &ScopeId {
        &self.id
    }

    /// The rules that its configuration gave it.
    #[must_use]
    pub fn rules(&self) -> &ScopeRules {
        &self.rules
    }

    /// Counts a request against the request rates.
    pub(super) fn take_request(&self, now: Now, headroom: &mut Headroom) -> Result<(), Refused> {
        let limits = &self.rules.limits;
        if limits.requests_per_second.is_none() && limits.requests_per_minute.is_none() {
            return Ok(());
        }
        let mut state = self.cell.0.lock();
        let nanos = state.bind(self, now);
        for rate in [&state.per_second, &state.per_minute].into_iter().flatten() {
            match rate.take(nanos.unsigned_abs()) {
                Ok(left) => left.tighten(&mut headroom.requests),
                Err(refusal) => return Err(refusal.by(&self.id)),
            }
        }
        Ok(())
    }

    /// Takes a request's worst case from everything but the request rates, or nothing.
    pub(super) fn reserve(
        self: &Arc<Self>,
        ask: &Ask,
        model: Option<&ModelAlias>,
        now: Now,
        headroom: &mut Headroom,
    ) -> Result<Hold, Refused> {
        let mut state = self.cell.0.lock();
        let nanos = state.bind(self, now);
        let started = state.books.roll(&self.house.calendar, now.wall);
        let raise = Raise::in_force(&mut state.raise, started);
        let (cost, slot) = state.money_of(ask, model);
        if let Err(refusal) = state.check(self, (ask, cost), raise, nanos) {
            state.note_refusal(&refusal);
            return Err(refusal.by(&self.id));
        }
        let money = cost.unwrap_or_default();
        state.take(ask, money, nanos);
        state.note_headroom(nanos, started, headroom);
        Ok(Hold { scope: self.clone(), started, binding: state.binding, money, slot })
    }

    /// Ends what a request holds here. Without an instant it took what it had asked for.
    pub(super) fn settle(&self, hold: &Hold, ask: &Ask, actual: &Actual, now: Option<Now>) {
        let mut state = self.cell.0.lock();
        let nanos = now.map_or(0, |now| state.nanos(now.mono));
        let cached = actual.cached_input_tokens.min(actual.input_tokens);
        let weighted = state.rules.limits.cached_input_weight.of(cached);
        let input = actual.input_tokens - cached + weighted;
        let taken = Ask { input_tokens: input, output_tokens: actual.output_tokens, cost: Some(actual.cost) };
        for (rate, tokens) in state.token_rates() {
            rate.settle(tokens(ask), tokens(&taken), hold.binding, nanos);
        }
        state.permits.give_back();
        state.books.settle(hold.started, amounts(ask, hold.money), amounts(&taken, actual.cost));
        // What cost nothing was not served, and what was lost has its worst case for a cost: neither
        // tells what a request costs.
        if let (Some(slot), Some(_), true) = (hold.slot, now, actual.cost > Money::ZERO) {
            state.expected.learn(slot, actual.cost);
        }
    }

    /// What is left of each of its limits on requests and tokens. Takes nothing.
    #[must_use]
    pub fn limits_left(&self, now: Now) -> Vec<(LimitKind, LimitLeft)> {
        let mut state = self.cell.0.lock();
        let nanos = state.bind(self, now);
        let wall = state.books.roll(&self.house.calendar, now.wall);
        state.limits_left(nanos, wall)
    }

    /// Where its budget stands, if it has one.
    #[must_use]
    pub fn status(&self, now: UnixMillis) -> Option<BudgetStatus> {
        let budget = self.rules.budget.as_ref()?;
        let mut state = self.cell.0.lock();
        let now = state.books.roll(&self.house.calendar, now);
        let raise = Raise::in_force(&mut state.raise, now);
        let books = (&state.books.of(budget.period), &state.books.of(Period::Day));
        Some(budget.status(&self.id, &self.house.currency, books, raise))
    }

    pub(super) fn reservation_opened(&self) {
        self.house.open_reservations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reservation_closed(&self) {
        self.house.open_reservations.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("id", &self.id).field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Which of a request's tokens a token rate counts.
type Counted = fn(&Ask) -> u64;

impl State {
    /// Puts a scope's rules in force when they are newer. Returns the nanoseconds since the origin.
    fn bind(&mut self, scope: &Scope, now: Now) -> i64 {
        let nanos = self.nanos(now.mono);
        if scope.binding <= self.binding {
            return nanos;
        }
        self.binding = scope.binding;
        self.rules = scope.rules.clone();
        let Limits {
            requests_per_second,
            requests_per_minute,
            tokens_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            ..
        } = scope.rules.limits;
        RequestRate::bind(&mut self.per_second, LimitKind::RequestsPerSecond, requests_per_second);
        RequestRate::bind(&mut self.per_minute, LimitKind::RequestsPerMinute, requests_per_minute);
        for (rate, kind, limit) in [
            (&mut self.tokens, LimitKind::TokensPerMinute, tokens_per_minute),
            (&mut self.input_tokens, LimitKind::InputTokensPerMinute, input_tokens_per_minute),
            (&mut self.output_tokens, LimitKind::OutputTokensPerMinute, output_tokens_per_minute),
        ] {
            TokenRate::bind(rate, kind, limit, nanos, scope.binding);
        }
        nanos
    }

    /// The money that a request reserves here, and where its cost will be remembered.
    fn money_of(&mut self, ask: &Ask, model: Option<&ModelAlias>) -> (Option<Money>, Option<Slot>) {
        let expects = self.rules.budget.as_ref().is_some_and(|budget| budget.reserve == Reserve::Expected);
        let slot = model.filter(|_| expects).and_then(|model| self.expected.slot(model));
        let mean = slot.and_then(|slot| self.expected.mean(slot));
        (ask.cost.map(|worst| mean.map_or(worst, |mean| mean.min(worst))), slot)
    }

    /// Looks whether a request fits, and changes nothing.
    fn check(
        &self,
        scope: &Scope,
        (ask, cost): (&Ask, Option<Money>),
        raise: Option<Raise>,
        nanos: i64,
    ) -> Result<(), Refusal> {
        let ScopeRules { limits, budget } = &*self.rules;
        let House { currency, leases, .. } = &*scope.house;
        self.permits.check(limits.concurrent_requests)?;
        for (rate, tokens) in [
            (&self.tokens, Ask::tokens as Counted),
            (&self.input_tokens, |ask| ask.input_tokens),
            (&self.output_tokens, |ask| ask.output_tokens),
        ] {
            if let Some(rate) = rate {
                rate.check(tokens(ask), ask, nanos)?;
            }
        }
        for quota @ (kind, period, limit) in quotas(limits) {
            let book = self.books.of(period);
            let share = leases.share(&scope.id, kind, book.window, limit.into());
            token_quota::check(quota, share, &book, ask)?;
        }
        let Some(budget) = budget else { return Ok(()) };
        let book = self.books.of(budget.period);
        budget.check(&book, (ask, cost), raise, currency, |window, ceiling| {
            leases.share(&scope.id, LimitKind::Budget, window, ceiling)
        })
    }

    /// Remembers that the budget is at its end, if that is why a request was refused.
    fn note_refusal(&mut self, refusal: &Refusal) {
        if let RefusedDetail::Budget { period, amount, spent, asked, .. } = *refusal.detail
            && !refusal.never_fits
            && spent + asked > amount
        {
            self.books.exhaust(period, amount);
        }
    }

    fn take(&mut self, ask: &Ask, money: Money, nanos: i64) {
        for (rate, tokens) in self.token_rates() {
            rate.take(tokens(ask), nanos);
        }
        self.permits.take();
        self.books.reserve(amounts(ask, money));
    }

    fn note_headroom(&self, nanos: i64, wall: UnixMillis, headroom: &mut Headroom) {
        for rate in [&self.tokens, &self.input_tokens, &self.output_tokens].into_iter().flatten() {
            rate.left(nanos).tighten(&mut headroom.tokens);
        }
        for (_, period, limit) in quotas(&self.rules.limits) {
            token_quota::left(limit, &self.books.of(period), wall).tighten(&mut headroom.tokens);
        }
    }

    fn limits_left(&self, nanos: i64, wall: UnixMillis) -> Vec<(LimitKind, LimitLeft)> {
        let limits = &self.rules.limits;
        let rates = [&self.per_second, &self.per_minute].into_iter().flatten();
        let rates = rates.map(|rate| rate.peek(nanos.unsigned_abs()));
        let tokens = [&self.tokens, &self.input_tokens, &self.output_tokens].into_iter().flatten();
        let tokens = tokens.map(|rate| (rate.kind(), rate.left(nanos)));
        let quotas = quotas(limits)
            .map(|(kind, period, limit)| (kind, token_quota::left(limit, &self.books.of(period), wall)));
        let permits = limits.concurrent_requests.map(|limit| self.permits.left(limit));
        rates.chain(tokens).chain(quotas).chain(permits).collect()
    }

    fn token_rates(&mut self) -> impl Iterator<Item = (&mut TokenRate, Counted)> {
        let rates: [(_, Counted); 3] = [
            (&mut self.tokens, Ask::tokens),
            (&mut self.input_tokens, |ask| ask.input_tokens),
            (&mut self.output_tokens, |ask| ask.output_tokens),
        ];
        rates.into_iter().filter_map(|(rate, tokens)| rate.as_mut().map(|rate| (rate, tokens)))
    }

    /// Nanoseconds since the first instant that the scope heard of; readings of another core may
    /// be a little older and count as that instant.
    fn nanos(&mut self, mono: Instant) -> i64 {
        let origin = *self.origin.get_or_insert(mono);
        i64::try_from(mono.saturating_duration_since(origin).as_nanos()).unwrap_or(i64::MAX)
    }
}

/// The token quotas that are configured.
fn quotas(limits: &Limits) -> impl Iterator<Item = (LimitKind, Period, u64)> {
    let day = limits.tokens_per_day.map(|limit| (LimitKind::TokensPerDay, Period::Day, limit));
    let month = limits.tokens_per_month.map(|limit| (LimitKind::TokensPerMonth, Period::Month, limit));
    day.into_iter().chain(month)
}

/// A request's amounts, of which `money` is what counts.
fn amounts(ask: &Ask, money: Money) -> Amounts {
    let at_risk = ask.cost.unwrap_or_default() - money;
    Amounts { money: money.pico(), at_risk: at_risk.pico(), tokens: ask.tokens().into() }
}
