//! Calls of every kind and every fate, drawn by number: the same number is always the same call, for
//! the client that makes it and for the providers that get it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::{Dialect, Operation, count_input};
use tollgate_simulator::{At, Behaviour, Fault, Refusal, Script};

/// More words than this and one of them is two tokens; up to here a word is a token.
const MOST_WORDS: u64 = 23;
/// Before the number in every prompt, so that a provider finds it.
const MARK: &str = "call-";
/// A connection that breaks here has begun to answer. One that breaks before its first byte may have
/// been dead before the request: that is no matter of money but of another try.
const IN_THE_HEAD: At = At::Byte(12);
/// How long a provider thinks about a plain call whose client leaves meanwhile.
const THINKS: Duration = Duration::from_millis(30);

/// The API that is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Api {
    Chat,
    Azure,
    /// Chat with a model that has no price.
    Unpriced,
    Responses,
    Messages,
    Embeddings,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// An answer.
    Whole,
    /// Trouble in the preferred region, an answer from the other.
    FailsOver(Trouble),
    /// No region answers.
    Fails,
    /// The provider refuses the request itself.
    Refused(Refusal),
    /// The stream breaks after its first words.
    Breaks(Fault),
    /// The client leaves after so many words.
    Leaves(u32),
    /// The client leaves before anything came.
    LeavesEarly,
    /// The gateway knows no such model.
    Unknown,
}

/// What is wrong with the preferred region.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// It refuses and bills nothing.
    Says(Refusal),
    /// It may have read the prompt before it broke.
    Breaks(Fault),
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) number: u64,
    pub(crate) api: Api,
    pub(crate) stream: bool,
    pub(crate) fate: Fate,
    /// The measures of its whole answer.
    answer: Behaviour,
}

impl Scenario {
    /// The call of this number.
    pub(crate) fn of(number: u64) -> Self {
        let mut dice = Dice(number);
        let api = match dice.below(100) {
            0..45 => Api::Chat,
            45..55 => Api::Azure,
            55..60 => Api::Unpriced,
            60..70 => Api::Responses,
            70..92 => Api::Messages,
            _ => Api::Embeddings,
        };
        let stream = api != Api::Embeddings && dice.below(2) == 0;
        let fate = fate(&mut dice, api, stream);
        Self { number, api, stream, fate, answer: answer(&mut dice) }
    }

    /// The call that a provider has got.
    pub(crate) fn received(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let digits = text.split_once(MARK)?.1;
        let end = digits.find(|letter: char| !letter.is_ascii_digit())?;
        digits[..end].parse().ok().map(Self::of)
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &'static str {
        match self.api {
            Api::Chat | Api::Azure | Api::Unpriced => "/v1/chat/completions",
            Api::Responses => "/v1/responses",
            Api::Messages => "/v1/messages",
            Api::Embeddings => "/v1/embeddings",
        }
    }

    /// The model it asks for.
    fn model(&self) -> &'static str {
        match self.api {
            _ if matches!(self.fate, Fate::Unknown) => "gpt-0",
            Api::Chat | Api::Responses => "gpt-5-mini",
            Api::Azure => "azure-gpt-5-mini",
            Api::Unpriced => "house-model",
            Api::Messages => "claude-sonnet-4-6",
            Api::Embeddings => "text-embedding-3-small",
        }
    }

    /// The request's body.
    pub(crate) fn body(&self) -> Bytes {
        let (model, stream, text) = (self.model(), self.stream, format!("{MARK}{}.", self.number));
        let messages = || json!([{ "role": "user", "content": text }]);
        let body: Value = match self.api {
            Api::Chat | Api::Azure | Api::Unpriced => {
                json!({ "model": model, "stream": stream, "messages": messages() })
            }
            Api::Responses => json!({ "model": model, "stream": stream, "input": text }),
            Api::Messages => {
                json!({ "model": model, "max_tokens": 64, "stream": stream, "messages": messages() })
            }
            Api::Embeddings => json!({ "model": model, "input": text }),
        };
        body.to_string().into()
    }

    /// What a region's provider does with it.
    pub(crate) fn script(&self, preferred: bool) -> Script {
        let untold = |fault| Script::behaving(self.untold_answer()).then(fault);
        match self.fate {
            Fate::FailsOver(Trouble::Says(refusal)) if preferred => Script::refusal(refusal),
            // The figures are in its body, broken or not.
            Fate::FailsOver(Trouble::Breaks(Fault::ShortBody)) if preferred => {
                Script::behaving(self.answer.clone()).then(Fault::ShortBody)
            }
            Fate::FailsOver(Trouble::Breaks(fault)) if preferred => untold(fault),
            Fate::Fails => Script::refusal(Refusal::ServerError),
            Fate::Refused(refusal) => Script::refusal(refusal),
            Fate::Breaks(fault) => untold(fault),
            Fate::Leaves(words) => untold(Fault::Stall(At::Chunk(words))),
            Fate::LeavesEarly if self.stream => untold(Fault::Stall(At::Byte(0))),
            Fate::LeavesEarly => Script::behaving(self.answer.clone()).after(THINKS),
            Fate::Whole | Fate::FailsOver(_) | Fate::Unknown => Script::behaving(self.answer.clone()),
        }
    }

    /// An answer that will not live to tell its figures. The gateway goes by its own count then, so
    /// the provider counts the prompt the same way: what is compared is the accounting, not two
    /// tokenizers.
    fn untold_answer(&self) -> Behaviour {
        let body = self.body();
        let (dialect, operation) = match self.api {
            Api::Chat | Api::Azure | Api::Unpriced => (Dialect::OpenAi, Operation::ChatCompletions),
            Api::Responses => (Dialect::OpenAi, Operation::Responses),
            Api::Messages => (Dialect::Anthropic, Operation::Messages),
            Api::Embeddings => (Dialect::OpenAi, Operation::Embeddings),
        };
        let codec = dialect.codec();
        let head = codec.peek(operation, &body).expect("a sound request");
        let estimate = codec.estimate_input(operation, &body, &head).tokens;
        let input = if self.stream { count_input(&body).min(estimate) } else { estimate };
        Behaviour {
            input_tokens: Some(input),
            cached_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            ..self.answer.clone()
        }
    }
}

