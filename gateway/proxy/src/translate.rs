//! A call whose target speaks another dialect than its client.
//!
//! The client's body is read into the hub form at most once, when the first such target comes up, and
//! written anew for each target that is tried.

use std::cell::OnceCell;

use bytes::Bytes;
use http::HeaderValue;
use tollgate_dialect::{
    Dialect, Framing, HubAsk, HubBody, HubRequest, HubTold, Operation, StreamTranslation, Translation,
    Untranslatable,
};
use tollgate_domain::Usage;

use crate::{
    edge::Exchange,
    intake::Envelope,
    snapshot::{Route, Target},
};

/// What a client's body says, in the hub form, once somebody needed it.
#[derive(Default)]
pub(crate) struct HubForm(OnceCell<Result<HubRequest, Untranslatable>>);

/// What a client asks, as far as translation must know it.
pub(crate) struct Asking<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) body: &'a [u8],
    pub(crate) form: &'a HubForm,
}

/// A request as its target is asked.
pub(crate) struct Translated {
    pub(crate) way: Translation,
    pub(crate) body: Bytes,
    /// What was left out, as the route permits: for a header of the answer.
    pub(crate) dropped: Option<HeaderValue>,
}

/// How this target is reached from the client's dialect; `None` where the bytes pass as they are.
fn way(target: &Target, asking: &Asking<'_>) -> Option<Translation> {
    Translation::between(asking.dialect, asking.operation, target.upstream.dialect)
}

/// True when the target takes the client's bytes as they are.
pub(crate) fn speaks_it(target: &Target, dialect: Dialect) -> bool {
    target.upstream.dialect.family() == dialect.family()
}

/// True when the target can be asked what the client asks, with or without translation.
pub(crate) fn is_reachable(target: &Target, asking: &Asking<'_>) -> bool {
    speaks_it(target, asking.dialect) || way(target, asking).is_some()
}

/// Writes the request for a target of another dialect; `None` where none is needed. `cap` is the output
/// cap for dialects that demand one; `insert_cap` puts it in also where they do not.
pub(crate) fn request(
    target: &Target,
    route: &Route,
    asking: &Asking<'_>,
    cap: u64,
    insert_cap: bool,
) -> Option<Result<Translated, Untranslatable>> {
    let way = way(target, asking)?;
    let ask = HubAsk { model: target.model.as_str(), output_cap: cap, insert_cap, may_drop: &route.may_drop };
    let form = asking.form.0.get_or_init(|| way.read(asking.body));
    let written = form.as_ref().map_err(Clone::clone).and_then(|form| way.request(form, &ask));
    Some(written.map(|HubBody { body, dropped }| Translated {
        way,
        body: body.into(),
        dropped: HeaderValue::try_from(dropped.join(",")).ok().filter(|_| !dropped.is_empty()),
    }))
}

/// A whole answer in the client's dialect; `None` when it is no answer.
pub(crate) fn reply(
    way: Translation,
    body: &[u8],
    usage: Option<&Usage>,
    exchange: &Exchange,
) -> Option<Bytes> {
    let id = exchange.id.to_string();
    way.reply(body, &told(&id, usage, Framing::Events, exchange)).map(Bytes::from)
}

/// A translator for a stream to this client, cut as it asked for.
pub(crate) fn stream(way: Translation, envelope: &Envelope, exchange: &Exchange) -> StreamTranslation {
    let id = exchange.id.to_string();
    let include_usage = envelope.head.include_usage == Some(true);
    way.stream(&told(&id, None, envelope.framing(), exchange), include_usage)
}

fn told<'a>(id: &'a str, usage: Option<&'a Usage>, framing: Framing, exchange: &Exchange) -> HubTold<'a> {
    let created = u64::try_from(exchange.started.get() / 1_000).unwrap_or(0);
    HubTold { id, created, usage, framing }
}
