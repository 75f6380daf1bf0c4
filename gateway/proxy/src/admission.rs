//! Station 4: may it pass, and what could it cost?
//!
//! Takes the plan, gives a [`Trip`]: permits and reservations at every scope, and a START record in
//! the journal. From here on exactly one settlement follows, whatever happens.

use std::rc::Rc;
use std::sync::Arc;

use tollgate_accounting::{
    ledger::{Start, StartPrice},
    price::Price,
    quota::{self, Ask, Reservation},
};
use tollgate_domain::{ModelAlias, Money, Units, UnixMillis};

use crate::{
    intake::Envelope,
    overload::Presence,
    rejection::Rejection,
    route::RoutePlan,
    settle::{Ticket, Trip},
    snapshot::Principal,
    worker::{Recorded, Worker},
};

/// The plan that a request goes on with: the one that it asked for, or, from a share of a budget on,
/// that of a model which costs less in this request's worst case. `instead` plans for another model.
pub(crate) fn step_down(
    plan: RoutePlan,
    principal: &Principal,
    envelope: &Envelope,
    started: UnixMillis,
    instead: impl FnOnce(&ModelAlias) -> Option<RoutePlan>,
) -> RoutePlan {
    let step = quota::downgrade(&principal.scopes, started);
    let other = step.filter(|model| *model != plan.route.alias).and_then(|model| instead(&model));
    let Some(other) = other else { return plan };
    let (asked, cheaper) = (Estimate::of(&plan, envelope).cost, Estimate::of(&other, envelope).cost);
    match (cheaper, asked) {
        (Some(cheaper), Some(asked)) if cheaper < asked => other,
        (Some(_), None) => other,
        _ => plan,
    }
}

/// Reserves the worst case and writes the START record. `presence` is the request's place in the process.
///
/// # Errors
/// A limit or budget refuses, or the journal takes no records; nothing stays reserved then.
///
/// # Cancel safety
/// Dropping the future while START is on its way settles the trip: its END follows START.
pub(crate) async fn admit(
    worker: &Rc<Worker>,
    principal: &Arc<Principal>,
    ticket: Ticket,
    plan: &RoutePlan,
    envelope: &Envelope,
    presence: Presence,
) -> Result<Trip, Rejection> {
    if !worker.can_record() {
        return Err(Rejection::MeterBackpressure);
    }
    let estimate = Estimate::of(plan, envelope);
    let ask = estimate.ask();
    let reserve =
        |ask: &Ask| quota::admit_for(&principal.scopes, ask, &plan.route.alias, ticket.exchange.start());
    // Where there is not enough for a second copy, there is none.
    let for_two = plan.may_hedge(envelope, estimate.cost).then(|| reserve(&twice(ask)).ok()).flatten();
    let is_for_two = for_two.is_some();
    let admitted = for_two.map_or_else(|| reserve(&ask), Ok);
    let reservation = admitted.map_err(|refused| Rejection::Quota {
        refused: Box::new(refused),
        budget_status: principal.refusal_status,
    })?;
    let recorded = record_start(worker, &ticket, principal, plan, &estimate, &reservation);
    let mut trip = Trip::begin(
        worker,
        principal,
        ticket,
        reservation,
        (estimate.input, estimate.input_is_lower_bound),
        presence,
    );
    if is_for_two {
        trip.reserved_for_two();
    }
    if recorded.await.is_err() {
        trip.call_off();
        return Err(Rejection::MeterBackpressure);
    }
    Ok(trip)
}

/// What the request could consume at most.
struct Estimate {
    input: u64,
    input_is_lower_bound: bool,
    output: u64,
    /// What is not counted in tokens.
    units: Units,
    /// Worst case at the dearest permitted target; `None` when none has a price.
    cost: Option<Money>,
}

impl Estimate {
    fn ask(&self) -> Ask {
        Ask { input_tokens: self.input, output_tokens: self.output, cost: self.cost }
    }

    fn of(plan: &RoutePlan, envelope: &Envelope) -> Self {
        if !envelope.operation.is_billed() {
            return Self {
                input: 0,
                input_is_lower_bound: false,
                output: 0,
                units: Units::NONE,
                cost: Some(Money::ZERO),
            };
        }
        let codec = envelope.dialect.codec();
        let input = codec.estimate_input(envelope.operation, &envelope.body, &envelope.head);
        let head = &envelope.head;
        let output = match envelope.operation.generates() {
            true => {
                let cap = plan.all().map(|plan| plan.output_cap(envelope)).max();
                cap.unwrap_or_default().saturating_mul(head.choices.max(1))
            }
            false => head.uncapped_output,
        };
        // Failover may move the call to the dearest target, and by then bytes are flowing.
        let cost = prices(plan).map(|price| price.worst_case(input.tokens, output, &head.units)).max();
        Self { input: input.tokens, input_is_lower_bound: input.lower_bound, output, units: head.units, cost }
    }
}

/// What two copies of the same call ask for.
fn twice(ask: Ask) -> Ask {
    Ask {
        input_tokens: ask.input_tokens.saturating_mul(2),
        output_tokens: ask.output_tokens.saturating_mul(2),
        cost: ask.cost.map(|cost| cost + cost),
    }
}

fn prices(plan: &RoutePlan) -> impl Iterator<Item = &Arc<Price>> {
    plan.all().flat_map(|plan| &plan.candidates).filter_map(|candidate| candidate.price.as_ref())
}

fn record_start(
    worker: &Worker,
    ticket: &Ticket,
    principal: &Principal,
    plan: &RoutePlan,
    estimate: &Estimate,
    reservation: &Reservation,
) -> Recorded {
    let dearest =
        prices(plan).max_by_key(|price| price.worst_case(estimate.input, estimate.output, &estimate.units));
    let price = dearest.map(|price| {
        let (input, output) = price.unit_prices(estimate.input);
        StartPrice { price_id: &price.id, currency: &price.currency, input, output }
    });
    let caller = &ticket.caller;
    worker.record_start(&Start {
        id: ticket.exchange.id,
        started_at: ticket.exchange.started,
        identity: &principal.identity,
        request_tags: &caller.tags,
        end_user: caller.end_user.as_deref(),
        session: caller.session.as_deref(),
        client: caller.client.as_deref(),
        model: &ticket.asked.alias,
        dialect: ticket.asked.dialect.as_str(),
        operation: ticket.asked.operation.as_str(),
        stream: ticket.asked.stream,
        input_estimate: estimate.input,
        output_reserved: estimate.output,
        reserved_cost: reservation.cost(),
        price,
        currency: &ticket.stamp.currency,
        hard: principal.hard_budget,
        config_version: ticket.stamp.config_version,
    })
}
