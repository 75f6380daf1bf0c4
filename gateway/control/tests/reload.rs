//! A running gateway takes a new configuration whole, or stays as it was and says why.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use tempfile::TempDir;
use tollgate_accounting::quota::{Period, ScopeId, ScopeKind};
use tollgate_control::{
    config::{Document, Sources, compile, quotas},
    history::{History, Source},
    reload::{ChangeError, Outcome, Reloader, Watch},
};
use tollgate_domain::{Money, UnixMillis};
use tollgate_proxy::{Crowd, Live, Priority, Snapshot};

const BASE: &str = "\
organization: contoso
instance: gw-test
regions:
  - { name: east, zone: us }
  - { name: west, zone: eu }
upstreams:
  - { name: openai, dialect: openai, region: east, base_url: \"http://127.0.0.1:1/v1/\", allow_private: true, credential: \"${env:SECRET}-u\" }
  - { name: azure, dialect: azure-openai, region: west, base_url: \"http://127.0.0.1:2\", allow_private: true, account: contoso-prod }
prices: [prices.yaml]
models:
  - name: gpt
    deployments: [gpt-prod]
    targets:
      - { upstream: azure, model: gpt-5, priority: 2 }
      - { upstream: openai, model: gpt-5, priority: 1, weight: 7 }
teams:
  - name: retail
    cost_center: CC-1
    budget: { amount: \"10\", period: day }
    projects:
      - name: search
        models: [gpt]
        zones: [us, eu]
        tags: { environment: prod }
        keys:
          - { name: prod, secret: \"${env:SECRET}-key\", expires: 2030-01-01, refusal_status: 402 }
";

const PRICES: &str = "prices: [{ model: gpt-5, from: 2025-01-01, input: \"1\", output: \"2\" }]\n";

struct Gateway {
    folder: TempDir,
    reloader: Arc<Reloader>,
    told: Receiver<Result<u64, String>>,
}

impl Gateway {
    fn start(text: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("prices.yaml"), PRICES).expect("prices");
        fs::write(folder.path().join("main.yaml"), text).expect("a file");
        Self::start_in(folder, "main.yaml")
    }

    fn start_in(folder: TempDir, main: &str) -> Self {
        let document = load(folder.path(), main);
        let live = Arc::new(Live::new(quotas(&document)));
        let history = History::open(folder.path().join("data/history")).expect("a folder");
        let (tell, told) = channel();
        let tell = move |outcome: Outcome<'_>| {
            let _ = tell.send(match outcome {
                Outcome::Applied(running) => Ok(running.version.number),
                Outcome::Refused(refusal) => Err(refusal.errors.to_string()),
            });
        };
        let reloader =
            Reloader::start(document, live, [7; 32], history, tell).unwrap_or_else(|error| panic!("{error}"));
        Self { folder, reloader, told }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("main.yaml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("a file");
    }

    fn read(&self) -> String {
        fs::read_to_string(self.path()).expect("a file")
    }

    fn version(&self) -> u64 {
        self.reloader.snapshot().load().version
    }

    /// Waits for the next outcome; how long it takes decides nothing but that it comes at all.
    fn next_outcome(&self) -> Result<u64, String> {
        self.told.recv_timeout(Duration::from_secs(30)).expect("an outcome")
    }
}

fn load(folder: &Path, main: &str) -> Document {
    let sources = Sources::fixed(folder, [("SECRET", "secret-0123456789")]);
    Document::load(Path::new(main), &sources).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The base with one project more, named so.
fn with_project(name: &str) -> String {
    format!("{BASE}      - {{ name: {name}, models: [gpt] }}\n")
}

#[test]
fn a_sound_file_comes_into_force_as_the_next_version() {
    let gateway = Gateway::start(BASE);
    assert_eq!(gateway.version(), 1);
    gateway.write(&with_project("more"));
    let running =
        gateway.reloader.reload(Source::Signal, "SIGHUP").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((running.version.number, gateway.version()), (2, 2));
    assert_eq!(running.version.source, Source::Signal);
    assert_eq!(gateway.next_outcome(), Ok(2));
    let kept = gateway.reloader.history().list().expect("readable");
    assert_eq!(kept.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);
    assert_ne!(kept[0].hash, kept[1].hash);
}

#[test]
fn the_same_text_keeps_its_number() {
    let gateway = Gateway::start(BASE);
    let running =
        gateway.reloader.reload(Source::Signal, "SIGHUP").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(running.version.number, 1);
    let again = Gateway::start_in(gateway.folder, "main.yaml");
    assert_eq!(again.version(), 1);
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_place() {
    let gateway = Gateway::start(BASE);
    let before = gateway.reloader.snapshot().load_full();
    gateway.write(&BASE.replace("region: west", "region: wset"));
    let errors = gateway.reloader.reload(Source::File, "test").err().expect("refused");
    let told = "main.yaml:8:51: upstreams[1].region: there is no region `wset`; did you mean `west`?";
    assert!(errors.to_string().contains(told), "{errors}");
    assert!(Arc::ptr_eq(&before, &gateway.reloader.snapshot().load_full()));
    let refusal = gateway.reloader.last_error().expect("kept for people");
    assert_eq!(refusal.errors, errors);
    assert!(gateway.next_outcome().is_err());

    gateway.write(BASE);
    gateway.reloader.reload(Source::File, "test").unwrap_or_else(|errors| panic!("{errors}"));
    assert!(gateway.reloader.last_error().is_none());
}

#[test]
fn a_field_that_needs_a_restart_is_refused_by_name() {
    let gateway = Gateway::start(BASE);
    gateway.write(&BASE.replace(
        "instance: gw-test",
        "instance: gw-2\nworkers: 3\nlisten: { data: { address: \"127.0.0.1:7\" } }",
    ));
    let errors = gateway.reloader.reload(Source::File, "test").err().expect("refused");
    let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "main.yaml:2:11: instance: a change of this field needs a restart",
            "main.yaml:3:10: workers: a change of this field needs a restart",
            "main.yaml:4:28: listen.data.address: a change of this field needs a restart",
        ]
    );
}

#[test]
fn a_candidate_is_validated_without_touching_anything() {
    let gateway = Gateway::start(BASE);
    assert!(gateway.reloader.validate(&with_project("more")).is_ok());
    let errors = gateway.reloader.validate("teams: 5\n").err().expect("refused");
    assert!(errors.to_string().starts_with("main.yaml:1:8: teams: "), "{errors}");
    assert_eq!((gateway.version(), gateway.read()), (1, BASE.to_owned()));
    assert!(gateway.reloader.last_error().is_none());
}

/// Of a caller who does not say what the change was made from.
fn anything(_: &str) -> bool {
    true
}

#[test]
fn a_file_that_somebody_is_changing_is_not_written_over() {
    let gateway = Gateway::start(BASE);
    gateway.write(&with_project("by-hand"));
    for outcome in [
        gateway.reloader.replace(&with_project("more"), anything, "ops"),
        gateway.reloader.rollback(1, anything, "ops"),
    ] {
        assert!(matches!(outcome, Err(ChangeError::FileChanged(path)) if path.ends_with("main.yaml")));
    }
    assert_eq!((gateway.version(), gateway.read()), (1, with_project("by-hand")));
}

#[test]
fn a_version_that_would_not_be_whole_is_not_rolled_back_to() {
    let text = format!("include: [more-*.yaml]\n{BASE}");
    let gateway = Gateway::start(&text);
    let added = gateway.folder.path().join("more-1.yaml");
    fs::write(&added, "shutdown: { drain: 5s }\n").expect("ours");
    gateway.reloader.reload(Source::File, "test").unwrap_or_else(|errors| panic!("{errors}"));
    let outcome = gateway.reloader.rollback(1, anything, "ops");
    let told = outcome.err().expect("the new file would be among them").to_string();
    assert!(told.contains("more-1.yaml"), "{told}");
    assert_eq!((gateway.version(), gateway.read()), (2, text.clone()));
    fs::remove_file(added).expect("ours");
    gateway.reloader.reload(Source::File, "test").unwrap_or_else(|errors| panic!("{errors}"));
    fs::write(gateway.folder.path().join("more-1.yaml"), "shutdown: { drain: 5s }\n").expect("ours");
    gateway.reloader.reload(Source::File, "test").unwrap_or_else(|errors| panic!("{errors}"));
    fs::remove_file(gateway.folder.path().join("more-1.yaml")).expect("ours");
    gateway.reloader.reload(Source::File, "test").unwrap_or_else(|errors| panic!("{errors}"));
    let back = gateway.reloader.rollback(2, anything, "ops").unwrap_or_else(|error| panic!("{error}"));
    assert!(
        back.document.parts.iter().any(|part| part.path.ends_with("more-1.yaml")),
        "a file that went comes back"
    );
}

#[test]
fn a_text_from_the_api_replaces_the_file_or_leaves_it() {
    let gateway = Gateway::start(BASE);
    let hash = gateway.reloader.running().version.hash.clone();
    gateway
        .reloader
        .replace(&with_project("more"), |running| running == hash, "ops")
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((gateway.version(), gateway.read()), (2, with_project("more")));

    let outdated = gateway.reloader.replace(BASE, |running| running == hash, "ops");
    assert!(matches!(outdated, Err(ChangeError::Outdated { running: 2 })));
    let refused = gateway.reloader.replace("teams: 5\n", anything, "ops");
    assert!(matches!(refused, Err(ChangeError::Refused(_))));
    assert_eq!((gateway.version(), gateway.read()), (2, with_project("more")));

    let running = gateway.reloader.rollback(1, anything, "ops").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((running.version.number, gateway.read()), (3, BASE.to_owned()));
    assert!(matches!(gateway.reloader.rollback(99, anything, "ops"), Err(ChangeError::UnknownVersion(99))));
}

#[test]
fn changed_files_are_noticed_broken_ones_too() {
    let gateway = Gateway::start(BASE);
    let _watch = Watch::start(Arc::clone(&gateway.reloader)).expect("a thread");
    gateway.write(&with_project("more"));
    assert_eq!(gateway.next_outcome(), Ok(2));
    gateway.write("teams: 5\n");
    assert!(gateway.next_outcome().expect_err("refused").starts_with("main.yaml:1:8: teams: "));
    assert_eq!(gateway.version(), 2);
    // As editors do: another file takes the name.
    fs::write(gateway.folder.path().join("main.yaml~"), with_project("other")).expect("a file");
    fs::rename(gateway.folder.path().join("main.yaml~"), gateway.path()).expect("renamed");
    assert_eq!(gateway.next_outcome(), Ok(3));
    fs::write(gateway.folder.path().join("prices.yaml"), PRICES.replace("\"1\"", "\"3\"")).expect("prices");
    assert_eq!(gateway.next_outcome(), Ok(4));
}

#[cfg(unix)]
#[test]
fn a_swapped_link_above_the_file_is_noticed() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("prices.yaml"), PRICES).expect("prices");
    for (name, text) in [("..1", BASE.to_owned()), ("..2", with_project("more"))] {
        fs::create_dir(at(name)).expect("a folder");
        fs::write(at(name).join("main.yaml"), text).expect("a file");
    }
    // As Kubernetes mounts a ConfigMap.
    symlink("..1", at("..data")).expect("a link");
    symlink("..data/main.yaml", at("main.yaml")).expect("a link");
    let (two, data) = (at("..data_tmp"), at("..data"));
    let gateway = Gateway::start_in(folder, "main.yaml");
    let _watch = Watch::start(Arc::clone(&gateway.reloader)).expect("a thread");
    symlink("..2", &two).expect("a link");
    fs::rename(&two, &data).expect("swapped");
    assert_eq!(gateway.next_outcome(), Ok(2));
}

#[test]
fn a_signal_is_a_message_to_the_watch() {
    let gateway = Gateway::start(BASE);
    let watch = Watch::start(Arc::clone(&gateway.reloader)).expect("a thread");
    let (done, is_done) = std::sync::mpsc::channel();
    watch.reload_soon(Source::Signal, "SIGHUP", move || {
        let _ = done.send(());
    });
    is_done.recv().expect("the thread answers");
    assert_eq!(gateway.next_outcome(), Ok(1));
}

fn compiled(text: &str, live: &Live) -> Arc<Snapshot> {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("prices.yaml"), PRICES).expect("prices");
    fs::write(folder.path().join("main.yaml"), text).expect("a file");
    let document = load(folder.path(), "main.yaml");
    compile(&document, 4, [7; 32], &[], live).unwrap_or_else(|errors| panic!("{errors}")).snapshot
}

