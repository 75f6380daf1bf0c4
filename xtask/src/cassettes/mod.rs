//! `cargo xtask cassettes DIR`: recorded provider traffic, replayed through the built gateway.
//!
//! A scripted provider serves each recorded answer byte for byte, cut at several seeded places;
//! the recorded request goes through the gateway to it. Looked at afterwards: what the client got,
//! what the provider got, and the row in the ledger. Requests to converse also go to targets that speak
//! something else ([`crossings`]). Streams are cut at many more places than sockets could bring in the
//! time, by the same splitters and readers without a gateway around them ([`splits`]).

mod api;
mod crossings;
mod expectation;
mod play;
mod provider;
mod recording;
mod splits;
mod stream;
mod verdict;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use tollgate_test_support::Gateway;

use self::{
    api::Api,
    play::{Play, Played},
    provider::Provider,
    recording::Recording,
};
use crate::{
    steps::{Verdict, execute},
    workspace::Workspace,
};

/// Replays every recording below `dir` whose name contains `only`.
pub(crate) fn run(workspace: &Workspace, dir: &Path, only: Option<&str>, splits: u64) -> Result<Verdict> {
    let recordings = recording::read_all(dir, only)?;
    ensure!(!recordings.is_empty(), "no recording in {}", dir.display());
    execute(&mut workspace.cargo(&["build", "--package", "tollgate-app", "--locked"]))?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")?;
    let binary = workspace.gateway_binary();
    let crossed = runtime.block_on(crossings::run(&binary, &recordings))?;
    let (served, unserved): (Vec<Recording>, Vec<Recording>) =
        recordings.into_iter().partition(|recording| Api::of(&recording.dialect).is_some());
    let served: Vec<Arc<Recording>> = served.into_iter().map(Arc::new).collect();
    let all_alike = splits::check(&served, splits)?;
    let plays = play::plan(served)?;
    let (played, log) = runtime.block_on(replay(&binary, plays))?;
    for line in log.lines().filter(|line| line.contains("panicked at")) {
        println!("the gateway: {line}");
    }
    let replayed = report(&played, &unserved);
    let all_passed = [replayed, crossed].iter().all(|verdict| *verdict == Verdict::Passed);
    Ok(if all_alike && all_passed { Verdict::Passed } else { Verdict::Failed })
}

/// Plays everything; gives what was seen and what the gateway logged.
async fn replay(binary: &Path, plays: Vec<Play>) -> Result<(Vec<Played>, String)> {
    let provider = Provider::start(plays.iter().map(|play| (play.slot.clone(), play.at_provider()))).await?;
    let gateway = Gateway::start(binary, play::configuration(&plays, provider.address()))?;
    println!("replaying {} recordings in {} cuts", count_recordings(&plays), plays.len());

    let mut replies = Vec::with_capacity(plays.len());
    for play in &plays {
        replies.push(play.send(gateway.data_url()).await);
    }
    let admin = gateway.admin();
    let mut played = Vec::with_capacity(plays.len());
    for (play, reply) in plays.into_iter().zip(replies) {
        played.push(Played::look_at(play, reply, &provider, &admin).await);
    }
    Ok((played, gateway.log()))
}

fn count_recordings(plays: &[Play]) -> usize {
    plays.iter().filter(|play| play.cut.is_first()).count()
}

/// One line per dialect, every complaint, and the closing line; a recording passes when each of its
/// cuts does.
fn report(played: &[Played], unserved: &[Recording]) -> Verdict {
    #[derive(Default)]
    struct Tally {
        cuts: usize,
        recordings: BTreeMap<String, bool>,
    }
    let mut dialects: BTreeMap<&str, Tally> = BTreeMap::new();
    for one in played {
        let tally = dialects.entry(&one.play.recording.dialect).or_default();
        tally.cuts += 1;
        *tally.recordings.entry(one.play.recording.name.clone()).or_insert(true) &= one.complaints.is_empty();
        for complaint in &one.complaints {
            println!("FAILED {} ({}): {complaint}", one.play.recording.name, one.play.cut);
        }
    }
    let (mut passed, mut failed) = (0, 0);
    for (dialect, tally) in &dialects {
        let good = tally.recordings.values().filter(|good| **good).count();
        let bad = tally.recordings.len() - good;
        println!("{dialect:<30} {good:>4} passed {bad:>4} failed   ({} cuts)", tally.cuts);
        passed += good;
        failed += bad;
    }
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    for recording in unserved {
        *waiting.entry(&recording.dialect).or_default() += 1;
    }
    for (dialect, count) in &waiting {
        println!("{dialect:<30} {count:>4} not replayed: the gateway does not serve this API yet");
    }
    println!("{passed} passed, {failed} failed");
    // A run in which nothing was replayed proves nothing.
    if failed == 0 && passed > 0 { Verdict::Passed } else { Verdict::Failed }
}
