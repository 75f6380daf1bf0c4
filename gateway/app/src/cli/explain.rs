//! `explain`: what an error code means, or what became of a request.

use std::fmt::Write;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::Value;
use tollgate_control::codes::{self, ErrorCode};
use tollgate_domain::RequestId;

use super::{
    client::{Client, ServerArgs},
    output::{self, Format, OutputArgs},
};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// An error code, such as budget_exceeded, or a request's id.
    #[arg(value_name = "CODE|REQUEST_ID")]
    subject: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<()> {
    if let Ok(id) = args.subject.parse::<RequestId>() {
        return explain_request(id, args);
    }
    let code = codes::find(&args.subject).ok_or_else(|| unknown(&args.subject))?;
    match args.output.output {
        Format::Table => output::write(code_text(code).as_bytes()),
        format => output::record(&code_record(code), format),
    }
}

/// What became of the request, in sentences; the row itself in the other forms.
fn explain_request(id: RequestId, args: &ExplainArgs) -> Result<()> {
    let mut row = Client::new(&args.server)?.get(&["requests", &id.to_string()], &[])?;
    if args.output.output != Format::Table {
        return output::record(&row, args.output.output);
    }
    let explanation = row["explanation"].take();
    output::write(story(&explanation).as_bytes())
}

fn story(explanation: &Value) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        // Names in it come from other people: none of them may steer the terminal.
        text.extend(line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }));
        text.push('\n');
    };
    let sentences = |name: &str| explanation[name].as_array().cloned().unwrap_or_default();
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    sentences("story").iter().for_each(|sentence| say(&words(sentence)));
    let passed_over = sentences("passed_over");
    if !passed_over.is_empty() {
        say("");
        say("Passed over:");
    }
    for target in &passed_over {
        let (name, why, level) = (words(&target["target"]), words(&target["why"]), &target["level"]);
        say(&format!("  {name} in {} (level {level}): {why}", words(&target["region"])));
    }
    for (name, title) in [("costs", "Cost:"), ("unknown", "Not known:")] {
        let lines = sentences(name);
        if !lines.is_empty() {
            say("");
            say(title);
        }
        lines.iter().for_each(|line| say(&format!("  {}", words(line))));
    }
    text
}

fn code_text(code: &ErrorCode) -> String {
    let mut text = code.code.to_owned();
    match code.status {
        0 => text.push_str(" (error event inside a stream)"),
        status => write!(text, " (HTTP {status})").expect("a String takes everything"),
    }
    write!(text, "\n  {}\n  What to do: {}\n", code.meaning, code.remedy).expect("a String takes everything");
    text
}

/// The same for programs. A code without a status comes inside a stream that has begun.
fn code_record(code: &ErrorCode) -> Value {
    serde_json::json!({
        "code": code.code,
        "status": (code.status != 0).then_some(code.status),
        "meaning": code.meaning,
        "remedy": code.remedy,
    })
}

fn unknown(subject: &str) -> anyhow::Error {
    match codes::nearest(subject) {
        Some(code) => {
            anyhow!("{subject:?} is neither an error code nor a request id; did you mean {}?", code.code)
        }
        None => {
            let known: Vec<&str> = codes::all().map(|code| code.code).collect();
            anyhow!(
                "{subject:?} is neither an error code nor a request id; the codes are {}",
                known.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_with_its_status_and_a_remedy() {
        let text = code_text(codes::find("budget_exceeded").expect("it is in the contract"));
        assert!(text.starts_with("budget_exceeded (HTTP 429)\n"), "{text}");
        assert!(text.contains("What to do: "), "{text}");
        let text = code_text(codes::find("upstream_truncated").expect("it is in the contract"));
        assert!(text.contains("inside a stream"), "{text}");
    }

    #[test]
    fn a_story_is_told_in_lines_and_cannot_steer_the_terminal() {
        let explanation = serde_json::json!({
            "story": ["It was asked.", "It \u{1b}[2J answered."],
            "passed_over": [{ "target": "m@u", "region": "eu", "level": 2, "why": "not needed" }],
            "costs": ["Together 1 USD."],
            "unknown": [],
        });
        let text = story(&explanation);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "It was asked.");
        assert!(lines[1].starts_with("It \u{fffd}"), "{text:?}");
        assert_eq!(
            lines[2..],
            ["", "Passed over:", "  m@u in eu (level 2): not needed", "", "Cost:", "  Together 1 USD."]
        );
    }

    #[test]
    fn a_mistyped_code_is_asked_back() {
        assert!(unknown("model_not_fond").to_string().ends_with("did you mean model_not_found?"));
        assert!(unknown("42").to_string().contains("the codes are invalid_api_key, "));
    }
}
