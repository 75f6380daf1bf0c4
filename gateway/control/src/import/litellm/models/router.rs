//! How a model's deployments are chosen among, and what stands in for them.

use super::{Model, Models};
use crate::import::{
    Outcome,
    source::{Group, Notes, text},
};

/// Settings of the router that have a reason of their own.
const ROUTER: &[(&str, &str)] = &[
    ("num_retries", "the gateway tries other targets by its own rules, within a budget of retries"),
    ("retry_after", "the gateway keeps to what providers say in `retry-after`"),
    ("timeout", "set `timeouts` of the upstreams"),
    ("stream_timeout", "set `timeouts` of the upstreams"),
    (
        "allowed_fails",
        "a target that fails is left alone by its breaker, which opens by the share of failures",
    ),
    ("cooldown_time", "a breaker comes back by itself, on a ramp"),
    ("redis_host", "each process holds its limits whole; replicas share a PostgreSQL ledger"),
    ("redis_port", "each process holds its limits whole; replicas share a PostgreSQL ledger"),
    ("redis_password", "each process holds its limits whole; replicas share a PostgreSQL ledger"),
    ("redis_url", "each process holds its limits whole; replicas share a PostgreSQL ledger"),
    ("cache_responses", "answers are not cached"),
    ("enable_pre_call_checks", "requests are checked against limits and budgets before every call"),
    ("context_window_fallbacks", "an input that is too long is the caller's answer: name the larger model"),
    ("content_policy_fallbacks", "a content filter's answer is the caller's"),
    ("retry_policy", "the gateway tries other targets by its own rules"),
    ("allowed_fails_policy", "a target that fails is left alone by its breaker"),
    ("default_fallbacks", "give each model its own targets of lower priority"),
];

impl Models {
    /// Reads `router_settings`, and the fallbacks that may stand in `litellm_settings`.
    pub(super) fn route(&mut self, root: &Group<'_>, notes: &mut Notes) {
        let settings = root.group("litellm_settings");
        if let Some(settings) = &settings {
            self.fall_back(settings, notes);
        }
        let Some(router) = root.group("router_settings") else { return };
        self.fall_back(&router, notes);
        if let Some(aliases) = router.group("model_group_alias") {
            for (alias, node) in aliases.entries() {
                let named = text(node).or_else(|| Group::new(node, aliases.path(alias)).text("model"));
                let copy = named.and_then(|named| self.find(&named)).map(|model| model.targets.clone());
                match copy {
                    Some(targets) => {
                        for target in targets {
                            self.add(alias, target, None);
                        }
                    }
                    None => {
                        notes.add(node, &aliases.path(alias), Outcome::NotMapped, "there is no such model")
                    }
                }
            }
        }
        if let Some(strategy) = router.field("routing_strategy") {
            self.balance(strategy, &router.path("routing_strategy"), notes);
        }
        router.tell_rest(ROUTER, notes);
    }

    fn find(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    fn balance(&mut self, node: &crate::config::tree::Node, what: &str, notes: &mut Notes) {
        let strategy = text(node).unwrap_or_default();
        let (balance, why) = match strategy.as_str() {
            "simple-shuffle" => ("weighted", None),
            "least-busy" => ("p2c", None),
            "latency-based-routing" => ("latency", None),
            "usage-based-routing" | "usage-based-routing-v2" => {
                ("p2c", Some("targets are chosen by their load, not by what was used of a rate"))
            }
            "cost-based-routing" => ("p2c", Some("give the cheaper targets the lower `priority`")),
            _ => ("p2c", Some("this way to choose is not known here")),
        };
        for model in &mut self.models {
            model.balance = Some(balance);
        }
        if let Some(why) = why {
            notes.add(node, what, Outcome::Changed, why);
        }
    }

    /// `fallbacks: [{ a: [b, c] }]`: the targets of b, then those of c, stand behind those of a.
    fn fall_back(&mut self, group: &Group<'_>, notes: &mut Notes) {
        for pairs in group.items("fallbacks") {
            for (name, node) in pairs.entries() {
                let what = pairs.path(name);
                let others = pairs.texts(name);
                if self.find(name).is_none() {
                    notes.add(node, &what, Outcome::NotMapped, "there is no such model");
                    continue;
                }
                for other in others {
                    let Some(targets) = self.find(&other).map(|model| model.targets.clone()) else {
                        notes.add(node, &what, Outcome::NotMapped, format!("there is no model {other:?}"));
                        continue;
                    };
                    let behind =
                        self.find(name).and_then(|model| model.targets.iter().map(|t| t.priority).max());
                    let first = targets.iter().map(|target| target.priority).min().unwrap_or(1);
                    for mut target in targets {
                        target.priority = behind.unwrap_or(0) + 1 + (target.priority - first);
                        let known = self.find(name).is_some_and(|model| {
                            model
                                .targets
                                .iter()
                                .any(|t| t.upstream == target.upstream && t.model == target.model)
                        });
                        if !known {
                            self.add(name, target, None);
                        }
                    }
                }
                let why = "the others' targets stand behind its own: a call that fails goes there, and the row says which model served it";
                notes.add(node, &what, Outcome::Changed, why);
            }
        }
    }
}
