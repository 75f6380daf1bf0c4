//! A request for one answer, as all dialects can say it.

use serde::Serialize;
use serde_json::{Number, value::RawValue};

use super::Untranslatable;
use crate::wire::{Dialect, Family};

/// A value and the place where the client wrote it, which a refusal names.
#[derive(Clone, Debug)]
pub struct Given<T> {
    /// The path in the client's body, for example `messages[2].content[0]`.
    pub at: Box<str>,
    /// The value.
    pub value: T,
}

impl<T> Given<T> {
    pub(crate) fn new(at: impl Into<Box<str>>, value: T) -> Self {
        Self { at: at.into(), value }
    }
}

/// A request for one answer. Sampling members keep the number as the client wrote it.
#[derive(Clone, Debug, Default)]
pub struct HubRequest {
    /// Instructions that stand above the conversation.
    pub system: Vec<HubBlock>,
    /// The conversation, oldest first.
    pub turns: Vec<HubTurn>,
    /// The tools the model may call.
    pub tools: Vec<HubTool>,
    /// Which of them it must call.
    pub choice: Option<Given<HubChoice>>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<Given<bool>>,
    /// The output cap in tokens.
    pub output_cap: Option<u64>,
    /// Randomness, in the scale of the client's dialect.
    pub temperature: Option<Given<Number>>,
    /// The probability mass to choose from.
    pub top_p: Option<Given<Number>>,
    /// The number of candidates to choose from.
    pub top_k: Option<Given<Number>>,
    /// A seed.
    pub seed: Option<Given<Number>>,
    /// A penalty on what was said at all.
    pub presence_penalty: Option<Given<Number>>,
    /// A penalty on what was said often.
    pub frequency_penalty: Option<Given<Number>>,
    /// Texts that end the answer.
    pub stop: Option<Given<Vec<String>>>,
    /// The form that the answer must have.
    pub format: Option<Given<HubFormat>>,
    /// How much the model should think.
    pub thinking: Option<Given<HubThinking>>,
    /// Whom the client names as its own user.
    pub end_user: Option<Given<String>>,
    /// The answer is asked for as a stream.
    pub stream: bool,
    /// A stream is to tell its usage.
    pub include_usage: bool,
    /// Members that only the client's dialect knows.
    pub leftover: Vec<Given<Box<RawValue>>>,
    /// Whose members those are, where another dialect or operation of that family may know them too.
    pub family: Option<Family>,
    /// Members that change nothing in an answer and mean something to servers of that family only.
    pub hints: Vec<Given<Box<RawValue>>>,
    /// Members that an answer in the client's dialect repeats, as the client wrote them.
    pub echo: Vec<Given<Box<RawValue>>>,
}

/// One turn.
#[derive(Clone, Debug)]
pub struct HubTurn {
    /// Where the client wrote it.
    pub at: Box<str>,
    /// Whose turn it is.
    pub role: HubRole,
    /// What it says.
    pub blocks: Vec<HubBlock>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HubRole {
    /// Instructions in mid-conversation.
    System,
    /// The client's side, tool results included.
    User,
    /// The model.
    Assistant,
}

/// A piece of content.
#[derive(Clone, Debug)]
pub enum HubBlock {
    /// Plain text.
    Text(String),
    /// A picture.
    Image(HubMedia),
    /// A document, such as a PDF.
    Document(HubMedia),
    /// Sound.
    Audio(HubMedia),
    /// The model calls a tool.
    ToolUse {
        /// The call's id, which its result names.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments as the model wrote them: JSON, or what it took for JSON.
        input: String,
    },
    /// What a tool gave.
    ToolResult {
        /// Where the client wrote it.
        at: Box<str>,
        /// The id of the call.
        id: String,
        /// The result.
        blocks: Vec<HubBlock>,
        /// The tool failed.
        is_error: bool,
    },
    /// The model's reasoning, with the vendor's proof that it is unaltered.
    Reasoning {
        /// The visible text.
        text: String,
        /// The proof.
        proof: Option<Sealed>,
    },
    /// Reasoning that only its vendor can read.
    Redacted(Sealed),
    /// The model declines.
    Refusal(String),
    /// Everything before this may be cached, for so many seconds where the client says.
    CacheMark(Option<u32>),
    /// Something that only the client's dialect knows.
    Foreign(Given<Box<str>>),
}

impl HubBlock {
    /// About how many bytes it says.
    fn length(&self) -> usize {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::Reasoning { text, .. } => text.len(),
            Self::Image(media) | Self::Document(media) | Self::Audio(media) => media.source.length(),
            Self::ToolUse { input, .. } => input.len(),
            Self::ToolResult { blocks, .. } => blocks.iter().map(Self::length).sum(),
            Self::Redacted(sealed) => sealed.text.len(),
            Self::CacheMark(_) | Self::Foreign(_) => 0,
        }
    }
}

/// Something opaque that only the vendor who sealed it takes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sealed {
    /// Whose it is.
    pub family: Family,
    /// The sealed text.
    pub text: String,
}

/// A picture, a document or sound.
#[derive(Clone, Debug)]
pub struct HubMedia {
    /// Where the client wrote it.
    pub at: Box<str>,
    /// Where its bytes are.
    pub source: HubSource,
    /// The file's name.
    pub name: Option<String>,
}

/// Where the bytes of a picture, document or sound are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HubSource {
    /// In the request, as base64 text.
    Inline {
        /// The media type.
        media_type: String,
        /// The base64 text.
        base64: String,
    },
    /// In the request, as plain text.
    Text(String),
    /// At a URL.
    Url(String),
    /// At the provider, by its id.
    File(String),
}

