//! Two random targets, the less loaded one.

use std::time::Duration;

use smallvec::SmallVec;

use super::Open;

/// What targets are thought to take before any of their level was used.
const UNKNOWN: Duration = Duration::from_secs(1);

pub(super) fn pick(open: &[Open<'_>], random: &mut impl FnMut() -> u64) -> usize {
    let shares: SmallVec<[u64; 4]> = open.iter().map(|open| open.share).collect();
    let first = draw(&shares, None, random());
    let second = draw(&shares, Some(first), random());
    let cost = |at: usize| open.get(at).map_or(u128::MAX, |one| cost(one, open));
    let chosen = if cost(second) < cost(first) { second } else { first };
    open[chosen].place
}

/// One place by weight; `except` has none.
fn draw(weights: &[u64], except: Option<usize>, random: u64) -> usize {
    let weight = |at: usize| if Some(at) == except { 0 } else { weights[at] };
    let total: u64 = (0..weights.len()).map(weight).sum();
    let mut rest = random % total.max(1);
    for at in 0..weights.len() {
        if rest < weight(at) {
            return at;
        }
        rest -= weight(at);
    }
    except.unwrap_or(0)
}

/// Expected wait there: time to first content, times what is in flight, by share.
fn cost(one: &Open<'_>, level: &[Open<'_>]) -> u128 {
    let ewma = one.ewma.unwrap_or_else(|| median(level)).as_micros();
    ewma * u128::from(one.in_flight() + 1) * 1_000_000 / u128::from(one.share.max(1))
}

/// The median of a level, where a new target starts.
pub(super) fn median(level: &[Open<'_>]) -> Duration {
    let mut known: SmallVec<[Duration; 8]> = level.iter().filter_map(|open| open.ewma).collect();
    known.sort_unstable();
    known.get(known.len() / 2).copied().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights_and_leave_the_exception_out() {
        let weights = [10, 0, 30];
        let counts = (0..40).fold([0; 3], |mut counts, random| {
            counts[draw(&weights, None, random)] += 1;
            counts
        });
        assert_eq!(counts, [10, 0, 30]);
        assert!((0..40).all(|random| draw(&weights, Some(2), random) == 0));
        assert_eq!(draw(&[5], Some(0), 3), 0, "an only target is its own second choice");
    }
}
