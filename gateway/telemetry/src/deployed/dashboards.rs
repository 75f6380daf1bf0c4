//! Dashboards of Grafana.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{Known, deployed, promql, text_of};

const DATA_SOURCE: &str = "${DS_PROMETHEUS}";
/// What Grafana itself puts in place of.
const BUILT_IN: [&str; 5] = ["__rate_interval", "__interval", "__range", "__from", "__to"];

fn dashboards() -> Vec<(String, Value)> {
    let folder = fs::read_dir(deployed("grafana")).expect("there are dashboards");
    let paths = folder.map(|entry| entry.expect("the folder can be read").path());
    let json = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.map(|path| {
        let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
        let dashboard =
            serde_json::from_str(&text_of(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, dashboard)
    })
    .collect()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Panels that show something, those of folded rows too.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let folded = list(dashboard, "panels").iter().flat_map(|panel| list(panel, "panels"));
    list(dashboard, "panels").iter().chain(folded).filter(|panel| text(panel, "type") != "row")
}

/// Names of variables in a text: `$name`, `${name}` and `${name:format}`.
fn variables(text: &str) -> Vec<&str> {
    let starts = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    let end = |rest: &str| rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    starts.map(|rest| &rest[..end(rest).unwrap_or(rest.len())]).filter(|name| !name.is_empty()).collect()
}

/// Labels that a legend puts into words.
fn legend_labels(legend: &str) -> impl Iterator<Item = &str> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim)
}

#[test]
fn there_are_dashboards_for_operators_for_finance_and_for_a_project() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|(_, dashboard)| text(dashboard, "uid")).collect();
    assert_eq!(uids, BTreeSet::from(["tollgate-finance", "tollgate-operations", "tollgate-project"]));
    assert_eq!(all.len(), uids.len(), "two have the same uid");
    for (name, dashboard) in &all {
        let inputs = list(dashboard, "__inputs");
        assert!(inputs.iter().any(|input| text(input, "name") == "DS_PROMETHEUS"), "{name}");
        assert!(text(&dashboard["time"], "from").starts_with("now-"), "{name} shows a fixed time");
        assert!(dashboard["id"].is_null(), "{name} has the id of somebody's database");
    }
}

#[test]
fn every_query_asks_for_what_exists() {
    let known = Known::with_rules();
    for (name, dashboard) in dashboards() {
        let declared: BTreeSet<&str> =
            list(&dashboard["templating"], "list").iter().map(|variable| text(variable, "name")).collect();
        let check_variables = |text: &str| {
            for variable in variables(text) {
                let is_known = declared.contains(variable) || BUILT_IN.contains(&variable);
                assert!(is_known, "{name}: ${variable} is not declared: {text}");
            }
        };
        let mut queries = 0;
        for panel in panels(&dashboard) {
            let title = text(panel, "title");
            check_variables(title);
            for target in list(panel, "targets") {
                let expr = text(target, "expr");
                assert_eq!(known.faults(expr), [""; 0], "{name}, {title}: {expr}");
                check_variables(expr);
                let expression = promql::read(expr).expect("read before");
                for label in legend_labels(text(target, "legendFormat")) {
                    let has =
                        expression.grouping.iter().chain(known.labels_in(&expression)).any(|l| l == label);
                    assert!(has, "{name}, {title}: nothing has the label {label} of the legend");
                }
                queries += 1;
            }
        }
        assert!(queries > 5, "{name} has {queries} queries");
        let asked =
            list(&dashboard["templating"], "list").iter().filter(|variable| variable["type"] == "query");
        for variable in asked {
            let query = variable["query"].as_str().unwrap_or_else(|| text(&variable["query"], "query"));
            check_variables(query);
            let Some(asked) = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'))
            else {
                panic!("{name}: {query} lists no values of a label");
            };
            let (selector, label) = asked.rsplit_once(',').expect("of a metric, a label");
            assert_eq!(known.faults(selector), [""; 0], "{name}: {query}");
            let grouped = format!("sum by ({}) ({selector})", label.trim());
            assert_eq!(known.faults(&grouped), [""; 0], "{name}: {query}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for (name, dashboard) in dashboards() {
        let mut places = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = text(panel, "title");
            assert!(!title.is_empty() && !text(panel, "description").is_empty(), "{name}, {title}");
            assert_eq!(text(&panel["datasource"], "uid"), DATA_SOURCE, "{name}, {title}");
            let unit = text(&panel["fieldConfig"]["defaults"], "unit");
            assert!(!unit.is_empty(), "{name}, {title} has no unit");
            assert!(!list(panel, "targets").is_empty(), "{name}, {title} asks nothing");
            let place = (panel["gridPos"]["x"].as_u64(), panel["gridPos"]["y"].as_u64());
            assert!(places.insert(place), "{name}, {title} lies on another panel");
        }
    }
}
