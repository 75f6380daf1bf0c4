//! Signing in to the console, and who one is: `POST` and `DELETE /session`, `GET /me`.
//!
//! A browser trades a token, or the link of a first start, for a cookie that no script can read. Every
//! sign-in stands in the audit, failed ones too; no secret ever does.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_accounting::ledger::AuditEntry;

use super::{
    AdminState,
    access::{self, Caller, Permission},
    blocking,
    params::Body,
    problem::Problem,
};
use crate::{
    config::file::{AdminToken, Role},
    sessions::{Failure, Resumed, hash},
};

const COOKIE: &str = "tollgate_session";
/// Proves that a change comes from the page and not from elsewhere through the browser.
const PROOF: HeaderName = HeaderName::from_static("x-tollgate-csrf");
/// The page asks by itself, not for a person who does something.
const UNATTENDED: HeaderName = HeaderName::from_static("x-tollgate-unattended");

/// What `POST /session` takes: one of the two.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    token: Option<String>,
    link: Option<String>,
}

/// `POST /session`: signs in.
pub(super) async fn sign_in(
    State(state): State<Arc<AdminState>>,
    headers: HeaderMap,
    uri: Uri,
    Body(sign_in): Body<SignIn>,
) -> Result<Response, Problem> {
    if origin(&headers, &uri) == Origin::Foreign {
        return Err(Problem::forbidden("sign-in from a page of another origin"));
    }
    let now = Instant::now();
    let running = state.reloader.running();
    let tokens = &running.settings.admin_tokens;
    let (way, found) = match &sign_in {
        SignIn { token: Some(token), link: None } => ("token", access::find(tokens, token.as_bytes())),
        SignIn { token: None, link: Some(code) } => {
            let holder = first_admin(tokens).filter(|_| state.sessions.redeem(code.as_bytes(), now));
            ("link", holder)
        }
        _ => return Err(Problem::invalid("give `token` or `link`")),
    };
    let Some(token) = found else {
        note_failure(&state, way, now).await?;
        return Err(Problem::unauthorized(match way {
            "token" => "unknown token",
            _ => "the link was used, is older than 15 minutes, or is none: sign in with a token",
        }));
    };
    // Kept before the session begins: nobody is in of whom nothing is known.
    note(&state, &token.name, "sign_in", json!({ "with": way })).await?;
    let begun = state.sessions.begin(hash(token.token.0.expose()), now);
    let secure = running.settings.admin.tls.is_some() || came_by_tls(&headers);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&begun.id, secure))]).into_response())
}

