//! Servers that follow OpenAI's API in their own way, one scripted upstream for each of their ways: the
//! bytes pass as they come, and what was consumed is read all the same.

use tollgate_accounting::ledger::End;
use tollgate_domain::{Usage, UsageSource};
use tollgate_proxy::InjectUsage;
use tollgate_simulator::{Exact, Framing, Piece, Script};

use crate::harness::{Ask, Gateway, Setup, TargetSetup, ledger::outcomes, provider, scripted};

const NONE: Usage = crate::operations::NONE;

fn events(events: &[&str]) -> String {
    events.iter().map(|event| format!("{event}\n\n")).collect()
}

fn stream(body: String) -> Script {
    Script::exact(Exact {
        status: 200,
        headers: vec![("content-type".into(), "text/event-stream".into())],
        pieces: vec![Piece::new(body)],
        framing: Framing::Chunked,
    })
}

const SAYS: &str =
    r#"data: {"id":"c","model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
const STOPS: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const DONE: &str = "data: [DONE]";

/// A server's way, its stream, what the client gets of it where that differs, and the figures.
struct Way {
    name: &'static str,
    events: Vec<&'static str>,
    hidden: Option<&'static str>,
    usage: Usage,
}

fn ways() -> Vec<Way> {
    let usage = |input, output| Usage { input_uncached: input, output_text: output, ..NONE };
    let vllm = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}"#;
    vec![
        Way {
            name: "vLLM: usage in an event of its own",
            events: vec![SAYS, STOPS, vllm, DONE],
            hidden: Some(vllm),
            usage: usage(20, 2),
        },
        Way {
            name: "vLLM: usage in every event",
            events: vec![
                r#"data: {"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#,
                r#"data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
                DONE,
            ],
            hidden: None,
            usage: usage(5, 2),
        },
        Way {
            name: "Mistral and DeepSeek: usage in the last event with content",
            events: vec![
                SAYS,
                r#"data: {"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":68,"completion_tokens":6,"total_tokens":74,"num_cached_tokens":8}}"#,
                DONE,
            ],
            hidden: None,
            usage: Usage { input_uncached: 60, cache_read: 8, output_text: 6, ..NONE },
        },
        Way {
            name: "DeepSeek: hits and misses",
            events: vec![
                ": keep-alive",
                r#"data: {"model":"gpt-5-mini","choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}"#,
                r#"data: {"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":563,"completion_tokens":116,"total_tokens":679,"prompt_cache_hit_tokens":512,"prompt_cache_miss_tokens":51,"completion_tokens_details":{"reasoning_tokens":60}}}"#,
                DONE,
            ],
            hidden: None,
            usage: Usage {
                input_uncached: 51,
                cache_read: 512,
                output_text: 56,
                output_reasoning: 60,
                ..NONE
            },
        },
        Way {
            name: "Groq: usage in a member of its own",
            events: vec![
                r#"data: {"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"Hi"}}],"x_groq":{"id":"req"}}"#,
                r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req","usage":{"queue_time":0.1,"prompt_tokens":336,"completion_tokens":96,"total_tokens":432,"prompt_tokens_details":{"cached_tokens":256}}}}"#,
                DONE,
            ],
            hidden: None,
            usage: Usage { input_uncached: 80, cache_read: 256, output_text: 96, ..NONE },
        },
        Way {
            name: "xAI: reasoning beside the output",
            events: vec![
                SAYS,
                STOPS,
                r#"data: {"choices":[],"usage":{"prompt_tokens":165,"completion_tokens":40,"total_tokens":326,"prompt_tokens_details":{"cached_tokens":151},"completion_tokens_details":{"reasoning_tokens":121}}}"#,
                DONE,
            ],
            hidden: Some(
                r#"data: {"choices":[],"usage":{"prompt_tokens":165,"completion_tokens":40,"total_tokens":326,"prompt_tokens_details":{"cached_tokens":151},"completion_tokens_details":{"reasoning_tokens":121}}}"#,
            ),
            usage: Usage {
                input_uncached: 14,
                cache_read: 151,
                output_text: 40,
                output_reasoning: 121,
                ..NONE
            },
        },
        Way {
            name: "Perplexity: reasoning beside the output, with no details",
            events: vec![
                r#"data: {"model":"gpt-5-mini","choices":[{"index":0,"message":{"content":"Hi"},"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":20,"reasoning_tokens":7,"num_search_queries":2}}"#,
                DONE,
            ],
            hidden: None,
            usage: Usage { input_uncached: 9, output_text: 4, output_reasoning: 7, ..NONE },
        },
        Way {
            name: "Gemini's OpenAI endpoint: reasoning in the total alone",
            events: vec![
                SAYS,
                r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}}"#,
                DONE,
            ],
            hidden: None,
            usage: Usage { input_uncached: 35, output_text: 12, output_reasoning: 62, ..NONE },
        },
        Way {
            name: "OpenRouter: comments, and the finish reason again with the usage",
            events: vec![
                ": OPENROUTER PROCESSING",
                ": OPENROUTER PROCESSING",
                SAYS,
                STOPS,
                r#"data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","native_finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0.0001,"is_byok":false}}"#,
                DONE,
            ],
            hidden: None,
            usage: usage(3, 2),
        },
        Way {
            name: "Ollama: no details, no fingerprints",
            events: vec![
                r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-5-mini","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}"#,
                STOPS,
                r#"data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}"#,
                DONE,
            ],
            hidden: Some(
                r#"data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}"#,
            ),
            usage: usage(11, 3),
        },
        Way {
            name: "no end mark",
            events: vec![
                SAYS,
                r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}"#,
            ],
            hidden: None,
            usage: usage(4, 1),
        },
    ]
}

