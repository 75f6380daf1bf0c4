//! What an order would do, told before it is done: who moves where, what the receivers have left, what
//! an hour costs before and after, and who would have nowhere to go.
//!
//! The requests are those that the ledger has of the last five minutes. Where they would go is drawn by the
//! choice that requests are sent by, with health and load as they are now; what others' moves do to that
//! load is not foreseen.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use serde::Serialize;
use tollgate_domain::{Money, Name, RegionName, UnixMillis, ZoneName};
use tollgate_proxy::{Share, Target, forecast};

use super::{
    Home, Scene, Subject, homes,
    traffic::{Flow, Traffic, WINDOW_SECONDS},
};

/// How often a destination is drawn: by it a share is known to about one per cent.
const DRAWS: u32 = 10_000;
const HOUR_SECONDS: u64 = 3_600;

/// The effect of an order that was not given.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// Over how long the requests were counted that are told of here.
    pub window_seconds: u64,
    /// The currency of all prices here.
    pub currency: String,
    /// Who moves where, or is refused.
    pub moves: Vec<Moved>,
    /// What the targets that receive something have, and would have.
    pub receivers: Vec<Receiver>,
    /// What an hour of the requests that move costs where they go now.
    pub price_per_hour: Money,
    /// What it costs where they would go; without the requests that would be refused, or whose new target
    /// has no price.
    pub price_per_hour_after: Money,
    /// Who would have no permitted target left: such an order is refused without `force`.
    pub homeless: Vec<Home>,
    /// Who would stay, since no target in the other region is permitted or there at all.
    pub stays: Vec<Home>,
}

/// Requests of a project for a model that go somewhere else.
#[derive(Clone, Debug, Serialize)]
pub struct Moved {
    /// Whose they are.
    #[serde(flatten)]
    pub home: Home,
    /// The target that serves them now.
    pub from: String,
    /// The target that would; null where they would be refused.
    pub to: Option<String>,
    /// How many there were within the window.
    pub requests: u64,
    /// The same by the minute, rounded up.
    pub requests_per_minute: u64,
    /// Input and output tokens by the minute, rounded up.
    pub tokens_per_minute: u64,
    /// What an hour of them costs.
    pub price_per_hour: Money,
    /// What it would cost; null where they would be refused or have no price.
    pub price_per_hour_after: Option<Money>,
}

/// A target that would get requests, with what its upstream serves in all.
#[derive(Clone, Debug, Serialize)]
pub struct Receiver {
    /// Its name.
    pub target: String,
    /// The region that it is in.
    pub region: String,
    /// What its upstream serves now.
    pub requests_per_minute: u64,
    /// And would serve.
    pub requests_per_minute_after: u64,
    /// Tokens that its upstream serves now.
    pub tokens_per_minute: u64,
    /// And would serve.
    pub tokens_per_minute_after: u64,
    /// What the upstream is configured to have; null: unknown.
    pub capacity_tokens_per_minute: Option<u64>,
    /// Requests in flight at the upstream.
    pub in_flight: u64,
    /// And with its part of those that are in flight where the moved ones go now.
    pub in_flight_after: u64,
    /// The most that the upstream takes; null: no bound.
    pub max_concurrency: Option<u32>,
    /// False where a known limit would be exceeded.
    pub fits: bool,
}

/// What a drain or a disabling would do.
///
/// `capacity` is what an upstream has, in tokens by the minute.
#[must_use]
pub fn preview_order(
    subject: &Subject,
    scene: &Scene<'_>,
    traffic: &Traffic,
    capacity: impl Fn(&str) -> Option<u64>,
) -> Preview {
    let leaves = |flow: &Flow| subject.holds(&flow.route, &flow.target);
    let destinations = |flow: &Flow| {
        let is_out = |target: &Target| subject.holds(&flow.route, target);
        forecast(&flow.route, &flow.principal, is_out, DRAWS)
    };
    let parts = divide(traffic, leaves, destinations);
    Preview { homeless: homes::lost(scene, subject), ..tell(scene, traffic, &parts, capacity) }
}

