//! Named steps: each is announced, timed and remembered; the list with its outcomes closes a run.
//!
//! A failed step does not stop the ones after it: one run shows everything that is red.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How a task ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Everything was run, and is green.
    Passed,
    /// Something is red; it has been told.
    Failed,
}

/// The steps of one run, in order.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

impl Steps {
    /// Runs one step.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) {
        println!("\n=== {name}");
        let started = Instant::now();
        let failure = step().err().map(|problem| format!("{problem:#}"));
        let took = started.elapsed();
        match &failure {
            None => println!("=== {name}: ok in {:.1} s", took.as_secs_f64()),
            Some(problem) => println!("=== {name}: FAILED in {:.1} s: {problem}", took.as_secs_f64()),
        }
        self.done.push(Step { name, took, failure });
    }

    /// Prints the list and the closing line.
    pub(crate) fn close(&self) -> Verdict {
        println!("\nsteps:");
        for step in &self.done {
            let outcome = if step.failure.is_none() { "ok" } else { "FAILED" };
            println!("  {:<28} {outcome:<6} {:>7.1} s", step.name, step.took.as_secs_f64());
        }
        for step in &self.done {
            if let Some(problem) = &step.failure {
                println!("  {}: {problem}", step.name);
            }
        }
        let failed = self.done.iter().filter(|step| step.failure.is_some()).count();
        println!("steps: {} passed, {failed} failed", self.done.len() - failed);
        if failed == 0 { Verdict::Passed } else { Verdict::Failed }
    }
}

/// Runs a command to its end, its output straight to ours.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let shown = show(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a command and gives what it printed on stdout; its complaint is in the error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.output().with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_run_and_does_not_stop_the_next() {
        let mut steps = Steps::default();
        let mut reached = false;
        steps.run("first", || bail!("no such luck"));
        steps.run("second", || {
            reached = true;
            Ok(())
        });
        assert!(reached);
        assert_eq!(steps.close(), Verdict::Failed);
    }

    #[test]
    fn a_command_that_fails_is_named_with_its_arguments() {
        let problem = execute(Command::new("false").arg("--really")).unwrap_err().to_string();
        assert!(problem.contains("`false --really`"), "{problem}");
    }
}
