//! Steps into the events of a responses stream.
//!
//! Each item of the output is opened, told in deltas, and repeated whole when it is done; the terminal
//! event repeats all of them. So what was said is collected, up to a bound.

use serde::Serialize;
use serde_json::{Value, json};
use tollgate_domain::Usage;

use super::{
    Status, repeated,
    reply::{call_item, item_id, message_item, reasoning_item, refusal_part, summary_part, text_part},
    response,
};
use crate::{
    codec::ErrorFace,
    hub::{HubEvent, HubEventWriter, HubStop, HubTold, Sealed},
    openai::error,
};

/// More than this is not collected, in bytes: the answer ends there as one that met its cap. No model
/// says so much.
const MOST_COLLECTED: usize = 16 << 20;
/// What an item counts for beside its text.
const OF_AN_ITEM: usize = 1 << 10;

pub(super) struct ResponseEventWriter {
    answer: String,
    created: u64,
    model: String,
    repeated: String,
    sequence: u64,
    started: bool,
    /// Items by their place: what is told of each.
    items: Vec<Item>,
    /// The place of the message or the reasoning that is being told.
    open: Option<usize>,
    collected: usize,
    stop: Option<HubStop>,
}

struct Item {
    id: String,
    kind: Kind,
    /// The whole item, once it is done.
    done: Option<Value>,
}

enum Kind {
    /// Parts, each refused or said.
    Message {
        parts: Vec<(Part, String)>,
    },
    Reasoning {
        text: String,
        proof: Option<Sealed>,
        /// The proof is all there is: a block that only its vendor can read.
        sealed: bool,
    },
    Call {
        key: u32,
        call: String,
        name: String,
        arguments: String,
    },
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    Text,
    Refusal,
}

impl Part {
    fn whole(self, text: &str) -> Value {
        match self {
            Self::Text => text_part(text),
            Self::Refusal => refusal_part(text),
        }
    }
}

impl ResponseEventWriter {
    pub(super) fn new(told: &HubTold<'_>) -> Self {
        Self {
            answer: told.id.to_owned(),
            created: told.created,
            model: String::new(),
            repeated: repeated(told.echo()),
            sequence: 0,
            started: false,
            items: Vec::new(),
            open: None,
            collected: 0,
            stop: None,
        }
    }

    fn event(&mut self, kind: &str, members: &impl Serialize, out: &mut Vec<u8>) {
        let members = serde_json::to_string(members).expect("memory takes all that is written");
        self.raw_event(kind, members.strip_prefix('{').unwrap_or(&members), out);
    }

    /// Writes an event whose members stand in `members`, up to the bracket that ends it.
    fn raw_event(&mut self, kind: &str, members: &str, out: &mut Vec<u8>) {
        let sequence = self.sequence;
        self.sequence += 1;
        let head = format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{sequence},");
        for part in [&*head, members, "\n\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn response_event(&mut self, kind: &str, status: Status, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let output: Vec<Value> = self.items.iter_mut().filter_map(|item| item.done.take()).collect();
        let id = format!("resp_{}", self.answer);
        let response = response((&id, self.created, &self.model), status, &output, usage, &self.repeated);
        self.raw_event(kind, &format!("\"response\":{response}}}"), out);
    }

    fn start(&mut self, model: String, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.model = model;
        self.response_event("response.created", Status::InProgress, None, out);
        self.response_event("response.in_progress", Status::InProgress, None, out);
    }

    /// Opens an item of the output.
    fn add(&mut self, prefix: &str, kind: Kind, out: &mut Vec<u8>) -> usize {
        let place = self.items.len();
        self.collected = self.collected.saturating_add(OF_AN_ITEM);
        let id = item_id(prefix, &self.answer, place);
        let item = match &kind {
            Kind::Message { .. } => message_item(&id, Status::InProgress, Vec::new()),
            Kind::Reasoning { .. } => reasoning_item(&id, None, None),
            Kind::Call { call, name, .. } => call_item(&id, Status::InProgress, (call, name), ""),
        };
        self.items.push(Item { id, kind, done: None });
        self.event("response.output_item.added", &json!({"output_index": place, "item": item}), out);
        place
    }

    /// Ends the message or the reasoning that is being told.
    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(place) = self.open.take() {
            self.finish_item(place, Status::Completed, out);
        }
    }

