//! Journal, ledger and pepper: opened, recovered and caught up before anything is served.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use tollgate_accounting::{
    ledger::{Dimension, Entry, Journal, LedgerStore, Loader, Postings, SystemDisk, UsageGroup, UsageQuery},
    quota::{Calendar, Period, Quotas, Scope, ScopeId, ScopeKind},
    stored::StoredResponses,
};
use tollgate_control::config::Settings;
use tollgate_domain::UnixMillis;
use tollgate_proxy::Live;
use tollgate_stores::SqliteResponses;

use super::{
    journal_watch::JournalWatch,
    ledger::{Ledger, Retention},
    wall_clock,
};

/// What the process writes money into.
pub(super) struct Books {
    journal: Arc<Journal>,
    store: Arc<dyn LedgerStore>,
    postings: Arc<Postings>,
    /// Taken by the thread that keeps the ledger up to date.
    loader: Option<Loader>,
    /// Taken by the thread that looks after it.
    retention: Option<Retention>,
    responses: Arc<dyn StoredResponses>,
    pepper: [u8; 32],
}

impl Books {
    /// Locks the journal, closes what a crash left open, and loads all of it into the ledger.
    ///
    /// # Errors
    /// Another process has the folder, or a file cannot be read or written.
    pub(super) fn open(settings: &Settings, live: &Arc<Live>) -> anyhow::Result<Self> {
        fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("cannot create {}", settings.data_dir.display()))?;
        let pepper = pepper(&settings.data_dir.join("pepper")).context("pepper of the key digests")?;
        let journal = Arc::new(open_journal(settings)?);
        let responses = SqliteResponses::open(&settings.data_dir.join("stored.sqlite"))
            .context("the memory of kept responses")?;
        let Ledger { store, retention } = Ledger::open(&settings.ledger)?;
        let recovered = journal.recover_beside(&*store, &settings.instance, wall_clock())?;
        if recovered.rows > 0 || recovered.torn_tails > 0 {
            tracing::warn!(
                rows = recovered.rows,
                torn_tails = recovered.torn_tails,
                "recovered after a crash"
            );
        }
        for gap in &recovered.gaps {
            tracing::error!(?gap, "the journal is damaged");
        }
        for sign in &recovered.rolled_back {
            tracing::error!("{sign}");
        }
        tollgate_telemetry::recovered_requests(recovered.rows);
        // Before rows come: those of closed months are told from later ones by what stands there.
        let statements = settings.data_dir.join("statements");
        for fault in tollgate_finance::close::restore(&*store, &statements).context("statements")? {
            tracing::error!(%fault, "a statement is not what was sealed");
        }
        let mut loader = Loader::new(journal.folder(), Arc::clone(&store));
        loader.run_once().context("loading the journal into the ledger")?;
        let live = Arc::clone(live);
        let tell = move |row: &Entry| charge(&live.quotas, row, wall_clock());
        let postings = Arc::new(Postings::new(Arc::clone(&journal), Arc::clone(&store), tell));
        Ok(Self {
            journal,
            store,
            postings,
            loader: Some(loader),
            retention,
            responses: Arc::new(responses),
            pepper,
        })
    }

    pub(super) fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    pub(super) fn store(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(&self.store)
    }

    pub(super) fn responses(&self) -> Arc<dyn StoredResponses> {
        Arc::clone(&self.responses)
    }

    pub(super) fn pepper(&self) -> [u8; 32] {
        self.pepper
    }

    pub(super) fn take_loader(&mut self) -> Option<Loader> {
        self.loader.take()
    }

    pub(super) fn take_retention(&mut self) -> Option<Retention> {
        self.retention.take()
    }

    /// Tells the limits what was spent before this process began.
    ///
    /// # Errors
    /// The ledger cannot be asked; serving without it could overspend.
    pub(super) fn restore(
        &self,
        quotas: &Quotas,
        scopes: &[Arc<Scope>],
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let calendar = Calendar::of_zone(&settings.timezone).context("calendar")?;
        let zone = TimeZone::get(&settings.timezone).context("calendar")?;
        let now = wall_clock();
        for period in Period::ALL {
            let start = calendar.window_of(period, now).start;
            for kind in [ScopeKind::Team, ScopeKind::Project, ScopeKind::Key] {
                let by = dimensions(kind);
                let from = (period != Period::Total).then_some(start);
                let query = UsageQuery { from, by, time_zone: zone.clone(), ..UsageQuery::default() };
                for group in self.store.usage(&query).context("what was spent so far")? {
                    restore_group(quotas, scopes, kind, period, start, &group);
                }
            }
        }
        Ok(())
    }

    /// The way in for rows that no request caused. They count in live budgets, so nothing is
    /// posted before those are [restored](Self::restore).
    pub(super) fn postings(&self) -> Arc<Postings> {
        Arc::clone(&self.postings)
    }

    /// Makes everything durable.
    pub(super) fn close(self) {
        if let Err(error) = self.journal.sync() {
            tracing::error!(%error, "the journal could not be synced at the end");
        }
    }
}