fn live() -> Live {
    Live::new(tollgate_accounting::quota::Quotas::new(
        tollgate_accounting::quota::Calendar::utc(),
        "USD".into(),
    ))
}

#[test]
fn a_document_becomes_the_snapshot_that_it_describes() {
    let snapshot = compiled(BASE, &live());
    assert_eq!((snapshot.version, &*snapshot.currency), (4, "USD"));
    assert_eq!(snapshot.routes.deployments["gpt-prod"].as_str(), "gpt");
    let route = &snapshot.routes.by_alias["gpt"];
    let names: Vec<Vec<&str>> = route
        .levels
        .iter()
        .map(|level| level.iter().map(|target| target.upstream.name.as_str()).collect())
        .collect();
    assert_eq!(names, [["openai"], ["azure"]]);

    let first = &route.levels[0][0];
    assert_eq!((first.weight, first.price.is_some()), (7, true));
    assert_eq!(first.upstream.base_path, "/v1");
    assert_eq!(first.upstream.origin.authority(), "127.0.0.1:1");
    assert_eq!((first.place.provider.as_ref(), first.place.zone.as_str()), ("openai", "us"));
    assert_eq!(first.place.account.as_deref(), Some("openai"));
    let second = &route.levels[1][0];
    assert_eq!(
        (second.place.provider.as_ref(), second.place.account.as_deref()),
        ("azure", Some("contoso-prod"))
    );
    assert_eq!(second.live.name.as_ref(), "gpt-5@azure");

    let principal = snapshot.keys.principals().next().expect("one key");
    let scopes: Vec<String> = principal.scopes.iter().map(|scope| scope.id().to_string()).collect();
    assert_eq!(scopes, ["key retail/search/prod", "project retail/search", "team retail"]);
    assert!(principal.hard_budget && principal.reserve_full);
    assert_eq!(principal.refusal_status, 402);
    assert_eq!(principal.expires, Some(UnixMillis::new(1_893_456_000_000)));
    assert_eq!(principal.identity.cost_center.as_deref(), Some("CC-1"));
    assert_eq!(principal.zones.as_ref().map(Vec::len), Some(2));
}

