//! A provider refuses once and says how long to wait; when does it get its next call?

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Ground;
use super::interrupt;
use super::load::{Load, Plan};
use super::stage::{Layout, Provider, Setting, Stage, Upstream};
use super::table::{Goal, Row};
use crate::simulator;

/// A call comes every 5 ms, so that the end of a wait is seen.
const RATE: u64 = 200;
/// What is waited without a usable hint.
const UNHINTED: Duration = Duration::from_secs(1);
/// A hint may be stretched by a tenth, so that clients do not come back all at once; none here is
/// longer than a second and a bit, which keeps that within this.
const TOLERANCE: Duration = Duration::from_millis(150);
/// The longest that a hint can keep a target out, and its stretch.
const CAP: Duration = Duration::from_secs(330);
/// The run ends when all hints are through; on an idle machine that is a fifth of this.
const MOST_SECONDS: u64 = 90;
const PATIENCE: Duration = Duration::from_secs(15);

/// Headers, and how long each asks to wait.
const HINTS: [(&str, &str, Duration); 4] = [
    ("retry-after-ms", "300", Duration::from_millis(300)),
    ("x-ms-retry-after-ms", "500", Duration::from_millis(500)),
    ("retry-after", "0.7", Duration::from_millis(700)),
    ("retry-after", "1", Duration::from_secs(1)),
];
/// What is no hint, or none to follow.
const GARBAGE: [(&str, &str); 5] = [
    ("retry-after", "soon"),
    ("retry-after", "-5"),
    ("retry-after-ms", "NaN"),
    ("retry-after", "99999"),
    ("retry-after", "Thu, 99 Foo 2026 00:00:00 GMT"),
];

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let (limited, other) = (Provider::start(5)?, Provider::start(5)?);
    let upstreams = vec![Upstream::new("limited", &limited), Upstream::new("other", &other)];
    let stage = Stage::set(&ground.gateway, &Setting::new(Layout::Levels, upstreams))?;
    let load = Load::start(Plan::usual(stage.addr(), RATE, MOST_SECONDS)?)?;
    interrupt::pause(Duration::from_secs(1))?;

    let (mut hints, mut garbage) = (Worst::default(), Worst::default());
    for (name, value, asked) in HINTS {
        hints.take(waited(&limited, name, value)?, asked, (name, value));
    }
    let (date, asked) = date_to_come()?;
    hints.take(waited(&limited, "retry-after", &date)?, asked, ("retry-after", &date));
    for (name, value) in GARBAGE {
        garbage.take(waited(&limited, name, value)?, UNHINTED, (name, value));
    }
    let capped = longest_hold(&stage, &limited)?;
    let calls = load.stop()?;
    Ok(Row {
        requests: calls.len(),
        errors: calls.errors(),
        attempts_per_call: calls.attempts_per_call(),
        failures: calls.failures(),
        goals: vec![
            hints.goal("hints are kept"),
            garbage.goal("garbage counts as none"),
            Goal::within("an hour's hint holds", Some(capped), CAP),
            Goal::at_most("errors before content", calls.errors() as f64, 0.0, ""),
        ],
        ..Row::default()
    })
}

/// The hint that was kept worst.
#[derive(Default)]
struct Worst {
    off: Duration,
    which: String,
}

impl Worst {
    fn take(&mut self, waited: Duration, asked: Duration, (name, value): (&str, &str)) {
        let off = waited.abs_diff(asked);
        if off >= self.off {
            self.off = off;
            self.which = format!("{name}: {value}, {waited:.0?} for {asked:.0?}");
        }
    }

    fn goal(&self, what: &str) -> Goal {
        Goal::within(&format!("{what} ({}), off", self.which), Some(self.off), TOLERANCE)
    }
}

/// Has the provider refuse one call with this header.
fn refuse(provider: &Provider, name: &str, value: &str) -> Result<()> {
    let body =
        json!({ "error": { "message": "slow down", "type": "requests", "code": "rate_limit_exceeded" } });
    let exact = json!({
        "status": 429,
        "headers": [["content-type", "application/json"], [name, value]],
        "pieces": [{ "data": body.to_string() }],
    });
    simulator::steer(provider.server.addr, "script", &json!({ "reply": { "exact": exact } }))
}

/// From a refusal with this header to the next call there.
fn waited(provider: &Provider, name: &str, value: &str) -> Result<Duration> {
    let refused_before = refused(provider)?;
    refuse(provider, name, value)?;
    let refused_at = when(|| Ok(refused(provider)? > refused_before))?;
    // Calls that were on their way when the refusal was written.
    interrupt::pause(Duration::from_millis(150))?;
    let calls = provider.totals()?.calls;
    Ok(when(|| Ok(provider.totals()?.calls > calls))? - refused_at)
}

fn refused(provider: &Provider) -> Result<u64> {
    Ok(provider.totals()?.by_status.get(&429).copied().unwrap_or_default())
}

/// When it became so.
fn when(is_so: impl Fn() -> Result<bool>) -> Result<Instant> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if is_so()? {
            return Ok(Instant::now());
        }
        interrupt::pause(Duration::from_millis(2))?;
    }
    bail!("the provider did not get a call within {PATIENCE:?}")
}

/// A date as HTTP writes it, a second and a little away. It has whole seconds, so this waits for the
/// moment at which it is that far.
fn date_to_come() -> Result<(String, Duration)> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock after 1970")?;
    let to_second = Duration::from_secs(since.as_secs() + 1) - since;
    interrupt::pause(to_second.saturating_sub(Duration::from_millis(50)))?;
    let date = UNIX_EPOCH + Duration::from_secs(since.as_secs() + 2);
    let asked = date.duration_since(SystemTime::now()).unwrap_or_default();
    Ok((httpdate::fmt_http_date(date), asked))
}

/// How long a hint of fifty minutes keeps the provider out. Nobody waits for its end.
fn longest_hold(stage: &Stage, limited: &Provider) -> Result<Duration> {
    let refused_before = refused(limited)?;
    refuse(limited, "retry-after", "3000")?;
    when(|| Ok(refused(limited)? > refused_before))?;
    // The gateway may read the refusal later than the provider has written it.
    when(|| Ok(stage.target("limited")?["hold_until"].is_string()))?;
    let target = stage.target("limited")?;
    let until: jiff::Timestamp =
        target["hold_until"].as_str().context("it is held")?.parse().context("hold_until")?;
    let left = until.duration_since(jiff::Timestamp::now());
    stage.reset("limited")?;
    Ok(Duration::try_from(left).unwrap_or_default())
}
