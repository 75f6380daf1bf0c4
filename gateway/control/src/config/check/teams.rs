//! Teams, projects and keys: what they may use and how much.

use std::collections::HashSet;

use crate::config::{
    file::{Api, Budget, BudgetMode, Dialect, Key, Limits, Project, Team},
    problem::{Path, nearest},
};

use super::{Check, budgets::Bound, zones::declared_zones};

impl Check<'_> {
    pub(super) fn teams(&mut self) {
        let file = self.file;
        let teams = Path::default().field("teams");
        self.unique(&teams, "name", "team", file.teams.iter().map(|team| team.name.as_str()));
        for (index, team) in file.teams.iter().enumerate() {
            let here = teams.index(index);
            self.name(here.field("name"), &team.name);
            self.former_names(&here, &team.renamed_from, file.teams.iter().map(|team| team.name.as_str()));
            self.limits(&here.field("limits"), &team.limits);
            self.budget(&here.field("budget"), team.budget.as_ref(), &Bound::Team(team));
            let projects = here.field("projects");
            self.unique(
                &projects,
                "name",
                "project",
                team.projects.iter().map(|project| project.name.as_str()),
            );
            for (index, project) in team.projects.iter().enumerate() {
                self.project(&projects.index(index), team, project);
            }
        }
        for (index, token) in file.admin.tokens.iter().enumerate() {
            let scope =
                Path::default().field("admin").field("tokens").index(index).field("scope").field("teams");
            for (position, team) in token.scope.iter().flat_map(|scope| &scope.teams).enumerate() {
                let known = file.teams.iter().map(|team| team.name.as_str());
                self.reference(scope.index(position), "team", team, known);
            }
        }
    }

    fn project(&mut self, here: &Path, team: &Team, project: &Project) {
        self.name(here.field("name"), &project.name);
        self.former_names(
            here,
            &project.renamed_from,
            team.projects.iter().map(|project| project.name.as_str()),
        );
        self.limits(&here.field("limits"), &project.limits);
        self.budget(&here.field("budget"), project.budget.as_ref(), &Bound::Project(team, project));
        self.zones(here, project);
        for (index, model) in project.models.iter().enumerate() {
            let known = self.file.models.iter().map(|model| model.name.as_str());
            self.reference(here.field("models").index(index), "model", model, known);
        }
        self.served(here, team, project);
        self.prompts(&here.field("prompts"), project);
        let keys = here.field("keys");
        self.unique(&keys, "name", "key", project.keys.iter().map(|key| key.name.as_str()));
        for (index, key) in project.keys.iter().enumerate() {
            self.key(&keys.index(index), team, project, key);
        }
    }

    /// A prompt is filled in by responses of the upstream that has it, and nowhere else.
    fn prompts(&mut self, here: &Path, project: &Project) {
        self.unique(here, "id", "prompt", project.prompts.iter().map(|prompt| prompt.id.as_str()));
        let file = self.file;
        for (index, prompt) in project.prompts.iter().enumerate() {
            let path = here.index(index).field("upstream");
            let Some(upstream) = file.upstreams.iter().find(|upstream| upstream.name == prompt.upstream)
            else {
                let known = file.upstreams.iter().map(|upstream| upstream.name.as_str());
                self.reference(path, "upstream", &prompt.upstream, known);
                continue;
            };
            let is_family = matches!(upstream.dialect, Dialect::Openai | Dialect::AzureOpenai);
            let has_responses = upstream.apis.as_ref().is_none_or(|apis| apis.contains(&Api::Responses));
            if !is_family || !has_responses {
                let message = format!(
                    "the upstream `{}` has no responses, which fill in stored prompts: name one of OpenAI's family",
                    upstream.name
                );
                self.error(path, message);
            }
        }
    }

    pub(super) fn key(&mut self, here: &Path, team: &Team, project: &Project, key: &Key) {
        self.name(here.field("name"), &key.name);
        self.former_names(here, &key.renamed_from, project.keys.iter().map(|key| key.name.as_str()));
        self.limits(&here.field("limits"), &key.limits);
        self.budget(&here.field("budget"), key.budget.as_ref(), &Bound::Key(team, project, key));
        for (index, model) in key.models.iter().flatten().enumerate() {
            if !project.models.contains(model) {
                let suggestion = nearest(model, project.models.iter().map(String::as_str));
                let message = format!(
                    "the project may not call a model `{model}`: add it to the project's `models`, or take it out here"
                );
                let path = here.field("models").index(index);
                self.report(crate::config::problem::Severity::Error, path, message, suggestion);
            }
        }
        match (&key.secret, &key.sha256) {
            (None, None) => self.error(here.clone(), "a key needs a `secret` or a `sha256`"),
            (Some(_), Some(_)) => self.error(here.field("sha256"), "give `secret` or `sha256`, not both"),
            _ => {}
        }
        self.pair(here, key);
        if key.refusal_status.is_some_and(|status| !(400..500).contains(&status)) {
            self.error(here.field("refusal_status"), "expected a status from 400 to 499");
        }
    }

    /// A signature can only be checked by the secret itself.
    fn pair(&mut self, here: &Path, key: &Key) {
        let Some(id) = &key.access_key_id else { return };
        let path = here.field("access_key_id");
        let is_id = (1..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_id {
            self.error(path, "expected up to 128 letters, digits, `_` and `-`");
        } else if key.secret.is_none() {
            self.error(path, "a key that signs needs its `secret`: a digest cannot check signatures");
        }
    }

    /// Two keys of one id could not be told apart.
    pub(super) fn pairs(&mut self) {
        let mut known = HashSet::new();
        let teams = Path::default().field("teams");
        let file = self.file;
        for (team_index, team) in file.teams.iter().enumerate() {
            for (project_index, project) in team.projects.iter().enumerate() {
                let keys = teams.index(team_index).field("projects").index(project_index).field("keys");
                for (index, key) in project.keys.iter().enumerate() {
                    if let Some(id) = &key.access_key_id
                        && !known.insert(id)
                    {
                        let path = keys.index(index).field("access_key_id");
                        self.error(path, format!("another key has the id `{id}`: give each its own"));
                    }
                }
            }
        }
    }

    fn zones(&mut self, here: &Path, project: &Project) {
        let Some(zones) = &project.zones else { return };
        if zones.is_empty() {
            self.error(
                here.field("zones"),
                "without any zone nothing can be served; leave it out for any zone",
            );
        }
        let file = self.file;
        for (index, zone) in zones.iter().enumerate() {
            let regions = file.regions.iter().map(|region| region.zone.as_str());
            let processing = file.upstreams.iter().flat_map(|upstream| upstream.processing.iter().flatten());
            let known = regions.chain(processing.map(String::as_str));
            self.reference(here.field("zones").index(index), "zone", zone, known);
        }
    }

    /// Models that the project may call but that no call can ever reach.
    fn served(&mut self, here: &Path, team: &Team, project: &Project) {
        let refuses = |budget: &Budget| {
            budget.mode == BudgetMode::Hard || budget.actions.iter().any(|action| action.refuse)
        };
        let hard = |budget: &Option<Budget>| budget.as_ref().is_some_and(refuses);
        let hard = hard(&team.budget) || hard(&project.budget);
        for (index, name) in project.models.iter().enumerate() {
            let path = here.field("models").index(index);
            let Some(model) = self.file.models.iter().find(|model| model.name == *name) else { continue };
            let permitted = |upstream: &str| {
                project.zones.as_ref().is_none_or(|zones| self.processed_in(upstream, zones))
            };
            let targets: Vec<_> = model.targets.iter().filter(|target| permitted(&target.upstream)).collect();
            let priced = |target: &&crate::config::file::Target| {
                let upstream = self.file.upstreams.iter().find(|known| known.name == target.upstream);
                let region = upstream.map_or("", |upstream| &upstream.region);
                self.prices.has(target.price.as_deref(), &target.upstream, region, &target.model)
            };
            if targets.is_empty() && !model.targets.is_empty() {
                let zones = project.zones.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
                let message = format!(
                    "no target of `{name}` is processed in zones of the project `{}` only ({zones}): every call is refused as zone_not_permitted; add a target there, or a zone here",
                    project.name
                );
                self.doubt(path, message);
            } else if hard && let Some(target) = targets.into_iter().find(|target| !priced(target)) {
                let message = format!(
                    "`{}` at `{}` has no price: under a budget that refuses its calls are refused as model_unpriced; add one to a price file",
                    target.model, target.upstream
                );
                self.doubt(path, message);
            }
        }
    }

    fn processed_in(&self, upstream: &str, zones: &[String]) -> bool {
        let upstream = self.file.upstreams.iter().find(|known| known.name == upstream);
        upstream.is_some_and(|upstream| {
            let declared = declared_zones(self.file, upstream);
            !declared.is_empty() && declared.iter().all(|zone| zones.iter().any(|known| known == zone))
        })
    }

    fn former_names<'n>(&mut self, here: &Path, former: &[String], current: impl Iterator<Item = &'n str>) {
        let current: HashSet<&str> = current.collect();
        for (index, name) in former.iter().enumerate() {
            if current.contains(name.as_str()) {
                let message = format!(
                    "`{name}` is still in use: its counters cannot be carried over; name one that is gone"
                );
                self.error(here.field("renamed_from").index(index), message);
            }
        }
    }

    fn limits(&mut self, here: &Path, limits: &Limits) {
        let given = [
            ("requests_per_second", limits.requests_per_second.map(u64::from)),
            ("requests_per_minute", limits.requests_per_minute.map(u64::from)),
            ("tokens_per_minute", limits.tokens_per_minute),
            ("input_tokens_per_minute", limits.input_tokens_per_minute),
            ("output_tokens_per_minute", limits.output_tokens_per_minute),
            ("tokens_per_day", limits.tokens_per_day),
            ("tokens_per_month", limits.tokens_per_month),
            ("concurrent_requests", limits.concurrent_requests.map(u64::from)),
        ];
        for (field, value) in given {
            if value == Some(0) {
                self.error(here.field(field), "must be at least 1; leave it out for no limit");
            }
        }
    }
}
