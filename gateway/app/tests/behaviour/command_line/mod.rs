//! The command line as people, scripts and shells meet it: help, hints, completions, colours, forms of
//! output, exit codes, readers that leave.

mod forms;
mod readers;

use std::{
    collections::BTreeSet,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::stage::{TOLLGATE, text};

/// Shells that completions are printed for.
const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];
/// How a terminal is told to change its colour.
const ESCAPE: char = '\u{1b}';

/// Runs the program without a gateway, outside a terminal.
fn run(arguments: &[&str]) -> Result<Output> {
    Command::new(TOLLGATE)
        .args(arguments)
        .env_remove("TOLLGATE_SERVER")
        .stdin(Stdio::null())
        .output()
        .context("it cannot be started")
}

/// Every command that has no commands of its own, as its help is reached.
fn all_commands() -> Result<Vec<Vec<String>>> {
    let (mut open, mut leaves) = (vec![Vec::<String>::new()], Vec::new());
    while let Some(path) = open.pop() {
        let names = commands_in(&help(&path)?);
        if names.is_empty() {
            leaves.push(path);
        } else {
            open.extend(names.into_iter().map(|name| [&path[..], &[name]].concat()));
        }
    }
    leaves.sort();
    Ok(leaves)
}

fn help(path: &[String]) -> Result<String> {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let output = run(&arguments)?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    Ok(text(&output.stdout))
}

/// The names below `Commands:`.
fn commands_in(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    lines
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_and_every_option_is_explained() -> Result<()> {
    let commands = all_commands()?;
    ensure!(commands.len() > 50, "only {} commands", commands.len());
    for path in &commands {
        let (shown, long) = (path.join(" "), help(path)?);
        let usage = format!("Usage: tollgate {shown}");
        ensure!(long.contains(&usage), "{shown}:\n{long}");
        ensure!(long.lines().next().is_some_and(|line| line.len() > 10), "{shown} does not say what it does");
        ensure!(!long.contains(ESCAPE), "colours outside a terminal:\n{long}");
        // In the short form each argument and option has its words behind it, or below it.
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["-h"]).collect();
        let short = text(&run(&arguments)?.stdout);
        let lines: Vec<&str> = short.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let name = line.trim_start();
            if line.starts_with("  ") && !line.starts_with("          ") && name.starts_with(['-', '<', '['])
            {
                let beside = name.split_once("  ").is_some_and(|(_, words)| !words.trim().is_empty());
                let below = lines.get(number + 1).is_some_and(|next| next.starts_with("          "));
                ensure!(beside || below, "{shown}: `{name}` is not explained");
            }
        }
        let by_name: Vec<&str> = ["help"].into_iter().chain(path.iter().map(String::as_str)).collect();
        ensure!(text(&run(&by_name)?.stdout) == long, "`{}` says something else", by_name.join(" "));
    }
    Ok(())
}

#[test]
fn a_slip_of_the_finger_ends_with_2_and_a_hint() -> Result<()> {
    let cases: [(&[&str], &str); 9] = [
        (&["srve"], "'serve'"),
        (&["regions", "drian", "eastus"], "'drain'"),
        (&["usage", "--sever", "x"], "'--server'"),
        (&["usage", "-o", "jsn"], "'json'"),
        (&["export", "parqet", "--from", "a", "--to", "b"], "'parquet'"),
        (&["completions", "bsh"], "'bash'"),
        (&["budgets", "raise", "projct", "x"], "'project'"),
        (&["regions", "drain"], "<NAME>"),
        (&["keys", "create"], "--project <PROJECT>"),
    ];
    for (arguments, hint) in cases {
        let output = run(arguments)?;
        let told = text(&output.stderr);
        ensure!(output.status.code() == Some(2), "{arguments:?} ended with {}: {told}", output.status);
        ensure!(told.contains(hint) && told.contains("--help"), "{arguments:?} does not say {hint}: {told}");
        ensure!(output.stdout.is_empty() && !told.contains(ESCAPE), "{arguments:?}: {told}");
    }
    let output = run(&[])?;
    ensure!(
        output.status.code() == Some(2) && text(&output.stderr).contains("Usage: tollgate"),
        "no command"
    );
    let output = run(&["--version"])?;
    ensure!(
        output.status.success() && text(&output.stdout).starts_with("tollgate "),
        "{}",
        text(&output.stdout)
    );
    Ok(())
}

