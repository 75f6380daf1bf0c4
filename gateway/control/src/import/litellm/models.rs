//! `model_list`: deployments become upstreams, targets and models.

use std::collections::BTreeMap;

use super::{
    amounts::decimal,
    providers::{of_prefix, split},
    secrets::{Secrets, setting},
};
use crate::{
    config::tree::Node,
    import::{
        Outcome,
        source::{Group, Notes, text},
        write::{Fields, line, literal, quoted},
    },
};

mod place;
mod router;

use place::Place;

/// Prices that LiteLLM gives by the token, and the fields of ours by the million.
const PRICES: [(&str, &str); 4] = [
    ("input_cost_per_token", "input"),
    ("cache_read_input_token_cost", "cached_input"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("output_cost_per_token", "output"),
];
/// Parameters that are read elsewhere or have a reason of their own.
const PARAMETERS: &[(&str, &str)] = &[
    ("max_retries", "the gateway tries other targets by its own rules"),
    ("num_retries", "the gateway tries other targets by its own rules"),
    ("timeout", "set `timeouts` of the upstream"),
    ("stream_timeout", "set `timeouts` of the upstream"),
    ("max_parallel_requests", "set `max_concurrency` of the upstream"),
    ("organization", "the upstream's own key says whose it is; else add a header under `headers`"),
    ("drop_params", "what a target cannot take is refused, unless `may_drop` of the model names it"),
    ("temperature", "requests are passed on as they are: no parameter is added"),
    (
        "max_tokens",
        "requests are passed on as they are; `max_output_tokens` of the model bounds reservations",
    ),
    ("extra_body", "requests are passed on as they are: no parameter is added"),
    ("tags", "routing by tags has no counterpart: give the project its own model"),
];
/// Of what LiteLLM knows of models, what needs no counterpart.
const IGNORED_INFO: [&str; 8] = [
    "id",
    "mode",
    "base_model",
    "max_tokens",
    "max_input_tokens",
    "litellm_provider",
    "description",
    "db_model",
];

/// Everything that requests can be sent to.
#[derive(Default)]
pub(super) struct Models {
    regions: BTreeMap<String, String>,
    upstreams: Vec<Upstream>,
    models: Vec<Model>,
    prices: BTreeMap<(String, String), Vec<(&'static str, String)>>,
    /// Access groups with the models that they give.
    groups: BTreeMap<String, Vec<String>>,
}

struct Upstream {
    name: String,
    dialect: &'static str,
    region: String,
    base_url: String,
    /// As it is written.
    credential: Option<String>,
    api_version: Option<String>,
    provider: Option<&'static str>,
    allow_private: bool,
}

#[derive(Clone)]
struct Model {
    name: String,
    targets: Vec<Target>,
    balance: Option<&'static str>,
    max_output_tokens: Option<u64>,
}

#[derive(Clone)]
struct Target {
    upstream: String,
    model: String,
    priority: u64,
    weight: Option<u64>,
}

impl Models {
    pub(super) fn read(root: &Group<'_>, secrets: &mut Secrets, notes: &mut Notes) -> Self {
        let mut models = Self::default();
        let credentials = root.items("credential_list");
        for item in root.items("model_list") {
            models.deployment(&item, &credentials, secrets, notes);
        }
        for credential in &credentials {
            credential.text("credential_name");
            credential.group("credential_info");
        }
        models.route(root, notes);
        models
    }

    pub(super) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The names of all models.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|model| model.name.as_str())
    }

    /// The models that a name of a list of models gives: itself, or those of an access group.
    pub(super) fn of_name<'m>(&'m self, name: &'m str) -> Option<Vec<&'m str>> {
        if self.names().any(|known| known == name) {
            return Some(vec![name]);
        }
        self.groups.get(name).map(|models| models.iter().map(String::as_str).collect())
    }

    fn deployment(
        &mut self,
        item: &Group<'_>,
        credentials: &[Group<'_>],
        secrets: &mut Secrets,
        notes: &mut Notes,
    ) {
        let (name, params) = (item.text("model_name"), item.group("litellm_params"));
        let (Some(name), Some(params)) = (name, params) else {
            notes.add(
                item.node,
                &item.at,
                Outcome::NotMapped,
                "it has no `model_name` or no `litellm_params`",
            );
            return;
        };
        let Some(model) = params.text("model") else {
            notes.add(item.node, &item.at, Outcome::NotMapped, "it names no model");
            return;
        };
        if name.contains('*') || model.contains('*') {
            let why = "a wildcard: every model is named here, so that its price and its limits are known";
            notes.add(item.node, &item.at, Outcome::NotMapped, why);
            return;
        }
        let named = params.text("custom_llm_provider");
        let (prefix, model) = split(&model, named.as_deref());
        let Some(provider) = of_prefix(prefix) else {
            let why = format!(
                "the provider {prefix:?} is none that can be called by its name: if it speaks OpenAI's API, write an upstream of the dialect `openai` with its address"
            );
            notes.add(item.node, &item.at, Outcome::NotMapped, why);
            return;
        };
        let lent = params.text("litellm_credential_name").and_then(|name| {
            let of_name = |known: &&Group<'_>| known.text("credential_name").as_deref() == Some(&*name);
            credentials.iter().find(of_name)?.group("credential_values")
        });
        let field = |name: &str| -> Option<&Node> {
            params.field(name).or_else(|| lent.as_ref().and_then(|lent| lent.field(name)))
        };
        let Some(place) = Place::of(&provider, &field) else {
            notes.add(item.node, &item.at, Outcome::NotMapped, "it says neither its address nor its region");
            return;
        };
        let credential = credential(prefix, &provider, &params, &field, secrets, notes);
        let upstream = self.upstream(
            prefix,
            &provider,
            place,
            credential,
            field("api_version").and_then(setting),
            notes,
            item,
        );
        let weight = params.number("weight");
        let rates = ["rpm", "tpm"].map(|name| params.number(name).map(|rate| (name, rate)));
        let rate = rates.into_iter().flatten().next().filter(|_| weight.is_none());
        if let Some((name, _)) = rate {
            let why = "the rate is the target's weight; how much the provider takes, the gateway learns from its answers";
            notes.add(item.node, &params.path(name), Outcome::Changed, why);
        }
        let info = item.group("model_info");
        self.prices_of(&upstream, model, &params, info.as_ref(), notes);
        let target = Target {
            upstream,
            model: model.to_owned(),
            priority: params.number("order").unwrap_or(1),
            weight: weight.or(rate.map(|(_, rate)| rate)),
        };
        let max_output_tokens = info.as_ref().and_then(|info| info.number("max_output_tokens"));
        self.add(&name, target, max_output_tokens);
        if let Some(info) = info {
            for group in info.texts("access_groups") {
                let models = self.groups.entry(group).or_default();
                if !models.contains(&name) {
                    models.push(name.clone());
                }
            }
            info.ignore(&IGNORED_INFO);
            info.tell_rest(&[], notes);
        }
        params.tell_rest(PARAMETERS, notes);
        item.tell_rest(&[], notes);
    }

    #[expect(clippy::too_many_arguments, reason = "what a deployment says of its endpoint, read before")]
    fn upstream(
        &mut self,
        prefix: &str,
        provider: &super::providers::Provider,
        place: Place,
        credential: Option<String>,
        api_version: Option<String>,
        notes: &mut Notes,
        item: &Group<'_>,
    ) -> String {
        let same = self.upstreams.iter().find(|known| {
            (known.dialect, &known.base_url, &known.credential, &known.api_version)
                == (provider.dialect, &place.address, &credential, &api_version)
        });
        if let Some(same) = same {
            return same.name.clone();
        }
        let base = match &place.label {
            Some(label) => format!("{}-{label}", prefix.replace('_', "-")),
            None => prefix.replace('_', "-"),
        };
        let taken = |name: &str| self.upstreams.iter().any(|known| known.name == name);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let name =
            std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base.clone());
        if !place.is_known {
            let why = format!(
                "where `{name}` stands is not said, so it is taken for anywhere: give it its region, and `processing` where zones matter"
            );
            notes.add(item.node, &item.at, Outcome::ToDo, why);
        }
        self.regions.insert(place.region.clone(), place.zone);
        self.upstreams.push(Upstream {
            name: name.clone(),
            dialect: provider.dialect,
            region: place.region,
            base_url: place.address,
            credential,
            api_version,
            provider: provider.provider,
            allow_private: place.is_private,
        });
        name
    }

    fn add(&mut self, name: &str, target: Target, max_output_tokens: Option<u64>) {
        let model = match self.models.iter_mut().position(|known| known.name == name) {
            Some(at) => &mut self.models[at],
            None => {
                let model =
                    Model { name: name.to_owned(), targets: Vec::new(), balance: None, max_output_tokens };
                self.models.push(model);
                self.models.last_mut().expect("it was just added")
            }
        };
        model.max_output_tokens = model.max_output_tokens.or(max_output_tokens);
        let same = |known: &&mut Target| known.upstream == target.upstream && known.model == target.model;
        match model.targets.iter_mut().find(same) {
            // Two deployments that are the same endpoint are one target of both weights.
            Some(known) => known.weight = Some(known.weight.unwrap_or(1) + target.weight.unwrap_or(1)),
            None => model.targets.push(target),
        }
    }

    fn prices_of(
        &mut self,
        upstream: &str,
        model: &str,
        params: &Group<'_>,
        info: Option<&Group<'_>>,
        notes: &mut Notes,
    ) {
        let mut found = Vec::new();
        for (theirs, ours) in PRICES {
            let of_info = info.and_then(|info| info.field(theirs));
            let Some(node) = params.field(theirs).or(of_info) else { continue };
            match text(node).and_then(|text| decimal(&text, 6)) {
                Some(price) => found.push((ours, price)),
                None => {
                    notes.add(node, &params.path(theirs), Outcome::NotMapped, "this is no price by the token")
                }
            }
        }
        if !found.is_empty() {
            self.prices.entry((upstream.to_owned(), model.to_owned())).or_insert(found);
        }
    }

    /// The price file, where there are prices. They count from the beginning: since when they do, LiteLLM
    /// does not say.
    pub(super) fn prices(&self) -> Option<String> {
        if self.prices.is_empty() {
            return None;
        }
        let mut out = String::from(
            "# Made by `tollgate import litellm`; from when on they count was not said.\nprices:\n",
        );
        for ((upstream, model), prices) in &self.prices {
            let fields = Fields::default().text("model", model).text("upstream", upstream);
            let fields = fields.raw("from", "2020-01-01").raw("currency", "USD").raw("per", 1_000_000);
            let fields =
                prices.iter().fold(fields, |fields, (name, price)| fields.raw(name, format!("\"{price}\"")));
            line(&mut out, 1, format!("- {}", fields.line()));
        }
        Some(out)
    }

    pub(super) fn write(&self, out: &mut String) {
        line(out, 0, "regions:");
        for (name, zone) in &self.regions {
            line(out, 1, format!("- {}", Fields::default().text("name", name).text("zone", zone).line()));
        }
        line(out, 0, "upstreams:");
        for upstream in &self.upstreams {
            let fields = Fields::default()
                .text("name", &upstream.name)
                .raw("dialect", upstream.dialect)
                .text("region", &upstream.region)
                .raw("base_url", quoted(&upstream.base_url))
                .maybe("credential", upstream.credential.as_deref())
                .maybe("api_version", upstream.api_version.as_deref().map(quoted))
                .maybe("provider", upstream.provider)
                .maybe("allow_private", upstream.allow_private.then_some(true));
            line(out, 1, format!("- {}", fields.line()));
        }
        line(out, 0, "models:");
        for model in &self.models {
            line(out, 1, format!("- name: {}", literal(&model.name)));
            if let Some(balance) = model.balance {
                line(out, 2, format!("balance: {balance}"));
            }
            if let Some(most) = model.max_output_tokens {
                line(out, 2, format!("max_output_tokens: {most}"));
            }
            line(out, 2, "targets:");
            for target in &model.targets {
                let fields = Fields::default()
                    .text("upstream", &target.upstream)
                    .text("model", &target.model)
                    .raw("priority", target.priority)
                    .maybe("weight", target.weight.map(|weight| weight.clamp(1, 1_000_000)));
                line(out, 3, format!("- {}", fields.line()));
            }
        }
    }
}

