//! The book: what the provider says it served, kept apart from anything the gateway says.
//!
//! It tells two things of each call: which usage the caller was told, and what the call took by the
//! provider's own count, told or not. The second is what a provider bills: a refusal, and an error
//! before the first word, take nothing; a prompt that was read takes its input, whatever follows; a
//! stream takes the words that have left, a plain answer all of it as soon as a byte has left.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::answer::Plan;
use crate::{Incoming, Keep, Operation, Options, Protocol, Tariff};

/// Tokens of one call, or of many. Input holds the cached and written part, output the reasoning.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Usage {
    /// All input tokens.
    pub input_tokens: u64,
    /// The part read from the prompt cache.
    pub cached_input_tokens: u64,
    /// The part written to the prompt cache.
    pub cache_write_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// The part that was hidden reasoning.
    pub reasoning_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
    }
}

/// How a call ended, as the provider's side sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not ended yet.
    Open,
    /// Every byte that was meant was handed to the kernel. (The caller may still not have read it.)
    Whole,
    /// A scripted fault ended it.
    Faulted,
    /// The caller left, or its connection broke, before the end.
    CallerGone,
    /// The simulator was stopped abruptly.
    Stopped,
}

/// A credential that came with a call: where it was and a fingerprint, never the value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Credential {
    /// The header, in lower case.
    pub header: String,
    /// See [`fingerprint`].
    pub fingerprint: String,
}

/// The first eight hexadecimal digits of a secret's SHA-256: enough to tell two secrets apart.
pub fn fingerprint(secret: &str) -> String {
    hex::encode(&Sha256::digest(secret.as_bytes())[..4])
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Order of arrival, from 1.
    pub number: u64,
    /// Time since the simulator started.
    #[serde(rename = "arrived_ms", with = "crate::millis")]
    pub arrived: Duration,
    /// HTTP/1.1 or HTTP/2.
    pub protocol: Protocol,
    /// The request's method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What was called.
    pub operation: Operation,
    /// The model in the body, or the deployment in the path.
    pub model: Option<String>,
    /// Whether a stream was asked.
    pub stream: bool,
    /// Header names (lower case) and values in order; credentials show as their fingerprint.
    pub headers: Vec<(String, String)>,
    /// The credentials among the headers.
    pub credentials: Vec<Credential>,
    /// The request's body, if kept.
    #[serde(skip)]
    pub body: Bytes,
    /// The id that the answer's `x-request-id` or `request-id` carries.
    pub request_id: String,
    /// The status answered; 0 before there is one.
    pub status: u16,
    /// Body bytes handed to the kernel.
    pub bytes_sent: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What the answer would claim if it went out whole.
    pub usage: Usage,
    /// Whether the claim went out: the answer was whole, and told its usage.
    pub usage_told: bool,
    /// What the call took by the provider's own count.
    pub consumed: Usage,
}

impl Call {
    /// The value of a header, the first of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Sums over all calls since the start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Calls that arrived.
    pub calls: u64,
    /// Calls that have ended.
    pub ended: u64,
    /// Ended whole.
    pub whole: u64,
    /// Ended by a scripted fault.
    pub faulted: u64,
    /// Ended because the caller left.
    pub caller_gone: u64,
    /// Connections that a script refused.
    pub refused_connections: u64,
    /// Body bytes handed to the kernel.
    pub bytes_sent: u64,
    /// Calls by the status answered.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls by the model asked; calls without one are left out.
    pub by_model: BTreeMap<String, u64>,
    /// The most calls that were open at a time.
    pub most_open: u64,
    /// Tokens of the calls that [`Behaviour::provisioned`](crate::Behaviour::provisioned) admitted.
    pub provisioned_tokens: u64,
    /// The usage that went out to callers.
    pub told: Usage,
    /// What all calls took by the provider's own count.
    pub consumed: Usage,
    /// What the provider charges for it by [`Options::tariff`](crate::Options::tariff), in
    /// pico-units of its currency.
    pub charged: i128,
}

