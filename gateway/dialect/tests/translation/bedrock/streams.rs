//! Streams of Converse into other dialects, and back.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::{ErrorFace, Framing, HubTold, Operation, SeenKind, Translation};
use tollgate_domain::Usage;

use crate::{
    CHAT, CONVERSE, CONVERSE_STREAM, GENERATE, MESSAGES, RESPONSES, aws::written, events, told, way,
};

fn usage() -> Usage {
    Usage { input_uncached: 4, cache_read: 3, output_text: 2, ..Usage::default() }
}

/// What a client reads of a stream that comes in these pieces.
fn read(way: Translation, framing: Framing, pieces: &[&[u8]], told: &HubTold<'_>) -> Vec<u8> {
    let mut splitter = framing.splitter();
    let mut translation = way.stream(told, true);
    let mut out = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        for event in splitter.by_ref() {
            out.extend(translation.event(&event));
        }
    }
    out.extend(translation.event(&splitter.rest()));
    out.extend(translation.finish(Some(&usage())));
    out
}

fn text(way: Translation, stream: &[u8]) -> String {
    String::from_utf8(read(way, Framing::EventStream, &[stream], &told(None))).expect("text")
}

fn stream() -> Vec<u8> {
    let delta = |index: u32, delta: Value| json!({"event": "contentBlockDelta", "payload": {"delta": delta, "contentBlockIndex": index, "p": "abc"}});
    let start = |index: u32, id: &str, name: &str| json!({"event": "contentBlockStart", "payload": {"start": {"toolUse": {"toolUseId": id, "name": name}}, "contentBlockIndex": index}});
    let end = |index: u32| json!({"event": "contentBlockStop", "payload": {"contentBlockIndex": index}});
    [
        json!({"event": "messageStart", "payload": {"role": "assistant", "p": "ab"}}),
        delta(0, json!({"reasoningContent": {"text": "hm"}})),
        delta(0, json!({"reasoningContent": {"signature": "Eq+/"}})),
        end(0),
        delta(1, json!({"reasoningContent": {"redactedContent": "EqoB"}})),
        end(1),
        delta(2, json!({"text": "So"})),
        delta(2, json!({"text": " bé it."})),
        end(2),
        start(3, "tooluse_1", "f"),
        delta(3, json!({"toolUse": {"input": ""}})),
        delta(3, json!({"toolUse": {"input": "{\"a\""}})),
        delta(3, json!({"toolUse": {"input": ":1.50}"}})),
        end(3),
        json!({"event": "messageStop", "payload": {"stopReason": "tool_use"}}),
        json!({"event": "metadata", "payload": {"usage": {"inputTokens": 4, "outputTokens": 2, "totalTokens": 9}, "metrics": {"latencyMs": 1}}}),
    ]
    .iter()
    .flat_map(written)
    .collect()
}

#[test]
fn a_stream_of_converse_reads_as_chunks_of_a_chat() {
    let chunks = events(&text(way(CHAT, CONVERSE), &stream()));
    let deltas: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta")).collect();
    let arguments = |text: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]});
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"reasoning_content": "hm"}),
            &json!({"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "Eq+/"}]}),
            &json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "EqoB"}]}),
            &json!({"content": "So"}),
            &json!({"content": " bé it."}),
            &json!({"tool_calls": [{"index": 0, "id": "tooluse_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            &arguments("{\"a\""),
            &arguments(":1.50}"),
            &json!({}),
        ]
    );
    let [.., finish, usage, done] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!((&usage["usage"]["prompt_tokens"], done), (&json!(7), &json!("[DONE]")));
    assert_eq!(finish["model"], "theirs", "the answer names no model");
}

#[test]
fn a_stream_of_converse_reads_as_one_of_messages() {
    let all = events(&text(way(MESSAGES, CONVERSE), &stream()));
    let blocks: Vec<&Value> = all.iter().filter_map(|event| event.get("content_block")).collect();
    assert_eq!(
        blocks,
        [
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
            &json!({"type": "redacted_thinking", "data": "EqoB"}),
            &json!({"type": "text", "text": ""}),
            &json!({"type": "tool_use", "id": "tooluse_1", "name": "f", "input": {}}),
        ]
    );
    assert_eq!(all[0]["message"]["model"], "theirs");
    let [.., delta, stop] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&delta["delta"]["stop_reason"], &stop["type"]), (&json!("tool_use"), &json!("message_stop")));
    assert_eq!(delta["usage"]["cache_read_input_tokens"], 3);
}

