//! What types cannot say: references, duplicates, secrets, and names that are not available yet.
//!
//! Every rule runs over the whole configuration, so one run reports all that is wrong.

mod admission;
mod alerts;
mod allocation;
mod budgets;
mod capacity;
mod credentials;
mod exchange;
mod ledger;
mod models;
mod names;
mod objectives;
mod secrets;
mod teams;
mod telemetry;
mod upstreams;
mod versions;
mod zones;

use std::{collections::HashSet, time::Duration};

use super::{
    currency::is_currency,
    document::Document,
    file::{ConfigFile, Key, Listener, Project, Rotate, Team},
    prices::PriceFile,
    problem::{Path, Problem, Severity, nearest},
    tree::{Node, Value},
};

/// Shortest secret that is taken; shorter ones can be guessed.
const MIN_SECRET_BYTES: usize = 16;

/// Bounds of a log's rotation.
const LEAST_LOG: u64 = 1 << 20;
const YOUNGEST_LOG: Duration = Duration::from_secs(60);
const MOST_LOGS: u32 = 1_000;

/// Everything that is wrong or doubtful, in the order of the sections. `is_sound` says that nothing has been
/// found wrong before.
pub(super) fn check(file: &ConfigFile, prices: &PriceFile, tree: &Node, is_sound: bool) -> Vec<Problem> {
    let mut check = Check { file, prices, tree, problems: Vec::new(), doubts: Vec::new() };
    check.general();
    check.admission();
    check.ledger();
    check.listeners();
    check.regions_and_upstreams();
    check.models();
    check.places();
    check.versions();
    check.objectives();
    check.teams();
    check.pairs();
    check.alerts();
    check.telemetry();
    check.secrets();
    check.exchange();
    check.allocation();
    check.price_entries();
    let Check { mut problems, doubts, .. } = check;
    if is_sound && !problems.iter().any(Problem::is_error) {
        problems.extend(doubts);
    }
    problems
}

/// Everything that is wrong or doubtful about a key that is to be added to a project of a sound
/// configuration; paths begin at `key`.
pub(super) fn key(document: &Document, (team, project): (&Team, &Project), key: &Key) -> Vec<Problem> {
    let Document { file, prices, tree, .. } = document;
    let mut check = Check { file, prices, tree, problems: Vec::new(), doubts: Vec::new() };
    check.key(&Path::default().field("key"), team, project, key);
    check.problems
}

