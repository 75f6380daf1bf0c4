//! Keys: who may call, with the limits of key, project and team.

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};
use tollgate_accounting::{
    ledger::Identity,
    quota::{self, Quotas, Scope, ScopeId, ScopeKind, ScopeRules, Weight},
};
use tollgate_domain::{Name, UnixMillis};
use tollgate_proxy::{Crowd, KeyRing, Live, Principal, Priority, ProjectLoad, Standing};

use crate::{
    config::file::{self, ConfigFile, Key, Project, Team},
    keys::{Issued, mark},
};

/// What a refusal by a budget answers, unless the key says otherwise.
const REFUSAL_STATUS: u16 = 429;

/// All keys, and every scope with its rules.
pub(crate) struct Keys {
    pub(crate) ring: KeyRing,
    pub(crate) scopes: Vec<Arc<Scope>>,
    /// Run-time keys that are not as meant, in words.
    pub(crate) strays: Vec<String>,
}

pub(super) fn compile(
    file: &ConfigFile,
    instance: &Name,
    pepper: [u8; 32],
    issued: &[Arc<Issued>],
    live: &Live,
) -> Keys {
    let (quotas, crowd) = (&live.quotas, crowd(file, issued));
    carry_over(file, quotas);
    let mut keys = Keys { ring: KeyRing::new(pepper), scopes: Vec::new(), strays: Vec::new() };
    let mark = mark(pepper);
    let mut issued = ByProject::of(issued);
    for team in &file.teams {
        let team_scope =
            keys.scope(quotas, ScopeKind::Team, team.name.as_str().into(), &team.limits, &team.budget);
        for project in &team.projects {
            let name: Name = format!("{}/{}", team.name, project.name).into();
            let project_scope =
                keys.scope(quotas, ScopeKind::Project, name.clone(), &project.limits, &project.budget);
            let place = Place {
                file,
                instance,
                owner: (team, project),
                above: [project_scope, Arc::clone(&team_scope)],
                load: live.gate.project(&name),
                crowd,
                name,
            };
            let mut known = HashMap::new();
            for key in &project.keys {
                let principal = Arc::new(place.principal(&mut keys, quotas, key, &mut known));
                let mut fresh = keys.ring.insert(&digest(key), Arc::clone(&principal));
                if let (Some(id), Some(secret)) = (&key.access_key_id, &key.secret) {
                    fresh &= keys.ring.insert_pair(id.as_str(), secret.0.clone(), principal);
                }
                debug_assert!(fresh, "equal secrets and ids were refused by the check");
            }
            for key in issued.take(team, project) {
                place.issued(&mut keys, quotas, key, &mark, &mut known);
            }
        }
    }
    let lost = issued.rest().map(|key| {
        format!("the key {} ({}) opens nothing: its project is not configured", key.id, key.scope())
    });
    keys.strays.extend(lost);
    keys
}

/// Run-time keys by `team/project`, as they were named when the key was made.
struct ByProject<'i>(HashMap<String, Vec<&'i Issued>>);

impl<'i> ByProject<'i> {
    fn of(issued: &'i [Arc<Issued>]) -> Self {
        let mut by_project: HashMap<_, Vec<_>> = HashMap::new();
        for key in issued {
            by_project.entry(format!("{}/{}", key.team, key.project)).or_default().push(&**key);
        }
        Self(by_project)
    }

    /// Takes out those of a project, by all its names.
    fn take(&mut self, team: &Team, project: &Project) -> Vec<&'i Issued> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let teams = team.renamed_from.iter().chain([&team.name]);
        let projects = || project.renamed_from.iter().chain([&project.name]);
        let names = teams.flat_map(|team| projects().map(move |project| format!("{team}/{project}")));
        names.filter_map(|name| self.0.remove(&name)).flatten().collect()
    }

    /// Those of no project that could still be used.
    fn rest(self) -> impl Iterator<Item = &'i Issued> {
        self.0.into_values().flatten().filter(|key| key.revoked.is_none())
    }
}

/// A project among its team, where keys are put.
struct Place<'a> {
    file: &'a ConfigFile,
    instance: &'a Name,
    owner: (&'a Team, &'a Project),
    /// The scopes of project and team.
    above: [Arc<Scope>; 2],
    load: Arc<ProjectLoad>,
    crowd: Crowd,
    /// `team/project`.
    name: Name,
}

