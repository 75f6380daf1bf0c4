//! The table of routes. Who may open a route is part of the route: one without a rule cannot be
//! written down, and the router is built from nothing else.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request, State},
    handler::Handler,
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{self, Next},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};

use tollgate_accounting::quota::ScopeKind;

use super::{
    AdminState,
    access::{self, Access, Caller, Permission},
    alerts, allocation, audit, budget_page, budgets, changes, close, config, drills, explain, export, fleet,
    health, keys, objectives, openapi, overview,
    problem::Problem,
    projects, reconcile, requests, rerate, session, stream, trial, usage,
};
use crate::{
    console,
    operate::{Action, Kind},
};

/// One route: what it is, who may open it, what answers.
pub(super) struct Rule {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) access: Access,
    answers: MethodRouter<Arc<AdminState>>,
}

/// What the admin listener answers of the admin API.
pub(super) fn admin_rules() -> Vec<Rule> {
    let mut rules = status_rules();
    rules.extend(session_rules());
    rules.extend(spend_rules());
    rules.extend(raise_rules());
    rules.extend(Kind::ALL.into_iter().flat_map(fleet_rules));
    rules.extend(config_rules());
    rules.extend(drill_rules());
    rules.extend(key_rules());
    rules
}

/// The console: its page at the path of every view, and the parts of it. They are the same for everybody and
/// hold nothing, so they are open; what they show comes from the admin API.
pub(super) fn console_rules() -> Vec<Rule> {
    let part = |Path((version, path)): Path<(String, String)>, headers: HeaderMap| async move {
        console::part(&version, &path, &headers)
    };
    let mut rules = vec![open("/", console::page), open("/console/{version}/{*path}", part)];
    rules.extend(console::VIEWS.iter().map(|view| open(&format!("/{view}"), console::page)));
    rules
}

/// What the status listener answers: for orchestrators and scrapers.
pub(super) fn status_rules() -> Vec<Rule> {
    vec![open("/livez", health::livez), open("/readyz", health::readyz), open("/metrics", health::metrics)]
}

fn session_rules() -> Vec<Rule> {
    vec![
        // Open: whoever comes here has nothing yet but what the body holds.
        Rule { access: Access::Open, ..post("/session", Permission::BeKnown, session::sign_in) },
        delete("/session", Permission::BeKnown, session::sign_out),
        get("/me", Permission::BeKnown, session::me),
    ]
}

fn spend_rules() -> Vec<Rule> {
    vec![
        get("/usage", Permission::ReadSpend, usage::usage),
        get("/overview", Permission::ReadSpend, overview::overview),
        get("/stream", Permission::ReadSpend, stream::stream),
        get("/changes", Permission::ReadAudit, changes::list),
        get("/requests", Permission::ReadSpend, requests::list),
        get("/requests/{id}", Permission::ReadSpend, requests::one),
        get("/budgets", Permission::ReadSpend, budget_page::list),
        get("/projects", Permission::ReadSpend, projects::list),
        get("/alerts", Permission::ReadSpend, alerts::list),
        get("/export/csv", Permission::Export, export::csv),
        get("/export/focus", Permission::Export, export::focus),
        get("/allocation", Permission::ReadAllocation, allocation::allocation),
        post("/prices/rerate", Permission::Correct, rerate::rerate),
        get("/export/parquet", Permission::Export, export::parquet),
        get("/export/xlsx", Permission::Export, export::xlsx),
        get("/audit", Permission::ReadAudit, audit::list),
        post("/reconcile", Permission::Reconcile, reconcile::run),
        post("/close", Permission::CloseMonth, close::run),
        get("/statements", Permission::ReadStatements, close::list),
        get("/statements/{id}", Permission::ReadStatements, close::one),
    ]
}

/// A scope's name has as many parts as its kind has levels.
fn raise_rules() -> Vec<Rule> {
    let kinds = [
        (ScopeKind::Team, "{team}"),
        (ScopeKind::Project, "{team}/{project}"),
        (ScopeKind::Key, "{team}/{project}/{key}"),
    ];
    let both = |(kind, name): (ScopeKind, &str)| {
        let budget = format!("/budgets/{}/{name}", kind.as_str());
        let raise = move |state: State<_>, caller: _, name: _, order: _| {
            budgets::raise(kind, state, caller, name, order)
        };
        let lower = move |state: State<_>, caller: _, name: _, order: _| {
            budgets::lower(kind, state, caller, name, order)
        };
        [
            post(&format!("{budget}/raise"), Permission::RaiseBudgets, raise),
            post(&format!("{budget}/lower"), Permission::RaiseBudgets, lower),
        ]
    };
    kinds.into_iter().flat_map(both).collect()
}

fn fleet_rules(kind: Kind) -> Vec<Rule> {
    let collection = format!("/{}", kind.plural());
    let list = move |state: State<_>| fleet::list(kind, state);
    let one = move |state: State<_>, name: _| fleet::one(kind, state, name);
    let mut rules = vec![
        get(&collection, Permission::ReadFleet, list),
        get(&format!("{collection}/{{name}}"), Permission::ReadFleet, one),
    ];
    rules.extend(Action::ALL.into_iter().map(|action| {
        let order = move |state: State<_>, caller: _, name: _, body: _| {
            fleet::order((kind, action), state, caller, name, body)
        };
        post(&format!("{collection}/{{name}}/{}", action.as_str()), Permission::Operate, order)
    }));
    if kind == Kind::Region {
        rules.push(post(&format!("{collection}/{{name}}/failover"), Permission::Operate, fleet::fail_over));
        rules.push(post(&format!("{collection}/{{name}}/failback"), Permission::Operate, fleet::fail_back));
    }
    if kind == Kind::Upstream {
        rules.push(post(&format!("{collection}/{{name}}/reset"), Permission::Operate, fleet::reset));
    }
    rules
}

