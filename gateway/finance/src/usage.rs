//! Usage and cost in groups: the answer of `GET /usage` and of the command of the same name.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tollgate_accounting::ledger::{
    Dimension, LedgerStore, StoreError, UnknownDimension, UsageGroup, UsageQuery,
};
use tollgate_domain::{Money, Name};

/// Usage in groups, and in total.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageReport {
    /// The groups, sorted by their values.
    pub items: Vec<UsageGroup>,
    /// All of them together; its cost is that of the gateway's own currency.
    pub total: UsageGroup,
    /// Costs in other currencies. They are never added to the total's.
    pub other_costs: BTreeMap<Name, Money>,
}

impl UsageReport {
    /// Asks `store`; `currency` is the gateway's own.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn ask(store: &dyn LedgerStore, query: &UsageQuery, currency: Name) -> Result<Self, StoreError> {
        Ok(Self::of(store.usage(query)?, currency))
    }

    /// A report of these groups.
    #[must_use]
    pub fn of(items: Vec<UsageGroup>, currency: Name) -> Self {
        let mut total = UsageGroup::empty(Vec::new(), currency);
        let mut other_costs: BTreeMap<Name, Money> = BTreeMap::new();
        for group in &items {
            if group.currency == total.currency {
                total.add(group);
            } else {
                total.add(&UsageGroup { cost: Money::ZERO, ..group.clone() });
                *other_costs.entry(group.currency.clone()).or_default() += group.cost;
            }
        }
        Self { items, total, other_costs }
    }
}

/// Reads a list of dimensions such as `team,model,tag:feature`. Spaces and empty places are
/// passed over; what is named twice counts once.
///
/// # Errors
/// A name is none of a dimension.
pub fn groups_of(by: &str) -> Result<Vec<Dimension>, UnknownDimension> {
    let mut dimensions = Vec::new();
    for name in by.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let dimension = name.parse()?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(dimensions)
}

impl Serialize for UsageReport {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("items", &self.items.iter().map(Group).collect::<Vec<_>>())?;
        map.serialize_entry("total", &Total(self))?;
        map.serialize_entry("next", &None::<&str>)?;
        map.end()
    }
}

struct Group<'a>(&'a UsageGroup);

impl Group<'_> {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let group = self.0;
        for (dimension, value) in &group.group {
            map.serialize_entry(&dimension.to_string(), value)?;
        }
        map.serialize_entry("requests", &group.requests)?;
        map.serialize_entry("refusals", &group.refusals)?;
        map.serialize_entry("input_tokens", &group.input_tokens)?;
        map.serialize_entry("cached_input_tokens", &group.cached_input_tokens)?;
        map.serialize_entry("cache_write_tokens", &group.cache_write_tokens)?;
        map.serialize_entry("output_tokens", &group.output_tokens)?;
        map.serialize_entry("reasoning_tokens", &group.reasoning_tokens)?;
        map.serialize_entry("cost", &group.cost)?;
        map.serialize_entry("currency", &*group.currency)?;
        map.serialize_entry("unpriced_requests", &group.unpriced_requests)
    }
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

struct Total<'a>(&'a UsageReport);

impl Serialize for Total<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Other<'a> {
            currency: &'a str,
            cost: Money,
        }
        let mut map = to.serialize_map(None)?;
        Group(&self.0.total).write(&mut map)?;
        if !self.0.other_costs.is_empty() {
            let others = self.0.other_costs.iter();
            let others: Vec<_> = others.map(|(currency, cost)| Other { currency, cost: *cost }).collect();
            map.serialize_entry("other_costs", &others)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(team: &str, currency: &str, cost: &str) -> UsageGroup {
        UsageGroup {
            requests: 2,
            refusals: 1,
            input_tokens: 30,
            cached_input_tokens: 20,
            cache_write_tokens: 5,
            output_tokens: 7,
            reasoning_tokens: 3,
            cost: cost.parse().expect(cost),
            unpriced_requests: 1,
            ..UsageGroup::empty(vec![(Dimension::Team, team.to_owned())], currency.into())
        }
    }

    #[test]
    fn a_report_has_the_names_and_the_order_that_users_rely_on() {
        let report = UsageReport::of(vec![group("retail", "USD", "1.5")], "USD".into());
        let shown = serde_json::to_string(&report).expect("serialised");
        let figures = r#""requests":2,"refusals":1,"input_tokens":30,"cached_input_tokens":20,"cache_write_tokens":5,"output_tokens":7,"reasoning_tokens":3,"cost":"1.5","currency":"USD","unpriced_requests":1"#;
        assert_eq!(
            shown,
            format!(r#"{{"items":[{{"team":"retail",{figures}}}],"total":{{{figures}}},"next":null}}"#)
        );
    }

    #[test]
    fn nothing_used_is_a_total_of_zero_in_the_own_currency() {
        let shown = serde_json::to_value(UsageReport::of(vec![], "EUR".into())).expect("serialised");
        assert_eq!((&shown["items"], &shown["total"]["cost"]), (&json!([]), &json!("0")));
        assert_eq!(shown["total"]["currency"], "EUR");
    }

    #[test]
    fn amounts_of_different_currencies_are_never_added() {
        let groups =
            vec![group("a", "EUR", "3"), group("a", "USD", "1.25"), group("b", "USD", "0.000000000001")];
        let shown = serde_json::to_value(UsageReport::of(groups, "USD".into())).expect("serialised");
        assert_eq!(shown["total"]["requests"], 6);
        assert_eq!(shown["total"]["cost"], "1.250000000001");
        assert_eq!(shown["total"]["other_costs"], json!([{ "currency": "EUR", "cost": "3" }]));
    }

    #[test]
    fn dimensions_are_read_from_a_list() {
        let read = groups_of(" team, model,tag:feature,,team").expect("all known");
        assert_eq!(read, [Dimension::Team, Dimension::Model, Dimension::Tag("feature".to_owned())]);
        assert_eq!(groups_of(""), Ok(vec![]));
        for (list, wrong) in [("team,colour", "colour"), ("tag:", "tag:"), ("Team", "Team")] {
            assert_eq!(groups_of(list), Err(UnknownDimension(wrong.to_owned())), "{list}");
        }
    }
}