impl Place<'_> {
    fn principal(
        &self,
        keys: &mut Keys,
        quotas: &Quotas,
        key: &Key,
        known: &mut HashMap<String, Arc<Scope>>,
    ) -> Principal {
        let scope = known.entry(key.name.clone()).or_insert_with(|| {
            let name = format!("{}/{}", self.name, key.name).into();
            keys.scope(quotas, ScopeKind::Key, name, &key.limits, &key.budget)
        });
        let [project, team] = &self.above;
        let scopes = vec![Arc::clone(scope), Arc::clone(project), Arc::clone(team)];
        principal(self.file, self.instance, (self.owner.0, self.owner.1, key), scopes, self.standing(key))
    }

    fn standing(&self, key: &Key) -> Standing {
        let priority = priority(key.priority.unwrap_or(self.owner.1.priority));
        Standing { priority, project: Arc::clone(&self.load), crowd: self.crowd }
    }

    /// Puts a key in that was made at run time. Two of one name share their limits and their budget.
    fn issued(
        &self,
        keys: &mut Keys,
        quotas: &Quotas,
        issued: &Issued,
        mark: &str,
        known: &mut HashMap<String, Arc<Scope>>,
    ) {
        let Some(digest) = issued.digest(mark) else {
            keys.strays.push(format!(
                "the key {} ({}) opens nothing here: it was made with another `pepper` than that of this data folder",
                issued.id,
                issued.scope()
            ));
            return;
        };
        let (_, project) = self.owner;
        let mut key = issued.as_key();
        if project.keys.iter().any(|configured| configured.name == key.name) && issued.revoked.is_none() {
            keys.strays.push(format!(
                "the key {} has the name of the configured key {}/{}: they share its limits and budget",
                issued.id, self.name, key.name
            ));
        }
        // What the project has lost since, its keys have lost too.
        if let Some(models) = &mut key.models {
            models.retain(|model| project.models.contains(model));
        }
        let principal = if issued.revoked.is_some() {
            // Refused before anything of it is asked; its name may be another key's by now.
            let owner = (self.owner.0, self.owner.1, &key);
            let principal = principal(self.file, self.instance, owner, Vec::new(), self.standing(&key));
            Principal { revoked: true, ..principal }
        } else {
            self.principal(keys, quotas, &key, known)
        };
        if !keys.ring.insert_digest(digest, Arc::new(principal)) {
            keys.strays.push(format!("the key {} has the secret of another one", issued.id));
        }
    }
}

impl Keys {
    fn scope(
        &mut self,
        quotas: &Quotas,
        kind: ScopeKind,
        name: Name,
        limits: &file::Limits,
        budget: &Option<file::Budget>,
    ) -> Arc<Scope> {
        let rules = ScopeRules { limits: rules(limits), budget: budget.as_ref().map(money) };
        let scope = quotas.scope(ScopeId { kind, name }, rules);
        self.scopes.push(Arc::clone(&scope));
        scope
    }
}

fn principal(
    file: &ConfigFile,
    instance: &Name,
    (team, project, key): (&Team, &Project, &Key),
    scopes: Vec<Arc<Scope>>,
    standing: Standing,
) -> Principal {
    let identity = Identity {
        organization: file.organization.as_str().into(),
        instance: instance.clone(),
        team: team.name.as_str().into(),
        project: project.name.as_str().into(),
        key: key.name.as_str().into(),
        cost_center: team.cost_center.as_deref().map(Name::from),
        tags: project
            .tags
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
    };
    let models =
        key.models.as_ref().unwrap_or(&project.models).iter().map(|name| name.as_str().into()).collect();
    let budgets = || scopes.iter().filter_map(|scope| scope.rules().budget.as_ref());
    let hard_budget = budgets().any(quota::Budget::refuses);
    let reserve_full = budgets().any(|budget| budget.refuses() && budget.reserve == quota::Reserve::Full);
    Principal {
        identity: Arc::new(identity),
        models,
        zones: project.zones.as_ref().map(|zones| zones.iter().map(|zone| zone.as_str().into()).collect()),
        expires: key.expires.map(|expires| UnixMillis::new(expires.millis)),
        revoked: false,
        refusal_status: key.refusal_status.unwrap_or(REFUSAL_STATUS),
        hard_budget,
        reserve_full,
        prompts: project
            .prompts
            .iter()
            .map(|prompt| (prompt.id.as_str().into(), prompt.upstream.as_str().into()))
            .collect(),
        request_tags: project.request_tags.iter().map(|tag| tag.as_str().into()).collect(),
        scopes,
        standing,
    }
}

