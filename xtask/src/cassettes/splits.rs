//! Recorded streams, cut wherever a network could cut them: the client must get the same bytes and the
//! meter the same figures.
//!
//! The shortest stream of each API and framing is cut at every single byte, each place once and all places
//! at once; every other stream in many random ways. The bytes go through the splitter and the reader of the
//! dialect as the gateway's relay uses them, in this process: a request for each way would take hours.

use std::{collections::BTreeMap, sync::Arc, thread};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tollgate_dialect::{Dialect, Framing, Operation, Recognised, Reported, SeenKind, recognise};

use super::{
    api::Api,
    recording::{Recording, Usage, header_pairs},
    stream::{self, Cut},
    verdict,
};

/// Lengths of pieces, one of which each random way takes.
const LONGEST_PIECES: [usize; 5] = [3, 40, 700, 4_000, 20_000];
/// Complaints shown for one recording.
const MOST_SHOWN: usize = 3;

/// A recorded stream and what reads it.
struct Stream {
    recording: Arc<Recording>,
    dialect: Dialect,
    operation: Operation,
    framing: Framing,
    /// The client did not ask for the usage, so that the chunk with it is taken out.
    hides_usage: bool,
    answer: Bytes,
    /// The shortest of its API and framing.
    is_shortest: bool,
}

/// What became of a stream.
#[derive(Debug, PartialEq)]
struct Metered {
    client: Vec<u8>,
    reported: Option<Reported>,
    finished: bool,
    output: u64,
}

/// Cuts every recorded stream; prints what was done, and tells whether nothing made a difference.
pub(super) fn check(recordings: &[Arc<Recording>], random: u64) -> Result<bool> {
    let mut streams = Vec::new();
    for recording in recordings.iter().filter(|recording| recording.response.status == 200) {
        streams.extend(Stream::of(recording).with_context(|| recording.name.clone())?);
    }
    mark_shortest(&mut streams);
    let outcomes = in_threads(&streams, |stream| stream.check(random));
    let (mut every, mut some, mut ways, mut bad) = (0, 0, 0, 0);
    for (stream, (tried, complaints)) in streams.iter().zip(outcomes) {
        *(if stream.is_shortest { &mut every } else { &mut some }) += 1_usize;
        ways += tried;
        bad += usize::from(!complaints.is_empty());
        for complaint in complaints.iter().take(MOST_SHOWN) {
            println!("FAILED {}: {complaint}", stream.recording.name);
        }
    }
    println!(
        "splits, in this process: {every} streams at every single byte, {some} in {random} random ways each: \
         {ways} ways, {bad} streams read differently"
    );
    Ok(bad == 0)
}

impl Stream {
    /// A recording as a stream; nothing where its answer is none.
    fn of(recording: &Arc<Recording>) -> Result<Option<Self>> {
        let headers = header_pairs(&recording.request.headers);
        let api = Api::of(&recording.dialect).context("not a served API")?;
        let path = api.client_path(recording.request.url.path(), "model");
        let has = |name: &str| headers.iter().any(|(known, _)| known == name);
        let Recognised::Call(call) = recognise(&recording.request.method, &path, has) else {
            anyhow::bail!("{path} is no path of the gateway");
        };
        let sent = header_pairs(&recording.response.headers);
        let content_type = sent.iter().find(|(name, _)| name == "content-type");
        let framing = call.dialect.codec().framing(content_type.map(|(_, value)| value.as_bytes()));
        let streams =
            [Operation::StreamGenerateContent, Operation::ConverseStream, Operation::InvokeModelStream];
        let asked = recording.request.body["stream"] == true || streams.contains(&call.operation);
        let Some(framing) = framing.filter(|_| asked) else { return Ok(None) };
        Ok(Some(Self {
            dialect: call.dialect,
            operation: call.operation,
            framing,
            hides_usage: api.must_ask_for_usage() && !verdict::asked_for_usage(recording),
            answer: recording.response.bytes()?,
            is_shortest: false,
            recording: Arc::clone(recording),
        }))
    }