#[test]
fn failures_end_with_1_on_stderr_and_say_what_to_do() -> Result<()> {
    let server = ["--server", "http://127.0.0.1:1"];
    let cases: [(&[&str], &str); 9] = [
        (&["usage"], "TOLLGATE_SERVER"),
        (&["regions", "list"], "TOLLGATE_SERVER"),
        (&["config", "show", "-o", "json"], "TOLLGATE_SERVER"),
        (&["health"], "TOLLGATE_SERVER"),
        (&["export", "csv", "--from", "-1d", "--to", "now"], "TOLLGATE_SERVER"),
        (&["explain", "budget_exceded"], "did you mean budget_exceeded?"),
        (&["check", "-c", "/nowhere/tollgate.yaml"], "/nowhere/tollgate.yaml"),
        (&["verify", "--dir", "/nowhere"], "/nowhere"),
        (&["restore", "/nowhere/backup.tar", "--dir", "/nowhere/data"], "/nowhere"),
    ];
    for (arguments, told) in cases {
        let reaches_out = told == "TOLLGATE_SERVER";
        let output = run(&[arguments, if reaches_out { &server } else { &[] }].concat())?;
        let error = text(&output.stderr);
        ensure!(output.status.code() == Some(1), "{arguments:?} ended with {}: {error}", output.status);
        ensure!(output.stdout.is_empty() && error.contains(told), "{arguments:?}: {error}");
        ensure!(!error.contains("panicked"), "{arguments:?}: {error}");
    }
    let output = run(&["serve", "-c", "/nowhere/tollgate.yaml"])?;
    ensure!(output.status.code() == Some(78), "{}: {}", output.status, text(&output.stderr));
    Ok(())
}

#[test]
fn colours_are_for_terminals_that_want_them() -> Result<()> {
    // `script` gives its command a terminal.
    let in_terminal = |variables: &[(&str, &str)], arguments: &str| -> Result<String> {
        let output = Command::new("script")
            .args(["-q", "-e", "-c", &format!("{TOLLGATE} {arguments}"), "/dev/null"])
            .env_remove("NO_COLOR")
            // There even a dumb terminal is taken for one that shows colours.
            .env_remove("CI")
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .context("cannot run script (Debian: bsdutils)")?;
        Ok(text(&output.stdout))
    };
    let wanted = in_terminal(&[], "--help")?;
    ensure!(wanted.contains(ESCAPE) && wanted.contains("Usage:"), "it is no terminal: {wanted:?}");
    for arguments in
        ["--help", "usage -h", "srve", "explain budget_exceeded", "usage --server http://127.0.0.1:1"]
    {
        let plain = in_terminal(&[("NO_COLOR", "1")], arguments)?;
        ensure!(!plain.is_empty() && !plain.contains(ESCAPE), "{arguments}: {plain:?}");
        let dumb = in_terminal(&[("TERM", "dumb")], arguments)?;
        ensure!(!dumb.contains(ESCAPE), "{arguments}: {dumb:?}");
    }
    Ok(())
}

#[test]
fn completions_are_scripts_of_their_shell() -> Result<()> {
    let folder = TempDir::new()?;
    for shell in SHELLS {
        let output = run(&["completions", shell])?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{shell}: {}", text(&output.stderr));
        let script = text(&output.stdout);
        for word in ["regions", "drain", "server"] {
            ensure!(script.contains(word), "{shell} does not know {word}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, &script)?;
        // A shell that is not installed here cannot read its script; bash is everywhere.
        if ["bash", "zsh", "fish"].contains(&shell)
            && let Ok(parsed) = Command::new(shell).arg("-n").arg(&file).output()
        {
            ensure!(parsed.status.success(), "{shell}: {}", text(&parsed.stderr));
        }
    }
    let complete = |words: &[&str]| -> Result<BTreeSet<String>> {
        let (line, last) = (words.join(" "), words.len() - 1);
        let script = format!(
            "source \"$0\"; COMP_WORDS=({line}); [ {last} -lt ${{#COMP_WORDS[@]}} ] || COMP_WORDS+=('');\n\
             COMP_CWORD={last}; _tollgate tollgate \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\";\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &script]).arg(folder.path().join("bash")).output()?;
        ensure!(output.status.success(), "{}", text(&output.stderr));
        Ok(text(&output.stdout).lines().map(str::to_owned).collect())
    };
    let begun = complete(&["tollgate", "reg"])?;
    ensure!(begun == BTreeSet::from(["regions".to_owned()]), "{begun:?}");
    let commands = complete(&["tollgate", "regions", ""])?;
    ensure!(["drain", "list", "enable"].iter().all(|name| commands.contains(*name)), "{commands:?}");
    let forms = complete(&["tollgate", "usage", "-o", ""])?;
    ensure!(forms == ["csv", "json", "table"].map(str::to_owned).into(), "{forms:?}");
    Ok(())
}