    fn finish_item(&mut self, place: usize, status: Status, out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(place).filter(|item| item.done.is_none()) else { return };
        let id = item.id.clone();
        let whole = match &mut item.kind {
            Kind::Message { parts } => {
                let whole = parts.iter().map(|(part, text)| part.whole(text)).collect();
                let last = parts.last().map(|(part, text)| (*part, text.clone()));
                let index = parts.len().saturating_sub(1);
                if let Some((part, text)) = last {
                    self.finish_part(place, (&id, index), part, &text, out);
                }
                message_item(&id, status, whole)
            }
            Kind::Reasoning { text, proof, sealed } => {
                let (text, proof, sealed) = (std::mem::take(text), proof.take(), *sealed);
                if !text.is_empty() {
                    let at = json!({"item_id": id, "output_index": place, "summary_index": 0});
                    let done = with(&at, json!({"text": text}));
                    self.event("response.reasoning_summary_text.done", &done, out);
                    let done = with(&at, json!({"part": summary_part(&text)}));
                    self.event("response.reasoning_summary_part.done", &done, out);
                }
                let proof = proof.map(|proof| proof.wrapped((!sealed).then_some(&*text)));
                reasoning_item(&id, Some(&text), proof.as_deref())
            }
            Kind::Call { call, name, arguments, .. } => {
                // A call without arguments still has an object of none.
                let arguments =
                    if arguments.is_empty() { "{}".to_owned() } else { std::mem::take(arguments) };
                let whole = call_item(&id, status, (call, name), &arguments);
                let done =
                    json!({"item_id": id, "output_index": place, "name": name, "arguments": arguments});
                self.event("response.function_call_arguments.done", &done, out);
                whole
            }
        };
        let done = json!({"output_index": place, "item": whole});
        self.event("response.output_item.done", &done, out);
        if let Some(item) = self.items.get_mut(place) {
            item.done = Some(whole);
        }
    }

    fn finish_part(
        &mut self,
        place: usize,
        (id, index): (&str, usize),
        part: Part,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        let at = json!({"item_id": id, "output_index": place, "content_index": index});
        let (kind, done) = match part {
            Part::Text => ("response.output_text.done", json!({"text": text, "logprobs": []})),
            Part::Refusal => ("response.refusal.done", json!({"refusal": text})),
        };
        self.event(kind, &with(&at, done), out);
        self.event("response.content_part.done", &with(&at, json!({"part": part.whole(text)})), out);
    }

    /// Counts what is collected; false once it is too much, when the answer ends.
    fn has_room(&mut self, more: usize) -> bool {
        if self.stop.is_some() {
            return false;
        }
        self.collected = self.collected.saturating_add(more);
        if self.collected > MOST_COLLECTED {
            self.stop = Some(HubStop::Length);
        }
        self.stop.is_none()
    }

    fn say(&mut self, kind: Part, delta: &str, out: &mut Vec<u8>) {
        let open = self.open.filter(|place| matches!(self.items[*place].kind, Kind::Message { .. }));
        let place = open.unwrap_or_else(|| {
            self.close(out);
            self.add("msg", Kind::Message { parts: Vec::new() }, out)
        });
        self.open = Some(place);
        let Item { id, kind: Kind::Message { parts }, .. } = &mut self.items[place] else { return };
        let id = id.clone();
        if parts.last().is_none_or(|(part, _)| *part != kind) {
            let last = parts.last().cloned();
            let index = parts.len();
            parts.push((kind, String::new()));
            if let Some((part, text)) = last {
                self.finish_part(place, (&id, index - 1), part, &text, out);
            }
            let at = json!({"item_id": id, "output_index": place, "content_index": index});
            self.event("response.content_part.added", &with(&at, json!({"part": kind.whole("")})), out);
        }
        let Kind::Message { parts } = &mut self.items[place].kind else { return };
        let index = parts.len().saturating_sub(1);
        if let Some((_, text)) = parts.last_mut() {
            text.push_str(delta);
        }
        let (name, logprobs) = match kind {
            Part::Text => ("response.output_text.delta", Some([])),
            Part::Refusal => ("response.refusal.delta", None),
        };
        let delta = PartDelta { item_id: &id, output_index: place, content_index: index, delta, logprobs };
        self.event(name, &delta, out);
    }

    /// The reasoning that is being told, or a new one.
    fn reasoning(&mut self, out: &mut Vec<u8>) -> usize {
        let goes_on = |item: &Item| matches!(item.kind, Kind::Reasoning { proof: None, .. });
        if let Some(place) = self.open.filter(|place| goes_on(&self.items[*place])) {
            return place;
        }
        self.close(out);
        let place = self.add("rs", Kind::Reasoning { text: String::new(), proof: None, sealed: false }, out);
        self.open = Some(place);
        place
    }