fn fate(dice: &mut Dice, api: Api, stream: bool) -> Fate {
    let drawn = dice.below(1_000);
    match drawn {
        // What fails without a price is not told from what costs nothing.
        0..40 if api != Api::Unpriced => Fate::FailsOver(trouble(dice, api, stream)),
        40..43 => Fate::Fails,
        43..70 => {
            let refusals = [Refusal::ContextLength, Refusal::ContentFilter, Refusal::Status(422)];
            Fate::Refused(refusals[dice.below(3) as usize])
        }
        70..100 if stream => Fate::Breaks(break_after_words(dice)),
        100..130 if stream => Fate::Leaves(dice.up_to(MOST_WORDS - 3) as u32),
        130..155 => Fate::LeavesEarly,
        155..157 => Fate::Unknown,
        _ => Fate::Whole,
    }
}

fn trouble(dice: &mut Dice, api: Api, stream: bool) -> Trouble {
    let bills = |fault| Trouble::Breaks(fault);
    match dice.below(40) {
        0..10 => Trouble::Says(Refusal::ServerError),
        10..14 => Trouble::Says(Refusal::Unavailable { retry_after: None }),
        14 => Trouble::Says(Refusal::RateLimited { retry_after_ms: Some(1) }),
        15..25 => bills(Fault::Reset(IN_THE_HEAD)),
        25..30 => bills(Fault::Close(IN_THE_HEAD)),
        30..34 if stream => bills(Fault::EndEarly(0)),
        34..38 if stream => bills(Fault::Close(At::Chunk(0))),
        38 if stream => bills(Fault::Stall(At::Chunk(0))),
        _ if stream || api == Api::Embeddings => bills(Fault::Reset(IN_THE_HEAD)),
        _ => bills(Fault::ShortBody),
    }
}

fn break_after_words(dice: &mut Dice) -> Fault {
    let words = dice.up_to(MOST_WORDS - 3) as u32;
    match dice.below(40) {
        0..13 => Fault::Close(At::Chunk(words)),
        13..26 => Fault::EndEarly(words),
        26..39 => Fault::ErrorEvent(words),
        _ => Fault::Stall(At::Chunk(words)),
    }
}

/// Figures below and above every threshold, and now and then far above.
fn answer(dice: &mut Dice) -> Behaviour {
    let input = if dice.below(50) == 0 { dice.below(3_000_000) } else { 20 + dice.below(400) };
    let part = |dice: &mut Dice| if dice.below(3) == 0 { dice.below(input + 1) } else { 0 };
    Behaviour {
        // Room for every break after words.
        chunks: (MOST_WORDS - 3 + dice.below(4)) as u32,
        input_tokens: Some(input),
        cached_tokens: part(dice),
        cache_write_tokens: part(dice),
        reasoning_tokens: if dice.below(4) == 0 { dice.below(30) } else { 0 },
        ..Behaviour::default()
    }
}

/// splitmix64: numbers that follow each other draw nothing alike.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn up_to(&mut self, last: u64) -> u64 {
        1 + self.below(last)
    }
}
