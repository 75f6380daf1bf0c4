//! Where everything is put together: what `tollgate serve` runs.
//!
//! Order matters. The journal is locked and recovered and the ledger caught up before a limit is
//! asked, limits are restored before a listener is bound, and on the way down nothing is closed that
//! a request in flight still needs.

mod admin;
mod background;
mod books;
mod journal_watch;
mod ledger;
mod machine_watch;
mod memory_watch;
mod service_manager;
mod signals;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use arc_swap::ArcSwap;
use tollgate_control::{
    alerts::{Alerts, Foresight},
    chronicle::Chronicle,
    config::{self, Document, Errors, Settings, Sources, file::Rotate},
    drills::Drills,
    feed::Feed,
    history::{History, Source},
    keys::Keys,
    operate::Operators,
    otlp,
    raises::Raises,
    reload::{ChangeError, Outcome, Reloader, Watch},
};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{DataPlane, Listen, ListenerTls, Live, Shared, Traced};
use tollgate_telemetry::{
    AccessLog, ConfigSeries, Destination, Drained, Exposition, LogFormat, Outbox, ReloadResult, Rotation,
};

use crate::say::say;

use admin::AdminListeners;
use background::Background;
use books::Books;
pub(crate) use signals::Signals;

/// Exit code for a configuration that cannot be used (sysexits `EX_CONFIG`).
const BAD_CONFIG: u8 = 78;
/// How often a drain looks whether it is done.
const LOOK: Duration = Duration::from_millis(20);
/// How long access lines may take to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Runs the gateway until it is told to stop.
pub(crate) fn serve(path: &Path) -> ExitCode {
    if let Err(error) = tollgate_telemetry::init_process_log(LogFormat::Auto, "info") {
        say!("{error}");
    }
    let document = match Document::load(path, &Sources::process()) {
        Ok(document) => document,
        Err(errors) => return refuse_config(&errors),
    };
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return fail(&error.into()),
    };
    match Gateway::start(document) {
        Ok(gateway) => {
            say!("ready data={} admin={}", gateway.data_url(), gateway.admin_url());
            service_manager::ready("takes requests");
            if let Some(link) = gateway.first_sign_in() {
                say!("sign in to the console, once and within 15 minutes: {link}");
            }
            gateway.run(&signals);
            ExitCode::SUCCESS
        }
        Err(error) => match error.downcast_ref::<ChangeError>() {
            Some(ChangeError::Refused(errors)) => refuse_config(errors),
            _ => fail(&error),
        },
    }
}

fn refuse_config(errors: &Errors) -> ExitCode {
    say!("{errors}");
    ExitCode::from(BAD_CONFIG)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    say!("tollgate: {error:#}");
    ExitCode::FAILURE
}

/// A running gateway.
pub(crate) struct Gateway {
    plane: DataPlane,
    admin: AdminListeners,
    background: Background,
    watch: Watch,
    reloader: Arc<Reloader>,
    books: Books,
    drills: Arc<Drills>,
    access: Option<AccessLog>,
    stopping: Arc<AtomicBool>,
    settings: Settings,
    notice: Duration,
    is_first_start: bool,
}

impl Gateway {
    /// Brings everything up. Blocks until requests are taken.
    pub(crate) fn start(document: Document) -> anyhow::Result<Self> {
        let exposition = tollgate_telemetry::install()?;
        tollgate_telemetry::build_info(
            env!("CARGO_PKG_VERSION"),
            option_env!("TOLLGATE_REVISION").unwrap_or("unknown"),
        );
        let settings = first_look(&document)?;
        let is_first_start = !history_of(&settings).exists();
        let live = Arc::new(Live::new(config::quotas(&document)));
        let mut books = Books::open(&settings, &live)?;
        let tls: ListenerTlsSlot = Arc::default();
        let reloader = start_reloader(document, &live, &books, &tls, &settings)?;
        let keys = Keys::new(books.store(), Arc::clone(&reloader), books.pepper());
        // Before limits are restored: those of run-time keys are among them.
        keys.follow().context("run-time keys")?;
        books.restore(&live.quotas, &reloader.running().scopes, &settings)?;
        let stewards = Stewards::take_up(&books, &live, &reloader, keys, &settings)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let access = open_access_log(&settings)?;
        let (spans, requests) = otlp::queue();
        let shared = share(&reloader, &live, &books, (&stopping, spans), &settings);
        let plane = start_plane(&shared, &settings, &tls, access.as_ref())?;
        let told = (&stopping, plane.address());
        let admin = AdminListeners::start(&settings, &reloader, &live, &books, &stewards, &exposition, told)?;
        let told = (exposition, requests);
        let background = Background::start(&mut books, told, &reloader, &live, &stewards)?;
        let watch = Watch::start(Arc::clone(&reloader)).context("cannot watch the configuration")?;
        for warning in &reloader.running().warnings {
            tracing::warn!("{warning}");
        }
        let (drills, notice) = (stewards.drills, settings.notice);
        Ok(Self {
            plane,
            admin,
            background,
            watch,
            reloader,
            books,
            drills,
            access,
            stopping,
            settings,
            notice,
            is_first_start,
        })
    }

