//! `/livez`, `/readyz` and `/metrics`: for orchestrators and scrapers, without a token.
//!
//! Readiness is about this process alone: a provider that fails must not take every gateway out of
//! the load balancer at once.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::AdminState;

/// One condition of readiness.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Its name, such as `journal`.
    pub name: &'static str,
    /// Nothing when it is met, else what is missing.
    pub problem: Option<String>,
}

pub(super) async fn livez() -> Response {
    plain(StatusCode::OK, "ok\n".to_owned())
}

pub(super) async fn readyz(State(state): State<Arc<AdminState>>, uri: Uri) -> Response {
    readiness(&(state.readiness)(), asks_for_verbose(&uri))
}

pub(super) async fn metrics(State(state): State<Arc<AdminState>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, (state.metrics)()).into_response()
}

fn asks_for_verbose(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose="))
}

/// 503 names what is missing; `verbose` lists every check.
fn readiness(checks: &[Check], verbose: bool) -> Response {
    let ready = checks.iter().all(|check| check.problem.is_none());
    let mut text = String::new();
    for check in checks {
        match &check.problem {
            None if verbose => writeln!(text, "[+]{}: ok", check.name),
            None => Ok(()),
            Some(problem) => writeln!(text, "[-]{}: {problem}", check.name),
        }
        .expect("a String takes everything");
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    plain(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
