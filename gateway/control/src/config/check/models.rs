//! Models: their targets, and the deployment names that Azure clients use.

use std::collections::HashMap;

use tollgate_domain::Money;

use crate::config::{
    file::{Balance, Model},
    problem::Path,
};

use super::Check;

impl Check<'_> {
    pub(super) fn models(&mut self) {
        let file = self.file;
        let models = Path::default().field("models");
        self.unique(&models, "name", "model", file.models.iter().map(|model| model.name.as_str()));
        for (index, model) in file.models.iter().enumerate() {
            let here = models.index(index);
            self.model_name(here.field("name"), &model.name);
            self.fallback(here.field("fallback"), model);
            if let Some(hedge) = &model.hedge
                && hedge.max_cost <= Money::ZERO
            {
                self.error(here.field("hedge").field("max_cost"), "must be more than zero");
            }
            if model.sensitivity.is_some() && model.balance != Balance::Latency {
                self.error(
                    here.field("sensitivity"),
                    "only `balance: latency` has a sensitivity: choose that, or leave it out",
                );
            }
            if model.sensitivity.is_some_and(|percent| percent > 1_000) {
                self.error(here.field("sensitivity"), "must be at most 1000 percent");
            }
            if model.max_output_tokens == Some(0) {
                self.error(here.field("max_output_tokens"), "must be at least 1");
            }
            self.targets(&here.field("targets"), model);
        }
        self.deployments(&models);
    }

    fn fallback(&mut self, here: Path, model: &Model) {
        let Some(fallback) = &model.fallback else { return };
        if *fallback == model.name {
            return self.error(here, "a model is no fallback of its own: name a larger one, or leave it out");
        }
        let known = self.file.models.iter().map(|model| model.name.as_str());
        self.reference(here.clone(), "model", fallback, known);
        self.fallback_circle(here, model);
    }

    /// Each of a circle would have to be larger than all others. It is told once, at the first of them.
    fn fallback_circle(&mut self, here: Path, model: &Model) {
        let models = &self.file.models;
        let next = |name: &str| models.iter().position(|model| model.name == name);
        let Some(first) = next(&model.name) else { return };
        let mut way = vec![model.name.as_str()];
        let mut at = model;
        while let Some(position) = at.fallback.as_deref().and_then(next) {
            at = &models[position];
            if at.name == model.name {
                let message = format!(
                    "fallbacks go in a circle ({}): the largest of them has none",
                    [way.as_slice(), &[at.name.as_str()]].concat().join(", ")
                );
                return self.warn(here, message);
            }
            // A circle that begins later is told there, and one with an earlier model was told there.
            if position < first || way.contains(&at.name.as_str()) {
                return;
            }
            way.push(&at.name);
        }
    }

    fn targets(&mut self, list: &Path, model: &Model) {
        if model.targets.is_empty() {
            self.error(
                list.clone(),
                "a model needs at least one target, such as { upstream: NAME, model: NAME }",
            );
        }
        for (index, target) in model.targets.iter().enumerate() {
            let here = list.index(index);
            let known = self.file.upstreams.iter().map(|upstream| upstream.name.as_str());
            self.reference(here.field("upstream"), "upstream", &target.upstream, known);
            self.model_name(here.field("model"), &target.model);
            if target.weight == 0 {
                self.error(
                    here.field("weight"),
                    "must be at least 1; to keep a target from being used, disable it",
                );
            }
            let same = |other: &&crate::config::file::Target| {
                other.upstream == target.upstream && other.model == target.model
            };
            if model.targets[..index].iter().any(|other| same(&other)) {
                self.error(
                    here,
                    format!(
                        "`{}` at `{}` is a target of this model already: take one out, and use `weight` for a larger part",
                        target.model, target.upstream
                    ),
                );
            } else if let Some(price) = &target.price {
                let known = self.prices.items.iter().filter_map(|item| item.id.as_deref());
                self.reference(here.field("price"), "price entry", price, known);
            }
        }
    }

    fn deployments(&mut self, models: &Path) {
        let file = self.file;
        let mut taken: HashMap<&str, &str> =
            file.models.iter().map(|model| (model.name.as_str(), model.name.as_str())).collect();
        for (index, model) in file.models.iter().enumerate() {
            for (position, deployment) in model.deployments.iter().enumerate() {
                let here = models.index(index).field("deployments").index(position);
                self.model_name(here.clone(), deployment);
                match taken.insert(deployment, &model.name) {
                    None => {}
                    // Its own alias is a deployment of that name anyway.
                    Some(other) if other == model.name && *deployment == model.name => {}
                    Some(other) => self.error(
                        here,
                        format!(
                            "the deployment `{deployment}` already leads to the model `{other}`: it can lead to one only"
                        ),
                    ),
                }
            }
        }
    }
}
