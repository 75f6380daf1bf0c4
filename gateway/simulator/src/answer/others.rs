//! OpenAI's calls that are no chat: completions, moderations, rerank, images, sound.
//!
//! Shapes: <https://platform.openai.com/docs/api-reference>; rerank as Cohere has it.

use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Plan;
use super::turn::{Content, End, Turn};
use super::{Stamp, text};
use crate::Operation;
use crate::book::Usage;
use crate::request::Asked;

/// What a picture costs, in tokens.
const IMAGE_TOKENS: u64 = 272;

/// What a transcript says, and what hearing it took.
const TRANSCRIPT: &str = "Tollgate counts every token.";
const HEARD: Usage = Usage {
    input_tokens: 30,
    cached_input_tokens: 0,
    cache_write_tokens: 0,
    output_tokens: 7,
    reasoning_tokens: 0,
};

/// The body of a plain answer and the usage that it states, if it states any.
pub(super) fn body(
    operation: Operation,
    asked: &Asked<'_>,
    model: &str,
    stamp: &Stamp,
    input_tokens: u64,
) -> Option<(Vec<u8>, Option<Usage>)> {
    let answer = match operation {
        Operation::Moderations => {
            let result = json!({ "flagged": false, "categories": { "violence": false } });
            (json!({ "id": format!("modr-{}", stamp.tail), "model": model, "results": [result] }), None)
        }
        Operation::Rerank => {
            let results: Vec<Value> = (0..asked.documents.as_ref().map_or(0, |documents| documents.items))
                .map(|index| json!({ "index": index, "relevance_score": 0.5 }))
                .collect();
            (json!({ "results": results, "meta": { "billed_units": { "search_units": 1 } } }), None)
        }
        Operation::Images => {
            let images = asked.n.unwrap_or(1).clamp(1, 10);
            let usage =
                Usage { input_tokens, output_tokens: IMAGE_TOKENS * u64::from(images), ..Usage::default() };
            let data = vec![json!({ "b64_json": "iVBORw0KGgo=" }); images as usize];
            (json!({ "created": stamp.created, "data": data, "usage": stated(&usage) }), Some(usage))
        }
        _ => return None,
    };
    Some((answer.0.to_string().into_bytes(), answer.1))
}

/// The answer to sound, whatever is in it.
pub(super) fn transcript() -> (Vec<u8>, Usage) {
    let mut usage = stated(&HEARD);
    usage["type"] = "tokens".into();
    usage["input_token_details"] = json!({ "audio_tokens": HEARD.input_tokens, "text_tokens": 0 });
    (json!({ "text": TRANSCRIPT, "usage": usage }).to_string().into_bytes(), HEARD)
}

fn stated(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    })
}

/// A plain answer of the older text completions.
pub(super) fn completion(turn: &Turn<'_>) -> Vec<u8> {
    let choices: Vec<String> =
        (0..turn.choices).map(|index| choice(&turn.text(), index, Some(finish(turn.end)))).collect();
    format!("{}{}],\"usage\":{}}}", head(turn), choices.join(","), usage(turn)).into_bytes()
}

/// The same as a stream: words, finish, usage if asked, `[DONE]`.
pub(super) fn completion_stream(turn: &Turn<'_>, plan: &mut Plan) {
    let head = head(turn);
    let push = |plan: &mut Plan, pause, members: String| {
        plan.push(pause, |body| body.extend_from_slice(format!("data: {head}{members}}}\n\n").as_bytes()));
    };
    let words = match &turn.content {
        Content::Words(words) => *words,
        Content::Tool(_) => 0,
    };
    for word in (0..words).map(text::chunk_text) {
        for index in 0..turn.choices {
            push(plan, turn.pause, format!("{}]", choice(word, index, None)));
        }
    }
    plan.content = 0..plan.pieces.len();
    for index in 0..turn.choices {
        push(plan, Duration::ZERO, format!("{}]", choice("", index, Some(finish(turn.end)))));
    }
    if turn.include_usage {
        push(plan, Duration::ZERO, format!("],\"usage\":{}", usage(turn)));
    }
    plan.push(Duration::ZERO, |body| body.extend_from_slice(b"data: [DONE]\n\n"));
}

fn head(turn: &Turn<'_>) -> String {
    format!(
        "{{\"id\":\"cmpl-{}\",\"object\":\"text_completion\",\"created\":{},\"model\":{},\"choices\":[",
        turn.stamp.tail, turn.stamp.created, turn.model
    )
}

fn choice(text: &str, index: u32, finish: Option<&str>) -> String {
    let finish = finish.map_or_else(|| "null".to_owned(), |finish| format!("\"{finish}\""));
    format!("{{\"text\":\"{text}\",\"index\":{index},\"logprobs\":null,\"finish_reason\":{finish}}}")
}

fn finish(end: End) -> &'static str {
    match end {
        End::Length => "length",
        End::Stop | End::Tool => "stop",
    }
}

fn usage(turn: &Turn<'_>) -> String {
    let usage = turn.usage;
    format!(
        "{{\"prompt_tokens\":{},\"completion_tokens\":{},\"total_tokens\":{}}}",
        usage.input_tokens,
        usage.output_tokens,
        usage.input_tokens + usage.output_tokens
    )
}

/// A second of silence, as far as anybody listens.
pub(super) const SOUND: &[u8] = b"ID3\x04\0\0\0\0\0\0\xff\xfb\x10\xc4";
