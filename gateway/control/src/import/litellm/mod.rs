//! LiteLLM's proxy: its configuration file, and the answers of its `/team/list` and `/key/list` for what
//! it keeps in its database.
//!
//! Its keys are kept there as SHA-256, as ours can be, so that applications keep the keys that they have.
//! Its money is written as numbers of any form; it is read by its digits, never as a float.

mod amounts;
mod models;
mod providers;
mod secrets;
mod settings;
mod tenants;

use std::{path::Path, sync::Arc};

use self::{models::Models, secrets::Secrets, tenants::Tenants};
use super::{
    Imported, Outcome,
    source::{Group, Notes},
    write::{Fields, line, literal, quoted},
};
use crate::config::{Problem, tree::Node};

/// A file to be read.
pub struct File<'t> {
    /// Its name, for places.
    pub name: &'t Path,
    /// What it says: YAML or JSON.
    pub text: &'t str,
}

impl File<'_> {
    fn parse(&self) -> Result<Node, Problem> {
        let name: Arc<str> = self.name.display().to_string().into();
        Node::parse(&name, self.text)
    }
}

/// What is moved in.
pub struct Sources<'t> {
    /// The proxy's configuration.
    pub config: File<'t>,
    /// What `/team/list` answers.
    pub teams: Option<File<'t>>,
    /// What `/key/list` answers, with whole objects.
    pub keys: Option<File<'t>>,
    /// How our configuration will name its price file.
    pub prices: Option<&'t Path>,
}

/// Turns a proxy's configuration into ours.
///
/// # Errors
/// A file is no YAML, or has nothing to move in.
pub fn import(sources: &Sources<'_>) -> Result<Imported, Problem> {
    let root = sources.config.parse()?;
    let group = Group::new(&root, "");
    let mut notes = Notes::default();
    let mut secrets = Secrets::default();
    let models = Models::read(&group, &mut secrets, &mut notes);
    if models.is_empty() {
        let place = Some(root.place.clone());
        return Err(Problem::at(place, "there is no `model_list` with a model that can be moved in"));
    }
    let mut tenants = Tenants::default();
    tenants.read_teams(&group.items("teams"), &models, &mut notes);
    let team_file = sources.teams.as_ref().map(File::parse).transpose()?;
    if let Some(node) = &team_file {
        tenants.read_teams(&listed(node, "teams"), &models, &mut notes);
    }
    tenants.read_keys(&group.items("keys"), &models, &mut notes);
    let key_file = sources.keys.as_ref().map(File::parse).transpose()?;
    if let Some(node) = &key_file {
        tenants.read_keys(&listed(node, "keys"), &models, &mut notes);
    }
    let admin = settings::read(&group, &mut secrets, &mut notes);
    if tenants.is_empty() {
        let why = "no team and no key is given, so nobody may call yet: add the answers of /team/list and /key/list, or write `teams`";
        notes.add(&root, "teams", Outcome::ToDo, why);
    }
    let prices = models.prices();
    if sources.prices.is_none() && prices.is_some() {
        let why = "its prices need a file of their own: name one with --prices-out";
        notes.add(&root, "model_list", Outcome::NotMapped, why);
    }
    let prices = prices.filter(|_| sources.prices.is_some());
    let mut config =
        String::from("# Made by `tollgate import litellm`. Look at the report, then at `tollgate check`.\n");
    line(&mut config, 0, "version: 1");
    if let (Some(path), true) = (sources.prices, prices.is_some()) {
        line(&mut config, 0, format!("prices: [{}]", literal(&path.display().to_string())));
    }
    if let Some(token) = admin {
        line(&mut config, 0, "admin:");
        line(&mut config, 1, "tokens:");
        let token = Fields::default()
            .text("name", "litellm-master")
            .raw("role", "admin")
            .raw("token", quoted(&token));
        line(&mut config, 2, format!("- {}", token.line()));
    }
    models.write(&mut config);
    tenants.write(&mut config);
    Ok(Imported { config, prices, notes: notes.0 })
}

/// The items of an answer: a list, or a list below a name.
fn listed<'n>(node: &'n Node, name: &str) -> Vec<Group<'n>> {
    let group = Group::new(node, "");
    match group.items(name) {
        items if !items.is_empty() => items,
        _ => match &node.value {
            crate::config::tree::Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Group::new(item, format!("{name}[{index}]")))
                .collect(),
            _ => Vec::new(),
        },
    }
}