    pub(crate) fn data_url(&self) -> String {
        url(self.plane.address(), self.settings.data.tls.is_some())
    }

    pub(crate) fn admin_url(&self) -> String {
        url(self.admin.address(), self.settings.admin.tls.is_some())
    }

    /// Of the first start on a data folder: the link that signs in to the console without a token at hand.
    pub(crate) fn first_sign_in(&self) -> Option<String> {
        if !self.is_first_start {
            return None;
        }
        Some(format!("{}{}", self.admin_url(), self.admin.sign_in_link()?))
    }

    /// Serves until a signal, then drains and closes the books.
    pub(crate) fn run(self, signals: &Signals) {
        let reopen = || self.access.iter().for_each(AccessLog::reopen);
        let reload = || {
            service_manager::reloading();
            self.watch.reload_soon(Source::Signal, "SIGHUP", || service_manager::ready("takes requests"));
            reopen();
        };
        signals.wait_for_stop(reload, reopen);
        self.stop(signals);
    }

    /// Not ready at once; still serving while load balancers look elsewhere, each answer the last of its
    /// connection; then nothing new, and what is in flight finishes. A second signal, or the end of the drain, cuts the rest.
    fn stop(self, signals: &Signals) {
        self.stopping.store(true, Ordering::Relaxed);
        tracing::info!("stopping: not ready any more");
        service_manager::stopping();
        self.drills.halt(Instant::now());
        self.plane.leave();
        signals.pause(self.notice);
        self.plane.drain();
        let deadline = Instant::now() + self.settings.drain;
        while !self.plane.is_drained() && !signals.stop_again() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        if !self.plane.is_drained() {
            tracing::warn!("requests are still in flight and are cut");
        }
        self.plane.cut();
        self.plane.join();
        drop(self.watch);
        self.background.stop();
        self.admin.stop();
        // The ledger has caught up: the reports can tell whether it has every row.
        let now = Instant::now();
        self.drills.halt(now);
        if let Err(error) = self.drills.tend(now, true) {
            tracing::error!(%error, "a drill's report was not kept");
        }
        self.books.close();
        if let Some(access) = self.access
            && access.shutdown(LAST_LINES) == Drained::No
        {
            tracing::error!("access lines were lost at the end");
        }
        drop(self.reloader);
        tracing::info!("stopped");
    }
}

/// Those who change live state, or tell of it, beside requests.
struct Stewards {
    operators: Arc<Operators>,
    drills: Arc<Drills>,
    raises: Arc<Raises>,
    keys: Arc<Keys>,
    chronicle: Arc<Chronicle>,
    feed: Arc<Feed>,
    alerts: Arc<Alerts>,
    foresight: Arc<Foresight>,
}

impl Stewards {
    /// Puts in force what operators and finance have said before this process began.
    fn take_up(
        books: &Books,
        live: &Arc<Live>,
        reloader: &Arc<Reloader>,
        keys: Keys,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let operators = Arc::new(Operators::new(books.store(), Arc::clone(live)));
        let restored = operators.restore(wall_clock()).context("operator states")?;
        for unreadable in restored.unreadable {
            tracing::error!(%unreadable, "an operator's state cannot be read and is not in force");
        }
        let folder = settings.data_dir.join("drills");
        let drills =
            Drills::open(folder, books.store(), Arc::clone(live), Arc::clone(reloader), wall_clock());
        let drills = Arc::new(drills.context("reports of drills")?);
        let raises = Arc::new(Raises::new(books.store(), Arc::clone(live)));
        raises.follow(wall_clock()).context("raised budgets")?;
        let (organization, instance) = (settings.organization.clone(), settings.instance.clone());
        let alerts = Alerts::open(books.store(), organization, instance).context("alerts")?;
        let (keys, alerts) = (Arc::new(keys), Arc::new(alerts));
        let (chronicle, foresight) = (Arc::default(), Arc::default());
        let feed = Arc::new(Feed::new(wall_clock()));
        // A view of the last minutes is worth no failed start.
        if let Err(error) = feed.recall(&*books.store(), &settings.instance) {
            tracing::warn!(%error, "the last hour is not remembered");
        }
        Ok(Self { operators, drills, raises, keys, chronicle, feed, alerts, foresight })
    }
}

