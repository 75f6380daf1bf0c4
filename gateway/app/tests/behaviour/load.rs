//! Clients that call side by side, plain and streamed, in two dialects, and remember what they got.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Result;
use bytes::Bytes;
use http::HeaderMap;
use tokio::task::JoinSet;
use tollgate_test_support::{Caller, Reply, Streaming};

use crate::stage::{chat, messages};

/// One call: which, and what came back.
pub(crate) struct Call {
    /// A stream was asked.
    pub(crate) stream: bool,
    /// The Messages API was called, not chat completions.
    pub(crate) anthropic: bool,
    /// The gateway's id, as soon as a head came.
    pub(crate) id: String,
    /// The answer, whole or broken; an error when not even a head came.
    pub(crate) answer: Result<Reply>,
}

impl Call {
    /// The client has every byte of a good answer.
    pub(crate) fn is_whole(&self) -> bool {
        self.answer.as_ref().is_ok_and(|reply| {
            reply.status.is_success()
                && reply.broken.is_none()
                && (!self.stream || reply.is_complete_stream())
        })
    }

    /// What came, in short, for a failure's text.
    pub(crate) fn told(&self) -> String {
        match &self.answer {
            Err(problem) => format!("no head: {problem:#}"),
            Ok(reply) => format!(
                "{} {} broken={:?} {}",
                reply.status,
                self.id,
                reply.broken,
                String::from_utf8_lossy(&reply.body[reply.body.len().saturating_sub(300)..])
            ),
        }
    }
}

/// A running load. Dropping it ends the clients where they stand.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<Vec<Call>>,
}

impl Load {
    /// So many clients, each calling again as soon as it has its answer: every second call a stream,
    /// every third one the Messages API.
    pub(crate) fn start(caller: &Caller, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for client in 0..clients {
            let (caller, stop, answered) = (caller.clone(), Arc::clone(&stop), Arc::clone(&answered));
            running.spawn(async move {
                let mut calls = Vec::new();
                for number in client.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let call = one(&caller, number % 2 == 1, number % 3 == 2).await;
                    answered.fetch_add(1, Ordering::Relaxed);
                    let unreachable = call.answer.is_err();
                    calls.push(call);
                    if unreachable {
                        // A gateway that is gone stays gone for this load.
                        break;
                    }
                }
                calls
            });
        }
        Self { stop, answered, clients: running }
    }

    /// Calls that have ended so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Lets open calls end, starts no new ones, and gives all of them.
    pub(crate) async fn finish(self) -> Vec<Call> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().flatten().collect()
    }
}

/// One call from its beginning to its end.
pub(crate) async fn one(caller: &Caller, stream: bool, anthropic: bool) -> Call {
    let opened = if anthropic {
        let headers = [("anthropic-version", "2023-06-01")];
        caller.stream("/v1/messages", &headers, body(messages("claude-sonnet-4-6", stream))).await
    } else {
        caller.stream("/v1/chat/completions", &[], body(chat("gpt-5-mini", stream))).await
    };
    let id = opened.as_ref().map(|opened| request_id(&opened.headers)).unwrap_or_default();
    let answer = match opened {
        Ok(opened) => opened.rest().await,
        Err(problem) => Err(problem),
    };
    Call { stream, anthropic, id, answer }
}

/// A stream of chat completions that has begun: its first event is there.
pub(crate) async fn open_stream(caller: &Caller) -> Result<Streaming> {
    let mut opened = caller.stream("/v1/chat/completions", &[], body(chat("gpt-5-mini", true))).await?;
    let events = opened.events(2).await?;
    anyhow::ensure!(opened.status.is_success() && events.len() >= 2, "{}: {events:?}", opened.status);
    Ok(opened)
}

fn body(value: serde_json::Value) -> Bytes {
    value.to_string().into()
}

fn request_id(headers: &HeaderMap) -> String {
    headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}
