//! The running configuration, those before it, and reading the files again.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::ledger::{AuditEntry, rfc3339};

use super::{
    AdminState,
    access::{Caller, Permission},
    blocking,
    params::{Body, Params, Text},
    problem::Problem,
};
use crate::{
    config::{Errors, Part},
    history::{Source, Version, diff},
    reload::{ChangeError, Running},
};

/// Parts of an answer that cost time, and that not every reader wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    texts: Option<bool>,
    diff: Option<bool>,
}

/// What is in force. Its texts are for those who may change them.
pub(super) async fn show(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Response {
    let now_running = state.reloader.running();
    let mut shown = running(&now_running);
    let last_error = state.reloader.last_error();
    shown["last_error"] = json!(last_error.map(|refusal| json!({
        "time": rfc3339(refusal.at),
        "author": refusal.author,
        "source": refusal.source.as_str(),
        "errors": lines(&refusal.errors),
    })));
    if asked.texts.unwrap_or(true) && caller.may(Permission::ChangeConfig).is_ok() {
        shown["texts"] = texts(&state.reloader.shown(&now_running.version.parts));
    }
    tagged(&now_running, shown)
}

/// Versions, newest first. What changed is shown to those only who may change it: a configuration
/// can hold a secret in clear text, and not every one can be told for what it is.
pub(super) async fn history(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let with_diff = asked.diff.unwrap_or(true) && caller.may(Permission::ChangeConfig).is_ok();
    let items = blocking(move || {
        let versions = state.reloader.history().list().map_err(unreadable)?;
        let blank = |kept: &Version| {
            let mut item = version(kept);
            item["diff"] = Value::Null;
            item
        };
        let mut items: Vec<Value> = versions.iter().map(blank).collect();
        if with_diff {
            // Each is shown twice: as what was, and as what came of it.
            let mut before = Vec::new();
            for (item, kept) in items.iter_mut().zip(&versions).rev() {
                let after = state.reloader.shown(&kept.parts);
                item["diff"] = json!(diff(&before, &after));
                before = after;
            }
        }
        Ok::<_, Problem>(items)
    })
    .await??;
    Ok(Json(json!({ "items": items, "next": null })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Between {
    from: u64,
    to: Option<u64>,
}

/// What differs between two versions; without `to`, between one and what is running.
pub(super) async fn between(
    State(state): State<Arc<AdminState>>,
    Params(asked): Params<Between>,
) -> Result<Json<Value>, Problem> {
    blocking(move || {
        let kept = |number: u64| {
            let found = state.reloader.history().get(number).map_err(unreadable)?;
            found.ok_or_else(|| Problem::from(ChangeError::UnknownVersion(number)))
        };
        let running = state.reloader.running();
        let (from, to) = (kept(asked.from)?, asked.to.map_or(Ok(running.version.clone()), kept)?);
        let diff = diff(&state.reloader.shown(&from.parts), &state.reloader.shown(&to.parts));
        Ok(Json(json!({ "from": from.number, "to": to.number, "diff": diff })))
    })
    .await?
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    #[serde(default)]
    reason: String,
}

/// Replaces the main file. `if-match` names the configuration that the change was made from.
pub(super) async fn put(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Params(why): Params<Why>,
    headers: HeaderMap,
    Text(text): Text,
) -> Result<Response, Problem> {
    let Some(tags) = if_match(&headers)? else {
        return Err(Problem::precondition_required(
            "say with `if-match` which configuration the change was made from: the `etag` of GET /config, or *",
        ));
    };
    blocking(move || {
        let changed = state.reloader.replace(&text, |hash| matches(&tags, hash), &caller.name)?;
        state.audit_config(&caller, "config.put", &changed, &why.reason, None)?;
        Ok(tagged(&changed, running(&changed)))
    })
    .await?
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackOrder {
    version: Option<u64>,
    #[serde(default)]
    reason: String,
}

/// Puts an earlier version in force again, as a new one.
pub(super) async fn rollback(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(order): Body<RollbackOrder>,
) -> Result<Response, Problem> {
    let number = order.version.ok_or_else(|| Problem::invalid("`version` is missing: its number"))?;
    let tags = if_match(&headers)?;
    let expected = move |hash: &str| tags.as_deref().is_none_or(|tags| matches(tags, hash));
    blocking(move || {
        let changed = state.reloader.rollback(number, expected, &caller.name)?;
        state.audit_config(&caller, "config.rollback", &changed, &order.reason, Some(number))?;
        Ok(tagged(&changed, running(&changed)))
    })
    .await?
}

/// Reads the files again.
pub(super) async fn reload(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    blocking(move || {
        let changed = state.reloader.reload(Source::Api, &caller.name).map_err(|errors| refused(&errors))?;
        state.audit_config(&caller, "config.reload", &changed, "", None)?;
        Ok(tagged(&changed, running(&changed)))
    })
    .await?
}

/// Looks at a text that would replace the main file.
pub(super) async fn validate(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    Text(text): Text,
) -> Result<Json<Value>, Problem> {
    let with_diff = caller.may(Permission::ChangeConfig).is_ok();
    blocking(move || {
        let candidate = state.reloader.validate(&text).map_err(|errors| refused(&errors))?;
        let running = state.reloader.running();
        let difference =
            || diff(&state.reloader.shown(&running.version.parts), &state.reloader.shown(&candidate.parts));
        let warnings: Vec<String> = candidate.warnings.iter().map(ToString::to_string).collect();
        Ok(Json(json!({
            "hash": candidate.hash,
            "changes": candidate.hash != running.version.hash,
            "warnings": warnings,
            "diff": with_diff.then(difference),
        })))
    })
    .await?
}

impl AdminState {
    fn audit_config(
        &self,
        caller: &Caller,
        action: &str,
        running: &Running,
        reason: &str,
        from: Option<u64>,
    ) -> Result<(), Problem> {
        let detail = json!({ "hash": running.version.hash, "reason": reason, "of_version": from });
        self.store.append_audit(&AuditEntry {
            seq: 0,
            at: self.now().wall,
            actor: caller.name.to_string(),
            action: action.to_owned(),
            subject: running.version.number.to_string(),
            detail: detail.to_string(),
        })?;
        Ok(())
    }
}

/// The tags of `if-match`, if it was sent; `*` is any.
fn if_match(headers: &HeaderMap) -> Result<Option<Vec<String>>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Problem::invalid("`if-match` is no text"))?;
    Ok(Some(value.split(',').map(|tag| tag.trim().trim_matches('"').to_owned()).collect()))
}

fn matches(tags: &[String], hash: &str) -> bool {
    tags.iter().any(|tag| tag == "*" || tag == hash)
}

/// The answer with the tag of the running configuration.
fn tagged(running: &Running, shown: Value) -> Response {
    let tag = format!("\"{}\"", running.version.hash);
    ([(header::ETAG, tag)], Json(shown)).into_response()
}

fn texts(parts: &[Part]) -> Value {
    parts.iter().map(|part| json!({ "path": part.path.display().to_string(), "text": part.text })).collect()
}

fn unreadable(error: std::io::Error) -> Problem {
    Problem::internal(&format!("the history cannot be read: {error}"))
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

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(errors) => refused(&errors),
            ChangeError::Outdated { .. } | ChangeError::FileChanged(_) => {
                Self::precondition_failed(error.to_string())
            }
            ChangeError::UnknownVersion(_) => Self::not_found(error.to_string()),
            ChangeError::NotWhole(_) => Self::conflict(error.to_string()),
            ChangeError::Io(_) => Self::internal(&error.to_string()),
        }
    }
}

fn refused(errors: &Errors) -> Problem {
    Problem::bad_config(lines(errors))
}

fn lines(errors: &Errors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}