#[tokio::test]
async fn each_servers_stream_passes_as_it_is_and_is_counted() {
    for way in ways() {
        let name = way.name;
        let provider = scripted(stream(events(&way.events))).await;
        let gateway = Gateway::start(Setup::new([&provider]));
        let answer = gateway.send(&Ask::stream()).await;
        let shown: Vec<_> = way.events.iter().copied().filter(|event| Some(*event) != way.hidden).collect();
        assert_eq!((answer.status, answer.text()), (200, &*events(&shown)), "{name}");
        let ledger = gateway.stop().await;
        let row = ledger.only(End::Completed);
        assert_eq!((row.usage, row.usage_source), (way.usage, UsageSource::Reported), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_to_be_asked_for_usage_is_not_asked() {
    let provider = scripted(stream(events(&[SAYS, STOPS, DONE]))).await;
    let target = TargetSetup { inject_usage: InjectUsage::Never, ..TargetSetup::from(&provider) };
    let gateway = Gateway::start(Setup::new([target]));
    assert_eq!(gateway.send(&Ask::stream()).await.status, 200);
    let sent = provider.book().calls().pop().expect("a call").body;
    assert!(!String::from_utf8_lossy(&sent).contains("stream_options"));
    assert_eq!(gateway.stop().await.only(End::Completed).usage_source, UsageSource::Counted);
}

#[tokio::test]
async fn a_failure_inside_a_success_is_a_failure() {
    let inside =
        r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"provider_name":"x"}}}"#;
    let cases = [
        ("a plain answer", Ask::chat(), Script::json(200, inside)),
        (
            "the first event",
            Ask::stream(),
            stream(events(&[": OPENROUTER PROCESSING", &format!("data: {inside}")])),
        ),
        (
            "Groq's own member",
            Ask::stream(),
            stream(events(&[r#"data: {"choices":[],"x_groq":{"error":"over capacity"}}"#])),
        ),
    ];
    for (name, ask, script) in cases {
        let providers = [scripted(script).await, provider().await];
        let gateway = Gateway::start(Setup::new(&providers));
        let answer = gateway.send(&ask).await;
        assert_eq!(
            (answer.status, answer.header("x-tollgate-attempts")),
            (200, "2"),
            "{name}: {}",
            answer.text()
        );
        let ledger = gateway.stop().await;
        assert_eq!(outcomes(ledger.only(End::Completed)).last(), Some(&"ok"), "{name}");
    }
}
