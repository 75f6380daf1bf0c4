//! Times in a table of fixed size: exact to a millisecond up to 64 of them, then to one part in 32.

/// Whole milliseconds up to here have a place each.
const EXACT: u64 = 64;
/// Places of each doubling above.
const STEPS: u64 = 32;
const PLACES: usize = 1_024;

/// How often each time was seen.
pub(super) struct Histogram {
    places: Box<[u64; PLACES]>,
    count: u64,
    most: u64,
}

/// Times that a share of the calls stayed within, in milliseconds. Never below the truth, and above it by
/// at most one part in 32.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quantiles {
    /// Half of them.
    pub p50: u64,
    /// 95 in a hundred.
    pub p95: u64,
    /// 99 in a hundred.
    pub p99: u64,
    /// All of them.
    pub most: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { places: Box::new([0; PLACES]), count: 0, most: 0 }
    }

    pub(super) fn record(&mut self, millis: u32) {
        let millis = u64::from(millis);
        if let Some(place) = self.places.get_mut(place_of(millis)) {
            *place += 1;
        }
        self.count += 1;
        self.most = self.most.max(millis);
    }

    /// `None` when nothing was recorded.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        (self.count > 0).then(|| Quantiles {
            p50: self.quantile(50),
            p95: self.quantile(95),
            p99: self.quantile(99),
            most: self.most,
        })
    }

    /// How many were seen up to each time, by time; only times that were seen.
    pub(super) fn counts(&self) -> Vec<(u64, u64)> {
        let mut sum = 0;
        let seen = self.places.iter().enumerate().filter(|(_, count)| **count > 0);
        seen.map(|(place, count)| {
            sum += count;
            (most_of(place).min(self.most), sum)
        })
        .collect()
    }

    fn quantile(&self, percent: u64) -> u64 {
        let rank = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let reaches = |held: &u64| {
            seen += held;
            seen >= rank
        };
        let place = self.places.iter().position(reaches).unwrap_or(PLACES - 1);
        most_of(place).min(self.most)
    }
}

fn place_of(millis: u64) -> usize {
    let place = if millis < EXACT {
        millis
    } else {
        let doubling = u64::from(millis.ilog2()) - 5;
        // The first step of a doubling lies where the one before ended.
        STEPS * doubling + (millis >> doubling)
    };
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The longest time that has this place.
fn most_of(place: usize) -> u64 {
    let place = place as u64;
    if place < EXACT {
        return place;
    }
    let doubling = place / STEPS - 1;
    (((place % STEPS + STEPS) + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_place_that_is_near_it() {
        let mut before = 0;
        for millis in (0..5_000).chain((5_000..u64::from(u32::MAX)).step_by(1_000_003)) {
            let place = place_of(millis);
            assert!(place < PLACES && place >= before, "{millis}");
            let most = most_of(place);
            assert!(most >= millis && most - millis <= millis / 32, "{millis} {most}");
            before = place;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantiles(), None);
        (1..=1_000).for_each(|millis| histogram.record(millis));
        let quantiles = histogram.quantiles().expect("times");
        assert!((500..=516).contains(&quantiles.p50), "{quantiles:?}");
        assert!((950..=980).contains(&quantiles.p95), "{quantiles:?}");
        assert_eq!(quantiles.most, 1_000);
        let counts = histogram.counts();
        assert_eq!((counts.first(), counts.last()), (Some(&(1, 1)), Some(&(1_000, 1_000))));
    }
}