/// What the simulator served. Shared and cheap to clone.
#[derive(Clone, Debug)]
pub struct Book {
    inner: Arc<Inner>,
}

struct Inner {
    keep: Keep,
    tariff: Option<Tariff>,
    pages: Mutex<Pages>,
    changed: Notify,
    stopped: AtomicBool,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("keep", &self.keep).field("pages", &self.pages).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Pages {
    totals: Totals,
    calls: Vec<Call>,
}

impl Book {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            inner: Arc::new(Inner {
                keep: options.keep,
                tariff: options.tariff.clone(),
                pages: Mutex::default(),
                changed: Notify::new(),
                stopped: AtomicBool::new(false),
            }),
        }
    }

    /// Every call in order of arrival. Empty when only totals are kept.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.pages.lock().calls.clone()
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        self.inner.pages.lock().totals.clone()
    }

    /// Waits until so many calls have arrived, counted from the start.
    pub async fn wait_for(&self, calls: u64) {
        self.wait_until(|totals| totals.calls >= calls).await;
    }

    /// Waits until so many calls have ended, counted from the start.
    pub async fn wait_for_ended(&self, calls: u64) {
        self.wait_until(|totals| totals.ended >= calls).await;
    }

    /// Waits until the sums are as asked. Runs on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_until(&self, is_so: impl Fn(&Totals) -> bool) {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_so(&self.inner.pages.lock().totals) {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn refused_connection(&self) {
        self.inner.pages.lock().totals.refused_connections += 1;
        self.inner.changed.notify_waiters();
    }

    /// A call was admitted to the capacity that is paid by the hour.
    pub(crate) fn provisioned(&self, tokens: u64) {
        self.inner.pages.lock().totals.provisioned_tokens += tokens;
    }

    /// From now on calls that break off did so because of the simulator, not of their callers.
    pub(crate) fn stop(&self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
    }

    /// Opens a call. The entry closes it, at the latest when it is dropped.
    pub(crate) fn open(&self, incoming: &Incoming, arrived: Duration) -> Entry {
        let page = (self.inner.keep != Keep::Totals).then(|| page(incoming, arrived, self.inner.keep));
        let mut pages = self.inner.pages.lock();
        pages.totals.calls += 1;
        let number = pages.totals.calls;
        pages.totals.most_open = pages.totals.most_open.max(number - pages.totals.ended);
        if let Some(model) = &incoming.model {
            count(&mut pages.totals.by_model, model);
        }
        if let Some(page) = page {
            pages.calls.push(Call { number, ..page });
        }
        drop(pages);
        self.inner.changed.notify_waiters();
        let billed = self.inner.tariff.is_some().then(|| incoming.clone());
        Entry { book: self.clone(), number, billed, closing: Closing::default() }
    }
}

/// Counts one more of a name; names are few, calls are many.
fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

fn page(incoming: &Incoming, arrived: Duration, keep: Keep) -> Call {
    let mut credentials = Vec::new();
    let mut headers = Vec::with_capacity(incoming.headers.len());
    for (name, value) in &incoming.headers {
        if is_credential(name) {
            let fingerprint = fingerprint(bare(value));
            headers.push((name.clone(), format!("fingerprint {fingerprint}")));
            credentials.push(Credential { header: name.clone(), fingerprint });
        } else {
            headers.push((name.clone(), value.clone()));
        }
    }
    Call {
        number: 0,
        arrived,
        protocol: incoming.protocol,
        method: incoming.method.clone(),
        path: incoming.path.clone(),
        operation: incoming.operation,
        model: incoming.model.clone(),
        stream: incoming.stream,
        headers,
        credentials,
        body: if keep == Keep::Bodies { incoming.body.clone() } else { Bytes::new() },
        request_id: String::new(),
        status: 0,
        bytes_sent: 0,
        outcome: Outcome::Open,
        usage: Usage::default(),
        usage_told: false,
        consumed: Usage::default(),
    }
}

