//! One try on one target: connect, send, read as much as a decision needs.

use std::{
    future::poll_fn,
    pin::pin,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::timeout;
use tollgate_dialect::{Edits, Fault, Operation, Reported};

use super::{
    commit::{self, Stream},
    failure::{Class, Failure, Passed, wait_hint},
    visit::Visit,
    wording,
};
use crate::{
    edge,
    intake::Envelope,
    route::{Candidate, RoutePlan},
    settle::Progress,
    snapshot::{InjectUsage, Principal, Target},
    translate::{self, Way},
    upstream::{self, Connection, Exchange, Proof, SendFailure, UpstreamRequest},
    worker::{Worker, wall_clock},
};

/// A plain answer is held whole, so that a torn one can be tried elsewhere and its cost be told in
/// its head. Above this it is no answer of these APIs.
const LARGEST_PLAIN: usize = 64 << 20;
/// So much of an error's body is read.
const LARGEST_ERROR: usize = 1 << 20;
/// An error's body that takes longer than this is not worth the wait.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// What a committed attempt gives the relay.
pub(crate) enum Answer {
    /// A whole answer.
    Plain(Box<Plain>),
    /// A stream with its first content in hand.
    Stream(Box<Stream>, Visit),
    /// An upstream's refusal of the request itself, to be passed on.
    Refusal(Passed),
}

/// A whole plain answer.
pub(crate) struct Plain {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) reported: Reported,
    /// What was left out of the request.
    pub(crate) dropped: Option<HeaderValue>,
}

/// A successful attempt, before it is an [`Answer`].
pub(super) enum Reply {
    Plain(Box<Plain>),
    Stream(Box<Stream>),
}

impl Reply {
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Plain(plain) => plain.status.as_u16(),
            Self::Stream(stream) => stream.status.as_u16(),
        }
    }

    pub(super) fn upstream_request_id(&self) -> Option<Box<str>> {
        let headers = match self {
            Self::Plain(plain) => &plain.headers,
            Self::Stream(stream) => &stream.headers,
        };
        upstream_request_id(headers).and_then(|id| id.to_str().ok()).map(Into::into)
    }

    pub(super) fn answer(self, visit: Visit) -> Answer {
        match self {
            Self::Plain(plain) => Answer::Plain(plain),
            Self::Stream(stream) => Answer::Stream(stream, visit),
        }
    }
}

/// The id that the provider gave the request, by the names that these dialects use.
pub(crate) fn upstream_request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    static NAMES: [HeaderName; 4] = [
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("request-id"),
        HeaderName::from_static("apim-request-id"),
        HeaderName::from_static("x-amzn-requestid"),
    ];
    NAMES.iter().find_map(|name| headers.get(name).filter(|id| id.to_str().is_ok()))
}

pub(super) async fn run(
    worker: &Worker,
    plan: &RoutePlan,
    candidate: &Candidate,
    envelope: &Envelope,
    (principal, call): (&Principal, edge::Exchange),
    (progress, n): (&Progress, u16),
) -> Result<Reply, Failure> {
    let target = &*candidate.target;
    let asks_usage = asks_usage(target, envelope);
    let Asked { operation, query, needed, body, way, dropped } =
        ask(plan, target, envelope, principal, asks_usage)?;
    let disturbance = match &target.live.injection {
        None => None,
        Some(drilled) => {
            Some(Box::new(Box::pin(drilled.meet(target, &principal.standing, envelope.head.stream)).await?))
        }
    };
    let proof = proof(target).await?;
    let connection =
        worker.pools.take(&target.upstream).await.map_err(|error| Failure::of(Class::Connect(error)))?;
    let outgoing = UpstreamRequest {
        operation,
        kept: envelope.of_kept(),
        headers: &envelope.headers,
        query,
        needed,
        body,
        trace: envelope.trace.as_deref().map(|trace| (trace, n)),
    };
    let request =
        upstream::build(outgoing, target, proof, wall_clock()).ok_or_else(|| Failure::of(Class::Protocol))?;
    progress.sends();
    let (response, connection) = send(connection, request, target, envelope.head.stream).await?;
    let exchange = Exchange::new(connection, disturbance);
    let limits = target.upstream.dialect.codec().limit_names();
    if let Some(wait) = limits.spent(&text_of(response.headers()), wall_clock()) {
        // The answer itself may be a good one; the next request would not get any.
        target.live.hold.used_up(wait, Instant::now());
    }
    let received =
        Received { worker, target, envelope, progress, response, exchange, operation, way, dropped, call };
    match received.response.status() {
        // Boxed, so that plain answers do not carry the room that these need.
        status if !status.is_success() => Box::pin(received.refused()).await,
        _ if envelope.head.stream => Box::pin(received.stream(asks_usage)).await,
        _ => received.plain().await,
    }
}

