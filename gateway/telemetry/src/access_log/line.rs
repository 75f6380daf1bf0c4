//! The fields of an access line and their JSON.

use std::net::{IpAddr, SocketAddr};

use tollgate_domain::{Money, RequestId, UnixMillis, Usage};

/// Texts that clients choose are cut to this many bytes, at a character's border.
const LONGEST_TEXT: usize = 256;

/// Room for a line of usual length.
const USUAL_LENGTH: usize = 1_024;

/// A member's name as it stands behind another member. Names are this file's own and need no escapes.
macro_rules! member {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// One request as the access log tells it; borrowed, so that a line costs no allocation.
///
/// There is no field for a prompt, an answer, a credential or a query string. What is `None` is
/// left out of the line.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// When the request ended.
    pub ts: UnixMillis,
    /// The row's id.
    pub request_id: RequestId,
    /// The W3C trace the request belongs to.
    pub trace_id: Option<&'a str>,
    /// The HTTP method.
    pub method: &'a str,
    /// The path's template, such as `/v1/chat/completions`; never the path as received.
    pub path: &'a str,
    /// The client's dialect.
    pub dialect: Option<&'a str>,
    /// The operation, such as `chat_completions`.
    pub operation: Option<&'a str>,
    /// The HTTP status that the client saw.
    pub status: u16,
    /// How it ended, by the names of the ledger row; `refused` when the gateway said no.
    pub end: &'a str,
    /// Our error code.
    pub error_code: Option<&'a str>,
    /// The team that pays.
    pub team: Option<&'a str>,
    /// The project of that team.
    pub project: Option<&'a str>,
    /// The key's name.
    pub key: Option<&'a str>,
    /// The end user that the client named.
    pub user: Option<&'a str>,
    /// The session that the client named.
    pub session: Option<&'a str>,
    /// The alias that was asked for.
    pub model: Option<&'a str>,
    /// What the upstream was asked for.
    pub upstream_model: Option<&'a str>,
    /// The provider of the upstream.
    pub provider: Option<&'a str>,
    /// The region of the upstream.
    pub region: Option<&'a str>,
    /// The upstream that served, or that was tried last.
    pub upstream: Option<&'a str>,
    /// How many upstreams were tried.
    pub attempts: u32,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// From the first byte of the request to the last byte of the answer.
    pub duration_ms: u64,
    /// From the first byte of the request to the first content of the answer.
    pub ttft_ms: Option<u64>,
    /// The part of the duration that upstreams took.
    pub upstream_ms: Option<u64>,
    /// What was consumed; left out when nothing reached an upstream.
    pub usage: Option<&'a Usage>,
    /// What it cost; left out when unpriced.
    pub cost: Option<Money>,
    /// The currency of the cost.
    pub currency: &'a str,
    /// Where the connection came from.
    pub client_addr: Option<SocketAddr>,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
    /// The configuration that served the request.
    pub config_version: u64,
}

impl AccessLine<'_> {
    /// Appends the line with its line feed.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(USUAL_LENGTH);
        let mut object = Object { out };
        object.begin_with_time(self.ts);
        object.text(member!("level"), self.level());
        object.text(member!("msg"), "request");
        object.request_id(self.request_id);
        self.write_call(&mut object);
        self.write_parties(&mut object);
        self.write_measures(&mut object);
        object.end();
    }

    fn level(&self) -> &'static str {
        match self.status {
            500.. => "error",
            400.. => "warn",
            _ => "info",
        }
    }

    fn write_call(&self, object: &mut Object<'_>) {
        object.optional(member!("trace_id"), self.trace_id);
        object.text(member!("method"), self.method);
        object.text(member!("path"), self.path);
        object.optional(member!("dialect"), self.dialect);
        object.optional(member!("operation"), self.operation);
        object.number(member!("status"), u64::from(self.status));
        object.text(member!("end"), self.end);
        object.optional(member!("error_code"), self.error_code);
    }

    fn write_parties(&self, object: &mut Object<'_>) {
        object.optional(member!("team"), self.team);
        object.optional(member!("project"), self.project);
        object.optional(member!("key"), self.key);
        object.optional(member!("user"), self.user);
        object.optional(member!("session"), self.session);
        object.optional(member!("model"), self.model);
        object.optional(member!("upstream_model"), self.upstream_model);
        object.optional(member!("provider"), self.provider);
        object.optional(member!("region"), self.region);
        object.optional(member!("upstream"), self.upstream);
        if let Some(address) = self.client_addr {
            object.address(member!("client_addr"), address.ip());
        }
        object.optional(member!("user_agent"), self.user_agent);
    }

    fn write_measures(&self, object: &mut Object<'_>) {
        object.number(member!("attempts"), u64::from(self.attempts));
        object.bool(member!("stream"), self.stream);
        object.number(member!("duration_ms"), self.duration_ms);
        object.optional_number(member!("ttft_ms"), self.ttft_ms);
        object.optional_number(member!("upstream_ms"), self.upstream_ms);
        if let Some(usage) = self.usage {
            object.number(member!("tokens_in"), usage.input_tokens());
            object.number(member!("tokens_cache_read"), usage.cache_read);
            object.number(member!("tokens_cache_write"), usage.cache_write_tokens());
            object.number(member!("tokens_out"), usage.output_tokens());
            object.number(member!("tokens_reasoning"), usage.output_reasoning);
        }
        if let Some(cost) = self.cost {
            object.plain(member!("cost"), cost.to_text().as_str());
            object.text(member!("currency"), self.currency);
        }
        object.number(member!("config_version"), self.config_version);
    }
}

