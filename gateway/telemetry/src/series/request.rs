//! What one finished request adds.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label};
use tollgate_domain::{Money, Usage, UsageSource};

use super::{approximate, counters::Counters, labels};
use crate::catalogue::{
    COST, OVERHEAD, REQUEST_DURATION, REQUEST_TOKENS, REQUESTS, TIME_TO_FIRST_TOKEN, TOKENS, USAGE_RECORDS,
};

/// Who asked for what, and who answered. Configured names only, never a text that a client chose:
/// a model is an alias that the configuration knows, or empty.
///
/// `upstream` and `region` are empty for a request that reached none; all are empty (the default)
/// for one with an unknown key.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLabels<'a> {
    /// The team that pays.
    pub team: &'a str,
    /// The project of that team.
    pub project: &'a str,
    /// The alias that was asked for.
    pub model: &'a str,
    /// The upstream that served, or that was tried last.
    pub upstream: &'a str,
    /// The region of that upstream.
    pub region: &'a str,
    /// The operation, such as `chat_completions`.
    pub operation: &'a str,
    /// The currency of costs, such as `USD`.
    pub currency: &'a str,
}

/// What is known when a request has ended.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The HTTP status that the client saw.
    pub code: u16,
    /// How it ended, by the names of the ledger row; `refused` when the gateway said no.
    pub end: &'static str,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// From the first byte of the request to the first content of the answer.
    pub ttft: Option<Duration>,
    /// Where the counts of what was consumed come from; `None` for a request that reached nobody.
    pub usage_source: Option<UsageSource>,
    /// What was consumed.
    pub usage: &'a Usage,
    /// What it cost; nothing when unpriced.
    pub cost: Money,
}

/// The metrics of requests with equal labels.
pub struct RequestSeries {
    requests: Counters<(u16, &'static str)>,
    duration: Histogram,
    ttft: Histogram,
    /// Of input and of output.
    tokens: [Histogram; 2],
    sources: [(UsageSource, Counter); 3],
    consumption: Option<Consumption>,
}

const SOURCES: [UsageSource; 3] = [UsageSource::Reported, UsageSource::Counted, UsageSource::Estimated];

/// What the gateway adds to each request before an upstream has it.
pub struct OverheadSeries(Histogram);

impl OverheadSeries {
    /// Resolves the series.
    #[must_use]
    pub fn new() -> Self {
        Self(OVERHEAD.histogram(Vec::new()))
    }

    /// A request that was wholly there went out after so long.
    pub fn sent_after(&self, took: Duration) {
        self.0.record(took);
    }
}

impl Default for OverheadSeries {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestSeries {
    /// Resolves the series, at zero where they are new. Not for the request path: keep it.
    #[must_use]
    pub fn new(of: &RequestLabels<'_>) -> Self {
        let requests = Counters::new(
            &REQUESTS,
            labels([
                ("team", of.team),
                ("project", of.project),
                ("model", of.model),
                ("upstream", of.upstream),
                ("region", of.region),
                ("operation", of.operation),
            ]),
        );
        let served = !of.upstream.is_empty();
        if served {
            let completed = (200, "completed");
            let _zero = requests.resolve(completed, || outcome_labels(completed));
        }
        let place = labels([
            ("model", of.model),
            ("upstream", of.upstream),
            ("region", of.region),
            ("operation", of.operation),
        ]);
        Self {
            requests,
            tokens: ["input", "output"].map(|kind| match served {
                true => REQUEST_TOKENS.histogram([place.clone(), labels([("type", kind)])].concat()),
                false => Histogram::noop(),
            }),
            ttft: if served { TIME_TO_FIRST_TOKEN.histogram(place.clone()) } else { Histogram::noop() },
            duration: REQUEST_DURATION.histogram(place),
            sources: SOURCES
                .map(|source| (source, USAGE_RECORDS.counter(labels([("source", source.as_str())])))),
            // Who reached nobody has consumed nothing: series that stay at zero tell nothing.
            consumption: (served && !of.project.is_empty()).then(|| Consumption::new(of)),
        }
    }

    /// Adds one request. Atomics only, but for the first request of a new (code, end).
    pub fn record(&self, facts: &RequestFacts<'_>) {
        let outcome = (facts.code, facts.end);
        self.requests.count(outcome, || outcome_labels(outcome));
        self.duration.record(facts.duration);
        if let Some(ttft) = facts.ttft {
            self.ttft.record(ttft);
        }
        for (histogram, tokens) in
            self.tokens.iter().zip([facts.usage.input_tokens(), facts.usage.output_tokens()])
        {
            if tokens > 0 {
                histogram.record(tokens as f64);
            }
        }
        for (source, counter) in &self.sources {
            if facts.usage_source == Some(*source) {
                counter.increment(1);
            }
        }
        if let Some(consumption) = &self.consumption {
            consumption.add(facts.usage, facts.cost);
        }
    }
}

fn outcome_labels((code, end): (u16, &'static str)) -> Vec<Label> {
    vec![Label::new("code", code.to_string()), Label::from_static_parts("end", end)]
}

/// Tokens and money of one project and model.
struct Consumption {
    input: Counter,
    cached_input: Counter,
    cache_write: Counter,
    output: Counter,
    reasoning: Counter,
    cost: Gauge,
}

impl Consumption {
    fn new(of: &RequestLabels<'_>) -> Self {
        let who = [("team", of.team), ("project", of.project), ("model", of.model)];
        let tokens = |kind| TOKENS.counter([labels(who), labels([("type", kind)])].concat());
        let cost = COST.gauge([labels(who), labels([("currency", of.currency)])].concat());
        Self {
            input: tokens("input"),
            cached_input: tokens("cached_input"),
            cache_write: tokens("cache_write"),
            output: tokens("output"),
            reasoning: tokens("reasoning"),
            cost,
        }
    }

    fn add(&self, usage: &Usage, cost: Money) {
        let amounts = [
            (&self.input, usage.input_tokens()),
            (&self.cached_input, usage.cache_read),
            (&self.cache_write, usage.cache_write_tokens()),
            (&self.output, usage.output_tokens()),
            (&self.reasoning, usage.output_reasoning),
        ];
        for (counter, amount) in amounts {
            if amount > 0 {
                counter.increment(amount);
            }
        }
        if cost > Money::ZERO {
            self.cost.increment(approximate(cost));
        }
    }
}
