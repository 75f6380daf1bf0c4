//! The steps of a streamed answer, as all dialects can say them.

use tollgate_domain::Usage;

use super::HubStop;
use crate::codec::ErrorFace;

/// A step of a streamed answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HubEvent {
    /// The answer begins.
    Start {
        /// The model that answers, in the provider's words; empty where he does not tell.
        model: String,
    },
    /// More visible text.
    Text(String),
    /// More of the reasoning's text.
    Reasoning(String),
    /// The proof of the reasoning before it, in the words that clients keep (`Sealed::kept`).
    Proof(String),
    /// A whole block of reasoning that only its vendor can read, in the same words.
    Redacted(String),
    /// More of a refusal.
    Refusal(String),
    /// The model begins to call a tool.
    ToolStart {
        /// Tells the calls of one answer apart.
        key: u32,
        /// The call's id.
        id: String,
        /// The tool.
        name: String,
    },
    /// More of a call's arguments.
    ToolInput {
        /// Which call.
        key: u32,
        /// The fragment, as the model wrote it.
        fragment: String,
    },
    /// The answer is said; its usage may follow.
    Stop {
        /// Why it ended.
        stop: HubStop,
        /// The stop sequence that ended it, where the provider tells.
        sequence: Option<String>,
    },
}

/// Reads the events of one stream in an upstream's dialect.
pub trait HubEventReader: Send {
    /// Reads one whole event, as received, and gives the steps in it, mostly one or none.
    fn read(&mut self, event: &[u8], steps: &mut Vec<HubEvent>);
}

/// Writes the events of one stream in a client's dialect.
pub trait HubEventWriter: Send {
    /// Writes what a step becomes: nothing, one event or several.
    fn write(&mut self, step: HubEvent, out: &mut Vec<u8>);

    /// Writes the end of a stream that is whole, its end mark included.
    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>);

    /// Writes an error of ours as the event that ends the stream.
    fn error(&mut self, face: &ErrorFace<'_>, out: &mut Vec<u8>);
}
