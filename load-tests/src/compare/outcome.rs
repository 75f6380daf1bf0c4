//! Rounds, medians, and the table.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::scenario::Scenario;
use crate::process::Cost;
use crate::report::{per_second, per_unit};
use crate::tally::Tally;

/// The target that all others are divided by.
const YARDSTICK: &str = "nginx";
/// The target that translates.
const GATEWAY: &str = "tollgate";

/// One run of one scenario against one target.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// CPU µs of the target's process tree per request or chunk.
    cpu_us: f64,
    requests_per_second: f64,
    p50_us: u64,
    p99_us: u64,
    resident_bytes: u64,
    failed: u64,
    told: Value,
}

impl Round {
    pub(super) fn new(scenario: &Scenario, tally: &Tally, elapsed: Duration, cost: Cost) -> Self {
        // A content chunk is what streams are made of; the events around them come on top for all alike.
        let units = if scenario.stream { tally.good * u64::from(scenario.words) } else { tally.good };
        Self {
            cpu_us: per_unit(cost.cpu, units).unwrap_or(f64::NAN),
            requests_per_second: per_second(tally.good, elapsed),
            p50_us: tally.quantile(500),
            p99_us: tally.quantile(990),
            resident_bytes: cost.resident_bytes,
            failed: tally.failed(),
            told: tally.to_json(),
        }
    }

    fn to_json(&self) -> Value {
        json!({ "cpu_us": self.cpu_us, "requests_per_second": self.requests_per_second, "run": self.told })
    }
}

/// All rounds.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    scenario: &'static str,
    title: &'static str,
    unit: &'static str,
    /// The scenario whose figure of the gateway this one's is told beside.
    beside: Option<&'static str>,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    name: &'static str,
    rounds: Vec<Round>,
}

impl Outcome {
    pub(super) fn add(&mut self, scenario: &Scenario, target: &'static str, round: Round) {
        let place = self.tables.iter().position(|table| table.scenario == scenario.name);
        let place = place.unwrap_or_else(|| {
            self.tables.push(Table {
                scenario: scenario.name,
                title: scenario.title,
                unit: scenario.unit(),
                beside: scenario.beside,
                targets: Vec::new(),
            });
            self.tables.len() - 1
        });
        let targets = &mut self.tables[place].targets;
        match targets.iter_mut().find(|known| known.name == target) {
            Some(known) => known.rounds.push(round),
            None => targets.push(Target { name: target, rounds: vec![round] }),
        }
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for table in &self.tables {
            writeln!(out, "\n{}: {}", table.scenario, table.title)?;
            let unit = format!("CPU us/{}", table.unit);
            writeln!(
                out,
                "{:<12} {unit:>14} {:>8} {:>9} {:>9} {:>9} {:>8} {:>7}",
                "target", "x nginx", "rps", "p50 ms", "p99 ms", "RSS MiB", "failed"
            )?;
            for target in &table.targets {
                let ratio = table.ratio(target).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
                writeln!(
                    out,
                    "{:<12} {:>14.2} {ratio:>8} {:>9.0} {:>9.2} {:>9.2} {:>8.1} {:>7}",
                    target.name,
                    target.median(|round| round.cpu_us),
                    target.median(|round| round.requests_per_second),
                    target.median(|round| round.p50_us as f64 / 1000.0),
                    target.median(|round| round.p99_us as f64 / 1000.0),
                    target.median(|round| round.resident_bytes as f64 / 1_048_576.0),
                    target.failed(),
                )?;
            }
            if let Some((beside, ratio)) = self.beside(table) {
                writeln!(out, "{GATEWAY} {} over {beside}: {ratio:.2}", table.scenario)?;
            }
        }
        Ok(())
    }

    /// The gateway's cost in this table over that in the one it is told beside, if that was run too.
    fn beside(&self, table: &Table) -> Option<(&'static str, f64)> {
        let beside = self.tables.iter().find(|other| Some(other.scenario) == table.beside)?;
        Some((beside.scenario, ratio(table.target(GATEWAY)?, beside.target(GATEWAY)?)))
    }

    pub(super) fn to_json(&self) -> Value {
        let tables: Vec<Value> = self.tables.iter().map(Table::to_json).collect();
        json!({ "scenarios": tables })
    }
}

impl Table {
    /// This target's cost over the yardstick's. The provider itself has none: its CPU answers, it does
    /// not carry.
    fn ratio(&self, target: &Target) -> Option<f64> {
        if target.name == "direct" {
            return None;
        }
        Some(ratio(target, self.target(YARDSTICK)?))
    }

    fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    fn to_json(&self) -> Value {
        let targets: Vec<Value> = self
            .targets
            .iter()
            .map(|target| {
                json!({
                    "target": target.name,
                    "cpu_us": target.median(|round| round.cpu_us),
                    "ratio_to_nginx": self.ratio(target),
                    "requests_per_second": target.median(|round| round.requests_per_second),
                    "p50_us": target.median(|round| round.p50_us as f64),
                    "p99_us": target.median(|round| round.p99_us as f64),
                    "resident_bytes": target.median(|round| round.resident_bytes as f64),
                    "failed": target.failed(),
                    "rounds": target.rounds.iter().map(Round::to_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({ "scenario": self.scenario, "title": self.title, "unit": self.unit, "targets": targets })
    }
}

impl Target {
    fn median(&self, part: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(part).collect())
    }

    fn failed(&self) -> u64 {
        self.rounds.iter().map(|round| round.failed).sum()
    }
}

/// The median over the rounds of one's CPU over the other's in the same round.
fn ratio(target: &Target, other: &Target) -> f64 {
    let pairs = target.rounds.iter().zip(&other.rounds);
    median(pairs.map(|(round, other)| round.cpu_us / other.cpu_us).collect())
}

/// The middle value; of an even number the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu_us: f64) -> Round {
        Round {
            cpu_us,
            requests_per_second: 0.0,
            p50_us: 0,
            p99_us: 0,
            resident_bytes: 0,
            failed: 0,
            told: Value::Null,
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The machine got three times slower after the first round; the ratio stays 2.
        let target = |name, cpu: [f64; 3]| Target { name, rounds: cpu.map(round).to_vec() };
        let table = Table {
            scenario: "S1",
            title: "",
            unit: "request",
            beside: None,
            targets: vec![target("nginx", [10.0, 30.0, 30.0]), target("tollgate", [20.0, 60.0, 90.0])],
        };
        assert_eq!(table.ratio(&table.targets[1]), Some(2.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
