//! The names that OpenTelemetry gives to calls of models. They are not stable: two generations of them are
//! in use, and whoever configures the gateway says which.

use std::collections::BTreeMap;

use super::{
    Attributes,
    figures::{Distribution, Family, Series, Window, histogram},
    proto::{AggregationTemporality, Data, Metric, Number, NumberDataPoint, Sum},
};
use crate::catalogue::{REQUEST_DURATION, REQUEST_TOKENS, TIME_TO_FIRST_TOKEN};

/// Which generation of names is used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Generation {
    /// That of the conventions 1.37 to 1.41, which dashboards know.
    #[default]
    V1_41,
    /// That of the conventions' own repository, of late 2026.
    Latest,
    /// Both, where they differ.
    Both,
}

impl Generation {
    /// True when names of the generation 1.41 are used.
    #[must_use]
    pub const fn has_v1_41(self) -> bool {
        matches!(self, Self::V1_41 | Self::Both)
    }

    /// True when names of the newest generation are used.
    #[must_use]
    pub const fn has_latest(self) -> bool {
        matches!(self, Self::Latest | Self::Both)
    }

    /// What the records say of the conventions that they follow.
    pub(super) const fn schema_url(self) -> &'static str {
        match self {
            Self::V1_41 | Self::Both => "https://opentelemetry.io/schemas/1.41.0",
            Self::Latest => "https://opentelemetry.io/schemas/1.42.0",
        }
    }

    /// Adds the tokens of a call. Cached tokens are a part of the input, and reasoning is one of the output.
    pub fn tokens(self, attributes: &mut Attributes, tokens: &Tokens) {
        attributes.number("gen_ai.usage.input_tokens", tokens.input);
        attributes.number("gen_ai.usage.output_tokens", tokens.output);
        attributes.positive("gen_ai.usage.cache_read.input_tokens", tokens.cache_read);
        if self.has_v1_41() {
            attributes.positive("gen_ai.usage.cache_creation.input_tokens", tokens.cache_write);
        }
        if self.has_latest() {
            attributes.positive("gen_ai.usage.cache_write.input_tokens", tokens.cache_write);
        }
        attributes.positive("gen_ai.usage.reasoning.output_tokens", tokens.reasoning);
    }
}

/// The tokens of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens {
    /// All input.
    pub input: u64,
    /// Of it, what came from a cache.
    pub cache_read: u64,
    /// Of it, what was written to a cache.
    pub cache_write: u64,
    /// All output.
    pub output: u64,
    /// Of it, reasoning.
    pub reasoning: u64,
}

/// What GenAI's conventions call an operation; what they have no word for keeps its own.
#[must_use]
pub fn operation_name(operation: &str) -> &str {
    match operation {
        "chat_completions" | "responses" | "messages" | "converse" | "converse_stream" => "chat",
        "completions" => "text_completion",
        "embeddings" | "embed" | "embed_content" | "batch_embed_contents" => "embeddings",
        "generate_content" | "stream_generate_content" => "generate_content",
        other => other,
    }
}

/// Those of our figures that GenAI's conventions have names for, under these names.
pub(super) fn metrics(
    families: &[Family],
    generation: Generation,
    window: Window,
    provider_of: impl Fn(&str) -> Option<String>,
) -> Vec<Metric> {
    let make = Maker { generation, window, provider_of };
    let family = |name: &str| families.iter().find(|family| family.metric.name == name);
    let times = [
        (REQUEST_DURATION.name, "gen_ai.server.request.duration", "gen_ai.client.inference.duration"),
        (
            TIME_TO_FIRST_TOKEN.name,
            "gen_ai.server.time_to_first_token",
            "gen_ai.client.inference.time_to_first_chunk",
        ),
    ];
    let times = times.into_iter().filter_map(|(ours, older, newer)| Some((family(ours)?, older, newer)));
    let mut told: Vec<Metric> =
        times.flat_map(|(family, older, newer)| make.times(family, older, newer)).collect();
    if let Some(family) = family(REQUEST_TOKENS.name) {
        told.extend(make.tokens(family));
    }
    told.retain(has_points);
    told
}

