//! The Helm chart and what stands beside it for those without Helm: what it makes of its values, looked at
//! as a cluster would.

mod schema;
mod syntax;
mod template;
mod yaml;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::stage::{TOLLGATE, text};

use template::Chart;

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(deployed(name)).with_context(|| name.to_owned())
}

/// The chart's own values with some of them changed, by path.
fn values(changes: &[(&str, Value)]) -> Result<Value> {
    let mut values = yaml::parse(&read("helm/tollgate/values.yaml")?)?;
    for (path, value) in changes {
        let place = path.split('.').fold(&mut values, |at, field| &mut at[field]);
        *place = value.clone();
    }
    Ok(values)
}

/// Everything that can be turned on.
fn all_on() -> Result<Value> {
    values(&[
        ("replicas", json!(2)),
        ("config.ledger", json!({ "store": "postgres", "url": "${env:DATABASE_URL}" })),
        ("tlsSecretName", json!("front")),
        ("podAnnotations", json!({ "a": "b" })),
        ("nodeSelector", json!({ "pool": "gateways" })),
        ("tolerations", json!([{ "key": "gateways", "operator": "Exists" }])),
        ("image.pullSecrets", json!([{ "name": "registry" }])),
        ("persistence.storageClassName", json!("fast")),
        ("service.annotations", json!({ "c": "d" })),
        ("serviceAccount.annotations", json!({ "e": "f" })),
        ("networkPolicy.enabled", json!(true)),
        ("networkPolicy.clients", json!([{ "namespaceSelector": {} }])),
        ("networkPolicy.monitoring", json!([{ "namespaceSelector": {} }])),
        (
            "monitoring",
            json!({ "serviceMonitor": true, "rules": true, "dashboards": true, "labels": { "release": "p" } }),
        ),
        ("backup", json!({ "enabled": true, "schedule": "17 3 * * *", "claimName": "backups" })),
    ])
}

/// The manifests by kind and name.
fn manifests(values: &Value) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for (template, made) in Chart::read(&deployed("helm/tollgate"))?.render(values)? {
        if template == "NOTES.txt" {
            continue;
        }
        for manifest in yaml::documents(&made).with_context(|| template.clone())? {
            let kind = manifest["kind"].as_str().with_context(|| format!("{template}: no kind"))?;
            let name = manifest["metadata"]["name"].as_str().context("no name")?;
            ensure!(manifest["apiVersion"].is_string(), "{template}: no apiVersion");
            ensure!(name.len() <= 63, "{name} is too long");
            let key = format!("{kind}/{name}");
            ensure!(found.insert(key.clone(), manifest).is_none(), "{key} is made twice");
        }
    }
    Ok(found)
}

fn names(manifests: &BTreeMap<String, Value>) -> Vec<&str> {
    manifests.keys().map(String::as_str).collect()
}

#[test]
fn by_default_it_makes_what_a_gateway_needs() -> Result<()> {
    let made = manifests(&values(&[])?)?;
    let wanted = [
        "ConfigMap/gateway-tollgate",
        "PodDisruptionBudget/gateway-tollgate",
        "Service/gateway-tollgate",
        "Service/gateway-tollgate-pods",
        "ServiceAccount/gateway-tollgate",
        "StatefulSet/gateway-tollgate",
    ];
    ensure!(names(&made) == wanted, "{:?}", names(&made));
    Ok(())
}

