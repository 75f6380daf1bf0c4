//! Simulated model providers: they answer as OpenAI, Azure OpenAI, Anthropic, Gemini, Bedrock and
//! Cohere do, fail in every way a network or a provider can, and keep a book of what they served.
//!
//! One [`Simulator`] is one endpoint of a provider. It is steered in five ways, the first that has
//! something to say decides a call:
//!
//! 1. the queue of [`Script`]s, each used once ([`Simulator::script`], `POST /_sim/script`);
//! 2. the suffix of the model's name, such as `gpt-5-mini--503` ([`Script::from_model`]);
//! 3. the closure [`Options::decide`];
//! 4. the standing script ([`Simulator::always`], `POST /_sim/always`);
//! 5. the [`Behaviour`] ([`Simulator::behave`], `POST /_sim/behaviour`).
//!
//! The [`Book`] says for every call what came in, what went out, whether it went out whole and
//! which usage it told the caller, so that a ledger can be compared with it to the last token.

#![forbid(unsafe_code)]

mod answer;
mod book;
mod bucket;
mod control;
pub mod event_stream;
mod millis;
mod options;
mod request;
mod script;
mod server;
mod wire;

pub use answer::text::{chunk_text, text_of};
pub use book::{Book, Call, Credential, Outcome, Totals, Usage, fingerprint};
pub use bucket::Provisioned;
pub use options::{Behaviour, Decide, Keep, Options, Tariff};
pub use request::{Incoming, Operation, Protocol};
pub use script::{At, Exact, Fault, Framing, Piece, Refusal, Reply, Script};
pub use server::{Simulator, Stop};
