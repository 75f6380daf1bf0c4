//! One call between two dialects: which faces of which codec are asked for what.

use tollgate_domain::Usage;

use super::{
    HubAsk, HubBody, HubCodec, HubEvent, HubEventReader, HubEventWriter, HubRequest, HubTold, Untranslatable,
    names::Names,
};
use crate::{
    codec::ErrorFace,
    wire::{Apis, Dialect, Family, Operation},
};

/// How the calls of a client are made at an upstream of another family, or that converses another way.
#[derive(Clone, Copy)]
pub struct Translation {
    client: &'static dyn HubCodec,
    /// What the client asks for.
    operation: Operation,
    upstream: &'static dyn HubCodec,
}

impl Translation {
    /// The way from an operation of one dialect to an upstream that does not serve it, where there is
    /// one. `apis` tells the upstream's ways to converse, where its dialect has several.
    #[must_use]
    pub fn between(client: Dialect, operation: Operation, upstream: Dialect, apis: Apis) -> Option<Self> {
        if Self::is_needless(client, operation, upstream, apis) {
            return None;
        }
        let from = client.codec().hub_of(operation)?;
        let to = match upstream.family() {
            Family::OpenAi => upstream.codec().hub_of(apis.preferred())?,
            _ => upstream.codec().hub()?,
        };
        Some(Self { client: from, operation, upstream: to })
    }

    /// True when the upstream takes the client's bytes as they are.
    #[must_use]
    pub fn is_needless(client: Dialect, operation: Operation, upstream: Dialect, apis: Apis) -> bool {
        if operation == Operation::Rerank {
            // Cohere's, which servers of OpenAI's family have taken over as it is.
            return [client, upstream]
                .iter()
                .all(|side| matches!(side.family(), Family::OpenAi | Family::Cohere));
        }
        client.family() == upstream.family() && (client.family() != Family::OpenAi || apis.serve(operation))
    }

    /// What the upstream is asked for, as a stream or in one piece.
    #[must_use]
    pub fn upstream_operation(&self, stream: bool) -> Operation {
        if stream { self.upstream.stream_operation() } else { self.upstream.operation() }
    }

    /// The query that the upstream is asked with; the client's own means nothing to it.
    #[must_use]
    pub fn needed_query(&self, stream: bool) -> Option<&'static str> {
        self.upstream.needed_query(stream)
    }

    /// Headers that the upstream demands and the client does not send.
    #[must_use]
    pub fn needed_headers(&self) -> &'static [(&'static str, &'static str)] {
        self.upstream.needed_headers()
    }

    /// Reads the client's body; the result serves every upstream.
    ///
    /// # Errors
    /// The body is not what the client's dialect takes.
    pub fn read(&self, body: &[u8]) -> Result<HubRequest, Untranslatable> {
        self.client.read_request(self.operation, body)
    }

    /// Writes the upstream's body.
    ///
    /// # Errors
    /// A part of the request has no place in the upstream's dialect.
    pub fn request(&self, request: &HubRequest, ask: &HubAsk<'_>) -> Result<HubBody, Untranslatable> {
        let renamed = self.names(request).applied(request)?;
        self.upstream.write_request(renamed.as_ref().unwrap_or(request), ask)
    }

    /// Turns a whole answer into the client's dialect; `None` when it is none.
    #[must_use]
    pub fn reply(&self, body: &[u8], told: &HubTold<'_>) -> Option<Vec<u8>> {
        let mut reply = self.upstream.read_reply(body)?;
        name(&mut reply.model, told.model);
        if let Some(asked) = told.asked {
            self.names(asked).restore(&mut reply);
        }
        Some(self.client.write_reply(self.operation, &reply, told))
    }

    /// A translator for one stream, whose client may have asked for its usage.
    #[must_use]
    pub fn stream(&self, told: &HubTold<'_>, include_usage: bool) -> StreamTranslation {
        StreamTranslation {
            reader: self.upstream.event_reader(),
            writer: self.client.event_writer(self.operation, told, include_usage),
            model: told.model.to_owned(),
            names: told.asked.map(|asked| self.names(asked)).unwrap_or_default(),
            steps: Vec::new(),
            out: Vec::new(),
        }
    }

    /// By which names the upstream knows the request's tools.
    fn names(&self, request: &HubRequest) -> Names {
        Names::of(request, &self.upstream.tool_names())
    }
}

/// Names the model where the provider does not.
fn name(told: &mut String, model: &str) {
    if told.is_empty() {
        model.clone_into(told);
    }
}

/// Translates one stream, event by event.
pub struct StreamTranslation {
    reader: Box<dyn HubEventReader>,
    writer: Box<dyn HubEventWriter>,
    /// As the upstream was asked for it.
    model: String,
    /// The tools that it knows by other names.
    names: Names,
    /// Empty between events; kept for its room.
    steps: Vec<HubEvent>,
    /// The same for what they become.
    out: Vec<u8>,
}

impl StreamTranslation {
    /// What one whole event of the upstream becomes: nothing, one event or several.
    pub fn event(&mut self, event: &[u8]) -> Vec<u8> {
        self.out.clear();
        self.reader.read(event, &mut self.steps);
        for mut step in self.steps.drain(..) {
            if let HubEvent::Start { model } = &mut step {
                name(model, &self.model);
            }
            self.names.restore_step(&mut step);
            self.writer.write(step, &mut self.out);
        }
        // Once into memory of the right size, instead of growing to it by many small writes.
        self.out.clone()
    }

    /// The end of a stream that is whole, its end mark included.
    pub fn finish(&mut self, usage: Option<&Usage>) -> Vec<u8> {
        let mut out = Vec::new();
        self.writer.finish(usage, &mut out);
        out
    }

    /// An error of ours as the event that ends the stream.
    pub fn error(&mut self, face: &ErrorFace<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.writer.error(face, &mut out);
        out
    }
}

impl std::fmt::Debug for StreamTranslation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StreamTranslation").finish_non_exhaustive()
    }
}
