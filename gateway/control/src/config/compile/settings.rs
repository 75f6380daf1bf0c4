//! What is not part of the snapshot: listeners, folders, admin tokens, threads, the ledger.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tollgate_accounting::ledger::JournalOptions;
use tollgate_domain::Name;
use tollgate_proxy::{Durability, Objective};

use crate::{
    alerts::Webhook,
    config::{
        document::Document,
        file::{self, AccessLog, AdminToken, ConfigFile, Listener, SecretText},
        problem::{Path, Problem},
    },
    otlp::Receiver,
};

use super::{
    alerts,
    ledger::{self, LedgerPlace},
    objectives, telemetry, tls,
};

/// Settings of the process around the data plane.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Part of every row.
    pub organization: Name,
    /// Part of every row and of the journal's folder.
    pub instance: Name,
    /// Where clients call.
    pub data: ListenerSettings,
    /// Others may listen on the data port too.
    pub share_port: bool,
    /// Admin API, console and metrics.
    pub admin: ListenerSettings,
    /// Only metrics and health.
    pub status: Option<ListenerSettings>,
    /// Folder of the journal, the embedded ledger and the history.
    pub data_dir: PathBuf,
    /// Folder for the journal when the one in `data_dir` takes no records.
    pub second_journal: Option<PathBuf>,
    /// How the journal works.
    pub journal: JournalOptions,
    /// Who may use the admin API.
    pub admin_tokens: Vec<AdminToken>,
    /// Where the ledger's rows are kept.
    pub ledger: LedgerPlace,
    /// What a recorded request survives.
    pub durability: Durability,
    /// How long requests in flight may go on after SIGTERM.
    pub drain: Duration,
    /// How long it still serves after SIGTERM, for load balancers to notice.
    pub notice: Duration,
    /// Where the line of each request goes.
    pub access_log: AccessLog,
    /// Threads that serve requests; `None` is one for each core.
    pub workers: Option<u32>,
    /// IANA name of the time zone of budget periods.
    pub timezone: String,
    /// What routes and projects are promised.
    pub objectives: Vec<Objective>,
    /// Memory that the process may have, in bytes; `None` is as much as the system gives it.
    pub memory: Option<u64>,
    /// The certificates that are shown, to clients and to upstreams.
    pub certificates: Vec<CertificateEnd>,
    /// Who is told of alerts.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Who is told of requests and figures.
    pub otlp: Option<Arc<Receiver>>,
}

/// A certificate of the gateway's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateEnd {
    /// Where the configuration has it: `listen.data`, or `upstreams.` and the upstream's name.
    pub name: String,
    /// When it ends, in seconds since 1970.
    pub ends: u64,
}

/// One address to listen on.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// IP address and port.
    pub address: SocketAddr,
    /// TLS to serve, offering HTTP/2 and HTTP/1.1; `None` is clear text.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

pub(super) fn compile(document: &Document, problems: &mut Vec<Problem>) -> Settings {
    let file = &document.file;
    let listen = Path::default().field("listen");
    let place = ledger::compile(document, problems);
    let mut listener = |name: &str, listener: &Listener| {
        let path = listen.field(name).field("tls");
        let tls = listener.tls.as_ref().and_then(|files| match tls::server(files, document.sources()) {
            Ok(config) => Some(config),
            Err(message) => {
                problems.push(document.problem(path, message));
                None
            }
        });
        ListenerSettings { address: listener.address, tls }
    };
    Settings {
        organization: file.organization.as_str().into(),
        instance: instance(file),
        data: listener("data", &file.listen.data),
        share_port: file.listen.share_port,
        admin: listener("admin", &file.listen.admin),
        status: file.listen.status.as_ref().map(|status| listener("status", status)),
        data_dir: document.sources().resolve(&file.data_dir),
        journal: journal(document),
        second_journal: file.ledger.journal.second_dir.as_deref().map(|dir| document.sources().resolve(dir)),
        admin_tokens: file.admin.tokens.clone(),
        ledger: place,
        durability: match file.ledger.durability {
            file::Durability::Process => Durability::Process,
            file::Durability::Power => Durability::Power,
        },
        drain: file.shutdown.drain.0,
        notice: file.shutdown.delay.0,
        access_log: file.access_log.clone(),
        workers: file.workers,
        memory: file.admission.memory.map(|size| size.0),
        timezone: file.calendar.timezone.clone(),
        objectives: objectives::compile(file),
        certificates: certificates(document),
        webhooks: alerts::compile(document, problems),
        otlp: telemetry::receiver(document, &instance(file), problems),
    }
}

