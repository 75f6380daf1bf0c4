//! The faces that every dialect has: one trait, implemented once per folder.
//!
//! A codec is a stateless value. All its functions are pure; time and configuration come in as
//! arguments.

use std::time::Duration;

use bytes::Bytes;
use tollgate_domain::{UnixMillis, UpstreamModel};

use crate::{
    fault::Fault,
    framing::Framing,
    head::{Head, Malformed},
    hub::{EmbeddingCodec, HubCodec},
    reader::StreamReader,
    reported::Reported,
    wire::{Dialect, Operation},
};

/// Everything the gateway asks of a wire format.
pub trait Codec: Send + Sync {
    /// Whose faces these are.
    fn dialect(&self) -> Dialect;

    /// Reads what the gateway must know of a request, without parsing the rest.
    ///
    /// # Errors
    /// When the body is not one JSON object, or an interpreted member is given twice or has the
    /// wrong kind.
    fn peek(&self, operation: Operation, body: &[u8]) -> Result<Head, Malformed>;

    /// An upper bound of the input in tokens, from the bytes alone.
    fn estimate_input(&self, operation: Operation, body: &[u8], head: &Head) -> InputEstimate;

    /// The body for the upstream: the client's bytes with `edits` spliced in, or the very same
    /// bytes when they change nothing. `head` is what [`peek`](Self::peek) read from this body.
    fn request_body(&self, operation: Operation, head: &Head, body: &Bytes, edits: &Edits<'_>) -> Bytes;

    /// Path and query for the upstream. `model` is what the path names where it names one: for a kept
    /// response its id. `base_path` is the path of its base URL, `query` the
    /// client's query (credentials in it are dropped), `api_version` the upstream's configured one.
    fn upstream_path(
        &self,
        operation: Operation,
        base_path: &str,
        model: &UpstreamModel,
        query: Option<&str>,
        api_version: Option<&str>,
    ) -> String;

    /// True for a client's header (in lower case) that goes on to the upstream. An allow-list: a
    /// credential, a cookie or an account id never does.
    fn forwards_header(&self, name: &str) -> bool;

    /// Reads a plain answer with a success status.
    fn reply(&self, operation: Operation, body: &[u8]) -> Reported;

    /// The same, where headers may state what the body does not. `header` gives one by its
    /// (lower-case) name.
    fn reply_with(&self, operation: Operation, body: &[u8], header: &HeaderOf<'_>) -> Reported {
        let mut reported = self.reply(operation, body);
        reported.take_head(self.dialect(), header);
        reported
    }

    /// How a streamed answer with this `content-type` is cut into events; `None` when it is no stream of
    /// this dialect.
    fn framing(&self, content_type: Option<&[u8]>) -> Option<Framing> {
        Framing::of_events(content_type)
    }

    /// How a client who asks with this query wants a streamed answer to be cut.
    fn client_framing(&self, _operation: Operation, _query: Option<&str>) -> Framing {
        Framing::Events
    }

    /// A reader for a streamed answer. With `hide_usage` it marks the usage-only event that the
    /// client did not ask for.
    fn reader(&self, operation: Operation, hide_usage: bool) -> StreamReader;

    /// Classifies an answer with an error status.
    fn fault(&self, status: u16, body: &[u8]) -> Fault;

    /// The same, where a header may name the error.
    fn fault_with(&self, status: u16, body: &[u8], _header: &HeaderOf<'_>) -> Fault {
        self.fault(status, body)
    }

    /// How long an answer with an error status asks to wait, where this dialect tells it in the body.
    fn wait(&self, _body: &[u8]) -> Option<Duration> {
        None
    }

    /// The HTTP status for an error of ours, where the dialect has its own habit.
    fn error_status(&self, face: &ErrorFace<'_>) -> u16 {
        face.status
    }

    /// The status of an error of ours of this code, where this dialect's API has another one for it.
    fn refusal_status(&self, status: u16, _code: &str) -> u16 {
        status
    }

    /// An error of ours as this dialect's error body.
    fn error_body(&self, face: &ErrorFace<'_>) -> Vec<u8>;

    /// The header by which this dialect's clients tell an error of ours, where they read one.
    fn error_header(&self, _face: &ErrorFace<'_>) -> Option<(&'static str, &'static str)> {
        None
    }

    /// An error of ours as a whole event, its frame included, for a stream in which nothing was
    /// sent yet. Later in a stream, [`StreamReader::error_event`] continues its numbering.
    fn error_event(&self, operation: Operation, face: &ErrorFace<'_>) -> Vec<u8>;

    /// What is sent to a client of this dialect while its stream has nothing to say, so that nobody between
    /// takes the connection for dead: a whole event that its parsers step over. `None` where none is known
    /// that all of them survive.
    fn heartbeat(&self) -> Option<&'static [u8]> {
        None
    }

    /// The names of this dialect's rate-limit headers.
    fn limit_names(&self) -> &'static LimitNames;

    /// Writes when a limit is whole again, `now` being the wall clock, as this dialect's clients read
    /// it: as a duration or as an instant.
    fn write_reset(&self, shown: &LimitShown, now: UnixMillis, text: &mut Vec<u8>);

    /// The list of models, or with `one` that single model, in this dialect's shape.
    fn models(&self, names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8>;

    /// The faces for translating embeddings, where the dialect has them.
    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        None
    }

    /// The faces for translation, where the dialect has them: those of the way to converse in which
    /// its servers are asked, where it has several.
    fn hub(&self) -> Option<&'static dyn HubCodec> {
        None
    }

    /// The faces for the translation of one operation's calls.
    fn hub_of(&self, operation: Operation) -> Option<&'static dyn HubCodec> {
        self.hub().filter(|hub| hub.reads(operation))
    }
}

/// Gives a header of an answer by its lower-case name, where it has one that is text.
pub type HeaderOf<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// The edits that a passed-through request body may get: all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The model name that the upstream knows.
    pub model: Option<&'a str>,
    /// Ask for usage in a stream, where the dialect must be asked.
    pub include_usage: bool,
    /// The output cap to insert where the client gave none.
    pub output_cap: Option<u64>,
}

/// What a request's input may cost in tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InputEstimate {
    /// Tokens, an upper bound unless `lower_bound`.
    pub tokens: u64,
    /// Parts of the input stand elsewhere (URLs, files, stored state), so that the true figure
    /// may be higher.
    pub lower_bound: bool,
}

/// An error of the gateway, before it has a dialect.
#[derive(Clone, Copy, Debug)]
pub struct ErrorFace<'a> {
    /// The HTTP status, also where the error travels in a stream.
    pub status: u16,
    /// The gateway's own code, for example `budget_exceeded`.
    pub code: &'a str,
    /// A whole sentence for people.
    pub message: &'a str,
    /// The member at fault, where there is one.
    pub param: Option<&'a str>,
    /// The id that leads to the request's row.
    pub request_id: &'a str,
}

/// One limit and what is left of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitShown {
    /// The limit itself.
    pub limit: u64,
    /// What is left now.
    pub remaining: u64,
    /// How long until all of it is there again.
    pub reset_after: Duration,
}

/// Names of rate-limit headers, each time that of the limit, of what remains and of the reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitNames {
    /// For requests.
    pub requests: [&'static str; 3],
    /// For tokens.
    pub tokens: [&'static str; 3],
}

/// Writes a count in decimal.
pub fn write_count(count: u64, text: &mut Vec<u8>) {
    text.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
}
