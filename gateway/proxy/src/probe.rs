//! A look at an upstream that tells nothing by itself: because nobody asks it, or because its targets are
//! left alone.
//!
//! A connection, TLS, and the call that lists its models, with the upstream's own credential. Nobody is
//! billed for any of it. That a list comes says nothing about generation: it lets a request try earlier,
//! and closes no breaker. Where the configuration asks for it, a model is asked for a few tokens instead,
//! which the provider bills.

mod generation;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_dialect::Operation;
use tollgate_domain::{UnixMillis, Usage};

use crate::{
    health::{BreakerState, Defect},
    live::TargetLive,
    snapshot::Target,
    upstream::{self, PostError, UpstreamRequest},
};

/// So much of a list is read.
const LARGEST_LIST: usize = 4 << 20;

/// What a probe has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probed {
    /// How it ended, as rows and metrics name it.
    pub outcome: &'static str,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// The upstream can be reached and does not say that it fails.
    pub is_alive: bool,
    /// It takes the credential.
    knows_us: bool,
    /// What was consumed, where the look was paid for and the upstream says it.
    pub usage: Option<Usage>,
    /// What it lists.
    list: Bytes,
}

impl Probed {
    /// A look that has found nothing good.
    #[must_use]
    pub const fn failed(outcome: &'static str) -> Self {
        Self { outcome, status: None, is_alive: false, knows_us: false, usage: None, list: Bytes::new() }
    }

    fn answered(status: StatusCode, list: Bytes) -> Self {
        let (outcome, is_alive) = match status.as_u16() {
            200..=299 => ("ok", true),
            401 | 403 => ("credential", false),
            // A server that has no such list, or that has had enough questions, is there all the same.
            404 | 405 | 429 | 501 => ("no_list", true),
            _ => ("error", false),
        };
        let (status, knows_us) = (Some(status.as_u16()), status.is_success());
        Self { outcome, status, is_alive, knows_us, usage: None, list }
    }

    /// True when the list has the model, by its name in quotes.
    fn lists(&self, model: &str) -> bool {
        memchr::memmem::find(&self.list, format!("\"{model}\"").as_bytes()).is_some()
    }

    /// What probes that passed mean for a target: an open breaker lets a request try, and a hold ends
    /// whose defect is none any more.
    pub fn relieves(&self, target: &Target, now: Instant) {
        if !self.is_alive {
            return;
        }
        target.live.breaker(|breaker| breaker.probed(now));
        if self.knows_us {
            target.live.hold.mended(Defect::Credential);
            if self.lists(target.model.as_str()) {
                target.live.hold.mended(Defect::Model);
            }
        }
    }
}

/// How an upstream is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// By the list of its models, for nothing.
    List,
    /// By a few tokens of this target's model, which are paid for.
    Generation,
}

/// Looks at the upstream of this target. All of it takes `patience` at most.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn probe(target: &Target, look: Look, patience: Duration, now: UnixMillis) -> Probed {
    let asked = async {
        match look {
            Look::List => ask(target, now).await,
            Look::Generation => generate(target, now).await,
        }
    };
    match tokio::time::timeout(patience, asked).await {
        Ok(probed) => probed,
        Err(_) => Probed::failed("timeout"),
    }
}

async fn generate(target: &Target, now: UnixMillis) -> Probed {
    let upstream = &target.upstream;
    let Some(proof) = upstream.credential.proof() else { return Probed::failed("no_credential") };
    let mut headers = HeaderMap::new();
    let request = generation::question(target, &mut headers)
        .and_then(|question| upstream::build(question, target, proof, now));
    let Some(request) = request else { return Probed::failed("protocol") };
    match upstream::fetch(&upstream.origin, upstream.tls.as_ref(), request, LARGEST_LIST).await {
        Ok(answer) => generation::answered(target, answer.status, &answer.body),
        Err(PostError::Connect(_)) => Probed::failed("connect"),
        Err(PostError::Broken) => Probed::failed("protocol"),
    }
}

async fn ask(target: &Target, now: UnixMillis) -> Probed {
    let upstream = &target.upstream;
    let codec = upstream.dialect.codec();
    let tls = upstream.tls.as_ref();
    // Probes speak HTTP/1.1: of an upstream that is spoken to otherwise the connection alone is looked at.
    if upstream.http2 || !codec.lists_for_free() {
        return match upstream::reach(&upstream.origin, &upstream.timeouts, tls).await {
            Ok(()) => Probed { is_alive: true, ..Probed::failed("ok") },
            Err(_) => Probed::failed("connect"),
        };
    }
    let Some(proof) = upstream.credential.proof() else { return Probed::failed("no_credential") };
    let outgoing = UpstreamRequest {
        operation: Operation::ListModels,
        kept: None,
        headers: &HeaderMap::new(),
        query: None,
        needed: codec.hub().map_or(&[], |hub| hub.needed_headers()),
        body: Bytes::new(),
        trace: None,
    };
    let Some(request) = upstream::build(outgoing, target, proof, now) else {
        return Probed::failed("protocol");
    };
    match upstream::fetch(&upstream.origin, tls, request, LARGEST_LIST).await {
        Ok(answer) => Probed::answered(answer.status, answer.body),
        Err(PostError::Connect(_)) => Probed::failed("connect"),
        Err(PostError::Broken) => Probed::failed("protocol"),
    }
}

/// When a target's upstream is looked at.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Attention {
    /// Requests tell enough.
    None,
    /// Nothing was heard of it for a while.
    Idle,
    /// It is left alone for its faults or defects.
    Open,
}

impl Attention {
    /// How much a target needs now; `idle` is the silence after which it is looked at.
    #[must_use]
    pub fn to(target: &TargetLive, idle: Duration, since: Instant, now: Instant) -> Self {
        let is_out = target.breaker(|breaker| breaker.state(now) == BreakerState::Open);
        if is_out || target.hold.is_defect() {
            return Self::Open;
        }
        let heard = target.load(|load| load.heard()).unwrap_or(since);
        if now.saturating_duration_since(heard) >= idle { Self::Idle } else { Self::None }
    }
}
