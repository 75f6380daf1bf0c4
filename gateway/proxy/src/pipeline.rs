//! The life of a request, station by station.
//!
//! Each station takes the ticket of the one before and the part of the snapshot that it needs; this
//! file alone knows them all and alone sees the whole snapshot.

use std::{
    borrow::Cow,
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
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::body::{Body as _, Incoming};
use tollgate_dialect::{Call, Dialect, Operation, Recognised, recognise};
use tollgate_domain::ModelAlias;

use crate::{
    admission, auth,
    caller::Caller,
    drill::Drill,
    edge::{self, Exchange, Fate, Said, Tried},
    failover::{self, Answer},
    intake, me,
    overload::{Held, Presence, Shed},
    rejection::Rejection,
    relay::{self, Body},
    route,
    settle::{self, Asked, RefusedCall, Stamp, Ticket},
    snapshot::{Principal, Snapshot},
    stored,
    trace::Trace,
    worker::Worker,
};

/// Where a key asks what it may do.
const ME: &str = "/tollgate/v1/me";
/// How long a plain answer whose client has left is still waited for, so that its bill is exact.
const DETACHED_PATIENCE: Duration = Duration::from_secs(120);

/// Answers one request.
///
/// The future is cancelled by dropping it. A stream is then cancelled upstream at once; a plain call
/// that is with an upstream goes on in a task of its core until its bill is known.
pub(crate) fn serve(worker: Rc<Worker>, exchange: Exchange, request: Request<Incoming>) -> Serving {
    let (parts, body) = request.into_parts();
    let is_http2 = parts.version == Version::HTTP_2;
    let mut body = Some(body);
    // Only what has to wait for somebody becomes a future; who calls and what for is known at once.
    let received =
        std::panic::catch_unwind(AssertUnwindSafe(|| receive(&worker, exchange, parts, &mut body)));
    let fate = Rc::<Fate>::default();
    let life = match received.unwrap_or_else(|_| Received::Answered(panicked(exchange, Dialect::OpenAi))) {
        Received::Call(passage) => Box::pin(guarded(passage, Rc::clone(&fate))) as Life,
        Received::Answered(response) => match body.filter(|body| !body.is_end_stream()) {
            Some(unread) if is_http2 => Box::pin(intake::hear_out(unread).map(|()| response)),
            Some(unread) if intake::is_long(&unread) => return Serving::Answered(Some(parting(response))),
            _ => return Serving::Answered(Some(response)),
        },
        Received::Shed(response) => return Serving::Answered(Some(response)),
    };
    Serving::Call { life: Some(life), fate, worker }
}

type Life = Pin<Box<dyn Future<Output = Response<Body>>>>;

/// A request being answered.
pub(crate) enum Serving {
    /// The answer needed nobody else.
    Answered(Option<Response<Body>>),
    /// A call on its way, or the answer to a refused one that is still being said.
    Call {
        /// `None` once it has ended.
        life: Option<Life>,
        fate: Rc<Fate>,
        worker: Rc<Worker>,
    },
}

impl Future for Serving {
    type Output = Result<Response<Body>, std::convert::Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ONCE: &str = "a finished future is not polled again";
        match &mut *self {
            Self::Answered(response) => Poll::Ready(Ok(response.take().expect(ONCE))),
            Self::Call { life, .. } => {
                let response = std::task::ready!(life.as_mut().expect(ONCE).as_mut().poll(cx));
                *life = None;
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let Self::Call { life, fate, worker } = self else { return };
        let goes_on = fate.detachable.get() && !worker.is_cut();
        let Some(life) = life.take().filter(|_| goes_on) else { return };
        fate.client_gone.set(true);
        worker.tasks.spawn_local(async move {
            // Too late is settled like any other exchange that nobody waits for.
            let _ = tokio::time::timeout(DETACHED_PATIENCE, life).await;
        });
    }
}

/// The last answer of its connection: over HTTP/1, what its client still has to say is more than is worth
/// hearing for the next request's sake.
fn parting(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response.map(Body::parting)
}

/// An answer of the gateway's own, whole from the beginning.
fn own(answer: Response<Bytes>) -> Response<Body> {
    answer.map(Body::full)
}

/// A panic ends one request, with a 500 and a log line; whatever it held settles as it unwinds.
fn panicked(exchange: Exchange, dialect: Dialect) -> Response<Body> {
    tracing::error!(request_id = %exchange.id, "a request's handler panicked");
    own(edge::refuse(&Rejection::Internal, dialect, exchange.id, &Tried::default()))
}

async fn guarded(mut passage: Box<Passage>, fate: Rc<Fate>) -> Response<Body> {
    let (exchange, dialect) = (passage.exchange, passage.call.dialect);
    let answered = AssertUnwindSafe(answer(&mut passage, &fate)).catch_unwind().await;
    answered.unwrap_or_else(|_| panicked(exchange, dialect))
}

/// A request once it is known what it is.
enum Received {
    /// No call of a known caller: answered at once.
    Answered(Response<Body>),
    /// A call that there is no room for, and whose body is too long to be heard: answered at once.
    Shed(Response<Body>),
    Call(Box<Passage>),
}

/// A call of a known caller on its way through the stations. It stands still in memory: what the
/// stations hand on would otherwise be copied at every step.
struct Passage {
    worker: Rc<Worker>,
    exchange: Exchange,
    snapshot: Arc<Snapshot>,
    principal: Arc<Principal>,
    /// Of a caller that has signed, until its body has proven it.
    claimed: Option<Box<auth::Claimed>>,
    call: Call<'static>,
    headers: HeaderMap,
    query: Option<String>,
    /// The zone that the client narrows its call to.
    zone: Option<Box<str>>,
    /// Where it stands in a trace.
    trace: Option<Arc<Trace>>,
    /// The request's place in the process, until it is admitted.
    presence: Option<Presence>,
    /// Its body's bytes among those that the process holds.
    held: Option<Held>,
    body: Option<Incoming>,
    is_http2: bool,
    /// A long body is not read to its end.
    is_unread: bool,
    known: Known,
}

/// Tells calls from what is none; the body stays where it is unless it belongs to a call.
fn receive(worker: &Rc<Worker>, exchange: Exchange, parts: Parts, body: &mut Option<Incoming>) -> Received {
    let path = parts.uri.path();
    if path == ME {
        return Received::Answered(me(worker, exchange, &parts));
    }
    if let Some(answer) = own_path(worker, path) {
        return Received::Answered(own(answer));
    }
    let has_header = |name: &str| parts.headers.contains_key(name);
    let (dialect, rejection) = match recognise(parts.method.as_str(), path, has_header) {
        Recognised::Call(call) => {
            let call = Call { model: call.model.map(|model| Cow::Owned(model.into_owned())), ..call };
            return identify(worker, exchange, call, parts, body);
        }
        Recognised::Probe => return Received::Answered(own(edge::text(StatusCode::OK, "tollgate\n"))),
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
    Received::Answered(refuse_unknown(worker, exchange, &rejection, dialect, "unknown"))
}

/// Paths that are no provider's.
fn own_path(worker: &Worker, path: &str) -> Option<Response<Bytes>> {
    let answer = match path {
        "/livez" => edge::text(StatusCode::OK, "ok\n"),
        "/readyz" if (worker.shared.ready)() => edge::text(StatusCode::OK, "ok\n"),
        "/readyz" => edge::text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => return None,
    };
    Some(answer)
}

/// What the key that asks may do and what is left for it.
fn me(worker: &Worker, exchange: Exchange, parts: &Parts) -> Response<Body> {
    let snapshot = worker.shared.snapshot.load_full();
    let known = match parts.method {
        Method::GET => auth::identify(&snapshot.keys, &Said::by(&parts.headers), parts, exchange.started)
            .and_then(|identified| without_body(identified, exchange)),
        _ => Err(Rejection::WrongMethod { allow: "GET" }),
    };
    match known {
        Ok(principal) => {
            let about = me::about(&principal, &snapshot.routes, exchange.now());
            let mut response = edge::json(StatusCode::OK, about);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            edge::put_ids(response.headers_mut(), exchange.id, Dialect::OpenAi);
            own(response)
        }
        Err(rejection) => refuse_unknown(worker, exchange, &rejection, Dialect::OpenAi, "me"),
    }
}

/// Who calls, of a request that has no body to prove a signature by.
fn without_body(identified: auth::Identified, exchange: Exchange) -> Result<Arc<Principal>, Rejection> {
    match identified {
        auth::Identified::Known(principal) => Ok(principal),
        auth::Identified::Claimed(claimed) => {
            claimed.prove(b"", exchange.started)?;
            Ok(Arc::clone(claimed.principal()))
        }
    }
}

/// Refuses somebody of whom nothing is known: metrics and an access line, no row.
fn refuse_unknown(
    worker: &Worker,
    exchange: Exchange,
    rejection: &Rejection,
    dialect: Dialect,
    operation: &'static str,
) -> Response<Body> {
    let status = rejection.status_for(dialect).as_u16();
    settle::unknown_caller(worker, exchange, status, rejection.code(), operation);
    own(edge::refuse(rejection, dialect, exchange.id, &Tried::default()))
}

/// A call: who makes it?
fn identify(
    worker: &Rc<Worker>,
    exchange: Exchange,
    call: Call<'static>,
    parts: Parts,
    body: &mut Option<Incoming>,
) -> Received {
    let snapshot = worker.shared.snapshot.load_full();
    let said = Said::by(&parts.headers);
    let is_bodiless = matches!(call.operation, Operation::ListModels | Operation::GetModel);
    let identified = auth::identify(&snapshot.keys, &said, &parts, exchange.started).and_then(|identified| {
        Ok(match identified {
            identified if is_bodiless => (without_body(identified, exchange)?, None),
            auth::Identified::Known(principal) => (principal, None),
            auth::Identified::Claimed(claimed) => (Arc::clone(claimed.principal()), Some(claimed)),
        })
    });
    let (principal, claimed) = match identified {
        Ok(identified) => identified,
        Err(rejection) => {
            let operation = call.operation.as_str();
            let refusal = refuse_unknown(worker, exchange, &rejection, call.dialect, operation);
            return Received::Answered(refusal);
        }
    };
    if is_bodiless {
        return Received::Answered(own(models(&snapshot, &principal, &call, exchange)));
    }
    let trace = Trace::of(&snapshot.tracing, &said, &parts.headers, || worker.random());
    let known = Known { caller: Caller::of(&said, &principal, trace.clone()), ..Known::default() };
    let zone = said.zone.and_then(Said::text).map(Into::into);
    let mut passage = Box::new(Passage {
        worker: Rc::clone(worker),
        exchange,
        snapshot,
        principal,
        claimed,
        call,
        headers: parts.headers,
        query: parts.uri.query().map(str::to_owned),
        zone,
        trace,
        presence: None,
        held: None,
        is_http2: parts.version == Version::HTTP_2,
        is_unread: body.as_ref().is_some_and(intake::is_long),
        body: None,
        known,
    });
    match passage.find_room() {
        Ok(()) => {
            passage.body = body.take();
            Received::Call(passage)
        }
        Err(shed) => {
            let response = passage.refuse(&worker.overloaded(shed));
            if passage.is_unread { Received::Shed(response) } else { Received::Answered(response) }
        }
    }
}

impl Passage {
    /// Takes a place for the call and room for what its body is announced to be, before any of it is read.
    fn find_room(&mut self) -> Result<(), Shed> {
        let limits = &self.snapshot.edge;
        let announced = intake::announced(&self.headers);
        let own = &self.principal.standing;
        // What somebody claims to be takes nobody's share.
        let anonymous = self.claimed.as_ref().map(|_| self.worker.shared.live.gate.anonymous(own));
        let standing = anonymous.as_ref().unwrap_or(own);
        self.presence = Some(Presence::take(&self.worker, limits, standing, announced)?);
        // A body that is larger than any may be is refused for that.
        let bytes = announced.unwrap_or(0).min(limits.max_body as u64);
        self.held = Some(Held::announced(&self.worker, bytes, limits.max_bytes_held)?);
        Ok(())
    }

    /// The answer to a refused call; the refusal of a known key is a row.
    fn refuse(&mut self, rejection: &Rejection) -> Response<Body> {
        let Self { worker, exchange, snapshot, principal, claimed, call, known, .. } = self;
        let response = if claimed.is_some() {
            // What somebody claims to be is nobody's account.
            refuse_unknown(worker, *exchange, rejection, call.dialect, call.operation.as_str())
        } else {
            if !known.admitted {
                settle::refused(
                    worker,
                    RefusedCall {
                        exchange: *exchange,
                        principal,
                        caller: std::mem::take(&mut known.caller),
                        model: known.model.clone().unwrap_or_else(|| "".into()),
                        dialect: call.dialect,
                        operation: call.operation,
                        stream: known.stream,
                        stamp: stamp(snapshot),
                        rejection,
                        status: rejection.status_for(call.dialect).as_u16(),
                        at: exchange.now().wall,
                    },
                );
            }
            own(edge::refuse(rejection, call.dialect, exchange.id, &known.tried))
        };
        if self.is_unread && !self.is_http2 { parting(response) } else { response }
    }
}

/// The answer to a call.
async fn answer(passage: &mut Passage, fate: &Rc<Fate>) -> Response<Body> {
    let outcome = travel(passage, fate).await;
    fate.detachable.set(false);
    outcome.unwrap_or_else(|rejection| passage.refuse(&rejection))
}

/// What a refusal's row and answer tell of a request that did not get through.
#[derive(Default)]
struct Known {
    caller: Caller,
    model: Option<ModelAlias>,
    stream: bool,
    /// From admission on, the trip makes the row.
    admitted: bool,
    tried: Tried,
}

/// The way through the stations.
async fn travel(passage: &mut Passage, fate: &Rc<Fate>) -> Result<Response<Body>, Rejection> {
    let Passage {
        worker,
        exchange,
        snapshot,
        principal,
        claimed,
        call,
        headers,
        query,
        zone,
        trace,
        known,
        ..
    } = passage;
    const ONCE: &str = "a call travels once";
    let (body, held) = (passage.body.take().expect(ONCE), passage.held.take().expect(ONCE));
    let body = intake::body(headers, body, &snapshot.edge, held, |shed| worker.overloaded(shed)).await?;
    passage.is_unread = false;
    if let Some(claim) = claimed {
        claim.prove(&body.bytes, exchange.started)?;
        *claimed = None;
        passage.presence = None;
        let place =
            Presence::take(worker, &snapshot.edge, &principal.standing, Some(body.bytes.len() as u64));
        passage.presence = Some(place.map_err(|shed| worker.overloaded(shed))?);
    }
    let mut envelope = intake::open(call, std::mem::take(headers), query.take(), zone.take(), body)?;
    envelope.trace.clone_from(trace);
    known.stream = envelope.head.stream;
    if let Some(kept) = envelope.names_kept() {
        known.model = envelope.head.model.as_ref().map(|model| model.value.as_str().into());
        let keeper = stored::find(worker, principal, kept, exchange.started).await?;
        envelope.pin = Some(keeper);
    }
    if let Some(id) = envelope.head.prompt.as_deref() {
        known.model = Some(envelope.model().into());
        envelope.pin = Some(stored::of_prompt(principal, &envelope, id)?);
    }
    let drill = worker.shared.live.drills.draw(&principal.identity, envelope.head.stream, exchange.began);
    let stage = drill.as_ref().map(|drill| drill.stage(snapshot));
    let routes = stage.as_ref().map_or(&snapshot.routes, |stage| &stage.routes);
    let plan = envelope
        .refuse_background()
        .and_then(|()| route::plan(routes, principal, &envelope, exchange.started))
        .inspect_err(|_| known.model = Some(envelope.model().into()))?;
    let asked = plan.route.alias.clone();
    known.model = Some(asked.clone());
    let instead = |model: &ModelAlias| route::instead(routes, model, principal, &envelope, exchange.started);
    let plan = admission::step_down(plan, principal, &envelope, exchange.started, instead);
    let plan = plan.with_larger(instead);
    let end_user = envelope.head.end_user.as_deref();
    let ticket = Ticket {
        exchange: *exchange,
        caller: std::mem::take(&mut known.caller).or_end_user(end_user),
        asked: Asked {
            instead: (plan.route.alias != asked).then(|| plan.route.alias.clone()),
            larger: None,
            alias: asked,
            dialect: envelope.dialect,
            operation: envelope.operation,
            stream: envelope.head.stream,
            units: envelope.head.units,
            stores: envelope.head.stores,
        },
        stamp: stamp(snapshot),
        prompt: envelope.prompt_to_keep(),
        fate: Rc::clone(fate),
        // Who cannot come to the drilled place takes no part.
        drill: drill.filter(|_| plan.meets_a_drill()).map(Drill::enlist),
    };
    let presence = passage.presence.take().expect(ONCE);
    let admitted = admission::admit(worker, principal, ticket, &plan, &envelope, presence).await;
    // The ticket is gone with the refusal, and the refusal's row tells who was behind it.
    let mut trip = admitted.inspect_err(|_| {
        let trace = envelope.trace.clone();
        known.caller = Caller::of(&Said::by(&envelope.headers), principal, trace).or_end_user(end_user);
    })?;
    known.admitted = true;
    worker.trap("admitted");
    fate.detachable.set(!envelope.head.stream);
    let mut dispatched = failover::dispatch(&mut trip, &plan, &envelope).await;
    if envelope.pin.is_some() {
        dispatched = dispatched.map_err(stored::lost);
    }
    if let Some(kept) = envelope.names_kept()
        && envelope.operation.ends_what_is_kept()
        && matches!(dispatched, Ok(Answer::Plain(_)))
    {
        stored::forget(worker, kept.id()).await;
    }
    known.tried = trip.tried();
    let answer = dispatched.inspect_err(|rejection| trip.fail(rejection))?;
    worker.trap("answered");
    relay::respond(trip, answer).await
}

fn stamp(snapshot: &Snapshot) -> Stamp {
    Stamp {
        currency: snapshot.currency.clone(),
        config_version: snapshot.version,
        waste: snapshot.waste,
        tells_spans: snapshot.tracing.sampled_millionths.is_some(),
    }
}

/// The models that this key may call, in the dialect of the caller; from memory, no provider is asked.
fn models(
    snapshot: &Snapshot,
    principal: &Principal,
    call: &Call<'_>,
    exchange: Exchange,
) -> Response<Bytes> {
    let names = me::models(principal, &snapshot.routes);
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
