//! Streams, answers and requests to be passed through or translated, and the work that each of them is.

use bytes::Bytes;
use tollgate_dialect::{
    Apis, Dialect, Frames, Framing, HubAsk, HubTold, Operation, StreamReader, StreamTranslation, Translation,
};

/// What a client asks for, or an upstream is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    apis: Apis,
    plain: Operation,
    stream: Operation,
}

pub(crate) const CHAT: Side = Side {
    name: "chat",
    dialect: Dialect::OpenAi,
    apis: Apis::ChatCompletions,
    plain: Operation::ChatCompletions,
    stream: Operation::ChatCompletions,
};
const RESPONSES: Side = Side {
    name: "responses",
    dialect: Dialect::OpenAi,
    apis: Apis::Responses,
    plain: Operation::Responses,
    stream: Operation::Responses,
};
pub(crate) const MESSAGES: Side = Side {
    name: "anthropic",
    dialect: Dialect::Anthropic,
    apis: Apis::Both,
    plain: Operation::Messages,
    stream: Operation::Messages,
};
const GEMINI: Side = Side {
    name: "gemini",
    dialect: Dialect::Gemini,
    apis: Apis::Both,
    plain: Operation::GenerateContent,
    stream: Operation::StreamGenerateContent,
};
const BEDROCK: Side = Side {
    name: "bedrock",
    dialect: Dialect::Bedrock,
    apis: Apis::Both,
    plain: Operation::Converse,
    stream: Operation::ConverseStream,
};

/// Client and upstream: the same where bytes pass through.
pub(crate) const WAYS: [(Side, Side); 13] = [
    (CHAT, CHAT),
    (MESSAGES, MESSAGES),
    (RESPONSES, RESPONSES),
    (GEMINI, GEMINI),
    (BEDROCK, BEDROCK),
    (CHAT, MESSAGES),
    (MESSAGES, CHAT),
    (RESPONSES, CHAT),
    (CHAT, RESPONSES),
    (CHAT, GEMINI),
    (GEMINI, CHAT),
    (CHAT, BEDROCK),
    (BEDROCK, CHAT),
];

/// The name of a way, for a bench or a command line.
pub(crate) fn title((client, upstream): (Side, Side)) -> String {
    match client == upstream {
        true => format!("{}_passed", client.name),
        false => format!("{}_from_{}", client.name, upstream.name),
    }
}

const TOLD: HubTold<'_> = HubTold {
    id: "01a229d8-c33f-719f-93aa-d05a399161e9",
    model: "theirs",
    created: 1,
    usage: None,
    framing: Framing::Events,
    asked: None,
};

/// Content of one stream, one event after the other through the same reader and writer.
pub(crate) struct Streamed {
    frames: Frames,
    reader: StreamReader,
    translation: Option<StreamTranslation>,
    chunk: Bytes,
}

impl Streamed {
    pub(crate) fn new((client, upstream): (Side, Side)) -> Self {
        let framing = framing(upstream.dialect);
        let told = HubTold { framing: self::framing(client.dialect), ..TOLD };
        let reader = upstream.dialect.codec().reader(upstream.stream, false).framed(framing);
        let translation = between(client.stream, client, upstream).map(|way| way.stream(&told, true));
        let mut stream =
            Self { frames: framing.splitter(), reader, translation, chunk: Bytes::from(chunk(upstream)) };
        stream.take(Bytes::from(opening(upstream)));
        stream
    }

    /// Takes one chunk of content as the relay does; gives the bytes that leave.
    pub(crate) fn chunk(&mut self) -> usize {
        self.take(self.chunk.clone())
    }

    fn take(&mut self, bytes: Bytes) -> usize {
        let mut out = 0;
        let Self { frames, reader, translation, .. } = self;
        frames.push(bytes);
        for event in frames.by_ref() {
            let seen = reader.event(&event);
            out += usize::from(seen.hide);
            out += match translation {
                Some(translation) => Bytes::from(translation.event(&event)).len(),
                None => event.len(),
            };
        }
        out
    }
}

/// Reads a whole answer and gives the bytes that leave.
pub(crate) fn answer((client, upstream): (Side, Side), body: &[u8]) -> usize {
    let reported = upstream.dialect.codec().reply(upstream.plain, body);
    let usage = reported.usage.as_ref();
    match between(client.plain, client, upstream) {
        Some(way) => way.reply(body, &HubTold { usage, ..TOLD }).expect("an answer").len(),
        None => body.len() + usage.map_or(0, |usage| usage.output_text as usize),
    }
}

/// Reads a request, and writes it for its upstream; gives the bytes that leave.
pub(crate) fn request((client, upstream): (Side, Side), body: &Bytes) -> usize {
    let codec = client.dialect.codec();
    let head = codec.peek(client.plain, body).expect("a fair body");
    let Some(way) = between(client.plain, client, upstream) else {
        let edits = tollgate_dialect::Edits { model: Some("theirs"), ..tollgate_dialect::Edits::default() };
        return codec.request_body(client.plain, &head, body, &edits).len();
    };
    let ask = HubAsk { model: "theirs", output_cap: 64, insert_cap: false, ask_usage: true, may_drop: &[] };
    let form = way.read(body).expect("a fair body");
    way.request(&form, &ask).expect("what both can say").body.len()
}

