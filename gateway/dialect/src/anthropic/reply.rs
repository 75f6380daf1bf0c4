//! Plain answers of the Messages API, and the answers that are ours: models and limit headers.

use std::time::Duration;

use jiff::{Timestamp, tz::Offset};
use serde_json::json;
use tollgate_domain::UnixMillis;

use crate::{
    anthropic::{
        error::RULES,
        usage::{self, Stated},
    },
    codec::{LimitNames, LimitShown},
    output::OutputText,
    reported::Reported,
    walk::{Value, Walk, parse_at, text_of},
    wire::Operation,
};

/// The vendor's own: its clients pass events by their names, and step over this one.
pub(crate) const HEARTBEAT: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// Reads a plain answer.
pub(crate) fn read(operation: Operation, body: &[u8]) -> Reported {
    let mut reported = Reported::default();
    let mut content = None;
    let mut walk = Walk::new(body);
    while let Some(found) = walk.next() {
        if found.depth != 1 {
            break;
        }
        match (found.name, found.value) {
            (b"model", Value::Text(raw)) if !raw.is_empty() => {
                reported.served_model = Some(text_of(raw).into());
            }
            (b"usage", Value::Open) => take_usage(body, found.at, &mut reported),
            (b"error", value) if !value.is_null() => {
                reported.fault = Some(RULES.of_event(&parse_at(body, found.at).unwrap_or_default()));
            }
            (b"content", Value::Open) => content = Some(found.at),
            _ => {}
        }
        if found.value == Value::Open {
            walk.step_over();
        }
    }
    if reported.usage.is_none() && reported.fault.is_none() && operation.generates() {
        reported.counted_output = content.and_then(|at| parse_at(body, at)).map(|value| {
            let mut output = OutputText::default();
            output.push_visible(&value);
            output.count()
        });
    }
    reported
}

fn take_usage(body: &[u8], at: usize, reported: &mut Reported) {
    let tier = usage::take(&body[at..], &mut Stated::default(), reported);
    reported.service_tier = tier.filter(|tier| !tier.is_empty()).map(Into::into);
}

/// The models a key may use, or one of them. When they were made is not ours to tell.
pub(crate) fn models(names: &mut dyn Iterator<Item = &str>, one: Option<&str>) -> Vec<u8> {
    let model = |name: &str| json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"});
    let body = match one {
        Some(name) => model(name),
        None => {
            let names: Vec<&str> = names.collect();
            json!({
                "data": names.iter().map(|name| model(name)).collect::<Vec<_>>(),
                "has_more": false,
                "first_id": names.first(),
                "last_id": names.last(),
            })
        }
    };
    let mut body = body.to_string().into_bytes();
    body.push(b'\n');
    body
}

/// The names of the limit headers.
pub(crate) const LIMIT_NAMES: LimitNames = LimitNames {
    requests: [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
    tokens: [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
};

/// Writes the instant of a reset (RFC 3339), in whole seconds, rounded up.
pub(crate) fn write_instant(shown: &LimitShown, now: UnixMillis, text: &mut Vec<u8>) {
    let millis = i64::try_from(Duration::as_millis(&shown.reset_after)).unwrap_or(i64::MAX);
    let at = now.plus(millis).plus(999).get().div_euclid(1_000);
    let at = Offset::UTC.to_datetime(Timestamp::from_second(at).unwrap_or(Timestamp::MAX));
    let wide = |number: i8| i16::from(number);
    let fields = [
        (at.year() / 100, ""),
        (at.year() % 100, "-"),
        (wide(at.month()), "-"),
        (wide(at.day()), "T"),
        (wide(at.hour()), ":"),
        (wide(at.minute()), ":"),
        (wide(at.second()), "Z"),
    ];
    for (number, mark) in fields {
        text.extend([number / 10, number % 10].map(|digit| b'0' + digit.unsigned_abs() as u8));
        text.extend_from_slice(mark.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_instants_in_whole_seconds_rounded_up() {
        let shown = LimitShown { limit: 10, remaining: 3, reset_after: Duration::from_millis(1) };
        let mut text = Vec::new();
        write_instant(&shown, UnixMillis::new(1_790_000_000_000), &mut text);
        assert_eq!(str::from_utf8(&text), Ok("2026-09-21T14:13:21Z"));
    }

    #[test]
    fn an_answer_without_usage_is_counted() {
        let body = br#"{"model":"m","content":[{"type":"text","text":"hello world"}]}"#;
        let reported = read(Operation::Messages, body);
        assert_eq!((reported.usage, reported.counted_output), (None, Some(2)));
    }
}
