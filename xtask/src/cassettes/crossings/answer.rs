//! What a client of each party reads of an answer: written apart from the gateway's own readers.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tollgate_test_support::{Reply, events_of};

use super::{bedrock_frames, party::Party};

/// What was said.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    /// Each call's tool and arguments.
    pub(super) calls: Vec<(String, String)>,
    /// Why it ended, in the party's own words.
    pub(super) stop: String,
    /// Input and output, where they were told.
    pub(super) usage: Option<(u64, u64)>,
}

/// Reads an answer of `party`; an error tells what is not well formed about it.
pub(super) fn read(party: Party, stream: bool, reply: &Reply) -> Result<Said> {
    if !stream {
        let body: Value = serde_json::from_slice(&reply.body).context("the answer is no JSON")?;
        return match party {
            Party::Chat => chat(&body),
            Party::Responses => response(&body),
            Party::Messages => messages(&body),
            Party::Gemini => gemini([&body]),
            Party::Converse => converse(&body),
        };
    }
    if party == Party::Converse {
        return converse_stream(&bedrock_frames::events(&reply.body)?);
    }
    let mut data: Vec<Value> = Vec::new();
    let mut done = 0;
    if reply.body.trim_ascii_start().starts_with(b"[") {
        // Gemini's other form of a stream.
        data = serde_json::from_slice(&reply.body).context("the stream is no array")?;
    } else {
        for event in events_of(&reply.body) {
            if event.data == "[DONE]" {
                done += 1;
                continue;
            }
            let value: Value = serde_json::from_str(&event.data).context("an event holds no JSON")?;
            let is_named = event.name.is_empty() || value["type"] == event.name;
            ensure!(is_named, "an event is called {} and says {}", event.name, value["type"]);
            data.push(value);
        }
    }
    ensure!(done == usize::from(party == Party::Chat), "{done} end marks of chunks");
    match party {
        Party::Chat => chat_stream(&data),
        Party::Responses => responses_stream(&data),
        Party::Messages => messages_stream(&data),
        Party::Gemini => gemini(&data),
        Party::Converse => bail!("this stream has no events of text"),
    }
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str> {
    value.pointer(at).and_then(Value::as_str).with_context(|| format!("no text at {at} in {value}"))
}

fn usage(usage: &Value, names: [&str; 2]) -> Result<Option<(u64, u64)>> {
    if usage.is_null() {
        return Ok(None);
    }
    let count = |name: &str| usage[name].as_u64().with_context(|| format!("no {name} in {usage}"));
    Ok(Some((count(names[0])?, count(names[1])?)))
}

fn list<'a>(value: &'a Value, at: &str) -> Result<&'a Vec<Value>> {
    value.pointer(at).and_then(Value::as_array).with_context(|| format!("no list at {at} in {value}"))
}

fn chat_usage(body: &Value) -> Result<Option<(u64, u64)>> {
    usage(&body["usage"], ["prompt_tokens", "completion_tokens"])
}

fn chat(body: &Value) -> Result<Said> {
    ensure!(body["object"] == "chat.completion" && body["id"].is_string(), "no chat completion: {body}");
    let message = body.pointer("/choices/0/message").context("no message")?;
    let mut calls = Vec::new();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        ensure!(call["id"].is_string() && call["type"] == "function", "no call: {call}");
        calls.push((text(call, "/function/name")?.to_owned(), text(call, "/function/arguments")?.to_owned()));
    }
    Ok(Said {
        text: message["content"].as_str().unwrap_or_default().to_owned(),
        calls,
        stop: text(body, "/choices/0/finish_reason")?.to_owned(),
        usage: chat_usage(body)?,
    })
}