/// The certificates that can be read, with their ends.
fn certificates(document: &Document) -> Vec<CertificateEnd> {
    let file = &document.file;
    let listeners = [
        ("data", Some(&file.listen.data)),
        ("admin", Some(&file.listen.admin)),
        ("status", file.listen.status.as_ref()),
    ];
    let served = listeners
        .into_iter()
        .filter_map(|(name, listener)| Some((format!("listen.{name}"), &listener?.tls.as_ref()?.cert)));
    let shown = file.upstreams.iter().filter_map(|upstream| {
        Some((format!("upstreams.{}", upstream.name), upstream.tls.as_ref()?.cert.as_ref()?))
    });
    let ends = |(name, path): (String, &PathBuf)| {
        Some(CertificateEnd { name, ends: tls::ends(path, document.sources())? })
    };
    served.chain(shown).filter_map(ends).collect()
}

fn journal(document: &Document) -> JournalOptions {
    let usual = JournalOptions::default();
    let given = &document.file.ledger.journal;
    let slow_sync = given.slow_sync.map_or(usual.slow_sync, |span| span.0);
    JournalOptions {
        segment_bytes: given.segment.map_or(usual.segment_bytes, |size| size.0),
        slow_sync,
        stalled_sync: slow_sync * 5,
        ..usual
    }
}

/// The configured name, else the host's.
fn instance(file: &ConfigFile) -> Name {
    if let Some(instance) = &file.instance {
        return instance.as_str().into();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "gateway".into(),
        host => host.into(),
    }
}

/// The fields that a running gateway cannot change, as far as they differ.
#[must_use]
pub fn restart_only(running: &ConfigFile, next: &Document) -> Vec<Problem> {
    let file = &next.file;
    let root = Path::default();
    let (listen, ledger) = (root.field("listen"), root.field("ledger"));
    let address = |listener: &Option<Listener>| listener.as_ref().map(|listener| listener.address);
    let clear = |listener: &Listener| listener.tls.is_none();
    let differ = [
        (root.field("instance"), running.instance != file.instance),
        (root.field("currency"), running.currency != file.currency),
        (root.field("calendar").field("timezone"), running.calendar.timezone != file.calendar.timezone),
        (root.field("data_dir"), running.data_dir != file.data_dir),
        (root.field("workers"), running.workers != file.workers),
        (root.field("access_log"), running.access_log != file.access_log),
        (ledger.field("durability"), running.ledger.durability != file.ledger.durability),
        (ledger.field("journal"), running.ledger.journal != file.ledger.journal),
        (ledger.field("store"), running.ledger.store != file.ledger.store),
        (ledger.field("url"), !same_secret(running.ledger.url.as_ref(), file.ledger.url.as_ref())),
        (ledger.field("retention"), running.ledger.retention != file.ledger.retention),
        (listen.field("data").field("address"), running.listen.data.address != file.listen.data.address),
        (listen.field("share_port"), running.listen.share_port != file.listen.share_port),
        (listen.field("admin").field("address"), running.listen.admin.address != file.listen.admin.address),
        (
            listen.field("status").field("address"),
            address(&running.listen.status) != address(&file.listen.status),
        ),
        (listen.field("data").field("tls"), clear(&running.listen.data) != clear(&file.listen.data)),
        (listen.field("admin").field("tls"), clear(&running.listen.admin) != clear(&file.listen.admin)),
    ];
    let changed = differ.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(path, _)| next.problem(path, "a change of this field needs a restart")).collect()
}

fn same_secret(one: Option<&SecretText>, other: Option<&SecretText>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.0.matches(other.0.expose().as_bytes()),
        (one, other) => one.is_none() && other.is_none(),
    }
}