/// `DELETE /session`: signs out.
pub(super) async fn sign_out(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if caller.session.is_none() {
        return Err(Problem::conflict("no session is to be ended: the call came with a token of its own"));
    }
    for id in session_ids(&headers) {
        state.sessions.end(id);
    }
    note(&state, &caller.name, "sign_out", json!({})).await?;
    let gone = HeaderValue::from_static("tollgate_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// `GET /me`: who is calling, what they may, and what they are calling.
pub(super) async fn me(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Json<Value> {
    let running = state.reloader.running();
    let (settings, file) = (&running.settings, &running.document.file);
    let permissions: Vec<&str> = Permission::ALL
        .into_iter()
        .filter(|permission| caller.may(*permission).is_ok())
        .map(Permission::as_str)
        .collect();
    let session = caller.session.as_ref().map(|session| json!({ "ends_in_seconds": session.left.as_secs() }));
    Json(json!({
        "name": caller.name,
        "role": caller.role_name(),
        "scope": caller.teams().map(|teams| json!({ "teams": teams })),
        "permissions": permissions,
        "csrf": caller.session.as_ref().map(|session| &*session.csrf),
        "session": session,
        "gateway": {
            "version": env!("CARGO_PKG_VERSION"),
            "organization": settings.organization,
            "instance": settings.instance,
            "currency": file.currency,
            "time_zone": settings.timezone,
            "config_version": running.version.number,
            "data": {
                "scheme": if settings.data.tls.is_some() { "https" } else { "http" },
                "port": state.data.port(),
            },
        },
    }))
}

/// The session that a call's cookie names, if it goes on; a call that changes something must prove that
/// it comes from the page.
///
/// # Errors
/// The proof is missing.
pub(super) fn resume(
    state: &AdminState,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Resumed>, Problem> {
    let by_hand = !headers.contains_key(UNATTENDED);
    let resumed = session_ids(headers).find_map(|id| state.sessions.resume(id, by_hand, Instant::now()));
    let Some(session) = resumed else { return Ok(None) };
    if !matches!(*method, Method::GET | Method::HEAD) {
        if origin(headers, uri) != Origin::Own {
            return Err(Problem::forbidden("a change by a session must come from the console's own origin"));
        }
        let proof = headers.get(PROOF).map(HeaderValue::as_bytes).unwrap_or_default();
        if !session.is_proof(proof) {
            return Err(Problem::forbidden(
                "a change by a session needs the header x-tollgate-csrf that `GET /me` tells",
            ));
        }
    }
    Ok(Some(session))
}

/// The values of our cookie.
fn session_ids(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let cookies =
        headers.get_all(header::COOKIE).iter().flat_map(|list| list.as_bytes().split(|byte| *byte == b';'));
    cookies.filter_map(|cookie| cookie.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"="))
}

fn cookie(id: &str, secure: bool) -> HeaderValue {
    let longest = crate::sessions::LONGEST.as_secs();
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={longest}{secure}");
    HeaderValue::from_str(&text).expect("a secret of ours has no control characters")
}

/// Whose page sent a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    /// No page's, or its browser does not say.
    Untold,
    /// One of the same host and port. The scheme is not compared: TLS may end before us.
    Own,
    /// Another one.
    Foreign,
}

fn origin(headers: &HeaderMap, uri: &Uri) -> Origin {
    let Some(origin) = headers.get(header::ORIGIN) else { return Origin::Untold };
    let asked = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or(uri.authority().map(Authority::as_str));
    let told =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    match (told, asked) {
        (Some(told), Some(asked)) if told.eq_ignore_ascii_case(asked) => Origin::Own,
        _ => Origin::Foreign,
    }
}

/// Whether the page that sent the call was loaded over TLS.
fn came_by_tls(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// Whom the link of a first start signs in.
fn first_admin(tokens: &[AdminToken]) -> Option<&AdminToken> {
    tokens.iter().find(|token| token.role == Role::Admin && token.scope.is_none())
}

impl AdminState {
    /// The path of a link that signs in once, or nothing where nobody could be signed in by it. The secret
    /// stands behind `#`, which no browser sends and no log sees.
    pub fn sign_in_link(&self) -> Option<String> {
        first_admin(&self.reloader.running().settings.admin_tokens)?;
        Some(format!("/sign-in#{}", self.sessions.issue_link(Instant::now())))
    }
}

async fn note_failure(state: &Arc<AdminState>, way: &'static str, now: Instant) -> Result<(), Problem> {
    match state.sessions.failed(now) {
        Failure::Told { untold } => {
            note(state, "unknown", "sign_in_failed", json!({ "with": way, "more_untold": untold })).await
        }
        Failure::Counted => Ok(()),
    }
}

async fn note(state: &Arc<AdminState>, actor: &str, action: &str, detail: Value) -> Result<(), Problem> {
    let entry = AuditEntry {
        seq: 0,
        at: state.now().wall,
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: "console".to_owned(),
        detail: detail.to_string(),
    };
    let store = Arc::clone(&state.store);
    blocking(move || store.append_audit(&entry)).await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_a_page_of_the_same_host_and_port_is_our_own() {
        let cases = [
            ("http://gw:9090", Origin::Own),
            ("https://GW:9090", Origin::Own),
            ("http://gw:9091", Origin::Foreign),
            ("http://gw", Origin::Foreign),
            ("http://gw:9090.evil.example", Origin::Foreign),
            ("null", Origin::Foreign),
            ("", Origin::Foreign),
        ];
        let uri = Uri::from_static("/api/v1/session");
        for (told, want) in cases {
            let headers = headers(&[(header::HOST, "gw:9090"), (header::ORIGIN, told)]);
            assert_eq!(origin(&headers, &uri), want, "{told}");
        }
        assert_eq!(origin(&headers(&[(header::HOST, "gw:9090")]), &uri), Origin::Untold);
        let http2 = Uri::from_static("http://gw:9090/api/v1/session");
        assert_eq!(origin(&headers(&[(header::ORIGIN, "http://gw:9090")]), &http2), Origin::Own);
    }

    #[test]
    fn a_cookie_is_kept_from_scripts_and_from_other_sites() {
        let text = |secure| cookie("abc", secure).to_str().expect("text").to_owned();
        assert_eq!(text(false), "tollgate_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
        assert!(text(true).ends_with("; Secure"));
        let headers = headers(&[(header::COOKIE, "a=1; tollgate_session=abc;tollgate_sessions=no")]);
        assert_eq!(session_ids(&headers).collect::<Vec<_>>(), [b"abc"]);
    }
}
