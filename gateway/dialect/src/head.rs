//! What a gateway must know of a request before it forwards it: the [`Head`].
//!
//! Each dialect's `request.rs` fills it from the top-level members that [`peek`](crate::peek)
//! finds; [`Fields`] holds the rules they share (no duplicates, the right JSON kind, whole
//! numbers), so that every dialect refuses the same mistakes in the same words.

use std::{borrow::Cow, ops::Range};

use smallvec::SmallVec;
use tollgate_domain::Units;

use crate::{codec::InputEstimate, walk::whole_number};

/// A member that the gateway interprets, with the bytes of its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member<T> {
    /// What the member says.
    pub value: T,
    /// Where its value stands in the body, quotes included.
    pub span: Range<usize>,
}

/// The few facts of a request body that routing, admission and splicing need.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// The model asked for in the body; absent in Azure's deployment form.
    pub model: Option<Member<String>>,
    /// The answer is asked for as a stream of events.
    pub stream: bool,
    /// The largest output in tokens, as the client capped it. Where a body holds two caps, the
    /// larger, since an upstream may heed either.
    pub output_cap: Option<Member<u64>>,
    /// Where the dialect's own cap member stands as an explicit `null`.
    pub null_output_cap: Option<Range<usize>>,
    /// How many answers are asked for (`n`), at least one.
    pub choices: u64,
    /// Where `stream_options` stands, be it an object or `null`.
    pub stream_options: Option<Range<usize>>,
    /// What `stream_options.include_usage` says.
    pub include_usage: Option<bool>,
    /// The response that this one follows, by its provider's id.
    pub previous_response: Option<String>,
    /// The stored prompt that it fills in, by its provider's id.
    pub prompt: Option<String>,
    /// The conversation that it belongs to, by its provider's id.
    pub conversation: Option<String>,
    /// The provider keeps the answer.
    pub stores: bool,
    /// The answer is to be made after the call has ended.
    pub background: bool,
    /// Whom the client names as its own user.
    pub end_user: Option<String>,
    /// Where the closing brace of the body stands.
    pub body_end: usize,
    /// The body is `{}`: a member added to it needs no comma.
    pub no_members: bool,
    /// What the call asks for that is not counted in tokens: a bound where it can only be guessed.
    pub units: Units,
    /// The most output in tokens that an operation gives whose body has no cap for it.
    pub uncapped_output: u64,
    /// The body is a form with files, and no JSON.
    pub form: Option<Form>,
}

/// What is known of a form's input, none of which is JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Form {
    /// Its input in tokens, if it is counted in tokens.
    pub input: InputEstimate,
}

/// A request body that cannot be served.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// A sentence for people.
    pub message: String,
    /// The member at fault, where there is one.
    pub param: Option<&'static str>,
    /// The gateway's error code.
    pub code: &'static str,
}

impl Malformed {
    /// The body as a whole is not what the API takes.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None, code: "invalid_request" }
    }

    /// One member is not what the API takes.
    pub(crate) fn member(param: &'static str, what: &str) -> Self {
        Self { message: format!("`{param}` {what}"), param: Some(param), code: "invalid_request" }
    }
}

/// Reads interpreted members, each at most once.
pub(crate) struct Fields<'a> {
    body: &'a [u8],
    seen: SmallVec<[&'static str; 8]>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, seen: SmallVec::new() }
    }

    /// Two members of one name are a known way past a policy: parsers disagree on which counts.
    pub(crate) fn once(&mut self, name: &'static str) -> Result<(), Malformed> {
        if self.seen.contains(&name) {
            return Err(Malformed::member(name, "is given twice"));
        }
        self.seen.push(name);
        Ok(())
    }

    /// The value as it stands in the body.
    pub(crate) fn raw(&self, span: &Range<usize>) -> &'a [u8] {
        &self.body[span.clone()]
    }

    /// The bytes of a value that is only looked at.
    pub(crate) fn once_raw(
        &mut self,
        name: &'static str,
        span: &Range<usize>,
    ) -> Result<&'a [u8], Malformed> {
        self.once(name)?;
        Ok(self.raw(span))
    }

    /// A string, or nothing for `null`.
    pub(crate) fn text(
        &mut self,
        name: &'static str,
        span: Range<usize>,
    ) -> Result<Option<Member<String>>, Malformed> {
        self.once(name)?;
        match self.raw(&span) {
            b"null" => Ok(None),
            raw => plain_text(raw)
                .map_or_else(|| serde_json::from_slice(raw), |text| Ok(text.to_owned()))
                .map(|value| Some(Member { value, span }))
                .map_err(|_| Malformed::member(name, "must be a string of valid Unicode text")),
        }
    }

    /// `true` or `false`, or nothing for `null`.
    pub(crate) fn flag(
        &mut self,
        name: &'static str,
        span: &Range<usize>,
    ) -> Result<Option<bool>, Malformed> {
        self.once(name)?;
        match self.raw(span) {
            b"null" => Ok(None),
            b"true" => Ok(Some(true)),
            b"false" => Ok(Some(false)),
            _ => Err(Malformed::member(name, "must be true or false")),
        }
    }

    /// A whole number of at least zero, or nothing for `null`.
    pub(crate) fn whole_number(
        &mut self,
        name: &'static str,
        span: Range<usize>,
    ) -> Result<Option<Member<u64>>, Malformed> {
        self.once(name)?;
        match self.raw(&span) {
            b"null" => Ok(None),
            raw => whole_number(raw)
                .map_or_else(|| serde_json::from_slice(raw), Ok)
                .map(|value| Some(Member { value, span }))
                .map_err(|_| Malformed::member(name, "must be a whole number of at least 0")),
        }
    }
}

/// The text of a scanned string that stands for itself: nothing in it is escaped or would have to be.
fn plain_text(raw: &[u8]) -> Option<&str> {
    let [b'"', text @ .., b'"'] = raw else { return None };
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'\\';
    if text.iter().all(is_plain) { str::from_utf8(text).ok() } else { None }
}

/// The end user, when the client names one as text; other shapes are the upstream's business.
pub(crate) fn end_user(raw: &[u8]) -> Option<String> {
    serde_json::from_slice::<Cow<'_, str>>(raw).ok().map(Cow::into_owned).filter(|name| !name.is_empty())
}
