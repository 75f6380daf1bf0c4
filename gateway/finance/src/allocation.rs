//! Allocation: what nobody of the teams has caused, given to the teams by rules.
//!
//! Hours of reserved capacity stand in the ledger as nobody's. Here their used and their idle part
//! are shared out, each by its rule, so that the parts sum to the whole to the last place. What no rule
//! gives to a team is a line of its own and never lost: teams and that line together are the total of
//! the ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tollgate_accounting::{
    ledger::{Dimension, Kind, LedgerStore, RowQuery, SHARED, StoreError, UsageGroup, UsageQuery},
    price::MeterKind,
};
use tollgate_domain::{Money, UnixMillis};

/// How a shared cost is given to teams.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Method {
    /// To nobody: it stays unallocated.
    #[default]
    None,
    /// To every configured team the same.
    Even,
    /// By the tokens of the teams at the upstream that the cost is of.
    Tokens,
    /// By what the teams' own requests cost at all upstreams.
    Cost,
    /// By fixed shares in millionths; what they leave of a million stays unallocated.
    Shares(BTreeMap<String, u32>),
}

/// The rules of the two parts of reserved capacity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Of the part that was used.
    pub used: Method,
    /// Of the part that was paid for and not used.
    pub idle: Method,
    /// The teams that there are.
    pub teams: BTreeSet<String>,
}

/// Who bears what, in one currency.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Bearer {
    /// The team; `unallocated` for what no rule has given to one.
    pub team: String,
    /// The currency.
    pub currency: String,
    /// What its own requests cost, corrections included.
    pub direct: Money,
    /// Its part of used capacity.
    pub used_capacity: Money,
    /// Its part of idle capacity.
    pub idle_capacity: Money,
    /// All of it.
    pub total: Money,
}

/// One part of a shared cost and why a team bears it: the cost of `part` times `weight` of `of`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Share {
    /// The upstream whose capacity it is.
    pub upstream: String,
    /// `used` or `idle`.
    pub part: &'static str,
    /// The method's name.
    pub method: &'static str,
    /// The team.
    pub team: String,
    /// The team's weight.
    pub weight: u64,
    /// The sum of all weights.
    pub of: u64,
    /// The currency.
    pub currency: String,
    /// What the team bears.
    pub amount: Money,
}

/// A period's costs by who bears them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Allocation {
    /// Teams by name and currency, and last what nobody bears.
    pub items: Vec<Bearer>,
    /// The shared costs in their parts.
    pub shares: Vec<Share>,
}

impl Allocation {
    /// Shares out what the ledger has of `[from, to)`. Memory holds the sums of teams and upstreams.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn ask(
        store: &dyn LedgerStore,
        (from, to): (Option<UnixMillis>, Option<UnixMillis>),
        rules: &Rules,
    ) -> Result<Self, StoreError> {
        let by = vec![Dimension::Team, Dimension::Upstream];
        let groups = store.usage(&UsageQuery { from, to, by, ..UsageQuery::default() })?;
        let pools = pools(store, from, to)?;
        Ok(share_out(&groups, &pools, rules))
    }
}

/// A shared cost: the upstream, the part, the currency.
type Pool = (String, Part, String);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    Used,
    Idle,
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Idle => "idle",
        }
    }
}

impl Method {
    /// The name used in configuration and answers.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Even => "even",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Shares(_) => "shares",
        }
    }
}

