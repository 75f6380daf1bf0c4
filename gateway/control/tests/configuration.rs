//! What people are told about their configuration files: every fault at its line and column.

use std::{fs, path::Path};

use proptest::prelude::*;
use tempfile::TempDir;
use tollgate_control::config::{Document, Errors, Sources};

const EXAMPLE: &str = include_str!("../../../config/tollgate.yaml");
const EXAMPLE_PRICES: &str = include_str!("../../../config/prices.yaml");

/// Variables that the example names, and some that tests use.
const VARIABLES: [(&str, &str); 8] = [
    ("TOLLGATE_ADMIN_TOKEN", "admin-token-0123456789"),
    ("AOAI_EASTUS_KEY", "aoai-eastus-0123456789"),
    ("AOAI_SWEDEN_KEY", "aoai-sweden-0123456789"),
    ("OPENAI_API_KEY", "sk-openai-0123456789"),
    ("ANTHROPIC_API_KEY", "sk-ant-0123456789"),
    ("SEARCH_PROD_KEY", "search-prod-0123456789"),
    ("BATCH_PROD_KEY", "batch-prod-0123456789"),
    ("SHORT", "hunter2"),
];

/// A folder with files, and what loading its `main.yaml` gives.
fn load(files: &[(&str, &str)]) -> (TempDir, Result<Document, Errors>) {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside the folder")).expect("a subfolder");
        fs::write(path, text).expect("a file");
    }
    let document = Document::load(Path::new("main.yaml"), &Sources::fixed(folder.path(), VARIABLES));
    (folder, document)
}

