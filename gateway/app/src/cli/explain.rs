//! `explain`: what an error code means, or what became of a request.

use std::fmt::Write;

use anyhow::{Result, anyhow};
use clap::Args;
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
    output::write(code_text(code).as_bytes())
}

/// The request's row, and what its error code means if it has one.
fn explain_request(id: RequestId, args: &ExplainArgs) -> Result<()> {
    let row = Client::new(&args.server)?.get(&["requests", &id.to_string()], &[])?;
    output::record(&row, args.output.output)?;
    match row["error_code"].as_str().and_then(codes::find) {
        Some(code) if args.output.output == Format::Table => {
            output::write(format!("\n{}", code_text(code)).as_bytes())
        }
        _ => Ok(()),
    }
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

fn unknown(subject: &str) -> anyhow::Error {
    match codes::nearest(subject) {
        Some(code) => {
            anyhow!("{subject:?} is neither an error code nor a request id; did you mean {}?", code.code)
        }
        None => {
            let known: Vec<&str> = codes::CODES.iter().map(|code| code.code).collect();
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
    fn a_mistyped_code_is_asked_back() {
        assert!(unknown("model_not_fond").to_string().ends_with("did you mean model_not_found?"));
        assert!(unknown("42").to_string().contains("the codes are invalid_api_key, "));
    }
}