/// A JSON object under construction.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl Object<'_> {
    fn begin_with_time(&mut self, at: UnixMillis) {
        self.out.extend_from_slice(b"{\"ts\":\"");
        write_time(self.out, at);
        self.out.push(b'"');
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn text(&mut self, member: &'static str, value: &str) {
        self.name(member);
        write_json_string(self.out, cut(value));
    }

    fn optional(&mut self, member: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(member, value);
        }
    }

    fn number(&mut self, member: &'static str, value: u64) {
        self.name(member);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn optional_number(&mut self, member: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(member, value);
        }
    }

    fn bool(&mut self, member: &'static str, value: bool) {
        self.name(member);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn request_id(&mut self, id: RequestId) {
        self.out.extend_from_slice(b",\"request_id\":\"");
        self.out.extend_from_slice(&id.to_text());
        self.out.push(b'"');
    }

    fn address(&mut self, member: &'static str, address: IpAddr) {
        let IpAddr::V4(v4) = address else { return self.plain(member, &address.to_string()) };
        self.name(member);
        let mut before = b'"';
        for octet in v4.octets() {
            self.out.push(before);
            self.out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            before = b'.';
        }
        self.out.push(b'"');
    }

    /// A string member that is known to need no escapes.
    fn plain(&mut self, member: &'static str, value: &str) {
        self.name(member);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    fn name(&mut self, member: &str) {
        self.out.extend_from_slice(member.as_bytes());
    }
}

/// Appends an instant in UTC with milliseconds (RFC 3339).
fn write_time(out: &mut Vec<u8>, at: UnixMillis) {
    // What no calendar knows is the epoch: a line with a wrong time is better than none.
    let time = jiff::Timestamp::from_millisecond(at.get()).unwrap_or_default();
    let time = jiff::tz::Offset::UTC.to_datetime(time);
    let two = |number: i8| [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
    let (millis, year) = (time.millisecond(), time.year());
    if !(0..=9_999).contains(&year) {
        return out.extend_from_slice(b"1970-01-01T00:00:00.000Z");
    }
    let [century, years] = [two((year / 100) as i8), two((year % 100) as i8)];
    let ([month, day], [hour, minute, second]) =
        ([time.month(), time.day()].map(two), [time.hour(), time.minute(), time.second()].map(two));
    let [tens, ones] = two((millis % 100) as i8);
    let hundreds = b'0' + (millis / 100) as u8;
    for (digits, after) in [
        (century, &b""[..]),
        (years, b"-"),
        (month, b"-"),
        (day, b"T"),
        (hour, b":"),
        (minute, b":"),
        (second, b"."),
    ] {
        out.extend_from_slice(&digits);
        out.extend_from_slice(after);
    }
    out.extend_from_slice(&[hundreds, tens, ones, b'Z']);
}

/// The beginning of a text that fits [`LONGEST_TEXT`].
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// True when nothing in it is escaped, a word at a time; nearly every text is so.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let special = |word: u64| {
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
        below(word, 0x20)
            | below(word ^ (ONES * u64::from(b'"')), 1)
            | below(word ^ (ONES * u64::from(b'\\')), 1)
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).all(|word| special(u64::from_le_bytes(*word)) == 0)
}

