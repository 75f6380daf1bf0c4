//! The running configuration, those before it, and reading the files again.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde_json::{Value, json};
use tollgate_accounting::ledger::{AuditEntry, rfc3339};

use super::{
    AdminState,
    access::{Caller, Permission},
    blocking,
    params::Text,
    problem::Problem,
};
use crate::{
    config::{Errors, Part},
    history::{Source, Version, diff},
    reload::Running,
};

pub(super) async fn show(State(state): State<Arc<AdminState>>) -> Json<Value> {
    let mut shown = running(&state.reloader.running());
    let last_error = state.reloader.last_error();
    shown["last_error"] = json!(last_error.map(|refusal| json!({
        "time": rfc3339(refusal.at),
        "author": refusal.author,
        "source": refusal.source.as_str(),
        "errors": lines(&refusal.errors),
    })));
    Json(shown)
}

/// Versions, newest first. What changed is shown to those only who may change it: a configuration
/// can hold a secret in clear text.
pub(super) async fn history(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let with_diff = caller.may(Permission::ChangeConfig).is_ok();
    let items = blocking(move || {
        let versions =
            state.reloader.history().list().map_err(|error| Problem::internal(&error.to_string()))?;
        let former = |index: usize| versions.get(index + 1).map_or(&[] as &[Part], |version| &version.parts);
        let item = |(index, shown): (usize, &Version)| {
            let mut item = version(shown);
            item["diff"] = json!(with_diff.then(|| diff(former(index), &shown.parts)));
            item
        };
        Ok::<_, Problem>(versions.iter().enumerate().map(item).collect::<Vec<_>>())
    })
    .await??;
    Ok(Json(json!({ "items": items, "next": null })))
}

pub(super) async fn reload(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    blocking(move || {
        let now_running =
            state.reloader.reload(Source::Api, &caller.name).map_err(|errors| refused(&errors))?;
        state.store.append_audit(&AuditEntry {
            seq: 0,
            at: state.now().wall,
            actor: caller.name.to_string(),
            action: "config.reload".to_owned(),
            subject: now_running.version.number.to_string(),
            detail: json!({ "hash": now_running.version.hash }).to_string(),
        })?;
        Ok(Json(running(&now_running)))
    })
    .await?
}

pub(super) async fn validate(
    State(state): State<Arc<AdminState>>,
    Text(text): Text,
) -> Result<Json<Value>, Problem> {
    let warnings =
        blocking(move || state.reloader.validate(text)).await?.map_err(|errors| refused(&errors))?;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "warnings": warnings })))
}

fn running(running: &Running) -> Value {
    let mut shown = version(&running.version);
    let warnings = running.warnings.iter().map(ToString::to_string);
    shown["warnings"] = warnings.chain(running.strays.iter().cloned()).collect();
    shown
}

fn version(version: &Version) -> Value {
    json!({
        "version": version.number,
        "hash": version.hash,
        "source": version.source.as_str(),
        "author": version.author,
        "time": rfc3339(version.at),
        "files": version.parts.iter().map(|part| part.path.display().to_string()).collect::<Vec<_>>(),
    })
}

fn refused(errors: &Errors) -> Problem {
    Problem::bad_config(lines(errors))
}

fn lines(errors: &Errors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}
