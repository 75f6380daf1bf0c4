//! What is neither a model nor a tenant: the master key, and settings that have their reasons not to come
//! over.

use super::secrets::Secrets;
use crate::import::{
    Outcome,
    source::{Group, Notes},
};

const SETTINGS: &[(&str, &str)] = &[
    ("drop_params", "what a target cannot take is refused, unless `may_drop` of the model names it"),
    ("num_retries", "the gateway tries other targets by its own rules, within a budget of retries"),
    ("request_timeout", "set `timeouts` of the upstreams"),
    ("cache", "answers are not cached"),
    ("cache_params", "answers are not cached"),
    ("callbacks", "rows, metrics and traces tell of every request"),
    ("success_callback", "rows, metrics and traces tell of every request"),
    ("failure_callback", "rows, metrics and traces tell of every request"),
    ("service_callback", "rows, metrics and traces tell of every request"),
    ("max_budget", "there is no budget over all teams: give each its own"),
    ("budget_duration", "there is no budget over all teams: give each its own"),
    ("max_internal_user_budget", "budgets are of teams, projects and keys"),
    ("default_team_settings", "each team says its own"),
    ("default_fallbacks", "give each model its own targets of lower priority"),
    ("context_window_fallbacks", "an input that is too long is the caller's answer: name the larger model"),
    ("content_policy_fallbacks", "a content filter's answer is the caller's"),
    ("guardrails", "there are none"),
    ("json_logs", "logs are JSON where they are no terminal's"),
    ("turn_off_message_logging", "the content of requests is never logged"),
    ("redact_user_api_key_info", "keys are told by their names"),
    ("ssl_verify", "certificates are always checked; an upstream may name its authority under `tls`"),
];

const GENERAL: &[(&str, &str)] = &[
    ("database_url", "the ledger is a file in `data_dir`, or PostgreSQL by `ledger.store` and `ledger.url`"),
    ("store_model_in_db", "the file is all there is; it can be changed by the admin API"),
    ("alerting", "see `alerts`"),
    ("alerting_threshold", "see `alerts`"),
    ("alert_types", "see `alerts`"),
    ("max_parallel_requests", "see `admission.max_in_flight`"),
    ("global_max_parallel_requests", "see `admission.max_in_flight`"),
    ("max_request_size_mb", "see `edge.max_body`"),
    ("health_check_interval", "upstreams that nobody asks are looked at without costs: see `probes`"),
    ("background_health_checks", "upstreams that nobody asks are looked at without costs: see `probes`"),
    ("enable_jwt_auth", "callers show keys"),
    ("custom_auth", "callers show keys"),
    ("pass_through_endpoints", "only known operations are served"),
    ("allow_requests_on_db_unavailable", "limits and keys are in memory: no store is asked for a request"),
    ("proxy_batch_write_at", "rows are written before an answer ends"),
    ("disable_spend_logs", "every request is a row"),
    ("key_management_system", "secrets are references to the environment or to files"),
    ("key_management_settings", "secrets are references to the environment or to files"),
];

const ROOT: &[(&str, &str)] = &[
    ("guardrails", "there are none"),
    ("mcp_servers", "only model calls are served"),
    ("vector_store_registry", "only model calls are served"),
    ("prompts", "stored prompts are a provider's: see `prompts` of a project"),
    ("include", "import each file, or join them first"),
    ("finetune_settings", "fine-tuning is not served"),
    ("files_settings", "files are not served"),
    ("callback_settings", "rows, metrics and traces tell of every request"),
];

/// Reads the rest of the configuration. Gives the reference to the admin's token, if there is one.
pub(super) fn read(root: &Group<'_>, secrets: &mut Secrets, notes: &mut Notes) -> Option<String> {
    let mut token = None;
    if let Some(general) = root.group("general_settings") {
        if let Some(node) = general.field("master_key") {
            let what = general.path("master_key");
            token = secrets.reference(node, &what, "TOLLGATE_ADMIN_TOKEN", notes);
            let why = "it is a token of the admin API here, of at least 16 bytes, and opens no model";
            notes.add(node, &what, Outcome::Changed, why);
        }
        general.tell_rest(GENERAL, notes);
    }
    if let Some(settings) = root.group("litellm_settings") {
        // Read with the router.
        settings.field("fallbacks");
        settings.tell_rest(SETTINGS, notes);
    }
    if let Some(variables) = root.group("environment_variables") {
        for (name, node) in variables.entries() {
            let why = "no variable is set by a configuration here: set it in the environment";
            notes.add(node, &variables.path(name), Outcome::ToDo, why);
        }
    }
    root.field("router_settings");
    root.tell_rest(ROOT, notes);
    token
}
