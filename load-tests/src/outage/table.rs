//! What is told: a line a scenario, with its goals and whether they were met.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

/// Something that a scenario must show.
#[derive(Debug)]
pub(super) struct Goal {
    what: String,
    measured: String,
    is_met: bool,
}

impl Goal {
    /// A count or a share that must not be exceeded; `unit` follows both figures.
    pub(super) fn at_most(what: &str, measured: f64, most: f64, unit: &str) -> Self {
        let what = format!("{what} <= {}", figure(most, unit));
        Self { what, measured: figure(measured, unit), is_met: measured <= most }
    }

    /// The same from below.
    pub(super) fn at_least(what: &str, measured: f64, least: f64, unit: &str) -> Self {
        let what = format!("{what} >= {}", figure(least, unit));
        Self { what, measured: figure(measured, unit), is_met: measured >= least }
    }

    /// A time that must not be exceeded; one that never came has missed it.
    pub(super) fn within(what: &str, measured: Option<Duration>, most: Duration) -> Self {
        match measured {
            Some(measured) => Self::at_most(what, millis(measured), millis(most), " ms"),
            None => Self {
                what: format!("{what} <= {}", figure(millis(most), " ms")),
                measured: "never".to_owned(),
                is_met: false,
            },
        }
    }
}

/// A scenario's line. What makes no sense for it is absent.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) scenario: &'static str,
    pub(super) requests: usize,
    /// Client errors before first content.
    pub(super) errors: usize,
    /// p99 of the time to first content while the fault was being found, less that before it.
    pub(super) added_p99: Option<Duration>,
    pub(super) recovery: Option<Duration>,
    /// Percent of upstream calls that went to the sick target.
    pub(super) sick_share: Option<f64>,
    pub(super) swings: Option<usize>,
    pub(super) attempts_per_call: Option<f64>,
    /// What failed, and how often.
    pub(super) failures: String,
    pub(super) goals: Vec<Goal>,
    /// Why it was not run.
    pub(super) skipped: Option<String>,
}

impl Row {
    pub(super) fn is_met(&self) -> bool {
        self.skipped.is_none() && self.goals.iter().all(|goal| goal.is_met)
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        write!(
            out,
            "{:<22} {:>8} {:>7} {:>9} {:>9} {:>7} {:>6} {:>8}",
            self.scenario,
            self.requests,
            self.errors,
            text(self.added_p99.map(|added| format!("{:+.0} ms", millis(added)))),
            text(self.recovery.map(|took| format!("{:.0} ms", millis(took)))),
            text(self.sick_share.map(|share| format!("{share:.1} %"))),
            text(self.swings.map(|swings| swings.to_string())),
            text(self.attempts_per_call.map(|attempts| format!("{attempts:.3}"))),
        )?;
        if let Some(why) = &self.skipped {
            writeln!(out, "  NOT RUN  {why}")?;
        }
        for (number, goal) in self.goals.iter().enumerate() {
            let indent = if number == 0 { 2 } else { 86 };
            let verdict = if goal.is_met { "MET" } else { "MISSED" };
            writeln!(out, "{:indent$}{verdict:<7}  {}: {}", "", goal.what, goal.measured)?;
        }
        if self.goals.is_empty() && self.skipped.is_none() {
            writeln!(out)?;
        }
        if !self.failures.is_empty() {
            writeln!(out, "{:22} failures: {}", "", self.failures)?;
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> Value {
        let goals: Vec<_> = self
            .goals
            .iter()
            .map(|goal| json!({ "goal": goal.what, "measured": goal.measured, "met": goal.is_met }))
            .collect();
        json!({
            "scenario": self.scenario,
            "requests": self.requests,
            "errors_before_content": self.errors,
            "added_p99_ms": self.added_p99.map(millis),
            "recovery_ms": self.recovery.map(millis),
            "sick_share_percent": self.sick_share,
            "swings": self.swings,
            "attempts_per_call": self.attempts_per_call,
            "failures": self.failures,
            "skipped": self.skipped,
            "goals": goals,
        })
    }
}

/// What else the machine does, and the names of the columns.
pub(super) fn print_head(out: &mut impl Write) -> io::Result<()> {
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    writeln!(
        out,
        "{cores} cores, of which {load} were asked for before; more than there are make times worthless"
    )?;
    writeln!(
        out,
        "{:<22} {:>8} {:>7} {:>9} {:>9} {:>7} {:>6} {:>8}  goals",
        "scenario", "requests", "errors", "added p99", "recovery", "to sick", "swings", "attempts"
    )
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A figure with two digits behind the point, or none where it is whole.
fn figure(value: f64, unit: &str) -> String {
    if value.fract() == 0.0 { format!("{value:.0}{unit}") } else { format!("{value:.2}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_never_came_about_is_missed() {
        let second = Duration::from_secs(1);
        let cases = [
            (Goal::within("p99", Some(second), second), "p99 <= 1000 ms", "1000 ms", true),
            (Goal::within("recovery", None, second), "recovery <= 1000 ms", "never", false),
            (Goal::at_most("share", 5.25, 5.0, " %"), "share <= 5 %", "5.25 %", false),
            (Goal::at_least("used", 97.0, 97.0, " %"), "used >= 97 %", "97 %", true),
        ];
        for (goal, what, measured, is_met) in cases {
            assert_eq!((goal.what.as_str(), goal.measured.as_str(), goal.is_met), (what, measured, is_met));
        }
    }

    #[test]
    fn a_scenario_that_was_not_run_has_met_nothing() {
        assert!(!Row { skipped: Some("no root".to_owned()), ..Row::default() }.is_met());
        assert!(Row::default().is_met());
    }
}
