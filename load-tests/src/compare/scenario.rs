//! What is run in a comparison.

use anyhow::{Result, bail};

use crate::check::Expected;
use crate::template::chat_body;

/// A closed loop of one kind of request.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Requests in flight.
    pub(super) lanes: usize,
    pub(super) stream: bool,
    /// Words of the provider's answer, one a chunk.
    pub(super) words: u32,
    pub(super) chunk_pause_ms: u64,
    /// The alias that is asked for; only the gateway cares.
    pub(super) model: &'static str,
    /// The scenario with the same answers in which the gateway passes bytes through.
    pub(super) beside: Option<&'static str>,
}

/// Served in the client's own dialect.
pub(crate) const PASSED: &str = "gpt-5-mini";
/// Served by an upstream that speaks Anthropic's.
pub(super) const TRANSLATED: &str = "claude-sonnet-4-5";

/// Every scenario.
const ALL: [Scenario; 4] = [
    Scenario {
        name: "S1",
        title: "plain chat, 1 KiB prompt, 64 connections",
        lanes: 64,
        stream: false,
        words: 60,
        chunk_pause_ms: 0,
        model: PASSED,
        beside: None,
    },
    Scenario {
        name: "S3",
        title: "streams of 100 chunks without pause, 32 connections",
        lanes: 32,
        stream: true,
        words: 100,
        chunk_pause_ms: 0,
        model: PASSED,
        beside: None,
    },
    Scenario {
        name: "S3b",
        title: "streams of 100 chunks, one every 10 ms, 100 connections",
        lanes: 100,
        stream: true,
        words: 100,
        chunk_pause_ms: 10,
        model: PASSED,
        beside: None,
    },
    Scenario {
        name: "T3",
        title: "the streams of S3, which the gateway has from Anthropic and translates",
        lanes: 32,
        stream: true,
        words: 100,
        chunk_pause_ms: 0,
        model: TRANSLATED,
        beside: Some("S3"),
    },
];

impl Scenario {
    pub(super) fn body(&self) -> String {
        chat_body(self.model, 1024)
    }

    pub(super) fn expected(&self) -> Expected {
        Expected { stream: self.stream, words: Some(self.words) }
    }

    /// What CPU is divided by.
    pub(super) fn unit(&self) -> &'static str {
        if self.stream { "chunk" } else { "request" }
    }
}

/// The scenarios of these names; all when none is named.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    names
        .iter()
        .map(|name| match ALL.iter().find(|scenario| scenario.name.eq_ignore_ascii_case(name)) {
            Some(scenario) => Ok(scenario),
            None => bail!("no scenario {name}; there are {}", ALL.map(|scenario| scenario.name).join(", ")),
        })
        .collect()
}
