//! May this request pass? All its scopes say yes, or it takes nothing.

use std::sync::Arc;

use tollgate_domain::{ModelAlias, Money};

use super::{
    refused::Refused,
    reservation::{Headroom, Reservation},
    scope::Scope,
};
use crate::Now;

/// The worst case of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ask {
    /// Input tokens, estimated upwards.
    pub input_tokens: u64,
    /// The most output tokens that it can get.
    pub output_tokens: u64,
    /// The most that it can cost; `None` when it has no price, which hard budgets refuse.
    pub cost: Option<Money>,
}

impl Ask {
    /// Input and output together.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// Reserves a request's worst case at every scope, or at none.
///
/// Request rates of all scopes are asked first, then scope by scope, in the order given:
/// concurrency, token rates, token quotas, the budget. A refusal gives back what was taken before
/// it, but for the requests counted by rates: they did come.
///
/// # Errors
///
/// The first limit that refuses.
pub fn admit(scopes: &[Arc<Scope>], ask: &Ask, now: Now) -> Result<Reservation, Refused> {
    reserve(scopes, ask, None, now)
}

/// As [`admit`], for a request whose model is known: budgets that reserve what is expected do so by
/// what requests for this model have cost.
///
/// # Errors
///
/// The first limit that refuses.
pub fn admit_for(
    scopes: &[Arc<Scope>],
    ask: &Ask,
    model: &ModelAlias,
    now: Now,
) -> Result<Reservation, Refused> {
    reserve(scopes, ask, Some(model), now)
}

fn reserve(
    scopes: &[Arc<Scope>],
    ask: &Ask,
    model: Option<&ModelAlias>,
    now: Now,
) -> Result<Reservation, Refused> {
    let mut headroom = Headroom::default();
    for scope in scopes {
        scope.take_request(now, &mut headroom)?;
    }
    let mut reservation = Reservation::new(ask);
    for scope in scopes {
        match scope.reserve(ask, model, now, &mut headroom) {
            Ok(hold) => reservation.add(hold),
            Err(refused) => {
                reservation.release(now);
                return Err(refused);
            }
        }
    }
    reservation.show(headroom);
    Ok(reservation)
}