    fn check(&self, random: u64) -> (usize, Vec<String>) {
        let whole = self.pass(std::slice::from_ref(&self.answer));
        let mut complaints: Vec<String> = self.is_right(&whole).err().into_iter().collect();
        let mut ways = 1;
        let mut try_pieces = |what: &dyn std::fmt::Display, pieces: &[Bytes]| {
            ways += 1;
            if self.pass(pieces) != whole {
                complaints.push(format!("{what}: read differently"));
            }
        };
        if self.is_shortest {
            for place in 1..self.answer.len() {
                let cut = Cut::At(place);
                try_pieces(&cut, &cut.pieces(&self.answer));
            }
            let bytes: Vec<Bytes> =
                (0..self.answer.len()).map(|place| self.answer.slice(place..place + 1)).collect();
            try_pieces(&"byte by byte", &bytes);
        } else {
            for (seed, longest) in (0..random).zip(LONGEST_PIECES.into_iter().cycle()) {
                let cut = Cut::Pieces { seed, longest };
                try_pieces(&cut, &cut.pieces(&self.answer));
            }
        }
        (ways, complaints)
    }

    /// The relay's way with a stream: what is not hidden passes, and behind the end mark nothing is read.
    fn pass(&self, pieces: &[Bytes]) -> Metered {
        let mut frames = self.framing.splitter();
        let mut reader = self.dialect.codec().reader(self.operation, self.hides_usage).framed(self.framing);
        let (mut client, mut ended) = (Vec::with_capacity(self.answer.len()), false);
        for piece in pieces {
            frames.push(piece.clone());
            for event in frames.by_ref() {
                let hides = !ended && {
                    let seen = reader.event(&event);
                    ended = matches!(seen.kind, SeenKind::End | SeenKind::Error(_));
                    seen.hide
                };
                if !hides {
                    client.extend_from_slice(&event);
                }
            }
        }
        let rest = frames.rest();
        if ended || rest.is_empty() {
            client.extend_from_slice(&rest);
        } else {
            // Some servers leave the last blank line out.
            let seen = reader.event(&rest);
            if !seen.hide && seen.kind != SeenKind::Prelude {
                client.extend_from_slice(&rest);
            }
        }
        Metered {
            client,
            reported: reader.reported().cloned(),
            finished: reader.finished(),
            output: reader.count_output(),
        }
    }

    /// In one piece it is what was recorded, and what its usage is known to be.
    fn is_right(&self, whole: &Metered) -> Result<(), String> {
        let wanted = match self.hides_usage {
            true => stream::without_usage_chunk(&self.answer),
            false => self.answer.to_vec(),
        };
        if whole.client != wanted {
            return Err(format!("{} bytes pass of {}", whole.client.len(), wanted.len()));
        }
        let usage = whole.reported.as_ref().and_then(|reported| reported.usage);
        let (Some(usage), Some(expected)) = (usage, self.recording.usage_expected) else { return Ok(()) };
        let usage = Usage {
            input_tokens: usage.input_tokens(),
            cached_input_tokens: usage.cached_input_tokens(),
            cache_write_tokens: usage.cache_write_tokens(),
            output_tokens: usage.output_tokens(),
            reasoning_tokens: usage.output_reasoning,
            audio_input_tokens: usage.audio_input_tokens(),
            audio_output_tokens: usage.output_audio,
        };
        let other = self.recording.usage_alternative;
        if usage == expected || other.is_some_and(|stated| stated.is_told_by(&usage)) {
            return Ok(());
        }
        Err(format!("usage {usage:?}, wanted {expected:?} or {other:?}"))
    }
}

fn mark_shortest(streams: &mut [Stream]) {
    let mut shortest: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for (place, stream) in streams.iter().enumerate() {
        let kind = (stream.recording.dialect.clone(), format!("{:?}", stream.framing));
        let this = (stream.answer.len(), place);
        let kept = shortest.entry(kind).or_insert(this);
        *kept = this.min(*kept);
    }
    for (_, place) in shortest.into_values() {
        streams[place].is_shortest = true;
    }
}

/// Does the work for each item, on as many threads as there are cores; the results in the items' order.
fn in_threads<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let work = &work;
        let of_thread = move |thread: usize| {
            let own = items.iter().enumerate().skip(thread).step_by(threads);
            own.map(|(place, item)| (place, work(item))).collect::<Vec<_>>()
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no work panics")).collect()
    });
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}