#[test]
fn a_stream_of_converse_reads_the_same_wherever_it_is_cut() {
    let stream = stream();
    for client in [CHAT, MESSAGES, RESPONSES, GENERATE] {
        let whole = read(way(client, CONVERSE), Framing::EventStream, &[&stream], &told(None));
        for at in 0..=stream.len() {
            let (before, after) = stream.split_at(at);
            let cut = read(way(client, CONVERSE), Framing::EventStream, &[before, after], &told(None));
            assert!(cut == whole, "{client:?} {at}");
        }
    }
}

/// A stream for a client, read by the book: lengths and checksums are taken at their word by nobody.
fn messages(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (total, headers) = (number(bytes) as usize, number(&bytes[4..]) as usize);
        let (message, rest) = bytes.split_at(total);
        assert_eq!(number(&message[8..]), crc32fast::hash(&message[..8]), "the checksum of the lengths");
        assert_eq!(number(&message[total - 4..]), crc32fast::hash(&message[..total - 4]), "that of all");
        let mut names = &message[12..12 + headers];
        let mut said = Vec::new();
        while !names.is_empty() {
            let (name, value) = names[1..].split_at(usize::from(names[0]));
            assert_eq!(value[0], 7, "a text");
            let length = usize::from(u16::from_be_bytes([value[1], value[2]]));
            let value = &value[3..];
            said.push((name, &value[..length]));
            names = &value[length..];
        }
        let [(kind, name), (b":content-type", b"application/json"), (b":message-type", message_type)] =
            said[..]
        else {
            panic!("{said:?}")
        };
        let want: &[u8] = if message_type == b"event" { b":event-type" } else { b":exception-type" };
        assert_eq!(kind, want);
        let payload = serde_json::from_slice(&message[12 + headers..total - 4]).expect("JSON");
        all.push((String::from_utf8_lossy(name).into_owned(), payload));
        bytes = rest;
    }
    all
}

fn sse(data: &[Value]) -> Vec<u8> {
    data.iter().flat_map(|data| format!("data: {data}\n\n").into_bytes()).collect()
}

fn chat_stream() -> Vec<u8> {
    let chunk = |delta: Value, finish: Value| json!({"id": "c", "model": "gpt-x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let call = |index: u32, head: Option<&str>, arguments: &str| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if let Some(name) = head {
            call["id"] = json!(format!("call_{index}"));
            call["function"]["name"] = json!(name);
        }
        chunk(json!({"tool_calls": [call]}), Value::Null)
    };
    sse(&[
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "hm"}), Value::Null),
        chunk(json!({"content": "So"}), Value::Null),
        call(0, Some("f"), "{\"a\""),
        call(1, Some("g"), "{}"),
        call(0, None, ":1.50}"),
        chunk(json!({}), json!("tool_calls")),
        json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
    ])
}

fn in_messages<'a>() -> HubTold<'a> {
    HubTold { framing: Framing::EventStream, ..told(None) }
}

fn block(kind: &str, index: u32, member: Option<(&str, Value)>) -> (String, Value) {
    let mut payload = json!({"contentBlockIndex": index});
    if let Some((name, value)) = member {
        payload[name] = value;
    }
    (kind.to_owned(), payload)
}

fn delta(index: u32, delta: Value) -> (String, Value) {
    block("contentBlockDelta", index, Some(("delta", delta)))
}

#[test]
fn chunks_of_a_chat_read_as_messages_of_converse_one_block_after_the_other() {
    let sent = read(way(CONVERSE_STREAM, CHAT), Framing::Events, &[&chat_stream()], &in_messages());
    let start = |index, id: &str, name: &str| {
        let start = json!({"toolUse": {"toolUseId": id, "name": name}});
        block("contentBlockStart", index, Some(("start", start)))
    };
    assert_eq!(
        messages(&sent),
        [
            ("messageStart".to_owned(), json!({"role": "assistant"})),
            delta(0, json!({"reasoningContent": {"text": "hm"}})),
            block("contentBlockStop", 0, None),
            delta(1, json!({"text": "So"})),
            block("contentBlockStop", 1, None),
            start(2, "call_0", "f"),
            delta(2, json!({"toolUse": {"input": "{\"a\""}})),
            delta(2, json!({"toolUse": {"input": ":1.50}"}})),
            block("contentBlockStop", 2, None),
            start(3, "call_1", "g"),
            delta(3, json!({"toolUse": {"input": "{}"}})),
            block("contentBlockStop", 3, None),
            ("messageStop".to_owned(), json!({"stopReason": "tool_use"})),
            (
                "metadata".to_owned(),
                json!({"usage": {"inputTokens": 4, "outputTokens": 2, "totalTokens": 9,
                    "cacheReadInputTokens": 3, "cacheWriteInputTokens": 0}, "metrics": {"latencyMs": 0}})
            ),
        ]
    );
}

