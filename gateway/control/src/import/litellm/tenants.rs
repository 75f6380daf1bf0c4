//! Teams and keys, as `/team/list` and `/key/list` tell of them.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{
    amounts::{decimal, period},
    models::Models,
};
use crate::import::{
    Outcome,
    source::{Group, Notes, text},
    write::{Fields, line, list, literal},
};

/// LiteLLM has no projects below teams.
const PROJECT: &str = "default";
/// The team of keys that have none.
const NOBODYS: &str = "no-team";
/// Words in a list of models that mean all of them.
const ALL: [&str; 2] = ["all-proxy-models", "all-team-models"];

/// What of teams and keys has a reason of its own.
const FIELDS: &[(&str, &str)] = &[
    ("spend", "what was spent there is not carried over: budgets begin at zero"),
    ("soft_budget", "give the budget `mode: soft`, or `alerts`"),
    ("budget_reset_at", "periods begin with the calendar"),
    ("model_max_budget", "there is no budget by model"),
    ("model_spend", "what was spent there is not carried over"),
    ("rpm_limit_type", "limits hold whatever the load is"),
    ("tpm_limit_type", "limits hold whatever the load is"),
    ("guardrails", "there are none"),
    ("permissions", "there are none by key"),
    ("aliases", "name the model under `models`"),
    ("config", "requests are passed on as they are"),
    ("user_id", "keys belong to projects; who asks is told by `x-tollgate-user`"),
    ("organization_id", "teams are the highest level"),
    ("members_with_roles", "people have tokens of the admin API, with a role and a scope of teams"),
    ("allowed_routes", "a key may call every operation of its models"),
    ("allowed_cache_controls", "answers are not cached"),
    ("metadata", "set `tags` of the project where rows should carry it"),
    ("object_permission", "there are none by key"),
    ("router_settings", "routing belongs to the model"),
];
/// What needs no counterpart.
const IGNORED: [&str; 30] = [
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
    "last_active",
    "last_refreshed_at",
    "key_name",
    "team_id",
    "team_alias",
    "admins",
    "members",
    "members_count",
    "keys_count",
    "keys",
    "token_id",
    "models",
    "litellm_model_table",
    "litellm_budget_table",
    "litellm_organization_table",
    "budget_id",
    "model_id",
    "rotation_count",
    "last_rotation_at",
    "key_rotation_at",
    "project_id",
    "agent_id",
    "policies",
    "user",
    "user_email",
    "access_group_ids",
];

#[derive(Default)]
pub(super) struct Tenants {
    teams: Vec<Team>,
}

struct Team {
    /// LiteLLM's identity, by which keys name it.
    id: Option<String>,
    name: String,
    title: Option<String>,
    models: Vec<String>,
    limits: Fields,
    budget: Option<String>,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    sha256: String,
    expires: Option<String>,
    models: Option<Vec<String>>,
    limits: Fields,
    budget: Option<String>,
}

impl Tenants {
    pub(super) fn is_empty(&self) -> bool {
        self.teams.is_empty()
    }

