//! Runbooks are read in the night: every command in them exists, and does something.

use std::{fs, path::Path};

use clap::Parser as _;

use super::Cli;

/// The commands of this program in a page: lines of its code blocks, and code within its sentences.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for (number, part) in page.split("```").enumerate() {
        let is_block = number % 2 == 1;
        let spans = part.split('`').skip(1).step_by(2).map(str::to_owned);
        let lines = part.lines().map(str::to_owned);
        let candidates: Vec<String> = if is_block { lines.collect() } else { spans.collect() };
        commands.extend(
            candidates.iter().map(|line| words(line)).filter(|words| {
                words.first().is_some_and(|program| program == "tollgate") && words.len() > 1
            }),
        );
    }
    commands
}

/// The words of a line as a shell would pass them, up to its comment.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted && words.last().is_some_and(String::is_empty) => break,
            _ if letter.is_whitespace() && !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_of_a_runbook_parses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/runbooks");
    let mut pages = 0;
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("there are runbooks") {
        let path = entry.expect("the folder can be read").path();
        let page = fs::read_to_string(&path).expect("runbooks are text");
        for line in commands(&page) {
            let shown = format!("{}: {}", path.display(), line.join(" "));
            Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{shown}\n{error}"));
            seen += 1;
        }
        pages += 1;
    }
    assert!(pages > 9 && seen > 60, "{seen} commands on {pages} pages");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    for name in ["README.md", "runbooks"] {
        let path = folder.join(name);
        let pages = match path.is_dir() {
            true => fs::read_dir(&path).expect("it can be read").map(|entry| entry.unwrap().path()).collect(),
            false => vec![path],
        };
        for page in pages {
            let text = fs::read_to_string(&page).expect("pages are text");
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = page.with_file_name(link.split('#').next().unwrap_or(link));
                let is_outside = link.starts_with("http");
                assert!(is_outside || target.exists(), "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn a_command_is_found_in_its_line() {
    let page = "Use `tollgate health` or\n```\ntollgate config show   # why\ndf -h\n```\nand `tollgate`.";
    let found: Vec<String> = commands(page).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["tollgate health", "tollgate config show"]);
    assert_eq!(words("a --b \"c d\" e#f #g"), ["a", "--b", "c d", "e#f"]);
}
