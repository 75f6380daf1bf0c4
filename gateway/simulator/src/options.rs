//! How a simulator is set up, and how it answers when no script says otherwise.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Incoming, Provisioned, Script, Usage, millis};

/// The closure form of steering: sees a call, may give the script that it shall follow.
pub type Decide = Arc<dyn Fn(&Incoming) -> Option<Script> + Send + Sync>;

/// What the provider charges for a call that took this usage, in pico-units of its currency.
pub type Tariff = Arc<dyn Fn(&Incoming, &Usage) -> i128 + Send + Sync>;

/// How a simulator is set up. `Options::default()` answers at once on a free port of 127.0.0.1.
#[derive(Clone)]
pub struct Options {
    /// Where it listens. Port 0 takes any free one; a fixed port lets a stopped simulator come back.
    pub listen: SocketAddr,
    /// Its name, as it shows in the ids it gives out and in `x-ms-region`.
    pub name: String,
    /// What it does with a call that nothing else decides.
    pub behaviour: Behaviour,
    /// Asked after scripts and model suffixes, before `behaviour`.
    pub decide: Option<Decide>,
    /// Its own price list, for the sum that the book keeps; without one the sum is nothing.
    pub tariff: Option<Tariff>,
    /// The only credential it accepts, in whichever header; everything is accepted without one.
    pub credential: Option<String>,
    /// How much of each call the book keeps.
    pub keep: Keep,
    /// Whether `/_sim/…` is answered.
    pub control: bool,
    /// Threads with a runtime and a listening socket each. [`crate::Simulator::start`] ignores it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: "sim".to_owned(),
            behaviour: Behaviour::default(),
            decide: None,
            tariff: None,
            credential: None,
            keep: Keep::Bodies,
            control: false,
            threads: 1,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("name", &self.name)
            .field("behaviour", &self.behaviour)
            .field("decide", &self.decide.as_ref().map(|_| "closure"))
            .field("keep", &self.keep)
            .field("control", &self.control)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// How much of each call the book keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Keep {
    /// Sums only: for load tests, where millions of calls pass.
    Totals,
    /// Every call without its body.
    Calls,
    /// Every call with its body.
    #[default]
    Bodies,
}

/// The realistic answer's measures. Every count is per choice.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Wait before the head of the answer.
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,
    /// Words of the answer: one word is one content chunk of a stream and one output token.
    pub chunks: u32,
    /// Wait before each content chunk of a stream.
    #[serde(rename = "chunk_pause_ms", with = "millis")]
    pub chunk_pause: Duration,
    /// Input tokens claimed; without it a quarter of the text's bytes.
    pub input_tokens: Option<u64>,
    /// Input tokens claimed as read from the prompt cache, at most all of them.
    pub cached_tokens: u64,
    /// Input tokens claimed as written to the prompt cache, at most what is not read from it.
    pub cache_write_tokens: u64,
    /// Hidden reasoning tokens claimed on top of the words.
    pub reasoning_tokens: u64,
    /// Of a thousand calls, how many get 503; they are spread evenly.
    pub error_permille: u32,
    /// Serve only what fits this capacity, and refuse the rest with 429 and `retry-after-ms`.
    pub provisioned: Option<Provisioned>,
    /// The model named in the answer; the asked one when absent.
    pub served_model: Option<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            chunks: 20,
            chunk_pause: Duration::ZERO,
            input_tokens: None,
            cached_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            error_permille: 0,
            provisioned: None,
            served_model: None,
        }
    }
}

impl Behaviour {
    /// Whether the call of this order number is one of the `error_permille`.
    pub(crate) fn fails(&self, number: u64) -> bool {
        let share = u64::from(self.error_permille.min(1000));
        number * share / 1000 != number.saturating_sub(1) * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_spread_evenly_and_counted_exactly() {
        for (permille, want) in [(0, 0), (1, 1), (250, 250), (1000, 1000)] {
            let behaviour = Behaviour { error_permille: permille, ..Behaviour::default() };
            let failed = (1..=1000).filter(|number| behaviour.fails(*number)).count();
            assert_eq!(failed, want, "{permille} permille");
        }
    }
}
