//! Station 2: what is asked?
//!
//! Takes the body, gives an [`Envelope`]: the few facts that later stations need, and the bytes as
//! they came. Nothing is parsed that is only passed on.

mod pace;
mod patience;

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;
use tollgate_accounting::stored::Keeper;
use tollgate_dialect::{Call, Dialect, Head, Malformed, Operation};

use crate::{
    overload::{Held, SMALL_BODY, Shed},
    rejection::Rejection,
    snapshot::EdgeLimits,
    trace::Trace,
    translate::{Asking, HubForm},
};

use pace::Pace;

/// What no body grows past before its first bytes have come, whatever it announces.
const FIRST_RESERVE: usize = 64 << 10;

/// A request that has been read: facts and untouched bytes.
pub(crate) struct Envelope {
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    /// The model in the path, where the dialect has it there.
    in_path: Option<String>,
    /// What the path names of what a provider keeps, as a `Call` has it.
    of_kept: Option<String>,
    /// Who keeps what the request names; the only upstream that can serve it.
    pub(crate) pin: Option<Keeper>,
    pub(crate) head: Head,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
    /// The zone that the client narrows its own call to; it can never widen what the project permits.
    pub(crate) zone: Option<Box<str>>,
    pub(crate) body: Bytes,
    /// Where it stands in a trace.
    pub(crate) trace: Option<Arc<Trace>>,
    /// When all of it was there.
    pub(crate) read_at: Instant,
    /// The body's bytes among all that the process holds.
    held: Rc<Held>,
    /// The body for targets of other dialects.
    pub(crate) hub: HubForm,
}

/// What a request names by a provider's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kept<'a> {
    Response(&'a str),
    Conversation(&'a str),
}

impl<'a> Kept<'a> {
    pub(crate) fn id(self) -> &'a str {
        match self {
            Self::Response(id) | Self::Conversation(id) => id,
        }
    }

    /// The refusal where it is not there for this caller.
    pub(crate) fn unknown(self) -> Rejection {
        match self {
            Self::Response(id) => Rejection::UnknownResponse(id.to_owned()),
            Self::Conversation(id) => Rejection::UnknownConversation(id.to_owned()),
        }
    }
}

/// A larger prompt is not kept while its stream runs: thousands of streams may.
const LARGEST_KEPT: usize = 64 << 10;

impl Envelope {
    /// The model as the client names it; of what is kept, the one that it was made by. Who makes a
    /// conversation names none.
    pub(crate) fn model(&self) -> &str {
        let named = self.in_path.as_deref().or(self.head.model.as_ref().map(|model| model.value.as_str()));
        let kept = self.pin.as_ref().map(|keeper| keeper.model.as_str());
        named.or(kept).unwrap_or_default()
    }

    /// The name came from an Azure deployment path.
    pub(crate) fn is_deployment(&self) -> bool {
        self.dialect == Dialect::AzureOpenAi && self.in_path.is_some()
    }

    /// What is kept and named by the path, or is to be gone on with.
    pub(crate) fn names_kept(&self) -> Option<Kept<'_>> {
        if let Some(named) = self.of_kept() {
            let id = named.split_once('/').map_or(named, |(id, _)| id);
            let is_conversation = self.operation.is_of_conversation();
            return Some(if is_conversation { Kept::Conversation(id) } else { Kept::Response(id) });
        }
        let conversation = self.head.conversation.as_deref().map(Kept::Conversation);
        conversation.or(self.head.previous_response.as_deref().map(Kept::Response))
    }

    /// What is kept and the path names, as a `Call` has it.
    pub(crate) fn of_kept(&self) -> Option<&str> {
        self.of_kept.as_deref()
    }

    /// A provider tells the usage of a response in the background only to who asks for it later, if anybody
    /// does: until then it could be neither charged nor held to a budget.
    pub(crate) fn refuse_background(&self) -> Result<(), Rejection> {
        let why = "`background` (a response whose usage is told only later)";
        if self.head.background { Err(Rejection::Unsupported(why.to_owned())) } else { Ok(()) }
    }

    /// What a target of another dialect would have to be asked.
    pub(crate) fn asking(&self) -> Asking<'_> {
        Asking {
            dialect: self.dialect,
            operation: self.operation,
            query: self.query.as_deref(),
            head: &self.head,
            body: &self.body,
            form: &self.hub,
        }
    }

    /// The bytes to keep while a stream runs, for the case that they have to be counted.
    pub(crate) fn prompt_to_keep(&self) -> Option<Prompt> {
        let is_text = self.head.form.is_none();
        let keeps = self.head.stream && is_text && self.body.len() <= LARGEST_KEPT;
        keeps.then(|| Prompt { bytes: self.body.clone(), _held: Rc::clone(&self.held) })
    }
}