impl HubSource {
    fn length(&self) -> usize {
        match self {
            Self::Inline { base64: said, .. } | Self::Text(said) | Self::Url(said) | Self::File(said) => {
                said.len()
            }
        }
    }
}

/// A tool the model may call.
#[derive(Clone, Debug)]
pub struct HubTool {
    /// Where the client wrote it.
    pub at: Box<str>,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON schema of its arguments, as the client wrote it.
    pub schema: Option<Box<RawValue>>,
    /// The model must keep to the schema.
    pub strict: Option<bool>,
    /// The definitions up to this one may be cached.
    pub cache_mark: Option<Option<u32>>,
}

/// Which tool the model must call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HubChoice {
    /// As it likes.
    Auto,
    /// None.
    Nothing,
    /// Any, but one.
    Required,
    /// This one.
    Named(String),
}

/// The form of an answer.
#[derive(Clone, Debug)]
pub enum HubFormat {
    /// Some JSON.
    Json,
    /// JSON of this schema.
    Schema {
        /// The schema's name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema, as the client wrote it.
        schema: Box<RawValue>,
        /// The model must keep to it.
        strict: Option<bool>,
    },
}

/// How much a model should think before it answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HubThinking {
    /// Not at all.
    Off,
    /// As it sees fit.
    Adaptive(Option<HubEffort>),
    /// At most so many tokens.
    Budget(u64),
    /// So much.
    Effort(HubEffort),
}

/// Steps of effort that all vendors have in some form.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum HubEffort {
    /// Hardly any.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More.
    XHigh,
    /// All there is.
    Max,
}

impl HubEffort {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Minimal, "minimal"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::XHigh, "xhigh"),
        (Self::Max, "max"),
    ];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(effort, _)| *effort)
    }

    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(effort, _)| *effort == self).map_or("medium", |(_, name)| name)
    }
}

/// What a writer must know beside the request.
#[derive(Clone, Copy, Debug)]
pub struct HubAsk<'a> {
    /// The model as the upstream names it.
    pub model: &'a str,
    /// The output cap for a dialect that demands one where the client gave none, in tokens.
    pub output_cap: u64,
    /// That cap is to be written also where the dialect does not demand one.
    pub insert_cap: bool,
    /// A stream may be asked for its usage, where the dialect tells it only to those who ask.
    pub ask_usage: bool,
    /// Members that the route may leave out, by their path in the client's body without indices, for example
    /// `seed` or `messages.name`.
    pub may_drop: &'a [Box<str>],
}

/// A body for an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HubBody {
    /// The bytes.
    pub body: Vec<u8>,
    /// What was left out, as the route permits, by path in the client's body.
    pub dropped: Vec<String>,
}

/// A written request has about so much beside what its blocks say.
const AROUND_BLOCKS: usize = 4 << 10;

impl HubBody {
    /// Writes a request's body, in a buffer that need not grow under a large picture: it would hold it twice.
    pub(crate) fn written(body: &impl Serialize, request: &HubRequest, misfits: Misfits<'_>) -> Self {
        let said = request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.blocks));
        let mut bytes = Vec::with_capacity(said.map(HubBlock::length).sum::<usize>() + AROUND_BLOCKS);
        serde_json::to_writer(&mut bytes, body).expect("texts and numbers are always written");
        Self { body: bytes, dropped: misfits.dropped() }
    }
}

/// Decides on each member that a dialect has no place for.
pub(crate) struct Misfits<'a> {
    target: Dialect,
    may_drop: &'a [Box<str>],
    dropped: Vec<String>,
}

impl<'a> Misfits<'a> {
    pub(crate) fn new(target: Dialect, ask: &HubAsk<'a>) -> Self {
        Self { target, may_drop: ask.may_drop, dropped: Vec::new() }
    }

    /// Leaves the member at `at` out where the route permits it, else refuses the request.
    pub(crate) fn meet(&mut self, at: &str, why: &str) -> Result<(), Untranslatable> {
        let place = without_indices(at);
        if self.may_drop.iter().any(|name| spelled_alike(name, &place)) {
            self.dropped.push(at.to_owned());
            return Ok(());
        }
        Err(Untranslatable::unsupported(at, self.target, why))
    }

    /// Refuses each of these that is given.
    pub(crate) fn meet_all<'b>(
        &mut self,
        given: impl IntoIterator<Item = Option<&'b str>>,
    ) -> Result<(), Untranslatable> {
        given.into_iter().flatten().try_for_each(|at| self.meet(at, "it has no such member"))
    }

    /// The temperature for a dialect whose scale ends at 1, where others let it be as hot as 2.
    pub(crate) fn temperature_of_one<'b>(
        &mut self,
        given: Option<&'b Given<Number>>,
    ) -> Result<Option<&'b Number>, Untranslatable> {
        match given {
            Some(given) if given.value.as_f64().is_some_and(|heat| heat > 1.0) => {
                self.meet(&given.at, "it takes at most 1")?;
                Ok(None)
            }
            given => Ok(given.map(|given| &given.value)),
        }
    }

    pub(crate) fn dropped(self) -> Vec<String> {
        self.dropped
    }
}

/// True for the same name in camelCase and in snake_case, between which Google's clients may choose.
fn spelled_alike(one: &str, other: &str) -> bool {
    let letters = |name: &str| name.replace('_', "").to_ascii_lowercase();
    one == other || letters(one) == letters(other)
}

/// `messages[2].name` is `messages.name`.
fn without_indices(at: &str) -> String {
    let mut place = String::with_capacity(at.len());
    let mut inside = false;
    for letter in at.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => {}
            _ => place.push(letter),
        }
    }
    place
}