/// Who shares the gateway's slots.
fn crowd(file: &ConfigFile, issued: &[Arc<Issued>]) -> Crowd {
    let projects = || file.teams.iter().flat_map(|team| &team.projects);
    let is_interactive = |priority| priority == file::Priority::Interactive;
    // A run-time key that says nothing is as its project.
    let made = issued.iter().filter_map(|key| key.policy.priority).any(is_interactive)
        || (!issued.is_empty() && projects().any(|project| is_interactive(project.priority)));
    let mut priorities = projects()
        .flat_map(|project| project.keys.iter().map(|key| key.priority.unwrap_or(project.priority)));
    Crowd { interactive: made || priorities.any(is_interactive), several: projects().nth(1).is_some() }
}

const fn priority(given: file::Priority) -> Priority {
    match given {
        file::Priority::Interactive => Priority::Interactive,
        file::Priority::Standard => Priority::Standard,
        file::Priority::Batch => Priority::Batch,
    }
}

/// SHA-256 of a key's secret.
fn digest(key: &Key) -> [u8; 32] {
    let mut digest = [0; 32];
    match (&key.secret, &key.sha256) {
        (Some(secret), _) => digest = Sha256::digest(secret.0.expose()).into(),
        (None, Some(sha256)) => {
            hex::decode_to_slice(sha256.0.expose(), &mut digest).expect("checked with the document")
        }
        (None, None) => unreachable!("the check refuses a key without a secret"),
    }
    digest
}

/// Moves what was spent under former names to the current ones.
fn carry_over(file: &ConfigFile, quotas: &Quotas) {
    let rename = |kind, old: String, new: String| {
        quotas.rename(&ScopeId { kind, name: old.into() }, &ScopeId { kind, name: new.into() });
    };
    for team in &file.teams {
        let team_names = || team.renamed_from.iter().chain([&team.name]);
        for old_team in &team.renamed_from {
            rename(ScopeKind::Team, old_team.clone(), team.name.clone());
        }
        for project in &team.projects {
            let project_names = || project.renamed_from.iter().chain([&project.name]);
            for (old_team, old_project) in
                team_names().flat_map(|team| project_names().map(move |project| (team, project)))
            {
                let old = format!("{old_team}/{old_project}");
                let new = format!("{}/{}", team.name, project.name);
                rename(ScopeKind::Project, old.clone(), new.clone());
                for key in &project.keys {
                    for old_key in key.renamed_from.iter().chain([&key.name]) {
                        rename(ScopeKind::Key, format!("{old}/{old_key}"), format!("{new}/{}", key.name));
                    }
                }
            }
        }
    }
}

fn rules(given: &file::Limits) -> quota::Limits {
    let weight = given.cached_input_weight.and_then(|share| Weight::from_millionths(share.millionths));
    quota::Limits {
        requests_per_second: given.requests_per_second,
        requests_per_minute: given.requests_per_minute,
        tokens_per_minute: given.tokens_per_minute,
        input_tokens_per_minute: given.input_tokens_per_minute,
        output_tokens_per_minute: given.output_tokens_per_minute,
        tokens_per_day: given.tokens_per_day,
        tokens_per_month: given.tokens_per_month,
        concurrent_requests: given.concurrent_requests,
        cached_input_weight: weight.unwrap_or_default(),
    }
}

fn money(given: &file::Budget) -> quota::Budget {
    let refusal = given.actions.iter().find(|action| action.refuse);
    let step = |action: &file::BudgetAction| {
        let model = action.model.as_deref()?;
        Some(quota::Downgrade { at: action.at, model: model.into() })
    };
    // A soft budget that told nobody would be no more than an observed one.
    let usual = if given.mode == file::BudgetMode::Soft { vec![100] } else { Vec::new() };
    quota::Budget {
        amount: given.amount,
        period: match given.period {
            file::Period::Day => quota::Period::Day,
            file::Period::Week => quota::Period::Week,
            file::Period::Month => quota::Period::Month,
            file::Period::Quarter => quota::Period::Quarter,
            file::Period::Year => quota::Period::Year,
            file::Period::Total => quota::Period::Total,
        },
        mode: match given.mode {
            file::BudgetMode::Hard => quota::BudgetMode::Hard,
            file::BudgetMode::Soft => quota::BudgetMode::Soft,
            file::BudgetMode::Observe => quota::BudgetMode::Observe,
        },
        reserve: match given.reserve {
            file::Reserve::Full => quota::Reserve::Full,
            file::Reserve::Expected => quota::Reserve::Expected,
        },
        alerts: given.alerts.clone().unwrap_or(usual),
        forecast_alerts: given.forecast_alerts.clone(),
        refuse_at: refusal.map(|action| action.at),
        downgrades: given.actions.iter().filter_map(step).collect(),
    }
}
