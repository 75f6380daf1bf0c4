//! The life of a request, station by station.
//!
//! Each station takes the ticket of the one before and the part of the snapshot that it needs; this
//! file alone knows them all and alone sees the whole snapshot.

use std::{
    borrow::Cow,
    cell::Cell,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode, request::Parts};
use hyper::body::Incoming;
use tollgate_dialect::{Call, Dialect, Operation, Recognised, recognise};
use tollgate_domain::ModelAlias;

use crate::{
    admission, auth,
    caller::Caller,
    edge::{self, Exchange, Tried},
    failover, intake,
    rejection::Rejection,
    relay::{self, Body},
    route,
    settle::{self, Asked, RefusedCall, Stamp, Ticket},
    snapshot::{Principal, Snapshot},
    worker::Worker,
};

/// How long a plain answer whose client has left is still waited for, so that its bill is exact.
const DETACHED_PATIENCE: Duration = Duration::from_secs(120);

/// Answers one request.
///
/// The future is cancelled by dropping it. A stream is then cancelled upstream at once; a plain call
/// that is with an upstream goes on in a task of its core until its bill is known.
pub(crate) fn serve(worker: Rc<Worker>, exchange: Exchange, request: Request<Incoming>) -> Serving {
    let fate = Fate::default();
    let life = guarded(Rc::clone(&worker), exchange, request, fate.clone());
    Serving { life: Some(Box::pin(life)), fate, worker }
}

/// What a request's future shares with whoever may drop it.
#[derive(Clone)]
struct Fate {
    /// A plain call is with an upstream: it is finished even when nobody waits for it.
    detachable: Rc<Cell<bool>>,
    client_gone: Rc<Cell<bool>>,
    /// What the caller speaks, for the answer to a panic.
    dialect: Rc<Cell<Dialect>>,
}

impl Default for Fate {
    fn default() -> Self {
        Self {
            detachable: Rc::default(),
            client_gone: Rc::default(),
            dialect: Rc::new(Cell::new(Dialect::OpenAi)),
        }
    }
}

/// A request being answered.
pub(crate) struct Serving {
    life: Option<Pin<Box<dyn Future<Output = Response<Body>>>>>,
    fate: Fate,
    worker: Rc<Worker>,
}

impl Future for Serving {
    type Output = Result<Response<Body>, std::convert::Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let life = self.life.as_mut().expect("a finished future is not polled again");
        let response = std::task::ready!(life.as_mut().poll(cx));
        self.life = None;
        Poll::Ready(Ok(response))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let goes_on = self.fate.detachable.get() && !self.worker.is_cut();
        let Some(life) = self.life.take().filter(|_| goes_on) else { return };
        self.fate.client_gone.set(true);
        self.worker.tasks.spawn_local(async move {
            // Too late is settled like any other exchange that nobody waits for.
            let _ = tokio::time::timeout(DETACHED_PATIENCE, life).await;
        });
    }
}

/// An answer of the gateway's own, whole from the beginning.
fn own(answer: Response<Bytes>) -> Response<Body> {
    answer.map(Body::full)
}

/// A panic ends one request, with a 500 and a log line; whatever it held settles as it unwinds.
async fn guarded(
    worker: Rc<Worker>,
    exchange: Exchange,
    request: Request<Incoming>,
    fate: Fate,
) -> Response<Body> {
    let dialect = Rc::clone(&fate.dialect);
    match AssertUnwindSafe(receive(&worker, exchange, request, fate)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(request_id = %exchange.id, "a request's handler panicked");
            own(edge::refuse(&Rejection::Internal, dialect.get(), exchange.id, &Tried::default()))
        }
    }
}

