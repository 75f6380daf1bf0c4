//! Configurations of LiteLLM's proxy: what becomes of them, what is told, and that `check` takes the result.

use std::{fs, path::Path};

use tempfile::TempDir;
use tollgate_control::{
    config::{self, ConfigFile, Document, Sources, file},
    import::{Imported, Outcome, litellm},
};

const USUAL: &str = include_str!("usual.yaml");
const ROUTED: &str = include_str!("routed.yaml");
const LITERAL: &str = include_str!("literal.yaml");
const TEAMS: &str = include_str!("teams.json");
const KEYS: &str = include_str!("keys.json");

fn import(config: &str, teams: Option<&str>, keys: Option<&str>) -> Imported {
    let file = |name: &'static str, text| litellm::File { name: Path::new(name), text };
    let sources = litellm::Sources {
        config: file("config.yaml", config),
        teams: teams.map(|text| litellm::File { name: Path::new("teams.json"), text }),
        keys: keys.map(|text| litellm::File { name: Path::new("keys.json"), text }),
        prices: Some(Path::new("prices.yaml")),
    };
    litellm::import(&sources).unwrap_or_else(|problem| panic!("{problem}"))
}

/// What `check` makes of it, where every variable that it names is set.
fn checked(imported: &Imported) -> ConfigFile {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("tollgate.yaml"), &imported.config).expect("ours");
    if let Some(prices) = &imported.prices {
        fs::write(folder.path().join("prices.yaml"), prices).expect("ours");
    }
    let named = imported.config.split("${env:").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    // What `source: environment` reads is named nowhere.
    let names = named.chain(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    let value = |name: &str| match name {
        "AZURE_API_BASE" => "https://from-the-environment.openai.azure.com".to_owned(),
        name => format!("value-of-the-variable-{name}"),
    };
    let sources = Sources::fixed(folder.path(), names.map(|name| (name.to_owned(), value(name))));
    let path = Path::new("tollgate.yaml");
    config::check(path, &sources).unwrap_or_else(|errors| panic!("{errors}\n{}", imported.config));
    Document::load(path, &sources).unwrap_or_else(|errors| panic!("{errors}")).file
}

fn told(imported: &Imported, outcome: Outcome, what: &str) -> String {
    let note = imported.notes.iter().find(|note| note.outcome == outcome && note.what == what);
    note.unwrap_or_else(|| panic!("{what}: {:#?}", imported.notes)).why.clone()
}

fn model<'f>(file: &'f ConfigFile, name: &str) -> &'f file::Model {
    file.models.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("{name}"))
}

fn targets(model: &file::Model) -> Vec<(&str, &str, u32, u32)> {
    model.targets.iter().map(|t| (t.upstream.as_str(), t.model.as_str(), t.priority, t.weight)).collect()
}

