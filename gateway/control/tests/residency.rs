//! What `check` says of residency and of versions: what is declared and cannot be true is told at its
//! line and column.

use std::path::Path;

use tollgate_control::config::{Document, Sources};

/// A configuration of one upstream and one target. The upstream's region is `home`.
struct Given {
    regions: &'static str,
    dialect: &'static str,
    address: &'static str,
    processing: &'static str,
    model: &'static str,
}

const EU: Given = Given {
    regions: "{ name: home, zone: eu }",
    dialect: "openai",
    address: "https://llm.contoso.com/v1",
    processing: "",
    model: "gpt-5",
};

impl Given {
    fn problems(&self) -> Vec<String> {
        let Self { regions, dialect, address, processing, model } = self;
        problems(&format!(
            "\
regions: [{regions}]
upstreams:
  - name: up
    dialect: {dialect}
    region: home
    base_url: {address}
    credential: upstream-secret-0123456789{processing}
models:
  - name: chat
    targets:
      - {{ upstream: up, model: \"{model}\" }}
"
        ))
    }
}

/// Errors, or warnings where there are none, but for those about literal secrets.
fn problems(text: &str) -> Vec<String> {
    let parsed =
        Document::parse(Path::new("t.yaml"), text.to_owned(), &Sources::fixed("/nonexistent", [("", "")]));
    let problems = match parsed {
        Ok(document) => document.warnings,
        Err(errors) => errors.0,
    };
    let lines = problems.iter().map(ToString::to_string);
    lines.filter(|line| !line.contains("secret stands in the file")).collect()
}

#[track_caller]
fn one(found: &[String], want: &str, about: &str) {
    if want.is_empty() {
        assert_eq!(found, [""; 0], "{about}");
    } else {
        assert!(matches!(found, [line] if line.starts_with(want)), "{about}: want {want}\nfound {found:#?}");
    }
}

#[test]
fn an_address_that_is_known_to_process_elsewhere_is_warned_of() {
    const AT: &str = "t.yaml:6:15: warning: upstreams[0].base_url: ";
    let global = "\n    processing: [global]";
    let us = "\n    processing: [us]";
    let (openai, anthropic) = ("https://api.openai.com/v1", "https://api.anthropic.com");
    let bedrock = "https://bedrock-runtime.eu-central-1.amazonaws.com";
    let vertex = "https://aiplatform.googleapis.com/v1/projects/p/locations/global";
    let cases = [
        (
            openai,
            "openai",
            "",
            "`api.openai.com` processes anywhere in the world, and `up` is declared for the zone eu",
        ),
        (openai, "openai", global, ""),
        ("https://eu.api.openai.com/v1", "openai", "", ""),
        ("https://us.api.openai.com/v1", "openai", "", "`us.api.openai.com` processes anywhere in us"),
        ("https://us.api.openai.com/v1", "openai", us, ""),
        (
            anthropic,
            "anthropic",
            "",
            "`api.anthropic.com` processes anywhere in the world unless the account",
        ),
        (anthropic, "anthropic", us, ""),
        (
            "https://generativelanguage.googleapis.com",
            "gemini",
            "",
            "`generativelanguage.googleapis.com` processes",
        ),
        (vertex, "gemini", "", "`aiplatform.googleapis.com` processes anywhere in the world"),
        ("https://europe-west4-aiplatform.googleapis.com", "gemini", "", ""),
        (
            "https://us-central1-aiplatform.googleapis.com",
            "gemini",
            "",
            "this address processes in us-central1",
        ),
        (bedrock, "bedrock", "", ""),
        (
            bedrock,
            "bedrock",
            us,
            "this address processes in eu-central-1, and `up` is declared for the zone us",
        ),
        ("https://llm.contoso.com/v1", "openai", us, ""),
    ];
    for (address, dialect, processing, want) in cases {
        let found = Given { address, dialect, processing, ..EU }.problems();
        let want = if want.is_empty() { String::new() } else { format!("{AT}{want}") };
        one(&found, &want, &format!("{address}{processing}"));
    }
}

#[test]
fn what_the_configuration_says_of_its_own_regions_stands_above_what_is_known() {
    let address = "https://bedrock-runtime.eu-west-2.amazonaws.com";
    let london = Given { address, dialect: "bedrock", ..EU };
    one(
        &london.problems(),
        "t.yaml:6:15: warning: upstreams[0].base_url: this address processes in eu-west-2",
        "",
    );
    let regions = "{ name: home, zone: eu }, { name: eu-west-2, zone: eu }";
    one(&Given { regions, ..london }.problems(), "", "London is of the zone eu here");
}

#[test]
fn zones_of_names_that_are_not_known_may_be_any_place_but_every_place() {
    let regions = "{ name: home, zone: contoso }";
    let address = "https://us.api.openai.com/v1";
    one(&Given { regions, address, ..EU }.problems(), "", address);
    let address = "https://api.openai.com/v1";
    let want =
        "t.yaml:6:15: warning: upstreams[0].base_url: `api.openai.com` processes anywhere in the world";
    one(&Given { regions, address, ..EU }.problems(), want, address);
}

#[test]
fn models_and_deployments_whose_names_tell_of_another_zone_are_warned_of() {
    const AT: &str = "t.yaml:11:32: warning: models[0].targets[0].model: by its name ";
    let cases = [
        (
            "bedrock",
            "global.anthropic.claude-x-v1:0",
            "`global.anthropic.claude-x-v1:0` is processed anywhere in the world",
        ),
        ("bedrock", "us.amazon.nova-pro-v1:0", "`us.amazon.nova-pro-v1:0` is processed anywhere in us"),
        ("bedrock", "apac.amazon.nova-pro-v1:0", "`apac.amazon.nova-pro-v1:0` is processed anywhere in apac"),
        ("bedrock", "eu.amazon.nova-pro-v1:0", ""),
        ("bedrock", "amazon.nova-pro-v1:0", ""),
        ("azure-openai", "gpt-5-global", "`gpt-5-global` is processed anywhere in the world"),
        ("azure-openai", "gpt-5-prod", ""),
        ("openai", "us.amazon.nova-pro-v1:0", ""),
    ];
    for (dialect, model, want) in cases {
        let address = "https://llm.contoso.com";
        let found = Given { dialect, model, address, ..EU }.problems();
        let want = if want.is_empty() { String::new() } else { format!("{AT}{want}") };
        one(&found, &want, model);
    }
}

/// Targets of one model, each with more fields; upstreams are `a`, `b` and `c`.
fn targets(of_model: &str, targets: &[&str]) -> Vec<String> {
    let upstream = |name: char| {
        format!(
            "  - {{ name: {name}, dialect: openai, region: home, base_url: \"https://llm.contoso.com/v1\", credential: upstream-secret-{name}-0123456789 }}\n"
        )
    };
    let names = || ('a'..='z').take(targets.len());
    let upstreams: String = names().map(upstream).collect();
    let list: String = names()
        .zip(targets)
        .map(|(name, fields)| format!("      - {{ upstream: {name}, {fields} }}\n"))
        .collect();
    problems(&format!(
        "regions: [{{ name: home, zone: eu }}]\nupstreams:\n{upstreams}models:\n  - name: chat{of_model}\n    targets:\n{list}"
    ))
}

#[test]
fn versions_are_mixed_in_a_level_only_where_the_model_says_so() {
    let mixed = "\n    mixed_versions: true";
    let (august, november) = ("model: gpt-4o-2024-08-06", "model: gpt-4o-2024-11-20");
    let error = "t.yaml:9:31: models[0].targets[1].model: `gpt-4o-2024-08-06` at `a` and `gpt-4o-2024-11-20` at `b` are different versions in one level";
    let given = "t.yaml:9:46: models[0].targets[1].version: `prod` at `a` (version 2024-08-06) and `prod` at `b` (version 2024-11-20) are";
    let cases: [(&str, &[&str], &str); 9] = [
        ("", &[august, november], error),
        (mixed, &[august, november], ""),
        ("", &[august, august], ""),
        ("", &[august, "model: gpt-4o"], ""),
        ("", &["model: gpt-4o", "model: gpt-4o"], ""),
        ("", &[august, "model: claude-x-20250929"], ""),
        ("", &["model: prod, version: \"2024-08-06\"", "model: prod, version: \"2024-11-20\""], given),
        ("", &["model: prod, version: \"2024-08-06\"", august], ""),
        (
            "",
            &["model: prod, version: \"\""],
            "t.yaml:7:46: models[0].targets[0].version: expected a version",
        ),
    ];
    for (of_model, list, want) in cases {
        one(&targets(of_model, list), want, &format!("{list:?}{of_model}"));
    }
}

#[test]
fn a_target_that_no_call_fails_over_to_is_warned_of() {
    let (august, november) = ("model: gpt-4o-2024-08-06", "model: gpt-4o-2024-11-20, priority: 2");
    let want = "t.yaml:9:31: warning: models[0].targets[1].model: `gpt-4o-2024-11-20` at `b` is another version than `gpt-4o-2024-08-06` at `a`: no call fails over";
    let cases: [(&str, &[&str], &str); 5] = [
        ("", &[august, november], want),
        ("\n    failover_versions: true", &[august, november], ""),
        ("", &[august, "model: gpt-4o-2024-08-06, priority: 2"], ""),
        ("", &[august, "model: claude-x-20250929, priority: 2"], ""),
        ("", &["model: gpt-4o", november], ""),
    ];
    for (of_model, list, want) in cases {
        one(&targets(of_model, list), want, &format!("{list:?}{of_model}"));
    }
}
