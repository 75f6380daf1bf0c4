//! Server-sent events as a reader by the book sees them. Written apart from the gateway's own
//! splitter on purpose: the two must agree.

use serde_json::Value;

/// One event of a stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Event {
    /// What the `event:` line says; empty without one.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

impl Event {
    /// The data as JSON; null where it is something else, `[DONE]` for example.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// Does the event report a failure, in the form of any dialect?
    pub fn is_error(&self) -> bool {
        self.name == "error" || self.json().get("error").is_some_and(|error| !error.is_null())
    }

    /// Is this what ends a complete stream of its dialect?
    pub fn is_end_mark(&self) -> bool {
        const TYPES: [&str; 3] = ["message_stop", "response.completed", "response.incomplete"];
        self.data == "[DONE]"
            || self.json().get("type").and_then(Value::as_str).is_some_and(|kind| TYPES.contains(&kind))
    }
}

/// The whole events in `bytes`; an unfinished one at the end is dropped, as the specification says.
pub fn events_of(bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut open = Event::default();
    let mut has_data = false;
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        if line.is_empty() {
            if has_data {
                events.push(std::mem::take(&mut open));
            }
            open = Event::default();
            has_data = false;
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => open.name = value.to_owned(),
            "data" => {
                if has_data {
                    open.data.push('\n');
                }
                open.data.push_str(value);
                has_data = true;
            }
            _ => {}
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_the_specification_says() {
        let stream =
            b": comment\n\nevent: ping\ndata: {}\n\ndata: one\r\ndata:two\r\n\r\nevent: none\n\ndata: cut";
        let events = events_of(stream);
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].name.as_str(), events[0].data.as_str()), ("ping", "{}"));
        assert_eq!((events[1].name.as_str(), events[1].data.as_str()), ("", "one\ntwo"));
    }

    #[test]
    fn failures_and_ends_are_told_apart_in_every_dialect() {
        let cases = [
            ("data: {\"error\":{\"message\":\"gone\"}}\n\n", true, false),
            ("event: error\ndata: {\"type\":\"error\"}\n\n", true, false),
            ("data: {\"error\":null,\"type\":\"response.completed\"}\n\n", false, true),
            ("data: [DONE]\n\n", false, true),
            ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", false, true),
            ("data: {\"choices\":[]}\n\n", false, false),
        ];
        for (text, error, end) in cases {
            let event = &events_of(text.as_bytes())[0];
            assert_eq!((event.is_error(), event.is_end_mark()), (error, end), "{text}");
        }
    }
}