/// Tells calls from what is none.
async fn receive(
    worker: &Rc<Worker>,
    exchange: Exchange,
    request: Request<Incoming>,
    fate: Fate,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match parts.uri.path() {
        "/livez" => return own(edge::text(StatusCode::OK, "ok\n")),
        "/readyz" if (worker.shared.ready)() => return own(edge::text(StatusCode::OK, "ok\n")),
        "/readyz" => return own(edge::text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
        "/tollgate/v1/me" => {
            let rejection = Rejection::Unsupported("asking for a key's own limits".to_owned());
            return own(edge::refuse(&rejection, Dialect::OpenAi, exchange.id, &Tried::default()));
        }
        _ => {}
    }
    let path = parts.uri.path().to_owned();
    let has_header = |name: &str| parts.headers.contains_key(name);
    let (dialect, rejection) = match recognise(parts.method.as_str(), &path, has_header) {
        Recognised::Call(call) => return answer(worker, exchange, &call, parts, body, fate).await,
        Recognised::Probe => return own(edge::text(StatusCode::OK, "tollgate\n")),
        Recognised::Unsupported { dialect, what } => (dialect, Rejection::Unsupported(what.to_owned())),
        Recognised::WrongMethod { dialect, allow } => (dialect, Rejection::WrongMethod { allow }),
        Recognised::Unknown { dialect, hint } => {
            let message = match hint {
                Some(hint) => format!("no such path; did you mean {hint}?"),
                None => "no such path".to_owned(),
            };
            (dialect, Rejection::UnknownPath { message })
        }
    };
    settle::unknown_caller(worker, exchange, rejection.status().as_u16(), rejection.code(), "unknown");
    own(edge::refuse(&rejection, dialect, exchange.id, &Tried::default()))
}

/// A call: who, then what; a refusal of a known key is a row.
async fn answer(
    worker: &Rc<Worker>,
    exchange: Exchange,
    call: &Call<'_>,
    parts: Parts,
    body: Incoming,
    fate: Fate,
) -> Response<Body> {
    fate.dialect.set(call.dialect);
    let snapshot = worker.shared.snapshot.load_full();
    let principal = match auth::identify(&snapshot.keys, &parts.headers, &parts.uri, exchange.started) {
        Ok(principal) => principal,
        Err(rejection) => {
            let (status, operation) = (rejection.status().as_u16(), call.operation.as_str());
            settle::unknown_caller(worker, exchange, status, rejection.code(), operation);
            return own(edge::refuse(&rejection, call.dialect, exchange.id, &Tried::default()));
        }
    };
    if matches!(call.operation, Operation::ListModels | Operation::GetModel) {
        return own(models(&snapshot, &principal, call, exchange));
    }
    let mut known = Known { caller: Caller::of(&parts.headers, &principal), ..Known::default() };
    let outcome =
        travel(worker, exchange, &snapshot, &principal, call, (parts, body), &fate, &mut known).await;
    fate.detachable.set(false);
    match outcome {
        Ok(response) => response,
        Err(rejection) => {
            if !known.admitted {
                settle::refused(
                    worker,
                    RefusedCall {
                        exchange,
                        principal: &principal,
                        caller: known.caller,
                        model: known.model,
                        dialect: call.dialect.as_str(),
                        operation: Cow::Borrowed(call.operation.as_str()),
                        stream: known.stream,
                        stamp: stamp(&snapshot),
                        rejection: &rejection,
                        at: exchange.now().wall,
                    },
                );
            }
            own(edge::refuse(&rejection, call.dialect, exchange.id, &known.tried))
        }
    }
}

/// What a refusal's row and answer tell of a request that did not get through.
struct Known {
    caller: Caller,
    model: ModelAlias,
    stream: bool,
    /// From admission on, the trip makes the row.
    admitted: bool,
    tried: Tried,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            caller: Caller::default(),
            model: "".into(),
            stream: false,
            admitted: false,
            tried: Tried::default(),
        }
    }
}

/// The way through the stations.
#[expect(clippy::too_many_arguments, reason = "the one place where all stations meet")]
async fn travel(
    worker: &Rc<Worker>,
    exchange: Exchange,
    snapshot: &Snapshot,
    principal: &Arc<Principal>,
    call: &Call<'_>,
    (parts, body): (Parts, Incoming),
    fate: &Fate,
    known: &mut Known,
) -> Result<Response<Body>, Rejection> {
    let query = parts.uri.query().map(str::to_owned);
    let envelope = intake::read(call, parts.headers, query, body, &snapshot.edge).await?;
    known.model = envelope.model.as_str().into();
    known.stream = envelope.head.stream;
    envelope.refuse_stored_state()?;
    let plan = route::plan(&snapshot.routes, principal, &envelope, exchange.started)?;
    known.model = plan.route.alias.clone();
    let end_user = envelope.head.end_user.as_deref();
    let caller = std::mem::take(&mut known.caller).or_end_user(end_user);
    let asked = Asked {
        alias: plan.route.alias.clone(),
        dialect: envelope.dialect,
        operation: envelope.operation,
        stream: envelope.head.stream,
    };
    let client_gone = Rc::clone(&fate.client_gone);
    let ticket = Ticket {
        exchange,
        caller,
        asked,
        stamp: stamp(snapshot),
        prompt: envelope.prompt_to_keep(),
        client_gone,
    };
    let admitted = admission::admit(worker, principal, ticket, &plan, &envelope);
    // The ticket is gone with the refusal, and the refusal's row tells who was behind it.
    let mut trip = admitted.inspect_err(|_| {
        known.caller = Caller::of(&envelope.headers, principal).or_end_user(end_user);
    })?;
    known.admitted = true;
    worker.trap("admitted");
    fate.detachable.set(!envelope.head.stream);
    let dispatched = failover::dispatch(&mut trip, &plan, &envelope).await;
    known.tried = trip.tried();
    let answer = dispatched.inspect_err(|rejection| trip.fail(rejection))?;
    worker.trap("answered");
    relay::respond(trip, answer).await
}

fn stamp(snapshot: &Snapshot) -> Stamp {
    Stamp { currency: snapshot.currency.clone(), config_version: snapshot.version }
}

/// The models that this key may call, in the dialect of the caller; from memory, no provider is asked.
fn models(
    snapshot: &Snapshot,
    principal: &Principal,
    call: &Call<'_>,
    exchange: Exchange,
) -> Response<Bytes> {
    let mut names: Vec<&str> = principal
        .models
        .iter()
        .map(ModelAlias::as_str)
        .filter(|name| snapshot.routes.by_alias.contains_key(*name))
        .collect();
    names.sort_unstable();
    let one = call.model.as_deref();
    if let Some(name) = one.filter(|name| !names.contains(name)) {
        let unknown = Rejection::UnknownModel(name.to_owned());
        return edge::refuse(&unknown, call.dialect, exchange.id, &Tried::default());
    }
    let body = call.dialect.codec().models(&mut names.into_iter(), one);
    let mut response = edge::json(StatusCode::OK, body);
    edge::put_ids(response.headers_mut(), exchange.id, call.dialect);
    response
}
