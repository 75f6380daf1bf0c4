//! What may pass: request rates, token rates and quotas, concurrency, and budgets of money.
//!
//! A request passes a list of scopes (its key, project and team). [`admit`] takes the worst case of
//! it at all of them or at none, and gives a [`Reservation`]; every reservation ends by settling to
//! the truth, by release, or, when it is lost, at its estimate. At a hard budget, what is spent plus
//! all that is reserved plus the new request never exceeds the amount.
//!
//! Counters live in [`Quotas`], by the scope's name, and outlive configurations; rules are bound to
//! them by [`Quotas::scope`]. Everything is integers, time is an argument, and nothing waits.

mod admit;
mod books;
mod budget;
mod calendar;
mod concurrency;
#[cfg(test)]
mod laws;
mod lease;
mod limits;
mod quotas;
mod refused;
mod request_rate;
mod reservation;
mod scope;
mod token_quota;
mod token_rate;

pub use admit::{Ask, admit};
pub use budget::{Budget, BudgetMode, BudgetStatus, Reserve};
pub use calendar::{Calendar, Period, UnknownTimeZone, Window};
pub use lease::{LeaseSource, WholeLimit};
pub use limits::{LimitKind, Limits, ScopeRules, Weight};
pub use quotas::Quotas;
pub use refused::{Refused, RefusedDetail};
pub use reservation::{Actual, Headroom, LimitLeft, Reservation};
pub use scope::{Scope, ScopeId, ScopeKind};
