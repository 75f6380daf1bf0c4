//! Plain answers of the OpenAI family, and the answers that are ours: models and limit headers.

use std::{sync::LazyLock, time::Duration};

use memchr::{memchr_iter, memmem::Finder};
use serde_json::json;

use crate::{
    codec::{LimitNames, write_count},
    fault::{Fault, FaultRules},
    openai::{media, usage},
    output::OutputText,
    peek::after_string,
    reported::Reported,
    walk::{Value, Walk, parse_at, text_of},
    wire::Operation,
};

/// A comment: parsers of server-sent events step over it, and those of the official clients do.
pub(crate) const HEARTBEAT: &[u8] = b": keep-alive\n\n";

/// The top-level members of an answer that matter, as raw text or the index of their value.
#[derive(Default)]
pub(crate) struct Members<'a> {
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) model: Option<&'a [u8]>,
    pub(crate) service_tier: Option<&'a [u8]>,
    pub(super) usage: Option<usize>,
    error: Option<usize>,
    status: &'a [u8],
    output: Option<Output>,
}

/// Where what was generated stands.
#[derive(Clone, Copy)]
enum Output {
    /// `choices` of chat completions.
    Choices(usize),
    /// `output` of responses, where hosted tools leave their traces too.
    Items(usize),
}

impl Output {
    const fn at(self) -> usize {
        match self {
            Self::Choices(at) | Self::Items(at) => at,
        }
    }
}

impl<'a> Members<'a> {
    /// The members of a whole answer.
    ///
    /// Looking at what stands before each colon is several times cheaper than walking a long answer. A
    /// quote before a colon never ends a value, and a name inside a text has its own quotes escaped; so
    /// a name that stands but once, and at the top, is taken, and anything less plain is walked.
    pub(crate) fn of_answer(bytes: &'a [u8]) -> Self {
        Self::by_name(bytes).unwrap_or_else(|| Self::of(bytes))
    }

    fn by_name(bytes: &'a [u8]) -> Option<Self> {
        let [mut model, mut service_tier, mut usage, mut choices] = [Stands::Nowhere; 4];
        for colon in memchr_iter(b':', bytes) {
            let before = match bytes[..colon].split_last()? {
                (b'"', before) => before,
                // Who writes blanks before colons is walked.
                (b' ' | b'\t' | b'\n' | b'\r', _) => return None,
                _ => continue,
            };
            let value = colon + 1;
            // Most names differ from these in their last letter already.
            match before.last()? {
                b'l' if before.ends_with(b"\"model") => model.meet(value),
                b'e' if before.ends_with(b"\"usage") => usage.meet(value),
                b's' if before.ends_with(b"\"choices") => choices.meet(value),
                b's' if before.ends_with(b"\"status") => return None,
                b'r' if before.ends_with(b"\"service_tier") => service_tier.meet(value),
                b'r' if before.ends_with(b"\"error") => return None,
                b't' if before.ends_with(b"\"output") => return None,
                _ => {}
            }
        }
        let (model, usage, choices) = (model.once()?, usage.once()?, choices.once());
        let opens = |at: usize, bracket| bytes.get(at) == Some(&bracket);
        let plain = opens(usage, b'{') && choices.is_none_or(|at| opens(at, b'['));
        let service_tier = match service_tier {
            Stands::Nowhere => None,
            Stands::Once(at) => Some(at),
            Stands::Often => return None,
        };
        let at_top = |at: usize| is_at_top(bytes, at);
        let all_at_top =
            at_top(model) && at_top(usage) && choices.into_iter().chain(service_tier).all(at_top);
        let service_tier = match service_tier {
            None => None,
            Some(at) => Some(text_at(bytes, at)?),
        };
        (plain && all_at_top).then_some(Self {
            model: Some(text_at(bytes, model)?),
            service_tier,
            usage: Some(usage),
            output: choices.map(Output::Choices),
            ..Self::default()
        })
    }

