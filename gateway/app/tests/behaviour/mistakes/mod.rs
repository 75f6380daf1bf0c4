//! Mistakes that people make in their configuration, each answered by `tollgate check` with the file, the
//! line and the column, and with what to do about it.
//!
//! Each mistake is one change of a sound configuration. `‹` stands before the character that the answer
//! has to point at, and is taken out before the file is written.

mod meanings;
mod numbers;
mod secrets;
mod texts;

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::stage::{TOLLGATE, text};

/// What stands before the place of a mistake.
const MARK: char = '‹';

/// The sound configuration: `tollgate.yaml`, `prices.yaml` and `teams/health.yaml`.
const SOUND: [(&str, &str); 3] = [
    (
        "tollgate.yaml",
        r#"version: 1
organization: contoso
instance: gw-1
currency: USD
calendar: { timezone: UTC }
include: [teams/*.yaml]
listen:
  data: { address: "127.0.0.1:8080" }
  admin: { address: "127.0.0.1:9090" }
data_dir: ./data
admin:
  tokens:
    - { name: ops, role: admin, token: "${env:OPS_TOKEN}" }
ledger: { durability: process }
prices: [prices.yaml]
shutdown: { drain: 600s }
regions:
  - { name: eastus, zone: us }
  - { name: swedencentral, zone: eu }
upstreams:
  - name: aoai-eastus
    dialect: azure-openai
    region: eastus
    base_url: https://contoso-eastus.openai.azure.com
    credential: "${env:EAST_KEY}"
  - name: aoai-sweden
    dialect: azure-openai
    region: swedencentral
    base_url: https://contoso-sweden.openai.azure.com
    credential: "${env:SWEDEN_KEY}"
models:
  - name: gpt-5-mini
    targets:
      - { upstream: aoai-eastus, model: gpt-5-mini, priority: 1, weight: 80 }
      - { upstream: aoai-sweden, model: gpt-5-mini, priority: 2 }
  - name: gpt-5
    targets:
      - { upstream: aoai-eastus, model: gpt-5 }
teams:
  - name: retail
    cost_center: CC-104
    budget: { amount: "5000.00", period: month, mode: hard }
    projects:
      - name: search
        zones: [us, eu]
        models: [gpt-5-mini]
        limits: { requests_per_minute: 600 }
        budget: { amount: "500.00", period: month, mode: soft, alerts: [50, 80] }
        keys:
          - { name: prod, secret: "${env:SEARCH_KEY}" }
"#,
    ),
    (
        "prices.yaml",
        r#"prices:
  - { model: gpt-5-mini, from: 2025-01-01, currency: USD, per: 1000000, input: "0.25", output: "2.00" }
  - { id: five, model: gpt-5, from: 2025-01-01, input: "1.25", output: "10.00" }
"#,
    ),
    (
        "teams/health.yaml",
        r#"teams:
  - name: health
    projects:
      - name: triage
        zones: [eu]
        models: [gpt-5-mini]
        keys:
          - { name: prod, secret: "${env:TRIAGE_KEY}" }
"#,
    ),
];

const VARIABLES: [(&str, &str); 6] = [
    ("OPS_TOKEN", "ops-token-0123456789"),
    ("EAST_KEY", "east-key-0123456789"),
    ("SWEDEN_KEY", "sweden-key-0123456789"),
    ("SEARCH_KEY", "search-key-0123456789"),
    ("TRIAGE_KEY", "triage-key-0123456789"),
    ("SHORT", "hunter2"),
];

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weight {
    /// The configuration is refused.
    Error,
    /// It would work, but not as meant.
    Warning,
}

/// One change of the sound configuration, and what it is answered with.
struct Mistake {
    file: &'static str,
    /// What is replaced, the first time that it stands in the file.
    instead_of: &'static str,
    /// What somebody wrote, with the mark in it.
    written: &'static str,
    /// Part of the answer: what to do.
    remedy: &'static str,
    weight: Weight,
}

/// A mistake in the main file that is refused.
const fn main(instead_of: &'static str, written: &'static str, remedy: &'static str) -> Mistake {
    Mistake { file: "tollgate.yaml", instead_of, written, remedy, weight: Weight::Error }
}

/// A mistake in the main file that is warned of.
const fn warned(instead_of: &'static str, written: &'static str, remedy: &'static str) -> Mistake {
    Mistake { weight: Weight::Warning, ..main(instead_of, written, remedy) }
}

/// A mistake in the price file.
const fn price(instead_of: &'static str, written: &'static str, remedy: &'static str) -> Mistake {
    Mistake { file: "prices.yaml", ..main(instead_of, written, remedy) }
}

/// A mistake in the included file.
const fn included(instead_of: &'static str, written: &'static str, remedy: &'static str) -> Mistake {
    Mistake { file: "teams/health.yaml", ..main(instead_of, written, remedy) }
}

impl Mistake {
    /// The files with the mistake, and the place that the answer has to name.
    fn made(&self) -> Result<(BTreeMap<&'static str, String>, String)> {
        let mut files: BTreeMap<_, _> =
            SOUND.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        let file = files.get_mut(self.file).context("no such file")?;
        ensure!(file.contains(self.instead_of), "{:?} does not stand in {}", self.instead_of, self.file);
        let marked = file.replacen(self.instead_of, self.written, 1);
        let (before, _) =
            marked.split_once(MARK).with_context(|| format!("no mark in {:?}", self.written))?;
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.chars().rev().take_while(|letter| *letter != '\n').count();
        *file = marked.replace(MARK, "");
        Ok((files, format!("{}:{line}:{column}: ", self.file)))
    }

    /// What is not as it should be in the answer; none where all is.
    fn fault(&self) -> Result<Option<String>> {
        let (files, place) = self.made()?;
        let answer = check(&files, &[])?;
        let (code, start) = match self.weight {
            Weight::Error => (1, place),
            Weight::Warning => (0, format!("{place}warning: ")),
        };
        let lines = answer.told.lines().filter(|line| !line.starts_with("tollgate.yaml: "));
        let (found, others): (Vec<&str>, Vec<&str>) =
            lines.partition(|line| line.starts_with(&start) && line.contains(self.remedy));
        // One mistake is one answer: what follows from it is no news.
        let is_fine = answer.code == code && found.len() == 1 && others.is_empty();
        Ok((!is_fine).then(|| {
            format!(
                "{:?}\n  wants {start}… {}\n  has exit code {} and\n{}",
                self.written, self.remedy, answer.code, answer.told
            )
        }))
    }
}

/// What `tollgate check` said.
struct Answer {
    code: i32,
    /// On stderr.
    told: String,
    /// On stdout.
    data: String,
}

fn check(files: &BTreeMap<&'static str, String>, more: &[&str]) -> Result<Answer> {
    let folder = TempDir::new()?;
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().context("it is in the folder")?)?;
        fs::write(path, text)?;
    }
    let output = Command::new(TOLLGATE)
        .args(["check", "-c", "tollgate.yaml"])
        .args(more)
        .current_dir(folder.path())
        .envs(VARIABLES)
        .output()?;
    let code = output.status.code().context("it was killed")?;
    Ok(Answer { code, told: text(&output.stderr), data: text(&output.stdout) })
}

fn sound() -> BTreeMap<&'static str, String> {
    SOUND.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
}

#[test]
fn what_the_mistakes_are_made_in_is_sound() -> Result<()> {
    let answer = check(&sound(), &[])?;
    ensure!(answer.code == 0 && answer.told == "tollgate.yaml: fine\n", "{}", answer.told);
    ensure!(answer.data.is_empty(), "{}", answer.data);
    Ok(())
}

#[test]
fn every_mistake_is_answered_with_its_place_and_what_to_do() -> Result<()> {
    let all: Vec<&Mistake> =
        [texts::ALL, numbers::ALL, secrets::ALL, meanings::ALL].into_iter().flatten().collect();
    ensure!(all.len() >= 60, "only {} mistakes", all.len());
    let mut faults = Vec::new();
    for mistake in &all {
        faults.extend(mistake.fault()?);
    }
    ensure!(faults.is_empty(), "{} of {} answers:\n{}", faults.len(), all.len(), faults.join("\n"));
    println!("{} mistakes, each with its place and its remedy", all.len());
    Ok(())
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_to_programs_too() -> Result<()> {
    let mut files = sound();
    let broken = files["tollgate.yaml"]
        .replace("region: eastus", "region: eastsu")
        .replace("models: [gpt-5-mini]", "models: [gpt-6]")
        .replace("requests_per_minute: 600", "requests_per_minute: 0");
    files.insert("tollgate.yaml", broken);
    let answer = check(&files, &["-o", "json"])?;
    ensure!(answer.code == 1, "exit code {}", answer.code);
    let told: Value = serde_json::from_str(&answer.data).with_context(|| answer.data.clone())?;
    let items = told["items"].as_array().context("items")?;
    let places: Vec<String> = items
        .iter()
        .map(|item| format!("{}:{}:{} {}", item["file"], item["line"], item["column"], item["severity"]))
        .collect();
    let wanted = [
        "\"tollgate.yaml\":23:13 \"error\"",
        "\"tollgate.yaml\":46:18 \"error\"",
        "\"tollgate.yaml\":47:40 \"error\"",
    ];
    ensure!(places == wanted, "{places:?}: {told:#}");
    ensure!(items[0]["suggestion"] == "eastus" && items[0]["path"] == "upstreams[0].region", "{told:#}");
    Ok(())
}
