//! What may pass: request rates, token rates and quotas, concurrency, and budgets of money.
//!
//! A request passes a list of scopes (its key, project and team). [`admit`] takes the worst case of
//! it at all of them or at none, and gives a [`Reservation`]; every reservation ends by settling to
//! the truth, by release, or, when it is lost, at its estimate. At a hard budget, what is spent plus
//! all that is reserved plus the new request never exceeds the amount. A budget may reserve what
//! such requests have cost so far instead; by how much that can be too little is kept and shown.
//!
//! Counters live in [`Quotas`], by the scope's name, and outlive configurations; rules are bound to
//! them by [`Quotas::scope`]. Everything is integers, time is an argument, and nothing waits.

mod admit;
mod books;
mod budget;
#[cfg(test)]
mod budget_laws;
mod calendar;
mod concurrency;
mod downgrade;
mod expected;
#[cfg(test)]
mod laws;
mod lease;
mod limits;
mod quotas;
mod raise;
mod refused;
mod request_rate;
mod reservation;
mod scope;
mod token_quota;
mod token_rate;

pub use admit::{Ask, admit, admit_for};
pub use budget::{Budget, BudgetMode, BudgetStatus, Reserve};
pub use calendar::{Calendar, Period, UnknownTimeZone, Window};
pub use downgrade::{Downgrade, downgrade};
pub use lease::{LeaseSource, WholeLimit};
pub use limits::{LimitKind, Limits, ScopeRules, Weight};
pub use quotas::Quotas;
pub use raise::Raise;
pub use refused::{Refused, RefusedDetail};
pub use reservation::{Actual, Headroom, LimitLeft, Reservation};
pub use scope::{Scope, ScopeId, ScopeKind};
