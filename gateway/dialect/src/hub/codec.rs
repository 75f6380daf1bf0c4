//! The faces that a dialect has for translation, beside those of [`Codec`](crate::Codec).

use super::{
    HubAsk, HubBody, HubEventReader, HubEventWriter, HubReply, HubRequest, HubTold, NameRule, Untranslatable,
};
use crate::wire::Operation;

/// Reads and writes the hub form of one dialect.
pub trait HubCodec: Send + Sync {
    /// The operation that translated calls ask of an upstream.
    fn operation(&self) -> Operation;

    /// The operation that streams are asked of an upstream by, where that is another one.
    fn stream_operation(&self) -> Operation {
        self.operation()
    }

    /// True when calls of this operation can be read into the hub form.
    fn reads(&self, operation: Operation) -> bool {
        operation == self.operation()
    }

    /// What an upstream takes for the name of a tool.
    fn tool_names(&self) -> NameRule;

    /// Headers that an upstream demands and that a client of another dialect does not send.
    fn needed_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// A query that the upstream must be asked with for a stream that can be read here.
    fn needed_query(&self, _stream: bool) -> Option<&'static str> {
        None
    }

    /// Reads a client's request.
    ///
    /// # Errors
    /// The body is not what this dialect takes.
    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<HubRequest, Untranslatable>;

    /// Writes a request for an upstream.
    ///
    /// # Errors
    /// A part of the request has no place in this dialect, and the route does not permit to drop it.
    fn write_request(&self, request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable>;

    /// Reads an upstream's whole answer; `None` when it is none of this dialect.
    fn read_reply(&self, body: &[u8]) -> Option<HubReply>;

    /// Writes a whole answer for a client.
    fn write_reply(&self, operation: Operation, reply: &HubReply, told: &HubTold<'_>) -> Vec<u8>;

    /// A reader for one stream of an upstream.
    fn event_reader(&self) -> Box<dyn HubEventReader>;

    /// A writer for one stream to a client, who may have asked for its usage.
    fn event_writer(
        &self,
        operation: Operation,
        told: &HubTold<'_>,
        include_usage: bool,
    ) -> Box<dyn HubEventWriter>;
}