fn chat_stream(chunks: &[Value]) -> Result<Said> {
    let mut said = Said::default();
    for chunk in chunks {
        ensure!(chunk["object"] == "chat.completion.chunk", "no chunk: {chunk}");
        said.usage = chat_usage(chunk)?.or(said.usage);
        let Some(choice) = list(chunk, "/choices")?.first() else { continue };
        let delta = &choice["delta"];
        said.text += delta["content"].as_str().unwrap_or_default();
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let place = usize::try_from(call["index"].as_u64().context("a call has no index")?)?;
            if place == said.calls.len() {
                ensure!(call["id"].is_string(), "a call begins without an id: {call}");
                said.calls.push((text(call, "/function/name")?.to_owned(), String::new()));
            }
            let (_, arguments) = said.calls.get_mut(place).context("a call that did not begin")?;
            *arguments += call.pointer("/function/arguments").and_then(Value::as_str).unwrap_or_default();
        }
        said.stop += choice["finish_reason"].as_str().unwrap_or_default();
    }
    Ok(said)
}

/// Members that clients' types demand.
const OF_A_RESPONSE: [&str; 8] =
    ["id", "created_at", "model", "output", "parallel_tool_calls", "tool_choice", "tools", "text"];

fn response(body: &Value) -> Result<Said> {
    ensure!(body["object"] == "response", "no response: {body}");
    for name in OF_A_RESPONSE {
        ensure!(!body[name].is_null(), "the response has no {name}: {body}");
    }
    let mut said = Said { stop: text(body, "/status")?.to_owned(), ..Said::default() };
    said.usage = usage(&body["usage"], ["input_tokens", "output_tokens"])?;
    for item in list(body, "/output")? {
        ensure!(item["id"].is_string(), "an item has no id: {item}");
        match text(item, "/type")? {
            "message" => {
                for part in list(item, "/content")? {
                    said.text += part["text"].as_str().unwrap_or_default();
                }
            }
            "function_call" => {
                text(item, "/call_id")?;
                said.calls.push((text(item, "/name")?.to_owned(), text(item, "/arguments")?.to_owned()));
            }
            _ => {}
        }
    }
    Ok(said)
}

fn responses_stream(events: &[Value]) -> Result<Said> {
    let mut told = String::new();
    for (place, event) in events.iter().enumerate() {
        ensure!(event["sequence_number"] == place, "event {place} is counted {}", event["sequence_number"]);
        if event["type"] == "response.output_text.delta" {
            told += text(event, "/delta")?;
        }
    }
    ensure!(events.first().is_some_and(|first| first["type"] == "response.created"), "no beginning");
    let last = events.last().context("an empty stream")?;
    let kind = text(last, "/type")?;
    ensure!(matches!(kind, "response.completed" | "response.incomplete"), "the stream ends with {kind}");
    let said = response(&last["response"])?;
    ensure!(said.text == told, "told {told:?}, repeated {:?}", said.text);
    Ok(said)
}

/// Input is what was not cached, and what was.
fn messages_usage(told: &Value) -> Result<Option<(u64, u64)>> {
    let cached = told["cache_read_input_tokens"].as_u64().unwrap_or(0);
    Ok(usage(told, ["input_tokens", "output_tokens"])?.map(|(input, output)| (input + cached, output)))
}

fn messages(body: &Value) -> Result<Said> {
    ensure!(body["type"] == "message" && body["role"] == "assistant", "no message: {body}");
    let mut said = Said { stop: text(body, "/stop_reason")?.to_owned(), ..Said::default() };
    said.usage = messages_usage(&body["usage"])?;
    for block in list(body, "/content")? {
        match text(block, "/type")? {
            "text" => said.text += text(block, "/text")?,
            "tool_use" => {
                text(block, "/id")?;
                ensure!(block["input"].is_object(), "a call without an object: {block}");
                said.calls.push((text(block, "/name")?.to_owned(), block["input"].to_string()));
            }
            _ => {}
        }
    }
    Ok(said)
}

