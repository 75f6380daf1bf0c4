//! `GET /stream`: server-sent events for live views: rows as they come, changes, and how things stand.
//!
//! A reader that is too slow is let go and told so: it may come again. Streams are few, and each ends
//! after a while, so that a token that was taken away does not watch for ever.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event as Sent, KeepAlive, Sse},
    },
};
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast::error::RecvError, mpsc},
    time::{Instant, MissedTickBehavior, interval},
};
use tollgate_accounting::ledger::{Entry, Row};

use super::{
    AdminState,
    access::{Caller, Permission},
    changes,
    problem::Problem,
};
use crate::feed::Event;

/// Streams at once.
const STREAMS: usize = 64;
/// How often it is told how things stand.
const TICK: Duration = Duration::from_secs(2);
/// Events that wait for a reader.
const WAITING: usize = 64;
/// How long an event may wait for its reader.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a stream lasts; browsers come again by themselves.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// Room for streams.
pub struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

pub(super) async fn stream(
    State(state): State<Arc<AdminState>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.narrow(None)?;
    let permit = Arc::clone(&state.streams.0).try_acquire_owned();
    let permit = permit.map_err(|_| Problem::busy(format!("{STREAMS} live views are open already")))?;
    let (events, inbox) = mpsc::channel(WAITING);
    tokio::spawn(tell(state, caller, events, permit));
    let body = futures_util::stream::unfold(inbox, async |mut inbox| {
        inbox.recv().await.map(|event| (Ok::<Sent, Infallible>(event), inbox))
    });
    Ok(Sse::new(body).keep_alive(KeepAlive::default()).into_response())
}

/// Tells one reader, until it leaves, is too slow, or its time is over.
async fn tell(
    state: Arc<AdminState>,
    caller: Caller,
    events: mpsc::Sender<Sent>,
    _permit: OwnedSemaphorePermit,
) {
    let mut feed = state.feed.watch();
    let sees_changes = caller.may(Permission::ReadAudit).is_ok();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + LASTS;
    while Instant::now() < end {
        let event = tokio::select! {
            _ = tick.tick() => state.overview(&caller).ok().map(|shown| sent("overview", &shown)),
            heard = feed.recv() => match heard {
                Ok(Event::Rows { rows, left_out }) => requests(&rows, left_out, &caller),
                Ok(Event::Changes(changes)) if sees_changes => {
                    let items: Vec<_> = changes.iter().map(changes::health).collect();
                    Some(sent("changes", &json!({ "items": items })))
                }
                Ok(Event::Changes(_)) => None,
                Err(RecvError::Lagged(missed)) => {
                    // Half a picture would look whole.
                    let _ = events.try_send(sent("dropped", &json!({ "missed": missed })));
                    return;
                }
                Err(RecvError::Closed) => return,
            },
            () = events.closed() => return,
        };
        let Some(event) = event else { continue };
        if events.send_timeout(event, PATIENCE).await.is_err() {
            tracing::debug!(caller = %caller.name, "a live view is too slow and is let go");
            return;
        }
    }
}

/// The rows that the caller may see, if there is one.
fn requests(rows: &[Entry], left_out: u64, caller: &Caller) -> Option<Sent> {
    let seen: Vec<Row<'_>> =
        rows.iter().filter(|row| caller.sees(row.identity.team.as_str())).map(Row).collect();
    // How many others there were is nobody's business who sees some teams only.
    let left_out = caller.sees_all().then_some(left_out);
    (!seen.is_empty()).then(|| sent("requests", &json!({ "items": seen, "left_out": left_out })))
}

fn sent(name: &str, data: &serde_json::Value) -> Sent {
    // JSON has no line breaks of its own here, so that an event is one line.
    Sent::default().event(name).data(data.to_string())
}
