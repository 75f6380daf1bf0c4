//! Recorded requests asked of targets that speak something else.
//!
//! Each recorded request to converse goes through the gateway to a scripted upstream of every other
//! way to converse. It comes back as an answer of the caller's own dialect, or is refused with the
//! name of a member that the target cannot have. Which pairs lead anywhere, the dialects tell.

mod answer;
mod bedrock_frames;
mod party;
mod script;
mod verdict;

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tollgate_test_support::Gateway;

use self::{party::Party, verdict::Fate};
use super::{
    api::{Api, asked_model},
    expectation::Expectation,
    play::{self, Play, UPSTREAM_KEY},
    provider::{Body, Provider, Slot},
    recording::Recording,
    stream::Cut,
};
use crate::steps::Verdict;

/// How the scripted answers come: in pieces, so that no part of the way sees them whole.
const CUT: Cut = Cut::Pieces { seed: 6, longest: 60 };

/// One recorded request on its way to one target.
struct Crossing {
    play: Play,
    caller: Party,
    target: Party,
    /// The caller wants a stream.
    stream: bool,
}

/// Sends every recorded request to converse to each of the other parties.
pub(super) async fn run(binary: &Path, recordings: &[Recording]) -> Result<Verdict> {
    let crossings = plan(recordings)?;
    if crossings.is_empty() {
        println!("no recorded request to converse");
        return Ok(Verdict::Passed);
    }
    let scripts = crossings
        .iter()
        .map(|crossing| (crossing.play.slot.clone(), Slot { answer: crossing.script(), aside: Vec::new() }));
    let provider = Provider::start(scripts).await?;
    let gateway = Gateway::start(binary, configuration(&crossings, provider.address()))?;
    println!("asking {} recorded requests of targets that speak something else", crossings.len());

    let mut fates = Vec::with_capacity(crossings.len());
    for crossing in &crossings {
        let reply = crossing.play.send(gateway.data_url()).await;
        fates.push(match reply {
            Ok(reply) => verdict::of(crossing, &reply, &provider.received(&crossing.play.slot)),
            Err(problem) => Fate::Failed(format!("{problem:#}")),
        });
    }
    for line in gateway.log().lines().filter(|line| line.contains("panicked at")) {
        println!("the gateway: {line}");
    }
    Ok(report(&crossings, &fates))
}

fn plan(recordings: &[Recording]) -> Result<Vec<Crossing>> {
    let mut crossings = Vec::new();
    for recording in recordings {
        let (Some(caller), Some(api)) = (Party::recorded(&recording.dialect), Api::of(&recording.dialect))
        else {
            continue;
        };
        let name = &recording.name;
        let model = asked_model(recording).with_context(|| format!("{name}: no model is asked for"))?;
        let recording = Arc::new(recording.clone());
        let stream = caller.streams(&recording);
        for target in Party::ALL.into_iter().filter(|target| caller.reaches(*target)) {
            let play = Play {
                recording: Arc::clone(&recording),
                api,
                cut: CUT,
                slot: format!("crossing-{}", crossings.len()),
                model: model.clone(),
                answer: script::answer(target, stream, offers_tools(&recording)),
                expectation: Expectation::of(&recording),
            };
            crossings.push(Crossing { play, caller, target, stream });
        }
    }
    Ok(crossings)
}

fn offers_tools(recording: &Recording) -> bool {
    let body = &recording.request.body;
    let tools = body.get("tools").or_else(|| body.pointer("/toolConfig/tools"));
    tools.and_then(Value::as_array).is_some_and(|tools| !tools.is_empty())
}

impl Crossing {
    /// What the target answers.
    fn script(&self) -> super::provider::Script {
        let body = match self.stream {
            true => Body::Chunked(CUT.pieces(&self.play.answer)),
            false => Body::Sized(self.play.answer.clone()),
        };
        let kind = script::content_type(self.target, self.stream).to_owned();
        super::provider::Script { status: 200, headers: vec![("content-type".to_owned(), kind)], body }
    }
}

/// For each crossing a region, an upstream that speaks what its target speaks, and a model.
fn configuration(crossings: &[Crossing], provider: SocketAddr) -> String {
    let (mut regions, mut upstreams, mut models) = (String::new(), String::new(), String::new());
    for Crossing { play, target, .. } in crossings {
        let slot = &play.slot;
        // Writing to a string cannot fail.
        let _ = writeln!(regions, "  - {{ name: {slot}, zone: replay }}");
        let _ = writeln!(
            upstreams,
            "  - {{ name: {slot}, {}, region: {slot}, base_url: \"http://{provider}/{slot}{}\", \
             allow_private: true, credential: {UPSTREAM_KEY} }}",
            target.speaks(),
            target.base_path()
        );
        let model = Value::from(target.model());
        let _ = writeln!(models, "  - {{ name: {slot}, targets: [{{ upstream: {slot}, model: {model} }}] }}");
    }
    let slots = crossings.iter().map(|crossing| crossing.play.slot.as_str());
    play::whole_configuration(&regions, &upstreams, &models, slots)
}

/// Prints what became of each pair; red when anything failed.
fn report(crossings: &[Crossing], fates: &[Fate]) -> Verdict {
    let mut pairs: BTreeMap<(Party, Party), [usize; 3]> = BTreeMap::new();
    for (crossing, fate) in crossings.iter().zip(fates) {
        let pair = pairs.entry((crossing.caller, crossing.target)).or_default();
        match fate {
            Fate::Carried => pair[0] += 1,
            Fate::Refused => pair[1] += 1,
            Fate::Failed(why) => {
                pair[2] += 1;
                println!("FAILED {} -> {}: {why}", crossing.play.recording.name, crossing.target.name());
            }
        }
    }
    println!("{:<20} {:<20} {:>8} {:>8} {:>8}", "asked as", "answered as", "carried", "refused", "failed");
    let mut total = [0; 3];
    for caller in Party::ALL {
        for target in Party::ALL.into_iter().filter(|target| *target != caller) {
            let names = format!("{:<20} {:<20}", caller.name(), target.name());
            match pairs.get(&(caller, target)) {
                Some([carried, refused, failed]) => {
                    println!("{names} {carried:>8} {refused:>8} {failed:>8}");
                    for (sum, more) in total.iter_mut().zip([carried, refused, failed]) {
                        *sum += more;
                    }
                }
                None if caller.reaches(target) => println!("{names} nothing recorded"),
                None => println!("{names} no way between them yet"),
            }
        }
    }
    let [carried, refused, failed] = total;
    println!("{carried} carried, {refused} refused, {failed} failed");
    if failed == 0 && carried > 0 { Verdict::Passed } else { Verdict::Failed }
}