fn messages_stream(events: &[Value]) -> Result<Said> {
    let (mut said, mut open) = (Said::default(), None);
    ensure!(events.first().is_some_and(|first| first["type"] == "message_start"), "no beginning");
    for event in events {
        match text(event, "/type")? {
            "content_block_start" => {
                ensure!(open.is_none(), "two blocks at once");
                open = Some(&event["index"]);
                if event["content_block"]["type"] == "tool_use" {
                    said.calls.push((text(event, "/content_block/name")?.to_owned(), String::new()));
                }
            }
            "content_block_delta" => {
                ensure!(open == Some(&event["index"]), "a delta of no open block: {event}");
                let delta = &event["delta"];
                said.text += delta["text"].as_str().unwrap_or_default();
                if let (Some(part), Some((_, arguments))) =
                    (delta["partial_json"].as_str(), said.calls.last_mut())
                {
                    *arguments += part;
                }
            }
            "content_block_stop" => open = None,
            "message_delta" => {
                said.stop = text(event, "/delta/stop_reason")?.to_owned();
                said.usage = messages_usage(&event["usage"])?;
            }
            "error" => bail!("the stream ends with {event}"),
            _ => {}
        }
    }
    let last = events.last().context("an empty stream")?;
    ensure!(last["type"] == "message_stop" && open.is_none(), "the stream ends with {last}");
    Ok(said)
}

fn gemini<'a>(chunks: impl IntoIterator<Item = &'a Value>) -> Result<Said> {
    let mut said = Said::default();
    for chunk in chunks {
        ensure!(chunk.get("error").is_none(), "the stream says {chunk}");
        for part in
            chunk.pointer("/candidates/0/content/parts").and_then(Value::as_array).into_iter().flatten()
        {
            if part["thought"] != true {
                said.text += part["text"].as_str().unwrap_or_default();
            }
            if let Some(call) = part.get("functionCall") {
                said.calls.push((text(call, "/name")?.to_owned(), call["args"].to_string()));
            }
        }
        said.stop += chunk.pointer("/candidates/0/finishReason").and_then(Value::as_str).unwrap_or_default();
        let told = &chunk["usageMetadata"];
        if told["candidatesTokenCount"].is_u64() {
            let thoughts = told["thoughtsTokenCount"].as_u64().unwrap_or(0);
            let counts = usage(told, ["promptTokenCount", "candidatesTokenCount"])?;
            said.usage = counts.map(|(input, output)| (input, output + thoughts));
        }
    }
    Ok(said)
}

fn converse_usage(told: &Value) -> Result<Option<(u64, u64)>> {
    let cached = told["cacheReadInputTokens"].as_u64().unwrap_or(0);
    Ok(usage(told, ["inputTokens", "outputTokens"])?.map(|(input, output)| (input + cached, output)))
}

fn converse(body: &Value) -> Result<Said> {
    let mut said = Said { stop: text(body, "/stopReason")?.to_owned(), ..Said::default() };
    said.usage = converse_usage(&body["usage"])?;
    for block in list(body, "/output/message/content")? {
        said.text += block["text"].as_str().unwrap_or_default();
        if let Some(call) = block.get("toolUse") {
            text(call, "/toolUseId")?;
            said.calls.push((text(call, "/name")?.to_owned(), call["input"].to_string()));
        }
    }
    Ok(said)
}

fn converse_stream(events: &[(String, Value)]) -> Result<Said> {
    let mut said = Said::default();
    for (kind, event) in events {
        match kind.as_str() {
            "contentBlockStart" => {
                if let Some(call) = event.pointer("/start/toolUse") {
                    said.calls.push((text(call, "/name")?.to_owned(), String::new()));
                }
            }
            "contentBlockDelta" => {
                said.text += event.pointer("/delta/text").and_then(Value::as_str).unwrap_or_default();
                let part = event.pointer("/delta/toolUse/input").and_then(Value::as_str);
                if let (Some(part), Some((_, arguments))) = (part, said.calls.last_mut()) {
                    *arguments += part;
                }
            }
            "messageStop" => said.stop = text(event, "/stopReason")?.to_owned(),
            "metadata" => said.usage = converse_usage(&event["usage"])?,
            "messageStart" | "contentBlockStop" => {}
            other => bail!("the stream says {other}: {event}"),
        }
    }
    Ok(said)
}