#[test]
fn pods_are_confined_probed_and_given_time() -> Result<()> {
    for values in
        [values(&[])?, values(&[("shutdown", json!({ "delaySeconds": 7, "drainSeconds": 900 }))])?, all_on()?]
    {
        let made = manifests(&values)?;
        let set = &made["StatefulSet/gateway-tollgate"]["spec"];
        let pod = &set["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().context("a number of seconds")?;
        let shutdown = |name: &str| values["shutdown"][name].as_u64().unwrap_or_default();
        ensure!(grace >= shutdown("delaySeconds") + shutdown("drainSeconds") + 20, "{grace} s are too few");
        ensure!(pod["automountServiceAccountToken"] == false, "it has the cluster's token");
        confined(pod)?;

        let container = &pod["containers"][0];
        let ports: Vec<&Value> = list(&container["ports"]).iter().map(|port| &port["name"]).collect();
        for (probe, path) in
            [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
        {
            let asked = &container[probe]["httpGet"];
            ensure!(asked["path"] == path && ports.contains(&&asked["port"]), "{probe}: {asked}");
        }
        ensure!(
            container["resources"]["limits"]["cpu"].is_null(),
            "a limit of processor time holds up streams"
        );
        ensure!(container["resources"]["limits"]["memory"].is_string(), "memory has no limit");
        let selected = set["selector"]["matchLabels"].as_object().context("labels")?;
        for (name, value) in selected {
            ensure!(set["template"]["metadata"]["labels"][name] == *value, "pods lack {name}");
        }
        for service in ["Service/gateway-tollgate", "Service/gateway-tollgate-pods"] {
            let service = &made[service]["spec"];
            ensure!(service["selector"] == set["selector"]["matchLabels"], "{service}");
            for port in list(&service["ports"]) {
                ensure!(ports.contains(&&port["targetPort"]), "{port}");
            }
        }
        ensure!(
            made["Service/gateway-tollgate-pods"]["metadata"]["name"] == set["serviceName"],
            "no such service"
        );
    }
    Ok(())
}

/// Nobody's process, which can write to its volumes alone, each of which there is.
fn confined(pod: &Value) -> Result<()> {
    let context = &pod["securityContext"];
    ensure!(context["runAsNonRoot"] == true && context["runAsUser"] == 65532, "{context}");
    ensure!(context["seccompProfile"]["type"] == "RuntimeDefault", "{context}");
    let volumes: Vec<&Value> = list(&pod["volumes"]).iter().map(|volume| &volume["name"]).collect();
    for container in list(&pod["containers"]) {
        let context = &container["securityContext"];
        ensure!(context["readOnlyRootFilesystem"] == true, "{context}");
        ensure!(context["allowPrivilegeEscalation"] == false, "{context}");
        ensure!(context["capabilities"]["drop"] == json!(["ALL"]), "{context}");
        for mount in list(&container["volumeMounts"]) {
            // The claim template of the set gives `data`.
            ensure!(mount["name"] == "data" || volumes.contains(&&mount["name"]), "no volume for {mount}");
            ensure!(mount["subPath"].is_null(), "a file that is mounted alone never changes: {mount}");
        }
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn the_configuration_that_it_makes_is_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificate = rcgen::generate_simple_self_signed(["gateway".to_owned()])?;
    fs::write(folder.path().join("tls.crt"), certificate.cert.pem())?;
    fs::write(folder.path().join("tls.key"), certificate.signing_key.serialize_pem())?;
    for values in [values(&[])?, all_on()?] {
        let made = manifests(&values)?;
        let files = &made["ConfigMap/gateway-tollgate"]["data"];
        check(folder.path(), files["tollgate.yaml"].as_str(), files["prices.yaml"].as_str())?;
    }
    Ok(())
}

/// Has the program judge a configuration that names its files as in a container.
fn check(folder: &Path, config: Option<&str>, prices: Option<&str>) -> Result<()> {
    let here = folder.display().to_string();
    let config = config.context("a configuration")?;
    let config = config.replace("/etc/tollgate-tls", &here).replace("/etc/tollgate", &here);
    fs::write(folder.join("tollgate.yaml"), &config)?;
    fs::write(folder.join("prices.yaml"), prices.context("prices")?)?;
    let mut command = Command::new(TOLLGATE);
    command.args(["check", "-c"]).arg(folder.join("tollgate.yaml"));
    for name in config.split("${env:").skip(1).filter_map(|rest| rest.split('}').next()) {
        let value = if name == "DATABASE_URL" {
            "postgres://tollgate:secret@db/tollgate".to_owned()
        } else {
            format!("{name}-of-this-test")
        };
        command.env(name, value);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}\n{config}", text(&output.stderr));
    Ok(())
}

#[test]
fn what_is_turned_on_is_there() -> Result<()> {
    let made = manifests(&all_on()?)?;
    for wanted in [
        "ConfigMap/gateway-tollgate-dashboards",
        "CronJob/gateway-tollgate-backup-0",
        "CronJob/gateway-tollgate-backup-1",
        "NetworkPolicy/gateway-tollgate",
        "PrometheusRule/gateway-tollgate",
        "ServiceMonitor/gateway-tollgate",
    ] {
        ensure!(made.contains_key(wanted), "{wanted} is not in {:?}", names(&made));
    }
    let rules = yaml::parse(&read("prometheus/rules.yaml")?)?;
    ensure!(made["PrometheusRule/gateway-tollgate"]["spec"] == rules, "other rules");
    let boards = &made["ConfigMap/gateway-tollgate-dashboards"]["data"];
    for name in ["operations", "finance", "project"] {
        let told: Value = serde_json::from_str(boards[format!("{name}.json")].as_str().context("a text")?)?;
        let original: Value = serde_json::from_str(&read(&format!("grafana/{name}.json"))?)?;
        ensure!(told == original, "another dashboard {name}");
    }
    for (number, job) in
        ["CronJob/gateway-tollgate-backup-0", "CronJob/gateway-tollgate-backup-1"].iter().enumerate()
    {
        let pod = &made[*job]["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        confined(pod)?;
        let claim = &pod["volumes"][0]["persistentVolumeClaim"]["claimName"];
        ensure!(*claim == format!("data-gateway-tollgate-{number}"), "{claim}");
        // The program takes these arguments.
        let arguments: Vec<&str> =
            list(&pod["containers"][0]["args"]).iter().filter_map(Value::as_str).collect();
        let tried = Command::new(TOLLGATE).args(&arguments).output()?;
        ensure!(tried.status.code() == Some(1), "{arguments:?}: {} {}", tried.status, text(&tried.stderr));
        ensure!(text(&tried.stderr).contains("no journal"), "{}", text(&tried.stderr));
    }
    Ok(())
}

#[test]
fn values_that_cannot_work_are_refused() -> Result<()> {
    let several = manifests(&values(&[("replicas", json!(2))])?);
    let told = format!("{:#}", several.err().context("two gateways with a ledger each")?);
    ensure!(told.contains("needs config.ledger.store: postgres"), "{told}");
    let unnamed = manifests(&values(&[("backup.enabled", json!(true))])?);
    let told = format!("{:#}", unnamed.err().context("a backup to nowhere")?);
    ensure!(told.contains("backup.claimName"), "{told}");

    let schema: Value = serde_json::from_str(&read("helm/tollgate/values.schema.json")?)?;
    for fine in [values(&[])?, all_on()?] {
        ensure!(schema::faults(&schema, &fine, "").is_empty(), "{:?}", schema::faults(&schema, &fine, ""));
    }
    let wrong = [
        ("replicas", json!("two")),
        ("replicas", json!(-1)),
        ("replica", json!(2)),
        ("image.pullPolicy", json!("Sometimes")),
        ("image.repository", json!("")),
        ("shutdown.drainSeconds", json!("600s")),
        ("config.listen", json!({})),
        ("config.teams", Value::Null),
        ("backup.enabled", json!("yes")),
        ("prices", json!({})),
        ("monitoring.rule", json!(true)),
    ];
    for (path, value) in wrong {
        let mut values = values(&[(path, value.clone())])?;
        if value.is_null() {
            values["config"].as_object_mut().context("a map")?.remove("teams");
        }
        ensure!(!schema::faults(&schema, &values, "").is_empty(), "{path}: {value} is taken");
    }
    Ok(())
}

/// `TOLLGATE_BLESS=1` writes the file instead of comparing it.
#[test]
fn the_manifests_for_those_without_helm_are_those_of_the_chart() -> Result<()> {
    let values =
        values(&[("backup", json!({ "enabled": true, "schedule": "17 3 * * *", "claimName": "backups" }))])?;
    let mut wanted = String::from(
        "# What the chart in deploy/helm/tollgate makes of its own values, with a backup each night: an example for\n\
         # those without Helm. A test keeps it so. Edit the ConfigMap, make the Secret tollgate-secrets, then:\n\
         #   kubectl apply -n ai -f tollgate.yaml\n\
         # A changed ConfigMap is taken up without a restart, a minute or so after it is applied.\n",
    );
    for (template, made) in Chart::read(&deployed("helm/tollgate"))?.render(&values)? {
        if template != "NOTES.txt" {
            wanted.push_str(&format!("---\n{}\n", made.trim().trim_start_matches("---\n")));
        }
    }
    let path = deployed("kubernetes/tollgate.yaml");
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        fs::write(&path, &wanted)?;
    }
    ensure!(fs::read_to_string(&path)? == wanted, "{} is old: TOLLGATE_BLESS=1 writes it", path.display());
    Ok(())
}

#[test]
fn the_compose_file_names_what_is_there() -> Result<()> {
    let compose = yaml::parse(&read("compose/compose.yaml")?)?;
    let services = compose["services"].as_object().context("services")?;
    for (name, service) in services {
        for needed in service["depends_on"].as_object().into_iter().flatten().map(|(needed, _)| needed) {
            ensure!(services.contains_key(needed), "{name} needs {needed}");
        }
        for volume in list(&service["volumes"]).iter().filter_map(Value::as_str) {
            let source = volume.split(':').next().unwrap_or_default();
            let is_there = match source.starts_with('.') {
                true => deployed("compose").join(source).exists(),
                false => compose["volumes"].get(source).is_some(),
            };
            ensure!(is_there, "{name}: {volume}");
        }
    }
    let gateway = &services["gateway"];
    ensure!(gateway["read_only"] == true && gateway["cap_drop"] == json!(["ALL"]), "it is not confined");
    ensure!(gateway["stop_grace_period"] == "620s", "{}", gateway["stop_grace_period"]);
    let folder = tempfile::tempdir()?;
    check(folder.path(), Some(&read("compose/tollgate.yaml")?), Some(&read("compose/prices.yaml")?))?;
    let config = read("compose/tollgate.yaml")?;
    let given = gateway["environment"].as_object().context("an environment")?;
    for name in config.split("${env:").skip(1).filter_map(|rest| rest.split('}').next()) {
        ensure!(given.contains_key(name), "the gateway is not given {name}");
    }
    Ok(())
}
