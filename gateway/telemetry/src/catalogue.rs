//! Every metric that the gateway has: name, labels, kind, meaning, buckets.
//!
//! A metric that is not in [`ALL`] does not exist; a name is written nowhere else, but for the rules and
//! dashboards that operators get, and a test holds those against this list.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata};

/// One metric of the catalogue.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    /// The labels that each of its series has, in the order of the exposition.
    pub(crate) labels: &'static [&'static str],
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

/// How a metric counts.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Grows by whole numbers.
    Counter,
    /// Grows by fractions. The `metrics` facade has whole counters only, so that these are kept as
    /// gauges which only grow, and are exposed as the counters they are.
    FractionalCounter,
    Gauge,
    /// Seconds, with the upper bounds of its buckets.
    Histogram(&'static [f64]),
    /// Whole numbers of something, with the upper bounds of its buckets.
    Counts(&'static [f64]),
}

impl Metric {
    pub(crate) fn counter(&self, labels: Vec<Label>) -> Counter {
        metrics::with_recorder(|recorder| recorder.register_counter(&self.key(labels), &METADATA))
    }

    pub(crate) fn gauge(&self, labels: Vec<Label>) -> Gauge {
        metrics::with_recorder(|recorder| recorder.register_gauge(&self.key(labels), &METADATA))
    }

    pub(crate) fn histogram(&self, labels: Vec<Label>) -> Histogram {
        metrics::with_recorder(|recorder| recorder.register_histogram(&self.key(labels), &METADATA))
    }

    fn key(&self, labels: Vec<Label>) -> Key {
        debug_assert!(
            labels.iter().map(Label::key).eq(self.labels.iter().copied()),
            "{} has other labels in the catalogue than {labels:?}",
            self.name
        );
        Key::from_parts(self.name, labels)
    }
}

const METADATA: Metadata<'static> = Metadata::new("tollgate", Level::INFO, None);

macro_rules! catalogue {
    ($($constant:ident = $name:literal $({ $($label:ident)* })?, $kind:expr, $help:literal;)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            labels: &[$($(stringify!($label)),*)?],
            kind: $kind,
            help: $help,
        };)*

        /// The whole catalogue.
        pub(crate) const ALL: &[Metric] = &[$($constant),*];
    };
}

