//! What a scrape of `/metrics` sees, and the guard against metrics without bound.

mod sums;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use sums::Sums;

use crate::{
    catalogue::{ALL, Kind, Metric, OVERFLOW},
    series::{
        HeldSeries, JournalDiskSeries, JournalSeries, LoaderSeries, OverheadSeries, ReservationSeries,
        recovered_requests,
    },
};

/// Label sets that one metric may have; more fold into one whose values are all [`OTHER`].
const MAX_LABEL_SETS: usize = 2_000;
const OTHER: &str = "other";

/// All metrics of one process, or of one test; cheap to clone.
#[derive(Clone)]
pub struct Exposition {
    recorder: Arc<GuardedRecorder>,
    handle: PrometheusHandle,
    started: u64,
}

/// Makes an exposition the one that series of every thread belong to from now on.
///
/// # Errors
/// When the process has one already.
pub fn install() -> Result<Exposition, AlreadyInstalled> {
    let exposition = Exposition::new();
    metrics::set_global_recorder(Arc::clone(&exposition.recorder)).map_err(|_| AlreadyInstalled)?;
    Ok(exposition)
}

/// A second recorder in one process.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a metrics recorder is already installed in this process")]
pub struct AlreadyInstalled;

impl Exposition {
    /// An exposition that only [`scope`](Self::scope) reaches.
    #[must_use]
    pub fn new() -> Self {
        let recorder = prometheus_recorder();
        let handle = recorder.handle();
        let recorder =
            Arc::new(GuardedRecorder { inner: recorder, known: Mutex::default(), sums: Sums::default() });
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = u64::try_from(started.as_nanos()).unwrap_or(u64::MAX);
        let exposition = Self { recorder, handle, started };
        exposition.scope(describe);
        exposition.scope(begin_at_zero);
        exposition
    }

    /// Runs `resolve` with this exposition as the one that new series of this thread belong to. A
    /// label value that is first met while recording is a new series too.
    pub fn scope<T>(&self, resolve: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, resolve)
    }

    /// Since when is counted, in nanoseconds since 1970.
    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// The text format 0.0.4 of Prometheus. Takes a snapshot; blocks no recording.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        for metric in ALL {
            if matches!(metric.kind, Kind::FractionalCounter) {
                let kept = format!("# TYPE {} gauge\n", metric.name);
                let told = format!("# TYPE {} counter\n", metric.name);
                text = text.replacen(&kept, &told, 1);
            }
        }
        text
    }

    /// Folds what histograms recorded into their buckets. Until then each observation takes 16
    /// bytes (6 MiB for 100,000 requests and their journal records), so the owner calls this every
    /// second or few, whether or not anyone scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl Default for Exposition {
    fn default() -> Self {
        Self::new()
    }
}

fn prometheus_recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        if let Kind::Histogram(buckets) | Kind::Counts(buckets) = metric.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                .expect("the catalogue's bucket lists are not empty");
        }
    }
    builder.build_recorder()
}

/// Makes the series that have no labels seen from the first scrape on, so that `rate()` sees their
/// first event.
fn begin_at_zero() {
    let _held = (ReservationSeries::new(), HeldSeries::new());
    let _journal = (JournalSeries::new(), JournalDiskSeries::new());
    let (_loader, _overhead) = (LoaderSeries::new(), OverheadSeries::new());
    recovered_requests(0);
}

fn describe() {
    metrics::with_recorder(|recorder| {
        for metric in ALL {
            let (name, help) = (KeyName::from_const_str(metric.name), SharedString::const_str(metric.help));
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::FractionalCounter | Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, Some(Unit::Seconds), help),
                Kind::Counts(_) => recorder.describe_histogram(name, None, help),
            }
        }
    });
}

/// Stands before the exporter's recorder and bounds the label sets of each metric.
struct GuardedRecorder {
    inner: PrometheusRecorder,
    known: Mutex<HashMap<String, HashSet<Key>>>,
    sums: Sums,
}