#[test]
fn proven_reasoning_keeps_its_proof_in_a_block_of_its_own() {
    let event = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let stream = sse(&[
        json!({"type": "message_start", "message": {"model": "claude-x"}}),
        event(json!({"type": "thinking_delta", "thinking": "hm"})),
        event(json!({"type": "signature_delta", "signature": "Eq+/"})),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "EqoB"}}),
        event(json!({"type": "thinking_delta", "thinking": "more"})),
        json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}),
    ]);
    let sent = read(way(CONVERSE_STREAM, MESSAGES), Framing::Events, &[&stream], &in_messages());
    let all = messages(&sent);
    assert_eq!(
        all[1..all.len() - 1],
        [
            delta(0, json!({"reasoningContent": {"text": "hm"}})),
            delta(0, json!({"reasoningContent": {"signature": "Eq+/"}})),
            block("contentBlockStop", 0, None),
            delta(1, json!({"reasoningContent": {"redactedContent": "EqoB"}})),
            block("contentBlockStop", 1, None),
            delta(2, json!({"reasoningContent": {"text": "more"}})),
            block("contentBlockStop", 2, None),
            ("messageStop".to_owned(), json!({"stopReason": "max_tokens"})),
        ]
    );
}

#[test]
fn a_stream_there_and_back_again_says_the_same() {
    let there = read(way(CONVERSE_STREAM, CHAT), Framing::Events, &[&chat_stream()], &in_messages());
    let codec = CONVERSE_STREAM.0.codec();
    let mut reader = codec.reader(Operation::ConverseStream, false).framed(Framing::EventStream);
    let mut splitter = Framing::EventStream.splitter();
    splitter.push(Bytes::from(there.clone()));
    let last = splitter.by_ref().map(|event| reader.event(&event)).last().expect("messages");
    assert_eq!(last.kind, SeenKind::End, "our own reader takes it for whole");
    let chunks = events(&text(way(CHAT, CONVERSE), &there));
    let said = |pointer: &str| -> String {
        chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
    };
    assert_eq!(said("/choices/0/delta/content"), "So");
    assert_eq!(said("/choices/0/delta/reasoning_content"), "hm");
    assert_eq!(said("/choices/0/delta/tool_calls/0/function/arguments"), "{\"a\":1.50}{}");
}

#[test]
fn errors_of_ours_end_a_stream_as_exceptions() {
    let face = ErrorFace { status: 502, code: "c", message: "m", param: None, request_id: "r" };
    for began in [false, true] {
        let mut stream = way(CONVERSE_STREAM, CHAT).stream(&in_messages(), false);
        let first = sse(&[json!({"model": "m", "choices": [{"delta": {"content": "a"}}]})]);
        let mut out = if began { stream.event(&first) } else { Vec::new() };
        out.extend(stream.error(&face));
        let all = messages(&out);
        assert_eq!(all.len(), if began { 3 } else { 1 });
        let (name, payload) = all.last().expect("a message");
        assert_eq!(
            (&**name, payload),
            ("modelStreamErrorException", &json!({"message": "m (request id: r)"}))
        );
    }
}

#[test]
fn an_exception_says_nothing_to_the_client_but_ends_the_stream() {
    let exception =
        written(&json!({"exception": "throttlingException", "payload": {"message": "slow down"}}));
    assert_eq!(way(CHAT, CONVERSE).stream(&told(None), true).event(&exception), b"");
    let mut reader = CONVERSE.0.codec().reader(Operation::ConverseStream, false).framed(Framing::EventStream);
    assert!(matches!(reader.event(&exception).kind, SeenKind::Error(_)));
}

#[test]
fn clients_of_converse_want_messages_in_their_streams() {
    let codec = CONVERSE.0.codec();
    assert_eq!(codec.client_framing(Operation::ConverseStream, None), Framing::EventStream);
    assert_eq!(way(CHAT, CONVERSE).upstream_operation(true), Operation::ConverseStream);
    assert_eq!(way(CHAT, CONVERSE).upstream_operation(false), Operation::Converse);
}

proptest! {
    #[test]
    fn no_message_makes_a_reader_panic(payload in ".{0,200}", name in "[a-zA-Z]{1,12}", kind in 0_usize..4) {
        let kind = ["contentBlockStart", "contentBlockDelta", "messageStop", "messageStart"][kind];
        let nested = json!({"contentBlockIndex": 0, "delta": {name.clone(): payload}, "start": {name: {"x": payload}}});
        let forms = [
            payload.clone().into_bytes(),
            written(&json!({"event": kind, "payload": payload})),
            written(&json!({"event": kind, "payload": nested})),
        ];
        for form in forms {
            for client in [CHAT, MESSAGES] {
                let mut stream = way(client, CONVERSE).stream(&told(None), true);
                let _ = (stream.event(&form), stream.finish(None));
            }
        }
    }
}
