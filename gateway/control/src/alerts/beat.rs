//! The beat: looks, takes in what is news, and keeps letters going, until it is told to end.
//!
//! Runs on a thread of its own. Each webhook has at most one letter on its way, and no receiver holds
//! up another, nor the next look.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::tz::TimeZone;
use tollgate_accounting::{
    ledger::{LedgerStore, StoreError},
    quota::ScopeKind,
};
use tollgate_domain::UnixMillis;
use tollgate_proxy::Live;
use tollgate_telemetry::{BudgetSeries, BurnRateSeries};

use super::{
    Alerts,
    courier::{Letter, deliver},
    foresight::Foresight,
    watch,
};
use crate::{
    raises::Raises,
    reload::{Reloader, Running},
};

/// How often letters are looked for, and the word to end.
const TICK: Duration = Duration::from_millis(200);
/// Budgets are looked at with every fifth tick: once a second.
const BUDGETS_EVERY: u64 = 5;
/// The ledger is asked every ten seconds: what is news there is told within a minute.
const LEDGER_EVERY: u64 = 50;
/// What other processes have raised is in force after five seconds.
const RAISES_EVERY: u64 = 25;
/// So often budgets and objectives are shown in the metrics.
const METRICS_EVERY: u64 = 25;

/// What a beat looks at.
pub struct Watched {
    /// The alerts.
    pub alerts: Arc<Alerts>,
    /// Forecasts.
    pub foresight: Arc<Foresight>,
    /// Budgets that are raised for a time.
    pub raises: Arc<Raises>,
    /// The ledger.
    pub store: Arc<dyn LedgerStore>,
    /// The running configuration.
    pub reloader: Arc<Reloader>,
    /// Quotas.
    pub live: Arc<Live>,
    /// What the wall clock says.
    pub clock: fn() -> UnixMillis,
}

/// Beats until `goes_on` says no. Blocks its thread on the store at times.
///
/// # Cancel safety
/// A letter that was on its way is sent again by the next beat, under the same id.
pub async fn beat(watched: &Watched, goes_on: impl Fn() -> bool) {
    let mut on_their_way = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut count, mut trouble) = (0_u64, Trouble::default());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if !goes_on() {
                    return;
                }
                if count.is_multiple_of(RAISES_EVERY) {
                    trouble.tell("raised budgets", watched.raises.follow((watched.clock)()));
                }
                trouble.tell("the ledger", watched.look(count));
                count += 1;
                let letters = trouble.tell("deliveries", watched.letters()).unwrap_or_default();
                on_their_way.extend(letters.into_iter().map(|letter| watched.send(letter)));
            }
            Some((letter, tried)) = on_their_way.next() => {
                let noted = watched.alerts.fared(&letter, &tried, (watched.clock)());
                trouble.tell("a delivery", noted);
            }
        }
    }
}

impl Watched {
    /// One look. What the ledger cannot tell keeps nobody from looking at the quotas.
    fn look(&self, count: u64) -> Result<(), StoreError> {
        if !count.is_multiple_of(BUDGETS_EVERY) {
            return Ok(());
        }
        let (now, running) = ((self.clock)(), self.reloader.running());
        let zone = zone(&running);
        // What cannot be taken in now waits among the raised, and is not met again.
        for event in watch::found(&self.live.findings, &zone) {
            self.alerts.raise(event);
        }
        let mut asked = Ok(());
        let mut events = Vec::new();
        if count.is_multiple_of(LEDGER_EVERY) {
            let currency = &running.document.file.currency;
            self.alerts.follow()?;
            asked = self.foresight.refresh(&*self.store, currency, &zone, now);
            match watch::unpriced(&*self.store, &zone, now) {
                Ok(unpriced) => events = unpriced,
                Err(error) => asked = Err(error),
            }
        }
        if count.is_multiple_of(METRICS_EVERY) {
            self.publish(&running, &zone, now);
            self.publish_objectives(now);
        }
        events.extend(watch::budgets(&running.scopes, &self.live.quotas, &self.foresight, &zone, now));
        self.alerts.take(events, &running.settings.webhooks, now)?;
        asked
    }

    /// Shows the budgets of teams and projects in the metrics.
    fn publish(&self, running: &Running, zone: &TimeZone, now: UnixMillis) {
        let scopes: Vec<_> =
            running.scopes.iter().filter(|scope| scope.id().kind != ScopeKind::Key).cloned().collect();
        for status in self.live.quotas.statuses(&scopes, now) {
            let (team, project) = match status.scope.name.split_once('/') {
                Some((team, project)) => (team, Some(project)),
                None => (&*status.scope.name, None),
            };
            let series = BudgetSeries::new(team, project, &status.currency);
            series.set(status.amount, status.spent, status.reserved);
            if let Some(forecast) = self.foresight.of(&status, zone, now) {
                series.forecast(forecast.p50);
            }
        }
    }

    /// Shows in the metrics at which pace what may fail is used up. It is what keeps the windows of
    /// objectives up to date as well.
    fn publish_objectives(&self, now: UnixMillis) {
        for standing in self.live.objectives.standings(now) {
            let name = standing.objective.name();
            for (view, window, counts) in standing.measured {
                let pace = standing.objective.burn_permille(counts).unwrap_or_default();
                BurnRateSeries::new(&name, view.as_str(), window.as_str()).set(pace);
            }
        }
    }

    fn letters(&self) -> Result<Vec<Letter>, StoreError> {
        self.alerts.due(&self.reloader.running().settings.webhooks, (self.clock)())
    }

    fn send(&self, letter: Letter) -> impl Future<Output = (Letter, super::book::Tried)> + use<> {
        let now = (self.clock)();
        async move {
            let tried = deliver(&letter, now).await;
            (letter, tried)
        }
    }
}

fn zone(running: &Running) -> TimeZone {
    TimeZone::get(&running.settings.timezone).expect("a running configuration has a known time zone")
}

/// Tells of trouble once, and when it is over, however often it is met.
#[derive(Default)]
struct Trouble(Vec<&'static str>);

impl Trouble {
    fn tell<T, E: std::fmt::Display>(&mut self, with: &'static str, result: Result<T, E>) -> Option<T> {
        let known = self.0.iter().position(|known| *known == with);
        match result {
            Ok(value) => {
                if let Some(known) = known {
                    self.0.remove(known);
                    tracing::info!(with, "alerts go on");
                }
                Some(value)
            }
            Err(error) => {
                if known.is_none() {
                    self.0.push(with);
                    tracing::error!(with, %error, "alerts wait for the ledger store");
                }
                None
            }
        }
    }
}