    fn reason(&mut self, delta: &str, out: &mut Vec<u8>) {
        let place = self.reasoning(out);
        let Item { id, kind: Kind::Reasoning { text, .. }, .. } = &mut self.items[place] else { return };
        let (first, id) = (text.is_empty(), id.clone());
        text.push_str(delta);
        if first {
            let at = json!({"item_id": id, "output_index": place, "summary_index": 0});
            let added = with(&at, json!({"part": summary_part("")}));
            self.event("response.reasoning_summary_part.added", &added, out);
        }
        let delta = SummaryDelta { item_id: &id, output_index: place, summary_index: 0, delta };
        self.event("response.reasoning_summary_text.delta", &delta, out);
    }

    fn prove(&mut self, kept: String, whole: bool, out: &mut Vec<u8>) {
        let Some(given) = Sealed::from_kept(kept) else { return };
        let place = self.reasoning(out);
        if let Kind::Reasoning { proof, sealed, .. } = &mut self.items[place].kind {
            (*proof, *sealed) = (Some(given), whole);
        }
    }

    fn argue(&mut self, key: u32, fragment: &str, out: &mut Vec<u8>) {
        let is_it = |item: &Item| matches!(item.kind, Kind::Call { key: known, .. } if known == key);
        let Some(place) = self.items.iter().position(is_it) else { return };
        let Item { id, kind: Kind::Call { arguments, .. }, .. } = &mut self.items[place] else { return };
        arguments.push_str(fragment);
        let id = id.clone();
        let delta = ArgumentsDelta { item_id: &id, output_index: place, delta: fragment };
        self.event("response.function_call_arguments.delta", &delta, out);
    }

    /// Ends whatever is open; what was said last is what a cap cut off.
    fn finish_items(&mut self, status: Status, out: &mut Vec<u8>) {
        self.open = None;
        let last = self.items.len().saturating_sub(1);
        for place in 0..self.items.len() {
            self.finish_item(place, if place == last { status } else { Status::Completed }, out);
        }
    }
}

impl HubEventWriter for ResponseEventWriter {
    fn write(&mut self, step: HubEvent, out: &mut Vec<u8>) {
        if !matches!(step, HubEvent::Start { .. }) {
            self.start(String::new(), out);
        }
        match step {
            HubEvent::Start { model } => self.start(model, out),
            HubEvent::Text(text) if self.has_room(text.len()) => self.say(Part::Text, &text, out),
            HubEvent::Refusal(text) if self.has_room(text.len()) => self.say(Part::Refusal, &text, out),
            HubEvent::Reasoning(text) if self.has_room(text.len()) => self.reason(&text, out),
            HubEvent::Proof(kept) if self.has_room(kept.len()) => self.prove(kept, false, out),
            HubEvent::Redacted(kept) if self.has_room(kept.len()) => {
                self.close(out);
                self.prove(kept, true, out);
                self.close(out);
            }
            HubEvent::ToolStart { key, id, name } if self.has_room(name.len()) => {
                self.close(out);
                self.add("fc", Kind::Call { key, call: id, name, arguments: String::new() }, out);
            }
            HubEvent::ToolInput { key, fragment } if self.has_room(fragment.len()) => {
                self.argue(key, &fragment, out);
            }
            HubEvent::Stop { stop, .. } => {
                self.stop.get_or_insert(stop);
            }
            _ => {}
        }
    }

    fn finish(&mut self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        self.start(String::new(), out);
        let status = Status::of(self.stop.unwrap_or(HubStop::End));
        self.finish_items(status, out);
        let kind = match status {
            Status::Incomplete(_) => "response.incomplete",
            Status::InProgress | Status::Completed => "response.completed",
        };
        self.response_event(kind, status, usage, out);
    }

    fn error(&mut self, face: &ErrorFace<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::responses_event(face, self.sequence));
    }
}

/// More of a part. There is one for nearly each word, so that none is built as a tree first.
#[derive(Serialize)]
struct PartDelta<'a> {
    item_id: &'a str,
    output_index: usize,
    content_index: usize,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

/// More of a reasoning's summary.
#[derive(Serialize)]
struct SummaryDelta<'a> {
    item_id: &'a str,
    output_index: usize,
    summary_index: usize,
    delta: &'a str,
}

/// More of a call's arguments.
#[derive(Serialize)]
struct ArgumentsDelta<'a> {
    item_id: &'a str,
    output_index: usize,
    delta: &'a str,
}

/// The members of two objects.
fn with(at: &Value, more: Value) -> Value {
    let mut members = at.clone();
    if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
        members.extend(more);
    }
    members
}