    /// Walks the outermost object that begins `bytes`, and nothing after it.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut members = Self::default();
        let mut walk = Walk::new(bytes);
        while let Some(found) = walk.next() {
            if found.depth != 1 {
                break;
            }
            match (found.name, found.value) {
                (b"id", Value::Text(raw)) => members.id = Some(raw),
                (b"model", Value::Text(raw)) => members.model = Some(raw),
                (b"service_tier", Value::Text(raw)) => members.service_tier = Some(raw),
                (b"status", Value::Text(raw)) => members.status = raw,
                (b"usage", Value::Open) => members.usage = Some(found.at),
                (b"error", value) if !value.is_null() => members.error = Some(found.at),
                (b"choices", Value::Open) => members.output = Some(Output::Choices(found.at)),
                (b"output", Value::Open) => members.output = Some(Output::Items(found.at)),
                _ => {}
            }
            if found.value == Value::Open {
                walk.step_over();
            }
        }
        members
    }

    /// Takes the usage, and what hosted tools charge by the call, which stands in the output alone.
    pub(crate) fn take_usage(&self, bytes: &[u8], reported: &mut Reported) {
        let Some(raw) = self.usage.and_then(|at| bytes.get(at..)) else { return };
        usage::take(raw, reported);
        let (Some(usage), Some(Output::Items(at))) = (&mut reported.usage, self.output) else { return };
        if WEB_SEARCH.find(&bytes[at..]).is_some() {
            usage.web_searches = parse_at(bytes, at).map_or(0, |output| web_searches(&output));
        }
    }

    /// The failure inside an answer whose status says success.
    pub(crate) fn fault(&self, bytes: &[u8], rules: &FaultRules) -> Option<Fault> {
        match self.error {
            Some(at) => Some(rules.of_event(&parse_at(bytes, at).unwrap_or_default())),
            None => (self.status == b"failed").then_some(Fault::Server),
        }
    }
}

/// How often a name stands in an answer.
#[derive(Clone, Copy)]
enum Stands {
    Nowhere,
    /// With the index of its value's first byte.
    Once(usize),
    Often,
}

impl Stands {
    fn meet(&mut self, value: usize) {
        *self = match self {
            Self::Nowhere => Self::Once(value),
            Self::Once(_) | Self::Often => Self::Often,
        };
    }

    fn once(self) -> Option<usize> {
        match self {
            Self::Once(at) => Some(at),
            Self::Nowhere | Self::Often => None,
        }
    }
}

/// True for the first byte of a value that stands in the outermost object alone: told from the nearer end of
/// the bytes, which for all that matters here is near.
fn is_at_top(bytes: &[u8], at: usize) -> bool {
    if at < bytes.len() / 2 { opened(&bytes[..at]) == 1 } else { opened(&bytes[at..]) == -1 }
}

/// How many brackets more are opened than closed outside of strings.
fn opened(bytes: &[u8]) -> i64 {
    let (mut opened, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at).unwrap_or(bytes.len()) - 1,
            b'{' | b'[' => opened += 1,
            b'}' | b']' => opened -= 1,
            _ => {}
        }
        at += 1;
    }
    opened
}

/// The raw text of the string that begins at `at`.
fn text_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let after = (bytes.get(at) == Some(&b'"')).then(|| after_string(bytes, at))??;
    Some(&bytes[at + 1..after - 1])
}

/// Making a searcher costs as much as several searches of an answer.
static WEB_SEARCH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"web_search_call\""));

/// Searches among the output items; opening a found page is free.
fn web_searches(output: &serde_json::Value) -> u64 {
    let items = output.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_search = |item: &&serde_json::Value| {
        let action = item.pointer("/action/type").and_then(serde_json::Value::as_str);
        item["type"] == "web_search_call" && action.is_none_or(|action| action == "search")
    };
    items.iter().filter(is_search).count() as u64
}

/// Reads a plain answer.
pub(crate) fn read(operation: Operation, body: &[u8], rules: &FaultRules) -> Reported {
    if operation.is_media() || operation == Operation::Rerank {
        return media::read(operation, body, rules);
    }
    if operation.is_of_stored() {
        // What it tells of is another call, which was settled in its time.
        return Reported::default();
    }
    let responses = matches!(operation, Operation::Responses | Operation::CreateConversation);
    // Its id matters as well, which the quicker way does not look for.
    let members = if responses { Members::of(body) } else { Members::of_answer(body) };
    let mut reported = Reported {
        served_model: members.model.filter(|raw| !raw.is_empty()).map(|raw| text_of(raw).into()),
        service_tier: members.service_tier.filter(|raw| !raw.is_empty()).map(|raw| text_of(raw).into()),
        fault: members.fault(body, rules),
        ..Reported::default()
    };
    if responses {
        reported.response_id = members.id.filter(|raw| !raw.is_empty()).map(|raw| text_of(raw).into());
    }
    members.take_usage(body, &mut reported);
    if reported.usage.is_none() && reported.fault.is_none() && operation.generates() {
        reported.counted_output =
            members.output.and_then(|output| parse_at(body, output.at())).map(|value| {
                let mut output = OutputText::default();
                output.push_visible(&value);
                output.count()
            });
    }
    reported
}