/// What the target is shown: at once, but where no credential has ever been had.
async fn proof(target: &Target) -> Result<Proof, Failure> {
    let credential = &target.upstream.credential;
    if let Some(proof) = credential.proof() {
        return Ok(proof);
    }
    // Boxed: nearly no attempt ever waits.
    let arrived = Box::pin(credential.arrival()).await;
    arrived.ok_or_else(|| Failure {
        hint: credential.is_missing_for(Instant::now()),
        ..Failure::of(Class::NoCredential)
    })
}

/// What one target is asked.
struct Asked<'a> {
    operation: Operation,
    query: Option<&'a str>,
    /// Headers that the target demands and the client does not send.
    needed: &'static [(&'static str, &'static str)],
    body: Bytes,
    /// How the answer comes back into the client's dialect, where the target speaks another.
    way: Option<Way>,
    /// What was left out of the request.
    dropped: Option<HeaderValue>,
}

/// The request for one target: the client's bytes with the few edits, or a translation.
fn ask<'a>(
    plan: &RoutePlan,
    target: &Target,
    envelope: &'a Envelope,
    principal: &Principal,
    include_usage: bool,
) -> Result<Asked<'a>, Failure> {
    let needs_cap =
        principal.reserve_full && envelope.head.output_cap.is_none() && envelope.operation.generates();
    let cap = || plan.output_cap(envelope);
    if !translate::speaks_it(target, &envelope.asking()) {
        let translated = translate::request(target, &plan.route, &envelope.asking(), cap(), needs_cap)
            .and_then(Result::ok)
            .ok_or_else(|| Failure::of(Class::Untranslatable))?;
        return Ok(Asked {
            operation: translated.operation,
            query: translated.query,
            needed: translated.needed,
            body: translated.body,
            way: Some(translated.way),
            dropped: translated.dropped,
        });
    }
    let edits = Edits { model: Some(target.model.as_str()), include_usage, output_cap: needs_cap.then(cap) };
    let codec = target.upstream.dialect.codec();
    let body = match envelope.operation.names_no_model() {
        true => envelope.body.clone(),
        false => codec.request_body(envelope.operation, &envelope.head, &envelope.body, &edits),
    };
    let (operation, query) = (envelope.operation, envelope.query.as_deref());
    Ok(Asked { operation, query, needed: &[], body, way: None, dropped: None })
}

/// Whether the gateway has to ask for the usage of a stream, since the client did not.
fn asks_usage(target: &Target, envelope: &Envelope) -> bool {
    envelope.operation.tells_usage_when_asked()
        && envelope.head.stream
        && envelope.head.include_usage != Some(true)
        && target.upstream.inject_usage == InjectUsage::Always
}

async fn send(
    mut connection: Connection,
    request: http::Request<http_body_util::Full<Bytes>>,
    target: &Target,
    stream: bool,
) -> Result<(Response<Incoming>, Connection), Failure> {
    let timeouts = &target.upstream.timeouts;
    let (patience, total) =
        if stream { (timeouts.stream_head, timeouts.stream_total) } else { (timeouts.head, timeouts.total) };
    let sending = connection.send(request);
    // The whole call has a timer already; one that could only fire later is not worth its price.
    let sent = if patience < total {
        Box::pin(timeout(patience, sending)).await.map_err(|_| Failure::of(Class::HeadTimeout))?
    } else {
        sending.await
    };
    match sent {
        Ok(response) => Ok((response, connection)),
        Err(SendFailure::Unprocessed) => Err(Failure::of(Class::Unprocessed)),
        Err(SendFailure::Broken) => Err(Failure::of(Class::Reset)),
        Err(SendFailure::Protocol) => Err(Failure::of(Class::Protocol)),
    }
}

/// A response head, with its body still to come.
struct Received<'a> {
    worker: &'a Worker,
    target: &'a Target,
    envelope: &'a Envelope,
    progress: &'a Progress,
    response: Response<Incoming>,
    exchange: Exchange,
    /// What the target was asked for.
    operation: Operation,
    way: Option<Way>,
    dropped: Option<HeaderValue>,
    call: edge::Exchange,
}