#[test]
fn a_key_is_as_urgent_as_it_says_else_as_its_project() {
    let live = live();
    let priorities = |text: &str| {
        let snapshot = compiled(text, &live);
        let mut standings: Vec<_> = snapshot
            .keys
            .principals()
            .map(|principal| (principal.identity.key.to_string(), principal.standing.clone()))
            .collect();
        standings.sort_by(|one, other| one.0.cmp(&other.0));
        let crowd = standings[0].1.crowd;
        let told =
            standings.iter().map(|(key, standing)| (key.clone(), standing.priority)).collect::<Vec<_>>();
        (told, crowd)
    };
    let prod = |priority| vec![("prod".to_owned(), priority)];
    let alone = Crowd { interactive: false, several: false };
    assert_eq!(priorities(BASE), (prod(Priority::Standard), alone));
    let batch = BASE.replace("models: [gpt]", "models: [gpt]\n        priority: batch");
    assert_eq!(priorities(&batch), (prod(Priority::Batch), alone));
    let urgent = batch.replace("name: prod,", "name: prod, priority: interactive,");
    assert_eq!(priorities(&urgent), (prod(Priority::Interactive), Crowd { interactive: true, ..alone }));
    let (_, crowd) = priorities(&with_project("more"));
    assert_eq!(crowd, Crowd { several: true, ..alone });
}

