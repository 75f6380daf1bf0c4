//! Observers outside are told of requests and of figures, in OpenTelemetry's protocol over HTTP.
//!
//! All of it happens on a thread of its own, beside requests: what they hand over waits in a queue with a
//! bound, and a receiver that is slow, gone or mad costs records, which are counted, and nothing else.

mod pace;
mod provider;
mod receiver;
mod spans;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tollgate_proxy::{Snapshot, Traced};
use tollgate_telemetry::{Exposition, Inbox, Losses, Outbox, otlp::proto::Span, outbox};

pub use receiver::Receiver;

use self::{pace::Pace, receiver::Sent, spans::Surroundings};

/// Requests that may wait to be told of: a few kilobytes each, so some megabytes when nobody listens.
const ROOM: usize = 4_096;
/// Spans of one message at most.
const MOST_SPANS: usize = 512;
/// How often the queue is looked into.
const LOOK: Duration = Duration::from_millis(200);
/// At the end, the last records may take so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The queue in which cores put requests of recorded traces. Made with the exposition that counts what
/// finds no room in it.
#[must_use]
pub fn queue() -> (Outbox<Box<Traced>>, Inbox<Box<Traced>>) {
    outbox("traces", ROOM)
}

/// What of the configuration concerns observers.
pub struct InForce {
    /// Upstreams, with their providers.
    pub snapshot: Arc<Snapshot>,
    /// Who is told.
    pub receiver: Option<Arc<Receiver>>,
    /// Clients speak TLS.
    pub is_tls: bool,
}

/// What is needed to tell others.
pub struct Exporter<S> {
    /// The figures.
    pub exposition: Exposition,
    /// Requests of recorded traces.
    pub requests: Inbox<Box<Traced>>,
    /// What is in force now.
    pub in_force: S,
}

impl<S: Fn() -> InForce> Exporter<S> {
    /// Tells whoever the configuration names, for as long as `goes_on` says so, and then what is left, for
    /// two seconds at most.
    pub async fn run(self, goes_on: impl Fn() -> bool) {
        let points = Losses::of("metrics");
        tokio::join!(self.tell_requests(&goes_on), self.tell_figures(&goes_on, &points));
    }

    async fn tell_requests(&self, goes_on: &impl Fn() -> bool) {
        let mut pace = Pace::default();
        let mut waiting: Option<Batch> = None;
        let mut last_words: Option<Instant> = None;
        loop {
            if last_words.is_none() && !goes_on() {
                last_words = Some(Instant::now() + LAST_WORDS);
            }
            let InForce { receiver, is_tls, .. } = (self.in_force)();
            let Some(receiver) = receiver.filter(|receiver| receiver.traces) else {
                // Whoever was told is no longer named, and nobody waits for these.
                while self.requests.take().is_some() {}
                waiting = None;
                if last_words.is_some() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
                continue;
            };
            if waiting.is_none() {
                waiting = self.gather(&receiver, is_tls);
            }
            let now = Instant::now();
            let may_send = pace.may_send(now) || last_words.is_some();
            let Some(batch) = waiting.as_ref().filter(|_| may_send) else {
                if last_words.is_some() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let sent = until(goes_on, last_words, receiver.send("/v1/traces", batch.body.clone())).await;
            match sent {
                Some(Sent::Taken { rejected }) => {
                    self.requests.losses().count(rejected.min(batch.spans));
                    pace.went_well();
                    waiting = None;
                }
                Some(Sent::Refused(why)) => {
                    pace.tells("traces", why);
                    pace.was_refused(Instant::now());
                    self.requests.losses().count(batch.spans);
                    waiting = None;
                }
                Some(Sent::Later(why, wait)) if last_words.is_none() => {
                    pace.tells("traces", why);
                    if !pace.went_wrong(wait, Instant::now()) {
                        self.requests.losses().count(batch.spans);
                        waiting = None;
                    }
                }
                // Not before the end.
                Some(Sent::Later(..)) | None => {
                    self.requests.losses().count(batch.spans);
                    return self.lose_the_rest();
                }
            }
        }
    }

    /// A message's worth of what waits.
    fn gather(&self, receiver: &Receiver, is_tls: bool) -> Option<Batch> {
        let mut spans: Vec<Span> = Vec::new();
        let surroundings = Surroundings { generation: receiver.sender.generation, is_tls };
        while spans.len() < MOST_SPANS
            && let Some(traced) = self.requests.take()
        {
            spans.extend(spans::of(&traced, &surroundings));
        }
        let count = spans.len() as u64;
        (count > 0).then(|| Batch { spans: count, body: receiver.sender.traces(spans).into() })
    }

    fn lose_the_rest(&self) {
        while let Some(traced) = self.requests.take() {
            self.requests.losses().count(traced.spans());
        }
    }

    async fn tell_figures(&self, goes_on: &impl Fn() -> bool, losses: &Losses) {
        let mut pace = Pace::default();
        let mut told_at = Instant::now();
        loop {
            let ends = !goes_on();
            let InForce { snapshot, receiver, .. } = (self.in_force)();
            if let Some((receiver, every)) = receiver.and_then(|to| Some((to.clone(), to.metrics_every?)))
                && (ends || told_at.elapsed() >= every)
            {
                told_at = Instant::now();
                let provider = |upstream: &str| provider_of(&snapshot, upstream);
                let figures = receiver.sender.metrics(&self.exposition, nanos(SystemTime::now()), provider);
                let last_words = ends.then(|| Instant::now() + LAST_WORDS);
                let sent = until(goes_on, last_words, receiver.send("/v1/metrics", figures.body.into()));
                match sent.await {
                    Some(Sent::Taken { rejected }) => {
                        losses.count(rejected.min(figures.points));
                        pace.went_well();
                    }
                    // The next message has them all again.
                    Some(Sent::Refused(why) | Sent::Later(why, _)) => {
                        pace.tells("metrics", why);
                        losses.count(figures.points);
                    }
                    None => losses.count(figures.points),
                }
            }
            if ends {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Spans on their way.
struct Batch {
    spans: u64,
    body: axum::body::Bytes,
}

/// What sending gives, unless the end comes before: of the process, or of the time for last words.
async fn until(
    goes_on: &impl Fn() -> bool,
    last_words: Option<Instant>,
    sending: impl Future<Output = Sent>,
) -> Option<Sent> {
    let end = async {
        match last_words {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => {
                while goes_on() {
                    tokio::time::sleep(LOOK).await;
                }
                tokio::time::sleep(LAST_WORDS).await;
            }
        }
    };
    tokio::select! {
        sent = sending => Some(sent),
        () = end => None,
    }
}

/// What GenAI's conventions call the provider of an upstream.
fn provider_of(snapshot: &Snapshot, upstream: &str) -> Option<String> {
    let target = snapshot.targets().find(|target| target.upstream.name.as_str() == upstream)?;
    Some(provider::name(target).to_owned())
}

/// Nanoseconds since 1970.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
