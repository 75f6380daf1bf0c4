//! Recording rules and alerts.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::{Known, deployed, promql, text_of};

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    lasts: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    input_series: Vec<Input>,
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct Input {
    series: String,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<serde::de::IgnoredAny>,
}

fn rules() -> Vec<Rule> {
    let read: Rules =
        serde_saphyr::from_str(&text_of(&deployed("prometheus/rules.yaml"))).expect("rules are YAML");
    read.groups.into_iter().flat_map(|group| group.rules).collect()
}

impl Known {
    /// The catalogue, and what the recording rules make of it.
    pub(super) fn with_rules() -> Self {
        let mut known = Self::catalogue();
        for rule in rules() {
            let Some(record) = &rule.record else { continue };
            let expression = promql::read(&rule.expr).expect("rules are whole");
            let labels: Vec<&str> =
                expression.grouping.iter().chain(rule.labels.keys()).map(String::as_str).collect();
            known.add(record, &labels, false);
        }
        known
    }
}

#[test]
fn every_rule_asks_for_what_exists() {
    let known = Known::with_rules();
    for rule in rules() {
        let name = rule.record.as_ref().or(rule.alert.as_ref()).expect("a rule records or alerts");
        assert_eq!(known.faults(&rule.expr), [""; 0], "{name}: {}", rule.expr);
    }
}

#[test]
fn recorded_names_tell_level_metric_and_operation() {
    let known = Known::catalogue();
    for record in rules().iter().filter_map(|rule| rule.record.as_ref()) {
        let parts: Vec<&str> = record.split(':').collect();
        assert!(matches!(parts.as_slice(), [_, metric, _] if metric.starts_with("tollgate_")), "{record}");
        assert!(!known.series.contains_key(record), "{record}");
    }
}

#[test]
fn every_alert_says_how_bad_what_and_where_to_read_on() {
    for rule in rules() {
        let Some(alert) = &rule.alert else { continue };
        assert!(alert.starts_with("Tollgate") && rule.lasts.is_some(), "{alert}");
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("page" | "ticket" | "info")), "{alert}: {severity:?}");
        for part in ["summary", "description", "runbook_url"] {
            assert!(rule.annotations.get(part).is_some_and(|text| !text.is_empty()), "{alert} has no {part}");
        }
        let runbook = &rule.annotations["runbook_url"];
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(runbook);
        assert!(runbook.starts_with("deploy/runbooks/"), "{alert}: {runbook}");
        let text = text_of(&file);
        assert!(text.contains(&format!("`{alert}`")), "{runbook} does not tell of {alert}");
    }
}

#[test]
fn every_alert_is_seen_to_fire_and_tests_feed_only_what_exists() {
    let known = Known::with_rules();
    let read: Tests =
        serde_saphyr::from_str(&text_of(&deployed("prometheus/rules_test.yaml"))).expect("tests are YAML");
    let series = read.tests.iter().flat_map(|test| &test.input_series);
    for input in series {
        assert_eq!(known.faults(&input.series), [""; 0], "{}", input.series);
    }
    let checks = || read.tests.iter().flat_map(|test| &test.alert_rule_test);
    for rule in rules() {
        let Some(alert) = &rule.alert else { continue };
        let fires = checks().any(|check| check.alertname == *alert && !check.exp_alerts.is_empty());
        assert!(fires, "no test shows {alert} firing");
    }
}
