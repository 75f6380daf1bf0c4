//! What a scrape of `/metrics` sees, and the guard against metrics without bound.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use crate::{
    catalogue::{ALL, Kind, OVERFLOW},
    series::{JournalSeries, LoaderSeries, ReservationSeries, recovered_requests},
};

/// Label sets that one metric may have; more fold into one whose values are all [`OTHER`].
const MAX_LABEL_SETS: usize = 2_000;
const OTHER: &str = "other";

/// All metrics of one process, or of one test; cheap to clone.
#[derive(Clone)]
pub struct Exposition {
    recorder: Arc<GuardedRecorder>,
    handle: PrometheusHandle,
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
        let recorder = Arc::new(GuardedRecorder { inner: recorder, known: Mutex::default() });
        let exposition = Self { recorder, handle };
        exposition.scope(describe);
        exposition.scope(begin_at_zero);
        exposition
    }

    /// Runs `resolve` with this exposition as the one that new series of this thread belong to.
    pub fn scope<T>(&self, resolve: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, resolve)
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
    /// bytes, so the owner calls this every few seconds whether or not anyone scrapes.
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
        if let Kind::Histogram(buckets) = metric.kind {
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
    let _reservations = ReservationSeries::new();
    let _journal = JournalSeries::new();
    let _loader = LoaderSeries::new();
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
            }
        }
    });
}

/// Stands before the exporter's recorder and bounds the label sets of each metric.
struct GuardedRecorder {
    inner: PrometheusRecorder,
    known: Mutex<HashMap<String, HashSet<Key>>>,
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
        self.inner.register_gauge(&self.admit(key, metadata), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.inner.register_histogram(&self.admit(key, metadata), metadata)
    }
}