/// One run of all rules.
struct Check<'a> {
    file: &'a ConfigFile,
    prices: &'a PriceFile,
    tree: &'a Node,
    problems: Vec<Problem>,
    /// Warnings that a mistake elsewhere may be the reason of: they are told once there is none.
    doubts: Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, severity: Severity, path: Path, message: String, suggestion: Option<String>) {
        let place = Some(self.tree.place_of(&path).clone());
        // A value that came from outside may be a secret that stands where it should not.
        let message = match self.tree.find(&path).map(|node| &node.value) {
            Some(Value::Text(text)) if text.expanded && text.text.len() > 3 => {
                message.replace(&text.text, "…")
            }
            _ => message,
        };
        self.problems.push(Problem { severity, place, path, message, suggestion });
    }

    fn error(&mut self, path: Path, message: impl Into<String>) {
        self.report(Severity::Error, path, message.into(), None);
    }

    fn warn(&mut self, path: Path, message: impl Into<String>) {
        self.report(Severity::Warning, path, message.into(), None);
    }

    /// Warns of what may only follow from a mistake elsewhere, such as a model that has no price.
    fn doubt(&mut self, path: Path, message: impl Into<String>) {
        self.warn(path, message);
        self.doubts.extend(self.problems.pop());
    }

    /// A field or value whose part of the gateway is not built yet.
    fn later(&mut self, path: Path, what: &str) {
        self.error(path, format!("{what} is not available yet: take it out"));
    }

    /// A name that must be one of the given ones.
    fn reference<'n>(
        &mut self,
        path: Path,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) {
        if known.clone().any(|known| known == name) {
            return;
        }
        let suggestion = nearest(name, known.clone());
        let choice = if suggestion.is_none() { choice(known) } else { String::new() };
        self.report(Severity::Error, path, format!("there is no {what} `{name}`{choice}"), suggestion);
    }

    fn general(&mut self) {
        let root = Path::default();
        let file = self.file;
        if file.version != 1 {
            let message = format!("version {} is not known: this gateway reads version 1", file.version);
            self.error(root.field("version"), message);
        }
        for (field, value) in
            [("organization", Some(&file.organization)), ("instance", file.instance.as_ref())]
        {
            if let Some(value) = value {
                self.name(root.field(field), value);
            }
        }
        if !is_currency(&file.currency) {
            self.error(
                root.field("currency"),
                "expected an ISO 4217 code of three capital letters, such as USD",
            );
        }
        if jiff::tz::TimeZone::get(&file.calendar.timezone).is_err() {
            let message = format!(
                "there is no time zone `{}`: use a name of the IANA database, such as Europe/Berlin",
                file.calendar.timezone
            );
            self.error(root.field("calendar").field("timezone"), message);
        }
        if file.workers == Some(0) {
            self.error(root.field("workers"), "must be at least 1");
        }
        let edge = root.field("edge");
        if file.edge.max_body.is_some_and(|size| size.0 == 0) {
            self.error(edge.field("max_body"), "must be at least 1B");
        }
        if file.access_log.to.is_empty() {
            self.error(
                root.field("access_log").field("to"),
                "expected stdout, stderr, off or the name of a file",
            );
        }
        if let Some(rotate) = &file.access_log.rotate {
            self.rotation(&root.field("access_log"), rotate);
        }
        if file.fleet.is_some() {
            self.later(root.field("fleet"), "`fleet`");
        }
    }

    fn rotation(&mut self, access_log: &Path, rotate: &Rotate) {
        let here = access_log.field("rotate");
        if matches!(self.file.access_log.to.as_str(), "stdout" | "stderr" | "off") {
            self.error(here.clone(), "only a file can be put aside: `to` names none");
        }
        if rotate.size.is_none() && rotate.age.is_none() {
            self.error(here.clone(), "expected `size`, `age` or both");
        }
        if rotate.size.is_some_and(|size| size.0 < LEAST_LOG) {
            self.error(here.field("size"), "expected at least 1MiB");
        }
        if rotate.age.is_some_and(|age| age.0 < YOUNGEST_LOG) {
            self.error(here.field("age"), "expected at least 1m");
        }
        if rotate.keep > MOST_LOGS {
            self.error(here.field("keep"), "expected 0 to 1000");
        }
    }

    fn listeners(&mut self) {
        let listen = Path::default().field("listen");
        let file = self.file;
        let mut seen = HashSet::new();
        let all = [
            ("data", Some(&file.listen.data)),
            ("admin", Some(&file.listen.admin)),
            ("status", file.listen.status.as_ref()),
        ];
        for (name, listener) in all {
            let Some(Listener { address, .. }) = listener else { continue };
            // Port 0 asks for any free port and never collides.
            if address.port() != 0 && !seen.insert(*address) {
                self.error(
                    listen.field(name).field("address"),
                    "this address is taken by another listener: give each its own port",
                );
            }
        }
        let admin = &file.listen.admin;
        if !admin.address.ip().is_loopback() && admin.tls.is_none() {
            let message = "the admin API can be reached from other machines, and its tokens travel in clear text: give it `tls`, or listen on 127.0.0.1";
            self.warn(listen.field("admin").field("address"), message);
        }
    }

    fn price_entries(&mut self) {
        let mut ids = HashSet::new();
        for (item, spot) in self.prices.items.iter().zip(&self.prices.spots) {
            let mut push = |field: &str, message: String, suggestion| {
                self.problems.push(Problem { suggestion, ..spot.problem(field, message) });
            };
            if let Some(currency) = &item.currency
                && *currency != self.file.currency
                && is_currency(&self.file.currency)
                && !self.file.fx.iter().any(|rate| rate.currency == *currency && rate.from <= item.from)
            {
                let message = format!(
                    "a price in {currency} needs an `fx` entry that counts on its date: budgets and totals are in {}",
                    self.file.currency
                );
                push("currency", message, None);
            }
            if let Some(region) = &item.region
                && !self.file.regions.iter().any(|known| known.name == *region)
            {
                let suggestion = nearest(region, self.file.regions.iter().map(|known| known.name.as_str()));
                let known = self.file.regions.iter().map(|known| known.name.as_str());
                let choice = if suggestion.is_none() { choice(known) } else { String::new() };
                push("region", format!("there is no region `{region}`{choice}"), suggestion);
            }
            if let Some(upstream) = &item.upstream
                && !self.file.upstreams.iter().any(|known| known.name == *upstream)
            {
                let suggestion =
                    nearest(upstream, self.file.upstreams.iter().map(|known| known.name.as_str()));
                let known = self.file.upstreams.iter().map(|known| known.name.as_str());
                let choice = if suggestion.is_none() { choice(known) } else { String::new() };
                push("upstream", format!("there is no upstream `{upstream}`{choice}"), suggestion);
            }
            // Entries of one id are the same price at several dates.
            if let Some(id) = &item.id
                && !ids.insert((id, item.from))
            {
                push(
                    "id",
                    format!("the price `{id}` is given twice for the same date: change one's `id` or `from`"),
                    None,
                );
            }
        }
    }
}

/// What there is to choose from, where no name is near; of long lists, their beginning.
fn choice<'n>(known: impl Iterator<Item = &'n str> + Clone) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = known.clone().take(SHOWN).collect();
    match (shown.len(), known.count()) {
        (0, _) => ": none is configured".to_owned(),
        (few, all) if all > few => format!(": there are {} and {} more", shown.join(", "), all - few),
        _ => format!(": there are {}", shown.join(", ")),
    }
}