/// Locks the journal's folders. The second one is another disk's, where there is one.
fn open_journal(settings: &Settings) -> anyhow::Result<Journal> {
    let mut folders = vec![settings.data_dir.join("journal").join(&*settings.instance)];
    folders.extend(settings.second_journal.as_ref().map(|second| second.join(&*settings.instance)));
    let observer = Arc::new(JournalWatch::new());
    Ok(Journal::open_on(Arc::new(SystemDisk), &folders, settings.journal, observer)?)
}

fn dimensions(kind: ScopeKind) -> Vec<Dimension> {
    let all = [Dimension::Team, Dimension::Project, Dimension::Key];
    let depth = match kind {
        ScopeKind::Team => 1,
        ScopeKind::Project => 2,
        ScopeKind::Key => 3,
    };
    all[..depth].to_vec()
}

fn restore_group(
    quotas: &Quotas,
    scopes: &[Arc<Scope>],
    kind: ScopeKind,
    period: Period,
    start: UnixMillis,
    group: &UsageGroup,
) {
    let parts: Vec<&str> = group.group.iter().map(|(_, value)| value.as_str()).collect();
    let id = ScopeId { kind, name: parts.join("/").into() };
    // Rows of scopes that are configured no more still stand in the ledger; they limit nobody.
    if !scopes.iter().any(|scope| *scope.id() == id) {
        return;
    }
    quotas.restore(&id, period, start, group.cost);
    if matches!(period, Period::Day | Period::Month) {
        quotas.restore_tokens(&id, period, start, group.input_tokens + group.output_tokens);
    }
}

/// Counts a row that no request caused at the scopes of its identity.
fn charge(quotas: &Quotas, row: &Entry, now: UnixMillis) {
    let identity = &row.identity;
    let (team, project, key) = (&identity.team, &identity.project, &identity.key);
    let scopes = [
        (ScopeKind::Team, team.to_string()),
        (ScopeKind::Project, format!("{team}/{project}")),
        (ScopeKind::Key, format!("{team}/{project}/{key}")),
    ];
    for (kind, name) in scopes {
        let id = ScopeId { kind, name: name.into() };
        quotas.charge(&id, row.started_at, row.cost.unwrap_or_default(), now);
    }
}

/// The secret that key digests are made with: made once, readable by this user alone.
fn pepper(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut pepper = [0; 32];
    match fs::File::open(path) {
        Ok(mut file) => {
            file.read_exact(&mut pepper).with_context(|| format!("{} is too short", path.display()))?;
            return Ok(pepper);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => bail!("{}: {error}", path.display()),
    }
    getrandom::fill(&mut pepper).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&pepper)?;
    file.sync_all()?;
    Ok(pepper)
}
