//! Requests of one conversation go where its prefix is cached, while that target is not busier than the
//! others by more than a quarter.

use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use tollgate_dialect::prompt_prefix;

use super::Open;
use crate::{edge::Said, intake::Envelope, snapshot::Principal};

/// A target may have so many hundredths of its part of what is in flight.
const BOUND: u128 = 125;

/// What tells the requests of one conversation: the project, and the session that the client names, else
/// the beginning of its prompt (see [`prompt_prefix`]). `None` where there is neither.
pub(crate) fn key(principal: &Principal, envelope: &Envelope) -> Option<u64> {
    let said = Said::by(&envelope.headers);
    let parts = match said.session.or(said.claude_code_session) {
        Some(session) => SmallVec::from_slice(&[session.as_bytes()]),
        None if envelope.head.form.is_none() => prompt_prefix(&envelope.body),
        None => return None,
    };
    if parts.is_empty() {
        return None;
    }
    let identity = &principal.identity;
    let mut hash = Sha256::new();
    for part in
        [identity.team.as_str().as_bytes(), identity.project.as_str().as_bytes()].into_iter().chain(parts)
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().first_chunk().map(|first| u64::from_be_bytes(*first))
}

/// The target that is nearest to the key and is not over its part; all replicas find the same one, and
/// one that leaves moves no conversation but its own.
pub(super) fn pick(open: &[Open<'_>], key: u64) -> usize {
    let in_flight: u128 = 1 + open.iter().map(|one| u128::from(one.in_flight())).sum::<u128>();
    let shares: u128 = open.iter().map(|one| u128::from(one.share)).sum();
    let mut ranked: SmallVec<[(f64, &Open<'_>); 4]> =
        open.iter().map(|one| (distance(one, key), one)).collect();
    ranked.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let has_room = |one: &Open<'_>| {
        let part = (in_flight * u128::from(one.share) * BOUND).div_ceil(shares.max(1) * 100);
        u128::from(one.in_flight()) < part
    };
    let nearest = ranked.iter().find(|(_, one)| has_room(one)).or(ranked.first());
    nearest.map_or(0, |(_, one)| one.place)
}

/// Rendezvous hashing: a draw of its own for each pair of key and target, shorter the more weight it has.
fn distance(one: &Open<'_>, key: u64) -> f64 {
    let name = one.candidate.target.live.name.as_bytes();
    // FNV-1a, then the finisher of SplitMix64: short names have to differ in every bit.
    let named = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mixed = named ^ key;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let drawn = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -drawn.ln() / one.share.max(1) as f64
}