#[test]
fn admission_is_bounded_as_configured_and_generously_else() {
    let live = live();
    let usual = compiled(BASE, &live).edge;
    assert_eq!((usual.max_in_flight, usual.max_bytes_held), (20_000, 1 << 30));
    let admission = "admission: { max_in_flight: 7, max_body_bytes_held: 64MiB }\n";
    let bounded = compiled(&format!("{BASE}{admission}"), &live).edge;
    assert_eq!((bounded.max_in_flight, bounded.max_bytes_held), (7, 64 << 20));
    let former = compiled(&format!("{BASE}edge: {{ max_in_flight: 9 }}\n"), &live).edge;
    assert_eq!(former.max_in_flight, 9);
}

#[test]
fn live_cells_outlive_the_configuration() {
    let live = live();
    let (first, second) = (compiled(BASE, &live), compiled(&with_project("more"), &live));
    let target = |snapshot: &Snapshot| Arc::clone(&snapshot.routes.by_alias["gpt"].levels[0][0]);
    assert!(Arc::ptr_eq(&target(&first).live, &target(&second).live));
    assert!(Arc::ptr_eq(&target(&first).fate, &target(&second).fate));
    assert_eq!(target(&first).upstream.pool_key, target(&second).upstream.pool_key);
}

#[test]
fn what_was_spent_under_a_former_name_is_carried_over() {
    let live = live();
    let spent: Money = "3.5".parse().expect("an amount");
    let start = UnixMillis::new(0);
    live.quotas.restore(&ScopeId { kind: ScopeKind::Team, name: "shops".into() }, Period::Day, start, spent);
    let snapshot =
        compiled(&BASE.replace("  - name: retail", "  - name: retail\n    renamed_from: [shops]"), &live);
    let scopes = &snapshot.keys.principals().next().expect("one key").scopes;
    let statuses = live.quotas.statuses(scopes, UnixMillis::new(1));
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].spent, spent);
}

