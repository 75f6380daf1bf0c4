//! A whole answer, as all dialects can say it.

use serde_json::value::RawValue;
use tollgate_domain::Usage;

use super::{Given, HubBlock, HubRequest};
use crate::framing::Framing;

/// A whole answer of a model.
#[derive(Clone, Debug)]
pub struct HubReply {
    /// The model that answered, in the provider's words; empty where he does not tell.
    pub model: String,
    /// What it says.
    pub blocks: Vec<HubBlock>,
    /// Why it ended.
    pub stop: HubStop,
    /// The stop sequence that ended it, where the provider tells.
    pub stop_sequence: Option<String>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HubStop {
    /// The model was done.
    End,
    /// The output cap was reached.
    Length,
    /// The context is full.
    ContextFull,
    /// A stop sequence appeared.
    Sequence,
    /// A tool is to be called.
    ToolUse,
    /// A content policy stepped in.
    Filter,
}

/// What the gateway itself knows of an answer.
#[derive(Clone, Copy, Debug)]
pub struct HubTold<'a> {
    /// The gateway's id of the request, which the answer's id is made of.
    pub id: &'a str,
    /// The model as the upstream was asked for it, for answers that name none.
    pub model: &'a str,
    /// When the request began, in seconds since 1970.
    pub created: u64,
    /// What the call consumed, where the provider tells.
    pub usage: Option<&'a Usage>,
    /// How the client wants a stream to be cut.
    pub framing: Framing,
    /// The request, members of which the answer may repeat and whose tools the upstream may know by other
    /// names; `None` where it is not at hand.
    pub asked: Option<&'a HubRequest>,
}

impl<'a> HubTold<'a> {
    /// Members of the request that the answer repeats.
    pub(crate) fn echo(&self) -> &'a [Given<Box<RawValue>>] {
        self.asked.map_or(&[], |asked| &asked.echo)
    }
}
