//! Whole answers of generated content.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tollgate_domain::Usage;

use super::{finish_reason, is_broken, made_id, seal, stop_of};
use crate::{
    hub::{HubBlock, HubReply, HubStop, HubTold, Sealed, arguments_or_raw},
    wire::Family,
};

/// An answer, or a chunk of one: both have this shape.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Generated<'a> {
    #[serde(borrow, default)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, default)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow, default)]
    model_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow, default)]
    block_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<Part<'a>>>,
}

/// A part; pictures and the work of the provider's own tools, which a translated request cannot ask for,
/// are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) thought: Option<bool>,
    #[serde(borrow, default)]
    pub(super) thought_signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<Call<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

impl<'a> Generated<'a> {
    /// The only candidate that a translated request asks for.
    pub(super) fn take_candidate(&mut self) -> Option<Candidate<'a>> {
        let mut candidates = self.candidates.take()?.into_iter();
        candidates.find(|candidate| candidate.index.unwrap_or(0) == 0)
    }

    /// True when the prompt was refused, so that no candidate comes.
    pub(super) fn is_blocked(&self) -> bool {
        let reason = self.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_deref());
        reason.is_some_and(|reason| !matches!(reason, "" | "BLOCK_REASON_UNSPECIFIED"))
    }

    /// The model that answers.
    pub(super) fn model(&self) -> String {
        let named = self.model_version.as_deref().unwrap_or_default();
        named.strip_prefix("models/").unwrap_or(named).to_owned()
    }

    /// The provider's id of the answer.
    pub(super) fn id(&self) -> &str {
        self.response_id.as_deref().unwrap_or_default()
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn take_parts(&mut self) -> Vec<Part<'a>> {
        self.content.take().and_then(|content| content.parts).unwrap_or_default()
    }

    /// Why it ended, once it did.
    pub(super) fn finished(&self) -> Option<&str> {
        self.finish_reason.as_deref().filter(|reason| !matches!(*reason, "" | "FINISH_REASON_UNSPECIFIED"))
    }
}

impl Part<'_> {
    /// The proof on the part.
    pub(super) fn take_proof(&mut self) -> Option<Sealed> {
        let text = self.thought_signature.take().filter(|text| !text.is_empty())?;
        Some(Sealed { family: Family::Gemini, text: text.into_owned() })
    }
}

impl Call<'_> {
    /// Its id, or one that is made of the answer's id and its place there.
    pub(super) fn id(&self, response: &str, place: usize) -> String {
        let own = self.id.as_deref().filter(|id| !id.is_empty());
        own.map_or_else(|| made_id(response, place), str::to_owned)
    }

    /// Its arguments as they were written.
    pub(super) fn input(&self) -> &str {
        self.args.map_or("{}", RawValue::get)
    }
}

/// Reads an answer. One that ended since the model's output was broken, and that says nothing, is none.
pub(super) fn read(body: &[u8]) -> Option<HubReply> {
    let mut reply: Generated<'_> = serde_json::from_slice(body).ok()?;
    let Some(mut candidate) = reply.take_candidate() else {
        let blocked =
            HubReply { model: reply.model(), blocks: Vec::new(), stop: HubStop::Filter, stop_sequence: None };
        return reply.is_blocked().then_some(blocked);
    };
    let mut blocks = Vec::new();
    let mut calls = 0;
    for part in candidate.take_parts() {
        read_part(part, reply.id(), &mut calls, &mut blocks);
    }
    let reason = candidate.finished().unwrap_or("STOP");
    if is_broken(reason) && blocks.is_empty() {
        return None;
    }
    let stop = stop_of(reason, calls > 0);
    Some(HubReply { model: reply.model(), blocks, stop, stop_sequence: None })
}

fn read_part(mut part: Part<'_>, response: &str, calls: &mut usize, blocks: &mut Vec<HubBlock>) {
    let proof = part.take_proof();
    let text = part.text.take().unwrap_or_default();
    if part.thought == Some(true) {
        blocks.push(HubBlock::Reasoning { text: text.into_owned(), proof });
        return;
    }
    if proof.is_some() {
        blocks.push(HubBlock::Reasoning { text: String::new(), proof });
    }
    if let Some(call) = part.function_call {
        let id = call.id(response, *calls);
        *calls += 1;
        blocks.push(HubBlock::ToolUse { id, input: call.input().to_owned(), name: call.name.into_owned() });
        return;
    }
    match blocks.last_mut() {
        _ if text.is_empty() => {}
        Some(HubBlock::Text(before)) => before.push_str(&text),
        _ => blocks.push(HubBlock::Text(text.into_owned())),
    }
}

/// A part as it is written.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<WrittenCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<String>,
}

#[derive(Serialize)]
pub(super) struct WrittenCall<'a> {
    id: &'a str,
    name: &'a str,
    args: Box<RawValue>,
}

impl<'a> Written<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    pub(super) fn thought(text: &'a str, signature: Option<String>) -> Self {
        Self { thought: Some(true), thought_signature: signature, ..Self::text(text) }
    }

    pub(super) fn call(id: &'a str, name: &'a str, input: &str) -> Self {
        let call = WrittenCall { id, name, args: arguments_or_raw(input) };
        Self { function_call: Some(call), ..Self::default() }
    }
}

/// An answer, or a chunk of one, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenReply<'a> {
    pub(super) candidates: [WrittenCandidate<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<Value>,
    pub(super) model_version: &'a str,
    pub(super) response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrittenCandidate<'a> {
    content: WrittenContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    index: u8,
}

#[derive(Serialize)]
struct WrittenContent<'a> {
    parts: Vec<Written<'a>>,
    role: &'static str,
}

/// The only candidate.
pub(super) fn candidate(parts: Vec<Written<'_>>, stop: Option<HubStop>) -> [WrittenCandidate<'_>; 1] {
    let content = WrittenContent { parts, role: "model" };
    [WrittenCandidate { content, finish_reason: stop.map(finish_reason), index: 0 }]
}

/// Writes an answer of one candidate.
pub(super) fn write(reply: &HubReply, told: &HubTold<'_>) -> Vec<u8> {
    let parts = reply.blocks.iter().filter_map(|block| {
        Some(match block {
            HubBlock::Text(text) | HubBlock::Refusal(text) => Written::text(text),
            HubBlock::Reasoning { text, proof } => Written::thought(text, proof.as_ref().map(seal::proof)),
            HubBlock::Redacted(sealed) => Written::thought("", Some(seal::redacted(sealed))),
            HubBlock::ToolUse { id, name, input } => Written::call(id, name, input),
            _ => return None,
        })
    });
    let written = WrittenReply {
        candidates: candidate(parts.collect(), Some(reply.stop)),
        usage_metadata: told.usage.map(usage_object),
        model_version: &reply.model,
        response_id: told.id,
    };
    serde_json::to_vec(&written).expect("texts and numbers are always written")
}

/// Usage as this dialect states it: cached tokens are part of the prompt, thoughts stand beside the answer.
pub(super) fn usage_object(usage: &Usage) -> Value {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let mut object = json!({
        "promptTokenCount": input,
        "candidatesTokenCount": output.saturating_sub(usage.output_reasoning),
        "totalTokenCount": input.saturating_add(output),
    });
    for (name, count) in
        [("cachedContentTokenCount", usage.cache_read), ("thoughtsTokenCount", usage.output_reasoning)]
    {
        if count > 0 {
            object[name] = json!(count);
        }
    }
    object
}