catalogue! {
    REQUESTS = "tollgate_requests_total" { team project model upstream region operation code end }, Kind::Counter,
        "Requests answered, by HTTP status and by how they ended.";
    REQUEST_DURATION = "tollgate_request_duration_seconds" { model upstream region operation }, Kind::Histogram(REQUEST_SECONDS),
        "From the first byte of a request to the last byte of its answer.";
    TIME_TO_FIRST_TOKEN = "tollgate_time_to_first_token_seconds" { model upstream region operation }, Kind::Histogram(FIRST_TOKEN_SECONDS),
        "From the first byte of a request to the first content of its answer.";
    OVERHEAD = "tollgate_overhead_seconds", Kind::Histogram(OVERHEAD_SECONDS),
        "From a request's last byte to its first attempt, where it waited for no slot: what the gateway adds.";
    TOKENS = "tollgate_tokens_total" { team project model type }, Kind::Counter,
        "Tokens by type; input holds the cached ones, output holds reasoning, as in the ledger.";
    REQUEST_TOKENS = "tollgate_request_tokens" { model upstream region operation type }, Kind::Counts(TOKEN_COUNTS),
        "Tokens of a request, of those that consumed some: input holds the cached ones, output holds reasoning.";
    COST = "tollgate_cost_total" { team project model currency }, Kind::FractionalCounter,
        "Cost in units of currency, rounded to a float; the ledger is exact.";
    ATTEMPTS = "tollgate_attempts_total" { upstream outcome }, Kind::Counter, "Tries on an upstream, by outcome.";
    RETRIES = "tollgate_retries_total" { reason result }, Kind::Counter,
        "Further attempts after a failed one, by the reason for them and their result.";
    HEDGES = "tollgate_hedges_total" { result }, Kind::Counter,
        "Second copies of streams that nobody began to answer, by what came of them.";
    FAILOVERS = "tollgate_failovers_total" { from_region to_region reason }, Kind::Counter,
        "Attempts in another region than the one before, by the outcome that they followed.";
    BREAKER_STATE = "tollgate_breaker_state" { upstream model }, Kind::Gauge,
        "0 closed (passes), 1 half-open (probes), 2 open (refuses).";
    BREAKER_CHANGES = "tollgate_breaker_transitions_total" { upstream model to reason }, Kind::Counter,
        "Changes of a breaker's state, by the state that it came to and why.";
    PROBES = "tollgate_probes_total" { upstream outcome }, Kind::Counter,
        "Looks at upstreams that are idle or left alone, by outcome.";
    HOLD = "tollgate_hold_seconds_total" { upstream }, Kind::FractionalCounter,
        "Time for which an upstream asked to be left alone.";
    CREDENTIAL_USABLE = "tollgate_credential_usable" { upstream }, Kind::Gauge,
        "1 while an upstream's credential that has to be renewed is there, 0 while it is not.";
    CREDENTIAL_REFRESHES = "tollgate_credential_refreshes_total" { upstream outcome }, Kind::Counter,
        "Attempts to renew an upstream's credential, by outcome.";
    REGION_STATE = "tollgate_region_state" { region }, Kind::Gauge, "0 enabled, 1 draining, 2 disabled.";
    INFLIGHT = "tollgate_inflight_requests" { upstream }, Kind::Gauge, "Attempts that an upstream is working on.";
    WAITING = "tollgate_waiting_requests" { upstream }, Kind::Gauge,
        "Requests that wait for one of an upstream's `max_concurrency` slots.";
    SHED = "tollgate_shed_requests_total" { reason }, Kind::Counter,
        "Requests refused because there was no room for them, by what there was too much of.";
    BYTES_HELD = "tollgate_bytes_held", Kind::Gauge,
        "Bytes of request bodies that are held, or announced and waited for.";
    MEMORY_MARK = "tollgate_memory_mark", Kind::Gauge,
        "0 enough memory, 1 short (small requests only), 2 too short for new requests.";
    QUOTA_REFUSALS = "tollgate_quota_refusals_total" { team project limit }, Kind::Counter,
        "Requests refused by a limit or a budget.";
    UNPRICED = "tollgate_unpriced_requests_total" { model upstream }, Kind::Counter,
        "Requests of models without a price: their cost is unknown, not zero.";
    USAGE_RECORDS = "tollgate_usage_records_total" { source }, Kind::Counter,
        "Requests that reached an upstream, by where their token counts come from.";
    RESIDENCY_VIOLATIONS = "tollgate_residency_violations_total" { upstream }, Kind::Counter,
        "Answers that name a place outside the zones that their upstream is declared for.";
    SERVED_MODEL_CHANGES = "tollgate_served_model_changes_total" { upstream model }, Kind::Counter,
        "How often an upstream began to serve another model than before for a target.";
    RESERVATIONS_OPEN = "tollgate_reservations_open", Kind::Gauge,
        "Requests whose worst case is reserved and not yet settled.";
    BUDGET_AMOUNT = "tollgate_budget_amount" { team project currency }, Kind::Gauge,
        "What a team or project may spend in its period, a raise included; rounded to a float.";
    BUDGET_SPENT = "tollgate_budget_spent" { team project currency }, Kind::Gauge,
        "What it has spent in its period, rounded to a float.";
    BUDGET_RESERVED = "tollgate_budget_reserved" { team project currency }, Kind::Gauge,
        "What its open requests hold reserved, rounded to a float.";
    BUDGET_FORECAST = "tollgate_budget_forecast" { team project currency }, Kind::Gauge,
        "What it is forecast to spend by the end of its period, rounded to a float.";
    SLO_BURN_RATE = "tollgate_slo_burn_rate" { objective view window }, Kind::Gauge,
        "Pace at which an objective's allowed failures are used up; 1 uses all of them in its time.";
    ALERTS = "tollgate_alerts_total" { kind }, Kind::Counter, "Alerts that were made, by kind.";
    ALERT_DELIVERIES = "tollgate_alert_deliveries_total" { webhook outcome }, Kind::Counter,
        "Attempts to deliver alerts, by webhook and outcome.";
    JOURNAL_APPEND = "tollgate_journal_append_seconds", Kind::Histogram(APPEND_SECONDS),
        "Writing to the journal: a record, or those of one turn of a core.";
    JOURNAL_SYNC = "tollgate_journal_sync_seconds", Kind::Histogram(SYNC_SECONDS),
        "Bringing the journal's written records to the disk.";
    JOURNAL_STATE = "tollgate_journal_state", Kind::Gauge,
        "0 takes records, 1 has no space, 2 the disk does not keep up, 3 cannot be written.";
    JOURNAL_UNSYNCED = "tollgate_journal_unsynced_bytes", Kind::Gauge,
        "Bytes in the journal that the disk has not confirmed.";
    JOURNAL_ABANDONED = "tollgate_journal_abandoned_segments_total", Kind::Counter,
        "Journal files that could not be written or synced; what they held was written again elsewhere.";
    LEDGER_LAG = "tollgate_ledger_lag_seconds", Kind::Gauge,
        "Age of the oldest journal record that the ledger store does not hold yet.";
    DEAD_RECORDS = "tollgate_ledger_dead_records_total", Kind::Counter,
        "Journal records that the ledger store refused, or that could not be read.";
    DATA_FREE = "tollgate_data_free_bytes", Kind::Gauge,
        "Bytes that can still be written to the file system of the data folder.";
    DATA_SIZE = "tollgate_data_size_bytes", Kind::Gauge, "Size of the file system of the data folder.";
    RECOVERED = "tollgate_recovered_requests_total", Kind::Counter,
        "Requests that a crash left open and a later start closed.";
    CONFIG_VERSION = "tollgate_config_version", Kind::Gauge, "The configuration that serves now.";
    CONFIG_LAST_RELOAD = "tollgate_config_last_reload_success", Kind::Gauge,
        "1 when the newest reload was taken over, 0 when it was refused.";
    CERTIFICATE_EXPIRES = "tollgate_certificate_expires_timestamp_seconds" { certificate }, Kind::Gauge,
        "When a certificate that the gateway shows ends, as seconds since 1970.";
    CLOCK = "tollgate_clock_timestamp_seconds", Kind::Gauge,
        "The gateway's clock a second ago or less, as seconds since 1970.";
    BUILD = "tollgate_build_info" { version revision }, Kind::Gauge, "Always 1; the labels tell the build.";
    OVERFLOW = "tollgate_metrics_overflow_total" { metric }, Kind::Counter,
        "Label sets beyond a metric's limit that were folded into `other`, counted each time one is resolved.";
    DROPPED = "tollgate_telemetry_dropped_total" { signal }, Kind::Counter,
        "Access-log lines, spans and figures that were lost because their destination was slow or failing.";
}

/// The doubling buckets of the OpenTelemetry GenAI conventions, and longer ones for agents.
const REQUEST_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
    600.0,
];

/// The buckets of the OpenTelemetry GenAI conventions, and longer ones for reasoning models.
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0,
    30.0, 45.0, 60.0,
];

/// The powers of four of the OpenTelemetry GenAI conventions.
const TOKEN_COUNTS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Tens of microseconds when nothing waits; translation of a long body takes milliseconds.
const OVERHEAD_SECONDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];

/// One write into the page cache: about a microsecond when all is well.
const APPEND_SECONDS: &[f64] =
    &[0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.001, 0.01, 0.1, 1.0];

/// One fdatasync: a fraction of a millisecond on a good disk, seconds on one that is in trouble.
const SYNC_SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
