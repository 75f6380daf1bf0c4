//! The rules and dashboards of `deploy/`, held against the catalogue: a metric or a label that does not
//! exist would show nothing and alert nobody.

mod dashboards;
mod promql;
mod rules;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use promql::{Expression, Selector};

use crate::catalogue::{ALL, Kind};

/// Labels that Prometheus adds to every series that it scrapes.
const SCRAPED: [&str; 2] = ["instance", "job"];

/// A file or folder of `deploy/`.
fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What can be asked for by name, with its labels.
struct Known {
    series: BTreeMap<String, Series>,
}

struct Series {
    labels: Vec<String>,
    grows: bool,
}

impl Known {
    /// The catalogue, and what Prometheus itself tells of a scrape.
    fn catalogue() -> Self {
        let mut known = Self { series: BTreeMap::new() };
        known.add("up", &[], false);
        for metric in ALL {
            match metric.kind {
                Kind::Counter | Kind::FractionalCounter => known.add(metric.name, metric.labels, true),
                Kind::Gauge => known.add(metric.name, metric.labels, false),
                Kind::Histogram(_) | Kind::Counts(_) => {
                    for part in ["_sum", "_count"] {
                        known.add(&format!("{}{part}", metric.name), metric.labels, true);
                    }
                    let with_bound = [metric.labels, &["le"]].concat();
                    known.add(&format!("{}_bucket", metric.name), &with_bound, true);
                }
            }
        }
        known
    }

    fn add(&mut self, name: &str, labels: &[&str], grows: bool) {
        let labels = labels.iter().chain(&SCRAPED).map(ToString::to_string).collect();
        self.series.insert(name.to_owned(), Series { labels, grows });
    }

    /// Everything that is wrong with an expression.
    fn faults(&self, text: &str) -> Vec<String> {
        let expression = match promql::read(text) {
            Ok(expression) => expression,
            Err(problem) => return vec![problem],
        };
        let mut faults: Vec<String> =
            expression.selectors.iter().flat_map(|selector| self.faults_of(selector)).collect();
        for label in &expression.grouping {
            if !self.labels_in(&expression).any(|known| known == label) {
                faults.push(format!("nothing in it has the label {label}"));
            }
        }
        faults
    }

    fn faults_of(&self, selector: &Selector) -> Vec<String> {
        let name = &selector.metric;
        let Some(series) = self.series.get(name) else { return vec![format!("there is no metric {name}")] };
        let mut faults = Vec::new();
        for label in selector.labels.iter().filter(|label| !series.labels.contains(label)) {
            faults.push(format!("{name} has no label {label}"));
        }
        match selector.range_of.as_deref() {
            Some("rate" | "irate" | "increase" | "resets") if !series.grows => {
                faults.push(format!("{name} goes up and down, so that it has no rate"));
            }
            Some("delta" | "deriv" | "predict_linear") if series.grows => {
                faults.push(format!("{name} only grows, so that it is asked for its rate"));
            }
            _ => {}
        }
        faults
    }

    /// The labels that the parts of an expression may have.
    fn labels_in<'a>(&'a self, expression: &'a Expression) -> impl Iterator<Item = &'a String> {
        let series = expression.selectors.iter().filter_map(|selector| self.series.get(&selector.metric));
        series.flat_map(|series| &series.labels)
    }
}

#[test]
fn what_does_not_exist_is_found() {
    let known = Known::catalogue();
    let cases = [
        ("sum by (team) (rate(tollgate_requests_total{code=\"200\"}[5m]))", None),
        ("up{job=\"tollgate\"} == 0", None),
        ("tollgate_request_total", Some("there is no metric tollgate_request_total")),
        ("tollgate_requests_total{key=\"x\"}", Some("tollgate_requests_total has no label key")),
        ("sum by (key) (tollgate_requests_total)", Some("nothing in it has the label key")),
        ("tollgate_request_duration_seconds", Some("there is no metric tollgate_request_duration_seconds")),
        ("sum by (le) (tollgate_reservations_open)", Some("nothing in it has the label le")),
        ("rate(tollgate_breaker_state[5m])", Some("tollgate_breaker_state goes up and down")),
        ("deriv(tollgate_requests_total[5m])", Some("tollgate_requests_total only grows")),
        ("sum(tollgate_requests_total", Some("a bracket is not closed")),
    ];
    for (text, wanted) in cases {
        let faults = known.faults(text).join("; ");
        match wanted {
            None => assert_eq!(faults, "", "{text}"),
            Some(fault) => assert!(faults.contains(fault), "{text}: {faults:?}"),
        }
    }
}
