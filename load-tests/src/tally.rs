//! What came of many requests.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::Held;
use crate::connection::Answer;
use crate::histogram::Histogram;

/// Why a request did not get a whole and right answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Failure {
    /// No connection came about.
    Connect,
    /// The connection broke before the first byte of the answer.
    NoAnswer,
    /// The connection broke within the answer.
    Truncated,
    /// What came was no HTTP.
    Protocol,
    /// The answer was not over in time.
    Timeout,
    /// Another status than 200.
    Status(u16),
    /// A stream with an error event.
    ErrorEvent,
    /// A stream that HTTP ended properly, without its dialect's end mark.
    NoEndMark,
    /// A whole answer with other words than it should have.
    WrongContent,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::NoAnswer => f.write_str("no_answer"),
            Self::Truncated => f.write_str("truncated"),
            Self::Protocol => f.write_str("protocol"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status_{status}"),
            Self::ErrorEvent => f.write_str("error_event"),
            Self::NoEndMark => f.write_str("no_end_mark"),
            Self::WrongContent => f.write_str("wrong_content"),
        }
    }
}

/// The times of one request, both from its intended start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// To the first byte of the answer.
    pub(crate) first: Duration,
    /// To the last.
    pub(crate) last: Duration,
}

/// Sums over requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) good: u64,
    pub(crate) events: u64,
    bytes: u64,
    failures: BTreeMap<Failure, u64>,
    /// Kept connections that were found closed, and replaced before the request counted as sent.
    pub(crate) reconnects: u64,
    first: Histogram,
    last: Histogram,
}

impl Tally {
    pub(crate) fn take(&mut self, answer: &Answer) {
        self.reconnects += answer.reconnects;
        match answer.done {
            Ok(Held { events, bytes }) => {
                self.good += 1;
                self.events += events;
                self.bytes += bytes;
                self.first.record(answer.times.first);
                self.last.record(answer.times.last);
            }
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.good += other.good;
        self.events += other.events;
        self.bytes += other.bytes;
        self.reconnects += other.reconnects;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        self.first.merge(&other.first);
        self.last.merge(&other.last);
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Time to the last byte in µs; see [`Histogram::quantile`].
    pub(crate) fn quantile(&self, permille: u64) -> u64 {
        self.last.quantile(permille)
    }

    pub(crate) fn to_json(&self) -> Value {
        let failures: BTreeMap<String, u64> =
            self.failures.iter().map(|(failure, count)| (failure.to_string(), *count)).collect();
        json!({
            "good": self.good,
            "failed": self.failed(),
            "failures": failures,
            "events": self.events,
            "body_bytes": self.bytes,
            "reconnects": self.reconnects,
            "first_byte_us": quantiles(&self.first),
            "last_byte_us": quantiles(&self.last),
        })
    }
}

fn quantiles(histogram: &Histogram) -> Value {
    json!({
        "p50": histogram.quantile(500),
        "p90": histogram.quantile(900),
        "p99": histogram.quantile(990),
        "p999": histogram.quantile(999),
        "max": histogram.max(),
    })
}
