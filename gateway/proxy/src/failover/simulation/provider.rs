//! Four providers in three zones, and what is wrong with them at which time. They answer all gateways.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tollgate_dialect::Fault;

use super::{
    super::failure::{Class, Failure, Passed, wait_hint},
    chance::Chance,
};
use crate::upstream::ConnectError;

/// Name, region, zone.
pub(super) const PROVIDERS: [(&str, &str, &str); 4] =
    [("alpha", "eu-1", "eu"), ("beta", "eu-2", "eu"), ("gamma", "us-1", "us"), ("delta", "us-1", "us")];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    Dead,
    BlackHoled,
    /// Refuses in a millisecond, with this for a hint.
    Throttles(&'static str),
    Says(u16, Fault),
    Unavailable(&'static str),
    Overloaded,
    /// Takes so many requests at once and calls itself overloaded beyond.
    Small(u32),
    SlowTwentyfold,
    Resets,
    Unprocessed,
    Silent,
    NoContent,
    Torn,
    Gibberish,
    BreaksStreams,
    SaysInStreams(Fault),
    /// So many of a hundred fail.
    HalfBroken(u64),
    /// Five seconds up, five seconds down.
    Flaps,
    /// Says with each answer that nothing is left of its limit.
    UsedUp,
}

const TROUBLES: [Trouble; 31] = {
    use Trouble as T;
    [
        T::Dead,
        T::Dead,
        T::BlackHoled,
        T::Throttles(""),
        T::Throttles("0.15"),
        T::Throttles("3"),
        T::Throttles("20"),
        T::Throttles("999"),
        T::Throttles("-1"),
        T::Throttles("soon"),
        T::Throttles("7200"),
        T::Says(500, Fault::Server),
        T::Says(504, Fault::Server),
        T::Says(501, Fault::ServerFinal),
        T::Says(408, Fault::RequestTimeout),
        T::Says(401, Fault::Credential),
        T::Says(404, Fault::ModelMissing),
        T::Says(402, Fault::AccountExhausted),
        T::Unavailable("2"),
        T::Overloaded,
        T::Small(2),
        T::SlowTwentyfold,
        T::Resets,
        T::Unprocessed,
        T::Silent,
        T::NoContent,
        T::Torn,
        T::Gibberish,
        T::BreaksStreams,
        T::SaysInStreams(Fault::Overloaded),
        T::UsedUp,
    ]
};

pub(super) struct Provider {
    latency: u64,
    /// From and to in microseconds; the first that is on counts.
    troubles: Vec<(u64, u64, Trouble)>,
}

/// How an attempt will go.
pub(super) struct Reply {
    pub(super) after: Duration,
    pub(super) act: Act,
    /// What its head says about its limit.
    pub(super) used_up: Option<Duration>,
}

pub(super) enum Act {
    Fails(Failure),
    Plain,
    Stream(Duration, Ending),
}

#[derive(Clone, Copy)]
pub(super) enum Ending {
    Whole,
    Breaks,
    Says(Fault),
}

impl Provider {
    /// One whose troubles all end before so many microseconds.
    pub(super) fn new(chance: &Chance, calm: u64) -> Self {
        let mut troubles = Vec::new();
        for _ in 0..chance.between(0, 5) {
            let from = chance.between(0, calm);
            let to = from + chance.between(200_000, 45_000_000);
            let trouble = match chance.between(0, 10) {
                0 => Trouble::Flaps,
                1 => Trouble::HalfBroken(chance.between(15, 70)),
                _ => chance.pick(&TROUBLES),
            };
            troubles.push((from, to.min(calm), trouble));
        }
        Self { latency: chance.between(5, 800), troubles }
    }

    fn trouble(&self, at: u64) -> Option<Trouble> {
        let on = self.troubles.iter().find(|(from, to, _)| (*from..*to).contains(&at));
        on.map(|(_, _, trouble)| *trouble).filter(|trouble| match trouble {
            Trouble::Flaps => (at / 5_000_000) % 2 == 1,
            _ => true,
        })
    }

    /// What a look that costs nothing finds.
    pub(super) fn is_reachable(&self, at: u64) -> bool {
        use Trouble::{BlackHoled, Dead, Flaps};
        !matches!(self.trouble(at), Some(Dead | BlackHoled | Flaps))
    }

    pub(super) fn reply(&self, at: u64, in_flight: u32, is_stream: bool, chance: &Chance) -> Reply {
        use Trouble as T;
        let usual = chance.millis(self.latency, self.latency * 2 + 5);
        let soon = Duration::from_micros(chance.between(300, 3_000));
        let fail = |class, after| Reply { after, act: Act::Fails(Failure::of(class)), used_up: None };
        match self.trouble(at) {
            Some(T::Dead | T::Flaps) => fail(Class::Connect(ConnectError::Refused), soon),
            Some(T::BlackHoled) => fail(Class::Connect(ConnectError::TimedOut), Duration::from_secs(1)),
            Some(T::Throttles(hint)) => said(429, Fault::Throttled, hint, soon),
            Some(T::Unavailable(hint)) => said(503, Fault::Overloaded, hint, soon),
            Some(T::Overloaded) => said(529, Fault::Overloaded, "", soon),
            Some(T::Small(most)) if in_flight > most => said(529, Fault::Overloaded, "", soon),
            Some(T::Says(status, fault)) => said(status, fault, "", usual),
            Some(T::HalfBroken(percent)) if chance.percent(percent) => said(500, Fault::Server, "", usual),
            Some(T::Resets) => fail(Class::Reset, usual),
            Some(T::Unprocessed) => fail(Class::Unprocessed, soon),
            Some(T::Silent) => fail(Class::HeadTimeout, Duration::from_secs(20)),
            Some(T::NoContent) => fail(Class::NoContent, Duration::from_secs(15)),
            Some(T::Torn) => fail(Class::CutShort, usual),
            Some(T::Gibberish) => fail(Class::Protocol, usual),
            Some(T::SlowTwentyfold) => answer(usual * 20, is_stream, Ending::Whole, chance),
            Some(T::BreaksStreams) => answer(usual, is_stream, Ending::Breaks, chance),
            Some(T::SaysInStreams(fault)) => answer(usual, is_stream, Ending::Says(fault), chance),
            Some(T::UsedUp) => Reply {
                used_up: Some(chance.millis(100, 6_000)),
                ..answer(usual, is_stream, Ending::Whole, chance)
            },
            Some(T::Small(_) | T::HalfBroken(_)) | None => answer(usual, is_stream, Ending::Whole, chance),
        }
    }
}

fn answer(after: Duration, is_stream: bool, ending: Ending, chance: &Chance) -> Reply {
    // Most are short; a few outlive many openings and trials.
    let longest = if chance.percent(5) { 30_000 } else { 2_000 };
    let act = if is_stream { Act::Stream(chance.millis(20, longest), ending) } else { Act::Plain };
    Reply { after, act, used_up: None }
}

/// An answer that says what is wrong; its hint is read from a header as those of real answers are.
pub(super) fn said(status: u16, fault: Fault, hint: &'static str, after: Duration) -> Reply {
    let mut headers = HeaderMap::new();
    if !hint.is_empty() {
        headers.insert("retry-after", HeaderValue::from_static(hint));
    }
    let hint = wait_hint(&headers, 0);
    let answer = Some(Box::new(Passed { status, headers, body: Bytes::new() }));
    let failure = Failure { class: Class::Said(fault), status: Some(status), hint, answer };
    Reply { after, act: Act::Fails(failure), used_up: None }
}