impl Received<'_> {
    async fn plain(self) -> Result<Reply, Failure> {
        let (head, body) = self.response.into_parts();
        let codec = self.target.upstream.dialect.codec();
        let body = match collect(self.worker, self.target, self.exchange, body, LARGEST_PLAIN).await {
            Ok(body) => body,
            Err(Torn { class, came }) => {
                // The figures may have come before the connection broke.
                if let Some(usage) = codec.reply(self.operation, &came).usage {
                    self.progress.tells(usage);
                }
                return Err(Failure { status: Some(head.status.as_u16()), ..Failure::of(class) });
            }
        };
        let reported = codec.reply_with(self.operation, &body, &text_of(&head.headers));
        if let Some(fault) = reported.fault {
            // A failure inside a success; its bytes go to the client only if nothing else can serve.
            let answer = Passed { status: head.status.as_u16(), headers: head.headers, body };
            let status = Some(head.status.as_u16());
            return Err(Failure {
                class: Class::Said(fault),
                status,
                hint: None,
                answer: self.way.is_none().then(|| Box::new(answer)),
            });
        }
        let (headers, body) = match self.way {
            None => (head.headers, body),
            Some(way) => {
                let usage = reported.usage.as_ref();
                let translated =
                    translate::reply(way, &body, usage, self.target, &self.envelope.asking(), &self.call);
                let body = translated.ok_or_else(|| Failure::of(Class::Protocol))?;
                (wording::answer_headers(&head.headers, wording::PLAIN), body)
            }
        };
        let dropped = self.dropped;
        Ok(Reply::Plain(Box::new(Plain { status: head.status, headers, body, reported, dropped })))
    }

    async fn stream(self, hide_usage: bool) -> Result<Reply, Failure> {
        let (head, body) = self.response.into_parts();
        let codec = self.target.upstream.dialect.codec();
        let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let Some(framing) = codec.framing(content_type) else {
            return Err(Failure { status: Some(head.status.as_u16()), ..Failure::of(Class::Protocol) });
        };
        let reader = codec.reader(self.operation, hide_usage).headed(&text_of(&head.headers));
        let patience = self.target.upstream.timeouts.ttft;
        let mut stream = Stream::new(head, body, self.exchange, framing, reader);
        if let Some(way) = self.way {
            let asking = self.envelope.asking();
            let content_type = asking.framing().content_type();
            stream.headers = wording::answer_headers(&stream.headers, content_type);
            stream.translation = translate::stream(way, self.target, &asking, &self.call);
        }
        stream.dropped = self.dropped;
        let held = pin!(commit::hold(stream, self.progress));
        let mut stream = timeout(patience, held).await.map_err(|_| Failure::of(Class::NoContent))??;
        stream.exchange.committed();
        Ok(Reply::Stream(Box::new(stream)))
    }

    async fn refused(self) -> Result<Reply, Failure> {
        let (head, body) = self.response.into_parts();
        let status = head.status.as_u16();
        let reading = collect(self.worker, self.target, self.exchange, body, LARGEST_ERROR);
        // An error without its body is still an error; its status has been told.
        let body = timeout(ERROR_PATIENCE, reading).await.ok().and_then(Result::ok).unwrap_or_default();
        let codec = self.target.upstream.dialect.codec();
        let hint = wait_hint(&head.headers, wall_clock().get())
            .or_else(|| codec.wait(&body))
            .or_else(|| codec.limit_names().spent(&text_of(&head.headers), wall_clock()));
        let fault = match codec.fault_with(status, &body, &text_of(&head.headers)) {
            // A 503 that says when to come back is an overload, not a defect.
            Fault::Server if status == 503 && hint.is_some() => Fault::Overloaded,
            fault => fault,
        };
        let mut passed = Passed { status, headers: head.headers, body };
        if self.way.is_some() {
            passed = wording::refusal(passed, fault, self.envelope, &self.call);
        }
        let answer = Some(Box::new(passed));
        Err(Failure { class: Class::Said(fault), status: Some(status), hint, answer })
    }
}

/// Gives a header that is text by its name.
fn text_of<'a>(headers: &'a HeaderMap) -> impl Fn(&str) -> Option<&'a str> {
    |name| headers.get(name)?.to_str().ok()
}

/// A body that did not come whole.
struct Torn {
    class: Class,
    came: Bytes,
}

/// Reads a body to its end and gives the connection back.
async fn collect(
    worker: &Worker,
    target: &Target,
    mut exchange: Exchange,
    mut body: Incoming,
    limit: usize,
) -> Result<Bytes, Torn> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| exchange.poll_frame(&mut body, cx)).await {
        let Ok(frame) = frame else {
            return Err(Torn { class: Class::CutShort, came: joined(first, &rest) });
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(Torn { class: Class::Protocol, came: Bytes::new() });
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    release(worker, target, exchange).await;
    Ok(joined(first, &rest))
}

fn joined(first: Bytes, rest: &[u8]) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(rest);
    whole.freeze()
}

async fn release(worker: &Worker, target: &Target, exchange: Exchange) {
    let mut exchange = Some(exchange);
    let released =
        poll_fn(|cx| std::task::Poll::Ready(exchange.take().and_then(|exchange| exchange.poll_release(cx))))
            .await;
    if let Some(connection) = released {
        worker.pools.put(&target.upstream, connection);
    }
}