/// Where the data listener's TLS is kept, so that a reload can replace its certificate.
type ListenerTlsSlot = Arc<std::sync::OnceLock<ListenerTls>>;

/// Settings that are needed before the first configuration can be compiled for good.
pub(crate) fn first_look(document: &Document) -> anyhow::Result<Settings> {
    let nothing = Live::new(config::quotas(document));
    let compiled = config::compile(document, 0, [0; 32], &[], &nothing).map_err(ChangeError::Refused)?;
    Ok(compiled.settings)
}

/// Where former configurations are kept. It exists from the first start on.
fn history_of(settings: &Settings) -> PathBuf {
    settings.data_dir.join("history")
}

fn start_reloader(
    document: Document,
    live: &Arc<Live>,
    books: &Books,
    tls: &ListenerTlsSlot,
    settings: &Settings,
) -> anyhow::Result<Arc<Reloader>> {
    let history = History::open(history_of(settings)).context("configuration history")?;
    let series = ConfigSeries::new();
    let slot = Arc::clone(tls);
    let tell = move |outcome: Outcome<'_>| match outcome {
        Outcome::Applied(running) => {
            tracing::info!(version = running.version.number, "configuration applied");
            series.reloaded(ReloadResult::Taken(running.version.number));
            tell_of_certificates(&running.settings);
            if let (Some(slot), Some(tls)) = (slot.get(), &running.settings.data.tls) {
                slot.store(Arc::clone(tls));
            }
        }
        Outcome::Refused(refusal) => {
            tracing::error!("configuration refused, the running one stays:\n{}", refusal.errors);
            series.reloaded(ReloadResult::Refused);
        }
    };
    let reloader = Reloader::start(document, Arc::clone(live), books.pepper(), history, tell)?;
    ConfigSeries::new().reloaded(ReloadResult::Taken(reloader.running().version.number));
    tell_of_certificates(settings);
    Ok(reloader)
}

fn tell_of_certificates(settings: &Settings) {
    for certificate in &settings.certificates {
        tollgate_telemetry::certificate_expires(&certificate.name, certificate.ends);
    }
}

fn share(
    reloader: &Reloader,
    live: &Arc<Live>,
    books: &Books,
    (stopping, spans): (&Arc<AtomicBool>, Outbox<Box<Traced>>),
    settings: &Settings,
) -> Arc<Shared> {
    let (stopping, journal) = (Arc::clone(stopping), books.journal());
    let ready = {
        let (journal, live) = (Arc::clone(&journal), Arc::clone(live));
        move || {
            !stopping.load(Ordering::Relaxed) && journal_watch::condition(&journal, &live).problem().is_none()
        }
    };
    Arc::new(Shared {
        snapshot: reloader.snapshot(),
        live: Arc::clone(live),
        responses: books.responses(),
        journal,
        durability: settings.durability,
        ready: Arc::new(ready),
        spans: Some(spans),
        trap: None,
    })
}

fn start_plane(
    shared: &Arc<Shared>,
    settings: &Settings,
    slot: &ListenerTlsSlot,
    access: Option<&AccessLog>,
) -> anyhow::Result<DataPlane> {
    let tls = settings.data.tls.clone().map(|tls| Arc::new(ArcSwap::new(tls)));
    if let Some(tls) = &tls {
        // Set once, here; a reload reads it.
        let _ = slot.set(Arc::clone(tls));
    }
    let cores = settings.workers.map_or_else(cores, |workers| workers as usize);
    let listen = Listen { address: settings.data.address, shared: settings.share_port, tls };
    Ok(DataPlane::start(shared, &listen, cores, || access.map(AccessLog::writer))?)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

fn open_access_log(settings: &Settings) -> anyhow::Result<Option<AccessLog>> {
    let destination = match settings.access_log.to.as_str() {
        "off" => return Ok(None),
        "stdout" => Destination::Stdout,
        "stderr" => Destination::Stderr,
        file => Destination::File(file.into(), settings.access_log.rotate.map(rotation)),
    };
    AccessLog::open(destination).map(Some).context("access log")
}

fn rotation(rotate: Rotate) -> Rotation {
    Rotation { size: rotate.size.map(|size| size.0), age: rotate.age.map(|age| age.0), keep: rotate.keep }
}

fn url(address: SocketAddr, tls: bool) -> String {
    format!("{}://{address}", if tls { "https" } else { "http" })
}

pub(crate) fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The metrics of the process, for whoever renders or folds them.
type Metrics = Exposition;