/// A body that is kept while its answer streams.
pub(crate) struct Prompt {
    pub(crate) bytes: Bytes,
    _held: Rc<Held>,
}

/// A request's body, whole.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    held: Held,
}

/// The length that a request announces; `None` where the end of its body will tell.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// True when a body is, or may be, too long to be read only to get to the next request.
pub(crate) fn is_long(body: &Incoming) -> bool {
    http_body::Body::size_hint(body).upper().is_none_or(|bytes| bytes > SMALL_BODY)
}

impl Envelope {
    /// How long the client waits for an answer to begin, as far as it says so.
    pub(crate) fn patience(&self) -> Option<Duration> {
        patience::of(&self.headers)
    }
}

/// Reads what matters in a request whose body is in hand.
///
/// # Errors
/// A body that is not what the operation takes, or a request that names no model.
pub(crate) fn open(
    call: &Call<'_>,
    headers: HeaderMap,
    query: Option<String>,
    zone: Option<Box<str>>,
    body: Whole,
) -> Result<Envelope, Rejection> {
    let (body, held) = (body.bytes, Rc::new(body.held));
    let is_unnamed = call.operation.names_no_model();
    let head = match is_unnamed {
        true => head_of_unnamed(call, query.as_deref(), &body),
        false => head(call, &headers, &body),
    };
    let head =
        head.map_err(|malformed| Rejection::Invalid { message: malformed.message, param: malformed.param })?;
    let named = call.model.as_deref().map(str::to_owned);
    let (in_path, of_kept) = if is_unnamed { (None, named) } else { (named, None) };
    if !is_unnamed && in_path.is_none() && head.model.is_none() {
        return Err(Rejection::Invalid { message: "`model` is missing".into(), param: Some("model") });
    }
    Ok(Envelope {
        dialect: call.dialect,
        operation: call.operation,
        in_path,
        of_kept,
        pin: None,
        head,
        headers,
        query,
        zone,
        body,
        trace: None,
        read_at: Instant::now(),
        held,
        hub: HubForm::default(),
    })
}

/// The head of a request that names no model: what its provider is told is for the provider alone, and is
/// one object, or nothing.
fn head_of_unnamed(call: &Call<'_>, query: Option<&str>, body: &Bytes) -> Result<Head, Malformed> {
    let operation = call.operation;
    if operation.tells_provider_alone() && !body.is_empty() {
        let read = call.dialect.codec().peek(operation, body)?;
        return Ok(Head { model: None, end_user: None, ..read });
    }
    let asks_stream = |query: &str| query.split('&').any(|pair| pair == "stream=true");
    Ok(Head {
        stream: operation == Operation::GetResponse && query.is_some_and(asks_stream),
        stores: operation == Operation::CreateConversation,
        ..Head::default()
    })
}

/// The head of a form where the operation takes one and the client says that it sends one, else of JSON.
fn head(call: &Call<'_>, headers: &HeaderMap, body: &Bytes) -> Result<Head, Malformed> {
    let content_type = headers.get(header::CONTENT_TYPE).filter(|_| call.operation.takes_form());
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type
        .and_then(|content_type| tollgate_dialect::peek_form(call.operation, content_type, body))
        .unwrap_or_else(|| call.dialect.codec().peek(call.operation, body))
}

