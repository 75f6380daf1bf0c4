//! The admin API: usage and cost for finance, the fleet for operators, health for orchestrators.
//!
//! A thin layer: it reads the query, asks the ledger, the quotas or the
//! [operations](crate::operate), and writes JSON. Every change stands in the audit with its actor
//! and reason. Nothing here is on a request's path; what blocks runs on threads that may.

mod access;
mod alerts;
mod allocation;
mod audit;
mod budget_page;
mod budgets;
mod changes;
mod close;
mod config;
mod drills;
mod explain;
mod export;
mod fleet;
mod health;
mod keys;
mod objectives;
mod openapi;
mod overview;
mod params;
mod problem;
mod projects;
mod reconcile;
mod requests;
mod rerate;
mod routes;
mod session;
mod stream;
mod trial;
mod usage;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use tollgate_accounting::{
    Now,
    ledger::{LedgerStore, Postings},
};
use tollgate_domain::UnixMillis;
use tollgate_proxy::{Live, Snapshot};

pub use health::Check;
pub use stream::Streams;
pub use trial::Trials;

use self::problem::Problem;
use crate::{
    alerts::{Alerts, Foresight},
    chronicle::Chronicle,
    drills::Drills,
    feed::Feed,
    keys::Keys,
    operate::Operators,
    raises::Raises,
    reload::Reloader,
    sessions::Sessions,
};

/// What the admin API speaks for.
pub struct AdminState {
    /// The ledger.
    pub store: Arc<dyn LedgerStore>,
    /// The way into the ledger for rows that no request caused.
    pub postings: Arc<Postings>,
    /// Quotas and health.
    pub live: Arc<Live>,
    /// The running configuration, and the way to the next one.
    pub reloader: Arc<Reloader>,
    /// Operators' states.
    pub operators: Arc<Operators>,
    /// Faults that are injected on purpose.
    pub drills: Arc<Drills>,
    /// What people were told.
    pub alerts: Arc<Alerts>,
    /// Where budgets will stand.
    pub foresight: Arc<Foresight>,
    /// Budgets that are raised for a time.
    pub raises: Arc<Raises>,
    /// Keys that are made at run time.
    pub keys: Arc<Keys>,
    /// What targets were like a while ago.
    pub chronicle: Arc<Chronicle>,
    /// What has just happened.
    pub feed: Arc<Feed>,
    /// Room for live views.
    pub streams: Streams,
    /// Where the data port listens.
    pub data: SocketAddr,
    /// Room for keys that are tried out.
    pub trials: Trials,
    /// Who has signed in to the console.
    pub sessions: Sessions,
    /// Renders the metrics in the Prometheus text format.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// The conditions of readiness: configuration loaded, listeners bound, journal writable, not
    /// draining. Must be cheap.
    pub readiness: Box<dyn Fn() -> Vec<Check> + Send + Sync>,
}

impl AdminState {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.reloader.snapshot().load_full()
    }

    /// The zone of the calendar: of days and months, and of dates in queries.
    fn time_zone(&self) -> TimeZone {
        let running = self.reloader.running();
        TimeZone::get(&running.settings.timezone).expect("a running configuration has a known time zone")
    }

    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = UnixMillis::new(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Now { wall, mono: Instant::now() }
    }
}

/// Everything that the admin listener answers.
pub fn router(state: &Arc<AdminState>) -> Router {
    let rules = routes::admin_rules().into_iter().chain(routes::console_rules());
    routes::router(rules.collect(), state)
}

/// What the status listener answers: `/metrics`, `/livez`, `/readyz`.
pub fn status_router(state: &Arc<AdminState>) -> Router {
    routes::router(routes::status_rules(), state)
}

/// What the ledger has, as JSON.
fn answer(value: &impl serde::Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("names, numbers and texts are JSON");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Does what blocks on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    // The only failure is a panic, which has told its story on stderr already.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::internal("the work for this answer was cut short"))
}