/// What a failover would do once its ramp is over.
#[must_use]
pub fn preview_failover(
    from: &RegionName,
    to: &RegionName,
    scene: &Scene<'_>,
    traffic: &Traffic,
    capacity: impl Fn(&str) -> Option<u64>,
) -> Preview {
    let leaves = |flow: &Flow| flow.target.upstream.region == *from;
    let destinations =
        |flow: &Flow| forecast(&flow.route, &flow.principal, |target| target.upstream.region != *to, DRAWS);
    let mut parts = divide(traffic, leaves, destinations);
    // Who has nowhere to go there stays.
    parts.retain(|part| part.to.is_some());
    let stays = homes::staying(scene, from, to);
    let homeless = homes::lost(scene, &Subject::Region(from.clone()));
    let homeless = homeless.into_iter().filter(|home| stays.contains(home)).collect();
    Preview { homeless, stays, ..tell(scene, traffic, &parts, capacity) }
}

/// A part of a flow and where it goes.
struct Part<'a> {
    flow: &'a Flow,
    to: Option<Arc<Target>>,
    requests: u64,
}

impl Part<'_> {
    /// The part's share of a figure of the whole flow.
    fn of(&self, whole: u64) -> u64 {
        let share = u128::from(whole) * u128::from(self.requests) / u128::from(self.flow.requests.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    fn cost(&self) -> Money {
        let requests = i128::from(self.flow.requests.max(1));
        Money::from_pico(self.flow.cost.pico().saturating_mul(i128::from(self.requests)) / requests)
    }

    /// What it would have cost where it goes: what it has cost, in the proportion of the two bills of an
    /// average request.
    fn cost_after(&self, now: UnixMillis) -> Option<Money> {
        let bill = |target: &Target| {
            let price = target.price.as_ref()?.at(now)?;
            Some(price.bill(&self.flow.mean).cost.pico())
        };
        let there = bill(self.to.as_ref()?)?;
        let pico = match bill(&self.flow.target) {
            Some(here) if here > 0 => self.cost().pico().checked_mul(there)? / here,
            _ => there.checked_mul(i128::from(self.requests))?,
        };
        Some(Money::from_pico(pico))
    }
}

/// Every flow that leaves, in the parts of its destinations. Keys of the same project with the same zones
/// and model have the same destinations, which are asked for once.
fn divide<'a>(
    traffic: &'a Traffic,
    leaves: impl Fn(&Flow) -> bool,
    destinations: impl Fn(&Flow) -> Vec<Share>,
) -> Vec<Part<'a>> {
    let mut known: BTreeMap<(Name, Option<Vec<ZoneName>>), Vec<Share>> = BTreeMap::new();
    let mut parts = Vec::new();
    for flow in traffic.flows.iter().filter(|flow| leaves(flow)) {
        let question = (flow.route.alias.name().clone(), flow.principal.zones.clone());
        let shares = known.entry(question).or_insert_with(|| destinations(flow));
        if shares.is_empty() {
            parts.push(Part { flow, to: None, requests: flow.requests });
        }
        for (share, requests) in shares.iter().zip(apportion(flow.requests, shares)) {
            if requests > 0 {
                parts.push(Part { flow, to: Some(Arc::clone(&share.target)), requests });
            }
        }
    }
    parts
}

/// Whole requests by shares; those that do not divide go to the largest remainders.
fn apportion(requests: u64, shares: &[Share]) -> Vec<u64> {
    let total = shares.iter().map(|share| u128::from(share.draws)).sum::<u128>().max(1);
    let exact = |share: &Share| u128::from(requests) * u128::from(share.draws);
    let mut parts: Vec<u64> =
        shares.iter().map(|share| u64::try_from(exact(share) / total).unwrap_or(u64::MAX)).collect();
    let mut places: Vec<usize> = (0..shares.len()).collect();
    places.sort_by_key(|at| std::cmp::Reverse(exact(&shares[*at]) % total));
    let left = requests.saturating_sub(parts.iter().sum());
    for at in places.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        parts[at] += 1;
    }
    parts
}

