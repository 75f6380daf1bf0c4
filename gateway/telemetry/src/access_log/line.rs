//! The fields of an access line and their JSON.

use std::net::SocketAddr;

use tollgate_domain::{Money, RequestId, UnixMillis, Usage};

use super::json::Object;

/// Texts that clients choose are cut to this many bytes, at a character's border.
const LONGEST_TEXT: usize = 256;

/// Bytes that nearly every line stays below.
const USUAL_LENGTH: usize = 1_024;

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
    /// Its own span in that trace.
    pub span_id: Option<&'a str>,
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
        // One growth at most, and none in a warm buffer.
        out.reserve(USUAL_LENGTH);
        let mut object = Object::begin_with_time(out, r#"{"ts":""#, self.ts);
        object.text(r#","level":""#, self.level());
        object.plain(r#","msg":""#, b"request");
        object.plain(r#","request_id":""#, &self.request_id.to_text());
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
        object.optional_text(r#","trace_id":""#, self.trace_id.map(cut));
        object.optional_text(r#","span_id":""#, self.span_id.map(cut));
        object.text(r#","method":""#, cut(self.method));
        object.text(r#","path":""#, cut(self.path));
        object.optional_text(r#","dialect":""#, self.dialect.map(cut));
        object.optional_text(r#","operation":""#, self.operation.map(cut));
        object.number(r#","status":"#, u64::from(self.status));
        object.text(r#","end":""#, cut(self.end));
        object.optional_text(r#","error_code":""#, self.error_code.map(cut));
    }

    fn write_parties(&self, object: &mut Object<'_>) {
        object.optional_text(r#","team":""#, self.team.map(cut));
        object.optional_text(r#","project":""#, self.project.map(cut));
        object.optional_text(r#","key":""#, self.key.map(cut));
        object.optional_text(r#","user":""#, self.user.map(cut));
        object.optional_text(r#","session":""#, self.session.map(cut));
        object.optional_text(r#","model":""#, self.model.map(cut));
        object.optional_text(r#","upstream_model":""#, self.upstream_model.map(cut));
        object.optional_text(r#","provider":""#, self.provider.map(cut));
        object.optional_text(r#","region":""#, self.region.map(cut));
        object.optional_text(r#","upstream":""#, self.upstream.map(cut));
        if let Some(address) = self.client_addr {
            object.address(r#","client_addr":""#, address.ip());
        }
        object.optional_text(r#","user_agent":""#, self.user_agent.map(cut));
    }

    fn write_measures(&self, object: &mut Object<'_>) {
        object.number(r#","attempts":"#, u64::from(self.attempts));
        object.bool(r#","stream":"#, self.stream);
        object.number(r#","duration_ms":"#, self.duration_ms);
        object.optional_number(r#","ttft_ms":"#, self.ttft_ms);
        object.optional_number(r#","upstream_ms":"#, self.upstream_ms);
        if let Some(usage) = self.usage {
            object.number(r#","tokens_in":"#, usage.input_tokens());
            object.number(r#","tokens_cache_read":"#, usage.cache_read);
            object.number(r#","tokens_cache_write":"#, usage.cache_write_tokens());
            object.number(r#","tokens_out":"#, usage.output_tokens());
            object.number(r#","tokens_reasoning":"#, usage.output_reasoning);
        }
        if let Some(cost) = self.cost {
            object.plain(r#","cost":""#, cost.to_text().as_bytes());
            object.text(r#","currency":""#, cut(self.currency));
        }
        object.number(r#","config_version":"#, self.config_version);
    }
}

/// The beginning of a text that fits [`LONGEST_TEXT`].
#[inline]
fn cut(text: &str) -> &str {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
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
            span_id: Some("00f067aa0ba902b7"),
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
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
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
            span_id: None,
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