fn config_rules() -> Vec<Rule> {
    vec![
        get("/config", Permission::ReadConfig, config::show),
        put("/config", Permission::ChangeConfig, config::put),
        get("/config/history", Permission::ReadConfig, config::history),
        get("/config/diff", Permission::ChangeConfig, config::between),
        post("/config/rollback", Permission::ChangeConfig, config::rollback),
        post("/config/reload", Permission::Reload, config::reload),
        post("/config/validate", Permission::Reload, config::validate),
        get("/objectives", Permission::ReadFleet, objectives::list),
        get("/explain", Permission::ReadDocument, explain::list),
        get("/explain/{code}", Permission::ReadDocument, explain::one),
        get("/openapi.json", Permission::ReadDocument, openapi::document),
    ]
}

fn drill_rules() -> Vec<Rule> {
    vec![
        get("/drills", Permission::ReadDrills, drills::list),
        post("/drills", Permission::RunDrills, drills::begin),
        get("/drills/{id}", Permission::ReadDrills, drills::one),
        post("/drills/{id}/stop", Permission::RunDrills, drills::stop),
    ]
}

fn key_rules() -> Vec<Rule> {
    vec![
        get("/keys", Permission::ReadKeys, keys::list),
        post("/keys", Permission::ManageKeys, keys::create),
        post("/keys/test", Permission::ReadSpend, trial::run),
        post("/keys/{id}/revoke", Permission::ManageKeys, keys::revoke),
        post("/keys/{id}/rotate", Permission::ManageKeys, keys::rotate),
    ]
}

fn get<T: 'static>(path: &str, permission: Permission, handler: impl Handler<T, Arc<AdminState>>) -> Rule {
    rule(Method::GET, path, permission, on(MethodFilter::GET, handler))
}

fn post<T: 'static>(path: &str, permission: Permission, handler: impl Handler<T, Arc<AdminState>>) -> Rule {
    rule(Method::POST, path, permission, on(MethodFilter::POST, handler))
}

fn put<T: 'static>(path: &str, permission: Permission, handler: impl Handler<T, Arc<AdminState>>) -> Rule {
    rule(Method::PUT, path, permission, on(MethodFilter::PUT, handler))
}

fn delete<T: 'static>(path: &str, permission: Permission, handler: impl Handler<T, Arc<AdminState>>) -> Rule {
    rule(Method::DELETE, path, permission, on(MethodFilter::DELETE, handler))
}

fn rule(method: Method, path: &str, permission: Permission, answers: MethodRouter<Arc<AdminState>>) -> Rule {
    Rule { method, path: format!("/api/v1{path}"), access: Access::Needs(permission), answers }
}

fn open<T: 'static>(path: &str, handler: impl Handler<T, Arc<AdminState>>) -> Rule {
    Rule {
        method: Method::GET,
        path: path.to_owned(),
        access: Access::Open,
        answers: on(MethodFilter::GET, handler),
    }
}

/// The router of a table. What is not in it is a problem too, never a bare 404.
pub(super) fn router(rules: Vec<Rule>, state: &Arc<AdminState>) -> Router {
    let guarded = rules.into_iter().fold(Router::new(), |router, rule| {
        let gate = Gate {
            method: rule.method,
            path: rule.path.as_str().into(),
            access: rule.access,
            state: Arc::clone(state),
        };
        router.route(&rule.path, rule.answers.route_layer(middleware::from_fn_with_state(gate, guard)))
    });
    guarded
        .fallback(async || Problem::not_found("no such path; see /api/v1/openapi.json"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::map_response(finish))
        .with_state(Arc::clone(state))
}

/// Stands before one route.
#[derive(Clone)]
struct Gate {
    method: Method,
    path: Arc<str>,
    access: Access,
    state: Arc<AdminState>,
}

/// Lets a caller pass whose token grants what the route needs, and tells the handler who it is.
async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, Problem> {
    if let Access::Needs(permission) = gate.access {
        let caller = gate.admit(permission, &request).inspect_err(|problem| {
            tracing::warn!(method = %gate.method, path = &*gate.path, %problem, "admin call refused");
        })?;
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

impl Gate {
    fn admit(&self, permission: Permission, request: &Request) -> Result<Caller, Problem> {
        let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let running = self.state.reloader.running();
        let tokens = &running.settings.admin_tokens;
        // A token that a call brings is its own word; a cookie comes along with any call of a browser.
        let session = match authorization {
            Some(_) => None,
            None => session::resume(&self.state, request.method(), request.uri(), request.headers())?,
        };
        let caller = match session {
            Some(session) => access::identify_session(tokens, session)?,
            None => access::identify(tokens, authorization)?,
        };
        caller.may(permission)?;
        Ok(caller)
    }
}

/// Answers are of the moment and often confidential, where they do not say otherwise; and no browser shall
/// make more of them than they are.
async fn finish(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    console::protect(headers);
    response
}