#[test]
fn the_usual_configuration_passes_check() {
    let imported = import(USUAL, None, None);
    let file = checked(&imported);
    assert_eq!(
        targets(model(&file, "gpt-4o")),
        [("azure-my-east", "gpt-4o-prod", 1, 900), ("openai", "gpt-4o", 1, 100)]
    );
    assert_eq!(targets(model(&file, "claude")), [("anthropic", "claude-sonnet-4-6", 1, 100)]);
    let upstream = |name: &str| file.upstreams.iter().find(|upstream| upstream.name == name).expect(name);
    let azure = upstream("azure-my-east");
    assert_eq!(
        (azure.base_url.as_str(), azure.api_version.as_deref()),
        ("https://my-east.openai.azure.com", Some("2024-10-21"))
    );
    assert_eq!(upstream("openai").base_url, "https://api.openai.com/v1");
    let bedrock = upstream("bedrock-eu-central-1");
    assert_eq!(
        (bedrock.region.as_str(), bedrock.base_url.as_str()),
        ("eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com")
    );
    assert!(upstream("hosted-vllm-10").allow_private, "{}", imported.config);
    assert_eq!(
        file.regions.iter().find(|region| region.name == "eu-central-1").map(|r| r.zone.as_str()),
        Some("de")
    );
    assert_eq!(file.admin.tokens[0].name, "litellm-master");
    let prices = imported.prices.as_deref().expect("there are prices");
    assert!(prices.contains(r#"input: "2.5", cached_input: "1.25", output: "10""#), "{prices}");

    assert!(told(&imported, Outcome::NotMapped, "model_list[5]").contains("wildcard"));
    assert!(told(&imported, Outcome::NotMapped, "model_list[6]").contains("sagemaker"));
    assert!(told(&imported, Outcome::NotMapped, "litellm_settings.success_callback").contains("metrics"));
    assert!(
        told(&imported, Outcome::NotMapped, "litellm_settings.a_setting_of_tomorrow")
            .contains("no counterpart")
    );
    assert!(told(&imported, Outcome::ToDo, "teams").contains("nobody may call"));
    let note =
        imported.notes.iter().find(|note| note.what == "litellm_settings.success_callback").expect("told");
    assert_eq!(note.to_string().split(": ").next(), Some("config.yaml:50:21"), "{note}");
}

#[test]
fn routing_becomes_levels_and_weights() {
    let imported = import(ROUTED, None, None);
    let file = checked(&imported);
    assert_eq!(
        targets(model(&file, "fast")),
        [
            ("openai", "gpt-4o-mini", 1, 3),
            ("azure-backup", "mini", 2, 100),
            ("anthropic", "claude-sonnet-4-6", 3, 100),
        ]
    );
    assert_eq!(targets(model(&file, "alias-of-fast"))[0], ("openai", "gpt-4o-mini", 1, 3));
    assert!(file.models.iter().all(|model| model.balance == file::Balance::Latency));
    assert!(told(&imported, Outcome::Changed, "router_settings.fallbacks[0].fast").contains("stand behind"));
    assert!(
        told(&imported, Outcome::NotMapped, "router_settings.fallbacks[1].ghost").contains("no such model")
    );
    assert!(told(&imported, Outcome::NotMapped, "router_settings.redis_host").contains("PostgreSQL"));
}

#[test]
fn no_secret_of_the_file_is_copied() {
    let imported = import(LITERAL, None, None);
    for secret in ["sk-literal", "sk-master-literal", "hunter"] {
        assert!(!imported.config.contains(secret), "{}", imported.config);
        assert!(imported.notes.iter().all(|note| !note.to_string().contains(secret)));
    }
    checked(&imported);
    assert!(
        told(&imported, Outcome::ToDo, "model_list[0].litellm_params.api_key").contains("OPENAI_API_KEY")
    );
    assert_eq!(imported.config.matches("${env:OPENAI_API_KEY}").count(), 1, "one secret, one upstream");
    assert!(imported.config.contains("${env:OPENAI_API_KEY_2}"), "another secret, another variable");
    assert!(told(&imported, Outcome::ToDo, "environment_variables.PASSWORD").contains("in the environment"));
}

#[test]
fn teams_and_keys_come_with_their_hashes_limits_and_budgets() {
    let imported = import(ROUTED, Some(TEAMS), Some(KEYS));
    let file = checked(&imported);
    let names: Vec<&str> = file.teams.iter().map(|team| team.name.as_str()).collect();
    assert_eq!(names, ["Retail", "r-d", "no-team", "team-nobody-told-of"]);
    let retail = &file.teams[0];
    assert_eq!(retail.limits.requests_per_minute, Some(100));
    let budget = retail.budget.as_ref().expect("a budget");
    assert_eq!((budget.amount.to_string().as_str(), budget.period), ("250.5", file::Period::Month));
    assert!(told(&imported, Outcome::Changed, "teams[0].budget_duration").contains("calendar"));
    let project = &retail.projects[0];
    assert_eq!((project.models.as_slice(), project.keys.len()), (&["fast".to_owned()][..], 2));
    let key = &project.keys[0];
    assert_eq!((key.name.as_str(), key.limits.tokens_per_minute), ("checkout", Some(5_000)));
    assert_eq!(key.sha256.as_ref().map(|sha| sha.0.expose().to_owned()), Some("a".repeat(64)));
    assert!(key.expires.is_some());
    assert_eq!(project.keys[1].name, "checkout-2", "names are told apart");
    assert_eq!(file.teams[1].title.as_deref(), Some("r/d"));
    assert_eq!(file.teams[1].projects[0].models.len(), file.models.len(), "none listed means all");

    assert!(told(&imported, Outcome::NotMapped, "keys[2]").contains("blocked"));
    assert!(told(&imported, Outcome::NotMapped, "keys[5]").contains("only its hash"));
    assert!(told(&imported, Outcome::NotMapped, "keys[0].spend").contains("begin at zero"));
    assert!(told(&imported, Outcome::NotMapped, "teams[1].budget_duration").contains("no calendar period"));
    assert!(!imported.config.contains("sk-a-plain-key-0123456789"));
}

#[test]
fn what_is_no_configuration_is_refused_with_its_place() {
    let sources = |text| litellm::Sources {
        config: litellm::File { name: Path::new("config.yaml"), text },
        teams: None,
        keys: None,
        prices: None,
    };
    for (text, part) in
        [("model_list: [", "config.yaml:"), ("a: 1\n", "model_list"), ("model_list: []\n", "model_list")]
    {
        let problem = litellm::import(&sources(text)).err().expect(text).to_string();
        assert!(problem.contains(part), "{problem}");
    }
}

proptest::proptest! {
    /// Whatever the files hold, the import gives a configuration or says why not.
    #[test]
    fn no_file_is_too_strange(config in "[a-z_:\\-\\[\\]{}, \"/*.$\\n]{0,200}", item in "[ -~]{0,40}") {
        let text = format!(
            "model_list:\n  - model_name: {0:?}\n    litellm_params: {{ model: {0:?}, api_base: {0:?}, api_key: {0:?} }}\n",
            item
        );
        for text in [config, text] {
            let sources = litellm::Sources {
                config: litellm::File { name: Path::new("config.yaml"), text: &text },
                teams: Some(litellm::File { name: Path::new("teams.json"), text: TEAMS }),
                keys: Some(litellm::File { name: Path::new("keys.json"), text: KEYS }),
                prices: None,
            };
            if let Ok(imported) = litellm::import(&sources) {
                proptest::prop_assert!(imported.config.starts_with('#'));
            }
        }
    }
}
