//! What runs beside requests: the ledger catches up, metrics are folded, overrides run out, people are
//! told of budgets.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context;
use tollgate_accounting::ledger::{Journal, LedgerStore, Loader, Postings};
use tollgate_control::{
    alerts::{self, Watched},
    capacity::CapacityClerk,
    chronicle::Chronicle,
    credentials::{self, Keeper},
    drills::Drills,
    feed::Feed,
    keys::Keys,
    operate::Operators,
    otlp::{Exporter, InForce},
    probes::{self, Prober},
    reload::Reloader,
};
use tollgate_proxy::{BreakerState, Live, OperatorState, Traced};
use tollgate_telemetry::{BreakerSeries, Inbox, LoaderSeries, RegionSeries, RegionState, ReservationSeries};

use super::{
    Metrics, Stewards, books::Books, journal_watch::ConditionGauge, machine_watch::MachineGauge,
    memory_watch, service_manager::Watchdog, wall_clock,
};

/// A row shows in the ledger at most this long after its request, and the time to load it.
const LOAD_EVERY: Duration = Duration::from_millis(200);
/// Breaker states and open reservations are read this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A key that another process has withdrawn is refused here after so long, and the time to read it.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Hours of reserved capacity are looked for this often.
const CHARGE_EVERY: Duration = Duration::from_secs(60);

const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Loaded segments are kept for a week: so far back a lost ledger can be rebuilt.
const KEPT_MILLIS: i64 = 7 * 24 * 3_600 * 1_000;