fn tell(
    scene: &Scene<'_>,
    traffic: &Traffic,
    parts: &[Part<'_>],
    capacity: impl Fn(&str) -> Option<u64>,
) -> Preview {
    // Keys of one project are told together.
    let mut moves: BTreeMap<(Home, String, Option<String>), Tally> = BTreeMap::new();
    for part in parts {
        let to = part.to.as_ref().map(|target| target.live.name.to_string());
        let home = Home::of(&part.flow.principal, &part.flow.route);
        moves.entry((home, part.flow.target.live.name.to_string(), to)).or_default().add(part, scene.now);
    }
    let moves: Vec<Moved> = moves
        .into_iter()
        .map(|((home, from, to), tally)| Moved {
            home,
            from,
            to,
            requests: tally.requests,
            requests_per_minute: by_the_minute(tally.requests),
            tokens_per_minute: by_the_minute(tally.tokens),
            price_per_hour: by_the_hour(tally.cost),
            price_per_hour_after: tally.cost_after.map(by_the_hour),
        })
        .collect();
    Preview {
        window_seconds: WINDOW_SECONDS,
        currency: scene.snapshot.currency.to_string(),
        receivers: receivers(traffic, parts, capacity),
        price_per_hour: moves.iter().map(|moved| moved.price_per_hour).sum(),
        price_per_hour_after: moves.iter().filter_map(|moved| moved.price_per_hour_after).sum(),
        moves,
        homeless: Vec::new(),
        stays: Vec::new(),
    }
}

/// What several parts come to.
#[derive(Default)]
struct Tally {
    requests: u64,
    tokens: u64,
    cost: Money,
    /// `None` as soon as a part has none.
    cost_after: Option<Money>,
}

impl Tally {
    fn add(&mut self, part: &Part<'_>, now: UnixMillis) {
        let before = if self.requests == 0 { Some(Money::ZERO) } else { self.cost_after };
        self.cost_after = before.zip(part.cost_after(now)).map(|(sum, cost)| sum + cost);
        self.requests += part.requests;
        self.tokens += part.of(part.flow.tokens);
        self.cost += part.cost();
    }
}

fn receivers(traffic: &Traffic, parts: &[Part<'_>], capacity: impl Fn(&str) -> Option<u64>) -> Vec<Receiver> {
    let mut received: BTreeMap<Name, (Arc<Target>, u64, u64, u64)> = BTreeMap::new();
    let served_by = |target: &Target| -> u64 {
        let same = traffic.flows.iter().filter(|flow| flow.target.live.name == target.live.name);
        same.map(|flow| flow.requests).sum()
    };
    for part in parts {
        let Some(to) = &part.to else { continue };
        let slot = received.entry(to.live.name.clone()).or_insert_with(|| (Arc::clone(to), 0, 0, 0));
        slot.1 += part.requests;
        slot.2 += part.of(part.flow.tokens);
        let here = u64::from(part.flow.target.live.in_flight.load(Ordering::Relaxed));
        slot.3 += (here * part.requests).div_ceil(served_by(&part.flow.target).max(1));
    }
    received
        .into_values()
        .map(|(target, requests, tokens, in_flight)| {
            let upstream = &target.upstream;
            let of_upstream = |figure: fn(&Flow) -> u64| -> u64 {
                let flows = traffic.flows.iter().filter(|flow| flow.target.upstream.name == upstream.name);
                flows.map(figure).sum()
            };
            let (had_requests, had_tokens) =
                (of_upstream(|flow| flow.requests), of_upstream(|flow| flow.tokens));
            let had_in_flight = u64::from(upstream.live.in_flight.load(Ordering::Relaxed));
            let tokens_after = by_the_minute(had_tokens + tokens);
            let in_flight_after = had_in_flight + in_flight;
            let capacity = capacity(upstream.name.as_str());
            Receiver {
                target: target.live.name.to_string(),
                region: upstream.region.to_string(),
                requests_per_minute: by_the_minute(had_requests),
                requests_per_minute_after: by_the_minute(had_requests + requests),
                tokens_per_minute: by_the_minute(had_tokens),
                tokens_per_minute_after: tokens_after,
                capacity_tokens_per_minute: capacity,
                in_flight: had_in_flight,
                in_flight_after,
                max_concurrency: upstream.max_concurrency,
                fits: capacity.is_none_or(|most| tokens_after <= most)
                    && upstream.max_concurrency.is_none_or(|most| in_flight_after <= u64::from(most)),
            }
        })
        .collect()
}

fn by_the_minute(within_window: u64) -> u64 {
    within_window.saturating_mul(60).div_ceil(WINDOW_SECONDS)
}

fn by_the_hour(within_window: Money) -> Money {
    let hours = i128::from(HOUR_SECONDS / WINDOW_SECONDS);
    Money::from_pico(within_window.pico().saturating_mul(hours))
}
