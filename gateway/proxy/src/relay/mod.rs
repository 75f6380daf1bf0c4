//! Station 6: the answer on its way to the client.
//!
//! A plain answer is whole and settled before its first byte leaves. A stream passes event by event
//! while its meter reads along; its end mark leaves only after it is settled.

mod body;
mod headers;
mod stream;

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tollgate_accounting::stored::{Keeper, Lasting};
use tollgate_dialect::Operation;
use tollgate_domain::Money;

use crate::{
    edge::name,
    failover::{Answer, Passed, Visit},
    rejection::Rejection,
    settle::{Exit, Reading, Trip},
    stored,
};

pub(crate) use body::Body;

use stream::StreamBody;

/// Makes the response of a committed answer.
///
/// # Errors
/// END of a plain answer could not be written: what is not counted is not delivered.
///
/// # Cancel safety
/// A plain answer is settled before anything is awaited.
pub(crate) async fn respond(mut trip: Trip, answer: Answer) -> Result<Response<Body>, Rejection> {
    match answer {
        Answer::Refusal(passed) => refusal(trip, passed),
        Answer::Stream(stream, visit) => {
            let reported = stream.reader.reported();
            keep(&trip, reported.and_then(|reported| reported.response_id.clone())).await;
            Ok(begin_stream(trip, *stream, visit))
        }
        Answer::Plain(plain) => {
            let mut response = Response::new(Body::full(plain.body));
            *response.status_mut() = plain.status;
            *response.headers_mut() = plain.headers;
            headers::for_client(response.headers_mut(), &trip);
            tell_dropped(response.headers_mut(), plain.dropped);
            let response_id = plain.reported.response_id.clone();
            let (keeper, lasting) = (keeper(&trip), lasting(&trip));
            let worker = trip.worker().clone();
            let reading =
                Reading { counted_output: plain.reported.counted_output, reported: Some(plain.reported) };
            let cost = settle(&mut trip, Exit::Completed(reading)).await?;
            if let (Some(id), Some(keeper)) = (response_id, keeper) {
                stored::keep(&worker, id, keeper, lasting).await;
            }
            if let Some(cost) = cost {
                let text =
                    HeaderValue::from_str(cost.to_text().as_str()).expect("a decimal is visible ASCII");
                response.headers_mut().insert(name::COST, text);
            }
            Ok(response)
        }
    }
}

/// Remembers a response that its provider keeps, before the client knows of it.
async fn keep(trip: &Trip, id: Option<Box<str>>) {
    if let (Some(id), Some(keeper)) = (id, keeper(trip)) {
        stored::keep(trip.worker(), id, keeper, lasting(trip)).await;
    }
}

/// Whose the answer of this trip will be; nothing where none is kept.
fn keeper(trip: &Trip) -> Option<Keeper> {
    let (asked, identity) = (trip.asked(), &trip.principal().identity);
    let target = trip.tried().target.filter(|_| asked.stores)?;
    Some(Keeper {
        team: identity.team.clone(),
        project: identity.project.clone(),
        model: asked.alias.clone(),
        upstream: target.upstream.name.clone(),
    })
}

fn lasting(trip: &Trip) -> Lasting {
    match trip.asked().operation {
        Operation::CreateConversation => Lasting::UntilDeleted,
        _ => Lasting::AMonth,
    }
}

/// Settles and waits until the record is as durable as the configuration asks.
async fn settle(trip: &mut Trip, exit: Exit) -> Result<Option<Money>, Rejection> {
    let worker = trip.worker().clone();
    let settling = trip.settle_with_others(exit).ok_or(Rejection::Internal)?;
    let appended = settling.recorded.await.map_err(|_| Rejection::MeterBackpressure)?;
    std::future::poll_fn(|cx| worker.poll_durable(appended, cx))
        .await
        .map_err(|_| Rejection::MeterBackpressure)?;
    Ok(settling.cost)
}

/// An upstream's refusal of the request itself, in its own words.
fn refusal(mut trip: Trip, passed: Passed) -> Result<Response<Body>, Rejection> {
    let mut response = Response::new(Body::full(passed.body));
    *response.status_mut() = StatusCode::from_u16(passed.status).unwrap_or(StatusCode::BAD_REQUEST);
    *response.headers_mut() = passed.headers;
    let head = response.headers_mut();
    headers::for_client(head, &trip);
    head.insert(name::ERROR, HeaderValue::from_static("invalid_request"));
    head.insert(name::ERROR_SOURCE, HeaderValue::from_static("upstream"));
    // A timeout or a lock passes by itself: there the client's own rules decide.
    if !matches!(passed.status, 408 | 409) {
        head.insert(name::SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    // The request cost nothing; if its row cannot be written, recovery makes it.
    let _ = trip.settle(Exit::RefusedUpstream { status: passed.status });
    Ok(response)
}

/// What a translation left out, as the route permits.
fn tell_dropped(headers: &mut HeaderMap, dropped: Option<HeaderValue>) {
    if let Some(dropped) = dropped {
        headers.insert(name::DROPPED, dropped);
    }
}

fn begin_stream(trip: Trip, mut stream: crate::failover::Stream, visit: Visit) -> Response<Body> {
    let mut head = std::mem::take(&mut stream.headers);
    headers::for_client(&mut head, &trip);
    headers::for_stream(&mut head);
    tell_dropped(&mut head, stream.dropped.take());
    let status = stream.status;
    let mut response = Response::new(Body::stream(StreamBody::new(trip, stream, visit)));
    *response.status_mut() = status;
    *response.headers_mut() = head;
    response
}