/// The models a key may use, or one of them. When they were made is not ours to tell.
pub(crate) fn models(names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
    let model = |name: &str| json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"});
    let body = match one {
        Some(name) => model(name),
        None => json!({"object": "list", "data": names.map(model).collect::<Vec<_>>()}),
    };
    let mut body = body.to_string().into_bytes();
    body.push(b'\n');
    body
}

/// The names of the limit headers.
pub(crate) const LIMIT_NAMES: LimitNames = LimitNames {
    requests: ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    tokens: ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
};

/// Writes a wait as `120ms`, `1s`, `6m0s`; rounded up, so that who waits that long does not come too
/// early.
pub(crate) fn write_wait(wait: Duration, text: &mut Vec<u8>) {
    let millis =
        wait.as_secs().saturating_mul(1_000).saturating_add(wait.subsec_nanos().div_ceil(1_000_000).into());
    if millis < 1_000 {
        write_count(millis, text);
        return text.extend_from_slice(b"ms");
    }
    let seconds = millis.div_ceil(1_000);
    let parts = [(seconds / 3_600, b'h'), (seconds / 60 % 60, b'm'), (seconds % 60, b's')];
    // Leading zeros are left out, zeros behind a larger unit are not.
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(2);
    for (count, unit) in &parts[first..] {
        write_count(*count, text);
        text.push(*unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_of_a_response_are_counted_from_its_output() {
        let body = json!({"model": "m", "output": [
            {"type": "web_search_call", "action": {"type": "search"}},
            {"type": "web_search_call", "action": {"type": "open_page"}},
            {"type": "message", "content": []},
        ], "usage": {"input_tokens": 1, "output_tokens": 2}});
        let reported = read(Operation::Responses, body.to_string().as_bytes(), &crate::openai::error::RULES);
        assert_eq!(reported.usage.map(|usage| usage.web_searches), Some(1));
    }

    #[test]
    fn names_in_texts_and_names_that_stand_twice_mislead_nobody() {
        let cases = [
            br#"{"model":"m","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#.as_slice(),
            br#"{"model":"m","choices":[{"usage":{"prompt_tokens":9},"model":"n"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            br#"{ "model" : "m", "usage" : {"prompt_tokens" : 1, "completion_tokens" : 2 } }"#,
        ];
        for body in cases {
            let reported = read(Operation::ChatCompletions, body, &crate::openai::error::RULES);
            let usage = reported.usage.expect("stated");
            assert_eq!((usage.input_tokens(), usage.output_tokens()), (1, 2));
            assert_eq!(reported.served_model.as_deref(), Some("m"));
        }
    }

    #[test]
    fn a_name_that_stands_once_but_deeper_states_nothing() {
        let cases = [
            br#"{"model":"m","choices":[{"message":{"content":"x"},"usage":{"prompt_tokens":9,"completion_tokens":9}}]}"#.as_slice(),
            br#"{"a":{"usage":{"prompt_tokens":9,"completion_tokens":9},"x":["]}\""]},"model":"m","choices":[]}"#,
        ];
        for body in cases {
            let reported = read(Operation::ChatCompletions, body, &crate::openai::error::RULES);
            assert_eq!(reported.usage, None, "{}", body.escape_ascii());
            assert_eq!(reported.served_model.as_deref(), Some("m"));
        }
        let inside =
            br#"{"choices":[{"model":"n","index":0}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let reported = read(Operation::ChatCompletions, inside, &crate::openai::error::RULES);
        assert_eq!((reported.served_model, reported.usage.is_some()), (None, true));
    }

    #[test]
    fn a_failure_inside_a_success_is_seen() {
        let body =
            br#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"x"},"usage":null}"#;
        let reported = read(Operation::Responses, body, &crate::openai::error::RULES);
        assert_eq!((reported.fault, reported.usage), (Some(Fault::Throttled), None));
    }

    #[test]
    fn an_answer_without_usage_is_counted() {
        let body = br#"{"choices":[{"message":{"content":"hello world","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#;
        let reported = read(Operation::ChatCompletions, body, &crate::openai::error::RULES);
        assert_eq!((reported.usage, reported.counted_output), (None, Some(3)));
    }

    #[test]
    fn durations_are_written_as_clients_read_them() {
        let cases = [
            (0, "0ms"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_001, "2s"),
            (60_000, "1m0s"),
            (3_600_000, "1h0m0s"),
            (360_000, "6m0s"),
            (3_723_000, "1h2m3s"),
        ];
        for (millis, want) in cases {
            let mut text = Vec::new();
            write_wait(Duration::from_millis(millis), &mut text);
            assert_eq!(str::from_utf8(&text), Ok(want));
        }
    }
}