#[test]
fn contradictory_prices_and_unusable_certificates_are_found_at_their_place() {
    let folder = TempDir::new().expect("a temporary folder");
    let text = BASE.replace(
        "instance: gw-test",
        "listen: { data: { address: \"127.0.0.1:0\", tls: { cert: c.pem, key: k.pem } } }",
    );
    let double = "prices:\n  - { model: m, from: 2025-01-01, input: \"1\" }\n  - { model: m, from: 2025-01-01, input: \"2\" }\n";
    for (name, text) in [
        ("main.yaml", text.as_str()),
        ("prices.yaml", double),
        ("c.pem", "no certificate"),
        ("k.pem", "no key"),
    ] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let errors = compile(&load(folder.path(), "main.yaml"), 1, [0; 32], &[], &live())
        .err()
        .expect("refused")
        .to_string();
    assert!(
        errors.contains("prices.yaml:3:5: prices[1]: the entry at prices.yaml:2:5 has the same model"),
        "{errors}"
    );
    assert!(errors.contains("main.yaml:2:48: listen.data.tls: c.pem and k.pem cannot be served"), "{errors}");
}

#[test]
fn it_is_known_when_certificates_end() {
    let folder = TempDir::new().expect("a temporary folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut of = rcgen::CertificateParams::new(["gateway".to_owned()]).expect("a name");
    of.not_after = rcgen::date_time_ymd(2031, 2, 3);
    let certificate = of.self_signed(&key).expect("it signs itself");
    let tls = "tls: { cert: c.pem, key: k.pem }";
    let text = BASE
        .replace("instance: gw-test", &format!("listen: {{ data: {{ address: \"127.0.0.1:0\", {tls} }} }}"));
    let files = [("main.yaml", text), ("c.pem", certificate.pem()), ("k.pem", key.serialize_pem())];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    fs::write(folder.path().join("prices.yaml"), "prices: []\n").expect("a file");
    let compiled = compile(&load(folder.path(), "main.yaml"), 1, [0; 32], &[], &live()).expect("it is fine");
    let ends: Vec<_> = compiled.settings.certificates.iter().map(|end| (&*end.name, end.ends)).collect();
    assert_eq!(ends, [("listen.data", 1927843200)]);
}