    pub(super) fn read_teams(&mut self, items: &[Group<'_>], models: &Models, notes: &mut Notes) {
        for item in items {
            let (id, title) = (item.text("team_id"), item.text("team_alias"));
            let Some(called) = title.clone().or_else(|| id.clone()) else {
                notes.add(
                    item.node,
                    &item.at,
                    Outcome::NotMapped,
                    "it has neither `team_alias` nor `team_id`",
                );
                continue;
            };
            let name = self.free_name(&called, item, notes);
            let team = Team {
                id,
                title: (name != called).then_some(called),
                name,
                models: models_of(item, models, notes).unwrap_or_else(|| owned(models.names())),
                limits: limits(item),
                budget: budget(item, notes),
                keys: Vec::new(),
            };
            if item.is_true("blocked") {
                let why =
                    "the team is blocked there; here it is not: leave its keys out, or give it a budget of 0";
                notes.add(item.node, &item.at, Outcome::ToDo, why);
            }
            self.teams.push(team);
            finish(item, notes);
        }
    }

    pub(super) fn read_keys(&mut self, items: &[Group<'_>], models: &Models, notes: &mut Notes) {
        for item in items {
            // A bare list of hashes says nothing of what they open.
            if text(item.node).is_some() {
                let why = "only its hash is given: ask /key/list with return_full_object=true";
                notes.add(item.node, &item.at, Outcome::NotMapped, why);
                continue;
            }
            let Some(sha256) = hash(item, notes) else { continue };
            if item.is_true("blocked") {
                notes.add(item.node, &item.at, Outcome::NotMapped, "the key is blocked");
                continue;
            }
            if self.teams.iter().flat_map(|team| &team.keys).any(|known| known.sha256 == sha256) {
                notes.add(item.node, &item.at, Outcome::NotMapped, "the same key is given twice");
                continue;
            }
            let at = self.team_of(item, models, notes);
            let asked = models_of(item, models, notes);
            let Some(team) = self.teams.get_mut(at) else { continue };
            let models = asked.map(|mut asked| {
                asked.retain(|model| team.models.contains(model));
                asked
            });
            let called = item.text("key_alias").or_else(|| item.text("key_name"));
            let called = called.unwrap_or_else(|| format!("key-{}", sha256.get(..8).unwrap_or(&sha256)));
            let name = free(&clean(&called), |name| team.keys.iter().any(|known| known.name == name));
            let key = Key {
                name,
                sha256,
                expires: item.text("expires").and_then(|expires| instant(&expires, item, notes)),
                models: models.filter(|models| *models != team.models),
                limits: limits(item),
                budget: budget(item, notes),
            };
            team.keys.push(key);
            finish(item, notes);
        }
    }

    /// The place of a key's team, which is made when nobody has told of it.
    fn team_of(&mut self, item: &Group<'_>, models: &Models, notes: &mut Notes) -> usize {
        let id = item.text("team_id");
        let known = match &id {
            Some(id) => self.teams.iter().position(|team| team.id.as_ref() == Some(id)),
            None => self.teams.iter().position(|team| team.id.is_none() && team.name == NOBODYS),
        };
        if let Some(at) = known {
            return at;
        }
        let called = id.clone().unwrap_or_else(|| NOBODYS.to_owned());
        if id.is_some() {
            let why =
                format!("nothing is told of its team {called:?}: it may call every model and has no budget");
            notes.add(item.node, &item.path("team_id"), Outcome::ToDo, why);
        }
        let name = self.free_name(&called, item, notes);
        self.teams.push(Team {
            id,
            name,
            title: None,
            models: owned(models.names()),
            limits: Fields::default(),
            budget: None,
            keys: Vec::new(),
        });
        self.teams.len() - 1
    }

    fn free_name(&self, called: &str, item: &Group<'_>, notes: &mut Notes) -> String {
        let wanted = clean(called);
        let name = free(&wanted, |name| self.teams.iter().any(|team| team.name == name));
        if name != called {
            let why = format!("the team {called:?} is named {name:?} here");
            notes.add(item.node, &item.at, Outcome::Changed, why);
        }
        name
    }

    pub(super) fn write(&self, out: &mut String) {
        if self.teams.is_empty() {
            return;
        }
        line(out, 0, "teams:");
        for team in &self.teams {
            line(out, 1, format!("- name: {}", literal(&team.name)));
            if let Some(title) = &team.title {
                line(out, 2, format!("title: {}", literal(title)));
            }
            put(out, 2, &team.limits, team.budget.as_deref());
            line(out, 2, "projects:");
            line(out, 3, format!("- name: {PROJECT}"));
            line(out, 4, format!("models: {}", list(team.models.iter().map(String::as_str))));
            if team.keys.is_empty() {
                continue;
            }
            line(out, 4, "keys:");
            for key in &team.keys {
                line(out, 5, format!("- name: {}", literal(&key.name)));
                line(out, 6, format!("sha256: {}", literal(&key.sha256)));
                if let Some(expires) = &key.expires {
                    line(out, 6, format!("expires: {}", literal(expires)));
                }
                if let Some(models) = &key.models {
                    line(out, 6, format!("models: {}", list(models.iter().map(String::as_str))));
                }
                put(out, 6, &key.limits, key.budget.as_deref());
            }
        }
    }
}

fn put(out: &mut String, depth: usize, limits: &Fields, budget: Option<&str>) {
    if !limits.is_empty() {
        line(out, depth, format!("limits: {}", limits.line()));
    }
    if let Some(budget) = budget {
        line(out, depth, format!("budget: {budget}"));
    }
}

fn finish(item: &Group<'_>, notes: &mut Notes) {
    item.ignore(&IGNORED);
    item.tell_rest(FIELDS, notes);
}

/// SHA-256 of the key: LiteLLM keeps the same. A key that stands there itself is not copied.
fn hash(item: &Group<'_>, notes: &mut Notes) -> Option<String> {
    let token = item.text("token").or_else(|| item.text("key"));
    let Some(token) = token else {
        notes.add(item.node, &item.at, Outcome::NotMapped, "it has no `token`");
        return None;
    };
    let is_hash = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        return Some(token.to_ascii_lowercase());
    }
    if token.len() >= 16 {
        return Some(hex::encode(Sha256::digest(&token)));
    }
    notes.add(
        item.node,
        &item.at,
        Outcome::NotMapped,
        "its `token` is neither a hash nor a key of 16 bytes or more",
    );
    None
}

/// The models of a list; `None` for all.
fn models_of(item: &Group<'_>, models: &Models, notes: &mut Notes) -> Option<Vec<String>> {
    let names = item.texts("models");
    if names.is_empty() || names.iter().any(|name| ALL.contains(&name.as_str()) || name == "*") {
        return None;
    }
    let mut found = BTreeSet::new();
    for name in names.iter().filter(|name| *name != "no-default-models") {
        match models.of_name(name) {
            Some(given) => found.extend(given.into_iter().map(str::to_owned)),
            None => {
                let why = format!("there is no model and no access group {name:?}");
                notes.add(item.node, &item.path("models"), Outcome::NotMapped, why);
            }
        }
    }
    Some(found.into_iter().collect())
}

fn limits(item: &Group<'_>) -> Fields {
    // Zero means none there, and nothing here.
    let some = |name: &str| item.number(name).filter(|number| *number > 0);
    Fields::default()
        .maybe("requests_per_minute", some("rpm_limit").map(|limit| limit.min(u32::MAX.into())))
        .maybe("tokens_per_minute", some("tpm_limit"))
        .maybe("concurrent_requests", some("max_parallel_requests").map(|limit| limit.min(u32::MAX.into())))
}

fn budget(item: &Group<'_>, notes: &mut Notes) -> Option<String> {
    let (node, duration) = (item.field("max_budget"), item.text("budget_duration"));
    let node = node?;
    let Some(amount) = text(node).and_then(|text| decimal(&text, 0)) else {
        notes.add(node, &item.path("max_budget"), Outcome::NotMapped, "this is no amount of money");
        return None;
    };
    let (period, is_same) = match period(duration.as_deref()) {
        Some(found) => found,
        None => {
            let why =
                format!("a budget of {:?} has no calendar period like it", duration.unwrap_or_default());
            notes.add(node, &item.path("budget_duration"), Outcome::NotMapped, why);
            return None;
        }
    };
    if !is_same {
        let why =
            format!("periods begin with the calendar: {:?} is the {period}", duration.unwrap_or_default());
        notes.add(node, &item.path("budget_duration"), Outcome::Changed, why);
    }
    let fields =
        Fields::default().raw("amount", format!("\"{amount}\"")).raw("period", period).raw("mode", "hard");
    Some(fields.line())
}

/// Their times may lack the offset; then they are UTC.
fn instant(written: &str, item: &Group<'_>, notes: &mut Notes) -> Option<String> {
    let written = written.trim().replace(' ', "T");
    let candidates = [written.clone(), format!("{written}Z")];
    let found = candidates.into_iter().find(|text| text.parse::<crate::config::file::Instant>().is_ok());
    if found.is_none() {
        notes.add(
            item.node,
            &item.path("expires"),
            Outcome::ToDo,
            "this is no time, so the key does not expire here",
        );
    }
    found
}

/// A text as a name of ours.
fn clean(called: &str) -> String {
    let name: String =
        called.chars().map(|c| if c.is_control() || "/\\@".contains(c) { '-' } else { c }).collect();
    let name = name.trim().trim_start_matches('.').trim();
    let cut = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 100).last();
    match cut.and_then(|cut| name.get(..cut)).map(str::trim) {
        None | Some("") => "unnamed".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn free(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    let name = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name));
    name.unwrap_or_else(|| wanted.to_owned())
}

fn owned<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}
