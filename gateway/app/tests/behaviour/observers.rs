//! Observers outside are told of requests and figures, and can do requests no harm.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tollgate_simulator::{Behaviour, Call, Refusal, Script, Simulator};
use tollgate_telemetry::otlp::proto::{Span, SpanKind, StatusCode};
use tollgate_test_support::ConfigText;

use crate::{
    collector::{Collector, Manner, said, section, total},
    stage::{Stage, chat, text, until},
};

const CHAT: &str = "/v1/chat/completions";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What a caller sends that records its trace, with what is not for upstreams.
fn traced(flags: &str) -> [(&'static str, String); 3] {
    [
        ("traceparent", format!("00-{TRACE}-{PARENT}-{flags}")),
        ("tracestate", "vendor=of-the-caller".to_owned()),
        ("baggage", "customer=4711".to_owned()),
    ]
}

async fn ask(
    stage: &Stage,
    headers: &[(&str, String)],
    stream: bool,
) -> Result<tollgate_test_support::Reply> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    stage.gateway.caller(ConfigText::KEY).post(CHAT, &headers, chat("gpt-5-mini", stream).to_string()).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == i32::from(StatusCode::Error))
}

fn only_call(provider: &Simulator) -> Result<Call> {
    provider.book().calls().first().cloned().context("a call")
}