/// The problems of a configuration, one a line; warnings too when it loads.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    match load(files).1 {
        Ok(document) => document.warnings.iter().map(ToString::to_string).collect(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

/// A small sound configuration.
const BASE: &str = "\
regions:
  - { name: eastus, zone: us }
upstreams:
  - name: openai
    dialect: openai
    region: eastus
    base_url: https://api.contoso.com/v1
    credential: \"${env:OPENAI_API_KEY}\"
models:
  - name: gpt
    targets:
      - { upstream: openai, model: gpt-5 }
teams:
  - name: retail
    projects:
      - name: search
        models: [gpt]
        keys:
          - { name: prod, secret: \"${env:SEARCH_PROD_KEY}\" }
";

/// The small sound configuration with one part replaced.
fn with(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old:?} is not in the base");
    BASE.replacen(old, new, 1)
}

#[test]
fn the_documented_example_is_sound() {
    let (_folder, document) = load(&[("main.yaml", EXAMPLE), ("config/prices.yaml", EXAMPLE_PRICES)]);
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(document.warnings, []);
    assert_eq!(document.file.teams.len(), 2);
    assert!(!document.prices.items.is_empty());
}

#[test]
fn an_empty_file_is_a_gateway_that_serves_nobody() {
    assert_eq!(problems(&[("main.yaml", "version: 1\n")]), [""; 0]);
}

#[test]
fn names_that_older_yaml_took_for_booleans_are_names() {
    let (_folder, document) = load(&[("main.yaml", "regions: [{ name: no, zone: y }]\n")]);
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((&*document.file.regions[0].name, &*document.file.regions[0].zone), ("no", "y"));
}

#[test]
fn text_and_type_faults_are_found_at_their_place() {
    let cases = [
        ("teams: [\n", "main.yaml:1:8: ", "unclosed bracket"),
        ("a:\n\t- b\n", "main.yaml:2:", ""),
        ("organization: a\norganization: b\n", "main.yaml:2:1: ", "uplicate"),
        (
            "upstream: []\n",
            "main.yaml:1:1: upstream: ",
            "there is no field `upstream` here; did you mean `upstreams`?",
        ),
        ("workers: many\n", "main.yaml:1:10: workers: ", "expected a whole number, found a text"),
        ("workers: -1\n", "main.yaml:1:10: workers: ", "from 0 to 4294967295"),
        (
            "organization: 5\n",
            "main.yaml:1:15: organization: ",
            "expected a text, found a number: put it in quotes",
        ),
        ("teams: {}\n", "main.yaml:1:8: teams: ", "expected a list, found a group of fields"),
        (
            "shutdown: { drain: 10 }\n",
            "main.yaml:1:20: shutdown.drain: ",
            "expected a length of time such as",
        ),
        ("edge: { max_body: 32MB }\n", "main.yaml:1:19: edge.max_body: ", "expected a size such as"),
        (
            "ledger: { durability: proces }\n",
            "main.yaml:1:23: ledger.durability: ",
            "did you mean `process`?",
        ),
        ("regions:\n  - name: a\n", "main.yaml:2:5: regions[0]: ", "the field `zone` is missing"),
        (
            "listen: { data: { address: here } }\n",
            "main.yaml:1:28: listen.data.address: ",
            "an IP address and a port",
        ),
        ("prices: [none.yaml]\n", "main.yaml:1:10: prices[0]: ", "cannot read none.yaml"),
        ("- 1\n", "main.yaml:1:1: ", "expected a group of fields, found a list"),
    ];
    for (text, place, part) in cases {
        let found = problems(&[("main.yaml", text)]);
        assert!(
            found.iter().any(|line| line.starts_with(place) && line.contains(part)),
            "{text:?}: {found:#?}"
        );
    }
}

#[test]
fn semantic_faults_are_found_at_the_value_at_fault() {
    let cases = [
        (
            with("zone: us }", "zone: us }\n  - { name: eastus, zone: eu }"),
            "3:13: regions[1].name: the region `eastus` is given twice, first at main.yaml:2:13",
        ),
        (
            with("region: eastus", "region: eastsu"),
            "6:13: upstreams[0].region: there is no region `eastsu`; did you mean `eastus`?",
        ),
        (
            format!("{BASE}ledger:\n  journal: {{ segment: 4KiB }}\n"),
            "21:23: ledger.journal.segment: a segment has between 256KiB and 1GiB",
        ),
        (
            format!("{BASE}admission:\n  max_in_flight: 0\n"),
            "21:18: admission.max_in_flight: expected a number from 1 to 1000000",
        ),
        (format!("{BASE}admission:\n  memory: 0MiB\n"), "21:11: admission.memory: must be at least 1B"),
        (
            format!("{BASE}admission: {{ max_in_flight: 5 }}\nedge: {{ max_in_flight: 5 }}\n"),
            "21:24: edge.max_in_flight: the same as `admission.max_in_flight`: give that one only",
        ),
        (
            format!("{BASE}edge: {{ max_in_flight: 5 }}\n"),
            "20:24: warning: edge.max_in_flight: it is called `admission.max_in_flight` now",
        ),
        (
            with("models: [gpt]", "models: [gpt]\n        priority: urgent"),
            "18:19: teams[0].projects[0].priority: must be one of: interactive, standard, batch",
        ),
        (
            with("upstream: openai", "upstream: opnai"),
            "12:21: models[0].targets[0].upstream: there is no upstream `opnai`; did you mean `openai`?",
        ),
        (
            with("dialect: openai", "dialect: openai\n    apis: []"),
            "6:11: upstreams[0].apis: expected `chat_completions`, `responses` or both; leave it out for both",
        ),
        (
            with("dialect: openai", "dialect: openai\n    apis: [response]"),
            "6:12: upstreams[0].apis[0]: must be one of: chat_completions, responses; did you mean `responses`?",
        ),
        (
            with("dialect: openai", "dialect: anthropic\n    apis: [responses]"),
            "6:11: upstreams[0].apis: only `openai` and `azure-openai` have several ways to converse",
        ),
        (
            with("models: [gpt]", "models: [gtp]"),
            "17:18: teams[0].projects[0].models[0]: there is no model `gtp`; did you mean `gpt`?",
        ),
        (
            with("models: [gpt]", "models: [gpt]\n        prompts: [{ id: p, upstream: opnai }]"),
            "18:38: teams[0].projects[0].prompts[0].upstream: there is no upstream `opnai`; did you mean `openai`?",
        ),
        (
            with(
                "models: [gpt]",
                "models: [gpt]\n        prompts: [{ id: p, upstream: openai }, { id: p, upstream: openai }]",
            ),
            "18:54: teams[0].projects[0].prompts[1].id: the prompt `p` is given twice, first at main.yaml:18:25",
        ),
        (
            with("models: [gpt]", "models: [gpt]\n        prompts: [{ id: p, upstream: openai }]")
                .replace("dialect: openai", "dialect: openai\n    apis: [chat_completions]"),
            "19:38: teams[0].projects[0].prompts[0].upstream: the upstream `openai` has no responses, which fill in \
             stored prompts",
        ),
        (
            with("models: [gpt]", "models: [gpt]\n        zones: [su]"),
            "18:17: teams[0].projects[0].zones[0]: there is no zone `su`",
        ),
        (
            with("model: gpt-5", "model: gpt-5, weight: 0"),
            "12:51: models[0].targets[0].weight: must be at least 1",
        ),
        (
            with("model: gpt-5", "model: gpt-5, price: p"),
            "12:50: models[0].targets[0].price: there is no price entry `p`",
        ),
        (
            with("${env:SEARCH_PROD_KEY}", "${env:NONE}"),
            "19:35: teams[0].projects[0].keys[0].secret: the environment variable NONE is not set",
        ),
        (
            with("${env:SEARCH_PROD_KEY}", "${env:SHORT}"),
            "19:35: teams[0].projects[0].keys[0].secret: a secret needs at least 16 bytes, this one has 7",
        ),
        (
            with("${env:SEARCH_PROD_KEY}", "changeme-changeme"),
            "19:35: teams[0].projects[0].keys[0].secret: this is a sample",
        ),
        (
            with("secret: \"${env:SEARCH_PROD_KEY}\"", "expires: 2030-01-01"),
            "19:13: teams[0].projects[0].keys[0]: a key needs a `secret` or a `sha256`",
        ),
        (
            with("}\" }\n", "}\" }\n          - { name: b, secret: \"${env:SEARCH_PROD_KEY}\" }\n"),
            "20:32: teams[0].projects[0].keys[1].secret: the same secret is given at main.yaml:19:35",
        ),
        (
            with("https://api.contoso.com/v1", "http://10.0.0.5/v1"),
            "7:15: upstreams[0].base_url: a private or loopback address needs `allow_private: true`",
        ),
        (
            with("    dialect: openai\n", "    dialect: openai\n    probes: { generate: gpt-4 }\n"),
            "6:25: upstreams[0].probes.generate: no target of this upstream has the model `gpt-4`; name one that a model of `models` uses",
        ),
        (
            with("    dialect: openai\n", "    dialect: cohere\n    probes: { generate: gpt-5 }\n"),
            "6:25: upstreams[0].probes.generate: this dialect has no conversations to ask for; leave it out",
        ),
        (
            with(
                "    dialect: openai\n",
                "    dialect: openai\n    http2: true\n    probes: { generate: gpt-5 }\n",
            ),
            "7:25: upstreams[0].probes.generate: looks speak HTTP/1.1 and this upstream is spoken to by `http2`; leave it out",
        ),
        (with("https://api.contoso.com/v1", "ftp://a"), "7:15: upstreams[0].base_url: expected an address"),
        (
            with("dialect: openai", "dialect: opnai"),
            "5:14: upstreams[0].dialect: must be one of: openai, azure-openai, anthropic, gemini, bedrock, cohere; did you mean `openai`?",
        ),
        (
            with("credential: \"${env:OPENAI_API_KEY}\"", "credential: { type: aws, access_key_id: a }"),
            "8:17: upstreams[0].credential: the field `secret_access_key` is missing",
        ),
        (
            with("  - name: gpt\n", "  - name: gpt\n    fallback: x\n"),
            "11:15: models[0].fallback: there is no model `x`",
        ),
        (
            with("  - name: gpt\n", "  - name: gpt\n    fallback: gpt\n"),
            "11:15: models[0].fallback: a model is no fallback of its own",
        ),
        (
            with("  - name: gpt\n", "  - name: gpt\n    hedge: { max_cost: \"0\" }\n"),
            "11:24: models[0].hedge.max_cost: must be more than zero",
        ),
        (
            with("  - name: gpt\n", "  - name: gpt\n    sensitivity: 10\n"),
            "11:18: models[0].sensitivity: only `balance: latency` has a sensitivity",
        ),
        (
            with("  - name: gpt\n", "  - name: gpt\n    balance: fastest\n"),
            "11:14: models[0].balance: must be one of: p2c, weighted, latency, affinity",
        ),
        (
            with("model: gpt-5", "model: gpt-5, weight: -1"),
            "12:51: models[0].targets[0].weight: expected a whole number from 0 to",
        ),
        (
            with("  - name: gpt\n", "  - name: gpt\n    deployments: [d, d]\n"),
            "11:22: models[0].deployments[1]: the deployment `d` already leads to the model `gpt`",
        ),
        (
            with("  - name: retail\n", "  - name: retail\n    budget: { amount: 1.5, period: day }\n"),
            "15:23: teams[0].budget.amount: expected a text, found a number: put it in quotes",
        ),
        (with("  - name: retail\n", "  - name: retail/x\n"), "14:11: teams[0].name: a name cannot have `/`"),
        (
            with("regions:\n", "fleet: { store: valkey }\nregions:\n"),
            "1:8: fleet: `fleet` is not available yet",
        ),
        (
            with("regions:\n", "ledger: { store: postgres }\nregions:\n"),
            "1:18: ledger.store: the store `postgres` needs a `url`",
        ),
        (
            with("regions:\n", "ledger: { store: postgres, url: \"postgres://host/db\" }\nregions:\n"),
            "1:33: ledger.url: the URL names no user",
        ),
        (
            with("regions:\n", "ledger: { url: \"postgres://u@host/db\" }\nregions:\n"),
            "1:16: ledger.url: is for the store `postgres`",
        ),
        (
            with(
                "regions:\n",
                "ledger: { store: postgres, retention: 30d, url: \"postgres://u@h/db\" }\nregions:\n",
            ),
            "1:39: ledger.retention: must be at least 31d",
        ),
        (
            with("regions:\n", "ledger: { retention: 90d }\nregions:\n"),
            "1:22: ledger.retention: is for the store `postgres`",
        ),
        (
            with("regions:\n", "calendar: { timezone: Mars/Base }\nregions:\n"),
            "1:23: calendar.timezone: there is no time zone `Mars/Base`",
        ),
        (with("regions:\n", "version: 2\nregions:\n"), "1:10: version: version 2 is not known"),
        (
            with("regions:\n", "allocation: { idle: { method: shares } }\nregions:\n"),
            "1:31: allocation.idle.method: `shares` needs the teams' `shares`",
        ),
        (
            with("regions:\n", "allocation: { idle: { shares: { retail: 10% } } }\nregions:\n"),
            "1:31: allocation.idle.shares: are for the method `shares`",
        ),
        (
            with(
                "regions:\n",
                "allocation: { used: { method: shares, shares: { retial: 60% } } }\nregions:\n",
            ),
            "1:57: allocation.used.shares.retial: there is no team `retial`; did you mean `retail`?",
        ),
        (
            with("regions:\n", "allocation: { used: { method: half } }\nregions:\n"),
            "1:31: allocation.used.method: ",
        ),
        (
            with("  - name: openai\n", "  - name: openai\n    billing: provisioned\n"),
            "5:14: upstreams[0].billing: reserved capacity needs `capacity",
        ),
        (
            with("  - name: openai\n", "  - name: openai\n    capacity: { tokens_per_minute: 0 }\n"),
            "5:36: upstreams[0].capacity.tokens_per_minute: must be at least 1",
        ),
        (
            with(
                "  - name: openai\n",
                "  - name: openai\n    billing: provisioned\n    capacity: { tokens_per_minute: 9 }\n",
            ),
            "5:14: upstreams[0].billing: none of the upstream's models has a price with `per_hour`",
        ),
        (
            with("teams:\n  - name: retail", "teams:\n  - name: (shared)"),
            "14:11: teams[0].name: this name is kept",
        ),
        (
            with("regions:\n", "fx: [{ currency: DEM, from: 2026-01-01, rate: \"0.5\" }]\nregions:\n"),
            "1:18: fx[0].currency: not a currency",
        ),
        (
            with("regions:\n", "fx: [{ currency: USD, from: 2026-01-01, rate: \"1\" }]\nregions:\n"),
            "1:18: fx[0].currency: this is the configuration's own currency",
        ),
        (
            with("regions:\n", "fx: [{ currency: EUR, from: 2026-01-01, rate: \"-1.1\" }]\nregions:\n"),
            "1:47: fx[0].rate: expected a decimal above 0",
        ),
        (
            with("regions:\n", "fx: [{ currency: EUR, from: 2026-01-01, rate: 1.1e0 }]\nregions:\n"),
            "1:47: fx[0].rate: expected a text, found a number: put it in quotes",
        ),
        (
            with(
                "regions:\n",
                "fx:\n  - { currency: EUR, from: 2026-01-01, rate: \"1.1\" }\n  - { currency: EUR, from: 2026-01-01, rate: \"1.2\" }\nregions:\n",
            ),
            "3:28: fx[1].from: `EUR` has a rate for this date already, at main.yaml:2:5",
        ),
    ];
    for (text, want) in cases {
        let found = problems(&[("main.yaml", &text)]);
        let want = format!("main.yaml:{want}");
        assert!(
            found.iter().any(|line| line.starts_with(&want)),
            "want {want}\nfound {found:#?}\nin\n{text}"
        );
    }
}

#[test]
fn doubtful_settings_are_warnings() {
    let price = |text: &str| format!("prices: [p.yaml]\n{text}");
    let cases = [
        (
            with("${env:SEARCH_PROD_KEY}", "a-literal-secret-0123"),
            "19:35: warning: teams[0].projects[0].keys[0].secret: this secret stands in the file",
        ),
        (
            with("https://api", "http://api"),
            "7:15: warning: upstreams[0].base_url: prompts and the credential travel in clear text",
        ),
        (
            with(
                "        models: [gpt]\n",
                "        models: [gpt]\n        budget: { amount: \"1\", period: day }\n",
            ),
            "17:18: warning: teams[0].projects[0].models[0]: `gpt-5` at `openai` has no price",
        ),
        (
            price(&with(
                "  - name: retail\n    projects:\n      - name: search\n",
                "  - name: retail\n    budget: { amount: \"1\", period: day }\n    projects:\n      - name: search\n        budget: { amount: \"2\", period: day }\n",
            )),
            "19:27: warning: teams[0].projects[0].budget.amount: is above the team's budget of 1",
        ),
        (
            with("        models: [gpt]\n", "        models: [gpt]\n        zones: [eu]\n")
                .replace("zone: us }", "zone: us }\n  - { name: eu, zone: eu }"),
            "18:18: warning: teams[0].projects[0].models[0]: no target of `gpt` is processed in zones of the project `search` only (eu): every call is refused as zone_not_permitted",
        ),
    ];
    let prices = "prices: [{ model: gpt-5, from: 2025-01-01, input: \"1\", output: \"2\" }]\n";
    for (text, want) in cases {
        let found = problems(&[("main.yaml", &text), ("p.yaml", prices)]);
        let want = format!("main.yaml:{want}");
        assert!(
            found.iter().any(|line| line.starts_with(&want)),
            "want {want}\nfound {found:#?}\nin\n{text}"
        );
    }
}

#[test]
fn budgets_and_alerts_that_cannot_be_meant_are_refused() {
    let budget = |fields: &str| {
        let budget = format!("    budget: {{ amount: \"1\", period: day, {fields} }}\n");
        with("  - name: retail\n", &format!("  - name: retail\n{budget}"))
    };
    let hook = |fields: &str| {
        let secret = "secret: \"${env:SEARCH_PROD_KEY}\"";
        format!("{}alerts:\n  webhooks:\n    - {{ name: desk, {secret}, {fields} }}\n", with("", ""))
    };
    let cases = [
        (budget("alerts: [0]"), "teams[0].budget.alerts[0]: expected a percentage from 1 to 1000"),
        (budget("forecast_alerts: [1001]"), "teams[0].budget.forecast_alerts[0]: expected a percentage"),
        (
            with(
                "  - name: retail\n",
                "  - name: retail\n    budget: { amount: \"1\", period: total, forecast_alerts: [100] }\n",
            ),
            "teams[0].budget.forecast_alerts: the period `total` has no end to forecast",
        ),
        (budget("actions: [{ at: 80 }]"), "teams[0].budget.actions[0]: give `model` or `refuse: true`"),
        (
            budget("actions: [{ at: 80, model: gpt, refuse: true }]"),
            "teams[0].budget.actions[0]: give `model` or `refuse: true`",
        ),
        (
            budget("actions: [{ at: 80, model: gpd }]"),
            "teams[0].budget.actions[0].model: there is no model `gpd`; did you mean `gpt`?",
        ),
        (
            budget("actions: [{ at: 120, refuse: true }]"),
            "teams[0].budget.actions[0].at: a hard budget refuses at 100 already",
        ),
        (
            budget("mode: observe, actions: [{ at: 100, refuse: true }]"),
            "teams[0].budget.actions: a budget that only observes does nothing",
        ),
        (
            budget("actions: [{ at: 80, refuse: true }, { at: 90, refuse: true }]"),
            "teams[0].budget.actions[1]: a budget refuses from one percentage on",
        ),
        (
            budget("actions: [{ at: 80, model: gpt }, { at: 80, model: gpt }]"),
            "teams[0].budget.actions[1].at: two models are given for this percentage",
        ),
        (
            hook("url: \"ftp://hooks.example.org/a-secret-path\""),
            "alerts.webhooks[0].url: expected an address that begins with https:// or http://",
        ),
        (
            hook("url: \"http://127.0.0.1:8000/a-secret-path\""),
            "alerts.webhooks[0].url: a private or loopback address needs `allow_private: true`",
        ),
        (
            hook("url: \"https://me:a-secret-path@hooks.example.org/\""),
            "alerts.webhooks[0].url: an address has no user, no password",
        ),
        (
            hook("url: \"https://hooks.example.org\", timeout: 5m"),
            "alerts.webhooks[0].timeout: expected 1s to 60s",
        ),
        (
            hook("url: \"https://hooks.example.org\", teams: [hr]"),
            "alerts.webhooks[0].teams[0]: there is no team `hr`",
        ),
        (
            hook("url: \"https://hooks.example.org\", events: []"),
            "alerts.webhooks[0].events: expected at least one kind",
        ),
        (
            hook("url: \"https://hooks.example.org\"")
                .replace("${env:SEARCH_PROD_KEY}\", url", "short\", url"),
            "alerts.webhooks[0].secret: a secret needs at least 16 bytes, this one has 5",
        ),
    ];
    for (text, want) in cases {
        let found = problems(&[("main.yaml", &text)]);
        assert!(found.iter().any(|line| line.contains(want)), "want {want}\nfound {found:#?}\nin\n{text}");
        assert!(!found.iter().any(|line| line.contains("a-secret-path")), "{found:#?}");
    }
    let sound = [
        budget(
            "mode: soft, alerts: [50, 100], forecast_alerts: [100], actions: [{ at: 80, model: gpt }, { at: 120, refuse: true }]",
        ),
        budget("reserve: expected, actions: [{ at: 90, refuse: true }]"),
        hook(
            "url: \"https://hooks.example.org/x?y=z\", teams: [retail], events: [budget_forecast, model_unpriced], timeout: 5s",
        ),
    ];
    for text in sound {
        let found = problems(&[("main.yaml", &text)]);
        assert!(found.iter().all(|line| line.contains("warning")), "{found:#?}\nin\n{text}");
    }
}

#[test]
fn one_run_reports_everything_that_is_wrong() {
    let text = "workers: many\nregion: []\nregions:\n  - { name: a }\n  - { name: 5, zone: us }\n  - { nam: b, zone: eu }\n";
    let found = problems(&[("main.yaml", text)]);
    for want in [
        "main.yaml:1:10: workers",
        "main.yaml:2:1: region:",
        "main.yaml:4:5: regions[0]:",
        "main.yaml:5:13: regions[1].name",
        "main.yaml:6:7: regions[2].nam",
    ] {
        assert!(found.iter().any(|line| line.starts_with(want)), "{want}: {found:#?}");
    }
    let text = with("region: eastus", "region: x")
        .replace("upstream: openai", "upstream: y")
        .replace("models: [gpt]", "models: [z]");
    let found = problems(&[("main.yaml", &text)]);
    assert_eq!(found.iter().filter(|line| line.contains("there is no")).count(), 3, "{found:#?}");
}

#[test]
fn included_files_merge_and_keep_their_own_places() {
    let main =
        with("teams:\n", "include: [teams/*.yaml]\nlisten: { data: { address: \"127.0.0.1:1\" } }\nteams:\n");
    let (_folder, document) = load(&[
        ("main.yaml", &main),
        ("teams/b.yaml", "teams: [{ name: bravo }]\n"),
        ("teams/a.yaml", "teams: [{ name: alpha }]\nlisten: { admin: { address: \"127.0.0.1:2\" } }\n"),
        ("teams/.hidden.yaml", "not: [a, configuration\n"),
    ]);
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = document.file.teams.iter().map(|team| team.name.as_str()).collect();
    assert_eq!(names, ["retail", "alpha", "bravo"]);
    assert_eq!(document.file.listen.data.address.port(), 1);
    assert_eq!(document.file.listen.admin.address.port(), 2);

    let found = problems(&[
        ("main.yaml", &main),
        ("teams/a.yaml", "organization: x\nteams:\n  - name: retail\n"),
        ("teams/b.yaml", "organization: y\n"),
    ]);
    assert!(
        found
            .iter()
            .any(|line| line
                .starts_with("teams/b.yaml:1:15: organization: already given at teams/a.yaml:1:15")),
        "{found:#?}"
    );
    let found = problems(&[("main.yaml", &main), ("teams/a.yaml", "teams:\n  - name: retail\n")]);
    assert!(
        found.iter().any(
            |line| line.starts_with("teams/a.yaml:2:11: teams[1].name: the team `retail` is given twice")
        ),
        "{found:#?}"
    );
    let found = problems(&[("main.yaml", "include: [gone.yaml]\n")]);
    assert!(found[0].starts_with("main.yaml:1:11: include[0]: cannot read gone.yaml"), "{found:#?}");
}

#[test]
fn a_price_in_another_currency_needs_a_rate_on_its_date() {
    let rate = |from: &str| {
        format!("prices: [p.yaml]\nfx: [{{ currency: EUR, from: {from}, rate: \"1.1\" }}]\n{BASE}")
    };
    let prices =
        "prices:\n  - { model: m, from: 2026-03-01, currency: EUR, input: \"1\", discount: 12.5% }\n";
    let found = problems(&[("main.yaml", &rate("2026-03-02")), ("p.yaml", prices)]);
    assert!(found[0].contains("needs an `fx` entry that counts on its date"), "{found:#?}");
    assert_eq!(problems(&[("main.yaml", &rate("2026-03-01")), ("p.yaml", prices)]), [""; 0]);
}

#[test]
fn price_files_name_their_own_places() {
    let main = format!("prices: [p.yaml]\n{}", BASE);
    let cases = [
        (
            "prices:\n  - { model: m, from: 2025-01-01, input: 1.5 }\n",
            "p.yaml:2:42: prices[0].input: expected a text, found a number: put it in quotes",
        ),
        ("prices:\n  - { model: m, from: soon }\n", "p.yaml:2:23: prices[0].from: expected a date"),
        (
            "prices:\n  - { model: m, from: 2025-01-01, inptu: \"1\" }\n",
            "p.yaml:2:35: prices[0].inptu: there is no field `inptu` here; did you mean `input`?",
        ),
        (
            "prices:\n  - { model: m, from: 2025-01-01, input: \"-1\" }\n",
            "p.yaml:2:42: prices[0].input: a price cannot be negative",
        ),
        (
            "prices:\n  - { model: m, from: 2025-01-01, currency: EUR }\n",
            "p.yaml:2:45: prices[0].currency: a price in EUR needs an `fx` entry that counts on its date",
        ),
        (
            "prices:\n  - { model: m, from: 2025-01-01, discount: 12.5 }\n",
            "p.yaml:2:45: prices[0].discount: expected a percentage with at most four decimal places",
        ),
        (
            "prices:\n  - { model: m, from: 2025-01-01, discount: 100% }\n",
            "p.yaml:2:45: prices[0].discount: must be below 100%",
        ),
        (
            "prices:\n  - { model: m, region: eastsu, from: 2025-01-01 }\n",
            "p.yaml:2:25: prices[0].region: there is no region `eastsu`; did you mean `eastus`?",
        ),
        (
            "prices:\n  - { model: m, upstream: openai, region: eastus, from: 2025-01-01 }\n",
            "p.yaml:2:43: prices[0].region: an upstream has its own region: give one of them",
        ),
        (
            "prices:\n  - { model: m, upstream: opena, from: 2025-01-01 }\n",
            "p.yaml:2:27: prices[0].upstream: there is no upstream `opena`; did you mean `openai`?",
        ),
    ];
    for (prices, want) in cases {
        let found = problems(&[("main.yaml", &main), ("p.yaml", prices)]);
        assert!(found.iter().any(|line| line.starts_with(want)), "want {want}\nfound {found:#?}");
    }
}

#[test]
fn references_work_in_any_field_and_files_are_watched() {
    let text = with("${env:SEARCH_PROD_KEY}", "${file:key.txt}")
        .replace("regions:\n", "workers: ${env:WORKERS:-3}\nregions:\n");
    let (folder, document) = load(&[("main.yaml", &text), ("key.txt", "from-a-file-0123456789\n")]);
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(document.file.workers, Some(3));
    let secret = document.file.teams[0].projects[0].keys[0].secret.as_ref().expect("a secret");
    assert_eq!(secret.0.expose(), "from-a-file-0123456789");
    assert!(document.watched.contains(&folder.path().join("key.txt")));
    assert_eq!(document.warnings, []);
}

#[test]
fn no_message_and_no_debug_output_has_a_secret() {
    const SECRETS: [&str; 3] = ["search-prod-0123456789", "sk-openai-0123456789", "hunter2"];
    let texts = [
        with("region: eastus", "region: \"${env:SEARCH_PROD_KEY}\""),
        with("dialect: openai", "dialect: \"${env:SEARCH_PROD_KEY}\""),
        with("name: retail", "name: \"${env:SEARCH_PROD_KEY}/\""),
        with("https://api.contoso.com/v1", "https://u:${env:SHORT}@api.contoso.com/v1"),
        with("${env:SEARCH_PROD_KEY}", "${env:SHORT}"),
        with("regions:\n", "workers: \"${env:SHORT}\"\nregions:\n"),
        with("\"${env:OPENAI_API_KEY}\"", "{ type: \"${env:SHORT}\" }"),
    ];
    for text in texts {
        let found = problems(&[("main.yaml", &text)]);
        assert!(!found.is_empty(), "{text}");
        for secret in SECRETS {
            assert!(!found.iter().any(|line| line.contains(secret)), "{found:#?}");
        }
    }
    let (_folder, document) = load(&[("main.yaml", BASE)]);
    let shown = format!("{:?}", document.unwrap_or_else(|errors| panic!("{errors}")).file);
    assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
}

#[test]
fn no_depth_and_no_alias_bomb_makes_it_panic() {
    let bomb = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        format!("{text}a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1)
    });
    let deep_block: String = (0..3_000).map(|level| format!("{:level$}a:\n", "")).collect();
    for text in
        ["[".repeat(100_000), "[".repeat(200) + &"]".repeat(200), "{a: ".repeat(100_000), deep_block, bomb]
    {
        assert!(Document::parse(Path::new("main.yaml"), text, &Sources::fixed(".", VARIABLES)).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(text in any::<Vec<u8>>()) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let _ = Document::parse(Path::new("main.yaml"), text, &Sources::fixed("/nonexistent", VARIABLES));
    }

    #[test]
    fn no_damage_to_the_example_makes_it_panic(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[\\[\\]{}:,&*!|>'\"#$ \n\ta0-]{0,4}"), 1..5)) {
        let mut text = EXAMPLE.to_owned();
        for (at, length, insert) in cuts {
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &insert);
            }
        }
        let _ = Document::parse(Path::new("main.yaml"), text, &Sources::fixed("/nonexistent", VARIABLES));
    }
}