/// The parts of all hours of capacity, as their rows and the corrections of these tell.
fn pools(
    store: &dyn LedgerStore,
    from: Option<UnixMillis>,
    to: Option<UnixMillis>,
) -> Result<BTreeMap<Pool, Money>, StoreError> {
    let mut pools: BTreeMap<Pool, Money> = BTreeMap::new();
    for kind in [Kind::Fixed, Kind::Adjustment] {
        let (kind, teams) = (Some(kind), vec![SHARED.into()]);
        let mut query = RowQuery { kind, teams, from, to, limit: RowQuery::MAX_LIMIT, ..RowQuery::default() };
        loop {
            let page = store.rows(&query)?;
            for entry in &page.items {
                let upstream = entry.place.as_ref().map_or("", |place| place.upstream.as_str());
                for meter in &entry.meters {
                    // Whatever else nobody has caused is shared like what nobody has used.
                    let part = if meter.meter == MeterKind::CapacityUsed { Part::Used } else { Part::Idle };
                    let pool = (upstream.to_owned(), part, entry.currency.to_string());
                    *pools.entry(pool).or_default() += meter.cost;
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    Ok(pools)
}

fn share_out(groups: &[UsageGroup], pools: &BTreeMap<Pool, Money>, rules: &Rules) -> Allocation {
    let mut bearers: BTreeMap<(String, String), Bearer> = BTreeMap::new();
    let mut unallocated: BTreeMap<String, Bearer> = BTreeMap::new();
    let mut bear = |team: &str, currency: &str, add: &dyn Fn(&mut Bearer)| {
        let bearer = if team == SHARED {
            unallocated.entry(currency.to_owned()).or_default()
        } else {
            bearers.entry((team.to_owned(), currency.to_owned())).or_default()
        };
        add(bearer);
    };
    for group in groups {
        let currency = &*group.currency;
        // The shared costs are those of the pools; anything of nobody beside them stays nobody's.
        bear(value(group, 0), currency, &|bearer| bearer.direct += group.cost);
    }
    let mut shares = Vec::new();
    for ((upstream, part, currency), amount) in pools {
        bear(SHARED, currency, &|bearer| bearer.direct -= *amount);
        let method = if *part == Part::Used { &rules.used } else { &rules.idle };
        let (teams, weights) = weights(method, upstream, currency, groups, rules);
        let parts = split(*amount, &weights);
        let of = weights.iter().sum::<u64>();
        for ((team, weight), amount) in teams.iter().zip(&weights).zip(parts) {
            bear(team, currency, &|bearer| match part {
                Part::Used => bearer.used_capacity += amount,
                Part::Idle => bearer.idle_capacity += amount,
            });
            if !amount.is_zero() {
                let (upstream, currency) = (upstream.clone(), currency.clone());
                let (part, method, weight) = (part.as_str(), method.as_str(), *weight);
                let team = shown(team);
                shares.push(Share { upstream, part, method, team, weight, of, currency, amount });
            }
        }
    }
    let unallocated =
        unallocated.into_iter().map(|(currency, bearer)| ((SHARED.to_owned(), currency), bearer));
    let items = bearers.into_iter().chain(unallocated).map(|((team, currency), bearer)| Bearer {
        total: bearer.direct + bearer.used_capacity + bearer.idle_capacity,
        team: shown(&team),
        currency,
        ..bearer
    });
    Allocation { items: items.collect(), shares }
}

/// What readers call a bearer.
fn shown(team: &str) -> String {
    if team == SHARED { "unallocated".to_owned() } else { team.to_owned() }
}

fn value(group: &UsageGroup, at: usize) -> &str {
    group.group.get(at).map_or("", |(_, value)| value)
}

/// Who bears a cost in which proportion. Nobody's weight comes last, and is all there is where the
/// method has nothing to go by.
fn weights(
    method: &Method,
    upstream: &str,
    currency: &str,
    groups: &[UsageGroup],
    rules: &Rules,
) -> (Vec<String>, Vec<u64>) {
    let mut weights: BTreeMap<&str, u128> = BTreeMap::new();
    let mut nobody = 0;
    let own = groups.iter().filter(|group| value(group, 0) != SHARED);
    match method {
        Method::None => {}
        Method::Even => weights.extend(rules.teams.iter().map(|team| (team.as_str(), 1))),
        Method::Tokens => {
            for group in own.filter(|group| value(group, 1) == upstream) {
                let tokens = u128::from(group.input_tokens) + u128::from(group.output_tokens);
                *weights.entry(value(group, 0)).or_default() += tokens;
            }
        }
        Method::Cost => {
            for group in own.filter(|group| &*group.currency == currency) {
                *weights.entry(value(group, 0)).or_default() += group.cost.or_zero().pico().unsigned_abs();
            }
        }
        Method::Shares(given) => {
            weights.extend(given.iter().map(|(team, share)| (team.as_str(), u128::from(*share))));
            nobody = 1_000_000_u128.saturating_sub(weights.values().sum());
        }
    }
    if weights.values().all(|weight| *weight == 0) {
        nobody = 1;
    }
    let all: Vec<(String, u128)> = weights
        .into_iter()
        .map(|(team, weight)| (team.to_owned(), weight))
        .chain([(SHARED.to_owned(), nobody)])
        .collect();
    let total: u128 = all.iter().map(|(_, weight)| weight).sum();
    // Proportions of more than 2⁶² lose their last bits, never the sum of the parts.
    let excess = 128_u32.saturating_sub(total.leading_zeros()).saturating_sub(62);
    let fit = |weight: u128| u64::try_from(weight >> excess).expect("not above 2^62");
    all.into_iter().map(|(team, weight)| (team, fit(weight))).unzip()
}

/// An amount in parts proportional to weights, exactly: each is rounded towards zero, and what is left
/// goes, one place each, to those whose rounding has lost most (largest remainder); among equals to the
/// first. The weights' sum must be above zero and at most 2⁶².
fn split(amount: Money, weights: &[u64]) -> Vec<Money> {
    let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let (sign, pico) = (amount.pico().signum(), amount.pico().saturating_abs());
    let (whole, rest) = (pico / total, pico % total);
    let mut parts: Vec<i128> = Vec::with_capacity(weights.len());
    let mut lost: Vec<(i128, usize)> = Vec::with_capacity(weights.len());
    for (at, weight) in weights.iter().enumerate() {
        let weight = i128::from(*weight);
        parts.push(whole * weight + rest * weight / total);
        lost.push((rest * weight % total, at));
    }
    lost.sort_by_key(|(lost, at)| (std::cmp::Reverse(*lost), *at));
    let left = pico - parts.iter().sum::<i128>();
    for (_, at) in lost.into_iter().take(usize::try_from(left).expect("less than one for each part")) {
        parts[at] += 1;
    }
    parts.into_iter().map(|part| Money::from_pico(sign * part)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(team: &str, upstream: &str, tokens: u64, cost: i128) -> UsageGroup {
        let named = vec![(Dimension::Team, team.to_owned()), (Dimension::Upstream, upstream.to_owned())];
        let (input_tokens, cost) = (tokens, Money::from_pico(cost));
        UsageGroup { input_tokens, cost, ..UsageGroup::empty(named, "USD".into()) }
    }

    fn rules(used: Method, idle: Method) -> Rules {
        Rules { used, idle, teams: ["hr", "it", "retail"].map(str::to_owned).into() }
    }

    /// Capacity of `ptu` for 100, of which 40 used; retail has used three times what hr has.
    fn allocated(used: Method, idle: Method) -> Vec<(String, i128, i128, i128, i128)> {
        let groups = [
            group("hr", "ptu", 25, 0),
            group("hr", "paid", 10, 30),
            group("retail", "ptu", 75, 0),
            group("retail", "paid", 1, 10),
            group(SHARED, "ptu", 0, 100),
        ];
        let pool = |part| ("ptu".to_owned(), part, "USD".to_owned());
        let pools =
            [(pool(Part::Used), Money::from_pico(40)), (pool(Part::Idle), Money::from_pico(60))].into();
        let allocation = share_out(&groups, &pools, &rules(used, idle));
        let total: Money = allocation.items.iter().map(|bearer| bearer.total).sum();
        assert_eq!(total.pico(), 140, "what the ledger has");
        let shared: Money = allocation.shares.iter().map(|share| share.amount).sum();
        assert_eq!(shared.pico(), 100, "what was shared out");
        let shown = |b: Bearer| {
            (b.team, b.direct.pico(), b.used_capacity.pico(), b.idle_capacity.pico(), b.total.pico())
        };
        allocation.items.into_iter().map(shown).collect()
    }

    #[test]
    fn each_method_gives_every_place_to_somebody() {
        let shares = BTreeMap::from([("hr".to_owned(), 500_000), ("it".to_owned(), 250_000)]);
        let cases: [(Method, Method, &[_]); 4] = [
            (
                Method::Tokens,
                Method::None,
                &[("hr", 30, 10, 0, 40), ("retail", 10, 30, 0, 40), ("unallocated", 0, 0, 60, 60)],
            ),
            (
                Method::Cost,
                Method::Even,
                &[
                    ("hr", 30, 30, 20, 80),
                    ("it", 0, 0, 20, 20),
                    ("retail", 10, 10, 20, 40),
                    ("unallocated", 0, 0, 0, 0),
                ],
            ),
            (
                Method::None,
                Method::Shares(shares),
                &[
                    ("hr", 30, 0, 30, 60),
                    ("it", 0, 0, 15, 15),
                    ("retail", 10, 0, 0, 10),
                    ("unallocated", 0, 40, 15, 55),
                ],
            ),
            (
                Method::Even,
                Method::Tokens,
                &[
                    ("hr", 30, 14, 15, 59),
                    ("it", 0, 13, 0, 13),
                    ("retail", 10, 13, 45, 68),
                    ("unallocated", 0, 0, 0, 0),
                ],
            ),
        ];
        for (used, idle, want) in cases {
            let name = format!("{used:?}, {idle:?}");
            let want: Vec<_> =
                want.iter().map(|(team, a, b, c, d)| ((*team).to_owned(), *a, *b, *c, *d)).collect();
            assert_eq!(allocated(used, idle), want, "{name}");
        }
    }

    #[test]
    fn what_nobody_used_is_nobodys() {
        let pools = [(("ptu".to_owned(), Part::Idle, "USD".to_owned()), Money::from_pico(7))].into();
        let groups = [group(SHARED, "ptu", 0, 7)];
        let allocation = share_out(&groups, &pools, &rules(Method::Tokens, Method::Tokens));
        assert_eq!(allocation.items.len(), 1);
        assert_eq!((allocation.items[0].team.as_str(), allocation.items[0].total.pico()), ("unallocated", 7));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_none_is_off_by_a_place(
            pico in any::<i64>(), factor in 1_i128..1_000_000_000,
            weights in proptest::collection::vec(0_u64..1 << 50, 1..40), first in 1_u64..1 << 50,
        ) {
            let weights: Vec<u64> = [first].into_iter().chain(weights).collect();
            let amount = Money::from_pico(i128::from(pico) * factor);
            let parts = split(amount, &weights);
            prop_assert_eq!(parts.iter().copied().sum::<Money>(), amount);
            let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                // |part * total - amount * weight| < total, in parts that fit.
                let (whole, rest) = (amount.pico() / total, amount.pico() % total);
                let off = (part.pico() - whole * i128::from(*weight)) * total - rest * i128::from(*weight);
                prop_assert!(off.abs() < total, "{part} is off by more than a place");
            }
        }
    }
}
