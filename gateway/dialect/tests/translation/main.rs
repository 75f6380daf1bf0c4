//! Requests, answers and streams between dialects through the hub form, by table and by law.

#[path = "../aws/mod.rs"]
mod aws;
mod bedrock;
mod embeddings;
mod embeddings_of_vendors;
mod gemini;
mod laws;
mod replies;
mod requests;
mod responses;
mod streams;
mod tool_names;

use serde_json::Value;
use tollgate_dialect::{Apis, Dialect, Framing, HubAsk, HubTold, Operation, Translation, Untranslatable};
use tollgate_domain::Usage;

const CHAT: (Dialect, Operation) = (Dialect::OpenAi, Operation::ChatCompletions);
const RESPONSES: (Dialect, Operation) = (Dialect::OpenAi, Operation::Responses);
const MESSAGES: (Dialect, Operation) = (Dialect::Anthropic, Operation::Messages);
const GENERATE: (Dialect, Operation) = (Dialect::Gemini, Operation::GenerateContent);
const STREAM: (Dialect, Operation) = (Dialect::Gemini, Operation::StreamGenerateContent);
const CONVERSE: (Dialect, Operation) = (Dialect::Bedrock, Operation::Converse);
const CONVERSE_STREAM: (Dialect, Operation) = (Dialect::Bedrock, Operation::ConverseStream);

/// The way from a client's dialect to a target's.
fn way(from: (Dialect, Operation), to: (Dialect, Operation)) -> Translation {
    let apis = if to.1 == Operation::Responses { Apis::Responses } else { Apis::ChatCompletions };
    Translation::between(from.0, from.1, to.0, apis).expect("there is a way")
}

/// A body translated for a target, which demands at most 500 tokens where the client says nothing.
fn carried(
    from: (Dialect, Operation),
    to: (Dialect, Operation),
    body: &str,
) -> Result<String, Untranslatable> {
    carried_for("theirs", from, to, body)
}

/// The same for a target that serves this model.
fn carried_for(
    model: &str,
    from: (Dialect, Operation),
    to: (Dialect, Operation),
    body: &str,
) -> Result<String, Untranslatable> {
    let way = way(from, to);
    let ask = HubAsk { model, output_cap: 500, insert_cap: false, ask_usage: true, may_drop: &[] };
    let written = way.request(&way.read(body.as_bytes())?, &ask)?;
    Ok(String::from_utf8(written.body).expect("text"))
}

fn told(usage: Option<&Usage>) -> HubTold<'_> {
    HubTold { id: "7", model: "theirs", created: 1_700_000_000, usage, framing: Framing::Events, asked: None }
}

/// The data of each event, `[DONE]` as a string.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::from(data))).collect()
}