/// Threads that end when told to.
pub(super) struct Background {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Background {
    pub(super) fn start(
        books: &mut Books,
        (metrics, requests): (Metrics, Inbox<Box<Traced>>),
        reloader: &Arc<Reloader>,
        live: &Arc<Live>,
        stewards: &Stewards,
    ) -> anyhow::Result<Self> {
        let mut background = Self { threads: Vec::new() };
        if let Some(mut loader) = books.take_loader() {
            let feed = Arc::clone(&stewards.feed);
            loader.tell(move |batch| feed.rows(batch.rows.iter().map(|row| &row.entry)));
            background.spawn("ledger-loader", move |stop| load(loader, &stop))?;
        }
        if let Some(retention) = books.take_retention() {
            background.spawn("ledger-retention", move |stop| retention.run(&stop))?;
        }
        let (journal, store) = (books.journal(), books.store());
        let gauge = ConditionGauge::new(books.journal());
        background.spawn("journal-retention", move |stop| prune(&journal, &*store, &stop))?;
        let clerk = CapacityClerk::new(books.store(), books.postings());
        let running = Arc::clone(reloader);
        background.spawn("capacity", move |stop| charge(&clerk, &running, &stop))?;
        let watched = Watched {
            alerts: Arc::clone(&stewards.alerts),
            foresight: Arc::clone(&stewards.foresight),
            raises: Arc::clone(&stewards.raises),
            store: books.store(),
            reloader: Arc::clone(reloader),
            live: Arc::clone(live),
            clock: wall_clock,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("runtime of the alerts")?;
        background.spawn("alerts", move |stop| tell(&watched, runtime, &stop))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("runtime of the credentials")?;
        let running = Arc::clone(reloader);
        background.spawn("credentials", move |stop| keep_credentials(running, runtime, &stop))?;
        let (running, gated) = (Arc::clone(reloader), Arc::clone(live));
        background.spawn("memory", move |stop| memory_watch::run(&gated, &running, &stop))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("runtime of the probes")?;
        let (running, postings) = (Arc::clone(reloader), books.postings());
        background.spawn("probes", move |stop| look_at_upstreams(&running, &postings, runtime, &stop))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("runtime of the exporter")?;
        let (exposition, running) = (metrics.clone(), Arc::clone(reloader));
        background.spawn("otlp", move |stop| export(exposition, requests, running, runtime, &stop))?;
        let machine = MachineGauge::new(reloader.running().settings.data_dir.clone());
        let (reloader, live) = (Arc::clone(reloader), Arc::clone(live));
        let operators = Arc::clone(&stewards.operators);
        let keys = Arc::clone(&stewards.keys);
        background.spawn("keys", move |stop| follow_keys(&keys, &stop))?;
        let drills = Arc::clone(&stewards.drills);
        background.spawn("drills", move |stop| end_drills(&drills, &stop))?;
        // Built when they are first needed they would hold up a core, and every stream on it.
        background.spawn("tokenizer", |_| tollgate_dialect::warm())?;
        let (chronicle, feed) = (Arc::clone(&stewards.chronicle), Arc::clone(&stewards.feed));
        background.spawn("housekeeping", move |stop| {
            let seen = (&*operators, &*chronicle, &*feed);
            look_after(&stop, &metrics, (&gauge, &machine), &reloader, &live, seen)
        })?;
        Ok(background)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce(Receiver<()>) + Send + 'static) -> anyhow::Result<()> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || body(stopped));
        self.threads.push((stop, thread.with_context(|| format!("cannot start the thread {name}"))?));
        Ok(())
    }

    /// Ends the threads; the ledger is caught up a last time.
    pub(super) fn stop(self) {
        for (stop, thread) in self.threads {
            drop(stop);
            // A thread that panicked has told its story on stderr.
            let _ = thread.join();
        }
    }
}

/// Waits for the next turn; false when it is time to end.
pub(super) fn goes_on(stop: &Receiver<()>, pause: Duration) -> bool {
    matches!(stop.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
}

fn load(mut loader: Loader, stop: &Receiver<()>) {
    let series = LoaderSeries::new();
    let mut caught_up = Instant::now();
    loop {
        let last = !goes_on(stop, LOAD_EVERY);
        match loader.run_once() {
            Ok(progress) => {
                if !progress.paused {
                    caught_up = Instant::now();
                }
                series.dead(progress.dead + progress.lost);
                if progress.dead > 0 || progress.lost > 0 {
                    tracing::error!(
                        dead = progress.dead,
                        lost = progress.lost,
                        "records did not become rows"
                    );
                }
            }
            Err(error) => tracing::error!(%error, "the ledger does not take rows; the journal keeps them"),
        }
        series.lag(caught_up.elapsed());
        if last {
            return;
        }
    }
}

/// Tells people of budgets and prices.
fn tell(watched: &Watched, runtime: tokio::runtime::Runtime, stop: &Receiver<()>) {
    let goes_on = || matches!(stop.try_recv(), Err(TryRecvError::Empty));
    runtime.block_on(alerts::beat(watched, goes_on));
    // A name that is still being looked up is nobody's concern any more.
    runtime.shutdown_background();
}

/// Renews upstreams' credentials before they end.
fn keep_credentials(reloader: Arc<Reloader>, runtime: tokio::runtime::Runtime, stop: &Receiver<()>) {
    let goes_on = || matches!(stop.try_recv(), Err(TryRecvError::Empty));
    let keeper = Keeper {
        sources: move || reloader.running().sources.clone(),
        clock: wall_clock,
        // Gateways that start together spread their questions.
        seed: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ()),
    };
    runtime.block_on(credentials::keep(keeper, goes_on));
    runtime.shutdown_background();
}

fn look_at_upstreams(
    reloader: &Reloader,
    postings: &Postings,
    runtime: tokio::runtime::Runtime,
    stop: &Receiver<()>,
) {
    let goes_on = || matches!(stop.try_recv(), Err(TryRecvError::Empty));
    let snapshot = reloader.snapshot();
    let running = reloader.running();
    let prober = Prober {
        snapshot: || snapshot.load_full(),
        record: |row| {
            // What was found is in force all the same; a journal that takes nothing says so itself.
            if let Err(error) = postings.post(&[row]) {
                tracing::debug!(%error, "a probe's row was not kept");
            }
        },
        organization: running.settings.organization.clone(),
        instance: running.settings.instance.clone(),
        clock: wall_clock,
        seed: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ()),
    };
    runtime.block_on(probes::watch(prober, goes_on));
    runtime.shutdown_background();
}

/// Tells observers outside of requests and figures.
fn export(
    exposition: Metrics,
    requests: Inbox<Box<Traced>>,
    reloader: Arc<Reloader>,
    runtime: tokio::runtime::Runtime,
    stop: &Receiver<()>,
) {
    let goes_on = || matches!(stop.try_recv(), Err(TryRecvError::Empty));
    let snapshot = reloader.snapshot();
    let in_force = move || {
        let settings = &reloader.running().settings;
        let (receiver, is_tls) = (settings.otlp.clone(), settings.data.tls.is_some());
        InForce { snapshot: snapshot.load_full(), receiver, is_tls }
    };
    runtime.block_on(Exporter { exposition, requests, in_force }.run(goes_on));
    runtime.shutdown_background();
}

/// Takes over what other processes on the same store have done to keys.
fn follow_keys(keys: &Keys, stop: &Receiver<()>) {
    let mut reads = true;
    while goes_on(stop, FOLLOW_EVERY) {
        match keys.follow() {
            Ok(()) => reads = true,
            // Once, until it can be read again.
            Err(error) if reads => {
                tracing::error!(%error, "keys cannot be followed: those that were known stay in force");
                reads = false;
            }
            Err(_) => {}
        }
    }
}

/// Writes the reports of drills that are over.
fn end_drills(drills: &Drills, stop: &Receiver<()>) {
    while goes_on(stop, LOOK_EVERY) {
        if let Err(error) = drills.tend(Instant::now(), false) {
            tracing::error!(%error, "a drill's report was not kept");
        }
    }
}

/// Removes journal segments that the ledger has and that are older than what is kept.
fn prune(journal: &Journal, store: &dyn LedgerStore, stop: &Receiver<()>) {
    while goes_on(stop, PRUNE_EVERY) {
        let before = wall_clock().plus(-KEPT_MILLIS);
        let pruned = store
            .cursors()
            .map_err(anyhow::Error::from)
            .and_then(|cursors| Ok(journal.prune(&cursors, before)?));
        match pruned {
            Ok(pruned) if pruned.segments > 0 => {
                tracing::info!(
                    segments = pruned.segments,
                    bytes = pruned.bytes,
                    "journal segments are past their time"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "old journal segments cannot be removed"),
        }
    }
}

/// Charges the hours of reserved capacity that are over.
fn charge(clerk: &CapacityClerk, reloader: &Reloader, stop: &Receiver<()>) {
    while goes_on(stop, CHARGE_EVERY) {
        match clerk.catch_up(&reloader.running(), &reloader.snapshot().load(), wall_clock()) {
            Ok(0) => {}
            Ok(hours) => tracing::info!(hours, "hours of reserved capacity are charged"),
            Err(error) => tracing::error!(%error, "reserved capacity is not charged yet"),
        }
    }
}

fn look_after(
    stop: &Receiver<()>,
    metrics: &Metrics,
    (gauge, machine): (&ConditionGauge, &MachineGauge),
    reloader: &Reloader,
    live: &Live,
    (operators, chronicle, feed): (&Operators, &Chronicle, &Feed),
) {
    let reservations = ReservationSeries::new();
    let mut watchdog = Watchdog::of_process();
    while goes_on(stop, LOOK_EVERY) {
        metrics.upkeep();
        gauge.show(live);
        machine.show();
        reservations.set(live.quotas.open_reservations());
        match operators.expire(wall_clock()) {
            Ok(expired) => {
                for subject in expired {
                    tracing::info!(subject = %subject.name(), "an operator's state has run out");
                }
            }
            Err(error) => tracing::error!(%error, "an operator's state cannot be ended"),
        }
        feed.changes(chronicle.look(&reloader.snapshot().load(), Instant::now(), wall_clock()));
        publish_states(reloader);
        // Last: whatever hangs above hangs requests too.
        if let Some(watchdog) = &mut watchdog {
            watchdog.beat();
        }
    }
}

fn publish_states(reloader: &Reloader) {
    let now = Instant::now();
    let snapshot = reloader.snapshot().load_full();
    for target in snapshot.targets() {
        let state = match target.live.view(now).breaker {
            BreakerState::Closed => tollgate_telemetry::BreakerState::Closed,
            BreakerState::HalfOpen => tollgate_telemetry::BreakerState::HalfOpen,
            BreakerState::Open => tollgate_telemetry::BreakerState::Open,
        };
        BreakerSeries::new(target.upstream.name.as_str(), target.model.as_str()).set(state);
        let region = match target.upstream.region_live.operator.state(OperatorState::Enabled) {
            OperatorState::Enabled | OperatorState::Forced => RegionState::Enabled,
            OperatorState::Draining => RegionState::Draining,
            OperatorState::Disabled => RegionState::Disabled,
        };
        RegionSeries::new(target.upstream.region.as_str()).set(region);
    }
}