/// Appends a string by RFC 8259, section 7: quotes, backslashes and control characters escaped.
fn write_json_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    if is_plain(rest) {
        out.extend_from_slice(rest);
        return out.push(b'"');
    }
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let byte = rest[at];
        out.extend_from_slice(&rest[..at]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ENDED: UnixMillis = UnixMillis::new(1_790_000_000_007);

    fn parsed(line: &AccessLine<'_>) -> Value {
        let mut out = Vec::new();
        line.write_to(&mut out);
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line feed, at the end");
        serde_json::from_slice(&out).expect("a line is JSON")
    }

    #[test]
    fn a_whole_request_is_told_with_every_field() {
        let usage = Usage {
            input_uncached: 100,
            cache_read: 20,
            cache_write_5m: 3,
            output_text: 50,
            output_reasoning: 7,
            ..Usage::default()
        };
        let line = AccessLine {
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            user: Some("u-1"),
            session: Some("s-1"),
            ttft_ms: Some(120),
            upstream_ms: Some(800),
            usage: Some(&usage),
            cost: Some(Money::from_pico(1_230_000_000)),
            client_addr: Some(([192, 0, 2, 7], 50_000).into()),
            user_agent: Some("OpenAI/Python 1.99.0"),
            ..plain()
        };
        let expected = json!({
            "ts": "2026-09-21T14:13:20.007Z", "level": "info", "msg": "request",
            "request_id": RequestId::new(ENDED, 1).to_string(),
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "method": "POST", "path": "/v1/chat/completions", "dialect": "openai",
            "operation": "chat_completions", "status": 200, "end": "completed",
            "team": "retail", "project": "search", "key": "prod", "user": "u-1", "session": "s-1",
            "model": "gpt-5-mini", "upstream_model": "gpt-5-mini-prod", "provider": "azure",
            "region": "eastus", "upstream": "aoai-eastus", "client_addr": "192.0.2.7",
            "user_agent": "OpenAI/Python 1.99.0", "attempts": 1, "stream": true,
            "duration_ms": 812, "ttft_ms": 120, "upstream_ms": 800,
            "tokens_in": 123, "tokens_cache_read": 20, "tokens_cache_write": 3,
            "tokens_out": 57, "tokens_reasoning": 7,
            "cost": "0.00123", "currency": "USD", "config_version": 3,
        });
        assert_eq!(parsed(&line), expected);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let told = parsed(&AccessLine { status: 401, error_code: Some("invalid_api_key"), ..plain() });
        for absent in ["trace_id", "user", "ttft_ms", "tokens_in", "cost", "currency", "client_addr"] {
            assert_eq!(told.get(absent), None, "{absent}");
        }
        assert_eq!(told["error_code"], "invalid_api_key");
        assert_eq!(told["level"], "warn");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "é".repeat(LONGEST_TEXT);
        let told = parsed(&AccessLine { user_agent: Some(&long), ..plain() });
        assert_eq!(told["user_agent"], "é".repeat(LONGEST_TEXT / 2));
        let shifted = format!("x{long}");
        let told = parsed(&AccessLine { user_agent: Some(&shifted), ..plain() });
        assert_eq!(told["user_agent"], format!("x{}", "é".repeat(LONGEST_TEXT / 2 - 1)));
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was(text in any::<String>(), millis in any::<i64>()) {
            let told = parsed(&AccessLine { user: Some(&text), path: &text, ts: UnixMillis::new(millis), ..plain() });
            prop_assert_eq!(&told["user"], cut(&text));
            prop_assert_eq!(&told["path"], cut(&text));
        }

        #[test]
        fn any_control_character_reads_back(bytes in proptest::collection::vec(0_u8..0x80, 0..64)) {
            let text = String::from_utf8(bytes).expect("ASCII is UTF-8");
            let told = parsed(&AccessLine { user_agent: Some(&text), ..plain() });
            prop_assert_eq!(&told["user_agent"], &text);
        }
    }

    /// A request that went well.
    pub(in crate::access_log) fn plain() -> AccessLine<'static> {
        AccessLine {
            ts: ENDED,
            request_id: RequestId::new(ENDED, 1),
            trace_id: None,
            method: "POST",
            path: "/v1/chat/completions",
            dialect: Some("openai"),
            operation: Some("chat_completions"),
            status: 200,
            end: "completed",
            error_code: None,
            team: Some("retail"),
            project: Some("search"),
            key: Some("prod"),
            user: None,
            session: None,
            model: Some("gpt-5-mini"),
            upstream_model: Some("gpt-5-mini-prod"),
            provider: Some("azure"),
            region: Some("eastus"),
            upstream: Some("aoai-eastus"),
            attempts: 1,
            stream: true,
            duration_ms: 812,
            ttft_ms: None,
            upstream_ms: None,
            usage: None,
            cost: None,
            currency: "USD",
            client_addr: None,
            user_agent: None,
            config_version: 3,
        }
    }
}