fn between(operation: Operation, client: Side, upstream: Side) -> Option<Translation> {
    Translation::between(client.dialect, operation, upstream.dialect, upstream.apis)
}

fn framing(dialect: Dialect) -> Framing {
    if dialect == Dialect::Bedrock { Framing::EventStream } else { Framing::Events }
}

/// A request of about four kibibytes, most of it text.
pub(crate) fn request_body(client: Side) -> Bytes {
    let text = "The quick brown fox said \\\"no\\\" and jumped over the lazy dog.\\n".repeat(58);
    Bytes::from(match client.name {
        "responses" => {
            format!(r#"{{"model":"m","instructions":"Be terse.","max_output_tokens":64,"input":"{text}"}}"#)
        }
        "anthropic" => format!(
            r#"{{"model":"m","max_tokens":64,"system":"Be terse.","messages":[{{"role":"user","content":"{text}"}}]}}"#
        ),
        "gemini" => format!(
            r#"{{"systemInstruction":{{"parts":[{{"text":"Be terse."}}]}},"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}],"generationConfig":{{"maxOutputTokens":64}}}}"#
        ),
        "bedrock" => format!(
            r#"{{"system":[{{"text":"Be terse."}}],"messages":[{{"role":"user","content":[{{"text":"{text}"}}]}}],"inferenceConfig":{{"maxTokens":64}}}}"#
        ),
        _ => format!(
            r#"{{"model":"m","max_completion_tokens":64,"messages":[{{"role":"system","content":"Be terse."}},{{"role":"user","content":"{text}"}}]}}"#
        ),
    })
}

/// A whole answer of a hundred words.
pub(crate) fn answer_body(upstream: Side) -> Vec<u8> {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(11);
    match upstream.name {
        "responses" => format!(
            r#"{{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{{"type":"output_text","text":"{text}","annotations":[]}}]}}],"usage":{{"input_tokens":12,"input_tokens_details":{{"cached_tokens":0}},"output_tokens":100,"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":112}}}}"#
        ),
        "anthropic" => format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":100,"service_tier":"standard"}}}}"#
        ),
        "gemini" => format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}},"finishReason":"STOP","index":0}}],"usageMetadata":{{"promptTokenCount":12,"candidatesTokenCount":100,"totalTokenCount":112}},"modelVersion":"m","responseId":"r1"}}"#
        ),
        "bedrock" => format!(
            r#"{{"metrics":{{"latencyMs":12}},"output":{{"message":{{"content":[{{"text":"{text}"}}],"role":"assistant"}}}},"stopReason":"end_turn","usage":{{"inputTokens":12,"outputTokens":100,"totalTokens":112}}}}"#
        ),
        _ => format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":12,"completion_tokens":100,"total_tokens":112}},"service_tier":"default","system_fingerprint":"fp_1"}}"#
        ),
    }
    .into_bytes()
}

/// What comes before the content.
fn opening(upstream: Side) -> Vec<u8> {
    match upstream.name {
        "chat" => b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-5-mini-2025-08-07\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n".to_vec(),
        "anthropic" => b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-5\",\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n".to_vec(),
        "responses" => b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1,\"status\":\"in_progress\",\"model\":\"gpt-5-mini\",\"output\":[]}}\n\nevent: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n".to_vec(),
        "bedrock" => as_messages(&opening(CHAT), false),
        _ => Vec::new(),
    }
}

/// A chunk with a word.
fn chunk(upstream: Side) -> Vec<u8> {
    match upstream.name {
        "chat" => b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-5-mini-2025-08-07\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" fox\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"kX0qvT3mZ8sY\"}\n\n".to_vec(),
        "anthropic" => b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" fox\"}      }\n\n".to_vec(),
        "responses" => b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_0a1b2c3d4e5f60718293a4b5c6d7e8f9\",\"output_index\":0,\"content_index\":0,\"delta\":\" fox\",\"logprobs\":[],\"obfuscation\":\"kX0qvT3mZ8sY\"}\n\n".to_vec(),
        "gemini" => b"data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" fox\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 12,\"candidatesTokenCount\": 3,\"totalTokenCount\": 15},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"r1\"}\r\n\r\n".to_vec(),
        _ => as_messages(&chunk(CHAT), true),
    }
}

/// What chunks of chat become in the messages of an AWS event stream, with or without their beginning before
/// them.
fn as_messages(chunks: &[u8], has_begun: bool) -> Vec<u8> {
    let told = HubTold { framing: Framing::EventStream, ..TOLD };
    let way = between(BEDROCK.stream, BEDROCK, CHAT).expect("there is a way");
    let mut translation = way.stream(&told, true);
    if has_begun {
        translation.event(&opening(CHAT));
    }
    translation.event(chunks)
}