fn has_points(metric: &Metric) -> bool {
    match &metric.data {
        Some(Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
        Some(Data::Sum(sum)) => !sum.data_points.is_empty(),
        _ => false,
    }
}

struct Maker<F> {
    generation: Generation,
    window: Window,
    provider_of: F,
}

impl<F: Fn(&str) -> Option<String>> Maker<F> {
    /// A time under its name in each generation that is used.
    fn times(&self, family: &Family, older: &str, newer: &str) -> Vec<Metric> {
        let names = [(self.generation.has_v1_41(), older), (self.generation.has_latest(), newer)];
        let used = names.into_iter().filter(|(is_used, _)| *is_used);
        used.map(|(_, name)| self.distributions(name, "s", family, |_| Some(None))).collect()
    }

    fn tokens(&self, family: &Family) -> Vec<Metric> {
        let mut told = Vec::new();
        if self.generation.has_v1_41() {
            let kind = |series: &Series| Some(Some(("gen_ai.token.type", series.label("type").to_owned())));
            told.push(self.distributions("gen_ai.client.token.usage", "{token}", family, kind));
        }
        if self.generation.has_latest() {
            for kind in ["input", "output"] {
                let of_kind = |series: &Series| (series.label("type") == kind).then_some(None);
                let name = format!("gen_ai.client.inference.operation.{kind}_tokens");
                told.push(self.distributions(&name, "{token}", family, of_kind));
                told.push(self.sums(&format!("gen_ai.client.inference.usage.{kind}_tokens"), family, kind));
            }
        }
        told
    }

    /// A metric of the distributions of those series for which `more` gives something: an attribute beside
    /// the usual ones, or none.
    fn distributions(
        &self,
        name: &str,
        unit: &str,
        family: &Family,
        more: impl Fn(&Series) -> Option<Option<(&'static str, String)>>,
    ) -> Metric {
        let point = |series: &Series| {
            let (more, distribution) = (more(series)?, series.distribution()?);
            let mut attributes = self.attributes(series)?;
            if let Some((key, value)) = more {
                attributes.text(key, value);
            }
            Some(distribution.told(attributes, self.window))
        };
        metric(name, unit, histogram(family.series.iter().filter_map(point).collect()))
    }

    /// Tokens of one kind in all.
    fn sums(&self, name: &str, family: &Family, kind: &str) -> Metric {
        let point = |series: &Series| {
            let Distribution { sum, .. } = series.distribution().filter(|_| series.label("type") == kind)?;
            let mut attributes = self.attributes(series)?;
            attributes.text("gen_ai.token.modality", "unknown");
            Some(NumberDataPoint {
                attributes: attributes.into_list(),
                start_time_unix_nano: self.window.0,
                time_unix_nano: self.window.1,
                // Whole numbers were added, and below 2^53 their sum is one.
                value: Some(Number::AsInt(*sum as i64)),
            })
        };
        let data_points = family.series.iter().filter_map(point).collect();
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        metric(name, "{token}", Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true }))
    }

    /// `None` for what reached no provider, who must be named.
    fn attributes(&self, series: &Series) -> Option<Attributes> {
        let provider = (self.provider_of)(series.label("upstream"))?;
        let operation = series.label("operation");
        let named: BTreeMap<&str, &str> = [
            ("gen_ai.operation.name", operation_name(operation)),
            ("gen_ai.provider.name", &provider),
            ("gen_ai.request.model", series.label("model")),
            ("tollgate.operation", operation),
            ("tollgate.region", series.label("region")),
            ("tollgate.upstream", series.label("upstream")),
        ]
        .into();
        let mut attributes = Attributes::default();
        named.into_iter().for_each(|(key, value)| attributes.text(key, value));
        Some(attributes)
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), description: String::new(), unit: unit.to_owned(), data: Some(data) }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use tollgate_domain::{Money, Usage, UsageSource};

    use super::*;
    use crate::{
        Exposition, RequestFacts, RequestLabels, RequestSeries,
        otlp::{figures, proto::Value},
    };

    fn exposition() -> Exposition {
        let exposition = Exposition::new();
        exposition.scope(|| {
            let served = RequestLabels {
                team: "retail",
                project: "search",
                model: "mini",
                upstream: "aoai",
                region: "eastus",
                operation: "responses",
                currency: "USD",
            };
            let usage = Usage { input_uncached: 100, cache_read: 20, output_text: 7, ..Usage::default() };
            let facts = RequestFacts {
                code: 200,
                end: "completed",
                duration: Duration::from_millis(800),
                ttft: Some(Duration::from_millis(100)),
                usage_source: Some(UsageSource::Reported),
                usage: &usage,
                cost: Money::ZERO,
            };
            RequestSeries::new(&served).record(&facts);
            let nobody = Usage::default();
            let refused = RequestFacts { code: 401, ttft: None, usage_source: None, usage: &nobody, ..facts };
            RequestSeries::new(&RequestLabels::default()).record(&refused);
        });
        exposition
    }

    fn told(generation: Generation) -> Vec<Metric> {
        let provider = |upstream: &str| (upstream == "aoai").then(|| "azure.ai.openai".to_owned());
        metrics(&figures::read(&exposition().render()), generation, (1, 2), provider)
    }

    fn names(generation: Generation) -> BTreeSet<String> {
        told(generation).into_iter().map(|metric| metric.name).collect()
    }

    #[test]
    fn the_switch_chooses_the_names() {
        let older = BTreeSet::from(
            [
                "gen_ai.client.token.usage",
                "gen_ai.server.request.duration",
                "gen_ai.server.time_to_first_token",
            ]
            .map(String::from),
        );
        let newer = BTreeSet::from(
            [
                "gen_ai.client.inference.duration",
                "gen_ai.client.inference.time_to_first_chunk",
                "gen_ai.client.inference.operation.input_tokens",
                "gen_ai.client.inference.operation.output_tokens",
                "gen_ai.client.inference.usage.input_tokens",
                "gen_ai.client.inference.usage.output_tokens",
            ]
            .map(String::from),
        );
        assert_eq!(names(Generation::V1_41), older);
        assert_eq!(names(Generation::Latest), newer);
        assert_eq!(names(Generation::Both), &older | &newer);
    }

    #[test]
    fn tokens_are_told_by_kind_of_those_that_reached_a_provider() {
        let told = told(Generation::Both);
        let find = |name: &str| told.iter().find(|metric| metric.name == name).expect("told").data.clone();
        let Some(Data::Histogram(usage)) = find("gen_ai.client.token.usage") else { panic!("no histogram") };
        let text = |attributes: &[crate::otlp::proto::KeyValue], key: &str| {
            let found = attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value;
            if let Some(Value::StringValue(text)) = found { Some(text) } else { None }
        };
        let sums: BTreeSet<(Option<String>, String)> = usage
            .data_points
            .iter()
            .map(|p| (text(&p.attributes, "gen_ai.token.type"), p.sum.expect("a sum").to_string()))
            .collect();
        let wanted = [("input", "120"), ("output", "7")].map(|(kind, sum)| (Some(kind.into()), sum.into()));
        assert_eq!(sums, BTreeSet::from(wanted));
        for point in &usage.data_points {
            let said = |key| text(&point.attributes, key).unwrap_or_default();
            assert_eq!(said("gen_ai.provider.name"), "azure.ai.openai");
            assert_eq!(
                (said("gen_ai.operation.name"), said("gen_ai.request.model")),
                ("chat".into(), "mini".into())
            );
        }
        let Some(Data::Sum(sum)) = find("gen_ai.client.inference.usage.input_tokens") else {
            panic!("no sum")
        };
        assert_eq!(sum.data_points[0].value, Some(Number::AsInt(120)));
    }
}