/// What the upstream is shown, as it is written.
fn credential<'n>(
    prefix: &str,
    provider: &super::providers::Provider,
    params: &Group<'_>,
    field: &impl Fn(&str) -> Option<&'n Node>,
    secrets: &mut Secrets,
    notes: &mut Notes,
) -> Option<String> {
    let mut secret = |name: &str, wanted: String, notes: &mut Notes| {
        secrets.reference(field(name)?, &params.path(name), &wanted, notes)
    };
    let prefix = prefix.to_ascii_uppercase();
    if let Some(key) = secret("api_key", format!("{prefix}_API_KEY"), notes) {
        return Some(quoted(&key));
    }
    if provider.dialect == "bedrock" {
        let pair = (
            secret("aws_access_key_id", "AWS_ACCESS_KEY_ID".to_owned(), notes),
            secret("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY".to_owned(), notes),
        );
        let fields = Fields::default().raw("type", "aws");
        return Some(match pair {
            (Some(id), Some(key)) => {
                let token = secret("aws_session_token", "AWS_SESSION_TOKEN".to_owned(), notes);
                fields
                    .raw("access_key_id", quoted(&id))
                    .raw("secret_access_key", quoted(&key))
                    .maybe("session_token", token.as_deref().map(quoted))
                    .line()
            }
            _ => {
                let why = "no key is given: it is read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; other sources are `profile`, `container`, `instance` and `web_identity`";
                notes.add(params.node, &params.at, Outcome::Changed, why);
                fields.raw("source", "environment").line()
            }
        });
    }
    // A server of one's own asks for none, unless it is said.
    if provider.address.is_none() && provider.dialect == "openai" {
        return None;
    }
    let name = format!("{prefix}_API_KEY");
    notes.add(params.node, &params.at, Outcome::Changed, format!("no key is given: it is read from {name}"));
    Some(quoted(&format!("${{env:{name}}}")))
}
