//! From a checked [`Document`] to what runs: the data plane's snapshot, and the settings of the rest.
//!
//! Everything that can fail, fails here, before anything that runs is touched; publishing the result
//! cannot fail. Live cells (balances, breakers, operators' states) are bound by name, so that they
//! outlive the snapshot.

mod alerts;
mod credentials;
mod endpoints;
mod keys;
mod ledger;
mod objectives;
mod quirks;
mod routes;
mod settings;
mod telemetry;
mod tls;
mod upstreams;

use std::sync::Arc;

use tollgate_accounting::{
    price::{Exchange, PriceBook, Rate},
    quota::{Calendar, Quotas, Scope},
};
use tollgate_domain::{Name, UnixMillis};
use tollgate_proxy::{EdgeLimits, Live, Snapshot, Waste};

pub(crate) use self::keys::Keys;
pub use self::{
    ledger::LedgerPlace,
    settings::{CertificateEnd, ListenerSettings, Settings, restart_only},
};
pub(super) use self::{routes::version_of, upstreams::dialect as dialect_of};
use super::{
    document::Document,
    file,
    problem::{Errors, Problem},
};
use crate::keys::Issued;

/// A configuration, ready to be published.
pub struct Compiled {
    /// What requests see.
    pub snapshot: Arc<Snapshot>,
    /// What the rest of the process needs to know.
    pub settings: Settings,
    /// The prices of all price files.
    pub prices: Arc<PriceBook>,
    /// Every scope with its rules: teams, their projects, their keys.
    pub scopes: Vec<Arc<Scope>>,
    /// Run-time keys that are not as meant, in words.
    pub strays: Vec<String>,
    /// Where credentials come from that have to be renewed.
    pub sources: Vec<Arc<crate::credentials::Source>>,
    /// What is perhaps not as meant, the document's warnings among them.
    pub warnings: Vec<Problem>,
}

/// Compiles a document under a version number. `pepper` keys the digests of secrets; `issued` are the
/// keys that were made at run time.
///
/// Limits come into force with the first request that the new snapshot admits, so a compiled
/// configuration that is never published changes no limit.
///
/// # Errors
/// Prices that contradict each other, certificates that cannot be read or do not fit their keys.
pub fn compile(
    document: &Document,
    version: u64,
    pepper: [u8; 32],
    issued: &[Arc<Issued>],
    live: &Live,
) -> Result<Compiled, Errors> {
    let mut problems = document.warnings.clone();
    let currency: Name = document.file.currency.as_str().into();
    let prices = price_book(document, &currency, &mut problems);
    let upstreams = upstreams::compile(document, live, &mut problems);
    let settings = settings::compile(document, &mut problems);
    if problems.iter().any(Problem::is_error) {
        return Err(Errors(problems));
    }
    let routes = routes::compile(&document.file, &upstreams, &prices, live);
    let keys = keys(document, &settings, pepper, issued, live);
    let edge = edge_limits(document);
    let regions = document.file.regions.iter().map(|region| live.fleet.region(&region.name.as_str().into()));
    let snapshot = Arc::new(Snapshot {
        version,
        currency,
        keys: keys.ring,
        routes,
        regions: regions.collect(),
        upstreams: upstreams.values().map(|endpoint| Arc::clone(&endpoint.upstream)).collect(),
        edge,
        waste: match document.file.waste {
            file::Waste::Platform => Waste::Platform,
            file::Waste::Project => Waste::Project,
        },
        tracing: telemetry::tracing(&document.file),
    });
    let prices = Arc::new(prices);
    let sources = upstreams.values().filter_map(|endpoint| endpoint.source.clone()).collect();
    Ok(Compiled {
        snapshot,
        settings,
        prices,
        scopes: keys.scopes,
        strays: keys.strays,
        sources,
        warnings: problems,
    })
}

/// All keys of a configuration and those that were made at run time.
pub(crate) fn keys(
    document: &Document,
    settings: &Settings,
    pepper: [u8; 32],
    issued: &[Arc<Issued>],
    live: &Live,
) -> Keys {
    keys::compile(&document.file, &settings.instance, pepper, issued, live)
}

/// Reads, checks and compiles a configuration, and keeps nothing of it. Gives the warnings.
///
/// # Errors
/// Everything that keeps it from being used.
pub fn check(path: &std::path::Path, sources: &super::Sources) -> Result<Vec<Problem>, Errors> {
    let document = Document::load(path, sources)?;
    let live = Live::new(quotas(&document));
    compile(&document, 0, [0; 32], &[], &live).map(|compiled| compiled.warnings)
}

/// Empty quotas in the document's calendar and currency.
#[must_use]
pub fn quotas(document: &Document) -> Quotas {
    let calendar = Calendar::of_zone(&document.file.calendar.timezone).expect("checked with the document");
    Quotas::new(calendar, document.file.currency.as_str().into())
}

fn price_book(document: &Document, currency: &Name, problems: &mut Vec<Problem>) -> PriceBook {
    let entries = document.prices.entries(currency);
    PriceBook::build_in(&exchange(document, currency), entries).unwrap_or_else(|error| {
        problems.push(document.prices.problem(&error));
        PriceBook::default()
    })
}

fn exchange(document: &Document, currency: &Name) -> Exchange {
    let mut exchange = Exchange::new(currency.clone());
    for given in &document.file.fx {
        let rate = Rate::from_decimal(given.rate).expect("checked with the document");
        let from = UnixMillis::new(given.from.millis);
        exchange.add(given.currency.as_str().into(), from, rate).expect("checked with the document");
    }
    exchange
}

fn edge_limits(document: &Document) -> EdgeLimits {
    let (edge, admission) = (&document.file.edge, &document.file.admission);
    let default = EdgeLimits::default();
    let bytes = |size: super::file::Size| usize::try_from(size.0).unwrap_or(usize::MAX);
    EdgeLimits {
        max_body: edge.max_body.map_or(default.max_body, bytes),
        body_idle: edge.body_idle.map_or(default.body_idle, |span| span.0),
        body_grace: edge.body_grace.map_or(default.body_grace, |span| span.0),
        max_in_flight: admission.max_in_flight.or(edge.max_in_flight).unwrap_or(default.max_in_flight),
        longest_wait: default.longest_wait,
        max_bytes_held: admission.max_body_bytes_held.map_or(default.max_bytes_held, |size| size.0),
    }
}