#[test]
fn faults_of_what_observers_are_told_are_found_at_their_places() {
    let line = BASE.lines().count() + 1;
    let telemetry = |rest: &str| format!("telemetry: {{ {rest} }}");
    let otlp =
        |rest: &str| format!("telemetry: {{ otlp: {{ endpoint: \"http://127.0.0.1:4318\", {rest} }} }}");
    let log = |rest: &str| format!("access_log: {{ {rest} }}");
    let cases = [
        (
            telemetry("trace_context: trust"),
            "29: telemetry.trace_context: must be one of: trusted, link, ignore",
        ),
        (
            telemetry("genai_semconv: v1.40"),
            "29: telemetry.genai_semconv: must be one of: v1.41, latest, both",
        ),
        (telemetry("otlp: {}"), "20: telemetry.otlp: the field `endpoint` is missing"),
        (
            telemetry("resource: { service.name: x }"),
            "telemetry.resource.service.name: the gateway sets this",
        ),
        (
            telemetry("otlp: { endpoint: \"collector:4318\" }"),
            "32: telemetry.otlp.endpoint: expected an address",
        ),
        (
            telemetry("otlp: { endpoint: \"http://c:4318/v1/traces\" }"),
            "32: telemetry.otlp.endpoint: leave `/v1/traces` out",
        ),
        (telemetry("otlp: { endpoint: \"http://a:b@c:4318\" }"), "an address has no user, no password"),
        (telemetry("otlp: { endpoint: \"http://127.0.0.1:4317\" }"), "4317 is usually the port of gRPC"),
        (telemetry("otlp: { endpoint: \"http://c.example.org\" }"), "use https outside of one's own network"),
        (otlp("sample: 1.5"), "telemetry.otlp.sample: expected a share from 0 to 1"),
        (otlp("timeout: 10m"), "telemetry.otlp.timeout: expected 100ms to 60s"),
        (otlp("metrics_interval: 10ms"), "telemetry.otlp.metrics_interval: expected 1s to 1h"),
        (otlp("traces: false"), "telemetry.otlp: neither traces nor metrics are sent there"),
        (otlp("headers: { host: x }"), "telemetry.otlp.headers.host: the gateway sets this header itself"),
        (otlp("headers: { \"a b\": x }"), "this is not the name of a header"),
        (
            otlp("headers: { x-team: hunter2 }"),
            "telemetry.otlp.headers.x-team: this secret stands in the file",
        ),
        (otlp("tls: { cert: a.pem }"), "telemetry.otlp.tls: a client certificate needs both"),
        (log("to: stdout, rotate: { size: 10MiB }"), "access_log.rotate: only a file can be put aside"),
        (log("to: a.log, rotate: {}"), "access_log.rotate: expected `size`, `age` or both"),
        (log("to: a.log, rotate: { size: 10KiB }"), "access_log.rotate.size: expected at least 1MiB"),
        (log("to: a.log, rotate: { age: 1s }"), "access_log.rotate.age: expected at least 1m"),
        (log("to: a.log, rotate: { age: 1d, keep: 4000 }"), "access_log.rotate.keep: expected 0 to 1000"),
    ];
    for (section, wanted) in cases {
        let told = problems(&[("main.yaml", &format!("{BASE}{section}\n"))]);
        let here = format!("main.yaml:{line}:");
        assert!(told.iter().any(|one| one.contains(&here) && one.contains(wanted)), "{section}: {told:?}");
        assert!(!told.concat().contains("hunter2"), "{told:?}");
    }
    let fine = otlp("headers: { authorization: \"${env:OPENAI_API_KEY}\" }, sample: 0.01, metrics: true");
    let told = problems(&[("main.yaml", &format!("{BASE}{fine}\n"))]);
    assert!(!told.concat().contains("telemetry"), "{told:?}");
}
