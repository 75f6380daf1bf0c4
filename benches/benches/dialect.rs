//! What reading a request and its answer costs.

use std::{fmt::Write, hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate_dialect::{Dialect, Operation, Splitter};

/// A chat call as small as they come.
const SMALL_CHAT: &str = r#"{"model":"gpt-5-mini","messages":[{"role":"system","content":"You are terse."},{"role":"user","content":"Say something."}],"max_completion_tokens":64,"temperature":0.2}"#;

const OPENAI_REPLY: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5-mini-2025-08-07","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog, and then it rests for a while.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1200,"completion_tokens":320,"total_tokens":1520,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}"#;

const ANTHROPIC_REPLY: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"The quick brown fox jumps over the lazy dog, and then it rests for a while."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":2048,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":88},"output_tokens":393,"service_tier":"standard"}}"#;

const CHAT_CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" fox\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"kX0qvT3mZ8sY\"}\n\n";

/// Events that one read from an upstream brings in the bench of a stream.
const EVENTS_A_READ: usize = 16;

/// A conversation of about a hundred thousand tokens.
fn long_chat() -> Vec<u8> {
    let sentence = "The quick brown fox said \\\"no\\\" and jumped over the lazy dog.\\n";
    let mut body = String::from(r#"{"model":"gpt-5-mini","messages":["#);
    for turn in 0..100 {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        let content = sentence.repeat(65);
        write!(body, r#"{{"role":"{role}","content":"{content}"}},"#).expect("memory");
    }
    body.push_str(r#"{"role":"user","content":"Well?"}],"stream":true,"max_completion_tokens":64}"#);
    body.into_bytes()
}

fn peek(c: &mut Criterion) {
    let codec = Dialect::OpenAi.codec();
    let mut group = c.benchmark_group("how long does it take to find what matters in a request");
    for (title, body) in
        [("peek_small_chat", SMALL_CHAT.as_bytes().to_vec()), ("peek_model_in_a_100k_prompt", long_chat())]
    {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(title, |b| {
            b.iter(|| codec.peek(Operation::ChatCompletions, black_box(&body)).expect("a fair body"));
        });
    }
    group.finish();
}

fn stream(c: &mut Criterion) {
    let codec = Dialect::OpenAi.codec();
    let read = Bytes::from(CHAT_CHUNK.repeat(EVENTS_A_READ));
    let mut group = c.benchmark_group("how long does it take to cut a stream into events and read them");
    group.throughput(Throughput::Elements(EVENTS_A_READ as u64));
    group.bench_function("sse_split_and_read_chat_chunk", |b| {
        let mut splitter = Splitter::new();
        b.iter_batched_ref(
            || codec.reader(Operation::ChatCompletions, true),
            |reader| {
                splitter.push(read.clone());
                for event in splitter.by_ref() {
                    black_box(reader.event(&event).kind);
                }
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn usage(c: &mut Criterion) {
    let mut group = c.benchmark_group("how long does it take to read the usage of a plain answer");
    for (title, dialect, operation, body) in [
        ("usage_extraction_openai", Dialect::OpenAi, Operation::ChatCompletions, OPENAI_REPLY),
        ("usage_extraction_anthropic", Dialect::Anthropic, Operation::Messages, ANTHROPIC_REPLY),
    ] {
        let codec = dialect.codec();
        assert!(codec.reply(operation, body.as_bytes()).usage.is_some(), "the answer states its usage");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(title, |b| b.iter(|| codec.reply(operation, black_box(body.as_bytes()))));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = peek, stream, usage
}
criterion_main!(benches);