pub(crate) fn is_credential(header: &str) -> bool {
    matches!(header, "authorization" | "api-key" | "x-api-key" | "x-goog-api-key" | "cookie")
}

/// A credential without the scheme before it.
pub(crate) fn bare(value: &str) -> &str {
    value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")).unwrap_or(value)
}

/// An open call. Dropped before its end, it closes as [`Outcome::CallerGone`], or as
/// [`Outcome::Stopped`] when the simulator was stopped abruptly.
#[derive(Debug)]
pub(crate) struct Entry {
    book: Book,
    pub(crate) number: u64,
    /// The call, where a tariff will want to see it.
    billed: Option<Incoming>,
    closing: Closing,
}

#[derive(Debug, Default)]
struct Closing {
    closed: bool,
    status: u16,
    request_id: String,
    bytes_sent: u64,
    /// Words of a stream that have left, in all choices.
    words: u64,
    /// Output tokens that a stream states before its first word.
    opening: u64,
    is_plain: bool,
    is_refusal: bool,
    usage: Usage,
    tells_usage: bool,
}

impl Closing {
    /// What the call took, when not all that was planned has left.
    fn consumed(&self) -> Usage {
        let has_begun = self.bytes_sent > 0;
        if self.is_refusal && self.words == 0 {
            return Usage::default();
        }
        if self.is_plain && has_begun {
            return self.usage;
        }
        let reasoning = if self.words > 0 { self.usage.reasoning_tokens } else { 0 };
        let said = self.words.max(if has_begun { self.opening } else { 0 });
        Usage { output_tokens: said + reasoning, reasoning_tokens: reasoning, ..self.usage }
    }
}

impl Entry {
    pub(crate) fn answered(&mut self, plan: &Plan, request_id: String) {
        self.closing = Closing {
            status: plan.status,
            request_id,
            opening: plan.opening,
            is_plain: plan.is_plain,
            is_refusal: plan.status >= 400 || plan.says_error,
            usage: plan.usage,
            tells_usage: plan.tells_usage,
            ..Closing::default()
        };
    }

    /// So much of the body, and so many words with it, were handed to the kernel.
    pub(crate) fn sent(&mut self, body_bytes: usize, words: u64) {
        self.closing.bytes_sent += body_bytes as u64;
        self.closing.words += words;
    }

    /// Closes the call; later closings do not count.
    pub(crate) fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closing.closed, true) {
            return;
        }
        let closing = &mut self.closing;
        let told = outcome == Outcome::Whole && closing.tells_usage;
        let consumed = if told { closing.usage } else { closing.consumed() };
        let charged = match (&self.book.inner.tariff, &self.billed) {
            (Some(tariff), Some(incoming)) => tariff(incoming, &consumed),
            _ => 0,
        };
        let mut pages = self.book.inner.pages.lock();
        let totals = &mut pages.totals;
        totals.ended += 1;
        totals.bytes_sent += closing.bytes_sent;
        *totals.by_status.entry(closing.status).or_default() += 1;
        match outcome {
            Outcome::Whole => totals.whole += 1,
            Outcome::Faulted => totals.faulted += 1,
            Outcome::CallerGone => totals.caller_gone += 1,
            Outcome::Open | Outcome::Stopped => {}
        }
        if told {
            totals.told += closing.usage;
        }
        totals.consumed += consumed;
        totals.charged += charged;
        let index = usize::try_from(self.number - 1).unwrap_or(usize::MAX);
        if let Some(call) = pages.calls.get_mut(index) {
            call.request_id = std::mem::take(&mut closing.request_id);
            call.status = closing.status;
            call.bytes_sent = closing.bytes_sent;
            call.usage = closing.usage;
            call.usage_told = told;
            call.consumed = consumed;
            call.outcome = outcome;
        }
        drop(pages);
        self.book.inner.changed.notify_waiters();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let stopped = self.book.inner.stopped.load(Ordering::Relaxed);
        self.close(if stopped { Outcome::Stopped } else { Outcome::CallerGone });
    }
}
