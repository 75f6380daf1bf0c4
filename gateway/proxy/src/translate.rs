//! A call whose target speaks another dialect than its client, or converses another way.
//!
//! The client's body is read into the hub form at most once, when the first such target comes up, and
//! written anew for each target that is tried.

use std::cell::OnceCell;

use bytes::Bytes;
use http::HeaderValue;
use tollgate_dialect::{
    Dialect, EmbeddingTranslation, Framing, Head, HubAsk, HubBody, HubEmbedding, HubEmbeddingTold,
    HubRequest, HubTold, Operation, StreamTranslation, Translation, Untranslatable,
};
use tollgate_domain::Usage;

use crate::{
    edge::Exchange,
    snapshot::{InjectUsage, Route, Target},
};

/// What a client's body says, in the hub form, once somebody needed it.
#[derive(Default)]
pub(crate) struct HubForm(OnceCell<Result<Said, Untranslatable>>);

/// The form that the client's operation has.
enum Said {
    Turns(Box<HubRequest>),
    Texts(HubEmbedding),
}

/// How a call gets from the client's dialect to the target's and back.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// A conversation.
    Turns(Translation),
    /// Texts to be embedded.
    Texts(EmbeddingTranslation),
}

impl Way {
    fn read(self, body: &[u8]) -> Result<Said, Untranslatable> {
        match self {
            Self::Turns(way) => way.read(body).map(Box::new).map(Said::Turns),
            Self::Texts(way) => way.read(body).map(Said::Texts),
        }
    }
}

/// What a client asks, as far as translation must know it.
pub(crate) struct Asking<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    pub(crate) query: Option<&'a str>,
    pub(crate) head: &'a Head,
    pub(crate) body: &'a [u8],
    pub(crate) form: &'a HubForm,
}

impl Asking<'_> {
    /// How the client wants a streamed answer to be cut.
    pub(crate) fn framing(&self) -> Framing {
        self.dialect.codec().client_framing(self.operation, self.query)
    }

    /// What the call may cost by its bytes alone.
    fn estimate(&self) -> Usage {
        let estimate = self.dialect.codec().estimate_input(self.operation, self.body, self.head);
        Usage { input_uncached: estimate.tokens, ..Usage::default() }
    }
}

/// A request as its target is asked.
pub(crate) struct Translated {
    pub(crate) way: Way,
    pub(crate) operation: Operation,
    pub(crate) query: Option<&'static str>,
    /// Headers that the target demands and the client does not send.
    pub(crate) needed: &'static [(&'static str, &'static str)],
    pub(crate) body: Bytes,
    /// What was left out, as the route permits: for a header of the answer.
    pub(crate) dropped: Option<HeaderValue>,
}

/// How this target is reached from the client's dialect; `None` where the bytes pass as they are.
fn way(target: &Target, asking: &Asking<'_>) -> Option<Way> {
    let upstream = &*target.upstream;
    let (dialect, operation) = (asking.dialect, asking.operation);
    let turns = Translation::between(dialect, operation, upstream.dialect, upstream.apis).map(Way::Turns);
    turns.or_else(|| EmbeddingTranslation::between(dialect, operation, upstream.dialect).map(Way::Texts))
}

/// True when the target takes the client's bytes as they are.
pub(crate) fn speaks_it(target: &Target, asking: &Asking<'_>) -> bool {
    let upstream = &*target.upstream;
    Translation::is_needless(asking.dialect, asking.operation, upstream.dialect, upstream.apis)
}

/// True when the target can be asked what the client asks, with or without translation.
pub(crate) fn is_reachable(target: &Target, asking: &Asking<'_>) -> bool {
    speaks_it(target, asking) || way(target, asking).is_some()
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
    let ask = HubAsk {
        model: target.model.as_str(),
        output_cap: cap,
        insert_cap,
        ask_usage: target.upstream.inject_usage == InjectUsage::Always,
        may_drop: &route.may_drop,
    };
    match asking.form.0.get_or_init(|| way.read(asking.body)) {
        Ok(said) => write(way, said, &ask),
        Err(why) => Some(Err(why.clone())),
    }
}

/// `None` only where the way is not that of the operation which was read.
fn write(way: Way, said: &Said, ask: &HubAsk<'_>) -> Option<Result<Translated, Untranslatable>> {
    let translated = |operation, query, needed, HubBody { body, dropped }: HubBody| Translated {
        way,
        operation,
        query,
        needed,
        body: body.into(),
        dropped: HeaderValue::try_from(dropped.join(",")).ok().filter(|_| !dropped.is_empty()),
    };
    match (way, said) {
        (Way::Turns(way), Said::Turns(asked)) => {
            let (operation, query) = (way.upstream_operation(asked.stream), way.needed_query(asked.stream));
            let body = way.request(asked, ask);
            Some(body.map(|body| translated(operation, query, way.needed_headers(), body)))
        }
        (Way::Texts(way), Said::Texts(asked)) => {
            let body = way.request(asked, ask);
            Some(body.map(|body| translated(way.upstream_operation(asked), None, &[], body)))
        }
        (Way::Turns(_), Said::Texts(_)) | (Way::Texts(_), Said::Turns(_)) => None,
    }
}

/// A whole answer in the client's dialect; `None` when it is no answer.
pub(crate) fn reply(
    way: Way,
    body: &[u8],
    usage: Option<&Usage>,
    target: &Target,
    asking: &Asking<'_>,
    exchange: &Exchange,
) -> Option<Bytes> {
    match way {
        Way::Turns(way) => {
            let id = exchange.id.to_string();
            way.reply(body, &told(&id, usage, target, asking, exchange)).map(Bytes::from)
        }
        Way::Texts(way) => {
            let Some(Ok(Said::Texts(asked))) = asking.form.0.get() else { return None };
            let id = exchange.id.to_string();
            let told = HubEmbeddingTold {
                id: &id,
                model: target.model.as_str(),
                // Not every provider tells; then it is what the row is charged.
                usage: &usage.copied().unwrap_or_else(|| asking.estimate()),
                encoding: asked.encoding,
            };
            way.reply(body, &told).map(Bytes::from)
        }
    }
}

/// A translator for a stream to this client, cut as it asked for; embeddings are none.
pub(crate) fn stream(
    way: Way,
    target: &Target,
    asking: &Asking<'_>,
    exchange: &Exchange,
) -> Option<StreamTranslation> {
    let Way::Turns(way) = way else { return None };
    let id = exchange.id.to_string();
    let include_usage = asking.head.include_usage == Some(true);
    Some(way.stream(&told(&id, None, target, asking, exchange), include_usage))
}

fn told<'a>(
    id: &'a str,
    usage: Option<&'a Usage>,
    target: &'a Target,
    asking: &Asking<'a>,
    exchange: &Exchange,
) -> HubTold<'a> {
    let created = u64::try_from(exchange.started.get() / 1_000).unwrap_or(0);
    let asked = match asking.form.0.get() {
        Some(Ok(Said::Turns(asked))) => Some(&**asked),
        _ => None,
    };
    let model = target.model.as_str();
    HubTold { id, model, created, usage, framing: asking.framing(), asked }
}