impl GuardedRecorder {
    /// The key itself, or the one it is folded into.
    fn admit(&self, key: &Key, metadata: &Metadata<'_>) -> Key {
        {
            let mut known = self.known.lock();
            let sets = match known.get_mut(key.name()) {
                Some(sets) => sets,
                None => known.entry(key.name().to_owned()).or_default(),
            };
            if sets.contains(key) {
                return key.clone();
            }
            if sets.len() < MAX_LABEL_SETS {
                sets.insert(key.clone());
                return key.clone();
            }
        }
        let overflow = Key::from_parts(OVERFLOW.name, vec![Label::new("metric", key.name().to_owned())]);
        self.inner.register_counter(&overflow, metadata).increment(1);
        let folded: Vec<Label> =
            key.labels().map(|label| Label::new(label.key().to_owned(), OTHER)).collect();
        Key::from_parts(key.name().to_owned(), folded)
    }
}

impl Recorder for GuardedRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inner.register_counter(&self.admit(key, metadata), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let key = self.admit(key, metadata);
        let shown = || self.inner.register_gauge(&key, metadata);
        let is_sum =
            |metric: &Metric| metric.name == key.name() && matches!(metric.kind, Kind::FractionalCounter);
        if ALL.iter().any(is_sum) { self.sums.resolve(&key, shown) } else { shown() }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.inner.register_histogram(&self.admit(key, metadata), metadata)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_domain::{Money, Usage, UsageSource};

    use super::*;
    use crate::{
        BreakerSeries, BreakerState, BudgetSeries, ConfigSeries, HeldSeries, MachineSeries, QuotaSeries,
        RegionSeries, RegionState, ReloadResult, RequestFacts, RequestLabels, RequestSeries, RetrySeries,
        ShedSeries, UnpricedSeries, UpstreamSeries, alert_made, alert_tried, build_info,
        catalogue::QUOTA_REFUSALS, certificate_expires, failed_over,
    };

    const LABELS: RequestLabels<'_> = RequestLabels {
        team: "retail",
        project: "search",
        model: "gpt-5-mini",
        upstream: "aoai-eastus",
        region: "eastus",
        operation: "chat_completions",
        currency: "USD",
    };

    fn facts(usage: &Usage) -> RequestFacts<'_> {
        RequestFacts {
            code: 200,
            end: "completed",
            duration: Duration::from_millis(812),
            ttft: Some(Duration::from_millis(120)),
            usage_source: Some(UsageSource::Reported),
            usage,
            cost: Money::from_pico(1_500_000_000_000),
        }
    }

    fn has_line(text: &str, expected: &str) -> bool {
        text.lines().any(|line| line == expected)
    }

    #[test]
    fn every_metric_of_the_contract_is_exposed_with_its_kind_and_meaning() {
        let text = with_one_series_of_each();
        for (name, kind) in [
            ("requests_total", "counter"),
            ("request_duration_seconds", "histogram"),
            ("time_to_first_token_seconds", "histogram"),
            ("tokens_total", "counter"),
            ("cost_total", "counter"),
            ("attempts_total", "counter"),
            ("retries_total", "counter"),
            ("breaker_state", "gauge"),
            ("hold_seconds_total", "counter"),
            ("region_state", "gauge"),
            ("inflight_requests", "gauge"),
            ("quota_refusals_total", "counter"),
            ("unpriced_requests_total", "counter"),
            ("reservations_open", "gauge"),
            ("journal_append_seconds", "histogram"),
            ("journal_sync_seconds", "histogram"),
            ("journal_state", "gauge"),
            ("journal_unsynced_bytes", "gauge"),
            ("journal_abandoned_segments_total", "counter"),
            ("ledger_lag_seconds", "gauge"),
            ("recovered_requests_total", "counter"),
            ("config_version", "gauge"),
            ("config_last_reload_success", "gauge"),
            ("build_info", "gauge"),
        ] {
            let expected = format!("# TYPE tollgate_{name} {kind}");
            assert!(has_line(&text, &expected), "{expected} is not in:\n{text}");
            assert!(text.contains(&format!("# HELP tollgate_{name} ")), "{name} is not described");
        }
    }

    fn with_one_series_of_each() -> String {
        let exposition = Exposition::new();
        exposition.scope(|| {
            let _request = RequestSeries::new(&LABELS);
            UpstreamSeries::new("aoai-eastus").attempt_ended("success");
            RetrySeries::new().record("throttled", "success");
            QuotaSeries::new("retail", "search").refused("budget");
            UnpricedSeries::new("gpt-5-mini", "aoai-eastus").count();
            let _breaker = BreakerSeries::new("aoai-eastus", "gpt-5-mini");
            let _region = RegionSeries::new("eastus");
            let _config = ConfigSeries::new();
            build_info("1.2.3", "abcdef");
        });
        exposition.render()
    }

    #[test]
    fn a_request_adds_to_each_of_its_series() {
        let exposition = Exposition::new();
        let usage = Usage {
            input_uncached: 100,
            cache_read: 20,
            cache_write_5m: 3,
            output_text: 50,
            output_reasoning: 7,
            ..Usage::default()
        };
        let series = exposition.scope(|| RequestSeries::new(&LABELS));
        series.record(&facts(&usage));
        exposition.upkeep();
        exposition.scope(|| series.record(&facts(&usage)));
        let text = exposition.render();
        let place =
            r#"model="gpt-5-mini",upstream="aoai-eastus",region="eastus",operation="chat_completions""#;
        let who = r#"team="retail",project="search",model="gpt-5-mini""#;
        for expected in [
            format!(
                r#"tollgate_requests_total{{team="retail",project="search",{place},code="200",end="completed"}} 2"#
            ),
            format!(r#"tollgate_request_duration_seconds_bucket{{{place},le="0.64"}} 0"#),
            format!(r#"tollgate_request_duration_seconds_bucket{{{place},le="1.28"}} 2"#),
            format!("tollgate_time_to_first_token_seconds_sum{{{place}}} 0.24"),
            format!(r#"tollgate_tokens_total{{{who},type="input"}} 246"#),
            format!(r#"tollgate_tokens_total{{{who},type="cached_input"}} 40"#),
            format!(r#"tollgate_tokens_total{{{who},type="cache_write"}} 6"#),
            format!(r#"tollgate_tokens_total{{{who},type="output"}} 114"#),
            format!(r#"tollgate_tokens_total{{{who},type="reasoning"}} 14"#),
            format!(r#"tollgate_cost_total{{{who},currency="USD"}} 3"#),
            r#"tollgate_usage_records_total{source="reported"} 2"#.to_owned(),
            r#"tollgate_usage_records_total{source="estimated"} 0"#.to_owned(),
        ] {
            assert!(has_line(&text, &expected), "{expected} is not in:\n{text}");
        }
    }

    #[test]
    fn a_million_small_costs_are_their_sum_to_the_last_part() {
        let exposition = Exposition::new();
        // Two targets of one project and model share their cost's series.
        let [first, second] = exposition.scope(|| {
            [LABELS, RequestLabels { upstream: "aoai-sweden", ..LABELS }].map(|of| RequestSeries::new(&of))
        });
        let (usage, mut sum) = (Usage::default(), 0_i128);
        for number in 0..100_000_i64 {
            let cost = 1 + number * 7_919 % 99_991;
            sum += i128::from(cost);
            let series = if number % 3 == 0 { &first } else { &second };
            let cost = Money::from_pico(cost.into());
            exposition.scope(|| series.record(&RequestFacts { cost, ..facts(&usage) }));
        }
        let text = exposition.render();
        let shown = text.lines().find_map(|line| line.strip_prefix("tollgate_cost_total{")).expect("a cost");
        let shown: f64 = shown.rsplit(' ').next().expect("a value").parse().expect("a number");
        assert_eq!((shown * 1e12).round() as i128, sum);
        assert_eq!(shown, sum as f64 / 1e12, "not the float that is nearest to the sum");
    }

    #[test]
    fn a_request_of_an_unknown_key_is_counted_and_charged_to_nobody() {
        let exposition = Exposition::new();
        let series = exposition.scope(|| RequestSeries::new(&RequestLabels::default()));
        let usage = Usage::default();
        let refused =
            RequestFacts { code: 401, end: "refused", ttft: None, usage_source: None, ..facts(&usage) };
        exposition.scope(|| series.record(&refused));
        let text = exposition.render();
        let expected = r#"tollgate_requests_total{team="",project="",model="",upstream="",region="",operation="",code="401",end="refused"} 1"#;
        assert!(has_line(&text, expected), "{text}");
        assert!(!text.contains("tollgate_cost_total"), "{text}");
    }

    #[test]
    fn states_and_events_are_told() {
        let exposition = Exposition::new();
        exposition.scope(|| {
            let upstream = UpstreamSeries::new("u");
            upstream.attempt_began();
            upstream.attempt_began();
            upstream.attempt_ended("throttled");
            upstream.held(Duration::from_millis(1_500));
            upstream.wait_began();
            upstream.wait_began();
            upstream.wait_ended();
            BreakerSeries::new("u", "m").set(BreakerState::HalfOpen);
            RegionSeries::new("r").set(RegionState::Disabled);
            RetrySeries::new().record("throttled", "success");
            QuotaSeries::new("t", "p").refused("budget");
            let config = ConfigSeries::new();
            config.reloaded(ReloadResult::Taken(7));
            config.reloaded(ReloadResult::Refused);
            build_info("1.2.3", "abcdef");
            recovered_requests(4);
            ShedSeries::new().shed("share");
            HeldSeries::new().set(4_096, 1);
            let budget = BudgetSeries::new("t", Some("p"), "USD");
            let money = Money::from_pico;
            budget.set(money(500_000_000_000_000), money(1_500_000_000_000), money(0));
            budget.forecast(money(25_000_000_000));
            alert_made("budget_threshold");
            alert_tried("desk", "failed");
            failed_over("east", "west", "throttled");
            certificate_expires("listen.data", 1_800_000_000);
            let machine = MachineSeries::new();
            machine.clock(Duration::from_millis(1_700_000_000_500));
            machine.room(3, 4);
            LoaderSeries::new().dead(2);
        });
        let text = exposition.render();
        for expected in [
            r#"tollgate_attempts_total{upstream="u",outcome="throttled"} 1"#,
            r#"tollgate_inflight_requests{upstream="u"} 1"#,
            r#"tollgate_hold_seconds_total{upstream="u"} 1.5"#,
            r#"tollgate_breaker_state{upstream="u",model="m"} 1"#,
            r#"tollgate_region_state{region="r"} 2"#,
            r#"tollgate_retries_total{reason="throttled",result="success"} 1"#,
            r#"tollgate_quota_refusals_total{team="t",project="p",limit="budget"} 1"#,
            "tollgate_config_version 7",
            "tollgate_config_last_reload_success 0",
            r#"tollgate_build_info{version="1.2.3",revision="abcdef"} 1"#,
            "tollgate_recovered_requests_total 4",
            "tollgate_reservations_open 0",
            r#"tollgate_waiting_requests{upstream="u"} 1"#,
            r#"tollgate_shed_requests_total{reason="share"} 1"#,
            "tollgate_bytes_held 4096",
            "tollgate_memory_mark 1",
            r#"tollgate_budget_amount{team="t",project="p",currency="USD"} 500"#,
            r#"tollgate_budget_spent{team="t",project="p",currency="USD"} 1.5"#,
            r#"tollgate_budget_forecast{team="t",project="p",currency="USD"} 0.025"#,
            r#"tollgate_alerts_total{kind="budget_threshold"} 1"#,
            r#"tollgate_alert_deliveries_total{webhook="desk",outcome="failed"} 1"#,
            r#"tollgate_failovers_total{from_region="east",to_region="west",reason="throttled"} 1"#,
            r#"tollgate_certificate_expires_timestamp_seconds{certificate="listen.data"} 1800000000"#,
            "tollgate_clock_timestamp_seconds 1700000000.5",
            "tollgate_data_free_bytes 3",
            "tollgate_data_size_bytes 4",
            "tollgate_ledger_dead_records_total 2",
        ] {
            assert!(has_line(&text, expected), "{expected} is not in:\n{text}");
        }
    }

    #[test]
    fn label_sets_beyond_the_limit_fold_into_other() {
        let exposition = Exposition::new();
        let refuse = |project: usize| {
            exposition.scope(|| QuotaSeries::new("t", &project.to_string()).refused("budget"));
        };
        (0..MAX_LABEL_SETS + 3).for_each(refuse);
        refuse(0);
        let text = exposition.render();
        let told = text.lines().filter(|line| line.starts_with(QUOTA_REFUSALS.name)).count();
        assert_eq!(told, MAX_LABEL_SETS + 1);
        for expected in [
            r#"tollgate_quota_refusals_total{team="t",project="0",limit="budget"} 2"#,
            r#"tollgate_quota_refusals_total{team="other",project="other",limit="other"} 3"#,
            r#"tollgate_metrics_overflow_total{metric="tollgate_quota_refusals_total"} 3"#,
        ] {
            assert!(has_line(&text, expected), "{expected}");
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in ALL {
            let counts = matches!(metric.kind, Kind::Counter | Kind::FractionalCounter);
            assert!(metric.name.starts_with("tollgate_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), counts, "{}", metric.name);
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
                assert!(buckets.is_sorted_by(|low, high| low < high), "{}", metric.name);
            }
        }
    }
}