fn header<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_over_is_one_trace_with_a_span_for_each_attempt() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.head.push_str(&collector.section(", headers: { x-team: \"the-collectors-secret\" }"));
    })?;
    stage.east.script(Script::refusal(Refusal::ServerError));
    let reply = ask(&stage, &traced("01"), false).await?;
    ensure!(reply.status.is_success(), "{}", text(&reply.body));
    until("the spans are told", async || Ok(collector.spans().len() == 3)).await?;

    let spans = collector.spans();
    let [server, first, second] = &spans[..] else { unreachable!("three") };
    ensure!(
        spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "vendor=of-the-caller")
    );
    ensure!(hex(&server.parent_span_id) == PARENT && server.kind == i32::from(SpanKind::Server));
    ensure!(server.name == "POST /v1/chat/completions" && !is_error(server), "{server:?}");
    for (key, value) in [
        ("http.route", CHAT),
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("tollgate.team", "retail"),
        ("tollgate.project", "search"),
        ("tollgate.model", "gpt-5-mini"),
        ("tollgate.attempts", "2"),
        ("tollgate.end", "completed"),
        ("tollgate.cost.currency", "USD"),
        ("tollgate.request.id", reply.request_id()),
    ] {
        ensure!(said(&server.attributes, key) == value, "{key}: {:?}", server.attributes);
    }
    for span in [first, second] {
        ensure!(span.parent_span_id == server.span_id && span.kind == i32::from(SpanKind::Client));
        ensure!(span.name == "chat gpt-5-mini", "{}", span.name);
        ensure!(span.start_time_unix_nano >= server.start_time_unix_nano);
        ensure!(span.end_time_unix_nano <= server.end_time_unix_nano);
    }
    let of_attempts = [
        ("gen_ai.operation.name", "chat", "chat"),
        ("gen_ai.provider.name", "openai", "openai"),
        ("gen_ai.request.model", "gpt-5-mini", "gpt-5-mini"),
        ("tollgate.upstream", "openai-east", "openai-west"),
        ("tollgate.attempt", "1", "2"),
        ("tollgate.attempt.reason", "first", "failover"),
        ("error.type", "server_error", ""),
        ("http.response.status_code", "500", "200"),
    ];
    for (key, of_first, of_second) in of_attempts {
        let heard = [first, second].map(|span| said(&span.attributes, key));
        ensure!(heard == [of_first, of_second], "{key}: {heard:?}");
    }
    ensure!(is_error(first) && !is_error(second));
    let row = stage.gateway.admin().row(reply.request_id()).await?;
    ensure!(row["trace_id"] == TRACE, "{row}");
    for tokens in ["input_tokens", "output_tokens"] {
        let told = said(&second.attributes, &format!("gen_ai.usage.{tokens}"));
        ensure!(row[tokens].as_u64() == told.parse().ok(), "{tokens}: {told}, {row}");
    }

    // Each upstream has heard of its own span, and of nothing that was meant for the gateway.
    for (provider, span) in [(&stage.east, first), (&stage.west, second)] {
        let call = only_call(provider)?;
        let wanted = format!("00-{TRACE}-{}-01", hex(&span.span_id));
        ensure!(header(&call, "traceparent") == Some(&wanted), "{:?}", call.headers);
        ensure!(header(&call, "tracestate") == Some("vendor=of-the-caller"));
        ensure!(header(&call, "baggage").is_none(), "baggage goes nowhere");
    }
    ensure!(collector.header("x-team").as_deref() == Some("the-collectors-secret"));
    ensure!(collector.header("content-type").as_deref() == Some("application/x-protobuf"));
    let server_span = hex(&server.span_id);
    stage.close().await?;
    let log = stage.gateway.log();
    ensure!(!log.contains("the-collectors-secret"), "a secret is in the log");
    let line = log.lines().find(|line| line.contains(reply.request_id())).context("an access line")?;
    let line: Value = serde_json::from_str(line)?;
    ensure!(line["trace_id"] == TRACE && line["span_id"] == server_span.as_str(), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_callers_decision_is_kept_and_an_own_one_is_made_without_one() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let mut stage = Stage::with(Behaviour::default(), |config| config.head.push_str(&collector.section("")))?;
    let unrecorded = ask(&stage, &traced("00"), false).await?;
    let own = ask(&stage, &[("traceparent", "00-not-a-trace-01".to_owned())], true).await?;
    until("the second one is told", async || Ok(collector.spans().len() == 2)).await?;
    let spans = collector.spans();
    ensure!(spans.iter().all(|span| hex(&span.trace_id) != TRACE), "the first one was not to be recorded");
    ensure!(spans[0].parent_span_id.is_empty() && spans[1].parent_span_id == spans[0].span_id);
    ensure!(said(&spans[1].attributes, "gen_ai.request.stream") == "true");
    ensure!(!said(&spans[1].attributes, "gen_ai.response.time_to_first_chunk").is_empty());

    let heard: Vec<_> =
        stage.east.book().calls().iter().map(|call| header(call, "traceparent").map(str::to_owned)).collect();
    let [Some(first), Some(second)] = &heard[..] else { anyhow::bail!("{heard:?}") };
    ensure!(first.starts_with(&format!("00-{TRACE}-")) && first.ends_with("-00"), "{first}");
    ensure!(second.ends_with("-03"), "recorded, and random: {second}");
    let admin = stage.gateway.admin();
    let [first, second] = [admin.row(unrecorded.request_id()).await?, admin.row(own.request_id()).await?];
    ensure!(first["trace_id"] == TRACE && second["trace_id"] == hex(&spans[0].trace_id).as_str());
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_not_trusted_decides_nothing_and_is_linked_to() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let telemetry = collector.section("").replace("telemetry: {", "telemetry: { trace_context: link,");
    let mut stage = Stage::with(Behaviour::default(), |config| config.head.push_str(&telemetry))?;
    let reply = ask(&stage, &traced("00"), false).await?;
    until("it is recorded all the same", async || Ok(collector.spans().len() == 2)).await?;
    let spans = collector.spans();
    let [link] = &spans[0].links[..] else { anyhow::bail!("{:?}", spans[0]) };
    ensure!(hex(&link.trace_id) == TRACE && hex(&link.span_id) == PARENT);
    ensure!(spans[0].parent_span_id.is_empty() && spans[0].trace_state.is_empty());
    let own = hex(&spans[0].trace_id);
    ensure!(own != TRACE && hex(&spans[1].trace_id) == own);
    let call = only_call(&stage.east)?;
    let heard = header(&call, "traceparent").context("of its own trace")?;
    ensure!(heard.contains(&own) && header(&call, "tracestate").is_none(), "{:?}", call.headers);
    let row = stage.gateway.admin().row(reply.request_id()).await?;
    ensure!(row["trace_id"] == own.as_str(), "{row}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_not_to_know_hears_of_no_trace() -> Result<()> {
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.upstreams =
            config.upstreams.replace("allow_private: true", "allow_private: true, propagate_trace: false");
    })?;
    let reply = ask(&stage, &traced("01"), false).await?;
    let call = only_call(&stage.east)?;
    for name in ["traceparent", "tracestate", "baggage"] {
        ensure!(header(&call, name).is_none(), "{name}: {:?}", call.headers);
    }
    // Also where nobody is told of spans, the row knows the caller's trace.
    let row = stage.gateway.admin().row(reply.request_id()).await?;
    ensure!(row["trace_id"] == TRACE, "{row}");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_clients_that_leave_are_told_too() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let behaviour = Behaviour { chunks: 200, chunk_pause: Duration::from_millis(50), ..Behaviour::default() };
    let mut stage = Stage::with(behaviour, |config| config.head.push_str(&collector.section("")))?;
    let caller = stage.gateway.caller(ConfigText::KEY);
    let refused = caller.chat(&chat("no-such-model", false)).await?;
    ensure!(refused.status == 404, "{}", refused.status);
    let mut stream = caller.stream(CHAT, &[], chat("gpt-5-mini", true).to_string()).await?;
    stream.events(2).await?;
    drop(stream);
    until("both are told", async || Ok(collector.spans().len() == 3)).await?;
    let spans = collector.spans();
    let ends: Vec<_> = spans.iter().map(|span| said(&span.attributes, "tollgate.end")).collect();
    ensure!(ends[0] == "refused" && ends[1] == "client_abort", "{ends:?}");
    ensure!(said(&spans[0].attributes, "tollgate.error_code") == "model_not_found");
    ensure!(spans.iter().all(|span| !is_error(span)), "nobody but the client is at fault");
    ensure!(spans[2].parent_span_id == spans[1].span_id);
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_are_those_of_a_scrape() -> Result<()> {
    let collector = Collector::start(Manner::Takes)?;
    let mut stage = Stage::with(Behaviour::default(), |config| {
        config.head.push_str(&collector.section(", traces: false, metrics: true, metrics_interval: 1s"));
    })?;
    for _ in 0..3 {
        ask(&stage, &traced("01"), false).await?;
    }
    until("all of them are in the figures", async || {
        let told = collector.figures();
        Ok(told.is_some_and(|(_, metrics)| total(&metrics, "tollgate_requests_total") == 3))
    })
    .await?;
    let (resource, metrics) = collector.figures().context("figures")?;
    ensure!(said(&resource.attributes, "service.name") == "tollgate");
    ensure!(said(&resource.attributes, "service.instance.id") == "gw-test");
    ensure!(total(&metrics, "tollgate_request_duration_seconds") == 3);
    ensure!(total(&metrics, "gen_ai.server.request.duration") == 3);
    ensure!(total(&metrics, "gen_ai.client.token.usage") == 6, "input and output");
    // Some are looked at once a second, so that a scrape may have what an older message had not.
    let admin = stage.gateway.admin();
    until("every metric of a scrape is told", async || {
        let shown = text(&admin.root("/metrics").await?.body);
        let (_, metrics) = collector.figures().context("figures")?;
        let mut names = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        Ok(names.all(|name| metrics.iter().any(|metric| metric.name == name)))
    })
    .await?;
    ensure!(collector.spans().is_empty(), "traces are off");
    stage.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_dead_silent_or_mad_does_requests_no_harm() -> Result<()> {
    let manners =
        [None, Some(Manner::Silent), Some(Manner::Raves), Some(Manner::Says(500)), Some(Manner::Says(503))];
    for manner in manners {
        // Nobody listens at the address of a listener that is gone.
        let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let collector = manner.map(Collector::start).transpose()?;
        let more = ", timeout: 300ms, metrics: true, metrics_interval: 1s";
        let telemetry = collector.as_ref().map_or_else(|| section(gone, more), |known| known.section(more));
        let mut stage = Stage::with(Behaviour::default(), |config| config.head.push_str(&telemetry))?;
        for stream in [false, true].repeat(10) {
            let reply = ask(&stage, &traced("01"), stream).await?;
            ensure!(reply.status.is_success(), "{manner:?}: {}", text(&reply.body));
        }
        let admin = stage.gateway.admin();
        until(&format!("{manner:?}: what is lost is counted"), async || {
            let shown = text(&admin.root("/metrics").await?.body);
            let lost = |signal: &str| {
                let name = format!("tollgate_telemetry_dropped_total{{signal=\"{signal}\"}} ");
                shown.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or(0)
            };
            // A status that will not change is not waited for.
            let is_final = matches!(manner, Some(Manner::Says(500)));
            Ok(lost("metrics") > 0 && (!is_final || lost("traces") == 40))
        })
        .await?;
        let so_far = collector.as_ref().map_or(0, Collector::messages);
        ensure!(so_far < 30, "{manner:?}: {so_far} messages are a storm");
        // The ledger has every request, and the process ends in time.
        stage.close().await?;
        ensure!(stage.gateway.log().contains("the OTLP receiver does not take records"), "{manner:?}");
    }
    Ok(())
}
