//! Spans and metrics as OpenTelemetry's protocol has them.
//!
//! Nothing is sent from here: this is the form, in protobuf, of what is sent. Figures are those of
//! `/metrics`, read from the same text, so that the two can never disagree.

mod attributes;
mod figures;
mod genai;
pub mod proto;

use prost::Message as _;

pub use attributes::Attributes;
pub use genai::{Generation, Tokens, operation_name};

use self::{
    figures::Family,
    proto::{
        ExportMetricsServiceRequest, ExportServiceResponse, ExportTraceServiceRequest, InstrumentationScope,
        Metric, Resource, ResourceMetrics, ResourceSpans, ScopeMetrics, ScopeSpans, Span,
    },
};
use crate::Exposition;

/// The name of what makes the records.
const SCOPE: &str = "tollgate";

/// Who sends the records: what is the same for all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    /// Attributes of the process, `service.name` among them.
    pub resource: Vec<proto::KeyValue>,
    /// The gateway's version.
    pub version: String,
    /// By which conventions GenAI attributes are named.
    pub generation: Generation,
}

impl Sender {
    /// The body of a request to `/v1/traces`.
    #[must_use]
    pub fn traces(&self, spans: Vec<Span>) -> Vec<u8> {
        let schema_url = self.generation.schema_url().to_owned();
        let scope_spans =
            vec![ScopeSpans { scope: Some(self.scope()), spans, schema_url: schema_url.clone() }];
        let resource_spans = ResourceSpans { resource: Some(self.resource()), scope_spans, schema_url };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
    }

    /// The body of a request to `/v1/metrics`: every figure of the exposition at `now` (nanoseconds since
    /// 1970), and under GenAI's own names those that have one. `provider_of` tells an upstream's provider.
    #[must_use]
    pub fn metrics(
        &self,
        exposition: &Exposition,
        now: u64,
        provider_of: impl Fn(&str) -> Option<String>,
    ) -> Figures {
        let families = figures::read(&exposition.render());
        let window = (exposition.started(), now);
        let mut metrics: Vec<Metric> = families.iter().map(|family| family.told(window)).collect();
        metrics.extend(genai::metrics(&families, self.generation, window, provider_of));
        let points = families.iter().map(Family::points).sum();
        let schema_url = self.generation.schema_url().to_owned();
        let scope_metrics =
            vec![ScopeMetrics { scope: Some(self.scope()), metrics, schema_url: schema_url.clone() }];
        let resource_metrics = ResourceMetrics { resource: Some(self.resource()), scope_metrics, schema_url };
        let body = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec();
        Figures { body, points }
    }

    fn resource(&self) -> Resource {
        Resource { attributes: self.resource.clone() }
    }

    fn scope(&self) -> InstrumentationScope {
        InstrumentationScope { name: SCOPE.to_owned(), version: self.version.clone() }
    }
}

/// The body of a request, and how many of our own figures are in it.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What is sent.
    pub body: Vec<u8>,
    /// Figures in it.
    pub points: u64,
}

/// How many records of a request its receiver did not take, by the body of a good answer. What cannot be
/// read says that all were taken.
#[must_use]
pub fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_how_much_it_did_not_take() {
        let answer = |rejected| {
            let partial = proto::PartialSuccess { rejected, error_message: "full".into() };
            ExportServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        assert_eq!((rejected(&answer(3)), rejected(&answer(-3))), (3, 0));
        assert_eq!((rejected(b""), rejected(b"{}"), rejected(&[0xff; 64])), (0, 0, 0));
    }
}