/// Reads a request's body, of which `held` counts what was announced. `shed` makes the refusal of one that
/// is more than was announced and more than there is room for.
///
/// # Errors
/// A body that is too large, too slow, torn, or has a content coding.
///
/// # Cancel safety
/// Nothing is held but the bytes read so far.
pub(crate) async fn body(
    headers: &HeaderMap,
    mut body: Incoming,
    limits: &EdgeLimits,
    mut held: Held,
    shed: impl Fn(Shed) -> Rejection,
) -> Result<Whole, Rejection> {
    let too_large = || Rejection::TooLarge { limit: limits.max_body };
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limits.max_body as u64) {
        return Err(too_large());
    }
    if let Some(coding) =
        headers.get(header::CONTENT_ENCODING).filter(|coding| coding.as_bytes() != b"identity")
    {
        let coding = coding.to_str().unwrap_or("this one");
        let message = format!("request bodies with content coding ({coding}) are not taken: send it plain");
        return Err(Rejection::Invalid { message, param: None });
    }
    let mut pace = Pace::new(limits);
    let mut first = next(&mut body, &mut pace).await?.unwrap_or_default();
    if first.len() > limits.max_body {
        return Err(too_large());
    }
    held.has_come(first.len(), limits.max_bytes_held).map_err(&shed)?;
    // Most bodies come in one piece and are kept as they are.
    let Some(second) = next(&mut body, &mut pace).await? else {
        return Ok(Whole { bytes: first, held });
    };
    let expected = announced.map_or(0, |length| length as usize);
    let mut whole = BytesMut::with_capacity(expected.min(FIRST_RESERVE).max(first.len() + second.len()));
    whole.extend_from_slice(&std::mem::take(&mut first));
    whole.extend_from_slice(&second);
    held.has_come(whole.len(), limits.max_bytes_held).map_err(&shed)?;
    while let Some(piece) = next(&mut body, &mut pace).await? {
        if whole.len() + piece.len() > limits.max_body {
            return Err(too_large());
        }
        held.has_come(whole.len() + piece.len(), limits.max_bytes_held).map_err(&shed)?;
        whole.extend_from_slice(&piece);
    }
    if whole.len() > limits.max_body { Err(too_large()) } else { Ok(Whole { bytes: whole.freeze(), held }) }
}

/// What is heard of a request that is refused by its head alone, and for how long.
const HEARD: usize = 256 << 10;
const HEARD_FOR: Duration = Duration::from_secs(1);

/// Lets a client finish what it says although its answer stands already: over HTTP/2 some clients (curl
/// 7.88 for one) take a stream that ends while they are still sending for a broken one, and show no answer.
///
/// # Cancel safety
/// Nothing is kept.
pub(crate) async fn hear_out(mut body: Incoming) {
    let listening = async {
        let mut heard = 0;
        while heard < HEARD {
            let Some(Ok(frame)) = body.frame().await else { return };
            heard += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Who says more than that, or says it slowly, is answered all the same.
    let _ = timeout(HEARD_FOR, listening).await;
}

/// The next piece of the body; `None` at its end.
async fn next(body: &mut Incoming, pace: &mut Pace) -> Result<Option<Bytes>, Rejection> {
    loop {
        if http_body::Body::is_end_stream(body) {
            return Ok(None);
        }
        let frame = match futures_util::FutureExt::now_or_never(body.frame()) {
            Some(ready) => ready,
            // Only a body that makes us wait needs a timer.
            None => {
                let patience = pace.patience(tokio::time::Instant::now());
                timeout(patience, body.frame()).await.map_err(|_| Rejection::SlowBody)?
            }
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Rejection::Invalid {
                    message: "the request body was cut short".into(),
                    param: None,
                });
            }
            Some(Ok(frame)) => {
                // Trailers carry nothing that is passed on.
                if let Ok(data) = frame.into_data() {
                    pace.has_come(data.len());
                    return Ok(Some(data));
                }
            }
        }
    }
}
